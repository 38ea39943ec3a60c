/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact table's writer is killed at every one of its stores.
 *
 * A script of random operations runs on a table whose keys all belong into a few
 * of its buckets, so that these are full to the brim and keys are moved often.
 * Before each operation the region's bytes are kept; then, for its 1st, 2nd, .. store, a
 * forked writer does the operation and is killed by SIGKILL right before that
 * store. We, the survivor, look at what it left as readers do, adopt it, look
 * again, and put the bytes back. The adopting writer is killed at each of its
 * stores likewise. Here the table is compiled with -DSLUICE_CRASH.
 */
#include <signal.h>

#include "base/must.h"
#include "base/rng.h"
#include "base/test.h"
#include "sluice/exact_pipe.h"
#include "table/exact.h"
#include "tests/crash/kill.h"

#define N_MAX 490u
#define N_CROWDED 24u /* buckets, of 66, that the keys belong into */
#define N_KEYS 220u   /* for their 192 slots */
#define N_STEPS 500u
#define KEY_WORDS 2u

enum what { SET, DEL };

/* One operation: the same thing to n keys, as a batch if there are several. */
struct op {
	enum what what;
	uint32_t n;
	uint32_t keys[TABLE_EXACT_BATCH]; /* numbers, all different */
	uint64_t value;
};

struct rig {
	struct region *region;
	struct table_exact *table;
	uint64_t kept[(1 << 16) / 8]; /* the region before the operation */
	uint64_t keys[N_KEYS][KEY_WORDS];
	uint64_t values[N_KEYS]; /* what is stored, 0: nothing */
	uint64_t may_be[N_KEYS]; /* what may be stored instead */
	uint64_t n_kills;
	uint64_t n_moves;
};

static void key_of(uint64_t *key, uint32_t number)
{
	key[0] = number;
	key[1] = ~(uint64_t)number;
}

/* Takes the first numbers whose keys belong into the crowded buckets. */
static void choose_keys(struct rig *r)
{
	const struct sluice_exact_view *v = table_exact_view(r->table);
	uint32_t number = 0;

	for (uint32_t i = 0; i < N_KEYS; number++) {
		uint32_t hash;

		key_of(r->keys[i], number);
		hash = sluice_exact_hash(v->table->hash_keys, r->keys[i],
					 sizeof(r->keys[i]));
		i += sluice_exact_bucket1(hash, v->n_buckets) < N_CROWDED &&
		     sluice_exact_bucket2(hash, v->n_buckets) < N_CROWDED;
	}
}

static void rig_init(struct rig *r)
{
	struct table_exact_conf conf = {
		.name = "flows",
		.kind = SLUICE_TABLE_FLOWS,
		.n_max = N_MAX,
		.key_len = KEY_WORDS * 8,
		.value_len = 16,
		.seed = test_seed(),
	};

	memset(r, 0, sizeof(*r));
	must(!region_new_memfd("crash", 1 << 16, false, &r->region, NULL));
	must(r->region->len <= sizeof(r->kept));
	must(!table_exact_new(r->region, &conf, &r->table, NULL));
	choose_keys(r);
}

static void rig_fini(struct rig *r)
{
	table_exact_free(r->table);
	region_free(r->region);
}

static void keep(struct rig *r)
{
	memcpy(r->kept, r->region->head, r->region->len);
}

static void put_back(struct rig *r)
{
	memcpy(r->region->head, r->kept, r->region->len);
}

/* ---- The operations. ---- */

static void op_random(struct rig *r, struct rng *rng, struct op *op)
{
	uint32_t n_used = table_exact_n_used(r->table);
	uint32_t first = rng_below(rng, N_KEYS);

	op->what = n_used < N_CROWDED * SLUICE_BUCKET_SLOTS - 2 ||
				   rng_below(rng, 2)
			   ? SET
			   : DEL;
	op->n = rng_below(rng, 8) ? 1 : 2 + rng_below(rng, 6);
	op->value = rng_next(rng) | 1;
	for (uint32_t i = 0; i < op->n; i++)
		op->keys[i] = (first + i * 11) % N_KEYS;
}

static void op_run(const struct rig *r, const struct op *op)
{
	struct table_exact *t = r->table;
	uint64_t keys[TABLE_EXACT_BATCH][KEY_WORDS];
	uint64_t values[TABLE_EXACT_BATCH][2];

	for (uint32_t i = 0; i < op->n; i++) {
		memcpy(keys[i], r->keys[op->keys[i]], sizeof(keys[i]));
		values[i][0] = op->value + i;
		values[i][1] = ~(op->value + i);
	}
	if (op->what == DEL) {
		if (op->n == 1)
			(void)table_exact_del(t, keys[0]);
		else
			(void)table_exact_del_batch(t, keys, op->n);
	} else if (op->n == 1) {
		if (table_exact_set(t, keys[0], values[0], NULL))
			return; /* full */
	} else if (table_exact_set_batch(t, keys, values, op->n) < op->n) {
		return;
	}
}

/* ---- What a reader sees. ---- */

/* The value of key i; 0: none; 1: broken. */
static uint64_t seen(const struct rig *r, uint32_t i)
{
	const struct sluice_exact_view *v = table_exact_view(r->table);
	const uint64_t *key = r->keys[i];
	struct sluice_exact_answers a;
	uint64_t value[2] = {0, ~0ull};
	enum sluice_found f;

	f = sluice_exact_get(v, 1, key, KEY_WORDS * 8, value);
	sluice_exact_find_batch(v, 1, key, 1, &a);
	if (f == SLUICE_BUSY || a.busy || (f == SLUICE_YES) != a.yes ||
	    value[1] != ~value[0])
		return 1;
	return f == SLUICE_YES ? value[0] : 0;
}

/* Each key has its value, or what the operation gives it. */
static void readers_are_served(const struct rig *r)
{
	for (uint32_t i = 0; i < N_KEYS; i++) {
		uint64_t value = seen(r, i);

		if (value != r->values[i] && value != r->may_be[i]) {
			CHECK_EQ(value, r->values[i]);
			return;
		}
	}
}

/* Every live entry lies in one slot, and they are as many as is said. */
static void table_is_tidy(const struct rig *r)
{
	const struct sluice_exact_view *v = table_exact_view(r->table);
	uint32_t n_slots = 0;
	uint32_t n_live = 0;
	uint32_t n_stored = 0;

	for (uint32_t i = 0; i < v->n_buckets * SLUICE_BUCKET_SLOTS; i++)
		n_slots += v->buckets[i] != 0;
	for (uint32_t i = 0; i < v->n_entries; i++)
		n_live += *sluice_exact_entry(v, i) & 1;
	for (uint32_t i = 0; i < N_KEYS; i++)
		n_stored += seen(r, i) != 0;
	CHECK_EQ(n_slots, n_live);
	CHECK_EQ(n_stored, n_live);
	CHECK_EQ(table_exact_n_used(r->table), n_live);
	CHECK_EQ(v->table->n_used, n_live);
}

/* It can be emptied, takes n_max keys and no more. */
static void table_is_usable(struct rig *r)
{
	uint64_t value[2] = {3, ~3ull};
	uint64_t key[KEY_WORDS];
	uint32_t n_used = table_exact_n_used(r->table);

	for (uint32_t i = 0; i < N_KEYS; i++)
		n_used -= table_exact_del(r->table, r->keys[i]);
	CHECK_EQ(n_used, 0);
	CHECK_EQ(table_exact_n_used(r->table), 0);
	table_exact_reclaim(r->table, table_exact_mark(r->table));
	for (uint32_t i = 0; i < N_MAX + 1; i++) {
		key_of(key, i);
		n_used += !table_exact_set(r->table, key, value, NULL);
	}
	CHECK_EQ(n_used, N_MAX);
}

/* ---- Killing. ---- */

static void adopt(struct rig *r)
{
	table_exact_free(r->table);
	r->table = NULL;
	must(!table_exact_adopt(r->region, SLUICE_TABLE_FLOWS, &r->table,
				NULL));
}

/* Does an operation, or adopts, in a child. True: it was killed on the way. */
static bool killed(struct rig *r, const struct op *op, int64_t at)
{
	pid_t pid = kill_fork(at);
	bool is_killed;
	int code;

	if (pid == 0) {
		if (op)
			op_run(r, op);
		else
			adopt(r);
		_exit(0);
	}
	is_killed = kill_wait(pid, &code);
	must(code == 0);
	r->n_kills += is_killed;
	return is_killed;
}

/* What a killed writer left: seen by readers, adopted, used. */
static void left_is_whole(struct rig *r)
{
	struct table_exact *mine = r->table;

	readers_are_served(r);
	r->table = NULL;
	adopt(r);
	readers_are_served(r);
	table_is_tidy(r);
	table_is_usable(r);
	table_exact_free(r->table);
	r->table = mine;
}

/* The same when the one who adopts is killed as well, at each of its stores. */
static void left_is_whole_twice(struct rig *r)
{
	static uint64_t left[ARRAY_LEN(r->kept)];

	memcpy(left, r->region->head, r->region->len);
	left_is_whole(r);
	for (int64_t at = 0;; at++) {
		memcpy(r->region->head, left, r->region->len);
		if (!killed(r, NULL, at))
			break;
		left_is_whole(r);
	}
}

static uint64_t n_changes(const struct rig *r)
{
	return table_exact_view(r->table)->table->n_changes;
}

/* Does the operation, alive, and notes what is stored now. */
static void op_finish(struct rig *r, const struct op *op)
{
	uint32_t n_resting = table_exact_n_resting(r->table);
	uint64_t before = n_changes(r);

	op_run(r, op);
	readers_are_served(r);
	table_is_tidy(r);
	for (uint32_t i = 0; i < N_KEYS; i++)
		r->values[i] = seen(r, i);
	/* Each entry that died was a change; the other changes are moves. */
	r->n_moves += n_changes(r) - before + n_resting -
		      table_exact_n_resting(r->table);
	table_exact_reclaim(r->table, table_exact_mark(r->table));
}

/* What may be seen while the operation is under way, or cut. */
static void op_expect(struct rig *r, const struct op *op)
{
	memcpy(r->may_be, r->values, sizeof(r->may_be));
	for (uint32_t i = 0; i < op->n; i++)
		r->may_be[op->keys[i]] = op->what == SET ? op->value + i : 0;
}

static void step(struct rig *r, const struct op *op)
{
	op_expect(r, op);
	keep(r);
	for (int64_t at = 0; killed(r, op, at); at++) {
		left_is_whole_twice(r);
		put_back(r);
	}
	put_back(r);
	op_finish(r, op);
}

static void a_killed_writer_leaves_every_key(void)
{
	struct rng rng = rng_of(test_seed());
	static struct rig r;
	struct op op;

	rig_init(&r);
	for (uint32_t i = 0; i < 10 * N_KEYS; i++) {
		op_random(&r, &rng, &op);
		op_expect(&r, &op);
		op_finish(&r, &op);
	}
	r.n_moves = 0;
	for (uint32_t i = 0; i < N_STEPS; i++) {
		op_random(&r, &rng, &op);
		step(&r, &op);
	}
	printf("# %llu writers killed in %u operations with %llu moves\n",
	       (unsigned long long)r.n_kills, N_STEPS,
	       (unsigned long long)r.n_moves);
	CHECK(r.n_kills > 5ull * N_STEPS);
	CHECK(r.n_moves > N_STEPS / 20);
	rig_fini(&r);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(a_killed_writer_leaves_every_key);
	return test_done();
}
