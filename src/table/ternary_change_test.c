/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of change sets of rules: readers of the version before a set and of the
 * one after it each see their world, until it settles; who adopts sees what was
 * true.
 */
#include "table/ternary_fake.h"

#include <errno.h>

#include "table/change.h"

#define SET_MAX 8u

/* The table, its twin of now, and the twin of the oldest readable version. */
struct rig {
	struct fixture now;
	struct fixture then;
	struct change_log *log;
	uint32_t version; /* of then */
};

static void then_is_now(struct rig *g)
{
	struct twin_rule *rules = g->then.rules;

	g->then = g->now;
	g->then.rules = rules;
	memcpy(rules, g->now.rules, g->now.n_rules * sizeof(*rules));
	g->version = sluice_version(g->now.region->head);
}

static void rig_init(struct rig *g, struct rng *r)
{
	fixture_init(&g->now, r);
	g->then.rules = calloc(TWIN_MAX, sizeof(*g->then.rules));
	must(g->then.rules);
	must(!change_log_new(g->now.region, &g->log));
	then_is_now(g);
}

static void rig_fini(struct rig *g)
{
	change_log_free(g->log);
	free(g->then.rules);
	fixture_fini(&g->now);
}

static void agrees(const struct rig *g, struct rng *r)
{
	uint32_t version = sluice_version(g->now.region->head);
	uint32_t n_wrong = 0;

	for (uint32_t i = 0; i < 12; i++) {
		uint64_t key[KEY_WORDS_MAX];

		key_draw(&g->now, r, key);
		n_wrong += !find_ok(&g->now, key, version);
		n_wrong += !find_ok(&g->then, key, g->version);
	}
	CHECK_EQ(n_wrong, 0);
}

struct set {
	uint32_t n;
	struct twin_rule rules[SET_MAX];
	uint64_t values[SET_MAX][2];
	struct table_ternary_rule keys[SET_MAX];
	struct change_item items[SET_MAX];
};

static bool is_named(const struct rig *g, const struct set *s, uint32_t n,
		     const struct twin_rule *rule)
{
	for (uint32_t i = 0; i < n; i++)
		if (twin_same(&g->now, &s->rules[i], rule))
			return true;
	return false;
}

static void set_draw(struct rig *g, struct rng *r, struct set *s)
{
	struct fixture *f = &g->now;

	s->n = 1 + rng_below(r, SET_MAX);
	for (uint32_t i = 0; i < s->n;) {
		struct twin_rule *rule = &s->rules[i];

		rule_draw(f, r, rule);
		if (rng_below(r, 3) && f->n_rules) {
			uint64_t value = rule->value;

			*rule = f->rules[rng_below(r, f->n_rules)];
			rule->value = value;
		}
		/* Twice in one set is seldom right. */
		if (is_named(g, s, i, rule) && rng_below(r, 30))
			continue;
		s->values[i][0] = rule->value;
		s->values[i][1] = ~rule->value;
		s->keys[i] = rule_of(rule);
		s->items[i] = (struct change_item){
			.table = table_ternary_change(f->table),
			.kind = (enum change_kind)rng_below(r, 3),
			.key = &s->keys[i],
			.value = s->values[i],
		};
		/* Most sets should come through. */
		if (rng_below(r, 20))
			s->items[i].kind = twin_find(f, rule) == f->n_rules
						   ? CHANGE_ADD
					   : s->items[i].kind == CHANGE_ADD
						   ? CHANGE_DEL
						   : s->items[i].kind;
		i++;
	}
}

/* What the twin says of item i, none before it having failed. */
static int twin_says(const struct rig *g, const struct set *s, uint32_t i)
{
	const struct fixture *f = &g->now;
	bool is_there = twin_find(f, &s->rules[i]) < f->n_rules;

	if (is_named(g, s, i, &s->rules[i]))
		return -EINVAL;
	if (s->items[i].kind == CHANGE_DEL)
		return is_there ? 0 : -ENOENT;
	return s->items[i].kind == CHANGE_ADD && is_there ? -EEXIST : 0;
}

static void twin_apply(struct rig *g, const struct set *s)
{
	struct fixture *f = &g->now;

	for (uint32_t i = 0; i < s->n; i++) {
		uint32_t at = twin_find(f, &s->rules[i]);

		if (s->items[i].kind == CHANGE_DEL) {
			f->rules[at] = f->rules[--f->n_rules];
		} else {
			f->rules[at] = s->rules[i];
			f->n_rules += at == f->n_rules;
		}
	}
}

static void step_apply(struct rig *g, struct rng *r)
{
	static struct set s;
	uint32_t bad = SET_MAX + 1;
	int err;

	set_draw(g, r, &s);
	err = change_apply(g->log, s.items, s.n, &bad, NULL);
	if (!err) {
		for (uint32_t i = 0; i < s.n; i++)
			CHECK_EQ(twin_says(g, &s, i), 0);
		twin_apply(g, &s);
		return;
	}
	/* The set before may hold a rule, or too many rest: not the twin's. */
	if (err != -EAGAIN && err != -ENOSPC)
		CHECK_EQ(err, twin_says(g, &s, bad));
	CHECK(err != -EAGAIN || change_n_unsettled(g->log));
}

/* True at once, at both versions. */
static void step_single(struct rig *g, struct rng *r)
{
	struct fixture *f[2] = {&g->now, &g->then};
	struct table_ternary_rule key;
	struct twin_rule rule;
	uint64_t value[2];
	bool is_set = rng_below(r, 2);

	rule_draw(&g->now, r, &rule);
	key = rule_of(&rule);
	value[0] = rule.value;
	value[1] = ~rule.value;
	if (is_set && table_ternary_set(g->now.table, &key, value, NULL))
		return;
	if (!is_set)
		CHECK_EQ(table_ternary_del(g->now.table, &key),
			 twin_find(&g->now, &rule) < g->now.n_rules);
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t at = twin_find(f[i], &rule);

		if (is_set) {
			f[i]->rules[at] = rule;
			f[i]->n_rules += at == f[i]->n_rules;
		} else if (at < f[i]->n_rules) {
			f[i]->rules[at] = f[i]->rules[--f[i]->n_rules];
		}
	}
}

/* The writer dies while it prepares a set. */
static void step_adopt(struct rig *g, struct rng *r)
{
	uint32_t version = sluice_version(g->now.region->head) + 1;
	static struct set s;

	set_draw(g, r, &s);
	for (uint32_t i = 0; i < s.n; i++) {
		struct change_step step;

		if (change_prepare(&s.items[i], version, &step, NULL))
			break;
	}
	agrees(g, r);
	change_log_free(g->log);
	fixture_adopt(&g->now);
	must(!change_log_new(g->now.region, &g->log));
	then_is_now(g);
}

static void readers_of_two_versions_see_two_worlds(void)
{
	struct rng r = rng_of(test_seed());

	for (uint32_t i = 0; i < 20 && !test_.failed; i++) {
		struct rig g = {.version = 0};

		fixture_conf(&g.now, 200, i % 2 ? 8 : 24);
		g.now.n_bits = 3 + rng_below(&r, 12);
		g.now.n_priorities = 4;
		rig_init(&g, &r);
		for (uint32_t j = 0; j < 1500; j++) {
			uint32_t what = rng_below(&r, 100);

			if (what < 50) {
				step_apply(&g, &r);
			} else if (what < 70) {
				step_single(&g, &r);
			} else if (what < 98) {
				(void)!change_settle(g.log, change_mark(g.log),
						     UINT64_MAX);
				then_is_now(&g);
			} else {
				step_adopt(&g, &r);
			}
			agrees(&g, &r);
			CHECK_EQ(table_ternary_n_used(g.now.table),
				 g.now.n_rules);
			table_ternary_reclaim(g.now.table,
					      table_ternary_mark(g.now.table));
		}
		rig_fini(&g);
	}
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(readers_of_two_versions_see_two_worlds);
	return test_done();
}
