/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/ternary_adopt - taking over the table of a dead writer
 *
 * The chains are the truth: a rule is in the table if it can be reached from a
 * slot of its hash, and its head says that it is there at the region's version.
 * What a killed writer can leave besides: rules written and not linked, or
 * unlinked and not yet dead; a rule beside the one that replaces it; rules of a
 * change set that did not or did come true; tuples without rules, and orders
 * that say too much; marks that are for no chain. Readers look on meanwhile, so
 * everything is mended in the order of sluice/ternary.h, and this may be killed
 * too.
 *
 * Dead entries rest at first if they were ever used: readers may hold them.
 */
#include "table/ternary_private.h"

#include <errno.h>
#include <stdlib.h>

struct adoption {
	struct table_ternary *t;
	uint32_t version;
	uint64_t *seen;	 /* a bit per entry */
	uint8_t *tuples; /* per tuple: known, 1 */
};

static bool is_seen(const struct adoption *a, uint32_t entry)
{
	return a->seen[entry / 64] >> (entry % 64) & 1;
}

/* The head of an entry as it is to be: live, or dead. */
static bool lives(const struct adoption *a, uint64_t head)
{
	uint32_t state = sluice_head_state(head);
	bool before;

	if (state <= SLUICE_ENTRY_LIVE)
		return state;
	before = sluice_version_before(a->version, sluice_head_version(head));
	return before == (state == SLUICE_ENTRY_DYING);
}

/* Learns a tuple from the region. False: it is not a mask of this table. */
static bool tuple_learn(struct adoption *a, uint32_t tuple)
{
	struct table_ternary *t = a->t;
	const struct sluice_tuple *from = sluice_ternary_tuple(&t->view, tuple);
	struct ternary_tuple *u = &t->tuples.at[tuple];
	uint32_t n = (uint32_t)__builtin_popcountll(from->words);

	if (a->tuples[tuple])
		return true;
	if (n > t->view.n_words || from->words & ~t->view.words)
		return false;
	u->words = from->words;
	u->n_words = n;
	u->n_bits = 0;
	for (uint32_t i = 0; i < n; i++) {
		u->mask[i] = from->mask[i];
		u->n_bits += (uint32_t)__builtin_popcountll(u->mask[i]);
	}
	a->tuples[tuple] = 1;
	ternary_tuple_own(t, tuple);
	return true;
}

/*
 * Is this a rule that belongs into the chain of a hash? Its key and mask go into
 * the form.
 */
static bool belongs(struct adoption *a, uint32_t entry, uint32_t hash,
		    uint64_t *key, struct ternary_form *f)
{
	struct table_ternary *t = a->t;
	const struct sluice_rule *r = ternary_rule(t, entry);
	uint64_t mask[TERNARY_WORDS];

	if (r->hash != hash || r->tuple >= t->view.n_tuples ||
	    !lives(a, r->head) || !tuple_learn(a, r->tuple))
		return false;
	ternary_form_of(t, entry, key, mask, f);
	f->key = key;
	f->mask = NULL;
	return f->words == r->words &&
	       sluice_ternary_hash(&t->view, r->tuple, key) == hash &&
	       ternary_tuple_fits(&t->tuples.at[r->tuple], f) &&
	       ternary_current(t, f) == TERNARY_NONE;
}

/* Takes an entry that is in its chain into our lists. 0 or -ENOMEM. */
static int take(struct adoption *a, uint32_t entry, const uint64_t *key,
		const struct ternary_form *f)
{
	struct table_ternary *t = a->t;
	struct sluice_rule *r = ternary_rule(t, entry);

	if (!ternary_tuple_reserve(&t->tuples.at[r->tuple]))
		return -ENOMEM;
	if (sluice_head_state(r->head) != SLUICE_ENTRY_LIVE)
		ternary_put(&r->head,
			    sluice_head_to(r->head, SLUICE_ENTRY_LIVE, 0));
	t->own[entry].tuple = r->tuple;
	t->own[entry].hash = r->hash;
	ternary_name_add(t, entry, f->name);
	ternary_heap_add(t, entry);
	ternary_tree_add(t, entry, key, false);
	a->seen[entry / 64] |= 1ull << (entry % 64);
	t->n_used++;
	return 0;
}

/*
 * Goes along a chain from what leads to its first rule; unlinks what does not
 * belong. The best come first, each not better than the one before.
 */
static int mend_chain(struct adoption *a, uint64_t *slot, uint32_t hash)
{
	struct table_ternary *t = a->t;
	struct sluice_rule *before = NULL;
	uint32_t at = (uint32_t)(*slot & 0x7fffffff);

	for (uint32_t n = 0; at; n++) {
		uint32_t entry = at - 1;
		bool is_good = entry < t->view.n_entries &&
			       !is_seen(a, entry) &&
			       n < SLUICE_TERNARY_CHAIN_MAX;
		uint64_t key[TERNARY_WORDS];
		struct ternary_form f;

		/* Not an entry, or one of another chain: this is the end. */
		at = is_good ? ternary_rule(t, entry)->next : 0;
		if (is_good && before &&
		    ternary_rule(t, entry)->priority > before->priority)
			is_good = false;
		if (is_good && belongs(a, entry, hash, key, &f)) {
			int err = take(a, entry, key, &f);

			if (err)
				return err;
			before = ternary_rule(t, entry);
		} else if (before) {
			ternary_put32(&before->next, at);
		} else {
			ternary_slot_set(slot, hash, at);
		}
	}
	return 0;
}

/* Every slot; one that is not of its hash is emptied. */
static int mend_slots(struct adoption *a)
{
	struct table_ternary *t = a->t;

	for (uint32_t b = 0; b < t->view.n_buckets; b++) {
		uint64_t *slots =
			t->buckets + (uint64_t)b * SLUICE_BUCKET_SLOTS;

		for (uint32_t i = 0; i < SLUICE_BUCKET_SLOTS; i++) {
			uint32_t hash = (uint32_t)(slots[i] >> 32);
			int err;

			if (!(slots[i] & 0x7fffffff))
				continue;
			if (!ternary_index_take(t, &slots[i])) {
				ternary_slot_set(&slots[i], hash, 0);
				continue;
			}
			err = mend_chain(a, &slots[i], hash);
			if (err)
				return err;
			if (!(slots[i] & 0x7fffffff))
				ternary_index_give(t, &slots[i], hash);
		}
	}
	return 0;
}

static void mark_dead(struct table_ternary *t, uint32_t entry)
{
	struct sluice_rule *r = ternary_rule(t, entry);

	if (sluice_head_state(r->head) != SLUICE_ENTRY_DEAD)
		ternary_put(&r->head, sluice_head_dead(r->head));
	ternary_spare_push(&t->spare, entry);
}

/* What is in no chain is fresh, or rests. */
static void sort_spare(struct adoption *a)
{
	struct table_ternary *t = a->t;

	for (uint32_t i = 0; i < t->view.n_entries; i++)
		if (!is_seen(a, i) && !ternary_rule(t, i)->head)
			ternary_spare_push(&t->spare, i);
	t->spare.freed = t->spare.rested;
	for (uint32_t i = 0; i < t->view.n_entries; i++)
		if (!is_seen(a, i) && ternary_rule(t, i)->head)
			mark_dead(t, i);
}

int ternary_adopt_rules(struct table_ternary *t, uint32_t version,
			struct why *why)
{
	struct adoption a = {.t = t, .version = version};
	int err = -ENOMEM;

	a.seen = calloc(t->view.n_entries / 64 + 1, sizeof(*a.seen));
	a.tuples = calloc(t->view.n_tuples, 1);
	if (a.seen && a.tuples)
		err = mend_slots(&a);
	if (err) {
		why_say(why, err, "no memory to adopt a table of rules");
	} else {
		ternary_index_adopt(t);
		ternary_tuples_adopt(t);
		/* [ternary-change] It may have unlinked what it reclaimed. */
		ternary_changed(t);
		sort_spare(&a);
		ternary_set_n_used(t, t->n_used);
	}
	free(a.seen);
	free(a.tuples);
	return err;
}
