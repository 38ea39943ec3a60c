/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/group - life, single changes, and change sets
 *
 * The exact table says which groups there are and when an entry dies; this keeps
 * each entry's body beside it. Whatever is done to the exact table, afterwards
 * the entries that it may have killed are looked at, and a dead one's body goes
 * to rest. So bodies need no versions: they follow their entries.
 *
 * A body is written, then the entry, then the slot that names it. A writer that
 * is killed leaves at worst a body without an entry, which the heap finds.
 */
#include "table/group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/version.h"
#include "table/exact_private.h"
#include "table/group_private.h"

#define N_MAX (1u << 24)

static struct table_exact_conf exact_conf(uint32_t n_max, uint64_t seed)
{
	return (struct table_exact_conf){
		.name = "groups",
		.kind = SLUICE_TABLE_GROUPS,
		.n_max = n_max,
		.key_len = sizeof(struct sluice_group_key),
		.value_len = sizeof(struct sluice_group),
		.seed = seed,
	};
}

uint64_t table_group_len(uint32_t n_max)
{
	struct table_exact_conf conf = exact_conf(n_max, 0);

	return n_max <= N_MAX ? table_exact_len(&conf) : 0;
}

/* ---- Entries and bodies. ---- */

static uint64_t *head_of(const struct table_group *t, uint32_t idx)
{
	return (uint64_t *)sluice_exact_entry(&t->view.table, idx);
}

static uint64_t *word_of(const struct table_group *t, uint32_t idx)
{
	return (uint64_t *)sluice_entry_value((uint8_t *)head_of(t, idx),
					      sizeof(struct sluice_group_key));
}

static uint32_t entry_of(const struct table_group *t, const uint8_t *entry)
{
	return (uint32_t)((uint64_t)(entry - t->view.table.entries) /
			  t->view.table.entry_len);
}

uint32_t group_entry(struct table_group *t, uint32_t id)
{
	uint64_t key = id;
	const uint8_t *entry = table_exact_find(t->exact, &key);

	return entry ? entry_of(t, entry) : GROUP_DEAD;
}

/* By our own note of where it is, not by the entry. */
bool group_of_entry(const struct table_group *t, uint32_t idx,
		    struct sluice_group_at *out)
{
	uint64_t word = *word_of(t, idx);

	word = (word & ~0xffffffffull) | t->bodies[idx];
	return t->bodies[idx] && sluice_group_open(&t->view.heap, word, out);
}

bool table_group_find(struct table_group *t, uint32_t id,
		      struct sluice_group_at *out)
{
	uint32_t idx = group_entry(t, id);

	return idx != GROUP_DEAD && group_of_entry(t, idx, out);
}

/* Lets go of an entry's body if the entry is dead. */
static void bury(struct table_group *t, uint32_t idx, bool was_seen)
{
	if (idx >= t->n_entries || !t->bodies[idx] ||
	    sluice_head_state(*head_of(t, idx)) != SLUICE_ENTRY_DEAD)
		return;
	if (was_seen)
		heap_block_free(t->heap, t->bodies[idx]);
	else
		heap_block_drop(t->heap, t->bodies[idx]);
	t->bodies[idx] = 0;
	group_chain_note(t, idx, false);
}

/* The entry is there; its body is the one whose offset this is. */
static void wed(struct table_group *t, uint32_t idx, uint32_t off, bool names)
{
	t->bodies[idx] = off;
	heap_block_own(t->heap, off, idx);
	group_chain_note(t, idx, names);
}

/* ---- Bodies. ---- */

static void fill_buckets(struct table_group *t, const struct group_conf *conf,
			 struct sluice_group_bucket *out)
{
	for (uint32_t i = 0; i < conf->n_buckets; i++) {
		const struct group_bucket *b = &conf->buckets[i];

		out[i] = (struct sluice_group_bucket){
			.act = b->act.w,
			.live = group_live(t, b->watch_port, b->watch_group),
			.watch_port = b->watch_port,
			.watch_group = b->watch_group,
			.weight = b->weight,
			.counter = b->counter,
		};
	}
}

/* Makes a body. word: what the entry says of it. */
static int body_new(struct table_group *t, uint32_t id,
		    const struct group_conf *conf, uint64_t *word,
		    struct why *why)
{
	uint64_t buf[SLUICE_HEAP_PAYLOAD_MAX / 8] = {0};
	struct sluice_group_body *body = (struct sluice_group_body *)buf;
	struct sluice_group_bucket *buckets =
		(struct sluice_group_bucket *)(body + 1);
	uint32_t len = sluice_group_body_len(conf->type, conf->n_buckets);
	uint32_t flags = conf->is_symmetric ? SLUICE_GROUP_SYMMETRIC : 0;
	struct heap_owner owner = {SLUICE_TABLE_GROUPS, GROUP_DEAD,
				   conf->account};
	struct sluice_group_at old;
	bool was = table_group_find(t, id, &old);
	uint64_t *to;
	uint32_t off;
	int err = heap_block_new(t->heap, len, &owner, &off, why);

	if (err)
		return err;
	body->what = (uint64_t)flags << 56 | (uint64_t)conf->type << 48 |
		     (uint64_t)conf->n_buckets << 32 | id;
	body->counter = conf->counter;
	memcpy(body->mask, &conf->mask, sizeof(body->mask));
	fill_buckets(t, conf, buckets);
	if (conf->type == SLUICE_GROUP_SELECT)
		group_slots(conf, was ? &old : NULL,
			    (uint8_t *)(buckets + conf->n_buckets));
	to = sluice_heap_at(&t->view.heap, off, len);
	for (uint32_t i = 0; i < len / 8; i++)
		heap_put(&to[i], buf[i]); /* [group-body] */
	*word = (uint64_t)len << 32 | off;
	return 0;
}

static bool names_groups(const struct group_conf *conf)
{
	for (uint32_t i = 0; i < conf->n_buckets; i++)
		if (sluice_act_kind(conf->buckets[i].act) == SLUICE_ACT_GROUP ||
		    conf->buckets[i].watch_group != SLUICE_GROUP_NONE)
			return true;
	return false;
}

/* Checks a group and makes its body. */
static int make(struct table_group *t, uint32_t id,
		const struct group_conf *conf, uint64_t *word, struct why *why)
{
	int err = group_check(id, conf, why);

	if (!err)
		err = group_chain_check(t, id, conf, why);
	if (!err)
		err = body_new(t, id, conf, word, why);
	if (err == -ENOSPC)
		why_say(why, err, "OFPGMFC_OUT_OF_GROUPS: the heap is full");
	return err;
}

/* ---- Single changes. ---- */

static int unknown(uint32_t id, struct why *why)
{
	return why_say(why, -ENOENT,
		       "OFPGMFC_UNKNOWN_GROUP: there is no group %u", id);
}

/* Where the entries of a key are, before they go. */
static void entries_of(const struct table_group *t, const uint64_t *key,
		       uint32_t idx[2])
{
	struct exact_places at;

	exact_places(t->exact, exact_hash(t->exact, key), key, &at);
	idx[0] = at.now.slot ? at.now.idx : GROUP_DEAD;
	idx[1] = at.dying.slot ? at.dying.idx : GROUP_DEAD;
}

int table_group_set(struct table_group *t, uint32_t id,
		    const struct group_conf *conf, struct why *why)
{
	uint64_t key = id;
	uint32_t were[2];
	uint64_t word;
	uint8_t *entry;
	int err = make(t, id, conf, &word, why);

	if (err)
		return err;
	entries_of(t, &key, were);
	err = table_exact_set(t->exact, &key, &word, &entry);
	if (err) {
		heap_block_drop(t->heap, (uint32_t)word);
		return why_say(why, err,
			       "OFPGMFC_OUT_OF_GROUPS: there is no room for "
			       "group %u beside %u others",
			       id, table_exact_n_used(t->exact));
	}
	wed(t, entry_of(t, entry), (uint32_t)word, names_groups(conf));
	bury(t, were[0], true);
	bury(t, were[1], true);
	group_chain_tell(t, id, 0);
	return 0;
}

int table_group_del(struct table_group *t, uint32_t id, struct why *why)
{
	uint64_t key = id;
	uint32_t were[2];
	int err = group_chain_may_go(t, id, why);

	if (err)
		return err;
	entries_of(t, &key, were);
	if (!table_exact_del(t->exact, &key))
		return unknown(id, why);
	bury(t, were[0], true);
	bury(t, were[1], true);
	return 0;
}

/* ---- Change sets. ---- */

static struct table_group *table_of(struct change_table *c)
{
	return (struct table_group *)((char *)c -
				      offsetof(struct table_group, change));
}

static uint32_t step_entry(uint64_t name)
{
	return (uint32_t)name - 1;
}

/* Does the item fit what is there? In OpenFlow's words. */
static int judge(struct table_group *t, uint32_t id, enum change_kind kind,
		 struct why *why)
{
	bool is_there = group_entry(t, id) != GROUP_DEAD;

	if (kind == CHANGE_ADD && is_there)
		return why_say(why, -EEXIST,
			       "OFPGMFC_GROUP_EXISTS: group %u is there "
			       "already",
			       id);
	if (kind == CHANGE_DEL && !is_there)
		return unknown(id, why);
	return kind == CHANGE_DEL ? group_chain_may_go(t, id, why) : 0;
}

static int prepare(struct change_table *c, const struct change_item *item,
		   uint32_t version, struct change_step *out, struct why *why)
{
	const struct sluice_group_key *key = item->key;
	struct table_group *t = table_of(c);
	uint64_t key_word = key->id;
	uint64_t word = 0;
	struct change_item inner = {
		.table = table_exact_change(t->exact),
		.kind = item->kind,
		.key = &key_word,
		.value = &word,
	};
	struct sluice_group_at old;
	uint64_t also = 0;
	int err = judge(t, key->id, item->kind, why);

	if (!err && item->kind != CHANGE_DEL)
		err = make(t, key->id, item->value, &word, why);
	if (err)
		return err;
	if (table_group_find(t, key->id, &old))
		also = group_live_of(&old);
	err = change_prepare(&inner, version, out, why);
	if (err) {
		heap_block_drop(t->heap, (uint32_t)word);
		return err;
	}
	if (out->born)
		wed(t, step_entry(out->born), (uint32_t)word,
		    names_groups(item->value));
	group_chain_tell(t, key->id, also);
	return 0;
}

/* The group whose entry a step names, if it still is. */
static void tell_step(struct table_group *t, const struct change_step *s)
{
	uint32_t idx = step_entry(s->born ? s->born : s->old);

	group_chain_tell(t,
			 (uint32_t)sluice_entry_key(
				 (uint8_t *)head_of(t, idx))[0],
			 0);
}

static void undo(struct change_table *c, const struct change_step *s)
{
	struct table_group *t = table_of(c);

	change_undo(table_exact_change(t->exact), s);
	bury(t, step_entry(s->born), false);
	tell_step(t, s);
}

static void settle(struct change_table *c, const struct change_step *s)
{
	struct table_group *t = table_of(c);

	change_settle_step(table_exact_change(t->exact), s);
	bury(t, step_entry(s->old), true);
	tell_step(t, s);
}

static const struct change_table_ops change_ops = {
	.prepare = prepare,
	.undo = undo,
	.settle = settle,
};

struct change_table *table_group_change(struct table_group *t)
{
	return &t->change;
}

/* ---- Life. ---- */

/* Takes exact, also on failure. */
static int writer_new(struct region *r, struct heap *heap,
		      struct table_exact *exact, struct table_group **out,
		      struct why *why)
{
	struct table_group *t = calloc(1, sizeof(*t));
	uint32_t n = table_exact_view(exact)->n_entries;
	size_t n_words = n / 64 + 1;

	if (!t)
		goto no_memory;
	t->change.ops = &change_ops;
	t->region = r;
	t->heap = heap;
	t->view.table = *table_exact_view(exact);
	t->view.heap = *heap_view(heap);
	t->n_entries = n;
	t->bodies = calloc(n, sizeof(*t->bodies));
	t->names = calloc(n_words, sizeof(*t->names));
	t->marks = calloc(n_words, sizeof(*t->marks));
	t->next_marks = calloc(n_words, sizeof(*t->next_marks));
	if (!t->bodies || !t->names || !t->marks || !t->next_marks)
		goto undo_t;
	t->exact = exact;
	*out = t;
	return 0;

undo_t:
	table_group_free(t);
no_memory:
	table_exact_free(exact);
	return why_say(why, -ENOMEM, "no memory to write %u groups", n);
}

int table_group_new(struct region *r, const struct table_group_conf *conf,
		    struct table_group **out, struct why *why)
{
	struct table_exact_conf inner = exact_conf(conf->n_max, conf->seed);
	struct table_exact *exact;
	int err;

	if (!table_group_len(conf->n_max))
		return why_say(why, -EINVAL, "%u groups are out of range",
			       conf->n_max);
	err = table_exact_new(r, &inner, &exact, why);
	if (err)
		return err;
	return writer_new(r, conf->heap, exact, out, why);
}

/* Keeps the body of a live entry; false: it makes no sense. */
static bool keep(struct table_group *t, uint32_t idx)
{
	struct heap_owner owner = {SLUICE_TABLE_GROUPS, idx, 0};
	uint64_t word = *word_of(t, idx);
	uint64_t id = sluice_entry_key((uint8_t *)head_of(t, idx))[0];
	struct sluice_group_at g;

	if (!sluice_group_open(&t->view.heap, word, &g) || g.id != id ||
	    !heap_keep(t->heap, (uint32_t)word, (uint32_t)(word >> 32), &owner))
		return false;
	t->bodies[idx] = (uint32_t)word;
	group_chain_note(t, idx, group_names(&g));
	return true;
}

int table_group_adopt(struct region *r, struct heap *heap,
		      struct table_group **out, struct why *why)
{
	struct table_exact *exact;
	struct table_group *t;
	int err = table_exact_adopt(r, SLUICE_TABLE_GROUPS, &exact, why);

	if (err)
		return err;
	err = writer_new(r, heap, exact, &t, why);
	if (err)
		return err;
	for (uint32_t i = 0; i < t->n_entries; i++) {
		const uint64_t *head = head_of(t, i);
		uint64_t key = head[1];

		if (sluice_head_state(*head) == SLUICE_ENTRY_LIVE &&
		    !keep(t, i))
			(void)table_exact_del(exact, &key);
	}
	group_chain_tell_all(t);
	*out = t;
	return 0;
}

void table_group_free(struct table_group *t)
{
	if (!t)
		return;
	table_exact_free(t->exact);
	free(t->next_marks);
	free(t->marks);
	free(t->names);
	free(t->bodies);
	free(t);
}

const struct sluice_groups_view *table_group_view(const struct table_group *t)
{
	return &t->view;
}

uint32_t table_group_n_used(const struct table_group *t)
{
	return table_exact_n_used(t->exact);
}

/* ---- Reuse. ---- */

uint64_t table_group_mark(const struct table_group *t)
{
	return table_exact_mark(t->exact);
}

void table_group_reclaim(struct table_group *t, uint64_t mark)
{
	table_exact_reclaim(t->exact, mark);
}

bool table_group_move(struct table_group *t, const struct heap_owner *owner,
		      uint32_t from, uint32_t to)
{
	uint32_t idx = owner->entry;
	uint64_t *word;

	if (owner->kind != SLUICE_TABLE_GROUPS || idx >= t->n_entries ||
	    t->bodies[idx] != from || !from)
		return false;
	word = word_of(t, idx);
	t->bodies[idx] = to;
	heap_put(word, (*word & ~0xffffffffull) | to); /* [group-body] */
	return true;
}
