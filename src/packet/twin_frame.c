/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random bytes alone would hardly ever come past the first check, so a frame
 * is composed of random parts first and then damaged where it hurts: near the
 * beginning, by values that lengths, versions and protocols like to have.
 */
#include <string.h>

#include "packet/build.h"
#include "packet/twin.h"
#include "sluice/wire.h"

#define FRAME_ROOM 3400u /* of TWIN_FRAME_MAX: what is composed */

static bool one_in(struct rng *rng, uint32_t n)
{
	return rng_below(rng, n) == 0;
}

static void some_bytes(struct rng *rng, uint8_t *out, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = (uint8_t)rng_next(rng);
}

static void some_l4(struct rng *rng, struct build *b)
{
	static const uint8_t protos[] = {
		SLUICE_IP_TCP,
		SLUICE_IP_UDP,
		SLUICE_IP_ICMP,
		SLUICE_IP_ICMP6,
	};

	/* One draw for all arguments: C does not say which is drawn first. */
	uint64_t r = rng_next(rng);

	switch (rng_below(rng, 7)) {
	case 0:
	case 1:
		build_tcp(b, (uint16_t)r, (uint16_t)(r >> 16),
			  (uint8_t)(r >> 32));
		break;
	case 2:
	case 3:
		build_udp(b, (uint16_t)r, (uint16_t)(r >> 16));
		break;
	case 4:
		build_icmp(b, (uint8_t)r, (uint8_t)(r >> 8));
		break;
	case 5:
		build_proto(b, (uint8_t)r);
		break;
	case 6: /* a header that is hardly there */
		build_proto(b, protos[rng_below(rng, sizeof(protos))]);
		build_fill(b, rng_below(rng, 24));
	}
}

static void some_ip4(struct rng *rng, struct build *b)
{
	uint64_t addrs = rng_next(rng);
	uint64_t r = rng_next(rng);
	struct build_ip4 a = {
		.src = (uint32_t)addrs,
		.dst = (uint32_t)(addrs >> 32),
		.tos = (uint8_t)r,
	};

	if (one_in(rng, 4))
		a.options_len = (uint8_t)(4 * rng_below(rng, 11));
	if (one_in(rng, 4))
		a.frag =
			(uint16_t)(r >> 8 & (one_in(rng, 2) ? 0xe000 : 0xffff));
	build_ip4(b, &a);
	some_l4(rng, b);
}

static void some_ext6(struct rng *rng, struct build *b)
{
	static const uint8_t protos[] = {
		SLUICE_IP_HOPOPTS,
		SLUICE_IP_ROUTING,
		SLUICE_IP_DSTOPTS,
		SLUICE_IP_AUTH,
	};
	uint32_t n = one_in(rng, 3) ? 7 + rng_below(rng, 4) : rng_below(rng, 3);

	for (uint32_t i = 0; i < n; i++) {
		uint64_t r = rng_next(rng);
		uint32_t which = rng_below(rng, 6);
		uint32_t units = 1 + rng_below(rng, one_in(rng, 16) ? 256 : 4);

		if (which == 4)
			build_frag6(b, (uint16_t)(r >> 8), r & 1, 1);
		else if (which == 5)
			build_frag6(b, 0, r & 1, 1);
		else
			build_ext6(b, protos[which], 8 * units);
	}
}

static void some_ip6(struct rng *rng, struct build *b)
{
	uint8_t src[16], dst[16];
	uint64_t r;

	some_bytes(rng, src, sizeof(src));
	some_bytes(rng, dst, sizeof(dst));
	r = rng_next(rng);
	build_ip6(b, &(struct build_ip6){.src = src,
					 .dst = dst,
					 .label = (uint32_t)r,
					 .tclass = (uint8_t)(r >> 32)});
	some_ext6(rng, b);
	some_l4(rng, b);
}

static void some_arp(struct rng *rng, struct build *b)
{
	uint8_t sha[6], tha[6];
	uint16_t op;
	uint64_t r;

	some_bytes(rng, sha, sizeof(sha));
	some_bytes(rng, tha, sizeof(tha));
	r = rng_next(rng);
	op = (uint16_t)rng_below(rng, 260);
	build_arp(b, &(struct build_arp){.op = op,
					 .sha = sha,
					 .tha = tha,
					 .spa = (uint32_t)r,
					 .tpa = (uint32_t)(r >> 32)});
}

static void some_tag(struct rng *rng, struct build *b)
{
	uint64_t r = rng_next(rng);

	build_tag(b, r & 1 ? SLUICE_ETH_VLAN : SLUICE_ETH_QINQ,
		  (uint16_t)(r >> 1));
}

static uint32_t whole_frame(struct rng *rng, uint8_t *out)
{
	uint32_t n_tags = one_in(rng, 2) ? 0 : rng_below(rng, 4);
	uint8_t addrs[12];
	struct build b;

	some_bytes(rng, addrs, sizeof(addrs));
	if (!one_in(rng, 16))
		addrs[6] &= 0xfe;
	build_start(&b, out, FRAME_ROOM);
	build_eth(&b, addrs, addrs + 6);
	for (uint32_t i = 0; i < n_tags; i++)
		some_tag(rng, &b);
	switch (rng_below(rng, 8)) {
	case 0:
		build_type(&b, (uint16_t)rng_next(rng));
		break;
	case 1:
		some_arp(rng, &b);
		break;
	case 2:
	case 3:
	case 4:
		some_ip4(rng, &b);
		break;
	default:
		some_ip6(rng, &b);
	}
	if (one_in(rng, 2))
		build_fill(&b, rng_below(rng, 64));
	return build_end(&b);
}

static void damage(struct rng *rng, uint8_t *out, uint32_t len)
{
	static const uint8_t likely_bytes[] = {
		0x00, 0x01, 0x04, 0x05, 0x06, 0x08, 0x11, 0x2b, 0x2c, 0x33,
		0x3a, 0x3c, 0x44, 0x45, 0x46, 0x4f, 0x60, 0x81, 0x88, 0xff,
	};
	uint32_t n = 1 + rng_below(rng, 4);

	for (uint32_t i = 0; i < n && len; i++) {
		uint32_t at = rng_below(rng, len < 96 ? len : 96);

		if (one_in(rng, 2))
			out[at] = likely_bytes[rng_below(rng,
							 sizeof(likely_bytes))];
		else if (one_in(rng, 2))
			out[at] ^= (uint8_t)(1u << rng_below(rng, 8));
		else
			out[at] = (uint8_t)(out[at] + rng_below(rng, 9) - 4);
	}
}

uint32_t twin_frame(struct rng *rng, uint8_t *out)
{
	uint32_t len = whole_frame(rng, out);

	/* Padding as Ethernet has it; here bytes of whatever came before. */
	if (len < 60 && one_in(rng, 4)) {
		some_bytes(rng, out + len, 60 - len);
		len = 60;
	}
	if (one_in(rng, 2))
		return len;
	if (one_in(rng, 2))
		damage(rng, out, len);
	if (one_in(rng, 2) && len)
		len = rng_below(rng, len + 1);
	else if (one_in(rng, 8) && len)
		some_bytes(rng, out, len);
	return len;
}
