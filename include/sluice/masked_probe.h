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

#define SLUICE_MASKED_WINDOW_ 64u /* probes that are asked together */
#define SLUICE_MASKED_ROOM_ (SLUICE_MASKED_WINDOW_ + SLUICE_EXACT_BATCH)

/* One key under one record. */
struct sluice_masked_probe_ {
	uint32_t hash;
	uint16_t number; /* of the record */
	uint8_t key;	 /* of the batch */
	uint8_t group;	 /* of a group: which of b->groups */
};

/* A batch on its way; private to this header. */
struct sluice_masked_batch_ {
	const struct sluice_masked_view *v;
	const uint64_t *keys;
	const uint64_t *steps;
	uint32_t key_len;
	uint32_t version;
	uint32_t left;	/* bit i: key i walks */
	uint32_t doubt; /* bit i: to be looked for alone */
	uint32_t n_window;
	uint32_t n_queue;
	uint32_t n_groups;
	bool all;			      /* the filter is not asked */
	uint16_t numbers[SLUICE_EXACT_BATCH]; /* of the mask that was hit */
	uint8_t *at[SLUICE_EXACT_BATCH];
	/* Their words of the filter are on the way, or their buckets. */
	struct sluice_masked_probe_ window[SLUICE_MASKED_ROOM_];
	struct sluice_masked_probe_ queue[SLUICE_MASKED_ROOM_];
	/* Groups that have been asked for. */
	struct {
		uint32_t at; /* their members' steps */
		uint32_t end;
		uint32_t keys; /* bit i: the filter let key i through */
	} groups[SLUICE_MASKED_WINDOW_];
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
 * Hashes keys under a record with n words, the last one besides, and asks for
 * their words of the filter. The hash is sluice_exact_hash() of the key that
 * sluice_masked_key() makes.
 */
SLUICE_INLINE void
sluice_masked_ask_n_(struct sluice_masked_batch_ *b,
		     const struct sluice_masked_words_ *words, uint32_t n,
		     struct sluice_masked_probe_ probe, uint32_t keys)
{
	const struct sluice_masked_view *v = b->v;
	struct sluice_masked_probe_ *to = &b->window[b->n_window];
	uint64_t tag = sluice_masked_tag(probe.number);
	uint32_t n_words = b->key_len / 8;

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
		probe.hash = sluice_exact_mix(h);
		probe.key = (uint8_t)i;
		*to++ = probe;
		__builtin_prefetch(
			&v->filter[sluice_filter_at(probe.hash, v->n_filter,
						    &x)]);
	}
	b->n_window = (uint32_t)(to - b->window);
}

/* Adds keys under a record to the window. */
SLUICE_INLINE void sluice_masked_ask_(struct sluice_masked_batch_ *b,
				      uint32_t number, uint32_t keys)
{
	const struct sluice_mask *record = &b->v->records[number];
	const uint64_t *hash_keys = b->v->exact.table->hash_keys;
	struct sluice_masked_probe_ probe = {
		.number = (uint16_t)number,
		.group = (uint8_t)b->n_groups,
	};
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
		sluice_masked_ask_n_(b, &words, 0, probe, keys);
		break;
	case 1:
		sluice_masked_ask_n_(b, &words, 1, probe, keys);
		break;
	case 2:
		sluice_masked_ask_n_(b, &words, 2, probe, keys);
		break;
	case 3:
		sluice_masked_ask_n_(b, &words, 3, probe, keys);
		break;
	case 4:
		sluice_masked_ask_n_(b, &words, 4, probe, keys);
		break;
	case 5:
		sluice_masked_ask_n_(b, &words, 5, probe, keys);
		break;
	case 6:
		sluice_masked_ask_n_(b, &words, 6, probe, keys);
		break;
	default:
		sluice_masked_ask_n_(b, &words, 7, probe, keys);
	}
}

#endif
