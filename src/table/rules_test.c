/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What table/rules_fake promises: tests and benchmarks rest on it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "base/rng.h"
#include "base/test.h"
#include "table/rules_fake.h"

#define N_KEYS 4096u
#define WORDS (sizeof(struct sluice_key) / 8)

static void words_of(uint64_t *out, const struct sluice_key *k)
{
	memcpy(out, k, sizeof(*k));
}

/* Is there a packet that both match? */
static bool overlap(const struct rule *a, const struct rule *b)
{
	uint64_t va[WORDS], ma[WORDS], vb[WORDS], mb[WORDS];

	words_of(va, &a->value);
	words_of(ma, &a->mask);
	words_of(vb, &b->value);
	words_of(mb, &b->mask);
	for (uint32_t i = 0; i < WORDS; i++)
		if ((va[i] ^ vb[i]) & ma[i] & mb[i])
			return false;
	return true;
}

static uint32_t n_masks_of(const struct rules *r)
{
	struct sluice_key *seen = calloc(r->n, sizeof(*seen));
	uint32_t n = 0;

	must(seen);
	for (uint32_t i = 0; i < r->n; i++) {
		uint32_t j = 0;

		while (j < n &&
		       memcmp(&seen[j], &r->rule[i].mask, sizeof(seen[j])) != 0)
			j++;
		if (j == n)
			seen[n++] = r->rule[i].mask;
	}
	free(seen);
	return n;
}

static void each_kind_and_size(void (*check)(const struct rules *r))
{
	static const uint32_t sizes[] = {2, 3, 10, 1000, 5000};

	for (enum rules_kind kind = 0; kind <= RULES_WIDE; kind++)
		for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]);
		     i++) {
			struct rules r;

			rules_init(&r, kind, sizes[i], test_seed());
			CHECK_EQ(r.n, sizes[i]);
			check(&r);
			rules_fini(&r);
		}
}

static void check_order(const struct rules *r)
{
	for (uint32_t i = 0; i < r->n; i++) {
		const struct rule *rule = &r->rule[i];
		uint64_t value[WORDS], mask[WORDS];

		CHECK_EQ(rule->priority, r->n_filters - 1 - rule->filter);
		CHECK(i >= r->first[rule->filter] &&
		      i < r->first[rule->filter + 1]);
		words_of(value, &rule->value);
		words_of(mask, &rule->mask);
		for (uint32_t w = 0; w < WORDS; w++)
			CHECK_EQ(value[w] & ~mask[w], 0);
	}
	CHECK_EQ(r->first[r->n_filters], r->n);
}

static void values_lie_in_masks_and_priorities_fall(void)
{
	each_kind_and_size(check_order);
}

static void check_disjoint(const struct rules *r)
{
	for (uint32_t f = 0; f < r->n_filters; f++)
		for (uint32_t i = r->first[f]; i < r->first[f + 1]; i++)
			for (uint32_t j = i + 1; j < r->first[f + 1]; j++)
				CHECK(!overlap(&r->rule[i], &r->rule[j]));
}

static void rules_of_one_filter_are_disjoint(void)
{
	each_kind_and_size(check_disjoint);
}

static void a_seed_gives_one_set_and_one_trace(void)
{
	struct sluice_key *a = calloc(N_KEYS, sizeof(*a));
	struct sluice_key *b = calloc(N_KEYS, sizeof(*b));
	struct rules x, y, z;

	must(a && b);
	rules_init(&x, RULES_FW, 1000, test_seed());
	rules_init(&y, RULES_FW, 1000, test_seed());
	rules_init(&z, RULES_FW, 1000, test_seed() + 1000);
	CHECK_EQ(memcmp(x.rule, y.rule, 1000 * sizeof(*x.rule)), 0);
	CHECK(memcmp(x.rule, z.rule, 1000 * sizeof(*x.rule)) != 0);
	rules_trace(&x, 7, a, N_KEYS);
	rules_trace(&y, 7, b, N_KEYS);
	CHECK_EQ(memcmp(a, b, N_KEYS * sizeof(*a)), 0);
	rules_fini(&x);
	rules_fini(&y);
	rules_fini(&z);
	free(a);
	free(b);
}

/* Prints what the sets look like, too. */
static void traces_match_many_rules_and_sometimes_none_but_the_last(void)
{
	for (enum rules_kind kind = 0; kind <= RULES_WIDE; kind++) {
		struct sluice_key *keys = calloc(N_KEYS, sizeof(*keys));
		bool *hit = calloc(1000, sizeof(*hit));
		uint32_t n_hit = 0, n_last = 0, n_same = 0;
		struct rules r;

		must(keys && hit);
		rules_init(&r, kind, 1000, test_seed());
		rules_trace(&r, test_seed(), keys, N_KEYS);
		for (uint32_t i = 0; i < N_KEYS; i++) {
			uint32_t at = rules_scan(&r, &keys[i]);

			n_hit += !hit[at];
			hit[at] = true;
			n_last += at == r.n - 1;
			n_same += i && !memcmp(&keys[i], &keys[i - 1],
					       sizeof(keys[i]));
		}
		printf("# %s: %u rules of %u filters under %u masks; of %u "
		       "packets %u repeat, %u match the last rule; %u rules "
		       "matched\n",
		       rules_kind_name(kind), r.n, r.n_filters, n_masks_of(&r),
		       N_KEYS, n_same, n_last, n_hit);
		CHECK(n_hit > 200);
		CHECK(n_last > N_KEYS / 100 && n_last < N_KEYS / 4);
		CHECK(n_same > N_KEYS / 50);
		rules_fini(&r);
		free(keys);
		free(hit);
	}
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(values_lie_in_masks_and_priorities_fall);
	TEST(rules_of_one_filter_are_disjoint);
	TEST(a_seed_gives_one_set_and_one_trace);
	TEST(traces_match_many_rules_and_sometimes_none_but_the_last);
	return test_done();
}
