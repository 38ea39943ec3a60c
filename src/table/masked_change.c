/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/masked_change - setting and deleting flows
 *
 * The exact table does the work; around it the filter is told. Every entry that
 * is not dead counts once, under its mask and under the mask's group, so of a
 * key of which a change set has an old and a new entry there are two. How many
 * entries an operation did away with, the exact table's mark tells.
 */
#include "table/masked_private.h"

#include <errno.h>
#include <string.h>

/* A mask as it is kept: nothing behind the key, nothing in its last bytes. */
static void mask_words(const struct table_masked *t, const void *mask,
		       uint64_t *out)
{
	memset(out, 0, MASKED_WORDS * sizeof(*out));
	memcpy(out, mask, t->key_len);
	out[t->key_len / 8 - 1] &= SLUICE_MASKED_KEY_BITS;
}

static uint64_t filter_hash(const struct table_masked *t, uint32_t number,
			    const uint64_t *key)
{
	struct sluice_mask record;

	memcpy(record.words, t->records[number].words, sizeof(record.words));
	return sluice_filter_hash(t->view.table->filter_keys, &record, number,
				  key, t->key_len);
}

static void filter_tell(struct table_masked *t, uint32_t number,
			const uint64_t *masked,
			void (*tell)(struct masked_filter *, uint64_t))
{
	uint32_t group = t->records[number].group;

	tell(&t->filter, filter_hash(t, number, masked));
	if (group != MASKED_NONE)
		tell(&t->filter, filter_hash(t, group, masked));
}

static void came(struct table_masked *t, uint32_t number,
		 const uint64_t *masked)
{
	filter_tell(t, number, masked, masked_filter_add);
	t->records[number].n++;
}

static void went(struct table_masked *t, uint32_t number,
		 const uint64_t *masked)
{
	filter_tell(t, number, masked, masked_filter_del);
	t->records[number].n--;
}

void masked_note(struct table_masked *t, uint32_t number,
		 const uint64_t *masked)
{
	filter_tell(t, number, masked, masked_filter_note);
}

/* The key under its mask, if the mask has a number; else MASKED_NONE. */
static uint32_t flow_of(const struct table_masked *t,
			const struct table_masked_key *key, uint64_t *masked)
{
	uint64_t words[MASKED_WORDS];
	uint32_t number;

	mask_words(t, key->mask, words);
	number = masked_find(t, words);
	if (number != MASKED_NONE)
		masked_key(t, number, key->key, masked);
	return number;
}

/* The same; gives the mask a number if it has none. */
static int flow_add(struct table_masked *t, const struct table_masked_key *key,
		    uint64_t *masked, uint32_t *number)
{
	uint64_t words[MASKED_WORDS];
	int err;

	mask_words(t, key->mask, words);
	err = masked_add(t, words, number);
	if (!err)
		masked_key(t, *number, key->key, masked);
	return err;
}

uint8_t *table_masked_find(struct table_masked *t,
			   const struct table_masked_key *key)
{
	uint64_t masked[MASKED_WORDS] = {0};

	if (flow_of(t, key, masked) == MASKED_NONE)
		return NULL;
	return table_exact_find(t->exact, masked);
}

int table_masked_set(struct table_masked *t, const struct table_masked_key *key,
		     const void *value, uint8_t **entry)
{
	uint64_t masked[MASKED_WORDS] = {0};
	uint64_t mark;
	uint32_t number;
	int err = flow_add(t, key, masked, &number);

	if (err)
		return err;
	came(t, number, masked);
	mark = table_exact_mark(t->exact);
	err = table_exact_set(t->exact, masked, value, entry);
	if (err)
		went(t, number, masked);
	for (; mark != table_exact_mark(t->exact); mark++)
		went(t, number, masked);
	return err;
}

bool table_masked_del(struct table_masked *t,
		      const struct table_masked_key *key)
{
	uint64_t masked[MASKED_WORDS] = {0};
	uint64_t mark = table_exact_mark(t->exact);
	uint32_t number = flow_of(t, key, masked);
	bool was_there;

	if (number == MASKED_NONE)
		return false;
	was_there = table_exact_del(t->exact, masked);
	for (; mark != table_exact_mark(t->exact); mark++)
		went(t, number, masked);
	return was_there;
}

/* ---- Change sets. ---- */

static struct table_masked *table_of(struct change_table *c)
{
	return (struct table_masked *)((char *)c -
				       offsetof(struct table_masked, change));
}

static const struct change_table_ops *exact_ops(const struct table_masked *t)
{
	return table_exact_change(t->exact)->ops;
}

/* Copies the key of an entry that a step names; the number of its mask. */
static uint32_t key_of_step(const struct table_masked *t, uint64_t name,
			    uint64_t *masked)
{
	const uint64_t *words = sluice_entry_key(
		sluice_exact_entry(&t->view.exact, exact_step_idx(name)));
	uint32_t n_words = t->key_len / 8;

	for (uint32_t i = 0; i < n_words; i++)
		masked[i] = words[i];
	return (uint32_t)(masked[n_words - 1] >> SLUICE_MASKED_TAG_SHIFT) - 1;
}

static int prepare(struct change_table *c, const struct change_item *item,
		   uint32_t version, struct change_step *out, struct why *why)
{
	struct table_masked *t = table_of(c);
	struct change_item inner = *item;
	uint64_t masked[MASKED_WORDS] = {0};
	uint32_t number;
	int err;

	if (item->kind == CHANGE_DEL) {
		number = flow_of(t, item->key, masked);
		if (number == MASKED_NONE)
			return why_say(why, -ENOENT, "no flow has this mask");
	} else {
		err = flow_add(t, item->key, masked, &number);
		if (err)
			return why_say(why, err,
				       "the table has %u masks, as many as it "
				       "may",
				       t->n_masks);
		came(t, number, masked);
	}
	inner.table = table_exact_change(t->exact);
	inner.key = masked;
	err = exact_ops(t)->prepare(inner.table, &inner, version, out, why);
	if (err && item->kind != CHANGE_DEL)
		went(t, number, masked);
	return err;
}

static void undo(struct change_table *c, const struct change_step *s)
{
	struct table_masked *t = table_of(c);
	uint64_t masked[MASKED_WORDS] = {0};
	uint32_t number = 0;

	if (s->born)
		number = key_of_step(t, s->born, masked);
	exact_ops(t)->undo(table_exact_change(t->exact), s);
	if (s->born)
		went(t, number, masked);
}

static void settle(struct change_table *c, const struct change_step *s)
{
	struct table_masked *t = table_of(c);
	uint64_t mark = table_exact_mark(t->exact);
	uint64_t masked[MASKED_WORDS] = {0};
	uint32_t number = 0;

	if (s->old)
		number = key_of_step(t, s->old, masked);
	exact_ops(t)->settle(table_exact_change(t->exact), s);
	/* Not, if another operation did away with it, and told the filter. */
	for (; mark != table_exact_mark(t->exact); mark++)
		went(t, number, masked);
}

const struct change_table_ops masked_change_ops = {
	.prepare = prepare,
	.undo = undo,
	.settle = settle,
};
