/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_EXACT_FAKE_H
#define TABLE_EXACT_FAKE_H

/*
 * table/exact_fake - a table in a region of its own, with keys that are numbers,
 * for tests of table/exact
 */

#include "base/must.h"
#include "base/test.h"
#include "table/exact.h"

#define WORDS_MAX (SLUICE_KEY_LEN_MAX / 8)
#define VALUE_WORDS 2u

struct fixture {
	struct region *region;
	struct table_exact *table;
	struct table_exact_conf conf;
};

static inline void fixture_init(struct fixture *f, uint32_t n_max,
				uint16_t key_len)
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

static inline void fixture_fini(struct fixture *f)
{
	table_exact_free(f->table);
	region_free(f->region);
}

/* The table as it lies in the region. */
static inline struct sluice_exact *shared_of(const struct fixture *f)
{
	const struct sluice_table_desc *d =
		region_table(f->region, f->conf.kind);
	struct sluice_exact *shared = region_at(f->region, d->off, d->len);

	must(shared);
	return shared;
}

/* The writer dies and another one comes. */
static inline void fixture_adopt(struct fixture *f)
{
	table_exact_free(f->table);
	f->table = NULL;
	CHECK_EQ(table_exact_adopt(f->region, f->conf.kind, &f->table, NULL),
		 0);
}

/* Key number i; keys differ in few bits, as real ones do. */
static inline void key_of(uint64_t *key, uint16_t key_len, uint32_t i)
{
	uint32_t n_words = key_len / 8u;

	must(n_words > 0);
	for (uint32_t w = 0; w < n_words; w++)
		key[w] = 0x0800000000000000u + w;
	key[i % n_words] += (uint64_t)i << 8;
	key[0] ^= (uint64_t)i << 40;
}

static inline void value_of(uint64_t *value, uint64_t v)
{
	for (uint32_t w = 0; w < VALUE_WORDS; w++)
		value[w] = v + w;
}

static inline int set(struct fixture *f, uint32_t i, uint64_t v)
{
	uint64_t key[WORDS_MAX];
	uint64_t value[VALUE_WORDS];

	key_of(key, f->conf.key_len, i);
	value_of(value, v);
	return table_exact_set(f->table, key, value, NULL);
}

static inline bool del(struct fixture *f, uint32_t i)
{
	uint64_t key[WORDS_MAX];

	key_of(key, f->conf.key_len, i);
	return table_exact_del(f->table, key);
}

/* The value of key i as a reader sees it; 0: none, 1: busy or torn. */
static inline uint64_t get(const struct fixture *f, uint32_t i)
{
	uint64_t key[WORDS_MAX];
	uint64_t value[VALUE_WORDS] = {0};

	key_of(key, f->conf.key_len, i);
	switch (sluice_exact_get(table_exact_view(f->table),
				 sluice_version(f->region->head), key,
				 f->conf.key_len, value)) {
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

static inline void reclaim_all(struct fixture *f)
{
	table_exact_reclaim(f->table, table_exact_mark(f->table));
	CHECK_EQ(table_exact_n_resting(f->table), 0);
}

#endif
