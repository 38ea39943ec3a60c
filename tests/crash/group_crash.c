/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer of groups, and of the heap below them, is killed at every one of its
 * stores.
 *
 * A script of random operations: single changes, change sets, settling,
 * reclaiming, tidying. Before each the region's bytes are kept; then, for its
 * 1st, 2nd, .. store, a forked writer does it and is killed by SIGKILL right
 * before that store. We, the survivor, look at what it left as readers do, adopt
 * heap and groups, look again, have everything checked and used, and put the
 * bytes back. Now and then the adopting writer is killed at each of its stores
 * likewise. Here all is compiled with -DSLUICE_CRASH.
 */
#include <signal.h>

#include "sluice/fsck.h"
#include "table/group_fake.h"
#include "tests/crash/kill.h"

#define N_MAX 40u
#define N_IDS 6u
#define N_PAGES 8u
#define N_STEPS 100u
#define N_ITEMS 3u
#define LEN_MAX (512u << 10)

enum what { SINGLE, SET, SETTLE, RECLAIM, TIDY };

struct item {
	uint32_t id;
	uint32_t counter; /* by which the group is known; 0: it goes */
};

/* One operation, its items all of different ids. */
struct op {
	enum what what;
	uint32_t n;
	struct item items[N_ITEMS];
};

struct rig {
	struct fixture f;
	uint8_t kept[LEN_MAX];	  /* the region before the operation */
	uint32_t counters[N_IDS]; /* what is there; 0: nothing */
	uint32_t may_be[N_IDS];	  /* after the operation */
	bool unsettled[N_IDS];
	uint64_t n_kills;
	uint64_t n_twice;
};

/* ---- The operations. ---- */

/* What a group of this counter is; two buckets, sometimes a select group. */
static struct group_conf conf_for(uint32_t counter, struct group_bucket *b)
{
	struct group_conf conf =
		conf_of(counter % 5 ? SLUICE_GROUP_FF : SLUICE_GROUP_SELECT, b,
			1 + counter % 3);

	for (uint32_t i = 0; i < conf.n_buckets; i++)
		b[i] = bucket_watching(1 + (counter + i) % 63);
	conf.counter = counter;
	conf.account = counter % N_ACCOUNTS;
	return conf;
}

static void run_single(struct rig *r, const struct item *item)
{
	struct group_bucket b[3];
	struct group_conf conf = conf_for(item->counter, b);

	if (item->counter)
		must(!table_group_set(r->f.groups, item->id, &conf, NULL));
	else
		must(!table_group_del(r->f.groups, item->id, NULL));
}

static void run_set(struct rig *r, const struct op *op)
{
	struct group_bucket b[N_ITEMS][3];
	struct group_conf confs[N_ITEMS];
	struct sluice_group_key keys[N_ITEMS];
	struct change_item items[N_ITEMS];
	uint32_t bad;

	for (uint32_t i = 0; i < op->n; i++) {
		confs[i] = conf_for(op->items[i].counter, b[i]);
		keys[i] = (struct sluice_group_key){.id = op->items[i].id};
		items[i] = (struct change_item){
			.table = table_group_change(r->f.groups),
			.kind = op->items[i].counter ? CHANGE_SET : CHANGE_DEL,
			.key = &keys[i],
			.value = &confs[i],
		};
	}
	must(!change_apply(r->f.log, items, op->n, &bad, NULL));
}

static void op_run(struct rig *r, const struct op *op)
{
	switch (op->what) {
	case SINGLE:
		run_single(r, &op->items[0]);
		break;
	case SET:
		run_set(r, op);
		break;
	case SETTLE:
		change_settle(r->f.log, change_mark(r->f.log), UINT64_MAX);
		break;
	case RECLAIM:
		fixture_reclaim(&r->f);
		break;
	case TIDY:
		heap_tidy(r->f.heap, 3, fixture_move, &r->f);
		break;
	}
}

static bool any_unsettled(const struct rig *r)
{
	for (uint32_t i = 0; i < N_IDS; i++)
		if (r->unsettled[i])
			return true;
	return false;
}

/* Counters are never used twice. */
static void op_random(struct rig *r, struct rng *rng, struct op *op)
{
	static uint32_t counter;
	uint32_t first = rng_below(rng, N_IDS);

	op->n = 0;
	op->what = (enum what)rng_below(rng, 7);
	if (op->what > TIDY)
		op->what = op->what % 2 ? SINGLE : SET;
	if (op->what == SET && any_unsettled(r))
		op->what = SETTLE;
	if (op->what > SET)
		return;
	op->n = op->what == SINGLE ? 1 : 1 + rng_below(rng, N_ITEMS);
	for (uint32_t i = 0; i < op->n; i++) {
		uint32_t id = (first + i) % N_IDS;
		bool goes = r->counters[id] && rng_below(rng, 3) == 0;

		op->items[i] = (struct item){id, goes ? 0 : ++counter};
	}
}

/* ---- What a reader sees. ---- */

/* The counter of a group; 0: none. */
static uint32_t seen(const struct rig *r, uint32_t id)
{
	const struct sluice_groups_view *v = table_group_view(r->f.groups);
	struct group_bucket b[3];
	struct sluice_group_at g;
	struct group_conf conf;

	if (sluice_group_find(v, sluice_version(r->f.region->head), id, &g) !=
	    SLUICE_YES)
		return 0;
	conf = conf_for(g.body->counter, b);
	CHECK_EQ(g.id, id);
	CHECK_EQ(g.type, conf.type);
	CHECK_EQ(g.n_buckets, conf.n_buckets);
	for (uint32_t i = 0; i < g.n_buckets && i < 3; i++) {
		CHECK_EQ(g.buckets[i].act, b[i].act.w);
		CHECK_EQ(g.buckets[i].live, 1ull << b[i].watch_port);
	}
	return g.body->counter;
}

/* All of it, or nothing of it. */
static void readers_are_served(const struct rig *r)
{
	uint32_t n_old = 0, n_new = 0;

	for (uint32_t id = 0; id < N_IDS; id++) {
		uint32_t counter = seen(r, id);

		n_old += counter == r->counters[id];
		n_new += counter == r->may_be[id];
	}
	CHECK(n_old == N_IDS || n_new == N_IDS);
}

static void say(void *ctx, const struct sluice_table_desc *table,
		const char *what)
{
	(void)ctx;
	printf("# %s: %s\n", table->name, what);
}

/* is_left: what adoption has to clear up may lie about. */
static void region_is_whole(const struct rig *r, bool is_left)
{
	const struct sluice_map map = {r->f.region->head, r->f.region->len};
	struct sluice_fsck_conf conf = {.is_deep = true};
	struct sluice_fsck out;
	uint64_t writer = r->f.region->head->writer_pid;

	if (!is_left)
		conf.say = say;
	/* It is dead, and needs no second look. */
	r->f.region->head->writer_pid = 0;
	CHECK_EQ(sluice_fsck(&map, &conf, &out, NULL), 0);
	/* The count of entries, when it was killed between several. */
	CHECK(out.n_wrong <= is_left);
	CHECK(is_left || out.n_left == 0);
	r->f.region->head->writer_pid = writer;
}

/* Everything can go, leaves nothing behind, and as much fits as ever. */
static void region_is_usable(struct rig *r)
{
	struct group_bucket b[3];
	struct group_conf conf = conf_for(5, b); /* a select group */
	uint32_t n = 0;

	for (uint32_t id = 0; id < N_IDS; id++)
		if (seen(r, id))
			CHECK_EQ(table_group_del(r->f.groups, id, NULL), 0);
	fixture_reclaim(&r->f);
	CHECK_EQ(table_group_n_used(r->f.groups), 0);
	CHECK_EQ(heap_n_pages_used(r->f.heap), 0);
	for (uint32_t i = 1; i < N_ACCOUNTS; i++)
		CHECK_EQ(account_used(r->f.region, i), 0);
	while (n < N_MAX && !table_group_set(r->f.groups, n, &conf, NULL))
		n++;
	CHECK_EQ(n, N_MAX);
}

/* ---- Killing. ---- */

static void adopt(struct rig *r)
{
	fixture_come(&r->f);
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
	struct fixture mine = r->f;
	uint32_t before[N_IDS];

	readers_are_served(r);
	region_is_whole(r, true);
	for (uint32_t id = 0; id < N_IDS; id++)
		before[id] = seen(r, id);
	adopt(r);
	for (uint32_t id = 0; id < N_IDS; id++)
		CHECK_EQ(seen(r, id), before[id]);
	region_is_whole(r, false);
	region_is_usable(r);
	fixture_leave(&r->f);
	/* Its accounts count on in our memory. */
	r->f = mine;
}

static void left_is_whole_twice(struct rig *r)
{
	static uint8_t left[LEN_MAX];

	memcpy(left, r->f.region->head, r->f.region->len);
	for (int64_t at = 0;; at++) {
		memcpy(r->f.region->head, left, r->f.region->len);
		if (!killed(r, NULL, at))
			break;
		left_is_whole(r);
		r->n_twice++;
	}
}

static void op_expect(struct rig *r, const struct op *op)
{
	memcpy(r->may_be, r->counters, sizeof(r->may_be));
	for (uint32_t i = 0; i < op->n; i++)
		r->may_be[op->items[i].id] = op->items[i].counter;
}

/* Does the operation, alive. */
static void op_finish(struct rig *r, const struct op *op)
{
	account_recount(r->f.region);
	op_run(r, op);
	memcpy(r->counters, r->may_be, sizeof(r->counters));
	readers_are_served(r);
	for (uint32_t i = 0; i < op->n; i++)
		r->unsettled[op->items[i].id] = op->what == SET;
	if (op->what == SETTLE)
		memset(r->unsettled, 0, sizeof(r->unsettled));
	region_is_whole(r, false);
}

static void step(struct rig *r, const struct op *op)
{
	op_expect(r, op);
	memcpy(r->kept, r->f.region->head, r->f.region->len);
	for (int64_t at = 0; killed(r, op, at); at++) {
		if (at % 16 == 5)
			left_is_whole_twice(r);
		else
			left_is_whole(r);
		memcpy(r->f.region->head, r->kept, r->f.region->len);
	}
	memcpy(r->f.region->head, r->kept, r->f.region->len);
	op_finish(r, op);
}

static void a_killed_writer_leaves_every_group(void)
{
	struct rng rng = rng_of(test_seed());
	static struct rig r;
	struct op op;

	memset(&r, 0, sizeof(r));
	fixture_init(&r.f, N_MAX, N_PAGES);
	must(r.f.region->len <= sizeof(r.kept));
	for (uint32_t i = 0; i < N_STEPS; i++) {
		op_random(&r, &rng, &op);
		step(&r, &op);
	}
	printf("# %llu writers killed in %u operations, %llu while adopting\n",
	       (unsigned long long)r.n_kills, N_STEPS,
	       (unsigned long long)r.n_twice);
	CHECK(r.n_kills > 20ull * N_STEPS);
	CHECK(r.n_twice > N_STEPS);
	fixture_fini(&r.f);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(a_killed_writer_leaves_every_group);
	return test_done();
}
