/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_RULES_TERNARY_FAKE_H
#define TABLE_RULES_TERNARY_FAKE_H

/*
 * table/rules_ternary_fake - a ternary table in a region of its own for rule sets
 * of table/rules_fake; a rule's value is its number in the set
 */

#include <stddef.h>
#include <string.h>

#include "base/must.h"
#include "region/region.h"
#include "table/rules_fake.h"
#include "table/ternary.h"

#define RULES_TUPLES 1024u
/* eth_type and protocol, the low halves of two addresses, ports. */
#define RULES_WORDS 4u
#define RULES_KEY_WORDS (sizeof(struct sluice_key) / 8)
#define RULES_NONE UINT32_MAX

struct rules_table {
	struct region *region;
	struct table_ternary *table;
};

static inline void rules_table_init(struct rules_table *t, uint32_t n_max,
				    bool huge, uint64_t seed)
{
	static const struct sluice_ternary_field fields[] = {
		{8 * (offsetof(struct sluice_key, ip_src) + 12), 32},
		{8 * (offsetof(struct sluice_key, ip_dst) + 12), 32},
		{8 * offsetof(struct sluice_key, tp_src), 16},
		{8 * offsetof(struct sluice_key, tp_dst), 16},
	};
	struct table_ternary_conf conf = {
		.name = "rules",
		.kind = SLUICE_TABLE_OWN,
		.n_max = n_max,
		.n_tuples = RULES_TUPLES,
		.key_len = sizeof(struct sluice_key),
		.value_len = 8,
		.key_layout = SLUICE_KEY_LAYOUT,
		.n_words = RULES_WORDS,
		.fields = fields,
		.n_fields = sizeof(fields) / sizeof(fields[0]),
		.seed = seed,
	};

	must(!region_new_memfd("rules", table_ternary_len(&conf) + (1 << 16),
			       huge, &t->region, NULL));
	must(!table_ternary_new(t->region, &conf, &t->table, NULL));
}

static inline void rules_table_fini(struct rules_table *t)
{
	table_ternary_free(t->table);
	region_free(t->region);
}

static inline struct table_ternary_rule rules_table_rule(const struct rules *r,
							 uint32_t i)
{
	return (struct table_ternary_rule){&r->rule[i].value, &r->rule[i].mask,
					   r->rule[i].priority};
}

static inline int rules_table_set(struct rules_table *t, const struct rules *r,
				  uint32_t i)
{
	struct table_ternary_rule rule = rules_table_rule(r, i);
	uint64_t value = i;

	return table_ternary_set(t->table, &rule, &value, NULL);
}

static inline bool rules_table_del(struct rules_table *t, const struct rules *r,
				   uint32_t i)
{
	struct table_ternary_rule rule = rules_table_rule(r, i);

	return table_ternary_del(t->table, &rule);
}

/* As a reader; the rule's number in the set, or RULES_NONE. */
static inline uint32_t rules_table_find(const struct rules_table *t,
					const struct sluice_key *key,
					uint32_t version)
{
	struct sluice_rule *rule;

	if (sluice_ternary_find(table_ternary_view(t->table), key, version,
				&rule) != SLUICE_YES)
		return RULES_NONE;
	return (uint32_t) * (uint64_t *)sluice_rule_value(rule);
}

/* As the slow path; bits have RULES_KEY_WORDS words. */
static inline uint32_t rules_table_find_bits(const struct rules_table *t,
					     const struct sluice_key *key,
					     uint32_t version, uint64_t *bits)
{
	uint32_t no;

	if (table_ternary_find_bits(t->table, key, version, &no, bits) !=
	    SLUICE_YES)
		return RULES_NONE;
	return (uint32_t) *
	       (uint64_t *)sluice_rule_value(table_ternary_at(t->table, no));
}

#endif
