/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups against an obvious implementation: an array of what was asked for,
 * judged and walked by recursion. Random groups, single and in change sets, with
 * moved bodies and writers that come and go in between.
 */
#include "sluice/fsck.h"
#include "table/group_fake.h"

#define N_IDS 12u
#define N_BUCKETS 6u
#define N_ITEMS 5u

struct twin_group {
	bool is_there;
	struct group_conf conf;
	struct group_bucket buckets[N_BUCKETS];
};

struct twin {
	struct twin_group groups[N_IDS]; /* the newest */
	bool is_unsettled[N_IDS];
};

struct rig {
	struct fixture f;
	struct twin twin;
	struct rng rng;
	uint64_t n_refused;
	uint64_t n_applied;
	uint64_t n_sets;
};

/* ---- The twin. ---- */

static uint32_t next_of(const struct group_bucket *b)
{
	return sluice_act_kind(b->act) == SLUICE_ACT_GROUP
		       ? sluice_act_arg(b->act)
		       : SLUICE_GROUP_NONE;
}

/* Groups in the longest chain from id on; 100: it comes back to `to`. */
static uint32_t longest(const struct twin *t, uint32_t id, uint32_t to)
{
	const struct twin_group *g = &t->groups[id];
	uint32_t n = 0;

	if (id == to)
		return 100;
	for (uint32_t i = 0; i < g->conf.n_buckets; i++) {
		uint32_t ids[] = {next_of(&g->buckets[i]),
				  g->buckets[i].watch_group};

		for (uint32_t j = 0; j < 2; j++) {
			uint32_t m = ids[j] == SLUICE_GROUP_NONE
					     ? 0
					     : longest(t, ids[j], to);

			n = m > n ? m : n;
		}
	}
	return n + 1;
}

static bool names(const struct twin_group *g, uint32_t id)
{
	for (uint32_t i = 0; g->is_there && i < g->conf.n_buckets; i++)
		if (next_of(&g->buckets[i]) == id ||
		    g->buckets[i].watch_group == id)
			return true;
	return false;
}

/* May the group id be like g? */
static bool twin_may(struct twin *t, uint32_t id, const struct twin_group *g)
{
	struct twin_group was = t->groups[id];
	uint64_t sum = 0;
	bool ok = true;

	for (uint32_t i = 0; i < g->conf.n_buckets; i++) {
		const struct group_bucket *b = &g->buckets[i];
		uint32_t ids[] = {next_of(b), b->watch_group};

		sum += b->weight;
		if (g->conf.type == SLUICE_GROUP_FF && !b->watch_port &&
		    b->watch_group == SLUICE_GROUP_NONE)
			return false;
		for (uint32_t j = 0; j < 2; j++) {
			if (ids[j] == SLUICE_GROUP_NONE)
				continue;
			if (!t->groups[ids[j]].is_there ||
			    longest(t, ids[j], id) >= 100)
				return false;
		}
	}
	if (g->conf.type == SLUICE_GROUP_SELECT && g->conf.n_buckets && !sum)
		return false;
	if (g->conf.type == SLUICE_GROUP_INDIRECT && g->conf.n_buckets != 1)
		return false;
	t->groups[id] = *g;
	for (uint32_t i = 0; ok && i < N_IDS; i++)
		ok = !t->groups[i].is_there ||
		     longest(t, i, N_IDS) <= SLUICE_GROUP_DEPTH;
	t->groups[id] = was;
	return ok;
}

static bool twin_set(struct twin *t, uint32_t id, const struct twin_group *g)
{
	if (!twin_may(t, id, g))
		return false;
	t->groups[id] = *g;
	return true;
}

static bool twin_del(struct twin *t, uint32_t id)
{
	if (!t->groups[id].is_there)
		return false;
	for (uint32_t i = 0; i < N_IDS; i++)
		if (names(&t->groups[i], id))
			return false;
	memset(&t->groups[id], 0, sizeof(t->groups[id]));
	return true;
}

static bool twin_live(const struct twin *t, const struct group_bucket *b,
		      uint64_t up)
{
	const struct twin_group *g;

	if (!b->watch_port && b->watch_group == SLUICE_GROUP_NONE)
		return true;
	if (b->watch_port && up >> b->watch_port & 1)
		return true;
	if (b->watch_group == SLUICE_GROUP_NONE)
		return false;
	g = &t->groups[b->watch_group];
	for (uint32_t i = 0; i < g->conf.n_buckets; i++)
		if (twin_live(t, &g->buckets[i], up))
			return true;
	return false;
}

/* May a packet for group id end with this action; 0: be dropped? */
static bool twin_ends(const struct twin *t, uint32_t id, uint64_t up,
		      uint64_t act)
{
	const struct twin_group *g = &t->groups[id];
	bool any = false;

	if (!g->is_there)
		return !act;
	if (g->conf.type == SLUICE_GROUP_ALL)
		return act == sluice_act_of(SLUICE_ACT_GROUP, id).w;
	for (uint32_t i = 0; i < g->conf.n_buckets; i++) {
		const struct group_bucket *b = &g->buckets[i];
		bool ends = next_of(b) == SLUICE_GROUP_NONE
				    ? b->act.w == act
				    : twin_ends(t, next_of(b), up, act);

		if (g->conf.type == SLUICE_GROUP_INDIRECT)
			return ends;
		if (!twin_live(t, b, up) ||
		    (g->conf.type == SLUICE_GROUP_SELECT && !b->weight))
			continue;
		any = true;
		if (ends)
			return true;
		if (g->conf.type == SLUICE_GROUP_FF)
			return false;
	}
	return !any && !act;
}

/* ---- Looking. ---- */

static void group_agrees(const struct rig *r, uint32_t id)
{
	const struct sluice_groups_view *v = table_group_view(r->f.groups);
	const struct twin_group *g = &r->twin.groups[id];
	struct sluice_group_at at = {0};
	enum sluice_found f =
		sluice_group_find(v, sluice_version(r->f.region->head), id,
				  &at);

	CHECK_EQ(f, g->is_there ? SLUICE_YES : SLUICE_NO);
	if (f != SLUICE_YES || !g->is_there)
		return;
	CHECK_EQ(at.id, id);
	CHECK_EQ(at.type, g->conf.type);
	CHECK_EQ(at.n_buckets, g->conf.n_buckets);
	for (uint32_t i = 0; i < at.n_buckets && i < N_BUCKETS; i++) {
		CHECK_EQ(at.buckets[i].act, g->buckets[i].act.w);
		CHECK_EQ(at.buckets[i].weight, g->buckets[i].weight);
	}
}

static void ends_agree(struct rig *r, uint32_t id)
{
	for (uint32_t i = 0; i < 4; i++) {
		struct sluice_key key = random_key(&r->rng);
		uint64_t up = rng_next(&r->rng);
		struct sluice_group_packet p = {
			.key = &key,
			.up = up & rng_next(&r->rng),
			.version = sluice_version(r->f.region->head),
		};
		struct sluice_group_choice c = {0};
		enum sluice_found f =
			sluice_group_resolve(table_group_view(r->f.groups), id,
					     &p, &c);

		CHECK(twin_ends(&r->twin, id, p.up,
				f == SLUICE_YES ? c.act.w : 0));
	}
}

static void all_agrees(struct rig *r)
{
	bool is_settled = change_n_unsettled(r->f.log) == 0;

	for (uint32_t id = 0; id < N_IDS; id++) {
		group_agrees(r, id);
		/* Until then more buckets may seem live. */
		if (is_settled)
			ends_agree(r, id);
	}
}

static void say(void *ctx, const struct sluice_table_desc *table,
		const char *what)
{
	(void)ctx;
	printf("# %s: %s\n", table->name, what);
}

static void region_is_whole(const struct rig *r)
{
	const struct sluice_map map = {r->f.region->head, r->f.region->len};
	const struct sluice_fsck_conf conf = {.is_deep = true, .say = say};
	struct sluice_fsck out;

	CHECK_EQ(sluice_fsck(&map, &conf, &out, NULL), 0);
	CHECK_EQ(out.n_wrong, 0);
	CHECK_EQ(out.n_left, 0);
}

/* ---- Doing. ---- */

static struct group_bucket random_bucket(struct rng *rng)
{
	struct group_bucket b =
		bucket_to(rng_below(rng, 63) + 1, rng_below(rng, 4));

	if (rng_below(rng, 4) == 0)
		b.act = sluice_act_of(SLUICE_ACT_GROUP, rng_below(rng, N_IDS));
	if (rng_below(rng, 2))
		b.watch_port = rng_below(rng, 63) + 1;
	if (rng_below(rng, 4) == 0)
		b.watch_group = rng_below(rng, N_IDS);
	return b;
}

static void random_group(struct rng *rng, struct twin_group *g)
{
	enum sluice_group_type type = (enum sluice_group_type)rng_below(rng, 4);
	uint32_t n = type == SLUICE_GROUP_INDIRECT
			     ? 1
			     : rng_below(rng, N_BUCKETS + 1);

	memset(g, 0, sizeof(*g));
	g->is_there = true;
	for (uint32_t i = 0; i < n; i++)
		g->buckets[i] = random_bucket(rng);
	g->conf = conf_of(type, NULL, n);
	g->conf.is_symmetric = rng_below(rng, 2);
}

/* With the buckets where they are now. */
static const struct group_conf *asked(struct twin_group *g)
{
	g->conf.buckets = g->buckets;
	return &g->conf;
}

static void single(struct rig *r)
{
	uint32_t id = rng_below(&r->rng, N_IDS);
	struct twin_group g;
	bool ok;

	if (rng_below(&r->rng, 3) == 0) {
		ok = twin_del(&r->twin, id);
		CHECK_EQ(!table_group_del(r->f.groups, id, NULL), ok);
	} else {
		random_group(&r->rng, &g);
		ok = twin_set(&r->twin, id, &g);
		CHECK_EQ(!table_group_set(r->f.groups, id, asked(&g), NULL),
			 ok);
	}
	r->twin.is_unsettled[id] &= !ok; /* what a set did to it is past */
	r->n_applied += ok;
	r->n_refused += !ok;
}

static bool twin_item(struct twin *t, const struct change_item *item,
		      const struct twin_group *g)
{
	uint32_t id = ((const struct sluice_group_key *)item->key)->id;
	bool ok = !t->is_unsettled[id];

	if (item->kind == CHANGE_ADD)
		ok = ok && !t->groups[id].is_there;
	if (item->kind == CHANGE_DEL)
		ok = ok && twin_del(t, id);
	else
		ok = ok && twin_set(t, id, g);
	t->is_unsettled[id] = true;
	return ok;
}

static void set_of_changes(struct rig *r)
{
	struct sluice_group_key keys[N_ITEMS];
	struct change_item items[N_ITEMS];
	struct twin_group groups[N_ITEMS];
	uint32_t n = 1 + rng_below(&r->rng, N_ITEMS);
	struct twin after = r->twin;
	uint32_t n_ok = 0;
	uint32_t bad = 0;
	int err;

	for (uint32_t i = 0; i < n; i++) {
		keys[i] = (struct sluice_group_key){
			.id = rng_below(&r->rng, N_IDS)};
		random_group(&r->rng, &groups[i]);
		items[i] = (struct change_item){
			.table = table_group_change(r->f.groups),
			.kind = (enum change_kind)rng_below(&r->rng, 3),
			.key = &keys[i],
			.value = asked(&groups[i]),
		};
	}
	while (n_ok < n && twin_item(&after, &items[n_ok], &groups[n_ok]))
		n_ok++;
	err = change_apply(r->f.log, items, n, &bad, NULL);
	CHECK_EQ(err == 0, n_ok == n);
	CHECK_EQ(bad, n_ok);
	if (!err)
		r->twin = after;
	r->n_sets += !err;
	r->n_refused += err != 0;
}

static void settle(struct rig *r)
{
	change_settle(r->f.log, change_mark(r->f.log), UINT64_MAX);
	CHECK_EQ(change_n_unsettled(r->f.log), 0);
	memset(r->twin.is_unsettled, 0, sizeof(r->twin.is_unsettled));
}

static void step(struct rig *r)
{
	switch (rng_below(&r->rng, 100)) {
	case 0:
		fixture_leave(&r->f);
		fixture_come(&r->f);
		/* All that was ever used rests. */
		fixture_reclaim(&r->f);
		memset(r->twin.is_unsettled, 0, sizeof(r->twin.is_unsettled));
		region_is_whole(r);
		return;
	case 1:
		while (heap_tidy(r->f.heap, 3, fixture_move, &r->f))
			;
		return;
	case 2:
		region_is_whole(r);
		return;
	default:
		break;
	}
	switch (rng_below(&r->rng, 5)) {
	case 0:
		settle(r);
		return;
	case 1:
		fixture_reclaim(&r->f);
		return;
	case 2:
		single(r);
		return;
	default:
		set_of_changes(r);
	}
}

static void groups_are_what_was_asked_for(void)
{
	static struct rig r;

	memset(&r, 0, sizeof(r));
	r.rng = rng_of(test_seed());
	fixture_init(&r.f, 1000, 100);
	for (uint32_t i = 0; i < 20000; i++) {
		step(&r);
		all_agrees(&r);
	}
	printf("# %llu sets and %llu single changes, %llu refused\n",
	       (unsigned long long)r.n_sets, (unsigned long long)r.n_applied,
	       (unsigned long long)r.n_refused);
	CHECK(r.n_sets > 500 && r.n_applied > 500 && r.n_refused > 500);
	settle(&r);
	for (uint32_t i = 0; i < N_IDS; i++)
		for (uint32_t id = 0; id < N_IDS; id++)
			(void)table_group_del(r.f.groups, id, NULL);
	fixture_reclaim(&r.f);
	CHECK_EQ(table_group_n_used(r.f.groups), 0);
	CHECK_EQ(heap_n_pages_used(r.f.heap), 0);
	fixture_fini(&r.f);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(groups_are_what_was_asked_for);
	return test_done();
}
