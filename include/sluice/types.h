/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_TYPES_H
#define SLUICE_TYPES_H

/*
 * sluice/types - what every header of the ABI stands on
 *
 * C11 without dependencies; the same text compiles for the host and for
 * `clang -target bpf`. Words in a region are little-endian by decree (asserted
 * here), except packet fields, which stay in network order and carry a type
 * that says so.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "a region's words are little-endian");

#define SLUICE_CACHE_LINE 64u

#define SLUICE_INLINE static inline __attribute__((always_inline))

/* A reader's answer. Busy: a writer was in the way; never taken for a no. */
enum sluice_found { SLUICE_NO, SLUICE_YES, SLUICE_BUSY };

/* 16 and 32 bits in network order. */
typedef struct {
	uint16_t be;
} sluice_be16;

typedef struct {
	uint32_t be;
} sluice_be32;

SLUICE_INLINE sluice_be16 sluice_to_be16(uint16_t host)
{
	return (sluice_be16){__builtin_bswap16(host)};
}

SLUICE_INLINE uint16_t sluice_from_be16(sluice_be16 net)
{
	return __builtin_bswap16(net.be);
}

SLUICE_INLINE sluice_be32 sluice_to_be32(uint32_t host)
{
	return (sluice_be32){__builtin_bswap32(host)};
}

SLUICE_INLINE uint32_t sluice_from_be32(sluice_be32 net)
{
	return __builtin_bswap32(net.be);
}

#endif
