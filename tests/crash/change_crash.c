/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer of change sets is killed at every one of its stores.
 *
 * A script of random operations (sets are applied, some of them refused in the
 * middle, and settled by parts; single operations run in between) works on three
 * tables, one of them nearly full. For the 1st, 2nd, .. store of an operation a
 * forked writer does it and is killed by SIGKILL right before that store. We,
 * the survivor, look at what it left as readers of each version do: each sees
 * all of its world. Then we adopt the tables, look again, and go on with them;
 * the adopting writer is killed likewise. Here the tables, the log and the
 * region are compiled with -DSLUICE_CRASH.
 */
#include <signal.h>

#include "table/change_twin_fake.h"
#include "tests/crash/kill.h"

#define N_STEPS 70u
#define SET_MAX 6u
#define FIRST 7u       /* version */
#define STALE_MAX 4u   /* versions */
#define TWICE_EVERY 9u /* kills after which the one who adopts is killed too */

enum what { APPLY, SETTLE, SET, DEL };

struct op {
	enum what what;
	struct shop_item items[SET_MAX]; /* or the first one only */
	uint32_t n;
};

struct rig {
	struct shop shop;
	struct rng rng;
	struct twin before;
	struct twin after; /* the operation is done */
	uint64_t *kept;	   /* the region before it */
	uint64_t n_kills;
	uint64_t n_kills_adopting;
	uint64_t n_refused;
};

/* ---- The operations. ---- */

/* Returns what the operation says; it also says it by exit. */
static int op_run(struct shop *s, const struct op *op)
{
	const struct shop_item *it = op->items;
	uint32_t bad;

	switch (op->what) {
	case APPLY:
		return shop_apply(s, it, op->n, &bad);
	case SETTLE:
		change_settle(s->log, change_mark(s->log), op->n);
		return 0;
	case SET:
		return shop_set(s, it->table, (uint32_t)it->key[0],
				it->value[0]);
	case DEL:
		return shop_del(s, it->table, (uint32_t)it->key[0]) ? 0
								    : -ENOENT;
	}
	return 0;
}

static void op_random(struct rig *r, struct op *op)
{
	uint32_t what = rng_below(&r->rng, 10);

	if (what < 5 && twin_has_room(&r->before)) {
		op->what = APPLY;
		op->n = random_set(&r->rng, &r->before, op->items, SET_MAX);
	} else if (what < 8) {
		op->what = SETTLE;
		op->n = 1 + rng_below(&r->rng, 2 * SET_MAX);
	} else {
		op->what = what == 8 ? SET : DEL;
		op->n = 1;
		op->items[0] = random_item(&r->rng);
	}
}

/* What is true once an operation has said err. */
static void op_expect(struct rig *r, const struct op *op, int err)
{
	const struct shop_item *it = op->items;
	struct twin *t = &r->after;
	uint32_t bad;

	*t = r->before;
	if (op->what == SETTLE)
		twin_settle(t, op->n < t->n_steps ? op->n : t->n_steps);
	if (err)
		return;
	if (op->what == APPLY)
		CHECK_EQ(twin_apply(t, it, op->n, &bad), 0);
	if (op->what == SET || op->what == DEL)
		twin_single(t, it->table, (uint32_t)it->key[0],
			    op->what == SET ? it->value[0] : 0);
}

/* ---- What readers see. ---- */

/* May a reader of that version see this? */
static bool may_see(struct rig *r, uint32_t version, uint32_t table,
		    uint32_t key, uint64_t value)
{
	if (value == world_at(&r->after, version)->values[table][key])
		return true;
	return version != r->before.version + 1 &&
	       value == world_at(&r->before, version)->values[table][key];
}

static uint32_t wrong_at(struct rig *r, const struct shop *s, uint32_t version)
{
	uint32_t n = 0;

	for (uint32_t table = 0; table < SHOP_TABLES; table++)
		for (uint32_t i = 0; i < N_KEYS; i++)
			n += !may_see(r, version, table, i,
				      shop_get(s, version, table, i));
	return n;
}

/*
 * Who works with an older version than those that hold, for want of a section,
 * finds for each key what it was in that version or in a newer one. So it is
 * until somebody adopts.
 */
static void stale_readers_find_something(struct rig *r, const struct shop *s)
{
	uint32_t now = shop_version(s), n_wrong = 0;
	uint32_t from = now - FIRST < STALE_MAX ? FIRST : now - STALE_MAX;

	for (uint32_t v = from; v < s->region->head->settling; v++) {
		for (uint32_t i = 0; i < SHOP_TABLES * N_KEYS; i++) {
			uint32_t table = i / N_KEYS, key = i % N_KEYS, u = v;
			uint64_t value = shop_get(s, v, table, key);

			while (u != now + 1 &&
			       !may_see(r, u, table, key, value))
				u++;
			n_wrong += u == now + 1;
		}
	}
	CHECK_EQ(n_wrong, 0);
}

/* Readers of every version that holds are served. */
static void readers_are_served(struct rig *r, const struct shop *s)
{
	uint32_t now = shop_version(s);
	uint32_t from = s->region->head->settling;

	CHECK(now == r->before.version || now == r->after.version);
	for (uint32_t v = from; v != now + 1; v++)
		CHECK_EQ(wrong_at(r, s, v), 0);
}

/* Every entry is live or dead, and each live one lies in one slot. */
static void tables_are_tidy(const struct shop *s)
{
	for (uint32_t i = 0; i < SHOP_TABLES; i++) {
		const struct sluice_exact_view *v =
			table_exact_view(s->tables[i]);
		uint32_t n_slots = 0, n_live = 0, n_unsettled = 0;

		for (uint32_t j = 0; j < v->n_buckets * SLUICE_BUCKET_SLOTS;
		     j++)
			n_slots += v->buckets[j] != 0;
		for (uint32_t j = 0; j < v->n_entries; j++) {
			const uint64_t *head =
				(uint64_t *)sluice_exact_entry(v, j);
			uint32_t state = sluice_head_state(*head);

			n_live += state == SLUICE_ENTRY_LIVE;
			n_unsettled += state >= SLUICE_ENTRY_BORN;
		}
		CHECK_EQ(n_unsettled, 0);
		CHECK_EQ(n_slots, n_live);
		CHECK_EQ(table_exact_n_used(s->tables[i]), n_live);
		CHECK_EQ(v->table->n_used, n_live);
	}
}

/* The next set over what was adopted becomes true, in all tables. */
static void tables_are_usable(struct rig *r, struct shop *s)
{
	struct shop_item items[2 * 8];
	uint32_t version = shop_version(s), bad;

	for (uint32_t i = 0; i < 16; i++)
		items[i] = shop_item(i % 2, CHANGE_SET, i / 2 * 7,
				     rng_next(&r->rng) | 2);
	CHECK_EQ(shop_apply(s, items, 16, &bad), 0);
	for (uint32_t i = 0; i < 16; i++) {
		uint32_t key = (uint32_t)items[i].key[0];

		CHECK_EQ(shop_get(s, version + 1, i % 2, key),
			 items[i].value[0]);
		CHECK(may_see(r, version, i % 2, key,
			      shop_get(s, version, i % 2, key)));
	}
	CHECK_EQ(shop_settle_all(s), 16);
	tables_are_tidy(s);
}

/* ---- Killing. ---- */

static void keep(const struct rig *r, uint64_t *to)
{
	memcpy(to, r->shop.region->head, r->shop.region->len);
}

static void put_back(const struct rig *r, const uint64_t *from)
{
	memcpy(r->shop.region->head, from, r->shop.region->len);
}

/* Does an operation, or adopts, in a child. True: it was killed on the way. */
static bool killed(struct rig *r, const struct op *op, int64_t at, int *err)
{
	pid_t pid = kill_fork(at);
	bool is_killed;
	int code;

	if (pid == 0) {
		int said = 0;

		if (op)
			said = op_run(&r->shop, op);
		else
			shop_adopt(&r->shop);
		_exit(-said);
	}
	is_killed = kill_wait(pid, &code);
	if (!is_killed)
		*err = -code;
	return is_killed;
}

/* What a killed writer left: seen by readers, adopted, used. */
static void left_is_whole(struct rig *r)
{
	struct shop heir = {.region = r->shop.region};
	uint32_t version = shop_version(&r->shop);

	readers_are_served(r, &r->shop);
	shop_adopt(&heir);
	CHECK_EQ(shop_version(&heir), version);
	CHECK(!sluice_version_holds(heir.region->head, version - 1));
	readers_are_served(r, &heir);
	tables_are_tidy(&heir);
	tables_are_usable(r, &heir);
	shop_leave(&heir);
}

/* The same when the one who adopts is killed as well, at each of its stores. */
static void left_is_whole_twice(struct rig *r)
{
	uint64_t *left = malloc(r->shop.region->len);
	int err;

	must(left);
	keep(r, left);
	left_is_whole(r);
	for (int64_t at = 0;; at++) {
		put_back(r, left);
		if (!killed(r, NULL, at, &err))
			break;
		r->n_kills_adopting++;
		left_is_whole(r);
	}
	free(left);
}

static void step(struct rig *r, const struct op *op)
{
	int err = 0;

	/* What it says when it is not killed. */
	keep(r, r->kept);
	must(!killed(r, op, -1, &err));
	put_back(r, r->kept);
	op_expect(r, op, err);
	r->n_refused += op->what == APPLY && err;
	for (int64_t at = 0; killed(r, op, at, &err); at++) {
		stale_readers_find_something(r, &r->shop);
		if (r->n_kills++ % TWICE_EVERY)
			left_is_whole(r);
		else
			left_is_whole_twice(r);
		put_back(r, r->kept);
	}
	put_back(r, r->kept);
	CHECK_EQ(op_run(&r->shop, op), err);
	r->before = r->after;
	readers_are_served(r, &r->shop);
	for (uint32_t i = 0; i < SHOP_TABLES; i++)
		table_exact_reclaim(r->shop.tables[i],
				    table_exact_mark(r->shop.tables[i]));
}

static void a_killed_writer_leaves_all_of_a_set_or_nothing(void)
{
	static const uint32_t n_max[SHOP_TABLES] = {500, 300, 50};
	static struct rig r;
	struct op op;

	memset(&r, 0, sizeof(r));
	r.rng = rng_of(test_seed());
	shop_init(&r.shop, n_max, FIRST);
	r.kept = malloc(r.shop.region->len);
	must(r.kept);
	memcpy(r.before.n_max, n_max, sizeof(n_max));
	r.before.version = r.before.settling = FIRST;
	for (uint32_t i = 0; i < SHOP_TABLES * N_KEYS; i++) {
		uint64_t v = rng_next(&r.rng) | 2;

		if (i % 6 && !shop_set(&r.shop, i / N_KEYS, i % N_KEYS, v))
			twin_single(&r.before, i / N_KEYS, i % N_KEYS, v);
	}
	for (uint32_t i = 0; i < N_STEPS; i++) {
		op_random(&r, &op);
		step(&r, &op);
	}
	printf("# %llu writers killed in %u operations (%llu sets refused), "
	       "and "
	       "%llu who adopted\n",
	       (unsigned long long)r.n_kills, N_STEPS,
	       (unsigned long long)r.n_refused,
	       (unsigned long long)r.n_kills_adopting);
	CHECK(r.n_kills > 5ull * N_STEPS);
	free(r.kept);
	shop_fini(&r.shop);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(a_killed_writer_leaves_all_of_a_set_or_nothing);
	return test_done();
}
