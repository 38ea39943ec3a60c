/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_MASKED_PROBE_H
#define SLUICE_MASKED_PROBE_H

/*
 * sluice/masked_probe - asking the filter for a batch of keys under one mask
 *
 * Part of sluice/masked_batch.h. Only the words of the key that the mask does
 * not clear are hashed; what the others add is in the mask's record.
 */

#include "sluice/exact_batch.h"
#include "sluice/masked.h"

#define SLUICE_MASKED_QUEUE_ 64u

/* A batch on its way; private to this header. */
struct sluice_masked_batch_ {
	const struct sluice_masked_view *v;
	const uint64_t *keys;
	uint32_t key_len;
	uint32_t version;
	uint32_t left;	 /* bit i: key i walks */
	uint32_t doubt;	 /* bit i: to be looked for alone */
	uint32_t queued; /* bit i: key i waits in the queue */
	uint32_t n_queue;
	uint32_t hashes[SLUICE_EXACT_BATCH];  /* under the record at hand */
	uint32_t numbers[SLUICE_EXACT_BATCH]; /* of the mask that was hit */
	uint8_t *at[SLUICE_EXACT_BATCH];
	struct {
		uint32_t hash;
		uint16_t number;
		uint8_t key;
	} queue[SLUICE_MASKED_QUEUE_];
};

/* The words of a record that count, in one place. */
struct sluice_masked_words_ {
	uint64_t base;
	uint64_t mask[SLUICE_KEY_LEN_MAX / 8];
	uint64_t low[SLUICE_KEY_LEN_MAX / 8]; /* hash keys */
	uint64_t high[SLUICE_KEY_LEN_MAX / 8];
	uint32_t idx[SLUICE_KEY_LEN_MAX / 8];
};

/*
 * Hashes keys under a record with n words, the last one besides, and asks the
 * filter. The same hash as sluice_exact_hash() of sluice_masked_key().
 */
SLUICE_INLINE uint32_t
sluice_masked_probe_n_(struct sluice_masked_batch_ *b,
		       const struct sluice_masked_words_ *words, uint32_t n,
		       uint64_t tag, uint32_t keys)
{
	const struct sluice_masked_view *v = b->v;
	uint32_t n_words = b->key_len / 8;
	uint32_t pass = 0;

	for (; keys; keys &= keys - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(keys);
		const uint64_t *key = b->keys + (size_t)i * n_words;
		uint64_t x = (key[n_words - 1] & words->mask[n]) | tag;
		uint64_t h = words->base + (words->low[n] + (uint32_t)x) *
						   (words->high[n] + (x >> 32));

#pragma GCC unroll 8
		for (uint32_t j = 0; j < n; j++) {
			x = key[words->idx[j]] & words->mask[j];
			h += (words->low[j] + (uint32_t)x) *
			     (words->high[j] + (x >> 32));
		}
		b->hashes[i] = sluice_exact_mix(h);
		pass |= (uint32_t)sluice_filter_has(v, b->hashes[i]) << i;
	}
	return pass;
}

/* Which of these keys may have a flow under a record? Sets their hashes. */
SLUICE_INLINE uint32_t sluice_masked_probe_(struct sluice_masked_batch_ *b,
					    uint32_t number, uint32_t keys)
{
	const struct sluice_mask *record = &b->v->records[number];
	const uint64_t *hash_keys = b->v->exact.table->hash_keys;
	uint64_t tag = sluice_masked_tag(number);
	uint32_t last = b->key_len / 8 - 1;
	struct sluice_masked_words_ words;
	uint32_t n = 0;
	/* [masked-begun] */
	uint64_t used = sluice_load64_acquire(&record->used);

	for (used &= (1u << last) - 1; used; used &= used - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(used);

		words.idx[n] = i;
		words.low[n] = hash_keys[2 * i];
		words.high[n] = hash_keys[2 * i + 1];
		/* [masked-begun] */
		words.mask[n++] = sluice_load64_acquire(&record->words[i]);
	}
	/* [masked-begun] */
	words.base = sluice_load64_acquire(&record->base);
	words.low[n] = hash_keys[2 * last];
	words.high[n] = hash_keys[2 * last + 1];
	/* [masked-begun] */
	words.mask[n] = sluice_load64_acquire(&record->words[last]) &
			SLUICE_MASKED_KEY_BITS;
	switch (n) {
	case 0:
		return sluice_masked_probe_n_(b, &words, 0, tag, keys);
	case 1:
		return sluice_masked_probe_n_(b, &words, 1, tag, keys);
	case 2:
		return sluice_masked_probe_n_(b, &words, 2, tag, keys);
	case 3:
		return sluice_masked_probe_n_(b, &words, 3, tag, keys);
	case 4:
		return sluice_masked_probe_n_(b, &words, 4, tag, keys);
	case 5:
		return sluice_masked_probe_n_(b, &words, 5, tag, keys);
	case 6:
		return sluice_masked_probe_n_(b, &words, 6, tag, keys);
	default:
		return sluice_masked_probe_n_(b, &words, 7, tag, keys);
	}
}

#endif
