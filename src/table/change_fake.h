/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_CHANGE_FAKE_H
#define TABLE_CHANGE_FAKE_H

/*
 * table/change_fake - several exact tables in one region, with keys that are
 * numbers, for tests of change sets
 */

#include "base/must.h"
#include "base/rng.h"
#include "base/test.h"
#include "sluice/exact_batch.h"
#include "sluice/reader.h"
#include "table/change.h"
#include "table/exact.h"

#define SHOP_TABLES 3u
#define SHOP_WORDS 2u /* of a key, and of a value */

struct shop {
	struct region *region;
	struct change_log *log;
	struct table_exact *tables[SHOP_TABLES];
};

static inline uint32_t shop_kind(uint32_t table)
{
	return SLUICE_TABLE_OWN + table;
}

/* n_max[table]; the region's first version. */
static inline void shop_init(struct shop *s, const uint32_t *n_max,
			     uint32_t version)
{
	must(!region_new_memfd("shop", 1 << 17, false, &s->region, NULL));
	region_settling_set(s->region, version);
	region_version_set(s->region, version);
	for (uint32_t i = 0; i < SHOP_TABLES; i++) {
		struct table_exact_conf conf = {
			.name = "shop",
			.kind = shop_kind(i),
			.n_max = n_max[i],
			.key_len = 8 * SHOP_WORDS,
			.value_len = 8 * SHOP_WORDS,
			.seed = test_seed() + i,
		};

		must(!table_exact_new(s->region, &conf, &s->tables[i], NULL));
	}
	must(!change_log_new(s->region, &s->log));
}

static inline void shop_leave(struct shop *s)
{
	change_log_free(s->log);
	for (uint32_t i = 0; i < SHOP_TABLES; i++)
		table_exact_free(s->tables[i]);
	*s = (struct shop){.region = s->region};
}

static inline void shop_fini(struct shop *s)
{
	shop_leave(s);
	region_free(s->region);
}

/* The writer is gone, readers have left their sections, another one comes. */
static inline void shop_adopt(struct shop *s)
{
	shop_leave(s);
	for (uint32_t i = 0; i < SHOP_TABLES; i++)
		must(!table_exact_adopt(s->region, shop_kind(i), &s->tables[i],
					NULL));
	must(!change_log_new(s->region, &s->log));
}

static inline uint32_t shop_version(const struct shop *s)
{
	return sluice_version(s->region->head);
}

/* ---- Items. ---- */

struct shop_item {
	uint32_t table;
	enum change_kind kind;
	uint64_t key[SHOP_WORDS];
	uint64_t value[SHOP_WORDS];
};

static inline void shop_key(uint64_t *key, uint32_t i)
{
	key[0] = i;
	key[1] = ~(uint64_t)i;
}

static inline void shop_value(uint64_t *value, uint64_t v)
{
	value[0] = v;
	value[1] = ~v;
}

static inline struct shop_item shop_item(uint32_t table, enum change_kind kind,
					 uint32_t i, uint64_t v)
{
	struct shop_item item = {.table = table, .kind = kind};

	shop_key(item.key, i);
	shop_value(item.value, v);
	return item;
}

static inline struct change_item shop_change(const struct shop *s,
					     const struct shop_item *item)
{
	return (struct change_item){
		.table = table_exact_change(s->tables[item->table]),
		.kind = item->kind,
		.key = item->key,
		.value = item->kind == CHANGE_DEL ? NULL : item->value,
	};
}

#define SHOP_ITEMS_MAX 64u

static inline int shop_apply(struct shop *s, const struct shop_item *items,
			     uint32_t n, uint32_t *bad)
{
	struct change_item changes[SHOP_ITEMS_MAX] = {0};

	must(n <= SHOP_ITEMS_MAX);
	for (uint32_t i = 0; i < n; i++)
		changes[i] = shop_change(s, &items[i]);
	return change_apply(s->log, changes, n, bad, NULL);
}

static inline int shop_set(struct shop *s, uint32_t table, uint32_t i,
			   uint64_t v)
{
	struct shop_item item = shop_item(table, CHANGE_SET, i, v);

	return table_exact_set(s->tables[table], item.key, item.value, NULL);
}

static inline bool shop_del(struct shop *s, uint32_t table, uint32_t i)
{
	uint64_t key[SHOP_WORDS];

	shop_key(key, i);
	return table_exact_del(s->tables[table], key);
}

/* The value of key i at a version; 0: none, 1: busy, torn, or not agreed on. */
static inline uint64_t shop_get(const struct shop *s, uint32_t version,
				uint32_t table, uint32_t i)
{
	struct sluice_exact_view v = *table_exact_view(s->tables[table]);
	struct sluice_exact_answers a;
	uint64_t key[SHOP_WORDS];
	uint64_t value[SHOP_WORDS] = {0, ~0ull};
	enum sluice_found f;

	shop_key(key, i);
	v.key_len = sizeof(key);
	f = sluice_exact_get(&v, version, key, sizeof(key), value);
	sluice_exact_find_batch(&v, version, key, 1, &a);
	if (f == SLUICE_BUSY || a.busy || (f == SLUICE_YES) != a.yes ||
	    value[1] != ~value[0])
		return 1;
	return f == SLUICE_YES ? value[0] : 0;
}

static inline uint64_t shop_settle_all(struct shop *s)
{
	uint64_t n = change_settle(s->log, change_mark(s->log), UINT64_MAX);

	for (uint32_t i = 0; i < SHOP_TABLES; i++)
		table_exact_reclaim(s->tables[i],
				    table_exact_mark(s->tables[i]));
	return n;
}

#endif
