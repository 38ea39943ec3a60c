/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_WIRE_H
#define SLUICE_WIRE_H

/*
 * sluice/wire - what frames are made of: lengths, numbers, and how to load them
 *
 * Lengths are in bytes, numbers in host order. The functions ending in _ are
 * for headers of include/sluice/ only.
 */

#include "sluice/types.h"

#define SLUICE_ETH_LEN 14u
#define SLUICE_VLAN_LEN 4u
#define SLUICE_ARP_LEN 28u /* IPv4 over Ethernet */
#define SLUICE_IP4_LEN 20u
#define SLUICE_IP6_LEN 40u
#define SLUICE_ETH_TYPE_MIN 0x0600u /* below: an 802.3 length */

/* eth_type */
enum {
	SLUICE_ETH_IP4 = 0x0800,
	SLUICE_ETH_ARP = 0x0806,
	SLUICE_ETH_VLAN = 0x8100,
	SLUICE_ETH_IP6 = 0x86dd,
	SLUICE_ETH_QINQ = 0x88a8,
};

/* ip_proto */
enum {
	SLUICE_IP_HOPOPTS = 0,
	SLUICE_IP_ICMP = 1,
	SLUICE_IP_TCP = 6,
	SLUICE_IP_UDP = 17,
	SLUICE_IP_ROUTING = 43,
	SLUICE_IP_FRAGMENT = 44,
	SLUICE_IP_AUTH = 51,
	SLUICE_IP_ICMP6 = 58,
	SLUICE_IP_DSTOPTS = 60,
};

#define SLUICE_RARE_(x) __builtin_expect(!!(x), 0)

/* A constant in network order, for comparing with what was loaded. */
#define SLUICE_NET16_(host) ((uint16_t)((host) >> 8 | ((host)&0xff) << 8))

#ifdef __bpf__

/* The JITs' machines load from anywhere; clang would go byte by byte. */
#define SLUICE_GET_(n)                                               \
	SLUICE_INLINE uint##n##_t sluice_get##n##_(const uint8_t *p) \
	{                                                            \
		return *(const uint##n##_t *)(const void *)p;        \
	}

/* The form of comparison that the verifier learns from. */
SLUICE_INLINE bool sluice_ends_(const uint8_t *at, const uint8_t *end,
				uint32_t len)
{
	return SLUICE_RARE_(at + len > end);
}

/*
 * v, at most 65535, as if it were new to the verifier: so it follows one state
 * onwards where several ways to v have met, instead of each of them.
 */
SLUICE_INLINE uint32_t sluice_forget_(uint32_t v)
{
	uint64_t x = v;

	__asm__ volatile("%0 = be16 %0\n%0 = be16 %0" : "+r"(x));
	return (uint32_t)x;
}

#else

#define SLUICE_GET_(n)                                               \
	SLUICE_INLINE uint##n##_t sluice_get##n##_(const uint8_t *p) \
	{                                                            \
		uint##n##_t v;                                       \
		__builtin_memcpy(&v, p, sizeof(v));                  \
		return v;                                            \
	}

/* Does the frame end in the len bytes at at? */
SLUICE_INLINE bool sluice_ends_(const uint8_t *at, const uint8_t *end,
				uint32_t len)
{
	return SLUICE_RARE_((uint64_t)(end - at) < len);
}

SLUICE_INLINE uint32_t sluice_forget_(uint32_t v)
{
	return v;
}

#endif

SLUICE_GET_(16)
SLUICE_GET_(32)
SLUICE_GET_(64)

#endif
