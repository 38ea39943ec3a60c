/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_ROUTE_H
#define SLUICE_ROUTE_H

/* sluice/route - addresses, prefixes, and how a route begins in a region */

#include "sluice/types.h"

/*
 * An address as a number, its first bit on top: 10.0.0.1 is
 * {0x0a00000100000000, 0}.
 */
struct sluice_addr {
	uint64_t hi, lo;
};

/* The first len bits of an address; the others are 0. */
struct sluice_prefix_key {
	struct sluice_addr addr;
	uint32_t len;
	uint32_t zero;
};

/* How a route begins; addr.lo is there with IPv6 only. */
struct sluice_route {
	uint64_t head; /* sluice/version.h */
	uint32_t parent;
	uint32_t len;
	struct sluice_addr addr;
};

SLUICE_INLINE struct sluice_addr sluice_addr_of_ip4(uint32_t host)
{
	return (struct sluice_addr){(uint64_t)host << 32, 0};
}

/* From 16 bytes in network order, of any alignment. */
SLUICE_INLINE struct sluice_addr sluice_addr_of_ip6(const void *bytes)
{
	struct sluice_addr a;

	__builtin_memcpy(&a, bytes, sizeof(a));
	a.hi = __builtin_bswap64(a.hi);
	a.lo = __builtin_bswap64(a.lo);
	return a;
}

/* Bits at .. at + 3 of an address; at is a multiple of 4. */
SLUICE_INLINE uint32_t sluice_addr_nibble(struct sluice_addr a, uint32_t at)
{
	uint64_t word = at < 64 ? a.hi : a.lo;

	return (uint32_t)(word >> (60 - at % 64)) & 15;
}

#endif
