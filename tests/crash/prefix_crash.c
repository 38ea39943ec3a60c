/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer of a table of routes is killed at every one of its stores.
 *
 * As tests/crash/exact_crash.c: before each operation the region's bytes are
 * kept; then, for its 1st, 2nd, .. store, a forked writer does it and is killed by
 * SIGKILL right before that store. We look at what it left as readers do, adopt
 * it, look again, and put the bytes back. The one who adopts is killed at each
 * of its stores likewise; of those stores some are drawn, others in each run,
 * for a table is mended by thousands. An operation is a route that comes, goes or is
 * replaced, or a change set with all its steps. Here the table is compiled with
 * -DSLUICE_CRASH.
 */
#include <signal.h>

#include "table/prefix_twin_fake.h"
#include "tests/crash/kill.h"

#define N_WANT 40u
#define N_STEPS 30u /* in each family */
#define N_PROBES 48u
#define ITEMS_MAX 4u

enum what { SET, DEL, CHANGES };

struct op {
	enum what what;
	uint32_t n;
	struct sluice_prefix_key keys[ITEMS_MAX];
	enum change_kind kinds[ITEMS_MAX];
	uint64_t value;
};

struct rig {
	struct fixture f;
	struct twin twin;
	struct twin next; /* after the operation */
	struct sluice_addr probes[N_PROBES];
	uint64_t kept[(1 << 18) / 8]; /* the region before the operation */
	uint64_t n_kills;
};

static void keep(struct rig *r)
{
	must(r->f.region->len <= sizeof(r->kept));
	memcpy(r->kept, r->f.region->head, r->f.region->len);
}

static void put_back(struct rig *r)
{
	memcpy(r->f.region->head, r->kept, r->f.region->len);
}

/* ---- The operations. ---- */

static bool is_new_key(const struct op *op, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!memcmp(&op->keys[i], &op->keys[n], sizeof(op->keys[n])))
			return false;
	return true;
}

static void op_random(struct rig *r, struct rng *rng, struct op *op)
{
	op->what = (enum what)rng_below(rng, 3);
	if (op->what == DEL && r->twin.n < N_WANT / 2)
		op->what = SET;
	if (op->what == SET && r->twin.n > N_WANT)
		op->what = DEL;
	op->n = op->what == CHANGES ? 1 + rng_below(rng, ITEMS_MAX) : 1;
	op->value = rng_next(rng) | 2;
	for (uint32_t i = 0; i < op->n;) {
		bool is_there;

		op->keys[i] =
			r->twin.n && rng_below(rng, 2)
				? r->twin.routes[rng_below(rng, r->twin.n)].key
				: random_key(rng, r->f.conf.key_bits);
		is_there = twin_exact(&r->twin, &op->keys[i]);
		op->kinds[i] = !is_there || rng_below(rng, 2) ? CHANGE_SET
							      : CHANGE_DEL;
		if (op->what == DEL && !is_there)
			continue;
		i += is_new_key(op, i);
	}
}

/* Prepares all, makes it true, settles it. */
static void run_set(const struct rig *r, const struct op *op)
{
	struct change_table *ct = table_prefix_change(r->f.table);
	uint32_t version = r->f.region->head->version + 1;
	uint64_t value[2] = {op->value, ~op->value};
	struct change_step steps[ITEMS_MAX];

	for (uint32_t i = 0; i < op->n; i++) {
		struct change_item item = {ct, op->kinds[i], &op->keys[i],
					   value};

		must(!ct->ops->prepare(ct, &item, version, &steps[i], NULL));
	}
	/* Sometimes it is taken back: another set of stores. */
	if (op->value % 4 == 3) {
		for (uint32_t i = op->n; i-- > 0;)
			ct->ops->undo(ct, &steps[i]);
		return;
	}
	crash_point();
	region_version_set(r->f.region, version);
	for (uint32_t i = 0; i < op->n; i++)
		ct->ops->settle(ct, &steps[i]);
}

static void op_run(struct rig *r, const struct op *op)
{
	switch (op->what) {
	case SET:
		must(!set(&r->f, &op->keys[0], op->value));
		break;
	case DEL:
		must(!table_prefix_del(r->f.table, &op->keys[0]));
		break;
	case CHANGES:
		run_set(r, op);
		break;
	}
}

/* What is to be stored afterwards. */
static void op_expect(struct rig *r, const struct op *op)
{
	r->next = r->twin;
	if (op->what == CHANGES && op->value % 4 == 3)
		return;
	for (uint32_t i = 0; i < op->n; i++)
		if (op->what == SET ||
		    (op->what == CHANGES && op->kinds[i] == CHANGE_SET))
			twin_set(&r->next, &op->keys[i], op->value);
		else
			twin_del(&r->next, &op->keys[i]);
}

/* ---- Survivors. ---- */

/*
 * Every address has its old answer or its new one. Those of a set all have the
 * one that the version says, and so has everything once it was adopted.
 */
static void readers_are_served(struct rig *r, bool all_alike)
{
	uint32_t version = r->f.region->head->version;
	uint32_t n_old = 0, n_new = 0, n_wrong = 0;

	for (uint32_t i = 0; i < N_PROBES; i++) {
		uint64_t old = twin_find(&r->twin, r->probes[i]);
		uint64_t new = twin_find(&r->next, r->probes[i]);
		uint64_t seen = find_at(&r->f, r->probes[i], version);

		n_wrong += seen != old && seen != new;
		n_old += seen != new;
		n_new += seen != old;
	}
	CHECK_EQ(n_wrong, 0);
	CHECK(!all_alike || !n_old || !n_new);
}

static void adopt(struct rig *r)
{
	table_prefix_free(r->f.table);
	r->f.table = NULL;
	must(!table_prefix_adopt(r->f.region, r->f.conf.kind, &r->f.table,
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

static void empty_it(struct rig *r)
{
	for (uint32_t i = 0; i < r->twin.n; i++)
		(void)!table_prefix_del(r->f.table, &r->twin.routes[i].key);
	for (uint32_t i = 0; i < r->next.n; i++)
		(void)!table_prefix_del(r->f.table, &r->next.routes[i].key);
	CHECK_EQ(table_prefix_n_used(r->f.table), 0);
	CHECK_EQ(table_prefix_n_nodes_used(r->f.table), 0);
}

/* What a killed writer left: seen by readers, adopted, used. */
static void left_is_whole(struct rig *r, const struct op *op)
{
	struct table_prefix *mine = r->f.table;

	readers_are_served(r, op->what == CHANGES);
	r->f.table = NULL;
	adopt(r);
	readers_are_served(r, true);
	CHECK_EQ(n_faults(&r->f), 0);
	empty_it(r);
	table_prefix_free(r->f.table);
	r->f.table = mine;
}

/* The same when the one who adopts is killed as well, at each of its stores. */
static void left_is_whole_twice(struct rig *r, struct rng *rng,
				const struct op *op)
{
	static uint64_t left[ARRAY_LEN(r->kept)];

	memcpy(left, r->f.region->head, r->f.region->len);
	left_is_whole(r, op);
	for (int64_t at = rng_below(rng, 40);; at += 1 + rng_below(rng, 150)) {
		memcpy(r->f.region->head, left, r->f.region->len);
		if (!killed(r, NULL, at))
			break;
		left_is_whole(r, op);
	}
}

static void op_finish(struct rig *r, const struct op *op)
{
	op_run(r, op);
	r->twin = r->next;
	readers_are_served(r, true);
	CHECK_EQ(n_faults(&r->f), 0);
	table_prefix_reclaim(r->f.table, table_prefix_mark(r->f.table));
}

static void step(struct rig *r, struct rng *rng, const struct op *op)
{
	op_expect(r, op);
	for (uint32_t i = 0; i < N_PROBES; i++)
		r->probes[i] = probe_addr(rng, r->f.conf.key_bits,
					  i % 2 ? &r->twin : &r->next);
	for (uint32_t i = 0; i < op->n; i++)
		r->probes[i] = op->keys[i].addr;
	keep(r);
	for (int64_t at = rng_below(rng, 3); killed(r, op, at);
	     at += 1 + rng_below(rng, 8)) {
		left_is_whole_twice(r, rng, op);
		put_back(r);
	}
	put_back(r);
	op_finish(r, op);
}

static void killed_in(uint32_t key_bits)
{
	struct rng rng = rng_of(test_seed() + key_bits);
	static struct rig r;
	struct op op;

	memset(&r, 0, sizeof(r));
	fixture_init(&r.f, key_bits, 8, N_WANT * 2);
	for (uint32_t i = 0; i < 10 * N_WANT; i++) {
		op_random(&r, &rng, &op);
		op_expect(&r, &op);
		op_finish(&r, &op);
	}
	for (uint32_t i = 0; i < N_STEPS; i++) {
		op_random(&r, &rng, &op);
		step(&r, &rng, &op);
	}
	printf("# %llu writers killed in %u operations\n",
	       (unsigned long long)r.n_kills, N_STEPS);
	CHECK(r.n_kills > 10ull * N_STEPS);
	fixture_fini(&r.f);
}

static void a_killed_writer_leaves_every_route_of_ip4(void)
{
	killed_in(32);
}

static void a_killed_writer_leaves_every_route_of_ip6(void)
{
	killed_in(128);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(a_killed_writer_leaves_every_route_of_ip4);
	TEST(a_killed_writer_leaves_every_route_of_ip6);
	return test_done();
}
