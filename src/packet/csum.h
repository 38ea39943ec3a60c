/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PACKET_CSUM_H
#define PACKET_CSUM_H

/*
 * packet/csum - the Internet's checksum (RFC 1071)
 *
 * A sum is kept in the order of memory, so what csum_fold() returns is stored
 * as it is. All pieces but the last have an even length.
 */

#include "sluice/types.h"

/* Adds len bytes to a sum, which begins with 0. */
uint64_t csum_add(uint64_t sum, const void *data, size_t len);

/* Adds a number below 65536 as its two bytes in network order. */
static inline uint64_t csum_add16(uint64_t sum, uint16_t host)
{
	return sum + sluice_to_be16(host).be;
}

/* The field that makes all that was added right. 0 over what is right. */
sluice_be16 csum_fold(uint64_t sum);

#endif
