/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/exact_step - the exact table's part in change sets
 *
 * A set never touches the slot of what it removes or replaces before it
 * settles: the old entry says in its head that it dies, the new one lies in a
 * slot of its own and says that it is born. So to take an item back is to say
 * that the old one lives, and to clear the slot of one that nobody has seen.
 *
 * A step names entries by number and generation, so one that a single operation
 * has done away with since, and that may belong to somebody else, is left alone.
 */
#include "table/exact_private.h"

#include <errno.h>

static struct table_exact *table_of(struct change_table *c)
{
	return (struct table_exact *)((char *)c -
				      offsetof(struct table_exact, change));
}

/* An entry as a step names it; never 0. */
static uint64_t name_of(const struct table_exact *t, uint32_t idx)
{
	uint64_t generation = *exact_head(t, idx) & SLUICE_ENTRY_GENERATION;

	return generation << 32 | (idx + 1);
}

/* The head of a named entry if it is still that one, in that state; or NULL. */
static uint64_t *named(const struct table_exact *t, uint64_t name,
		       enum sluice_entry_state state)
{
	uint64_t *head;

	if (!name)
		return NULL;
	head = exact_head(t, (uint32_t)name - 1);
	if (sluice_head_state(*head) != (uint32_t)state ||
	    !sluice_head_same(*head, name >> 32))
		return NULL;
	return head;
}

/* Clears the slots that name an entry in one bucket. */
static void clear_bucket(const struct table_exact *t, uint32_t bucket,
			 uint64_t word)
{
	uint64_t *slots = exact_slots(t, bucket);

	for (uint32_t i = 0; i < SLUICE_BUCKET_SLOTS; i++)
		if (slots[i] == word)
			exact_put(&slots[i], 0);
}

/* Clears the slot of an entry. */
static void clear_slot(const struct table_exact *t, uint32_t idx)
{
	uint32_t hash = exact_hash(t, exact_head(t, idx) + 1);
	uint32_t n = t->view.n_buckets;

	clear_bucket(t, sluice_exact_bucket1(hash, n),
		     exact_slot_word(hash, idx));
	clear_bucket(t, sluice_exact_bucket2(hash, n),
		     exact_slot_word(hash, idx));
}

/* Is this entry one of a set; of this one, if of is not NULL? */
static bool is_unsettled(const struct table_exact *t,
			 const struct exact_place *at, const uint32_t *of)
{
	uint64_t head;

	if (!at->slot)
		return false;
	head = *exact_head(t, at->idx);
	return sluice_head_state(head) >= SLUICE_ENTRY_BORN &&
	       (!of || sluice_head_version(head) == *of);
}

/* May this item be done to a key that lies there? */
static int judge(const struct table_exact *t, const struct exact_places *at,
		 enum change_kind kind, uint32_t version, struct why *why)
{
	if (is_unsettled(t, &at->now, &version) ||
	    is_unsettled(t, &at->dying, &version))
		return why_say(why, -EINVAL,
			       "the change set names a key twice");
	if (kind == CHANGE_ADD && at->now.slot)
		return why_say(why, -EEXIST, "the key is there already");
	if (kind == CHANGE_DEL && !at->now.slot)
		return why_say(why, -ENOENT, "the key is not there");
	if (is_unsettled(t, &at->now, NULL) ||
	    is_unsettled(t, &at->dying, NULL))
		return why_say(
			why, -EAGAIN,
			"a change set that is not settled holds the key");
	return 0;
}

/* Publishes an entry that is born at version. */
static int bear(struct table_exact *t, const struct change_item *item,
		uint32_t hash, uint64_t state, uint64_t *name)
{
	uint64_t *slot = NULL;
	uint32_t idx;

	if (t->spare.taken != t->spare.freed)
		slot = exact_room(t, hash);
	if (!slot)
		return -ENOSPC;
	idx = exact_entry_new(t, item->key, item->value, state);
	exact_put(slot, exact_slot_word(hash, idx)); /* [exact-slot] */
	*name = name_of(t, idx);
	return 0;
}

static void count(struct table_exact *t, int more)
{
	if (more)
		exact_set_n_used(t, t->n_used + (uint32_t)more);
}

static int prepare(struct change_table *c, const struct change_item *item,
		   uint32_t version, struct change_step *out, struct why *why)
{
	struct table_exact *t = table_of(c);
	uint32_t hash = exact_hash(t, item->key);
	struct change_step step = {0};
	struct exact_places at;
	int err;

	exact_places(t, hash, item->key, &at);
	err = judge(t, &at, item->kind, version, why);
	if (err)
		return err;
	if (at.now.slot)
		step.old = name_of(t, at.now.idx);
	if (item->kind != CHANGE_DEL) {
		err = !at.now.slot && t->n_used == t->n_max
			      ? -ENOSPC
			      : bear(t, item, hash,
				     sluice_head_to(0, SLUICE_ENTRY_BORN,
						    version),
				     &step.born);
		if (err)
			return why_say(why, err, "the table is full");
	}
	/* Its slot may have moved, the entry has not. */
	if (step.old)
		exact_put(exact_head(t, at.now.idx),
			  sluice_head_to(*exact_head(t, at.now.idx),
					 SLUICE_ENTRY_DYING, version));
	count(t, (step.born != 0) - (step.old != 0));
	*out = step;
	return 0;
}

static void undo(struct change_table *c, const struct change_step *s)
{
	struct table_exact *t = table_of(c);
	uint64_t *head = named(t, s->old, SLUICE_ENTRY_DYING);

	if (head)
		exact_put(head, sluice_head_to(*head, SLUICE_ENTRY_LIVE, 0));
	head = named(t, s->born, SLUICE_ENTRY_BORN);
	if (head) {
		uint32_t idx = (uint32_t)s->born - 1;

		/* No reader has seen it there at its version. */
		clear_slot(t, idx);
		exact_put(head, sluice_head_dead(*head)); /* [exact-head] */
		exact_spare_untake(&t->spare, idx);
	}
	count(t, (s->old != 0) - (s->born != 0));
}

static void settle(struct change_table *c, const struct change_step *s)
{
	struct table_exact *t = table_of(c);
	uint64_t *head = named(t, s->born, SLUICE_ENTRY_BORN);

	if (head)
		exact_put(head, sluice_head_to(*head, SLUICE_ENTRY_LIVE, 0));
	if (named(t, s->old, SLUICE_ENTRY_DYING)) {
		uint32_t idx = (uint32_t)s->old - 1;

		exact_changed(t); /* [exact-change] the born one is live */
		clear_slot(t, idx);
		exact_rest(t, idx);
	}
}

/* Entries that are to be taken, counted from the next one. */
#define SPARE_AHEAD 10u

static void fetch(struct change_table *c, const struct change_item *item,
		  uint32_t round)
{
	const struct table_exact *t = table_of(c);
	const struct exact_spare *s = &t->spare;
	uint32_t hash;

	if (round) {
		hash = exact_hash(t, item->key);
		exact_fetch_entries(t, &hash, 1);
		return;
	}
	exact_fetch_buckets(t, item->key, 1, &hash);
	if (item->kind != CHANGE_DEL)
		__builtin_prefetch(
			exact_head(t, s->ring[(s->take_at + SPARE_AHEAD) %
					      s->len]),
			1);
}

const struct change_table_ops exact_change_ops = {
	.prepare = prepare,
	.fetch = fetch,
	.undo = undo,
	.settle = settle,
};
