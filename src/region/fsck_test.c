/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a deep check finds in a table that was damaged by hand, and that it finds
 * nothing in one at which a writer works.
 */
#include "sluice/fsck.h"

#include <errno.h>
#include <pthread.h>

#include "base/rng.h"
#include "table/exact_fake.h"

#define N_KEYS 1000u

/* The first thing said. */
static char said[SLUICE_WHY_LEN];

static void note(void *ctx, const struct sluice_table_desc *table,
		 const char *what)
{
	(void)ctx;
	(void)table;
	if (!said[0])
		snprintf(said, sizeof(said), "%s", what);
}

static void check(const struct fixture *f, struct sluice_fsck *out)
{
	const struct sluice_map map = {f->region->head, f->region->len};
	const struct sluice_fsck_conf conf = {.is_deep = true, .say = note};
	struct sluice_why why = {""};

	said[0] = '\0';
	CHECK_EQ(sluice_fsck(&map, &conf, out, &why), 0);
}

static void fill(struct fixture *f, uint32_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		uint64_t key[2] = {i, ~i}, value[VALUE_WORDS] = {i};

		must(!table_exact_set(f->table, key, value, NULL));
	}
}

static void a_sound_region_is_whole(void)
{
	struct sluice_fsck c;
	struct fixture f;

	fixture_init(&f, N_KEYS, 16);
	fill(&f, N_KEYS);
	check(&f, &c);
	CHECK_EQ(c.n_wrong, 0);
	CHECK_EQ(c.n_left, 0);
	CHECK(c.has_writer);
	CHECK_EQ(c.n_tables, 1);
	CHECK_EQ(c.tables[0].n_live, N_KEYS);
	CHECK(c.tables[0].used_len <= c.tables[0].desc.len);
	fixture_fini(&f);
}

static void a_shallow_look_believes_the_table(void)
{
	const struct sluice_fsck_conf conf = {.is_deep = false};
	struct sluice_map map;
	struct sluice_fsck c;
	struct fixture f;

	fixture_init(&f, N_KEYS, 16);
	fill(&f, 10);
	map = (struct sluice_map){f.region->head, f.region->len};
	CHECK_EQ(sluice_fsck(&map, &conf, &c, NULL), 0);
	CHECK_EQ(c.tables[0].n_live, 10); /* as it says itself */
	CHECK_EQ(c.tables[0].desc.n_max, N_KEYS);
	f.region->head->magic++;
	CHECK_EQ(sluice_fsck(&map, &conf, &c, NULL), -EINVAL);
	fixture_fini(&f);
}

/* ---- Damage. ---- */

struct hurt {
	struct sluice_exact *x;
	uint64_t *buckets;
	uint64_t *slot;	 /* the first that is in use */
	uint64_t *empty; /* one of a bucket that is not its key's */
	uint64_t *head;	 /* of its entry */
};

/*
 * X(name, what it says, how it is done, whether a dead writer may leave it):
 * each damages a table of a few keys once.
 */
#define HURTS(X)                                                              \
	X(slot_far, "not there", *h->slot = *h->slot >> 32 << 32 | ~0u, 0)    \
	X(slot_dead, "dead entry", *h->head = 8, 1)                           \
	X(slot_hash, "has not the hash", *h->slot ^= 1ull << 40, 1)           \
	X(slot_twice, "not the only one", h->slot[1] = *h->slot, 1)           \
	X(slot_lost, "in no slot", *h->slot = 0, 1)                           \
	X(slot_astray, "not its key's", (*h->empty = *h->slot, *h->slot = 0), \
	  0)                                                                  \
	X(count_one, "are counted", h->x->n_used++, 1)                        \
	X(count_many, "are counted", h->x->n_used += 7, 1)

static struct hurt hurt_of(struct fixture *f)
{
	struct sluice_exact *x = shared_of(f);
	struct hurt h = {.x = x};
	uint32_t i = 0, b;

	h.buckets = (uint64_t *)((uint8_t *)x + x->buckets_off);
	while (!h.buckets[i] || i % 8 == 7)
		i++;
	h.slot = &h.buckets[i];
	h.head = (uint64_t *)((uint8_t *)x + x->entries_off +
			      ((uint32_t)*h.slot - 1) * (uint64_t)x->entry_len);
	for (b = 0; b < x->n_buckets; b++) {
		uint32_t hash = (uint32_t)(*h.slot >> 32);

		if (b != sluice_exact_bucket1(hash, x->n_buckets) &&
		    b != sluice_exact_bucket2(hash, x->n_buckets) &&
		    !h.buckets[b * 8ul])
			h.empty = &h.buckets[b * 8ul];
	}
	must(h.empty);
	return h;
}

#define X(name, says, damage, may_be_left)      \
	static void hurt_##name(struct hurt *h) \
	{                                       \
		damage;                         \
	}
HURTS(X)
#undef X

static const struct {
	const char *name, *says;
	void (*damage)(struct hurt *h);
	bool may_be_left;
} hurts[] = {
#define X(name, says, damage, may_be_left) \
	{#name, says, hurt_##name, may_be_left},
	HURTS(X)
#undef X
};

static void hurt_and_check(size_t i, bool has_writer)
{
	bool is_left = hurts[i].may_be_left && !has_writer;
	struct sluice_fsck c;
	struct fixture f;
	struct hurt h;

	fixture_init(&f, 100, 16);
	fill(&f, 20);
	h = hurt_of(&f);
	hurts[i].damage(&h);
	if (!has_writer)
		f.region->head->writer_start = 1;
	check(&f, &c);
	if (!strstr(said, hurts[i].says))
		printf("# %s: '%s'\n", hurts[i].name, said);
	CHECK(strstr(said, hurts[i].says));
	CHECK(is_left ? c.n_left && !c.n_wrong : c.n_wrong);
	fixture_fini(&f);
}

static void every_damage_is_found(void)
{
	for (size_t i = 0; i < sizeof(hurts) / sizeof(hurts[0]); i++)
		hurt_and_check(i, true);
}

static void what_a_dead_writer_left_is_told_apart(void)
{
	for (size_t i = 0; i < sizeof(hurts) / sizeof(hurts[0]); i++)
		hurt_and_check(i, false);
}

/* Noise all over: it ends, and says no more than a hundred things a table. */
static uint32_t n_said;

static void count(void *ctx, const struct sluice_table_desc *table,
		  const char *what)
{
	(void)ctx;
	(void)table;
	(void)what;
	n_said++;
}

static void ruins_take_no_longer(void)
{
	const struct sluice_fsck_conf conf = {.is_deep = true, .say = count};
	struct rng rng = rng_of(test_seed());
	struct sluice_fsck c;
	struct sluice_map map;
	struct fixture f;
	struct sluice_exact *x;
	uint64_t *words;

	fixture_init(&f, 100000, 16);
	x = shared_of(&f);
	words = (uint64_t *)((uint8_t *)x + x->buckets_off);
	for (uint64_t i = 0; i < x->n_buckets * 8ul; i++)
		words[i] = rng_next(&rng);
	map = (struct sluice_map){f.region->head, f.region->len};
	CHECK_EQ(sluice_fsck(&map, &conf, &c, NULL), 0);
	CHECK(c.n_wrong > 50000);
	CHECK(n_said <= 100);
	fixture_fini(&f);
}

/* ---- At work. ---- */

struct work {
	struct fixture f;
	bool is_over;
};

static void *write_on(void *arg)
{
	struct work *w = arg;
	struct rng rng = rng_of(test_seed());

	while (!__atomic_load_n(&w->is_over, __ATOMIC_RELAXED)) {
		uint64_t i = rng_next(&rng) % (2ul * N_KEYS);
		uint64_t key[2] = {i, ~i}, value[VALUE_WORDS] = {i};

		if (rng_next(&rng) % 2)
			table_exact_del(w->f.table, key);
		else if (table_exact_set(w->f.table, key, value, NULL))
			reclaim_all(&w->f);
		if (table_exact_n_resting(w->f.table) > N_KEYS / 64)
			reclaim_all(&w->f);
	}
	return NULL;
}

static void a_writer_at_work_is_no_damage(void)
{
	struct work w = {.is_over = false};
	struct sluice_fsck c;
	pthread_t thread;

	fixture_init(&w.f, N_KEYS, 16);
	fill(&w.f, N_KEYS - 10);
	must(!pthread_create(&thread, NULL, write_on, &w));
	for (uint32_t i = 0; i < 100; i++) {
		check(&w.f, &c);
		if (c.n_wrong)
			printf("# look %u: %s\n", i, said);
		CHECK_EQ(c.n_wrong, 0);
	}
	__atomic_store_n(&w.is_over, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	check(&w.f, &c);
	CHECK_EQ(c.n_wrong, 0);
	CHECK_EQ(c.tables[0].n_live, table_exact_n_used(w.f.table));
	fixture_fini(&w.f);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(a_sound_region_is_whole);
	TEST(a_shallow_look_believes_the_table);
	TEST(every_damage_is_found);
	TEST(what_a_dead_writer_left_is_told_apart);
	TEST(ruins_take_no_longer);
	TEST(a_writer_at_work_is_no_damage);
	return test_done();
}
