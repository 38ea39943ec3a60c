/* SPDX-License-Identifier: Apache-2.0 */
/* Frames made fit for devices that know no virtio headers. */
#include "port/port.h"

#include "base/rng.h"
#include "base/test.h"

#define LEN_MAX 300u

/* The sum of all 16-bit numbers in network order, ends carried around. */
static uint32_t naive_sum(const uint8_t *data, uint32_t from, uint32_t to)
{
	uint32_t sum = 0;

	for (uint32_t i = from; i < to; i++)
		sum += (uint32_t)data[i] << ((i - from) % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void random_bytes(struct rng *r, uint8_t *data, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		data[i] = (uint8_t)rng_next(r);
}

static void a_finished_checksum_makes_the_sum_right(void)
{
	struct rng r = rng_of(test_seed());

	for (uint32_t i = 0; i < 5000; i++) {
		uint32_t len = 60 + rng_below(&r, LEN_MAX - 60);
		uint16_t start = (uint16_t)(14 + rng_below(&r, 30));
		uint32_t at = start + 6u, pseudo;
		uint8_t data[LEN_MAX], seen[LEN_MAX];
		struct frame f = {.data = data, .len = len};

		random_bytes(&r, data, len);
		f.vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		f.vnet.csum_start = start;
		f.vnet.csum_offset = 6;
		/* What the kernel puts there: the pseudo header's sum. */
		pseudo = (uint32_t)data[at] << 8 | data[at + 1];
		memcpy(seen, data, len);
		CHECK_EQ(port_make_plain(&f), SLUICE_DROP_NONE);
		seen[at] = data[at];
		seen[at + 1] = data[at + 1];
		CHECK(memcmp(seen, data, len) == 0);
		CHECK(data[at] || data[at + 1]);
		pseudo += naive_sum(data, start, len);
		CHECK_EQ((pseudo & 0xffff) + (pseudo >> 16), 0xffff);
		CHECK_EQ(f.vnet.flags, 0);
	}
}

static void places_outside_the_frame_are_left_alone(void)
{
	struct rng r = rng_of(test_seed());
	uint8_t *data = malloc(60), seen[60];

	random_bytes(&r, data, 60);
	memcpy(seen, data, 60);
	for (uint32_t i = 0; i < 5000; i++) {
		struct frame f = {.data = data, .len = 60};

		f.vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		f.vnet.csum_start = (uint16_t)rng_next(&r);
		f.vnet.csum_offset = (uint16_t)rng_next(&r);
		if (f.vnet.csum_start + f.vnet.csum_offset <= 58)
			continue;
		CHECK_EQ(port_make_plain(&f), SLUICE_DROP_NONE);
	}
	CHECK(memcmp(seen, data, 60) == 0);
	free(data);
}

static void segments_are_refused(void)
{
	uint8_t data[60] = {0};
	struct frame f = {.data = data, .len = 60};

	f.vnet.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	CHECK_EQ(port_make_plain(&f), SLUICE_DROP_TOO_LONG);
	CHECK_EQ(f.vnet.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(a_finished_checksum_makes_the_sum_right);
	TEST(places_outside_the_frame_are_left_alone);
	TEST(segments_are_refused);
	return test_done();
}
