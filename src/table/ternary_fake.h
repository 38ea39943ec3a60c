/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_TERNARY_FAKE_H
#define TABLE_TERNARY_FAKE_H

/*
 * table/ternary_fake - a table in a region of its own beside its twin, an array
 * of rules that is looked through from one end to the other, for tests of
 * table/ternary
 *
 * Keys are drawn from a small universe: a few bits of a few words differ, so that
 * rules overlap, collide and repeat all the time.
 */
#include "base/must.h"
#include "base/rng.h"
#include "base/test.h"
#include "table/ternary.h"

#define KEY_WORDS_MAX (SLUICE_TERNARY_KEY_LEN_MAX / 8)
#define TWIN_MAX 4096u

struct twin_rule {
	uint64_t key[KEY_WORDS_MAX];
	uint64_t mask[KEY_WORDS_MAX];
	uint64_t value;
	uint32_t priority;
};

struct fixture {
	struct region *region;
	struct table_ternary *table;
	struct table_ternary_conf conf;
	uint32_t n_rules;
	struct twin_rule *rules; /* [TWIN_MAX] */
	uint32_t n_bits;	 /* bits of the universe */
	uint16_t bits[64];	 /* their places in the key */
	uint32_t n_priorities;
	bool prefixes; /* masks are mostly runs of the universe's bits */
};

static const struct sluice_ternary_field fake_fields[] = {{0, 32},
							  {32, 32},
							  {64, 16}};

static inline void fixture_conf(struct fixture *f, uint32_t n_max,
				uint16_t key_len)
{
	memset(f, 0, sizeof(*f));
	f->conf = (struct table_ternary_conf){
		.name = "rules",
		.kind = SLUICE_TABLE_OWN,
		.n_max = n_max,
		.key_len = key_len,
		.value_len = 16,
		.fields = fake_fields,
		.n_fields = key_len > 8 ? 3 : 2,
		.seed = test_seed(),
	};
	f->n_bits = 12;
	f->n_priorities = 20;
}

/* The places of the universe's bits, anywhere in the key. */
static inline void fixture_universe(struct fixture *f, struct rng *r)
{
	for (uint32_t i = 0; i < f->n_bits; i++)
		f->bits[i] = (uint16_t)rng_below(r, 8u * f->conf.key_len);
}

static inline void fixture_init(struct fixture *f, struct rng *r)
{
	must(!region_new_memfd("test", table_ternary_len(&f->conf) + (1 << 16),
			       false, &f->region, NULL));
	must(!table_ternary_new(f->region, &f->conf, &f->table, NULL));
	f->rules = calloc(TWIN_MAX, sizeof(*f->rules));
	must(f->rules);
	fixture_universe(f, r);
}

static inline void fixture_fini(struct fixture *f)
{
	table_ternary_free(f->table);
	region_free(f->region);
	free(f->rules);
}

/* The writer dies and another one comes. */
static inline void fixture_adopt(struct fixture *f)
{
	table_ternary_free(f->table);
	f->table = NULL;
	must(!table_ternary_adopt(f->region, f->conf.kind, &f->table, NULL));
}

static inline void bit_put(uint64_t *words, uint32_t bit, uint32_t v)
{
	uint8_t *b = (uint8_t *)words + bit / 8;

	*b = (uint8_t)((*b & ~(0x80 >> bit % 8)) | (v ? 0x80 >> bit % 8 : 0));
}

/* Any key of the universe. */
static inline void key_draw(const struct fixture *f, struct rng *r,
			    uint64_t *key)
{
	memset(key, 0, f->conf.key_len);
	for (uint32_t i = 0; i < f->n_bits; i++)
		bit_put(key, f->bits[i], rng_below(r, 2));
}

static inline void rule_draw(const struct fixture *f, struct rng *r,
			     struct twin_rule *out)
{
	uint32_t density = rng_below(r, 9);
	uint32_t from = 0, to = f->n_bits;

	memset(out, 0, sizeof(*out));
	if (f->prefixes) {
		from = rng_below(r, f->n_bits + 1);
		to = rng_below(r, f->n_bits + 1);
		density = 8;
	}
	for (uint32_t i = 0; i < f->n_bits; i++)
		if ((i < from || i >= to) == f->prefixes &&
		    rng_below(r, 8) < density)
			bit_put(out->mask, f->bits[i], 1);
	key_draw(f, r, out->key);
	out->priority = rng_below(r, f->n_priorities);
	out->value = rng_next(r);
}

static inline bool twin_same(const struct fixture *f, const struct twin_rule *a,
			     const struct twin_rule *b)
{
	uint64_t diff = a->priority ^ b->priority;

	for (uint32_t w = 0; w < f->conf.key_len / 8u; w++)
		diff |= (a->mask[w] ^ b->mask[w]) |
			((a->key[w] ^ b->key[w]) & a->mask[w]);
	return !diff;
}

/* The place of the rule of these three in the twin, or n_rules. */
static inline uint32_t twin_find(const struct fixture *f,
				 const struct twin_rule *rule)
{
	uint32_t i = 0;

	while (i < f->n_rules && !twin_same(f, &f->rules[i], rule))
		i++;
	return i;
}

static inline bool twin_matches(const struct fixture *f,
				const struct twin_rule *rule,
				const uint64_t *key)
{
	uint64_t diff = 0;

	for (uint32_t w = 0; w < f->conf.key_len / 8u; w++)
		diff |= (rule->key[w] ^ key[w]) & rule->mask[w];
	return !diff;
}

/* The best rule's priority; -1: none matches. */
static inline int64_t twin_best(const struct fixture *f, const uint64_t *key)
{
	int64_t best = -1;

	for (uint32_t i = 0; i < f->n_rules; i++)
		if (f->rules[i].priority > best &&
		    twin_matches(f, &f->rules[i], key))
			best = f->rules[i].priority;
	return best;
}

static inline struct table_ternary_rule rule_of(const struct twin_rule *r)
{
	return (struct table_ternary_rule){r->key, r->mask, r->priority};
}

static inline int fixture_set(struct fixture *f, const struct twin_rule *rule)
{
	struct table_ternary_rule r = rule_of(rule);
	uint64_t value[2] = {rule->value, ~rule->value};
	uint32_t at = twin_find(f, rule);
	int err = table_ternary_set(f->table, &r, value, NULL);

	if (err)
		return err;
	must(at < TWIN_MAX);
	f->rules[at] = *rule;
	f->n_rules += at == f->n_rules;
	return 0;
}

static inline bool fixture_del(struct fixture *f, const struct twin_rule *rule)
{
	struct table_ternary_rule r = rule_of(rule);
	uint32_t at = twin_find(f, rule);
	bool was = table_ternary_del(f->table, &r);

	CHECK_EQ(was, at < f->n_rules);
	if (at < f->n_rules)
		f->rules[at] = f->rules[--f->n_rules];
	return was;
}

/* Is what was found a right answer? */
static inline bool found_ok(const struct fixture *f, const uint64_t *key,
			    enum sluice_found found, struct sluice_rule *rule)
{
	int64_t best = twin_best(f, key);
	struct twin_rule got = {.value = 0};
	uint32_t at;

	if (found != SLUICE_YES)
		return found == SLUICE_NO && best == -1;
	table_ternary_get(f->table,
			  sluice_ternary_number(table_ternary_view(f->table),
						rule),
			  got.key, got.mask, &got.priority);
	at = twin_find(f, &got);
	return got.priority == best && at < f->n_rules &&
	       twin_matches(f, &got, key) &&
	       *(uint64_t *)sluice_rule_value(rule) == f->rules[at].value;
}

static inline bool find_ok(const struct fixture *f, const uint64_t *key,
			   uint32_t version)
{
	struct sluice_rule *rule = NULL;
	enum sluice_found found =
		sluice_ternary_find(table_ternary_view(f->table), key, version,
				    &rule);

	return found_ok(f, key, found, rule);
}

#endif
