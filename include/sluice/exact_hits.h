/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_EXACT_HITS_H
#define SLUICE_EXACT_HITS_H

/*
 * sluice/exact_hits - the eight slots of a bucket at a glance
 *
 * For who looks at many buckets: the hashes of all slots are compared at once
 * and without a branch. Host only.
 */

#include "sluice/exact.h"

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#if defined(__has_feature)
#if !__has_feature(thread_sanitizer)
#define SLUICE_SSE2_ 1
#endif
#else
#define SLUICE_SSE2_ 1
#endif
#endif

#ifdef SLUICE_SSE2_
#include <emmintrin.h>
#endif

#ifdef SLUICE_SSE2_

/*
 * Two slots, ordered like acquire loads: the machine orders all loads, and
 * reads each half of an aligned 16 bytes in one piece; SLUICE_SLOTS_READ_()
 * keeps the compiler from moving later loads up. In assembly, because C has no
 * such atomic; where ThreadSanitizer watches, the loop below runs.
 */
SLUICE_INLINE __m128i sluice_two_slots_(const uint64_t *slots)
{
	__m128i two;

	__asm__ volatile("movdqa %1, %0"
			 : "=x"(two)
			 : "m"(*(const __m128i *)slots));
	return two;
}

#define SLUICE_SLOTS_READ_() __asm__ volatile("" ::: "memory")

/* Bit i: slot i is of this hash. An empty slot counts as one of hash 0. */
SLUICE_INLINE uint32_t sluice_bucket_hits(const uint64_t *slots, uint32_t hash)
{
	__m128i want = _mm_set1_epi32((int)hash);
	__m128 s01 = _mm_castsi128_ps(sluice_two_slots_(slots));
	__m128 s23 = _mm_castsi128_ps(sluice_two_slots_(slots + 2));
	__m128 s45 = _mm_castsi128_ps(sluice_two_slots_(slots + 4));
	__m128 s67 = _mm_castsi128_ps(sluice_two_slots_(slots + 6));
	__m128i low = _mm_castps_si128(_mm_shuffle_ps(s01, s23, 0xdd));
	__m128i high = _mm_castps_si128(_mm_shuffle_ps(s45, s67, 0xdd));

	low = _mm_cmpeq_epi32(low, want);
	high = _mm_cmpeq_epi32(high, want);
	low = _mm_packs_epi32(low, high);
	return (uint32_t)_mm_movemask_epi8(
		_mm_packs_epi16(low, _mm_setzero_si128()));
}

#else

#define SLUICE_SLOTS_READ_() ((void)0)

SLUICE_INLINE uint32_t sluice_bucket_hits(const uint64_t *slots, uint32_t hash)
{
	uint32_t hits = 0;

	for (uint32_t i = 0; i < SLUICE_BUCKET_SLOTS; i++)
		/* [exact-slot] */
		hits |= (uint32_t)(sluice_load64_acquire(&slots[i]) >> 32 ==
				   hash)
			<< i;
	return hits;
}

#endif

#endif
