/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/group_chain - groups that name groups
 *
 * The groups that name others are marked in a bitmap by entry; a search goes up
 * or down from level to level, over those marked only, with the entries of a
 * level in a bitmap too. There are at most SLUICE_GROUP_DEPTH levels, so it ends,
 * whatever lies in the bodies.
 *
 * What dies in a change set that is not settled names nobody any more; if the set
 * is taken back, so are first the items that relied on it.
 */
#include <errno.h>
#include <string.h>

#include "sluice/version.h"
#include "table/group_private.h"

/* Which group a bucket names, in one of its two ways. */
static uint32_t name_of_act(uint64_t act)
{
	sluice_act a = {act};

	return sluice_act_kind(a) == SLUICE_ACT_GROUP ? sluice_act_arg(a)
						      : SLUICE_GROUP_NONE;
}

static bool has(const uint64_t *map, uint32_t idx)
{
	return map[idx / 64] >> (idx % 64) & 1;
}

static void set(uint64_t *map, uint32_t idx)
{
	map[idx / 64] |= 1ull << (idx % 64);
}

static uint64_t map_len(const struct table_group *t)
{
	return (t->n_entries / 64 + 1) * sizeof(uint64_t);
}

bool group_names(const struct sluice_group_at *g)
{
	for (uint32_t i = 0; i < g->n_buckets; i++)
		if (name_of_act(g->buckets[i].act) != SLUICE_GROUP_NONE ||
		    g->buckets[i].watch_group != SLUICE_GROUP_NONE)
			return true;
	return false;
}

void group_chain_note(struct table_group *t, uint32_t idx, bool names)
{
	if (has(t->names, idx) == names)
		return;
	t->names[idx / 64] ^= 1ull << (idx % 64);
	t->n_names += names ? 1 : -1u;
}

/* The next entry from idx on whose group names groups and is to stay. */
static bool next_naming(const struct table_group *t, uint32_t *idx,
			struct sluice_group_at *out)
{
	for (; *idx < t->n_entries; ++*idx) {
		const uint64_t *head;

		if (!t->names[*idx / 64]) {
			*idx |= 63;
			continue;
		}
		if (!has(t->names, *idx))
			continue;
		head = (const uint64_t *)sluice_exact_entry(&t->view.table,
							    *idx);
		if (sluice_head_state(*head) != SLUICE_ENTRY_DYING &&
		    group_of_entry(t, *idx, out))
			return true;
	}
	return false;
}

/* ---- Searching. ---- */

/* Marks the entry of a group; false: there is none. */
static bool mark(struct table_group *t, uint64_t *marks, uint32_t id)
{
	uint32_t idx =
		id == SLUICE_GROUP_NONE ? GROUP_DEAD : group_entry(t, id);

	if (idx == GROUP_DEAD)
		return false;
	set(marks, idx);
	return true;
}

/* Does a bucket of g name a group that is marked? */
static bool names_marked(struct table_group *t, const struct sluice_group_at *g)
{
	for (uint32_t i = 0; i < g->n_buckets; i++) {
		uint32_t ids[] = {name_of_act(g->buckets[i].act),
				  g->buckets[i].watch_group};

		for (uint32_t j = 0; j < 2; j++) {
			uint32_t idx = ids[j] == SLUICE_GROUP_NONE
					       ? GROUP_DEAD
					       : group_entry(t, ids[j]);

			if (idx != GROUP_DEAD && has(t->marks, idx))
				return true;
		}
	}
	return false;
}

/* marks becomes the level below or above it; false: that is empty. */
static bool go_on(struct table_group *t, bool is_down)
{
	uint64_t *was = t->marks;
	struct sluice_group_at g;
	bool any = false;

	memset(t->next_marks, 0, map_len(t));
	for (uint32_t idx = 0; next_naming(t, &idx, &g); idx++) {
		if (!is_down && names_marked(t, &g)) {
			set(t->next_marks, idx);
			any = true;
		}
		for (uint32_t i = 0;
		     is_down && has(t->marks, idx) && i < g.n_buckets; i++) {
			any |= mark(t, t->next_marks,
				    name_of_act(g.buckets[i].act));
			any |= mark(t, t->next_marks, g.buckets[i].watch_group);
		}
	}
	t->marks = t->next_marks;
	t->next_marks = was;
	return any;
}

static int mark_named(struct table_group *t, uint32_t id,
		      const struct group_bucket *b, bool *any, struct why *why)
{
	uint32_t next = name_of_act(b->act.w);

	if (next == id || b->watch_group == id)
		return why_say(why, -EINVAL,
			       "OFPGMFC_LOOP: group %u names itself", id);
	if (next != SLUICE_GROUP_NONE) {
		if (!mark(t, t->marks, next))
			return why_say(why, -EINVAL,
				       "OFPBAC_BAD_OUT_GROUP: group %u goes "
				       "on to group %u, which is not there",
				       id, next);
		*any = true;
	}
	if (b->watch_group != SLUICE_GROUP_NONE) {
		if (!mark(t, t->marks, b->watch_group))
			return why_say(why, -EINVAL,
				       "OFPGMFC_BAD_WATCH: group %u watches "
				       "group %u, which is not there",
				       id, b->watch_group);
		*any = true;
	}
	return 0;
}

/* Groups in the longest chain above one. */
static uint32_t n_above(struct table_group *t, uint32_t self)
{
	uint32_t n = 0;

	if (self == GROUP_DEAD)
		return 0;
	memset(t->marks, 0, map_len(t));
	set(t->marks, self);
	while (n < SLUICE_GROUP_DEPTH && go_on(t, false))
		n++;
	return n;
}

int group_chain_check(struct table_group *t, uint32_t id,
		      const struct group_conf *conf, struct why *why)
{
	uint32_t self = group_entry(t, id);
	uint32_t n_below = 0;
	bool any = false;
	int err = 0;

	memset(t->marks, 0, map_len(t));
	for (uint32_t i = 0; !err && i < conf->n_buckets; i++)
		err = mark_named(t, id, &conf->buckets[i], &any, why);
	if (err || !any)
		return err;
	do {
		if (self != GROUP_DEAD && has(t->marks, self))
			return why_say(why, -EINVAL,
				       "OFPGMFC_LOOP: group %u would come "
				       "back to itself",
				       id);
		n_below++;
	} while (n_below < SLUICE_GROUP_DEPTH && go_on(t, true));
	if (1 + n_below + n_above(t, self) > SLUICE_GROUP_DEPTH)
		return why_say(why, -EINVAL,
			       "OFPGMFC_CHAINING_UNSUPPORTED: a chain through "
			       "group %u would have more than %u groups",
			       id, SLUICE_GROUP_DEPTH);
	return 0;
}

int group_chain_may_go(struct table_group *t, uint32_t id, struct why *why)
{
	uint32_t self = group_entry(t, id);
	struct sluice_group_at g;

	if (!t->n_names || self == GROUP_DEAD)
		return 0;
	memset(t->marks, 0, map_len(t));
	set(t->marks, self);
	for (uint32_t idx = 0; next_naming(t, &idx, &g); idx++)
		if (names_marked(t, &g))
			return why_say(why, -EINVAL,
				       "OFPGMFC_CHAINED_GROUP: group %u names "
				       "group %u",
				       g.id, id);
	return 0;
}

/* ---- Which ports keep it live. ---- */

uint64_t group_live_of(const struct sluice_group_at *g)
{
	uint64_t live = 0;

	for (uint32_t i = 0; i < g->n_buckets; i++)
		live |= sluice_load64_relaxed(&g->buckets[i].live);
	return live;
}

uint64_t group_live(struct table_group *t, uint32_t watch_port,
		    uint32_t watch_group)
{
	struct sluice_group_at g;
	uint64_t live = 0;

	if (!watch_port && watch_group == SLUICE_GROUP_NONE)
		return 1;
	if (watch_port)
		live |= 1ull << (watch_port % SLUICE_PORTS_MAX);
	if (watch_group != SLUICE_GROUP_NONE &&
	    table_group_find(t, watch_group, &g))
		live |= group_live_of(&g);
	return live;
}

/* True: one of g's buckets, which watches group id, has changed. */
static bool tell_one(struct table_group *t, const struct sluice_group_at *g,
		     uint32_t id, uint64_t also)
{
	bool changed = false;

	for (uint32_t i = 0; i < g->n_buckets; i++) {
		struct sluice_group_bucket *b =
			(struct sluice_group_bucket *)(uintptr_t)&g->buckets[i];
		uint64_t live;

		if (b->watch_group != id)
			continue;
		live = group_live(t, b->watch_port, id) | also;
		changed |= live != b->live;
		if (live != b->live)
			heap_put(&b->live, live);
	}
	return changed;
}

static void tell(struct table_group *t, uint32_t id, uint64_t also,
		 uint32_t depth)
{
	struct sluice_group_at g;

	for (uint32_t idx = 0; next_naming(t, &idx, &g); idx++)
		if (tell_one(t, &g, id, also) && depth < SLUICE_GROUP_DEPTH)
			tell(t, g.id, also, depth + 1);
}

void group_chain_tell(struct table_group *t, uint32_t id, uint64_t also)
{
	if (t->n_names)
		tell(t, id, also, 1);
}

void group_chain_tell_all(struct table_group *t)
{
	/* What is right once at the lowest level is so at the next in a turn. */
	for (uint32_t i = 0; i < SLUICE_GROUP_DEPTH; i++) {
		struct sluice_group_at g;

		for (uint32_t idx = 0; next_naming(t, &idx, &g); idx++)
			for (uint32_t b = 0; b < g.n_buckets; b++)
				tell_one(t, &g, g.buckets[b].watch_group, 0);
	}
}
