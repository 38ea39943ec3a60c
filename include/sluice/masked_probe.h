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
	uint64_t hash;	 /* of the filter; in the queue: of the exact table */
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

/* Adds a key under a record to the window. */
SLUICE_INLINE void sluice_masked_ask_(struct sluice_masked_batch_ *b,
				      uint32_t number, uint32_t key)
{
	const struct sluice_masked_view *v = b->v;
	struct sluice_masked_probe_ *to = &b->window[b->n_window++];

	to->hash = sluice_filter_hash(v->table->filter_keys,
				      &v->records[number], number,
				      b->keys + (size_t)key * (b->key_len / 8),
				      b->key_len);
	to->number = (uint16_t)number;
	to->key = (uint8_t)key;
	to->group = (uint8_t)b->n_groups;
	__builtin_prefetch(&v->filter[sluice_filter_at(to->hash, v->n_filter)]);
}

/* The same for several keys. */
SLUICE_INLINE void sluice_masked_ask_all_(struct sluice_masked_batch_ *b,
					  uint32_t number, uint32_t keys)
{
	for (; keys; keys &= keys - 1)
		sluice_masked_ask_(b, number, (uint32_t)__builtin_ctz(keys));
}

#endif
