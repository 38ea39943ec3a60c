/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_EXACT_PIPE_H
#define SLUICE_EXACT_PIPE_H

/*
 * sluice/exact_pipe - finding a stream of keys, four batches under way
 *
 * For who has more than one batch of keys to look up, such as an engine under
 * load: each push does one step (sluice/exact_batch.h) for each of four
 * batches, so that nearly all of the waiting for memory is filled with work. In
 * a table that is larger than the caches that is twice as fast as a batch at a
 * time. Host only.
 */

#include "sluice/exact_batch.h"

/*
 * Zero it to begin with. One thread, one table. A section lasts until what is
 * under way is brought out.
 */
struct sluice_exact_pipe {
	struct sluice_exact_batch batches[4];
	uint32_t at;	  /* where the next batch goes */
	uint32_t version; /* of the keys that are pushed; the reader sets it */
};

/* Batch i of those under way; 0 is the youngest. */
SLUICE_INLINE struct sluice_exact_batch *
sluice_exact_pipe_at_(struct sluice_exact_pipe *p, uint32_t i)
{
	return &p->batches[(p->at - i) % 4];
}

/* One step for each batch. */
SLUICE_INLINE void sluice_exact_pipe_step_(const struct sluice_exact_view *v,
					   struct sluice_exact_pipe *p,
					   uint32_t key_len,
					   struct sluice_exact_answers *out)
{
	sluice_exact_start_(v, sluice_exact_pipe_at_(p, 0), key_len, false);
	sluice_exact_scan1_(v, sluice_exact_pipe_at_(p, 1));
	sluice_exact_scan2_(v, sluice_exact_pipe_at_(p, 2));
	sluice_exact_answer_(v, sluice_exact_pipe_at_(p, 3), key_len, out);
	p->at++;
}

/*
 * Starts on n keys, at most SLUICE_EXACT_BATCH, and answers for those that were
 * pushed three pushes ago (out->n is 0 if there were none). Three pushes of no
 * keys bring out what is under way. Wait-free.
 *
 * keys     n keys, v->key_len bytes each, one behind the other, 8-byte aligned;
 *          they stay where they are until they are answered for
 */
SLUICE_INLINE void sluice_exact_pipe_push(const struct sluice_exact_view *v,
					  struct sluice_exact_pipe *p,
					  const void *keys, uint32_t n,
					  struct sluice_exact_answers *out)
{
	struct sluice_exact_batch *youngest = sluice_exact_pipe_at_(p, 0);

	youngest->keys = keys;
	youngest->n = n;
	youngest->version = p->version;
	switch (v->key_len) {
	case 16:
		sluice_exact_pipe_step_(v, p, 16, out);
		break;
	case 40:
		sluice_exact_pipe_step_(v, p, 40, out);
		break;
	case 64:
		sluice_exact_pipe_step_(v, p, 64, out);
		break;
	default:
		sluice_exact_pipe_step_(v, p, v->key_len, out);
	}
}

#endif
