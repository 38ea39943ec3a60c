/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sum of 16-bit words modulo 65535 is that of 32-bit words too, so four
 * bytes are added at a time, into 64 bits that 2^32 of them do not overflow.
 */
#include "packet/csum.h"

#include <string.h>

uint64_t csum_add(uint64_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t tail = 0, word;

	for (; len >= 4; p += 4, len -= 4) {
		memcpy(&word, p, 4);
		sum += word;
	}
	memcpy(&tail, p, len);
	return sum + tail;
}

sluice_be16 csum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (sluice_be16){(uint16_t)~sum};
}
