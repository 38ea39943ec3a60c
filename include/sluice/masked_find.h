/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_MASKED_FIND_H
#define SLUICE_MASKED_FIND_H

/*
 * sluice/masked_find - finding a flow for one key, on the host and in BPF
 *
 * Promises, and the ways of the writer, are those of sluice/masked.h. Many keys
 * at once: sluice/masked_batch.h.
 */

#include "sluice/masked.h"

/* A walk along the order in force. The first four are the caller's. */
struct sluice_masked_walk {
	const struct sluice_masked_view *v;
	const uint64_t *key;
	uint32_t key_len;
	uint32_t version;
	bool busy;
	bool passed;	  /* the filter, under mask number */
	bool held;	  /* BPF: the walk is over and its order held */
	bool walks;	  /* BPF: has begun, and is not over */
	uint32_t n_tries; /* BPF */
	uint32_t number;  /* on YES: of the mask */
	uint64_t order;
	const uint64_t *steps;
	uint32_t n_steps;
	uint32_t at;	/* the next step */
	uint8_t *entry; /* NULL: none yet */
	uint64_t masked[SLUICE_KEY_LEN_MAX / 8];
};

SLUICE_INLINE void sluice_masked_start_(struct sluice_masked_walk *w)
{
	w->steps = sluice_masked_steps(w->v, &w->order, &w->n_steps);
	w->at = 0;
	w->busy = false;
	w->entry = NULL;
}

/* One step. False: the walk is over, or the filter lets the key under a mask. */
SLUICE_INLINE bool sluice_masked_step_(struct sluice_masked_walk *w,
				       uint32_t key_len)
{
	const struct sluice_masked_view *v = w->v;
	uint64_t step;
	uint32_t number;

	w->passed = false;
	if (w->at >= w->n_steps)
		return false;
	step = sluice_load64_acquire(&w->steps[w->at++]); /* [masked-begun] */
	number = (uint32_t)step;
	if (number >= v->n_records)
		return true;
	if (!sluice_filter_has(v,
			       sluice_filter_hash(v->table->filter_keys,
						  &v->records[number], number,
						  w->key, key_len))) {
		w->at += (uint32_t)(step >> 32) & SLUICE_MASKED_SKIP;
		return true;
	}
	w->number = number;
	w->passed = number < v->n_masks;
	return !w->passed;
}

/* Looks for the key under the mask that it was let under. True: found. */
SLUICE_INLINE bool sluice_masked_look_(struct sluice_masked_walk *w,
				       uint32_t key_len)
{
	const struct sluice_masked_view *v = w->v;
	struct sluice_exact_want want = {
		.key = w->masked,
		.key_len = key_len,
		.version = w->version,
	};
	enum sluice_found found;

	if (w->number >= v->n_masks)
		return false;
	sluice_masked_key(&v->records[w->number], w->number, w->key, key_len,
			  w->masked);
	want.hash = sluice_exact_hash(v->exact.table->hash_keys, w->masked,
				      key_len);
	found = sluice_exact_find_want_(&v->exact, &want, &w->entry);
	if (found != SLUICE_YES)
		w->entry = NULL;
	w->busy |= found == SLUICE_BUSY;
	return found == SLUICE_YES;
}

#ifdef __bpf__
#include "sluice/masked_bpf.h"
#else
/* One walk along the order in force. True: it held, so it is an answer. */
SLUICE_INLINE bool sluice_masked_try_(struct sluice_masked_walk *w)
{
	sluice_masked_start_(w);
	do {
		while (sluice_masked_step_(w, w->key_len))
			;
	} while (w->passed && !sluice_masked_look_(w, w->key_len));
	return sluice_masked_held(w->v, w->order);
}

/* Walks until an order held. */
SLUICE_INLINE bool sluice_masked_tries_(struct sluice_masked_walk *w)
{
	for (uint32_t i = 0; i < SLUICE_EXACT_TRIES; i++)
		if (sluice_masked_try_(w))
			return true;
	return false;
}
#endif

/* Walks until there is an answer; counts no hit. */
SLUICE_INLINE enum sluice_found
sluice_masked_walk_(struct sluice_masked_walk *w)
{
	if (!sluice_masked_tries_(w))
		return SLUICE_BUSY;
	if (w->entry)
		return SLUICE_YES;
	return w->busy ? SLUICE_BUSY : SLUICE_NO;
}

/*
 * Finds a flow for a key. Wait-free. Give key_len as a constant, as for
 * sluice_exact_find(); in BPF it is SLUICE_MASKED_BPF_KEY_LEN.
 *
 * key      its last two bytes have no meaning
 * entry    as of sluice_exact_find(); its key is the masked key
 */
SLUICE_INLINE enum sluice_found
sluice_masked_find(const struct sluice_masked_view *v, uint32_t version,
		   const void *key, uint32_t key_len, uint8_t **entry)
{
	struct sluice_masked_walk w = {
		.v = v,
		.key = key,
		.key_len = key_len,
		.version = version,
	};
	enum sluice_found found = sluice_masked_walk_(&w);

	*entry = w.entry;
	if (found == SLUICE_YES)
		sluice_masked_count(v, w.number, 1);
	return found;
}

#ifndef __bpf__
/*
 * Finds a flow and copies its value, v->exact.value_len bytes. For readers
 * without sections, as sluice_exact_get(); counts no hit. Not in BPF: a program
 * is in a section as long as it runs.
 */
SLUICE_INLINE enum sluice_found
sluice_masked_get(const struct sluice_masked_view *v, uint32_t version,
		  const void *key, uint32_t key_len, uint64_t *value)
{
	struct sluice_masked_walk w = {
		.v = v,
		.key = key,
		.key_len = key_len,
		.version = version,
	};

	for (uint32_t i = 0; i < SLUICE_EXACT_TRIES; i++) {
		enum sluice_found found = sluice_masked_walk_(&w);

		if (found != SLUICE_YES)
			return found;
		found = sluice_exact_get(&v->exact, version, w.masked, key_len,
					 value);
		/* The number of the mask may have gone to another by now. */
		if (found == SLUICE_YES && sluice_masked_held(v, w.order))
			return found;
	}
	return SLUICE_BUSY;
}
#endif

#endif
