/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of table/prefix: its edges, and random operations against a twin.
 */
#include "table/prefix_twin_fake.h"

#include <errno.h>

struct shape {
	uint32_t key_bits;
	uint32_t root_bits;
};

static const struct shape shapes[] = {{32, 8},	{32, 16},  {32, 24},
				      {128, 8}, {128, 16}, {128, 24}};

static uint64_t find4(const struct fixture *f, uint32_t addr)
{
	return find_at(f, sluice_addr_of_ip4(addr), f->region->head->version);
}

/* ---- Edges. ---- */

static void longer_routes_hide_shorter_ones(void)
{
	struct sluice_prefix_key all = ip4(0, 0, 0), eight = ip4(10, 0, 8),
				 nine = ip4(10, 128, 9),
				 host = ip4(10, 129, 32);
	struct fixture f;

	fixture_init(&f, 32, 16, 16);
	CHECK_EQ(find4(&f, 0x0a810000), 0);
	CHECK_EQ(set(&f, &host, 32), 0);
	CHECK_EQ(set(&f, &all, 100), 0);
	CHECK_EQ(set(&f, &eight, 8), 0);
	CHECK_EQ(set(&f, &nine, 9), 0);
	CHECK_EQ(find4(&f, 0x0a810000), 32);
	CHECK_EQ(find4(&f, 0x0a810001), 9);
	CHECK_EQ(find4(&f, 0x0a7fffff), 8);
	CHECK_EQ(find4(&f, 0x0b000000), 100);
	CHECK_EQ(find4(&f, 0), 100);
	CHECK_EQ(find4(&f, ~0u), 100);
	CHECK_EQ(table_prefix_del(f.table, &nine), 0);
	CHECK_EQ(find4(&f, 0x0a810001), 8);
	CHECK_EQ(table_prefix_del(f.table, &eight), 0);
	CHECK_EQ(find4(&f, 0x0a810001), 100);
	CHECK_EQ(find4(&f, 0x0a810000), 32);
	CHECK_EQ(table_prefix_del(f.table, &all), 0);
	CHECK_EQ(find4(&f, 0x0a810001), 0);
	CHECK_EQ(table_prefix_del(f.table, &host), 0);
	CHECK_EQ(table_prefix_del(f.table, &host), (uint64_t)-ENOENT);
	CHECK_EQ(table_prefix_n_used(f.table), 0);
	CHECK_EQ(table_prefix_n_nodes_used(f.table), 0);
	fixture_fini(&f);
}

static void a_route_that_is_hidden_altogether_is_still_there(void)
{
	struct sluice_prefix_key around = ip4(10, 0, 8), left = ip4(10, 0, 9),
				 right = ip4(10, 128, 9);
	struct fixture f;

	fixture_init(&f, 32, 8, 16);
	CHECK_EQ(set(&f, &left, 1), 0);
	CHECK_EQ(set(&f, &right, 2), 0);
	CHECK_EQ(set(&f, &around, 3), 0);
	CHECK(table_prefix_find(f.table, &around));
	CHECK_EQ(set(&f, &around, 4), 0);
	CHECK_EQ(find4(&f, 0x0a000000), 1);
	CHECK_EQ(find4(&f, 0x0a800000), 2);
	CHECK_EQ(table_prefix_del(f.table, &left), 0);
	CHECK_EQ(find4(&f, 0x0a000000), 4);
	CHECK_EQ(table_prefix_del(f.table, &around), 0);
	CHECK_EQ(find4(&f, 0x0a000000), 0);
	CHECK(!table_prefix_find(f.table, &around));
	CHECK_EQ(find4(&f, 0x0a800000), 2);
	fixture_fini(&f);
}

static void what_is_no_prefix_is_refused(void)
{
	struct sluice_prefix_key k = ip4(10, 0, 8);
	struct fixture f;

	fixture_init(&f, 32, 8, 16);
	k.len = 33;
	CHECK_EQ(set(&f, &k, 1), (uint64_t)-EINVAL);
	k.len = 6;
	CHECK_EQ(set(&f, &k, 1), (uint64_t)-EINVAL);
	k.len = 7;
	CHECK_EQ(set(&f, &k, 1), 0);
	k.addr.lo = 1;
	CHECK_EQ(set(&f, &k, 1), (uint64_t)-EINVAL);
	fixture_fini(&f);
}

static void confs_out_of_range_are_refused(void)
{
	struct table_prefix_conf c = {.name = "x",
				      .kind = SLUICE_TABLE_OWN,
				      .n_max = 1,
				      .n_nodes = 1,
				      .key_bits = 32,
				      .root_bits = 8};

	CHECK(table_prefix_len(&c) > 0);
	c.root_bits = 10;
	CHECK_EQ(table_prefix_len(&c), 0);
	c.root_bits = 28;
	CHECK_EQ(table_prefix_len(&c), 0);
	c.root_bits = 24;
	c.key_bits = 64;
	CHECK_EQ(table_prefix_len(&c), 0);
	c.key_bits = 128;
	c.n_nodes = 0;
	CHECK_EQ(table_prefix_len(&c), 0);
	c.n_nodes = 1;
	c.n_max = 0;
	CHECK_EQ(table_prefix_len(&c), 0);
}

/* Full of routes, or of nodes: nothing has changed. */
static void a_full_table_says_so(void)
{
	struct sluice_prefix_key k;
	struct fixture f;
	uint32_t n = 0;

	fixture_init(&f, 32, 8, 16);
	for (uint32_t i = 0; i < 20; i++) {
		k = ip4(i, 0, 8);
		n += set(&f, &k, 2 + i) == 0;
	}
	CHECK_EQ(n, 16);
	k = ip4(16, 0, 8);
	CHECK_EQ(set(&f, &k, 9), (uint64_t)-ENOSPC);
	CHECK_EQ(find4(&f, 16u << 24), 0);
	k = ip4(3, 0, 8);
	CHECK_EQ(set(&f, &k, 99), 0);
	CHECK_EQ(find4(&f, 3u << 24), 99);
	CHECK_EQ(table_prefix_del(f.table, &k), 0);
	k = ip4(16, 0, 8);
	CHECK_EQ(set(&f, &k, 9), 0);
	fixture_fini(&f);
}

static void a_table_without_nodes_says_so(void)
{
	struct table_prefix_conf conf = {.name = "small",
					 .kind = SLUICE_TABLE_OWN,
					 .n_max = 10,
					 .n_nodes = 5,
					 .key_bits = 32,
					 .root_bits = 8,
					 .value_len = 16};
	struct sluice_prefix_key host = ip4(10, 0, 32), other = ip4(11, 0, 32),
				 near = ip4(11, 0, 10);
	struct fixture f = {.conf = conf};

	must(!region_new_memfd("test", 1 << 16, false, &f.region, NULL));
	must(!table_prefix_new(f.region, &conf, &f.table, NULL));
	CHECK_EQ(set(&f, &host, 5), (uint64_t)-ENOSPC);
	CHECK_EQ(table_prefix_n_nodes_used(f.table), 0);
	host.len = 28; /* five levels below the root */
	CHECK_EQ(set(&f, &host, 5), 0);
	CHECK_EQ(set(&f, &near, 5), (uint64_t)-ENOSPC);
	CHECK_EQ(find4(&f, 11u << 24), 0);
	CHECK_EQ(table_prefix_del(f.table, &host), 0);
	CHECK_EQ(set(&f, &near, 6), (uint64_t)-ENOSPC); /* they rest */
	reclaim_all(&f);
	CHECK_EQ(set(&f, &near, 6), 0);
	CHECK_EQ(set(&f, &other, 7), (uint64_t)-ENOSPC);
	CHECK_EQ(find4(&f, 11u << 24), 6);
	CHECK_EQ(table_prefix_n_nodes_used(f.table), 1);
	fixture_fini(&f);
}

/* ---- Twins. ---- */

static uint32_t n_seen;

static bool count(void *ctx, uint32_t route)
{
	(void)ctx;
	(void)route;
	n_seen++;
	return true;
}

static void is_like_twin(const struct fixture *f, struct twin *t, struct rng *r)
{
	CHECK_EQ(n_wrong(f, t, r, 256), 0);
	CHECK_EQ(table_prefix_n_used(f->table), t->n);
	for (uint32_t i = 0; i < 20; i++) {
		struct sluice_prefix_key k = random_key(r, f->conf.key_bits);
		struct twin_route *e = twin_exact(t, &k);

		CHECK_EQ(value_at(f, table_prefix_find(f->table, &k)),
			 e ? e->value : 0);
	}
	for (uint32_t i = 0; i < t->n; i++) {
		struct twin_route *e = &t->routes[i];
		uint32_t n = table_prefix_find(f->table, &e->key);

		CHECK_EQ(value_at(f, n), e->value);
	}
	CHECK_EQ(n_faults(f), 0);
	n_seen = 0;
	table_prefix_each(f->table, count, NULL);
	CHECK_EQ(n_seen, t->n);
}

static void random_op(struct fixture *f, struct twin *t, struct rng *r,
		      uint32_t n_want)
{
	struct sluice_prefix_key k = random_key(r, f->conf.key_bits);

	if (t->n && rng_below(r, 4) == 0)
		k = t->routes[rng_below(r, t->n)].key;
	if (t->n < n_want && rng_below(r, 4) != 0) {
		uint64_t v = rng_next(r) | 2;

		CHECK_EQ(set(f, &k, v), 0);
		twin_set(t, &k, v);
	} else {
		if (t->n && rng_below(r, 2))
			k = t->routes[rng_below(r, t->n)].key;
		CHECK_EQ(table_prefix_del(f->table, &k),
			 twin_del(t, &k) ? 0 : (uint64_t)-ENOENT);
	}
}

static void empty_it(struct fixture *f, struct twin *t)
{
	while (t->n) {
		struct sluice_prefix_key k = t->routes[t->n - 1].key;

		CHECK_EQ(table_prefix_del(f->table, &k), 0);
		t->n--;
	}
	CHECK_EQ(table_prefix_n_nodes_used(f->table), 0);
	CHECK_EQ(table_prefix_n_used(f->table), 0);
}

static void agrees_with_its_twin_of(const struct shape *s)
{
	struct rng r = rng_of(test_seed() + s->key_bits + s->root_bits);
	/* A short route in a large root is many stores. */
	uint32_t n_ops = s->root_bits == 24 ? 200 : 3000;
	static struct twin t;
	struct fixture f;

	t.n = 0;
	fixture_init(&f, s->key_bits, s->root_bits, TWIN_MAX);
	for (uint32_t i = 0; i < n_ops; i++) {
		random_op(&f, &t, &r, i / 500 % 2 ? 40 : TWIN_MAX);
		if (i % 40 == 0)
			is_like_twin(&f, &t, &r);
		if (i % 7 == 0)
			reclaim_all(&f);
		if (i % 150 == 99) {
			uint32_t n_nodes = table_prefix_n_nodes_used(f.table);

			fixture_adopt(&f);
			CHECK_EQ(table_prefix_n_nodes_used(f.table), n_nodes);
			is_like_twin(&f, &t, &r);
		}
	}
	empty_it(&f, &t);
	is_like_twin(&f, &t, &r);
	fixture_fini(&f);
}

static void agrees_with_its_twin(void)
{
	for (uint32_t i = 0; i < ARRAY_LEN(shapes); i++)
		agrees_with_its_twin_of(&shapes[i]);
}

/* ---- Change sets, by the table's own steps. ---- */

#define SET_MAX 30u

struct set {
	struct change_step steps[SET_MAX];
	uint32_t n;
	uint32_t version;
};

/* One item, in the table and in the twin of what is to come. */
static int random_item(struct fixture *f, struct set *s, struct twin *next,
		       struct rng *r)
{
	struct change_table *ct = table_prefix_change(f->table);
	struct sluice_prefix_key k = random_key(r, f->conf.key_bits);
	uint64_t v = rng_next(r) | 2, value[2] = {v, ~v};
	struct change_item item = {ct, (enum change_kind)rng_below(r, 3), &k,
				   value};
	int err;

	if (next->n && rng_below(r, 2))
		k = next->routes[rng_below(r, next->n)].key;
	if (next->n + SET_MAX > TWIN_MAX)
		item.kind = CHANGE_DEL;
	err = ct->ops->prepare(ct, &item, s->version, &s->steps[s->n], NULL);
	if (err)
		return err;
	s->n++;
	CHECK(item.kind != CHANGE_ADD || !twin_exact(next, &k));
	CHECK(item.kind != CHANGE_DEL || twin_exact(next, &k));
	if (item.kind == CHANGE_DEL)
		twin_del(next, &k);
	else
		twin_set(next, &k, v);
	return 0;
}

static void settle(struct fixture *f, const struct set *s)
{
	struct change_table *ct = table_prefix_change(f->table);

	for (uint32_t i = 0; i < s->n; i++)
		ct->ops->settle(ct, &s->steps[i]);
}

static void undo(struct fixture *f, const struct set *s)
{
	struct change_table *ct = table_prefix_change(f->table);

	for (uint32_t i = s->n; i-- > 0;)
		ct->ops->undo(ct, &s->steps[i]);
}

/* True at once, for everybody; not where an unsettled set is at work. */
static void single_op(struct fixture *f, struct twin *now, struct twin *next,
		      struct rng *r)
{
	struct sluice_prefix_key k = random_key(r, f->conf.key_bits);
	uint64_t v = rng_next(r) | 2;

	if (now->n && rng_below(r, 2))
		k = now->routes[rng_below(r, now->n)].key;
	if (rng_below(r, 2)) {
		if (now->n + 2 * SET_MAX < TWIN_MAX && !set(f, &k, v)) {
			twin_set(now, &k, v);
			twin_set(next, &k, v);
		}
	} else if (!table_prefix_del(f->table, &k)) {
		CHECK(twin_del(now, &k));
		CHECK(twin_del(next, &k));
	}
}

/*
 * A set on top of one that is not settled; readers of two versions, single
 * operations in between.
 */
static void sets_agree_with_their_twins_of(const struct shape *shape)
{
	struct rng r = rng_of(test_seed() + shape->key_bits + 7);
	static struct twin now, next;
	struct set last = {0};
	struct fixture f;
	uint32_t n_items = 0;

	now.n = 0;
	fixture_init(&f, shape->key_bits, shape->root_bits, TWIN_MAX);
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t version = f.region->head->version;
		struct set s = {.version = version + 1};
		uint32_t n = 1 + rng_below(&r, SET_MAX);

		next = now;
		for (uint32_t j = 0; j < n; j++)
			random_item(&f, &s, &next, &r);
		n_items += s.n;
		for (uint32_t j = rng_below(&r, 6); j > 0; j--)
			single_op(&f, &now, &next, &r);
		CHECK_EQ(n_wrong_at(&f, &now, &r, 128, version), 0);
		CHECK_EQ(n_wrong_at(&f, &next, &r, 128, version + 1), 0);
		CHECK_EQ(n_faults(&f), 0);
		if (last.n) { /* older sets settle under it */
			settle(&f, &last);
			last.n = 0;
			CHECK_EQ(n_wrong_at(&f, &now, &r, 128, version), 0);
			CHECK_EQ(n_wrong_at(&f, &next, &r, 128, version + 1),
				 0);
		}
		if (rng_below(&r, 3) == 0) {
			undo(&f, &s);
			CHECK_EQ(n_wrong_at(&f, &now, &r, 128, version), 0);
			CHECK_EQ(table_prefix_n_used(f.table), now.n);
		} else if (rng_below(&r, 8) == 0) {
			fixture_adopt(&f); /* as if it had never been */
			CHECK_EQ(n_wrong(&f, &now, &r, 128), 0);
			CHECK_EQ(table_prefix_n_used(f.table), now.n);
		} else {
			region_version_set(f.region, version + 1);
			last = s;
			now = next;
			if (rng_below(&r, 8) == 0) {
				fixture_adopt(&f); /* as if it were settled */
				last.n = 0;
			}
			CHECK_EQ(n_wrong(&f, &now, &r, 128), 0);
		}
		CHECK_EQ(n_faults(&f), 0);
		reclaim_all(&f);
	}
	settle(&f, &last);
	CHECK(n_items > 500);
	is_like_twin(&f, &now, &r);
	empty_it(&f, &now);
	fixture_fini(&f);
}

static void sets_agree_with_their_twins(void)
{
	for (uint32_t i = 0; i < ARRAY_LEN(shapes); i++)
		if (shapes[i].root_bits < 24)
			sets_agree_with_their_twins_of(&shapes[i]);
}

static int item(struct fixture *f, enum change_kind kind,
		const struct sluice_prefix_key *k, struct change_step *out)
{
	struct change_table *ct = table_prefix_change(f->table);
	uint64_t value[2] = {7, ~7ull};
	struct change_item it = {ct, kind, k, value};

	return ct->ops->prepare(ct, &it, f->region->head->version + 1, out,
				NULL);
}

static void items_are_refused_for_the_right_reason(void)
{
	struct sluice_prefix_key k = ip4(10, 0, 8), other = ip4(11, 0, 8);
	struct change_step s;
	struct fixture f;

	fixture_init(&f, 32, 8, 16);
	CHECK_EQ(item(&f, CHANGE_DEL, &k, &s), (uint64_t)-ENOENT);
	CHECK_EQ(set(&f, &k, 5), 0);
	CHECK_EQ(item(&f, CHANGE_ADD, &k, &s), (uint64_t)-EEXIST);
	CHECK_EQ(item(&f, CHANGE_SET, &k, &s), 0);
	CHECK_EQ(item(&f, CHANGE_DEL, &k, &s), (uint64_t)-EINVAL);
	CHECK_EQ(set(&f, &k, 6), (uint64_t)-EAGAIN);
	CHECK_EQ(table_prefix_del(f.table, &k), (uint64_t)-EAGAIN);
	CHECK_EQ(find4(&f, 10u << 24), 5);
	region_version_set(f.region, f.region->head->version + 1);
	CHECK_EQ(find4(&f, 10u << 24), 7);
	CHECK_EQ(item(&f, CHANGE_DEL, &k, &s), (uint64_t)-EAGAIN);
	other.addr.hi |= 1;
	CHECK_EQ(item(&f, CHANGE_ADD, &other, &s), (uint64_t)-EINVAL);
	fixture_fini(&f);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(longer_routes_hide_shorter_ones);
	TEST(a_route_that_is_hidden_altogether_is_still_there);
	TEST(what_is_no_prefix_is_refused);
	TEST(confs_out_of_range_are_refused);
	TEST(a_full_table_says_so);
	TEST(a_table_without_nodes_says_so);
	TEST(items_are_refused_for_the_right_reason);
	TEST(agrees_with_its_twin);
	TEST(sets_agree_with_their_twins);
	return test_done();
}
