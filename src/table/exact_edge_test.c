/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of table/exact at its edges: full, crowded, keys of one hash, entries
 * that rest, batches that end early, what is refused.
 */
#include "table/exact_fake.h"

#include <errno.h>

#include "base/rng.h"
#include "sluice/exact_pipe.h"

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

/*
 * With hash keys of zero all these keys have one hash: 0, which empty slots look
 * like, or another. They fill both of its buckets, and are told apart.
 */
static void keys_of_one_hash_are_told_apart(void)
{
	for (uint64_t hash = 0; hash < 2; hash++) {
		uint64_t value[VALUE_WORDS] = {0};
		uint64_t keys[32];
		struct sluice_exact_answers a;
		struct fixture f;

		fixture_init(&f, 200, 8);
		memset(shared_of(&f)->hash_keys, 0,
		       sizeof(shared_of(&f)->hash_keys));
		shared_of(&f)->hash_keys[SLUICE_EXACT_HASH_KEYS - 1] = hash
								       << 32;
		for (uint64_t i = 0; i < 32; i++)
			keys[i] = i;
		for (uint32_t n = 0; n <= 16; n++) {
			sluice_exact_find_batch(table_exact_view(f.table), 1,
						keys, 32, &a);
			CHECK_EQ(a.yes, (1u << n) - 1);
			CHECK_EQ(a.busy, 0);
			CHECK(!table_exact_find(f.table, &keys[n]));
			CHECK_EQ(table_exact_set(f.table, &keys[n], value,
						 NULL),
				 n < 16 ? 0 : -ENOSPC);
		}
		fixture_adopt(&f);
		CHECK_EQ(table_exact_del_batch(f.table, keys, 32), 16);
		CHECK_EQ(table_exact_n_used(f.table), 0);
		fixture_fini(&f);
	}
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

/* Nothing breaks without it, but each look-up of an engine would cost more. */
static void a_key_alone_lies_at_home(void)
{
	for (uint32_t i = 0; i < 64; i++) {
		const struct sluice_exact_view *v;
		uint64_t key[WORDS_MAX];
		struct fixture f;
		uint32_t hash;

		fixture_init(&f, 1000, 24);
		CHECK_EQ(set(&f, i, 1), 0);
		key_of(key, 24, i);
		v = table_exact_view(f.table);
		hash = sluice_exact_hash(v->table->hash_keys, key, 24);
		CHECK_EQ(v->buckets[sluice_exact_bucket1(hash, v->n_buckets) *
					    (uint64_t)SLUICE_BUCKET_SLOTS +
				    sluice_exact_home(hash)] >>
				 32,
			 hash);
		fixture_fini(&f);
	}
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
	f.conf.kind = SLUICE_TABLE_FLOWS;
	shared_of(&f)->n_buckets *= 2;
	CHECK_EQ(table_exact_adopt(f.region, SLUICE_TABLE_FLOWS, &t, NULL),
		 -EINVAL);
	CHECK(!t);
	fixture_fini(&f);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(n_max_keys_fit_and_not_one_more);
	TEST(keys_in_even_steps_fill_it);
	TEST(crowded_buckets_fill_to_the_last_slot);
	TEST(keys_of_one_hash_are_told_apart);
	TEST(dead_entries_rest_until_reclaimed);
	TEST(an_entry_stays_where_it_is);
	TEST(a_key_alone_lies_at_home);
	TEST(batches_do_what_single_calls_do);
	TEST(what_cannot_be_is_refused);
	return test_done();
}
