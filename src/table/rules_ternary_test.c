/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ternary table over sets as operators have them, against a scan: who wins,
 * and whether the bits that it says it looked at are enough.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/test.h"
#include "table/rules_ternary_fake.h"

#define N_RULES 2000u
#define N_KEYS 3000u

struct lab {
	struct rules rules;
	struct rules_table t;
	struct sluice_key *keys; /* [N_KEYS] */
	bool *is_in;		 /* [rules.n] */
	uint32_t version;
	const char *name;
	bool is_flat;
	bool may_refuse; /* more masks than one can ask for */
};

/*
 * Leaves few priorities: rules that overlap then have the same one, or one that
 * differs by one.
 */
static void flatten(struct rules *r)
{
	for (uint32_t i = 0; i < r->n; i++)
		r->rule[i].priority = (r->rule[i].priority + 63) / 64;
}

/* Is there such a rule, with that priority, before it? */
static bool is_double(const struct rules *r, uint32_t i)
{
	const struct rule *rule = &r->rule[i];

	for (uint32_t j = i; j-- > 0;) {
		if (r->rule[j].priority != rule->priority)
			return false;
		if (memcmp(&r->rule[j], rule, offsetof(struct rule, filter)) ==
		    0)
			return true;
	}
	return false;
}

static void lab_init(struct lab *l, enum rules_kind kind, bool is_flat)
{
	rules_init(&l->rules, kind, N_RULES, test_seed());
	if (is_flat)
		flatten(&l->rules);
	rules_table_init(&l->t, N_RULES, false, test_seed());
	l->keys = calloc(N_KEYS, sizeof(*l->keys));
	l->is_in = calloc(N_RULES, sizeof(*l->is_in));
	must(l->keys && l->is_in);
	rules_trace(&l->rules, test_seed(), l->keys, N_KEYS);
	l->version = sluice_version(l->t.region->head);
	l->name = rules_kind_name(kind);
	l->is_flat = is_flat;
	l->may_refuse = kind == RULES_WIDE;
}

static void lab_fini(struct lab *l)
{
	rules_table_fini(&l->t);
	rules_fini(&l->rules);
	free(l->keys);
	free(l->is_in);
}

static void reclaim(struct lab *l)
{
	table_ternary_reclaim(l->t.table, table_ternary_mark(l->t.table));
}

static void lab_set(struct lab *l, uint32_t i)
{
	int err;

	/* The table would take it for the other. */
	if (is_double(&l->rules, i))
		return;
	err = rules_table_set(&l->t, &l->rules, i);
	CHECK(!err || (l->may_refuse && err == -ENOSPC));
	l->is_in[i] |= !err;
	reclaim(l);
}

static void lab_del(struct lab *l, uint32_t i)
{
	CHECK_EQ(rules_table_del(&l->t, &l->rules, i), l->is_in[i]);
	l->is_in[i] = false;
	reclaim(l);
}

static void lab_fill(struct lab *l)
{
	uint32_t *order = calloc(N_RULES, sizeof(*order));
	uint32_t n_in = 0;

	must(order);
	rules_shuffle(&l->rules, test_seed(), order);
	for (uint32_t i = 0; i < N_RULES; i++)
		lab_set(l, order[i]);
	free(order);
	for (uint32_t i = 0; i < N_RULES; i++)
		n_in += l->is_in[i];
	CHECK_EQ(table_ternary_n_used(l->t.table), n_in);
}

/* The first of those that are in. */
static uint32_t scan(const struct lab *l, const struct sluice_key *key)
{
	for (uint32_t i = 0; i < N_RULES; i++)
		if (l->is_in[i] && rule_matches(&l->rules.rule[i], key))
			return i;
	return RULES_NONE;
}

/* Is it what the scan found, or another of its priority? */
static void check_is_best(const struct lab *l, const struct sluice_key *key,
			  uint32_t found, uint32_t want)
{
	const struct rule *rules = l->rules.rule;

	if (found == want)
		return;
	CHECK(found < N_RULES && want < N_RULES);
	if (found >= N_RULES || want >= N_RULES)
		return;
	CHECK(l->is_in[found] && rule_matches(&rules[found], key));
	CHECK_EQ(rules[found].priority, rules[want].priority);
}

static void check_find(const struct lab *l, const struct sluice_key *key)
{
	uint64_t bits[RULES_KEY_WORDS] = {0};
	uint32_t found = rules_table_find(&l->t, key, l->version);

	check_is_best(l, key, found, scan(l, key));
	CHECK_EQ(rules_table_find_bits(&l->t, key, l->version, bits), found);
}

static void each_kind(void (*check)(struct lab *l))
{
	for (enum rules_kind kind = 0; kind <= RULES_WIDE; kind++)
		for (uint32_t is_flat = 0; is_flat < 2; is_flat++) {
			struct lab l;

			lab_init(&l, kind, is_flat);
			check(&l);
			lab_fini(&l);
		}
}

/* ---- Who wins. ---- */

static void check_winners(struct lab *l)
{
	lab_fill(l);
	for (uint32_t i = 0; i < N_KEYS; i++)
		check_find(l, &l->keys[i]);
}

static void the_winner_is_the_scans(void)
{
	each_kind(check_winners);
}

/* Comes to about half of the rules, with times of many and of few. */
static void check_churn(struct lab *l)
{
	struct rng g = rng_of(test_seed());

	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t n = rng_below(&g, N_RULES);
		bool many = i / 4000 % 2 == 0;

		if (rng_below(&g, 4) < (many ? 3u : 1u))
			lab_set(l, n);
		else
			lab_del(l, n);
		if (i % 8 == 0)
			check_find(l, &l->keys[rng_below(&g, N_KEYS)]);
	}
	for (uint32_t i = 0; i < N_RULES; i++)
		lab_del(l, i);
	CHECK_EQ(table_ternary_n_used(l->t.table), 0);
	check_find(l, &l->keys[0]);
}

static void the_winner_is_the_scans_while_rules_come_and_go(void)
{
	each_kind(check_churn);
}

/* ---- Bits. ---- */

static void words_of(uint64_t *out, const void *key)
{
	memcpy(out, key, sizeof(struct sluice_key));
}

/* Could some key with the same bits match the rule? */
static bool may_match(const struct rule *rule, const uint64_t *key,
		      const uint64_t *bits)
{
	uint64_t value[RULES_KEY_WORDS], mask[RULES_KEY_WORDS];

	words_of(value, &rule->value);
	words_of(mask, &rule->mask);
	for (uint32_t w = 0; w < RULES_KEY_WORDS; w++)
		if ((key[w] ^ value[w]) & mask[w] & bits[w])
			return false;
	return true;
}

static bool is_better(const struct lab *l, uint32_t a, uint32_t b)
{
	return b == RULES_NONE ||
	       l->rules.rule[a].priority > l->rules.rule[b].priority;
}

/*
 * Bits are enough if, and only if, they have all of the winner's mask, and tell
 * the key from every better rule. (Of rules of its own priority the table may
 * take any, but always the same: see check_changed().)
 */
static void check_enough(const struct lab *l, const struct sluice_key *key,
			 uint32_t winner, const uint64_t *bits)
{
	uint64_t k[RULES_KEY_WORDS], mask[RULES_KEY_WORDS] = {0};

	words_of(k, key);
	if (winner != RULES_NONE)
		words_of(mask, &l->rules.rule[winner].mask);
	for (uint32_t w = 0; w < RULES_KEY_WORDS; w++)
		CHECK_EQ(mask[w] & ~bits[w], 0);
	for (uint32_t i = 0; i < N_RULES && is_better(l, i, winner); i++)
		if (l->is_in[i])
			CHECK(!may_match(&l->rules.rule[i], k, bits));
}

/* Has the key bits of another one wherever it may; the winner must stay. */
static void check_changed(const struct lab *l, const struct sluice_key *key,
			  const struct sluice_key *other, const uint64_t *bits)
{
	uint64_t k[RULES_KEY_WORDS], o[RULES_KEY_WORDS];
	struct sluice_key changed;

	words_of(k, key);
	words_of(o, other);
	for (uint32_t w = 0; w < RULES_KEY_WORDS; w++)
		k[w] = (k[w] & bits[w]) | (o[w] & ~bits[w]);
	memcpy(&changed, k, sizeof(changed));
	check_is_best(l, &changed,
		      rules_table_find(&l->t, &changed, l->version),
		      scan(l, &changed));
	CHECK_EQ(rules_table_find(&l->t, &changed, l->version),
		 rules_table_find(&l->t, key, l->version));
}

static uint32_t n_bits(const uint64_t *bits)
{
	uint32_t n = 0;

	for (uint32_t w = 0; w < RULES_KEY_WORDS; w++)
		n += (uint32_t)__builtin_popcountll(bits[w]);
	return n;
}

/* What a scan would look at that takes one bit against each better rule. */
static uint32_t n_bits_of_scan(const struct lab *l,
			       const struct sluice_key *key, uint32_t winner)
{
	uint64_t k[RULES_KEY_WORDS], value[RULES_KEY_WORDS];
	uint64_t mask[RULES_KEY_WORDS], bits[RULES_KEY_WORDS];

	words_of(k, key);
	words_of(bits, &l->rules.rule[winner].mask);
	for (uint32_t i = 0; is_better(l, i, winner); i++) {
		uint32_t w = 0;

		if (!may_match(&l->rules.rule[i], k, bits))
			continue;
		words_of(value, &l->rules.rule[i].value);
		words_of(mask, &l->rules.rule[i].mask);
		while (!((k[w] ^ value[w]) & mask[w]))
			w++;
		bits[w] |= 1ull << __builtin_ctzll((k[w] ^ value[w]) & mask[w]);
	}
	return n_bits(bits);
}

static void check_bits(struct lab *l)
{
	struct rng g = rng_of(test_seed());
	uint64_t sum = 0, sum_of_scan = 0, sum_of_winners = 0;

	lab_fill(l);
	for (uint32_t i = 0; i < N_KEYS; i++) {
		const struct sluice_key *key = &l->keys[i];
		uint64_t bits[RULES_KEY_WORDS] = {0}, mask[RULES_KEY_WORDS];
		uint32_t winner =
			rules_table_find_bits(&l->t, key, l->version, bits);

		check_is_best(l, key, winner, scan(l, key));
		check_enough(l, key, winner, bits);
		for (uint32_t j = 0; j < 4; j++)
			check_changed(l, key, &l->keys[rng_below(&g, N_KEYS)],
				      bits);
		words_of(mask, &l->rules.rule[winner].mask);
		sum += n_bits(bits);
		sum_of_scan += n_bits_of_scan(l, key, winner);
		sum_of_winners += n_bits(mask);
	}
	printf("# %s%s: bits looked at: %.1f; a scan's: %.1f; the winner's own "
	       "mask: %.1f\n",
	       l->name, l->is_flat ? ", few priorities" : "",
	       (double)sum / N_KEYS, (double)sum_of_scan / N_KEYS,
	       (double)sum_of_winners / N_KEYS);
}

static void other_keys_with_the_same_bits_have_the_same_winner(void)
{
	each_kind(check_bits);
}

/* Also with bits that somebody else has looked at, and made into prefixes. */
static void check_bits_in_churn(struct lab *l)
{
	struct rng g = rng_of(test_seed());

	for (uint32_t i = 0; i < 6000; i++) {
		const struct sluice_key *key = &l->keys[rng_below(&g, N_KEYS)];
		uint64_t bits[RULES_KEY_WORDS] = {0}, before;
		uint32_t winner;

		if (rng_below(&g, 3))
			lab_set(l, rng_below(&g, N_RULES));
		else
			lab_del(l, rng_below(&g, N_RULES));
		before = rng_next(&g);
		before &= rng_next(&g);
		bits[i % RULES_KEY_WORDS] = before;
		winner = rules_table_find_bits(&l->t, key, l->version, bits);
		check_is_best(l, key, winner, scan(l, key));
		CHECK_EQ(before & ~bits[i % RULES_KEY_WORDS], 0);
		check_enough(l, key, winner, bits);
		table_ternary_round(l->t.table, bits);
		check_enough(l, key, winner, bits);
	}
}

static void bits_are_enough_while_rules_come_and_go(void)
{
	each_kind(check_bits_in_churn);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(the_winner_is_the_scans);
	TEST(the_winner_is_the_scans_while_rules_come_and_go);
	TEST(other_keys_with_the_same_bits_have_the_same_winner);
	TEST(bits_are_enough_while_rules_come_and_go);
	return test_done();
}
