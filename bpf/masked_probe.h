/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
#ifndef BPF_MASKED_PROBE_H
#define BPF_MASKED_PROBE_H

/*
 * bpf/masked_probe - flows whose key and mask follow from their number, for the
 * programs of masked_probe.bpf.c and those who fill their table
 */

#include "sluice/types.h"

#define PROBE_KEY_WORDS 8

struct probe_words {
	uint64_t w[PROBE_KEY_WORDS];
};

SLUICE_INLINE uint64_t probe_mix(uint64_t x)
{
	x *= 0x9e3779b97f4a7c15u;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	return x ^ x >> 32;
}

/* The number is in two words, of which each mask has one. */
SLUICE_INLINE void probe_key(struct probe_words *key, uint32_t number)
{
	uint64_t a = probe_mix(number);

	key->w[0] = 3;
	key->w[1] = number;
	key->w[2] = 0x0006000000000008u;
	key->w[3] = 0;
	key->w[4] = a;
	key->w[5] = 0;
	key->w[6] = (uint64_t)number << 32 | number;
	key->w[7] = (uint32_t)(a >> 32);
}

/* Mask i of up to a thousand: different bits of word 4 and of the ports. */
SLUICE_INLINE void probe_mask(struct probe_words *mask, uint32_t i)
{
	mask->w[0] = 0xffffffffu;
	mask->w[1] = i & 1 ? 0xffffffffu : 0;
	mask->w[2] = 0x00ff00000000ffffu;
	mask->w[3] = 0;
	mask->w[4] = ~0ull << (i >> 1 & 31);
	mask->w[5] = 0;
	mask->w[6] = i & 1 ? ~0ull << 40 : ~0ull;
	mask->w[7] = 0xffffull << (i >> 6 & 15);
}

#endif
