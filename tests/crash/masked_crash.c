/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The masked table's writer is killed at every one of its stores.
 *
 * A script of random operations (flows under old and new masks, removals, change
 * sets, new orders) runs on a small table. Before each the region's bytes are
 * kept; then, for its 1st, 2nd, .. store, a forked writer does the operation and
 * is killed right before that store. What it left must look to readers like the
 * table before the operation or after it; is adopted, by a writer who is killed
 * at each of its stores likewise; and can be emptied then, filter and all.
 */

#include "table/masked_fake.h"
#include "tests/crash/kill.h"

#define N_KEYS 60u
#define N_STEPS 80u
#define SET_MAX 4u

enum what { SET, DEL, CHANGE, REORDER };

struct op {
	enum what what;
	uint32_t n;
	struct flow flows[SET_MAX];
	enum change_kind kinds[SET_MAX];
};

struct rig {
	struct fixture f;
	struct rng rng;
	struct list list; /* what is stored */
	struct list then; /* when the operation is done */
	uint64_t keys[N_KEYS][WORDS_MAX];
	uint64_t kept[(1 << 17) / 8]; /* the region before the operation */
	uint64_t n_kills;
};

/* Half of the masks are of one group: prefixes of 33 to 39 bits. */
static void rig_init(struct rig *r)
{
	const struct table_masked_conf conf = {
		.n_max = 40,
		.n_masks_max = 16,
		.n_lanes = 1,
		.key_len = 16,
	};

	memset(r, 0, sizeof(*r));
	r->rng = rng_of(test_seed());
	fixture_init(&r->f, &conf, 24);
	must(r->f.region->len <= sizeof(r->kept));
	for (uint32_t i = 1; i < 13; i++) {
		r->f.masks[i][0] =
			__builtin_bswap64(~0ull << (25 + (i + 1) % 7));
		r->f.masks[i][1] = i & 1;
	}
}

static void rig_fini(struct rig *r)
{
	fixture_fini(&r->f);
}

/* ---- The operations. ---- */

static void flow_random(struct rig *r, struct flow *out)
{
	if (r->list.n && rng_below(&r->rng, 2))
		*out = r->list.flows[rng_below(&r->rng, r->list.n)];
	else
		flow_draw(&r->f, &r->rng, rng_below(&r->rng, r->f.n_masks),
			  out);
	out->value = rng_next(&r->rng) | 2;
}

static void op_random(struct rig *r, struct op *op)
{
	uint32_t what = rng_below(&r->rng, 20);

	op->what = what < 9    ? SET
		   : what < 16 ? DEL
		   : what < 19 ? CHANGE
			       : REORDER;
	op->n = op->what == CHANGE ? SET_MAX : 1;
	for (uint32_t i = 0; i < op->n; i++) {
		struct flow *flow = &op->flows[i];
		bool twice = false;

		flow_random(r, flow);
		for (uint32_t j = 0; j < i && !twice; j++)
			twice = !memcmp(flow, &op->flows[j],
					offsetof(struct flow, value));
		op->kinds[i] =
			list_find(&r->list, flow) && rng_below(&r->rng, 2)
				? CHANGE_DEL
				: CHANGE_SET;
		if (twice)
			op->n = i;
	}
}

static int change(struct rig *r, const struct op *op)
{
	struct change_item items[SET_MAX];
	struct table_masked_key keys[SET_MAX];
	uint64_t values[SET_MAX][VALUE_WORDS];
	struct change_log *log;
	uint32_t bad;
	int err;

	must(!change_log_new(r->f.region, &log));
	for (uint32_t i = 0; i < op->n; i++) {
		keys[i] = (struct table_masked_key){op->flows[i].key,
						    op->flows[i].mask};
		value_of(values[i], op->flows[i].value);
		items[i] = (struct change_item){
			.table = table_masked_change(r->f.table),
			.kind = op->kinds[i],
			.key = &keys[i],
			.value = values[i],
		};
	}
	err = change_apply(log, items, op->n, &bad, NULL);
	change_settle(log, change_mark(log), UINT64_MAX);
	change_log_free(log);
	return err;
}

/* 0: it did what it says. */
static int op_run(struct rig *r, const struct op *op)
{
	switch (op->what) {
	case SET:
		return set(&r->f, &op->flows[0]);
	case DEL:
		return !del(&r->f, &op->flows[0]);
	case CHANGE:
		return change(r, op);
	case REORDER:
		table_masked_reorder(r->f.table);
		return 0;
	}
	return 0;
}

static void op_expect(struct rig *r, const struct op *op)
{
	r->then = r->list;
	for (uint32_t i = 0; i < op->n; i++) {
		if (op->what == SET ||
		    (op->what == CHANGE && op->kinds[i] == CHANGE_SET))
			list_set(&r->then, &op->flows[i]);
		else if (op->what != REORDER)
			(void)list_del(&r->then, &op->flows[i]);
	}
}

/* ---- What a reader sees. ---- */

static void keys_draw(struct rig *r)
{
	for (uint32_t i = 0; i < N_KEYS; i++) {
		uint64_t *key = r->keys[i];

		key_draw(&r->f, &r->rng, key);
		if (i >= r->then.n)
			continue;
		for (uint32_t w = 0; w < WORDS_MAX; w++)
			key[w] = r->then.flows[i].key[w] |
				 (key[w] & ~r->then.flows[i].mask[w]);
	}
}

/* In each way of looking, all as one list says. */
static bool agrees(const struct rig *r, const struct list *l)
{
	const struct fixture *f = &r->f;
	uint32_t version = sluice_version(f->region->head);

	for (uint32_t i = 0; i < N_KEYS; i++) {
		const uint64_t *key = r->keys[i];
		struct sluice_exact_answers a;

		sluice_masked_find_batch(table_masked_view(f->table), version,
					 key, 1, &a);
		if (!list_allows(f, l, key, seen_by_batch(f, &a, 0)) ||
		    !list_allows(f, l, key, seen_by_find(f, version, key)) ||
		    !list_allows(f, l, key, seen_by_get(f, version, key)))
			return false;
	}
	return true;
}

static bool readers_are_served(const struct rig *r)
{
	return agrees(r, &r->list) || agrees(r, &r->then);
}

/* It can be emptied, and then nothing is left in filter and order. */
static bool table_is_tidy(struct rig *r)
{
	const struct sluice_masked_view *v = table_masked_view(r->f.table);
	struct list all = r->list;
	uint64_t order, left = 0;
	uint32_t n;

	for (uint32_t i = 0; i < r->then.n; i++)
		list_set(&all, &r->then.flows[i]);
	for (uint32_t i = 0; i < all.n; i++)
		(void)del(&r->f, &all.flows[i]);
	table_masked_reorder(r->f.table);
	(void)sluice_masked_steps(v, &order, &n);
	for (uint32_t i = 0; i < v->n_filter; i++)
		left |= v->filter[i];
	return !left && !n && !table_masked_n_masks(r->f.table) &&
	       !table_masked_n_used(r->f.table);
}

/* ---- Killing. ---- */

/* Does an operation, or adopts, in a child. True: it was killed on the way. */
static bool killed(struct rig *r, const struct op *op, int64_t at)
{
	pid_t pid = kill_fork(at);
	bool is_killed;
	int code;

	if (pid == 0) {
		if (op)
			(void)op_run(r, op);
		else
			fixture_adopt(&r->f);
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
	struct table_masked *mine = r->f.table;

	CHECK(readers_are_served(r));
	must(!table_masked_adopt(r->f.region, r->f.conf.kind, &r->f.table,
				 NULL));
	CHECK(readers_are_served(r));
	CHECK(table_is_tidy(r));
	table_masked_free(r->f.table);
	r->f.table = mine;
}

/* The same when the one who adopts is killed as well, at each of its stores. */
static void left_is_whole_twice(struct rig *r)
{
	static uint64_t left[ARRAY_LEN(r->kept)];
	bool again = true;

	memcpy(left, r->f.region->head, r->f.region->len);
	left_is_whole(r);
	/* Every seventh writer's successors: all of them take minutes. */
	for (int64_t at = 0; again && r->n_kills % 7 == 0; at++) {
		uint64_t n_kills = r->n_kills;

		memcpy(r->f.region->head, left, r->f.region->len);
		again = killed(r, NULL, at);
		r->n_kills = n_kills;
		if (again)
			left_is_whole(r);
	}
}

static void step(struct rig *r, const struct op *op)
{
	op_expect(r, op);
	keys_draw(r);
	memcpy(r->kept, r->f.region->head, r->f.region->len);
	for (int64_t at = 0; killed(r, op, at); at++) {
		left_is_whole_twice(r);
		memcpy(r->f.region->head, r->kept, r->f.region->len);
	}
	memcpy(r->f.region->head, r->kept, r->f.region->len);
	if (!op_run(r, op))
		r->list = r->then;
	CHECK(agrees(r, &r->list));
	reclaim_all(&r->f);
}

static void a_killed_writer_leaves_every_flow(void)
{
	static struct rig r;
	struct op op;

	rig_init(&r);
	for (uint32_t i = 0; i < 300; i++) {
		op_random(&r, &op);
		op_expect(&r, &op);
		if (!op_run(&r, &op))
			r.list = r.then;
		reclaim_all(&r.f);
	}
	for (uint32_t i = 0; i < N_STEPS; i++) {
		op_random(&r, &op);
		step(&r, &op);
	}
	printf("# %llu writers killed in %u operations\n",
	       (unsigned long long)r.n_kills, N_STEPS);
	CHECK(r.n_kills > 8ull * N_STEPS);
	rig_fini(&r);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(a_killed_writer_leaves_every_flow);
	return test_done();
}
