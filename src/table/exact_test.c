/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of table/exact against a twin: an array that is indexed by the number
 * of the key.
 */
#include "table/exact.h"

#include <errno.h>

#include "base/must.h"
#include "base/rng.h"
#include "base/test.h"
#include "sluice/exact_pipe.h"
#include "sluice/reader.h"

#define WORDS_MAX (SLUICE_KEY_LEN_MAX / 8)
#define VALUE_WORDS 2u
#define TWIN_MAX 25002u

struct fixture {
	struct region *region;
	struct table_exact *table;
	struct table_exact_conf conf;
};

/* What should be stored: twin[i] is the value of key i, 0 if there is none. */
struct twin {
	uint64_t values[TWIN_MAX];
	uint32_t n_keys;
	uint32_t n_used;
};

static void fixture_init(struct fixture *f, uint32_t n_max, uint16_t key_len)
{
	f->conf = (struct table_exact_conf){
		.name = "flows",
		.kind = SLUICE_TABLE_FLOWS,
		.n_max = n_max,
		.key_len = key_len,
		.value_len = 8 * VALUE_WORDS,
		.seed = test_seed(),
	};
	must(!region_new_memfd("test", table_exact_len(&f->conf) + (1 << 16),
			       false, &f->region, NULL));
	must(!table_exact_new(f->region, &f->conf, &f->table, NULL));
}

static void fixture_fini(struct fixture *f)
{
	table_exact_free(f->table);
	region_free(f->region);
}

/* The writer dies and another one comes. */
static void fixture_adopt(struct fixture *f)
{
	table_exact_free(f->table);
	f->table = NULL;
	CHECK_EQ(table_exact_adopt(f->region, f->conf.kind, &f->table, NULL),
		 0);
}

/* Key number i; keys differ in few bits, as real ones do. */
static void key_of(uint64_t *key, uint16_t key_len, uint32_t i)
{
	uint32_t n_words = key_len / 8u;

	must(n_words > 0);
	for (uint32_t w = 0; w < n_words; w++)
		key[w] = 0x0800000000000000u + w;
	key[i % n_words] += (uint64_t)i << 8;
	key[0] ^= (uint64_t)i << 40;
}

static void value_of(uint64_t *value, uint64_t v)
{
	for (uint32_t w = 0; w < VALUE_WORDS; w++)
		value[w] = v + w;
}

static int set(struct fixture *f, uint32_t i, uint64_t v)
{
	uint64_t key[WORDS_MAX];
	uint64_t value[VALUE_WORDS];

	key_of(key, f->conf.key_len, i);
	value_of(value, v);
	return table_exact_set(f->table, key, value, NULL);
}

static bool del(struct fixture *f, uint32_t i)
{
	uint64_t key[WORDS_MAX];

	key_of(key, f->conf.key_len, i);
	return table_exact_del(f->table, key);
}

/* The value of key i as a reader sees it; 0: none, 1: busy or torn. */
static uint64_t get(const struct fixture *f, uint32_t i)
{
	uint64_t key[WORDS_MAX];
	uint64_t value[VALUE_WORDS];

	key_of(key, f->conf.key_len, i);
	switch (sluice_exact_get(table_exact_view(f->table), key,
				 f->conf.key_len, value, sizeof(value))) {
	case SLUICE_NO:
		return 0;
	case SLUICE_BUSY:
		return 1;
	case SLUICE_YES:
		break;
	}
	for (uint32_t w = 0; w < VALUE_WORDS; w++)
		if (value[w] != value[0] + w)
			return 1;
	return value[0];
}

static void reclaim_all(struct fixture *f)
{
	table_exact_reclaim(f->table, table_exact_mark(f->table));
	CHECK_EQ(table_exact_n_resting(f->table), 0);
}

static void twin_init(struct twin *t, uint32_t n_keys)
{
	must(n_keys <= TWIN_MAX);
	memset(t->values, 0, sizeof(t->values));
	t->n_keys = n_keys;
	t->n_used = 0;
}

static uint32_t wrong_by_get(const struct fixture *f, const struct twin *t)
{
	uint32_t n_wrong = 0;

	for (uint32_t i = 0; i < t->n_keys; i++)
		n_wrong += get(f, i) != t->values[i];
	return n_wrong;
}

/* The keys from number first on, at most a batch of them; returns how many. */
static uint32_t batch_of(const struct fixture *f, const struct twin *t,
			 uint32_t first, uint64_t *keys)
{
	uint32_t n = first < t->n_keys ? t->n_keys - first : 0;

	if (n > SLUICE_EXACT_BATCH)
		n = SLUICE_EXACT_BATCH;
	for (uint32_t i = 0; i < n; i++)
		key_of(keys + i * f->conf.key_len / 8, f->conf.key_len,
		       first + i);
	return n;
}

/* How many answers for the keys from first on differ from the twin's? */
static uint32_t wrong_answers(const struct fixture *f, const struct twin *t,
			      const struct sluice_exact_answers *a,
			      uint32_t first)
{
	uint32_t n_wrong = a->busy != 0;

	for (uint32_t i = 0; i < a->n; i++) {
		uint64_t value = 0;

		if (a->yes >> i & 1)
			value = *(
				uint64_t *)sluice_entry_value(a->entries[i],
							      f->conf.key_len);
		else
			n_wrong += a->entries[i] != NULL;
		n_wrong += value != t->values[first + i];
	}
	return n_wrong;
}

static uint32_t wrong_by_batch(const struct fixture *f, const struct twin *t)
{
	uint64_t keys[SLUICE_EXACT_BATCH * WORDS_MAX];
	struct sluice_exact_answers a;
	uint32_t n_wrong = 0;

	for (uint32_t i = 0; i < t->n_keys; i += SLUICE_EXACT_BATCH) {
		uint32_t n = batch_of(f, t, i, keys);

		sluice_exact_find_batch(table_exact_view(f->table), keys, n,
					&a);
		n_wrong += wrong_answers(f, t, &a, i);
		n_wrong += a.n != n;
	}
	return n_wrong;
}

static uint32_t wrong_by_pipe(const struct fixture *f, const struct twin *t)
{
	uint64_t keys[4][SLUICE_EXACT_BATCH * WORDS_MAX];
	struct sluice_exact_pipe pipe = {0};
	struct sluice_exact_answers a;
	uint32_t n_wrong = 0;
	uint32_t n_answers = 0;

	for (uint32_t i = 0; n_answers < t->n_keys; i++) {
		uint32_t n =
			batch_of(f, t, i * SLUICE_EXACT_BATCH, keys[i % 4]);

		sluice_exact_pipe_push(table_exact_view(f->table), &pipe,
				       keys[i % 4], n, &a);
		n_wrong += wrong_answers(f, t, &a, n_answers);
		n_wrong += i < 3 && a.n;
		n_answers += a.n;
	}
	return n_wrong;
}

/* Every key, in each way in which a reader can look. */
static void agrees_by_key(const struct fixture *f, const struct twin *t)
{
	CHECK_EQ(wrong_by_get(f, t), 0);
	CHECK_EQ(wrong_by_batch(f, t), 0);
	CHECK_EQ(wrong_by_pipe(f, t), 0);
}

/* Each stored key once and with its value, by iteration. */
static void agrees_by_iteration(const struct fixture *f, const struct twin *t)
{
	const struct sluice_exact_view *v = table_exact_view(f->table);
	uint64_t key[WORDS_MAX];
	uint64_t value[VALUE_WORDS];
	uint64_t sum = 0;
	uint32_t idx = 0;
	uint32_t n = 0;

	while (sluice_reader_next(v, &idx, key, value, sizeof(value))) {
		n++;
		sum += value[0];
	}
	for (uint32_t i = 0; i < t->n_keys; i++)
		sum -= t->values[i];
	CHECK_EQ(n, t->n_used);
	CHECK_EQ(sum, 0);
	CHECK_EQ(table_exact_n_used(f->table), t->n_used);
	CHECK_EQ(v->table->n_used, t->n_used);
}

static void agrees(const struct fixture *f, const struct twin *t)
{
	agrees_by_key(f, t);
	agrees_by_iteration(f, t);
}

/* One random operation on both. */
static void step(struct fixture *f, struct twin *t, struct rng *r)
{
	uint32_t i = rng_below(r, t->n_keys);
	uint64_t v = rng_next(r) | 2;
	uint32_t what = rng_below(r, 100);
	uint32_t had = t->values[i] != 0;

	if (what < 55) {
		int err = set(f, i, v);

		if (err) {
			CHECK_EQ(err, -ENOSPC);
			CHECK((!had && t->n_used == f->conf.n_max) ||
			      table_exact_n_resting(f->table) >= 64);
			reclaim_all(f);
		} else {
			t->values[i] = v;
			t->n_used += !had;
		}
	} else if (what < 95) {
		CHECK_EQ(del(f, i), had);
		t->values[i] = 0;
		t->n_used -= had;
	} else {
		reclaim_all(f);
	}
}

static void twin_run(uint32_t n_max, uint16_t key_len, uint32_t n_steps)
{
	struct rng r = rng_of(test_seed() + n_max + key_len);
	struct fixture f;
	static struct twin t;

	fixture_init(&f, n_max, key_len);
	twin_init(&t, n_max + n_max / 4 + 2);
	for (uint32_t i = 0; i < n_steps; i++) {
		step(&f, &t, &r);
		if (i % (n_steps / 8) == 0)
			agrees(&f, &t);
		if (i % (n_steps / 4) == 1)
			fixture_adopt(&f);
	}
	agrees(&f, &t);
	fixture_fini(&f);
}

static void random_operations_agree_with_the_twin(void)
{
	for (uint16_t key_len = 8; key_len <= 64; key_len += 8)
		twin_run(1000, key_len, 20000);
	for (uint32_t n_max = 1; n_max <= 70; n_max++)
		twin_run(n_max, 16, 2000);
	twin_run(20000, 40, 200000);
}

static void two_tables_do_not_mix(void)
{
	struct rng r = rng_of(test_seed());
	struct fixture f[2];
	static struct twin t[2];

	for (uint32_t i = 0; i < 2; i++) {
		fixture_init(&f[i], 300 + 50 * i, 16);
		twin_init(&t[i], 400);
	}
	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t which = rng_below(&r, 2);

		step(&f[which], &t[which], &r);
	}
	for (uint32_t i = 0; i < 2; i++) {
		agrees(&f[i], &t[i]);
		fixture_fini(&f[i]);
	}
}

/* ---- Full. ---- */

/*
 * Keys as a subnet makes them: three fields that count up together. A hash that
 * keeps their even steps fills some buckets too early, under some seeds.
 */
static void keys_in_even_steps_fill_it(void)
{
	for (uint64_t seed = 1; seed <= 60; seed++) {
		const uint32_t n = 20000, n_hosts = 99;
		struct table_exact_conf conf = {
			.name = "flows",
			.kind = SLUICE_TABLE_FLOWS,
			.n_max = n,
			.key_len = 64,
			.value_len = 8,
			.seed = seed,
		};
		struct region *region;
		struct table_exact *t;
		uint32_t n_in = 0;

		CHECK_EQ(region_new_memfd("test",
					  table_exact_len(&conf) + (1 << 16),
					  false, &region, NULL),
			 0);
		CHECK_EQ(table_exact_new(region, &conf, &t, NULL), 0);
		for (uint32_t i = 0; i < n; i++) {
			uint64_t key[8] = {i % n_hosts % 4 + 1,
					   (uint64_t)(i % n_hosts) << 32,
					   (uint64_t)(i % n_hosts) * 7,
					   0,
					   0,
					   0,
					   i / n_hosts,
					   0};
			uint64_t value = i;

			n_in += !table_exact_set(t, key, &value, NULL);
		}
		CHECK_EQ(n_in, n);
		table_exact_free(t);
		region_free(region);
	}
}

/* A set that does not fit changes no byte of the region. */
static void refuses_and_changes_nothing(struct fixture *f, const uint64_t *key)
{
	uint64_t value[VALUE_WORDS] = {7, 8};
	uint8_t *entry = (uint8_t *)value;
	void *before = malloc(f->region->len);

	memcpy(before, f->region->head, f->region->len);
	CHECK_EQ(table_exact_set(f->table, key, value, &entry), -ENOSPC);
	CHECK_EQ(table_exact_set_batch(f->table, key, value, 1), 0);
	CHECK(entry == (uint8_t *)value);
	CHECK(!memcmp(before, f->region->head, f->region->len));
	free(before);
}

static void n_max_keys_fit_and_not_one_more(void)
{
	static const uint32_t sizes[] = {1, 2, 7, 15, 59, 100, 1000, 30000};

	for (uint32_t s = 0; s < ARRAY_LEN(sizes); s++) {
		uint64_t key[WORDS_MAX];
		uint32_t n_bad = 0;
		struct fixture f;

		fixture_init(&f, sizes[s], 40);
		for (uint32_t i = 0; i < sizes[s]; i++)
			n_bad += set(&f, i, i + 2) != 0;
		for (uint32_t i = 0; i < sizes[s]; i++)
			n_bad += get(&f, i) != i + 2;
		CHECK_EQ(n_bad, 0);
		key_of(key, 40, sizes[s]);
		refuses_and_changes_nothing(&f, key);
		/* A full table's values can be replaced, and its keys leave. */
		CHECK_EQ(set(&f, 0, 77), 0);
		CHECK_EQ(get(&f, 0), 77);
		CHECK(del(&f, 0));
		CHECK_EQ(set(&f, sizes[s], 5), 0);
		fixture_fini(&f);
	}
}

/* Fills a key at random until it belongs into the first n buckets only. */
static void crowded_key(const struct sluice_exact_view *v, uint32_t n,
			struct rng *r, uint64_t *key)
{
	uint32_t hash;

	do {
		key[0] = rng_next(r);
		key[1] = rng_next(r);
		hash = sluice_exact_hash(v->table->hash_keys, key, 16);
	} while (sluice_exact_bucket1(hash, v->n_buckets) >= n ||
		 sluice_exact_bucket2(hash, v->n_buckets) >= n);
}

static void crowded_buckets_fill_to_the_last_slot(void)
{
	struct rng r = rng_of(test_seed());
	uint64_t value[VALUE_WORDS] = {0};
	uint64_t key[2];
	struct fixture f;
	uint32_t n = 0;

	fixture_init(&f, 200, 16);
	for (uint32_t i = 0; i < 400; i++) {
		crowded_key(table_exact_view(f.table), 5, &r, key);
		n += !table_exact_set(f.table, key, value, NULL);
	}
	CHECK_EQ(n, 5 * SLUICE_BUCKET_SLOTS);
	crowded_key(table_exact_view(f.table), 5, &r, key);
	refuses_and_changes_nothing(&f, key);
	fixture_fini(&f);
}

/* ---- Reuse, batches, adoption. ---- */

static void dead_entries_rest_until_reclaimed(void)
{
	uint64_t mark;
	struct fixture f;

	fixture_init(&f, 10, 8);
	for (uint32_t i = 0; i < 10; i++)
		CHECK_EQ(set(&f, i, 2), 0);
	CHECK(del(&f, 3));
	CHECK_EQ(set(&f, 4, 9), 0);
	CHECK_EQ(table_exact_n_resting(f.table), 2);
	mark = table_exact_mark(f.table);
	CHECK(del(&f, 5));
	table_exact_reclaim(f.table, mark);
	CHECK_EQ(table_exact_n_resting(f.table), 1);
	table_exact_reclaim(f.table, mark);
	CHECK_EQ(table_exact_n_resting(f.table), 1);
	for (uint32_t i = 0; !set(&f, 4, i); i++)
		CHECK(i < 100); /* entries run out before slots do */
	CHECK(table_exact_n_resting(f.table) >= 64);
	reclaim_all(&f);
	CHECK_EQ(set(&f, 4, 9), 0);
	fixture_fini(&f);
}

static void an_entry_stays_where_it_is(void)
{
	uint64_t value[VALUE_WORDS] = {5, 6};
	uint64_t key[WORDS_MAX];
	struct fixture f;
	uint8_t *entry;

	fixture_init(&f, 1000, 24);
	key_of(key, 24, 0);
	CHECK_EQ(table_exact_set(f.table, key, value, &entry), 0);
	for (uint32_t i = 1; i < 1000; i++)
		CHECK_EQ(set(&f, i, 2), 0);
	CHECK(table_exact_find(f.table, key) == entry);
	CHECK(!memcmp(sluice_entry_value(entry, 24), value, sizeof(value)));
	CHECK(!memcmp(sluice_entry_key(entry), key, 24));
	key_of(key, 24, 1000);
	CHECK(!table_exact_find(f.table, key));
	fixture_fini(&f);
}

static void batches_do_what_single_calls_do(void)
{
	uint64_t keys[TABLE_EXACT_BATCH][2];
	uint64_t values[TABLE_EXACT_BATCH][VALUE_WORDS];
	struct fixture f;

	fixture_init(&f, 40, 16);
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < TABLE_EXACT_BATCH; i++) {
			key_of(keys[i], 16, 20 * round + i);
			value_of(values[i], 100 * round + i + 2);
		}
		/* 32 new; 12 replaced and 8 that fit; none: it is full. */
		CHECK_EQ(table_exact_set_batch(f.table, keys, values,
					       TABLE_EXACT_BATCH),
			 round == 0   ? 32
			 : round == 1 ? 20
				      : 0);
	}
	CHECK_EQ(get(&f, 0), 2);
	CHECK_EQ(get(&f, 20), 102);
	CHECK_EQ(get(&f, 39), 121);
	CHECK_EQ(get(&f, 40), 0);
	for (uint32_t i = 0; i < TABLE_EXACT_BATCH; i++)
		key_of(keys[i], 16, 30 + i);
	CHECK_EQ(table_exact_del_batch(f.table, keys, TABLE_EXACT_BATCH), 10);
	CHECK_EQ(table_exact_n_used(f.table), 30);
	fixture_fini(&f);
}

static void what_cannot_be_is_refused(void)
{
	static const struct table_exact_conf bad[] = {
		{.n_max = 0, .key_len = 8},
		{.n_max = (1u << 28) + 1, .key_len = 8},
		{.n_max = 10, .key_len = 0},
		{.n_max = 10, .key_len = 12},
		{.n_max = 10, .key_len = 72},
		{.n_max = 10, .key_len = 8, .value_len = 12},
	};
	struct table_exact *t = NULL;
	struct fixture f;

	for (uint32_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_EQ(table_exact_len(&bad[i]), 0);
	fixture_init(&f, 100, 16);
	CHECK_EQ(table_exact_new(f.region, &bad[0], &t, NULL), -EINVAL);
	CHECK_EQ(table_exact_new(f.region, &f.conf, &t, NULL), -EEXIST);
	f.conf.kind = SLUICE_TABLE_MACS;
	f.conf.n_max = 1u << 20;
	CHECK_EQ(table_exact_new(f.region, &f.conf, &t, NULL), -ENOSPC);
	CHECK_EQ(table_exact_adopt(f.region, SLUICE_TABLE_MACS, &t, NULL),
		 -ENOENT);
	((struct sluice_exact *)(uintptr_t)
		 region_at(f.region,
			   region_table(f.region, SLUICE_TABLE_FLOWS)->off,
			   sizeof(struct sluice_exact)))
		->n_buckets *= 2;
	CHECK_EQ(table_exact_adopt(f.region, SLUICE_TABLE_FLOWS, &t, NULL),
		 -EINVAL);
	CHECK(!t);
	fixture_fini(&f);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(random_operations_agree_with_the_twin);
	TEST(two_tables_do_not_mix);
	TEST(n_max_keys_fit_and_not_one_more);
	TEST(keys_in_even_steps_fill_it);
	TEST(crowded_buckets_fill_to_the_last_slot);
	TEST(dead_entries_rest_until_reclaimed);
	TEST(an_entry_stays_where_it_is);
	TEST(batches_do_what_single_calls_do);
	TEST(what_cannot_be_is_refused);
	return test_done();
}
