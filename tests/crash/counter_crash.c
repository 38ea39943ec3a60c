/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who gives out counters is killed at every one of its stores.
 *
 * Numbers are given out, counted under in every lane, and given back, again and
 * again, so that nearly each had an owner before. Before each operation the
 * region's bytes are kept; then, for its 1st, 2nd, .. store, a forked writer
 * does it and is killed right before that store. We look at what it left as
 * readers do, adopt it with the numbers that have owners, see that each of
 * these has its counts and every other number starts at zero, and put the bytes
 * back. Who adopts is killed at each of its stores likewise. Here the table is
 * compiled with -DSLUICE_CRASH.
 */

#include "base/must.h"
#include "base/rng.h"
#include "base/test.h"
#include "table/counter.h"
#include "tests/crash/kill.h"

#define N_MAX 12u
#define N_LANES 3u
#define N_STEPS 400u

struct rig {
	struct region *region;
	struct table_counter *table;
	uint64_t kept[(1 << 13) / 8]; /* the region before the operation */
	uint64_t packets[N_MAX + 1];  /* what is counted; bytes: thrice */
	bool owned[N_MAX + 1];	      /* an entry somewhere names it */
	struct sluice_counter_lane lanes[N_LANES];
	uint64_t now_ns;
	uint64_t n_kills;
	uint64_t n_reused;
};

static const struct table_counter_conf conf = {
	.name = "counters",
	.kind = SLUICE_TABLE_COUNTERS,
	.n_max = N_MAX,
	.n_lanes = N_LANES,
};

static void rig_init(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	must(!region_new_memfd("crash", sizeof(r->kept), false, &r->region,
			       NULL));
	must(r->region->len <= sizeof(r->kept));
	must(!table_counter_new(r->region, &conf, &r->table, NULL));
	for (uint32_t i = 0; i < N_LANES; i++)
		r->lanes[i] =
			sluice_counter_lane(table_counter_view(r->table), i);
}

static void rig_fini(struct rig *r)
{
	table_counter_free(r->table);
	region_free(r->region);
}

/* 0: give one out; else the number that is given back. */
static void op_run(struct rig *r, uint32_t no)
{
	uint32_t got;

	if (no)
		must(table_counter_release(r->table, no));
	else if (table_counter_alloc(r->table, r->now_ns, &got))
		return; /* none is free */
}

static void count(struct rig *r, uint32_t no, uint64_t packets)
{
	for (uint32_t i = 0; i < N_LANES; i++)
		sluice_counter_add(&r->lanes[i], no, packets + i,
				   3 * (packets + i), r->now_ns);
	r->packets[no] += N_LANES * packets + N_LANES * (N_LANES - 1) / 2;
}

/* ---- What is seen. ---- */

static void owners_have_their_counts(const struct rig *r)
{
	struct sluice_counter_sum sum;

	for (uint32_t no = 1; no <= N_MAX; no++) {
		if (!r->owned[no])
			continue;
		CHECK(sluice_counter_get(table_counter_view(r->table), no,
					 &sum));
		CHECK_EQ(sum.packets, r->packets[no]);
		CHECK_EQ(sum.bytes, 3 * r->packets[no]);
	}
}

/* Who reads a number that is nobody's reads nothing, or all of a new one. */
static void nobody_has_no_counts(const struct rig *r)
{
	struct sluice_counter_sum sum;

	for (uint32_t no = 1; no <= N_MAX; no++) {
		if (r->owned[no])
			continue;
		sluice_counter_get(table_counter_view(r->table), no, &sum);
		if (sum.packets == r->packets[no] &&
		    sum.bytes == 3 * r->packets[no])
			continue; /* not yet taken back */
		CHECK_EQ(sum.packets, 0);
		CHECK_EQ(sum.bytes, 0);
	}
}

static void adopt(struct rig *r)
{
	table_counter_free(r->table);
	r->table = NULL;
	must(!table_counter_adopt(r->region, conf.kind, &r->table, NULL));
	for (uint32_t no = 1; no <= N_MAX; no++)
		if (r->owned[no])
			CHECK_EQ(table_counter_take(r->table, no), 0);
	table_counter_settle(r->table);
}

/* Every number that has no owner can be had, and starts at zero. */
static void the_rest_starts_at_zero(struct rig *r)
{
	struct sluice_counter_sum sum;
	uint32_t n = 0, no;

	for (uint32_t i = 1; i <= N_MAX; i++)
		n += !r->owned[i];
	table_counter_reclaim(r->table, table_counter_mark(r->table));
	for (; n; n--) {
		CHECK_EQ(table_counter_alloc(r->table, 1ull << 40, &no), 0);
		CHECK(!r->owned[no]);
		CHECK(sluice_counter_get(table_counter_view(r->table), no,
					 &sum));
		CHECK_EQ(sum.packets, 0);
		CHECK_EQ(sum.bytes, 0);
		CHECK_EQ(sum.used_ns, 1ull << 40);
	}
	CHECK(table_counter_alloc(r->table, 1, &no));
}

/* ---- Killing. ---- */

enum { ADOPT = UINT32_MAX };

/* Does an operation, or adopts, in a child. True: it was killed on the way. */
static bool killed(struct rig *r, uint32_t op, int64_t at)
{
	pid_t pid = kill_fork(at);
	bool is_killed;
	int code;

	if (pid == 0) {
		if (op == ADOPT)
			adopt(r);
		else
			op_run(r, op);
		_exit(0);
	}
	is_killed = kill_wait(pid, &code);
	must(code == 0);
	r->n_kills += is_killed;
	return is_killed;
}

static void left_is_whole(struct rig *r)
{
	struct table_counter *mine = r->table;

	owners_have_their_counts(r);
	nobody_has_no_counts(r);
	r->table = NULL;
	adopt(r);
	owners_have_their_counts(r);
	the_rest_starts_at_zero(r);
	owners_have_their_counts(r);
	table_counter_free(r->table);
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
		if (!killed(r, ADOPT, at))
			break;
		left_is_whole(r);
	}
}

static void step(struct rig *r, uint32_t op)
{
	uint32_t no;

	/* An owner's entry is gone before its number is given back. */
	if (op)
		r->owned[op] = false;
	memcpy(r->kept, r->region->head, r->region->len);
	for (int64_t at = 0; killed(r, op, at); at++) {
		left_is_whole_twice(r);
		memcpy(r->region->head, r->kept, r->region->len);
	}
	memcpy(r->region->head, r->kept, r->region->len);
	if (op) {
		must(table_counter_release(r->table, op));
		/* A packet that was under way counts yet. */
		count(r, op, 1);
	} else if (!table_counter_alloc(r->table, r->now_ns, &no)) {
		r->n_reused += r->packets[no] > 0;
		r->owned[no] = true;
		r->packets[no] = 0;
	}
	owners_have_their_counts(r);
}

static void a_killed_writer_leaves_every_count(void)
{
	struct rng rng = rng_of(test_seed());
	static struct rig r;

	rig_init(&r);
	for (uint32_t i = 0; i < N_STEPS; i++) {
		uint32_t no = 1 + rng_below(&rng, N_MAX);

		r.now_ns++;
		step(&r, r.owned[no] ? no : 0);
		no = 1 + rng_below(&rng, N_MAX);
		if (r.owned[no])
			count(&r, no, rng_below(&rng, 1000));
		if (rng_below(&rng, 4) == 0)
			table_counter_reclaim(r.table,
					      table_counter_mark(r.table));
	}
	printf("# %llu writers killed in %u operations, %llu numbers had an "
	       "owner before\n",
	       (unsigned long long)r.n_kills, N_STEPS,
	       (unsigned long long)r.n_reused);
	CHECK(r.n_kills > 2ul * N_STEPS);
	CHECK(r.n_reused > N_STEPS / 4);
	rig_fini(&r);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(a_killed_writer_leaves_every_count);
	return test_done();
}
