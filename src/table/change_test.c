/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of change sets against a twin. */
#include <sys/resource.h>

#include "table/change_twin_fake.h"

/* Of the sets of one run. */
struct tally {
	uint64_t n_applied;
	uint64_t n_refused[5]; /* by place in codes */
};

static const int codes[] = {-EEXIST, -ENOENT, -ENOSPC, -EAGAIN, -EINVAL};

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

static void reclaim(struct shop *s)
{
	for (uint32_t i = 0; i < SHOP_TABLES; i++)
		table_exact_reclaim(s->tables[i],
				    table_exact_mark(s->tables[i]));
}

static void step_apply(struct shop *s, struct twin *t, struct rng *r,
		       struct tally *tally)
{
	struct shop_item items[N_ITEMS];
	uint32_t bad = 77, twins_bad = 77;
	uint32_t n_resting = table_exact_n_resting(s->tables[0]);
	uint32_t n;
	int err, expected;

	if (!twin_has_room(t))
		return;
	n = random_set(r, t, items, N_ITEMS);
	err = shop_apply(s, items, n, &bad);
	if (err == -ENOSPC && is_tight(s)) {
		agrees(s, t);
		return;
	}
	expected = twin_apply(t, items, n, &twins_bad);
	CHECK_EQ(err, expected);
	tally->n_applied += !expected;
	if (!expected)
		return;
	CHECK_EQ(bad, twins_bad);
	CHECK_EQ(table_exact_n_resting(s->tables[0]), n_resting);
	for (uint32_t i = 0; i < ARRAY_LEN(codes); i++)
		tally->n_refused[i] += err == codes[i];
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
	twin_single(t, it.table, key, value);
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
	uint32_t n = random_set(r, t, items, N_ITEMS);
	struct change_step step;

	for (uint32_t i = 0; i < n; i++) {
		struct change_item c = shop_change(s, &items[i]);

		if (change_prepare(&c, t->version + 1, &step, NULL))
			break;
	}
	shop_adopt(s);
	twin_adopt(t);
}

static void twin_run(uint32_t version, uint32_t n_steps)
{
	static const uint32_t n_max[SHOP_TABLES] = {500, 300, 46};
	struct rng r = rng_of(test_seed() + version);
	struct tally tally = {0};
	static struct twin t;
	struct shop s;

	memset(&t, 0, sizeof(t));
	t.version = t.settling = version;
	memcpy(t.n_max, n_max, sizeof(n_max));
	shop_init(&s, n_max, version);
	for (uint32_t i = 0; i < n_steps; i++) {
		uint32_t what = rng_below(&r, 100);

		if (what < 50)
			step_apply(&s, &t, &r, &tally);
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
	       (unsigned long long)tally.n_applied,
	       (unsigned long long)tally.n_refused[0],
	       (unsigned long long)tally.n_refused[1],
	       (unsigned long long)tally.n_refused[2],
	       (unsigned long long)tally.n_refused[3],
	       (unsigned long long)tally.n_refused[4]);
	for (uint32_t i = 0; i < ARRAY_LEN(codes); i++)
		CHECK(tally.n_refused[i] > 0);
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

/* ---- One thing at a time. ---- */

static const uint32_t some[SHOP_TABLES] = {500, 300, 20};

/*
 * A set of a good item and this one is refused with this code, the number of
 * the offender and a sentence, and leaves version and entries as they were.
 */
static void is_refused(struct shop *s, const struct shop_item *item, int code)
{
	struct shop_item good = shop_item(0, CHANGE_SET, 400, 4);
	struct change_item set[2] = {shop_change(s, &good),
				     shop_change(s, item)};
	struct why why = {.text = ""};
	uint32_t version = shop_version(s), bad = 9;
	uint64_t n_unsettled = change_n_unsettled(s->log);
	uint32_t n_resting = table_exact_n_resting(s->tables[0]);

	CHECK_EQ(change_apply(s->log, set, 2, &bad, &why), code);
	CHECK_EQ(bad, 1);
	CHECK(why.text[0]);
	CHECK_EQ(shop_version(s), version);
	CHECK_EQ(change_n_unsettled(s->log), n_unsettled);
	CHECK_EQ(table_exact_n_resting(s->tables[0]), n_resting);
	CHECK_EQ(shop_get(s, version, 0, 400), 0);
	CHECK_EQ(shop_get(s, version + 1, 0, 400), 0);
	CHECK(!table_exact_find(s->tables[0], good.key));
}

static void each_refusal_has_its_code(void)
{
	struct shop_item it = shop_item(1, CHANGE_SET, 1, 5);
	struct shop s;
	uint32_t bad;

	shop_init(&s, some, 1);
	CHECK_EQ(shop_set(&s, 1, 1, 3), 0);
	it.kind = CHANGE_ADD;
	is_refused(&s, &it, -EEXIST);
	it = shop_item(1, CHANGE_DEL, 2, 0);
	is_refused(&s, &it, -ENOENT);
	it = shop_item(0, CHANGE_SET, 400, 0);
	is_refused(&s, &it, -EINVAL);
	it = shop_item(1, CHANGE_SET, 1, 6);
	CHECK_EQ(shop_apply(&s, &it, 1, &bad), 0);
	is_refused(&s, &it, -EAGAIN);
	it.kind = CHANGE_DEL;
	is_refused(&s, &it, -EAGAIN);
	CHECK_EQ(shop_settle_all(&s), 1);
	CHECK_EQ(shop_apply(&s, &it, 1, &bad), 0);
	is_refused(&s, &it, -ENOENT);
	it.kind = CHANGE_ADD;
	is_refused(&s, &it, -EAGAIN);
	for (uint32_t i = 0; i < 20; i++)
		CHECK_EQ(shop_set(&s, 2, i, 2), 0);
	it = shop_item(2, CHANGE_ADD, 20, 0);
	is_refused(&s, &it, -ENOSPC);
	shop_fini(&s);
}

/* What is taken back can be taken again, though no grace period passes. */
static void refused_sets_use_up_nothing(void)
{
	struct shop_item items[17];
	struct shop s;
	uint32_t bad;

	shop_init(&s, some, 1);
	for (uint32_t i = 0; i < 16; i++)
		items[i] = shop_item(2, CHANGE_ADD, i, 8);
	items[16] = shop_item(2, CHANGE_ADD, 0, 9);
	for (uint32_t i = 0; i < 1000; i++) {
		CHECK_EQ(shop_apply(&s, items, 17, &bad), -EINVAL);
		CHECK_EQ(bad, 16);
	}
	CHECK_EQ(shop_apply(&s, items, 16, &bad), 0);
	CHECK_EQ(shop_version(&s), 2);
	shop_fini(&s);
}

/* Entries that died rest until they are reclaimed, so they can run out. */
static void entries_that_rest_are_missing(void)
{
	struct shop_item it = shop_item(2, CHANGE_SET, 0, 8);
	struct shop s;
	uint32_t bad, n = 0;

	shop_init(&s, some, 1);
	while (!shop_apply(&s, &it, 1, &bad) && n < 200) {
		CHECK_EQ(change_settle(s.log, change_mark(s.log), 1), 1);
		n++;
	}
	CHECK_EQ(n, table_exact_view(s.tables[2])->n_entries);
	is_refused(&s, &it, -ENOSPC);
	table_exact_reclaim(s.tables[2], table_exact_mark(s.tables[2]));
	CHECK_EQ(shop_apply(&s, &it, 1, &bad), 0);
	shop_fini(&s);
}

static void a_set_of_nothing_is_no_version(void)
{
	struct shop s;
	uint32_t bad;

	shop_init(&s, some, 1);
	CHECK_EQ(shop_apply(&s, NULL, 0, &bad), 0);
	CHECK_EQ(shop_version(&s), 1);
	CHECK_EQ(change_mark(s.log), 0);
	shop_fini(&s);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif

#ifdef IS_SANITIZED

static void no_memory_for_the_log_is_said(void)
{
	test_skip("a sanitizer's malloc ends the process instead");
}

#else

static void no_memory_for_the_log_is_said(void)
{
	struct rlimit was, little;
	struct why why = {.text = ""};
	struct change_item none[1];
	struct shop s;
	uint32_t bad;

	shop_init(&s, some, 1);
	must(!getrlimit(RLIMIT_AS, &was));
	little = (struct rlimit){1ul << 30, was.rlim_max};
	must(!setrlimit(RLIMIT_AS, &little));
	CHECK_EQ(change_apply(s.log, none, UINT32_MAX, &bad, &why), -ENOMEM);
	must(!setrlimit(RLIMIT_AS, &was));
	CHECK_EQ(bad, UINT32_MAX);
	CHECK(why.text[0]);
	shop_fini(&s);
}

#endif

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(random_sets_agree_with_the_twin);
	TEST(versions_wrap);
	TEST(each_refusal_has_its_code);
	TEST(refused_sets_use_up_nothing);
	TEST(entries_that_rest_are_missing);
	TEST(a_set_of_nothing_is_no_version);
	TEST(no_memory_for_the_log_is_said);
	return test_done();
}
