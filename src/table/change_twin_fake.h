/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_CHANGE_TWIN_FAKE_H
#define TABLE_CHANGE_TWIN_FAKE_H

/*
 * table/change_twin_fake - what change sets should do: one array of values for
 * each version that somebody may still read
 */

#include <errno.h>

#include "table/change_fake.h"

#define N_KEYS 60u
#define N_WORLDS 8u /* a power of two, for versions wrap */
#define N_ITEMS 12u
#define STEPS_MAX (N_WORLDS * N_ITEMS)

#define HELD (1ull << 32)

struct world {
	uint64_t values[SHOP_TABLES][N_KEYS]; /* 0: none */
};

/* A step that is not settled. */
struct held {
	uint32_t table;
	uint32_t key;
	uint32_t version;
};

struct twin {
	uint32_t version;	       /* the newest */
	uint32_t settling;	       /* older ones may be seen no more */
	struct world worlds[N_WORLDS]; /* [version % N_WORLDS] */
	struct held steps[STEPS_MAX];
	uint32_t n_steps;
	uint64_t held[SHOP_TABLES]
		     [N_KEYS]; /* HELD + version of the set, or 0 */
	uint32_t n_max[SHOP_TABLES];
};

static inline struct world *world_at(struct twin *t, uint32_t version)
{
	return &t->worlds[version % N_WORLDS];
}

static inline uint32_t n_used(const struct world *w, uint32_t table)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < N_KEYS; i++)
		n += w->values[table][i] != 0;
	return n;
}

/* ---- What the twin expects of a set. ---- */

/* Can it take one more set? */
static inline bool twin_has_room(const struct twin *t)
{
	return t->version - t->settling < N_WORLDS - 2 &&
	       t->n_steps + N_ITEMS <= STEPS_MAX;
}

static inline int twin_item(struct twin *t, struct world *w,
			    const struct shop_item *item, uint32_t version)
{
	uint32_t key = (uint32_t)item->key[0];
	uint64_t *value = &w->values[item->table][key];
	uint64_t *held = &t->held[item->table][key];

	if (*held == HELD + version)
		return -EINVAL;
	if (item->kind == CHANGE_ADD && *value)
		return -EEXIST;
	if (item->kind == CHANGE_DEL && !*value)
		return -ENOENT;
	if (*held)
		return -EAGAIN;
	if (item->kind != CHANGE_DEL && !*value &&
	    n_used(w, item->table) == t->n_max[item->table])
		return -ENOSPC;
	*value = item->kind == CHANGE_DEL ? 0 : item->value[0];
	*held = HELD + version;
	return 0;
}

/* The code of the first item that cannot be done, and its number. */
static inline int twin_apply(struct twin *t, const struct shop_item *items,
			     uint32_t n, uint32_t *bad)
{
	uint32_t version = t->version + 1;
	struct world *next = world_at(t, version);
	uint64_t before[SHOP_TABLES][N_KEYS];

	memcpy(before, t->held, sizeof(before));
	*next = *world_at(t, t->version);
	for (uint32_t i = 0; i < n; i++) {
		int err = twin_item(t, next, &items[i], version);

		if (err) {
			memcpy(t->held, before, sizeof(before));
			*bad = i;
			return err;
		}
	}
	for (uint32_t i = 0; i < n; i++)
		t->steps[t->n_steps++] =
			(struct held){items[i].table, (uint32_t)items[i].key[0],
				      version};
	t->version = version;
	return 0;
}

/* ---- What readers see. ---- */

static inline uint32_t wrong_by_key(const struct shop *s, const struct world *w,
				    uint32_t version)
{
	uint32_t n = 0;

	for (uint32_t table = 0; table < SHOP_TABLES; table++)
		for (uint32_t i = 0; i < N_KEYS; i++)
			n += shop_get(s, version, table, i) !=
			     w->values[table][i];
	return n;
}

static inline uint32_t wrong_by_walk(const struct shop *s,
				     const struct world *w, uint32_t version)
{
	uint32_t n = 0;

	for (uint32_t table = 0; table < SHOP_TABLES; table++) {
		uint64_t key[SHOP_WORDS], value[SHOP_WORDS];
		uint32_t n_met = 0, idx = 0;

		while (sluice_reader_next(table_exact_view(s->tables[table]),
					  version, &idx, key, value)) {
			n_met++;
			n += key[0] >= N_KEYS ||
			     w->values[table][key[0]] != value[0];
		}
		n += n_met != n_used(w, table);
	}
	return n;
}

static inline void twin_settle(struct twin *t, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct held *h = &t->steps[i];

		t->settling = h->version;
		if (t->held[h->table][h->key] == HELD + h->version)
			t->held[h->table][h->key] = 0;
	}
	t->n_steps -= n;
	memmove(t->steps, t->steps + n, t->n_steps * sizeof(t->steps[0]));
}

/* A single operation: true at once, at every version. 0: the key goes. */
static inline void twin_single(struct twin *t, uint32_t table, uint32_t key,
			       uint64_t value)
{
	t->held[table][key] = 0;
	for (uint32_t i = 0; i < N_WORLDS; i++)
		t->worlds[i].values[table][key] = value;
}

/* All that is unsettled is settled, or gone with its writer. */
static inline void twin_adopt(struct twin *t)
{
	memset(t->held, 0, sizeof(t->held));
	t->n_steps = 0;
	t->settling = t->version;
}

/* ---- Random operations on both. ---- */

static inline struct shop_item random_item(struct rng *r)
{
	return shop_item(rng_below(r, SHOP_TABLES),
			 (enum change_kind)rng_below(r, 3),
			 rng_below(r, N_KEYS), rng_next(r) | 2);
}

/*
 * A set of mostly possible items: a set at random would nearly always be
 * refused by its first ones.
 */
static inline uint32_t random_set(struct rng *r, struct twin *t,
				  struct shop_item *items, uint32_t n_max)
{
	uint32_t n = 1 + rng_below(r, n_max), i = 0;
	bool honest = rng_below(r, 3) > 0;

	while (i < n) {
		struct shop_item it = random_item(r);
		uint32_t key = (uint32_t)it.key[0];
		bool is_there =
			world_at(t, t->version)->values[it.table][key] != 0;

		if (honest || rng_below(r, n)) {
			if (t->held[it.table][key])
				continue;
			if (it.kind == CHANGE_ADD && is_there)
				it.kind = CHANGE_SET;
			if (it.kind == CHANGE_DEL && !is_there)
				it.kind = CHANGE_ADD;
		}
		items[i++] = it;
	}
	return n;
}

/* What dies takes slots too; few are left in the small table at times. */
static inline bool is_tight(const struct shop *s)
{
	const struct sluice_exact_view *v =
		table_exact_view(s->tables[SHOP_TABLES - 1]);
	uint32_t n_slots = v->n_buckets * SLUICE_BUCKET_SLOTS;
	uint32_t n_taken = 0;

	for (uint32_t i = 0; i < n_slots; i++)
		n_taken += v->buckets[i] != 0;
	return n_taken * 100 > n_slots * 85;
}

#endif
