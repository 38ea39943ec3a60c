/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_MASKED_FAKE_H
#define TABLE_MASKED_FAKE_H

/*
 * table/masked_fake - a masked table in a region of its own, masks and flows to
 * put into it, and the obvious table to compare it with: a list
 */

#include "base/must.h"
#include "base/rng.h"
#include "base/test.h"
#include "sluice/masked_batch.h"
#include "table/masked.h"

#define WORDS_MAX (SLUICE_KEY_LEN_MAX / 8)
#define VALUE_WORDS 2u
#define POOL_MASKS_MAX 1100u
#define LIST_MAX 4000u

struct flow {
	uint64_t key[WORDS_MAX];  /* masked, the last two bytes zero */
	uint64_t mask[WORDS_MAX]; /* likewise */
	uint64_t value;
};

/* What should be stored. */
struct list {
	struct flow flows[LIST_MAX];
	uint32_t n;
};

struct fixture {
	struct region *region;
	struct table_masked *table;
	struct table_masked_conf conf;
	uint64_t masks[POOL_MASKS_MAX][WORDS_MAX]; /* 0: all ones */
	uint32_t n_masks;
};

static inline uint32_t n_words(const struct fixture *f)
{
	return f->conf.key_len / 8u;
}

/* A word of a mask: often nothing or all, else a prefix or a few bytes. */
static inline uint64_t mask_word(struct rng *r)
{
	uint64_t few = rng_next(r);

	switch (rng_below(r, 6)) {
	case 0:
	case 1:
		return 0;
	case 2:
		return ~0ull;
	case 3:
		return __builtin_bswap64(~0ull << rng_below(r, 64));
	case 4:
		return 0xffffull << 8 * rng_below(r, 7);
	default:
		return few & rng_next(r);
	}
}

static inline void masks_draw(struct fixture *f, uint32_t n)
{
	struct rng r = rng_of(f->conf.seed + 1);
	uint32_t last = n_words(f) - 1;

	must(n <= POOL_MASKS_MAX);
	memset(f->masks, 0, sizeof(f->masks));
	f->n_masks = n;
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t w = 0; w <= last; w++)
			f->masks[i][w] = i ? mask_word(&r) : ~0ull;
		f->masks[i][last] &= SLUICE_MASKED_KEY_BITS;
	}
}

static inline void fixture_init(struct fixture *f,
				const struct table_masked_conf *conf,
				uint32_t n_masks)
{
	f->conf = *conf;
	f->conf.name = "flows";
	f->conf.kind = SLUICE_TABLE_FLOWS;
	f->conf.value_len = 8 * VALUE_WORDS;
	f->conf.seed = test_seed();
	must(!region_new_memfd("test", table_masked_len(&f->conf) + (1 << 16),
			       false, &f->region, NULL));
	must(!table_masked_new(f->region, &f->conf, &f->table, NULL));
	masks_draw(f, n_masks);
}

static inline void fixture_fini(struct fixture *f)
{
	table_masked_free(f->table);
	region_free(f->region);
}

/* The writer dies and another one comes. */
static inline void fixture_adopt(struct fixture *f)
{
	table_masked_free(f->table);
	f->table = NULL;
	must(!table_masked_adopt(f->region, f->conf.kind, &f->table, NULL));
}

/* A key with few different words, so that flows are often hit. */
static inline void key_draw(const struct fixture *f, struct rng *r,
			    uint64_t *key)
{
	memset(key, 0, WORDS_MAX * sizeof(*key));
	for (uint32_t w = 0; w < n_words(f); w++)
		key[w] = 0x0102040810204080u * rng_below(r, 3) +
			 0x1100000000000011u * rng_below(r, 2);
}

/* A flow under that mask of the pool, without a value. */
static inline void flow_draw(const struct fixture *f, struct rng *r,
			     uint32_t mask, struct flow *out)
{
	key_draw(f, r, out->key);
	memcpy(out->mask, f->masks[mask], sizeof(out->mask));
	for (uint32_t w = 0; w < WORDS_MAX; w++)
		out->key[w] &= out->mask[w];
	out->value = 0;
}

static inline void value_of(uint64_t *value, uint64_t v)
{
	for (uint32_t w = 0; w < VALUE_WORDS; w++)
		value[w] = v + w;
}

static inline int set(struct fixture *f, const struct flow *flow)
{
	const struct table_masked_key key = {flow->key, flow->mask};
	uint64_t value[VALUE_WORDS];

	value_of(value, flow->value);
	return table_masked_set(f->table, &key, value, NULL);
}

static inline bool del(struct fixture *f, const struct flow *flow)
{
	const struct table_masked_key key = {flow->key, flow->mask};

	return table_masked_del(f->table, &key);
}

static inline void reclaim_all(struct fixture *f)
{
	table_masked_reclaim(f->table, table_masked_mark(f->table));
	CHECK_EQ(table_masked_n_resting(f->table), 0);
}

/* ---- The list. ---- */

static inline struct flow *list_find(struct list *l, const struct flow *flow)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (!memcmp(&l->flows[i], flow, offsetof(struct flow, value)))
			return &l->flows[i];
	return NULL;
}

static inline void list_set(struct list *l, const struct flow *flow)
{
	struct flow *at = list_find(l, flow);

	must(at || l->n < LIST_MAX);
	if (!at)
		at = &l->flows[l->n++];
	*at = *flow;
}

static inline bool list_del(struct list *l, const struct flow *flow)
{
	struct flow *at = list_find(l, flow);

	if (!at)
		return false;
	*at = l->flows[--l->n];
	return true;
}

static inline bool flow_matches(const struct fixture *f,
				const struct flow *flow, const uint64_t *key)
{
	uint64_t diff = 0;

	for (uint32_t w = 0; w < n_words(f); w++)
		diff |= (key[w] & flow->mask[w]) ^ flow->key[w];
	return !diff;
}

/* Is value (0: none) an answer for the key? */
static inline bool list_allows(const struct fixture *f, const struct list *l,
			       const uint64_t *key, uint64_t value)
{
	bool any = false;

	for (uint32_t i = 0; i < l->n; i++) {
		if (!flow_matches(f, &l->flows[i], key))
			continue;
		if (l->flows[i].value == value)
			return true;
		any = true;
	}
	return !any && !value;
}

/* Masks other than all ones under which there are flows. */
static inline uint32_t list_n_masks(const struct fixture *f,
				    const struct list *l)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->n; i++) {
		const struct flow *flow = &l->flows[i];
		bool is_new = memcmp(flow->mask, f->masks[0],
				     sizeof(flow->mask)) != 0;

		for (uint32_t j = 0; j < i && is_new; j++)
			is_new = memcmp(flow->mask, l->flows[j].mask,
					sizeof(flow->mask)) != 0;
		n += is_new;
	}
	return n;
}

static inline bool list_has_mask(const struct list *l, const uint64_t *mask)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (!memcmp(l->flows[i].mask, mask, sizeof(l->flows[i].mask)))
			return true;
	return false;
}

/* ---- What readers see. 0: no; 1: busy, or torn. ---- */

static inline uint64_t value_seen(const uint64_t *value)
{
	for (uint32_t w = 0; w < VALUE_WORDS; w++)
		if (value[w] != value[0] + w)
			return 1;
	return value[0];
}

static inline uint64_t seen_by_get(const struct fixture *f, uint32_t version,
				   const uint64_t *key)
{
	uint64_t value[VALUE_WORDS] = {0};

	switch (sluice_masked_get(table_masked_view(f->table), version, key,
				  f->conf.key_len, value)) {
	case SLUICE_NO:
		return 0;
	case SLUICE_BUSY:
		return 1;
	case SLUICE_YES:
		break;
	}
	return value_seen(value);
}

static inline uint64_t seen_by_find(const struct fixture *f, uint32_t version,
				    const uint64_t *key)
{
	uint8_t *entry;

	switch (sluice_masked_find(table_masked_view(f->table), version, key,
				   f->conf.key_len, &entry)) {
	case SLUICE_NO:
		return 0;
	case SLUICE_BUSY:
		return 1;
	case SLUICE_YES:
		break;
	}
	return value_seen(sluice_entry_value(entry, f->conf.key_len));
}

static inline uint64_t seen_by_batch(const struct fixture *f,
				     const struct sluice_exact_answers *a,
				     uint32_t i)
{
	if (a->busy >> i & 1)
		return 1;
	if (!(a->yes >> i & 1))
		return a->entries[i] != NULL;
	return value_seen(sluice_entry_value(a->entries[i], f->conf.key_len));
}

#endif
