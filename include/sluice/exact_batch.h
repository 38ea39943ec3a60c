/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_EXACT_BATCH_H
#define SLUICE_EXACT_BATCH_H

/*
 * sluice/exact_batch - finding up to 32 keys at once
 *
 * What sluice_exact_find() answers, for a batch of keys whose memory is fetched
 * together, so that the waits overlap: first buckets, then entries or second
 * buckets, then the rest. Host only. Promises and the ways of the writer are
 * those of sluice/exact.h.
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

#define SLUICE_EXACT_BATCH 32u

struct sluice_exact_answers {
	uint32_t yes;  /* bit i: key i is stored, in entries[i] */
	uint32_t busy; /* bit i: changes kept overtaking key i; see find */
	uint8_t *entries[SLUICE_EXACT_BATCH]; /* NULL unless yes */
};

#ifdef SLUICE_SSE2_

/*
 * Two slots, ordered like acquire loads: the machine orders all loads, and
 * reads each half of an aligned 16 bytes in one piece. In assembly, because C
 * has no such atomic; where ThreadSanitizer watches, the loop below runs.
 */
SLUICE_INLINE __m128i sluice_two_slots_(const uint64_t *slots)
{
	__m128i two;

	__asm__ volatile("movdqa %1, %0"
			 : "=x"(two)
			 : "m"(*(const __m128i *)slots)
			 : "memory");
	return two;
}

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

SLUICE_INLINE const uint64_t *
sluice_exact_bucket_(const struct sluice_exact_view *v, uint32_t bucket)
{
	return v->buckets + (uint64_t)bucket * SLUICE_BUCKET_SLOTS;
}

/* The entry of the first hit; NULL: the slot has changed since, or lies. */
SLUICE_INLINE uint8_t *sluice_exact_hit_(const struct sluice_exact_view *v,
					 const uint64_t *slots, uint32_t hits)
{
	/* [exact-slot] */
	uint64_t s = sluice_load64_acquire(&slots[__builtin_ctz(hits)]);
	uint32_t idx = (uint32_t)s - 1;

	return idx < v->n_entries ? sluice_exact_entry(v, idx) : NULL;
}

SLUICE_INLINE void sluice_exact_fetch_(const uint8_t *entry, uint32_t key_len)
{
	__builtin_prefetch(entry);
	if (key_len > SLUICE_CACHE_LINE - 8)
		__builtin_prefetch(entry + SLUICE_CACHE_LINE);
}

/* What one batch knows while it runs. */
struct sluice_exact_batch_ {
	uint32_t hashes[SLUICE_EXACT_BATCH];
	uint8_t late
		[SLUICE_EXACT_BATCH]; /* keys not under their first bucket */
	uint32_t n_late;
	uint32_t absent; /* bit i: under neither bucket */
};

/* Scans the first buckets; fetches the entries, or else the second buckets. */
SLUICE_INLINE void sluice_exact_scan1_(const struct sluice_exact_view *v,
				       struct sluice_exact_batch_ *b,
				       uint32_t key_len, uint32_t n,
				       uint8_t **entries)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t hash = b->hashes[i];
		const uint64_t *slots = sluice_exact_bucket_(
			v, sluice_exact_bucket1(hash, v->n_buckets));
		uint32_t hits = sluice_bucket_hits(slots, hash);

		entries[i] = NULL;
		if (hits) {
			entries[i] = sluice_exact_hit_(v, slots, hits);
			sluice_exact_fetch_(entries[i], key_len);
		} else {
			__builtin_prefetch(sluice_exact_bucket_(
				v, sluice_exact_bucket2(hash, v->n_buckets)));
			b->late[b->n_late++] = (uint8_t)i;
		}
	}
}

/* Scans the second buckets of those that are late; fetches the entries. */
SLUICE_INLINE void sluice_exact_scan2_(const struct sluice_exact_view *v,
				       struct sluice_exact_batch_ *b,
				       uint32_t key_len, uint8_t **entries)
{
	for (uint32_t j = 0; j < b->n_late; j++) {
		uint32_t i = b->late[j];
		uint32_t hash = b->hashes[i];
		const uint64_t *slots = sluice_exact_bucket_(
			v, sluice_exact_bucket2(hash, v->n_buckets));
		uint32_t hits = sluice_bucket_hits(slots, hash);

		if (hits) {
			entries[i] = sluice_exact_hit_(v, slots, hits);
			sluice_exact_fetch_(entries[i], key_len);
		} else {
			b->absent |= 1u << i;
		}
	}
}

/* The same with key_len as a constant; see sluice_exact_find_batch(). */
SLUICE_INLINE void sluice_exact_find_batch_of(const struct sluice_exact_view *v,
					      const uint64_t *keys,
					      uint32_t key_len, uint32_t n,
					      struct sluice_exact_answers *out)
{
	/* [exact-change] */
	uint64_t before = sluice_load64_acquire(&v->table->n_changes);
	struct sluice_exact_batch_ b;
	uint32_t n_words = key_len / 8;
	uint32_t doubt;

	b.n_late = 0;
	b.absent = 0;
	for (uint32_t i = 0; i < n; i++) {
		b.hashes[i] = sluice_exact_hash(v->table->hash_keys,
						keys + i * n_words, key_len);
		__builtin_prefetch(sluice_exact_bucket_(
			v, sluice_exact_bucket1(b.hashes[i], v->n_buckets)));
	}
	sluice_exact_scan1_(v, &b, key_len, n, out->entries);
	sluice_exact_scan2_(v, &b, key_len, out->entries);
	out->yes = 0;
	out->busy = 0;
	for (uint32_t i = 0; i < n; i++)
		if (out->entries[i] &&
		    sluice_entry_is(out->entries[i], keys + i * n_words,
				    key_len))
			out->yes |= 1u << i;

	/* Two keys of one hash in a bucket, or a change: look again, singly. */
	doubt = ~out->yes & (uint32_t)((1ull << n) - 1);
	if (sluice_load64_relaxed(&v->table->n_changes) == before)
		doubt &= ~b.absent;
	for (; doubt; doubt &= doubt - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(doubt);
		enum sluice_found f =
			sluice_exact_find(v, keys + i * n_words, key_len,
					  &out->entries[i]);

		out->yes |= (uint32_t)(f == SLUICE_YES) << i;
		out->busy |= (uint32_t)(f == SLUICE_BUSY) << i;
	}
	for (uint32_t none = ~out->yes & (uint32_t)((1ull << n) - 1); none;
	     none &= none - 1)
		out->entries[__builtin_ctz(none)] = NULL;
}

/*
 * Finds n keys, at most SLUICE_EXACT_BATCH. Wait-free.
 *
 * keys     n keys, v->key_len bytes each, one behind the other, 8-byte aligned
 * out      all of it is set
 */
SLUICE_INLINE void sluice_exact_find_batch(const struct sluice_exact_view *v,
					   const void *keys, uint32_t n,
					   struct sluice_exact_answers *out)
{
	switch (v->key_len) {
	case 16:
		sluice_exact_find_batch_of(v, keys, 16, n, out);
		break;
	case 40:
		sluice_exact_find_batch_of(v, keys, 40, n, out);
		break;
	case 64:
		sluice_exact_find_batch_of(v, keys, 64, n, out);
		break;
	default:
		sluice_exact_find_batch_of(v, keys, v->key_len, n, out);
	}
}

#endif
