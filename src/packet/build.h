/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PACKET_BUILD_H
#define PACKET_BUILD_H

/*
 * packet/build - frames, composed header by header
 *
 *     struct build b;
 *
 *     build_start(&b, mem, sizeof(mem));
 *     build_eth(&b, dst, src);
 *     build_tag(&b, SLUICE_ETH_VLAN, 100);
 *     build_ip4(&b, &(struct build_ip4){.src = 0x0a000001, .dst = 0x0a000002});
 *     build_udp(&b, 1000, 2000);
 *     build_fill(&b, 64);
 *     len = build_end(&b);
 *
 * Each header names itself in the one before it; the end fills in lengths and
 * checksums. One IP header per frame. A frame that does not fit into its memory
 * becomes none: build_end() returns 0.
 *
 * For slow and control code and tests; a build belongs to one thread. Numbers
 * in host order. Addresses of Ethernet are 6 bytes, of IPv6 16.
 */

#include "base/annotate.h"
#include "sluice/types.h"

struct build {
	uint8_t *data;
	uint32_t max, len;
	bool is_full; /* something did not fit */

	/* Where things lie in data; 0: not there. */
	uint32_t type; /* the eth_type to be named */
	uint32_t next; /* the ip_proto to be named */
	uint32_t ip4;  /* headers */
	uint32_t ip6;
	uint32_t l4;
	uint8_t proto; /* of l4 */
};

void build_start(struct build *b, void *mem, uint32_t max);

void build_eth(struct build *b, const uint8_t *dst, const uint8_t *src);
void build_tag(struct build *b, uint16_t tpid, uint16_t tci);

/* What follows is of this eth_type (or 802.3 length) and the caller's. */
void build_type(struct build *b, uint16_t eth_type);

struct build_arp {
	uint16_t op; /* 1 request, 2 reply */
	const uint8_t *sha, *tha;
	uint32_t spa, tpa;
};
void build_arp(struct build *b, const struct build_arp *a);

struct build_ip4 {
	uint32_t src, dst;
	uint16_t frag; /* the header's word: flags and offset / 8 */
	uint16_t id;
	uint8_t tos;
	uint8_t ttl;	     /* 0: 64 */
	uint8_t options_len; /* of no-operation options; a multiple of 4 */
};
void build_ip4(struct build *b, const struct build_ip4 *a);

struct build_ip6 {
	const uint8_t *src, *dst;
	uint32_t label;
	uint8_t tclass;
	uint8_t hops; /* 0: 64 */
};
void build_ip6(struct build *b, const struct build_ip6 *a);

/*
 * An IPv6 extension header of len bytes, a multiple of 8 (of 4 for
 * authentication), filled with padding options or zeros.
 */
void build_ext6(struct build *b, uint8_t proto, uint32_t len);

/* off: bytes, a multiple of 8. */
void build_frag6(struct build *b, uint16_t off, bool more, uint32_t id);

/* What follows is of this protocol and the caller's. */
void build_proto(struct build *b, uint8_t proto);

void build_tcp(struct build *b, uint16_t src, uint16_t dst, uint8_t flags);
void build_udp(struct build *b, uint16_t src, uint16_t dst);

/* Both as IPv4's ICMP or as ICMPv6, by the IP header before. */
void build_icmp(struct build *b, uint8_t type, uint8_t code);

void build_bytes(struct build *b, const void *data, uint32_t len);
void build_fill(struct build *b, uint32_t len); /* 0, 1, 2 ... */

/* The frame's length; 0 when it did not fit. */
uint32_t build_end(struct build *b) MUST_USE;

enum build_kind {
	BUILD_ARP, /* a request of ip_src for ip_dst */
	BUILD_TCP4,
	BUILD_UDP4,
	BUILD_ICMP4, /* echo request */
	BUILD_TCP6,
	BUILD_UDP6,
	BUILD_ICMP6,
};

/* The usual frame: two stations that talk. */
struct build_talk {
	enum build_kind kind;
	uint8_t eth_dst[6], eth_src[6];
	uint16_t vlan;		 /* TCI; 0: untagged */
	uint32_t ip_src, ip_dst; /* IPv6: behind fd00::/96 */
	uint16_t tp_src, tp_dst;
	uint32_t len; /* of the frame, filled up to; less: as it comes */
};

/* Returns the frame's length; 0 when it did not fit. */
uint32_t build_talk(void *mem, uint32_t max, const struct build_talk *t)
	MUST_USE;

#endif
