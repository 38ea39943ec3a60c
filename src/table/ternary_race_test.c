/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader is overtaken at each of its loads: the writer does whole operations
 * there. The reader's answer is no worse than the best rule that lasts, or busy.
 *
 * All in one thread: the loads of sluice/ternary_find.h are calls here, and one
 * of them, at each place in turn, lets the writer work. What the torture meets
 * once in millions of look-ups happens in each of these.
 */
#include "sluice/atomic.h"

/* Loads until the writer works; -1: never. */
static int64_t work_in = -1;
static uint64_t n_loads;

static void writer_works(void);

static void at_load(void)
{
	n_loads++;
	if (work_in >= 0 && work_in-- == 0)
		writer_works();
}

static inline uint64_t load64_acquire(const uint64_t *p)
{
	at_load();
	return sluice_load64_acquire(p);
}

static inline uint32_t load32_acquire(const uint32_t *p)
{
	at_load();
	return sluice_load32_acquire(p);
}

static inline uint64_t load64_relaxed(const uint64_t *p)
{
	at_load();
	return sluice_load64_relaxed(p);
}

#define sluice_load64_acquire load64_acquire
#define sluice_load32_acquire load32_acquire
#define sluice_load64_relaxed load64_relaxed

#include "table/change.h"
#include "table/ternary_fake.h"

#define N_RULES 40u
#define N_LAST 20u   /* set once */
#define N_ALWAYS 30u /* and from there on replaced; the others come and go */

static struct fixture fix;
static struct twin_rule rules[N_RULES];
static bool is_in[N_RULES];
static struct change_log *change_log;
static struct rng rng;
static uint32_t n_ops; /* each time */

static void set(uint32_t i)
{
	struct table_ternary_rule r = rule_of(&rules[i]);
	uint64_t value[2] = {i, ~(uint64_t)i};

	is_in[i] = !table_ternary_set(fix.table, &r, value, NULL);
	CHECK(is_in[i]);
}

static void come_or_go(uint32_t i)
{
	struct table_ternary_rule r = rule_of(&rules[i]);

	if (!is_in[i])
		return set(i);
	CHECK(table_ternary_del(fix.table, &r));
	is_in[i] = false;
}

static void replace_by_set(uint32_t i)
{
	struct table_ternary_rule r = rule_of(&rules[i]);
	uint64_t value[2] = {i, ~(uint64_t)i};
	struct change_item item = {table_ternary_change(fix.table), CHANGE_SET,
				   &r, value};
	uint32_t bad;

	CHECK_EQ(change_apply(change_log, &item, 1, &bad, NULL), 0);
	CHECK_EQ(change_settle(change_log, change_mark(change_log), 1), 1);
}

/*
 * All go, then one comes and goes until every spare entry was used again, for
 * it: who stands at one of the others is led into that rule's chain.
 */
static void wear_out(uint32_t i)
{
	for (uint32_t j = N_ALWAYS; j < N_RULES; j++)
		if (is_in[j])
			come_or_go(j);
	for (uint32_t n = 0; n < 2 * fix.conf.n_max + 100; n++) {
		come_or_go(i);
		table_ternary_reclaim(fix.table, table_ternary_mark(fix.table));
	}
}

static uint32_t one_that_comes(void)
{
	return N_ALWAYS + rng_below(&rng, N_RULES - N_ALWAYS);
}

static uint32_t one_that_is_replaced(void)
{
	return N_LAST + rng_below(&rng, N_ALWAYS - N_LAST);
}

static void writer_works(void)
{
	uint32_t how = rng_below(&rng, 16);

	if (how == 0)
		return wear_out(one_that_comes());
	for (uint32_t i = 0; i < n_ops; i++) {
		uint32_t what = rng_below(&rng, 4);

		if (how < 8 || what > 1)
			come_or_go(one_that_comes());
		else if (what == 0)
			set(one_that_is_replaced());
		else
			replace_by_set(one_that_is_replaced());
		if (how >= 8 && rng_below(&rng, 2))
			table_ternary_reclaim(fix.table,
					      table_ternary_mark(fix.table));
	}
	/* Room for the next time; nobody looks now who would mind. */
	if (table_ternary_n_resting(fix.table) > 60)
		table_ternary_reclaim(fix.table, table_ternary_mark(fix.table));
}

/* Looks once, overtaken at load number at. False: there were fewer. */
static bool look(const uint64_t *key, int64_t best, int64_t at)
{
	uint32_t version = sluice_version(fix.region->head);
	enum sluice_found found;
	uint64_t value[2] = {0};
	uint32_t priority = 0;

	work_in = at;
	found = sluice_ternary_get(table_ternary_view(fix.table), key, version,
				   &priority, value);
	if (work_in >= 0) {
		work_in = -1;
		return false;
	}
	if (found == SLUICE_BUSY)
		return true;
	if (found == SLUICE_NO) {
		CHECK_EQ(best, -1);
		return true;
	}
	CHECK((int64_t)priority >= best);
	CHECK(value[0] < N_RULES && value[1] == ~value[0]);
	if (value[0] < N_RULES) {
		CHECK_EQ(rules[value[0]].priority, priority);
		CHECK(twin_matches(&fix, &rules[value[0]], key));
	}
	return true;
}

static void run(void)
{
	fixture_conf(&fix, 60, 16);
	fix.n_bits = 4 + rng_below(&rng, 8);
	fix.n_priorities = 30;
	fixture_init(&fix, &rng);
	CHECK_EQ(change_log_new(fix.region, &change_log), 0);
	for (uint32_t i = 0; i < N_RULES; i++) {
		/* No two of one name: priorities tell them apart. */
		rule_draw(&fix, &rng, &rules[i]);
		rules[i].priority = rules[i].priority * N_RULES + i;
		is_in[i] = false;
		if (i < N_ALWAYS)
			set(i);
	}
	memcpy(fix.rules, rules, N_ALWAYS * sizeof(rules[0]));
	fix.n_rules = N_ALWAYS;
	for (uint32_t i = 0; i < 60 && !test_.failed; i++) {
		uint64_t key[KEY_WORDS_MAX];
		int64_t best;

		key_draw(&fix, &rng, key);
		best = twin_best(&fix, key);
		n_ops = 1 + rng_below(&rng, 30);
		for (int64_t at = 0; look(key, best, at); at++)
			;
	}
	change_log_free(change_log);
	fixture_fini(&fix);
}

static void a_reader_is_overtaken_at_each_load(void)
{
	rng = rng_of(test_seed());
	for (uint32_t i = 0; i < 60 && !test_.failed; i++)
		run();
	printf("# %llu loads\n", (unsigned long long)n_loads);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(a_reader_is_overtaken_at_each_load);
	return test_done();
}
