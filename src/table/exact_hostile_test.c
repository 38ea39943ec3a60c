/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever others write into a table, a reader touches nothing outside of it
 * and ends. The table is copied to a block of exactly its length, so that
 * AddressSanitizer sees each byte that is read beyond.
 */
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "base/rng.h"
#include "base/test.h"
#include "sluice/exact_pipe.h"
#include "table/exact.h"

#define N_MAX 300u
#define N_ROUNDS 3000u
#define WORDS_MAX (SLUICE_KEY_LEN_MAX / 8)

struct hostile {
	uint64_t len;	   /* of the table */
	uint64_t *whole;   /* as it was, len bytes */
	uint64_t *mem;	   /* what is scribbled upon, len bytes */
	uint32_t n_values; /* 8-byte words of a value */
	struct sluice_exact_view view;
};

/* A table of N_MAX keys with the numbers 0 .., as it stands in memory. */
static void hostile_init(struct hostile *h, uint16_t key_len)
{
	struct table_exact_conf conf = {
		.name = "flows",
		.kind = SLUICE_TABLE_FLOWS,
		.n_max = N_MAX,
		.key_len = key_len,
		.value_len = 56,
		.seed = test_seed(),
	};
	struct region *region;
	struct table_exact *t;

	h->len = table_exact_len(&conf);
	h->n_values = conf.value_len / 8u;
	must(!region_new_memfd("hostile", h->len + (1 << 16), false, &region,
			       NULL));
	must(!table_exact_new(region, &conf, &t, NULL));
	for (uint64_t i = 0; i < N_MAX; i++) {
		uint64_t key[WORDS_MAX] = {i};
		uint64_t value[7] = {i};

		must(!table_exact_set(t, key, value, NULL));
	}
	h->whole = aligned_alloc(64, h->len);
	h->mem = aligned_alloc(64, h->len);
	must(h->whole && h->mem);
	memcpy(h->whole, table_exact_view(t)->table, h->len);
	memcpy(h->mem, h->whole, h->len);
	sluice_exact_view_init(&h->view, (struct sluice_exact *)h->mem);
	table_exact_free(t);
	region_free(region);
}

static void hostile_fini(struct hostile *h)
{
	free(h->mem);
	free(h->whole);
}

/* Words that are likely to do harm, and any. */
static uint64_t bad_word(struct rng *r)
{
	switch (rng_below(r, 6)) {
	case 0:
		return ~0ull;
	case 1:
		return 0;
	case 2:
		return rng_next(r) << 32 | (N_MAX + rng_below(r, 100));
	case 3:
		return 1ull << rng_below(r, 64);
	case 4:
		return rng_below(r, 1000);
	default:
		return rng_next(r);
	}
}

static void scribble(struct hostile *h, struct rng *r)
{
	uint32_t n_words = (uint32_t)(h->len / 8);
	uint32_t n = 1u << rng_below(r, 12);

	memcpy(h->mem, h->whole, h->len);
	for (uint32_t i = 0; i < n; i++)
		h->mem[rng_below(r, n_words)] = bad_word(r);
	/* Slots often: hashes that match, and entries that are not there. */
	for (uint32_t i = 0; i < n; i++)
		((uint32_t *)h->mem)[2ull * rng_below(r, n_words)] =
			(uint32_t)bad_word(r);
}

/* Entries are inside; what they say is anybody's. */
static uint64_t use(const struct hostile *h, uint8_t *entry)
{
	uint64_t *value = sluice_entry_value(entry, h->view.key_len);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < h->n_values; i++)
		sum += value[i];
	return sum;
}

static uint64_t use_all(const struct hostile *h,
			const struct sluice_exact_answers *a)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < a->n; i++)
		if (a->yes >> i & 1)
			sum += use(h, a->entries[i]);
	return sum;
}

static uint64_t look(struct hostile *h, struct rng *r,
		     struct sluice_exact_pipe *pipe, uint64_t *keys)
{
	uint32_t n_words = h->view.key_len / 8;
	struct sluice_exact_answers a;
	uint64_t value[7];
	uint64_t sum = 0;
	uint8_t *entry;

	memset(keys, 0, (size_t)SLUICE_EXACT_BATCH * SLUICE_KEY_LEN_MAX);
	for (uint32_t i = 0; i < SLUICE_EXACT_BATCH; i++) {
		uint64_t *key = keys + (size_t)i * n_words;

		key[0] = rng_below(r, N_MAX + 30);
		if (sluice_exact_find(&h->view, rng_below(r, 4), key,
				      h->view.key_len, &entry) == SLUICE_YES)
			sum += use(h, entry);
		sum += sluice_exact_get(&h->view, 1, key, h->view.key_len,
					value);
	}
	sluice_exact_find_batch(&h->view, 2, keys, SLUICE_EXACT_BATCH, &a);
	sum += use_all(h, &a);
	sluice_exact_pipe_push(&h->view, pipe, keys, SLUICE_EXACT_BATCH, &a);
	return sum + use_all(h, &a);
}

static void run(uint16_t key_len)
{
	static uint64_t keys[4][SLUICE_EXACT_BATCH * WORDS_MAX];
	struct rng r = rng_of(test_seed() + key_len);
	struct sluice_exact_pipe pipe = {0};
	struct hostile h;
	uint64_t sum = 0;

	hostile_init(&h, key_len);
	for (uint32_t i = 0; i < N_ROUNDS; i++) {
		scribble(&h, &r);
		sum += look(&h, &r, &pipe, keys[i % 4]);
	}
	CHECK(sum != 0);
	hostile_fini(&h);
}

static void scribbles_lead_no_reader_outside(void)
{
	for (uint16_t key_len = 8; key_len <= SLUICE_KEY_LEN_MAX; key_len += 8)
		run(key_len);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(scribbles_lead_no_reader_outside);
	return test_done();
}
