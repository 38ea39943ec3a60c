/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of table/ternary against a twin; and of the bits looked at. */
#include "table/ternary_fake.h"

#include <errno.h>

/* ---- The twin. ---- */

/* One random operation on both. */
static void step(struct fixture *f, struct rng *r)
{
	uint32_t what = rng_below(r, 100);
	struct twin_rule rule;

	rule_draw(f, r, &rule);
	if (what < 40 && f->n_rules) {
		/* One that is there. */
		uint64_t value = rule.value;

		rule = f->rules[rng_below(r, f->n_rules)];
		rule.value = value;
	}
	if (what % 4 < 2 || f->n_rules < f->conf.n_max / 3) {
		int err = fixture_set(f, &rule);

		CHECK(!err || err == -ENOSPC);
		if (err)
			CHECK(f->n_rules == f->conf.n_max ||
			      table_ternary_n_tuples(f->table) == 16 ||
			      table_ternary_n_resting(f->table) >= 64);
	} else if (what < 98) {
		fixture_del(f, &rule);
	}
	if (what >= 95)
		table_ternary_reclaim(f->table, table_ternary_mark(f->table));
}

static uint32_t n_wrong(const struct fixture *f, struct rng *r, uint32_t n)
{
	uint64_t key[KEY_WORDS_MAX];
	uint32_t wrong = 0;

	for (uint32_t i = 0; i < n; i++) {
		key_draw(f, r, key);
		wrong += !find_ok(f, key, 1);
	}
	return wrong;
}

static bool twin_overlaps(const struct fixture *f, const struct twin_rule *a,
			  const struct twin_rule *b)
{
	uint64_t diff = a->priority ^ b->priority;

	for (uint32_t w = 0; w < f->conf.key_len / 8u; w++)
		diff |= (a->key[w] ^ b->key[w]) & a->mask[w] & b->mask[w];
	return !diff && !twin_same(f, a, b);
}

/* What overlaps a rule is found, if there is any. */
static uint32_t n_wrong_overlaps(const struct fixture *f, struct rng *r)
{
	uint32_t wrong = 0;

	for (uint32_t i = 0; i < 20; i++) {
		struct twin_rule rule, got = {.value = 0};
		struct table_ternary_rule key = {rule.key, rule.mask, 0};
		uint32_t at, n = 0;

		rule_draw(f, r, &rule);
		key.priority = rule.priority;
		for (uint32_t j = 0; j < f->n_rules; j++)
			n += twin_overlaps(f, &rule, &f->rules[j]);
		at = table_ternary_overlap(f->table, &key);
		if (at != TABLE_TERNARY_NONE) {
			table_ternary_get(f->table, at, got.key, got.mask,
					  &got.priority);
			wrong += !twin_overlaps(f, &rule, &got);
		}
		wrong += (at == TABLE_TERNARY_NONE) != (n == 0);
	}
	return wrong;
}

/* Every rule is there by name, and iteration gives them all. */
static void is_whole(const struct fixture *f)
{
	uint32_t number = 0, n = 0;

	for (uint32_t i = 0; i < f->n_rules; i++) {
		struct table_ternary_rule r = rule_of(&f->rules[i]);
		uint32_t at = table_ternary_find(f->table, &r);

		CHECK(at != TABLE_TERNARY_NONE);
		if (at == TABLE_TERNARY_NONE)
			return;
		CHECK_EQ(*(uint64_t *)sluice_rule_value(
				 table_ternary_at(f->table, at)),
			 f->rules[i].value);
	}
	while (table_ternary_each(f->table, &number) != TABLE_TERNARY_NONE)
		n++;
	CHECK_EQ(n, f->n_rules);
	CHECK_EQ(table_ternary_n_used(f->table), f->n_rules);
	CHECK_EQ(table_ternary_view(f->table)->table->n_used, f->n_rules);
}

static void twin_run(struct fixture *f, struct rng *r, uint32_t n_steps)
{
	fixture_init(f, r);
	for (uint32_t i = 0; i < n_steps; i++) {
		step(f, r);
		if (i % 16 == 0)
			CHECK_EQ(n_wrong(f, r, 8), 0);
		if (i % (n_steps / 4) == 1) {
			is_whole(f);
			fixture_adopt(f);
			is_whole(f);
		}
	}
	CHECK_EQ(n_wrong(f, r, 200), 0);
	CHECK_EQ(n_wrong_overlaps(f, r), 0);
	is_whole(f);
	while (f->n_rules) {
		struct twin_rule rule = f->rules[0];

		fixture_del(f, &rule);
	}
	CHECK_EQ(table_ternary_n_tuples(f->table), 0);
	fixture_fini(f);
}

static void random_operations_agree_with_the_twin(void)
{
	struct rng r = rng_of(test_seed());

	for (uint32_t i = 0; i < 60; i++) {
		static const uint16_t lens[] = {8, 16, 24, 64, 512};
		struct fixture f;

		fixture_conf(&f, i % 7 == 0 ? 40 : 300,
			     lens[i % ARRAY_LEN(lens)]);
		f.n_bits = 3 + rng_below(&r, 28);
		f.n_priorities = i % 3 ? 5 : 100000;
		f.prefixes = i % 2;
		f.conf.n_tuples = i % 4 ? 0 : 16;
		twin_run(&f, &r, 3000);
		if (test_.failed)
			break;
	}
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(random_operations_agree_with_the_twin);
	return test_done();
}
