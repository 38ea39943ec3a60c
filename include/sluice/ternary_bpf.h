/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_TERNARY_BPF_H
#define SLUICE_TERNARY_BPF_H

/*
 * sluice/ternary_bpf - looking for the best rule, in BPF
 *
 * What ternary_find.h does in a loop is done by bpf_loop() here, whose body the
 * kernel checks once: up to SLUICE_TERNARY_TUPLES_MAX tuples, chains of
 * SLUICE_TERNARY_CHAIN_MAX. A BPF program is a reader with a section. Include
 * bpf/bpf_helpers.h before.
 */

#include "sluice/ternary_find.h"

/* A look-up on its way; on the program's stack. */
struct sluice_ternary_walk {
	struct sluice_ternary_view view;
	const uint64_t *key;
	const uint64_t *order;
	struct sluice_ternary_best best;
	uint32_t version;
	uint32_t next; /* rule + 1 of the chain */
};

/* One rule of a chain; 1: the chain is over. */
static long sluice_ternary_rule_turn_(uint32_t i, void *ctx)
{
	struct sluice_ternary_walk *w = (struct sluice_ternary_walk *)ctx;

	(void)i;
	w->next = sluice_ternary_rule_step_(&w->view, w->next, w->key,
					    w->version, &w->best);
	return !w->next;
}

/* One tuple; 1: none behind it can be better. */
static long sluice_ternary_tuple_turn_(uint32_t i, void *ctx)
{
	struct sluice_ternary_walk *w = (struct sluice_ternary_walk *)ctx;
	uint64_t word;
	uint32_t tuple;

	if (i >= w->view.n_tuples)
		return 1;
	word = sluice_load64_acquire(&w->order[i]); /* [ternary-order] */
	tuple = (uint32_t)word - 1;
	if (!word || (w->best.rule && word >> 32 <= w->best.priority))
		return 1;
	if (tuple >= w->view.n_tuples)
		return 0;
	w->next = sluice_ternary_chain(&w->view,
				       sluice_ternary_hash(&w->view, tuple,
							   w->key));
	if (w->next)
		bpf_loop(SLUICE_TERNARY_CHAIN_MAX, sluice_ternary_rule_turn_,
			 ctx, 0);
	return 0;
}

/*
 * As sluice_ternary_find() on the host, one pass: busy when changes overtook it,
 * for the caller to try again or to send the packet up.
 *
 * w        view, key and version are the caller's to set. key points to
 *          SLUICE_TERNARY_KEY_LEN_MAX bytes that may be read, in a map
 * returns  SLUICE_YES: the rule is w->best.rule
 */
static inline enum sluice_found
sluice_ternary_find_bpf(struct sluice_ternary_walk *w)
{
	const struct sluice_ternary *t = w->view.table;
	/* [ternary-change] */
	uint64_t changes = sluice_load64_acquire(&t->n_changes);
	/* [ternary-order] */
	uint64_t n = sluice_load64_acquire(&t->order);

	w->order = sluice_ternary_order(&w->view, n);
	w->best.rule = NULL;
	bpf_loop(SLUICE_TERNARY_TUPLES_MAX, sluice_ternary_tuple_turn_, w, 0);
	if (sluice_load64_relaxed(&t->n_changes) != changes ||
	    sluice_load64_relaxed(&t->order) - n >= SLUICE_TERNARY_ORDERS - 1)
		return SLUICE_BUSY;
	return w->best.rule ? SLUICE_YES : SLUICE_NO;
}

#endif
