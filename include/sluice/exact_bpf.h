/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_EXACT_BPF_H
#define SLUICE_EXACT_BPF_H

/* sluice/exact_bpf - the slots of a bucket at a glance, in BPF */

#include "sluice/atomic.h"

/*
 * Which slot has a hash, found without branches: it cannot be foretold, and a
 * branch that is mispredicted costs more than all of them. 1 to 8; 0: none. Where
 * several have it, nonsense, but not 0.
 */
SLUICE_INLINE uint64_t sluice_bucket_hit_(const uint64_t *slots, uint32_t hash)
{
	const uint32_t *halves = (const uint32_t *)slots;
	uint64_t hit = 0;

#pragma unroll
	for (uint32_t i = 0; i < 8; i++) {
		uint64_t x = sluice_load32_acquire(&halves[2 * i + 1]) ^ hash;
		/* Behind clang's back, which would make a branch of it. */
		__asm__ volatile("" : "+r"(x));
		hit |= (uint64_t)((int64_t)(x - 1) >> 63) & (i + 1);
	}
	return hit;
}

#endif
