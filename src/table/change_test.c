/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of change sets against a twin: one array of values for each version
 * that somebody may still read.
 */
#include "table/change_fake.h"

#include <errno.h>

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
	uint64_t n_applied;
	uint64_t n_refused[8]; /* by place in codes */
};

static const int codes[] = {-EEXIST, -ENOENT, -ENOSPC, -EAGAIN, -EINVAL};

static struct world *world_at(struct twin *t, uint32_t version)
{
	return &t->worlds[version % N_WORLDS];
}

static uint32_t n_used(const struct world *w, uint32_t table)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < N_KEYS; i++)
		n += w->values[table][i] != 0;
	return n;
}

/* ---- What the twin expects of a set. ---- */

static int twin_item(struct twin *t, struct world *w,
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
static int twin_apply(struct twin *t, const struct shop_item *items, uint32_t n,
		      uint32_t *bad)
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
	t->n_applied++;
	return 0;
}

/* ---- Do they agree? ---- */

static uint32_t wrong_by_key(const struct shop *s, const struct world *w,
			     uint32_t version)
{
	uint32_t n = 0;

	for (uint32_t table = 0; table < SHOP_TABLES; table++)
		for (uint32_t i = 0; i < N_KEYS; i++)
			n += shop_get(s, version, table, i) !=
			     w->values[table][i];
	return n;
}

static uint32_t wrong_by_walk(const struct shop *s, const struct world *w,
			      uint32_t version)
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

/* Readers of every version that is still readable see its world, all of it. */
static void agrees(struct shop *s, struct twin *t)
{
	CHECK_EQ(shop_version(s), t->version);
	CHECK_EQ(change_n_unsettled(s->log), t->n_steps);
	for (uint32_t v = t->settling; v != t->version + 1; v++) {
		CHECK(sluice_version_holds(s->region->head, v));
		CHECK_EQ(wrong_by_key(s, world_at(t, v), v), 0);
		CHECK_EQ(wrong_by_walk(s, world_at(t, v), v), 0);
	}
	CHECK(!sluice_version_holds(s->region->head, t->settling - 1));
	for (uint32_t i = 0; i < SHOP_TABLES; i++)
		CHECK_EQ(table_exact_n_used(s->tables[i]),
			 n_used(world_at(t, t->version), i));
}

/* ---- Random operations on both. ---- */

static struct shop_item random_item(struct rng *r)
{
	return shop_item(rng_below(r, SHOP_TABLES),
			 (enum change_kind)rng_below(r, 3),
			 rng_below(r, N_KEYS), rng_next(r) | 2);
}

/*
 * A set of mostly possible items: a set at random would nearly always be
 * refused by its first ones.
 */
static uint32_t random_set(struct rng *r, struct twin *t,
			   struct shop_item *items)
{
	uint32_t n = 1 + rng_below(r, N_ITEMS), i = 0;
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
static bool is_tight(const struct shop *s)
{
	const struct sluice_exact_view *v =
		table_exact_view(s->tables[SHOP_TABLES - 1]);
	uint32_t n_slots = v->n_buckets * SLUICE_BUCKET_SLOTS;
	uint32_t n_taken = 0;

	for (uint32_t i = 0; i < n_slots; i++)
		n_taken += v->buckets[i] != 0;
	return n_taken * 100 > n_slots * 85;
}

static void reclaim(struct shop *s)
{
	for (uint32_t i = 0; i < SHOP_TABLES; i++)
		table_exact_reclaim(s->tables[i],
				    table_exact_mark(s->tables[i]));
}

static void step_apply(struct shop *s, struct twin *t, struct rng *r)
{
	struct shop_item items[N_ITEMS];
	uint32_t bad = 77, twins_bad = 77;
	uint32_t n_resting = table_exact_n_resting(s->tables[0]);
	uint32_t n;
	int err, expected;

	if (t->version - t->settling == N_WORLDS - 2 ||
	    t->n_steps + N_ITEMS > STEPS_MAX)
		return;
	n = random_set(r, t, items);
	err = shop_apply(s, items, n, &bad);
	if (err == -ENOSPC && is_tight(s)) {
		agrees(s, t);
		return;
	}
	expected = twin_apply(t, items, n, &twins_bad);
	CHECK_EQ(err, expected);
	if (!expected)
		return;
	CHECK_EQ(bad, twins_bad);
	CHECK_EQ(table_exact_n_resting(s->tables[0]), n_resting);
	for (uint32_t i = 0; i < ARRAY_LEN(codes); i++)
		t->n_refused[i] += err == codes[i];
	agrees(s, t);
}

/* True at once, at every version. */
static void step_single(struct shop *s, struct twin *t, struct rng *r)
{
	struct shop_item it = random_item(r);
	uint32_t key = (uint32_t)it.key[0];
	uint64_t *now = &world_at(t, t->version)->values[it.table][key];
	uint64_t value = 0;

	if (it.kind == CHANGE_DEL) {
		CHECK_EQ(shop_del(s, it.table, key), *now != 0);
		if (!*now)
			return;
	} else {
		int err = shop_set(s, it.table, key, it.value[0]);

		if (err && is_tight(s))
			return;
		CHECK_EQ(err, !*now && n_used(world_at(t, t->version),
					      it.table) == t->n_max[it.table]
				      ? -ENOSPC
				      : 0);
		if (err)
			return;
		value = it.value[0];
	}
	t->held[it.table][key] = 0;
	for (uint32_t i = 0; i < N_WORLDS; i++)
		t->worlds[i].values[it.table][key] = value;
}

static void twin_settle(struct twin *t, uint32_t n)
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

/* Some of the steps: readers of the versions before are gone. */
static void step_settle(struct shop *s, struct twin *t, struct rng *r)
{
	uint32_t n_max = rng_below(r, 2) ? STEPS_MAX : rng_below(r, N_ITEMS);
	uint64_t mark = change_mark(s->log);
	uint32_t n = n_max < t->n_steps ? n_max : t->n_steps;

	CHECK_EQ(change_settle(s->log, mark - t->n_steps, n_max), 0);
	CHECK_EQ(change_settle(s->log, mark, n_max), n);
	twin_settle(t, n);
}

/* The writer dies while it prepares a set, and another one adopts. */
static void step_adopt(struct shop *s, struct twin *t, struct rng *r)
{
	struct shop_item items[N_ITEMS];
	uint32_t n = random_set(r, t, items);
	struct change_step step;

	for (uint32_t i = 0; i < n; i++) {
		struct change_item c = shop_change(s, &items[i]);

		if (change_prepare(&c, t->version + 1, &step, NULL))
			break;
	}
	shop_adopt(s);
	memset(t->held, 0, sizeof(t->held));
	t->n_steps = 0;
	t->settling = t->version;
}

static void twin_run(uint32_t version, uint32_t n_steps)
{
	static const uint32_t n_max[SHOP_TABLES] = {500, 300, 46};
	struct rng r = rng_of(test_seed() + version);
	static struct twin t;
	struct shop s;

	memset(&t, 0, sizeof(t));
	t.version = t.settling = version;
	memcpy(t.n_max, n_max, sizeof(n_max));
	shop_init(&s, n_max, version);
	for (uint32_t i = 0; i < n_steps; i++) {
		uint32_t what = rng_below(&r, 100);

		if (what < 50)
			step_apply(&s, &t, &r);
		else if (what < 75)
			step_single(&s, &t, &r);
		else if (what < 98)
			step_settle(&s, &t, &r);
		else
			step_adopt(&s, &t, &r);
		if (i % 8 == 0)
			agrees(&s, &t);
		reclaim(&s);
	}
	printf("# %llu sets applied; refused for EEXIST %llu, ENOENT %llu, "
	       "ENOSPC %llu, EAGAIN %llu, EINVAL %llu\n",
	       (unsigned long long)t.n_applied,
	       (unsigned long long)t.n_refused[0],
	       (unsigned long long)t.n_refused[1],
	       (unsigned long long)t.n_refused[2],
	       (unsigned long long)t.n_refused[3],
	       (unsigned long long)t.n_refused[4]);
	for (uint32_t i = 0; i < ARRAY_LEN(codes); i++)
		CHECK(t.n_refused[i] > 0);
	shop_fini(&s);
}

static void random_sets_agree_with_the_twin(void)
{
	twin_run(7, 6000);
}

static void versions_wrap(void)
{
	twin_run(UINT32_MAX - 300, 3000);
	twin_run((1u << 31) - 300, 3000);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(random_sets_agree_with_the_twin);
	TEST(versions_wrap);
	return test_done();
}
