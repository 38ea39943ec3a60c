/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of table/exact against a twin: an array that is indexed by the number
 * of the key.
 */
#include "table/exact_fake.h"

#include <errno.h>

#include "base/rng.h"
#include "sluice/exact_pipe.h"
#include "sluice/reader.h"

#define TWIN_MAX 25002u

/* What should be stored: twin[i] is the value of key i, 0 if there is none. */
struct twin {
	uint64_t values[TWIN_MAX];
	uint32_t n_keys;
	uint32_t n_used;
};

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

		sluice_exact_find_batch(table_exact_view(f->table),
					sluice_version(f->region->head), keys,
					n, &a);
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

	while (sluice_reader_next(v, sluice_version(f->region->head), &idx, key,
				  value)) {
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

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(random_operations_agree_with_the_twin);
	TEST(two_tables_do_not_mix);
	return test_done();
}
