/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/ternary_look - single rules, by what they are or by number; reuse
 */
#include "table/ternary_private.h"

#include <string.h>

uint32_t table_ternary_find(const struct table_ternary *t,
			    const struct table_ternary_rule *rule)
{
	struct ternary_form f;

	return ternary_form(t, rule, &f) ? ternary_current(t, &f)
					 : TERNARY_NONE;
}

struct sluice_rule *table_ternary_at(const struct table_ternary *t,
				     uint32_t number)
{
	return ternary_rule(t, number);
}

void table_ternary_get(const struct table_ternary *t, uint32_t number,
		       void *key, void *mask, uint32_t *priority)
{
	const struct sluice_rule *r = ternary_rule(t, number);
	const uint64_t *pair = ternary_pairs(t, number);
	uint64_t words = r->words & t->view.words;
	uint64_t *k = key, *m = mask;

	memset(key, 0, t->view.key_len);
	memset(mask, 0, t->view.key_len);
	for (uint32_t i = 0; words && i < t->view.n_words; i++) {
		uint32_t w = (uint32_t)__builtin_ctzll(words);

		m[w] = pair[2ul * i];
		k[w] = pair[2ul * i + 1];
		words &= words - 1;
	}
	*priority = r->priority;
}

uint32_t table_ternary_each(const struct table_ternary *t, uint32_t *number)
{
	while (*number < t->view.n_entries)
		if (ternary_is_current(t, (*number)++))
			return *number - 1;
	return TERNARY_NONE;
}

uint32_t table_ternary_n_resting(const struct table_ternary *t)
{
	return (uint32_t)(t->spare.rested - t->spare.freed);
}

uint64_t table_ternary_mark(const struct table_ternary *t)
{
	return t->spare.rested;
}

void table_ternary_reclaim(struct table_ternary *t, uint64_t mark)
{
	if (mark <= t->spare.freed || mark > t->spare.rested)
		return;
	/* [ternary-change] before any of them is written again */
	ternary_changed(t);
	t->spare.freed = mark;
}
