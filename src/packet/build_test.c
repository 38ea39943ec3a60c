/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"
#include "base/test.h"
#include "packet/build.h"
#include "packet/csum.h"
#include "packet/twin.h"
#include "sluice/parse.h"

#define SUM_LEN_MAX 3000u

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 0xa};
static const uint8_t mac_b[6] = {2, 0, 0, 0, 0, 0xb};
static const uint8_t ip6_a[16] = {0xfd, [15] = 0xa};
static const uint8_t ip6_b[16] = {0xfd, [15] = 0xb};

/* RFC 1071 to the letter: words in network order, carries added at the end. */
static uint32_t slow_sum(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : p[i] * 256u;
	while (sum > 0xffff)
		sum = sum % 65536 + sum / 65536;
	return sum;
}

static void checksums_agree_with_slow_ones(void)
{
	static uint8_t data[SUM_LEN_MAX + 8];
	struct rng rng = rng_of(test_seed());

	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t len = rng_below(&rng, i % 16 ? 64 : SUM_LEN_MAX);
		uint32_t cut = rng_below(&rng, len / 2 + 1) * 2;
		uint32_t off = rng_below(&rng, 8);
		uint64_t sum;

		for (uint32_t j = 0; j < len; j++)
			data[off + j] = (uint8_t)(i % 3 ? rng_next(&rng) : 255);
		sum = csum_add(0, data + off, cut);
		sum = csum_add(sum, data + off + cut, len - cut);
		CHECK_EQ(sluice_from_be16(csum_fold(sum)),
			 0xffff - slow_sum(0, data + off, len));
	}
}

static void a_sum_of_the_largest_words_does_not_overflow(void)
{
	static uint8_t data[65536];
	uint64_t sum = 0;

	memset(data, 0xff, sizeof(data));
	for (uint32_t i = 0; i < 64; i++)
		sum = csum_add(sum, data, sizeof(data));
	CHECK_EQ(csum_fold(sum).be, 0);
}

/* Both checksums of an IPv4 frame, from the outside. */
static void check_ip4_sums(const uint8_t *ip, uint32_t len, uint32_t proto)
{
	uint32_t sum = proto + len - 20;

	CHECK_EQ(slow_sum(0, ip, 20), 0xffff);
	sum = proto == SLUICE_IP_ICMP ? 0 : slow_sum(sum, ip + 12, 8);
	CHECK_EQ(slow_sum(sum, ip + 20, len - 20), 0xffff);
}

static void check_ip6_sum(const uint8_t *ip, uint32_t len, uint32_t proto)
{
	uint32_t sum = slow_sum(proto + len - 40, ip + 8, 32);

	CHECK_EQ(slow_sum(sum, ip + 40, len - 40), 0xffff);
}

static void a_talk_parses_to_what_was_asked_for(void)
{
	static const struct {
		enum build_kind kind;
		uint16_t type;
		uint8_t proto;
		uint16_t tp_src, tp_dst;
	} talks[] = {
		{BUILD_ARP, 0x0806, 1, 0, 0},
		{BUILD_TCP4, 0x0800, 6, 1000, 80},
		{BUILD_UDP4, 0x0800, 17, 1000, 80},
		{BUILD_ICMP4, 0x0800, 1, 8, 0},
		{BUILD_TCP6, 0x86dd, 6, 1000, 80},
		{BUILD_UDP6, 0x86dd, 17, 1000, 80},
		{BUILD_ICMP6, 0x86dd, 58, 128, 0},
	};

	for (uint32_t i = 0; i < 2 * ARRAY_LEN(talks); i++) {
		struct build_talk t = {.kind = talks[i / 2].kind,
				       .vlan = i % 2 ? 100 : 0,
				       .ip_src = 0x0a000001,
				       .ip_dst = 0x0a000002,
				       .tp_src = 1000,
				       .tp_dst = 80,
				       .len = 60 + 7 * i};
		struct sluice_key key = {0};
		uint8_t frame[256];
		uint32_t len, l3 = i % 2 ? 18 : 14;

		memcpy(t.eth_src, mac_a, 6);
		memcpy(t.eth_dst, mac_b, 6);
		len = build_talk(frame, sizeof(frame), &t);
		CHECK(len >= t.len);
		CHECK_EQ(sluice_parse(frame, frame + len, 3, &key), 0);
		CHECK_EQ(key.in_port, 3);
		CHECK(!memcmp(key.eth_src, mac_a, 6));
		CHECK(!memcmp(key.eth_dst, mac_b, 6));
		CHECK_EQ(sluice_from_be16(key.vlan_tci), i % 2 ? 0x1064 : 0);
		CHECK_EQ(sluice_from_be16(key.eth_type), talks[i / 2].type);
		CHECK_EQ(key.ip_proto, talks[i / 2].proto);
		CHECK_EQ(key.ip_src[15] * 256 + key.ip_dst[15], 0x102);
		CHECK_EQ(sluice_from_be16(key.tp_src), talks[i / 2].tp_src);
		CHECK_EQ(sluice_from_be16(key.tp_dst), talks[i / 2].tp_dst);
		if (talks[i / 2].type == 0x0800)
			check_ip4_sums(frame + l3, len - l3, key.ip_proto);
		if (talks[i / 2].type == 0x86dd)
			check_ip6_sum(frame + l3, len - l3, key.ip_proto);
	}
}

/* Where the options end that begin at off and should fill len bytes. */
static uint32_t options_end(const uint8_t *frame, uint32_t off, uint32_t len)
{
	uint32_t end = off + len;

	while (off < end && frame[off] == 1)
		off += 2u + frame[off + 1];
	return off;
}

static void extension_headers_lead_to_the_last(void)
{
	static uint8_t frame[4096];
	struct sluice_key key = {0};
	struct build b;
	uint32_t len;

	for (uint32_t opt_len = 8; opt_len <= 2048; opt_len += 8) {
		build_start(&b, frame, sizeof(frame));
		build_eth(&b, mac_b, mac_a);
		build_ip6(&b, &(struct build_ip6){.src = ip6_a, .dst = ip6_b});
		build_ext6(&b, SLUICE_IP_HOPOPTS, opt_len);
		build_ext6(&b, SLUICE_IP_AUTH, 12);
		build_frag6(&b, 0, true, 1);
		build_udp(&b, 7, 9);
		len = build_end(&b);
		CHECK_EQ(sluice_parse(frame, frame + len, 1, &key), 0);
		CHECK_EQ(key.ip_proto, SLUICE_IP_UDP);
		CHECK_EQ(key.ip_frag, SLUICE_FRAG_ANY);
		CHECK_EQ(sluice_from_be16(key.tp_dst), 9);

		CHECK_EQ(options_end(frame, 56, opt_len - 2), 54 + opt_len);
	}
}

static void a_frame_that_does_not_fit_is_none(void)
{
	struct build_talk t = {.kind = BUILD_TCP4, .len = 100};
	uint8_t frame[104];

	for (uint32_t max = 0; max < sizeof(frame); max++) {
		memset(frame, 0xa5, sizeof(frame));
		CHECK_EQ(build_talk(frame, max, &t), max < 100 ? 0 : 100);
		CHECK_EQ(frame[max], 0xa5);
	}
}

static void udp_has_no_checksum_of_zero(void)
{
	uint8_t frame[64];
	struct build b;

	/* A payload that brings the sum to 0xffff. */
	for (uint32_t v = 0; v < 65536; v++) {
		uint8_t word[2] = {(uint8_t)(v >> 8), (uint8_t)v};

		build_start(&b, frame, sizeof(frame));
		build_eth(&b, mac_b, mac_a);
		build_ip4(&b, &(struct build_ip4){.src = 1, .dst = 2});
		build_udp(&b, 7, 9);
		build_bytes(&b, word, 2);
		CHECK_EQ(build_end(&b), 44);
		CHECK(frame[40] || frame[41]);
	}
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(checksums_agree_with_slow_ones);
	TEST(a_sum_of_the_largest_words_does_not_overflow);
	TEST(a_talk_parses_to_what_was_asked_for);
	TEST(extension_headers_lead_to_the_last);
	TEST(a_frame_that_does_not_fit_is_none);
	TEST(udp_has_no_checksum_of_zero);
	return test_done();
}
