/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ternary table's writer is killed at every one of its stores.
 *
 * A script of random operations (single ones, sets, their settling) runs on a
 * table of few rules in a universe so small that every key can be looked up. For
 * the 1st, 2nd, .. store of each a forked writer does it and is killed by SIGKILL
 * right before that store. We, the survivor, look at what it left as readers do:
 * each key has its answer of before or of after the operation, of a set all keys
 * the same. Then we adopt the table: all keys have the one or the other, a deep
 * check finds nothing, and it can be used. The adopting writer is killed
 * likewise, every few times. Here the table, the log of sets and the region are
 * compiled with -DSLUICE_CRASH.
 */
#include <signal.h>
#include <sys/wait.h>

#include "sluice/fsck.h"
#include "table/change.h"
#include "table/ternary_fake.h"
#include "tests/crash/kill.h"

#define N_BITS 5u
#define N_RULES 24u
#define N_STEPS 100u
#define SET_MAX 3u
#define TWICE_EVERY 7u

enum what { SET, DEL, APPLY, SETTLE };

struct op {
	enum what what;
	uint32_t n;
	struct twin_rule rules[SET_MAX];
	enum change_kind kinds[SET_MAX];
};

struct rig {
	struct fixture f; /* its rules are those before the operation */
	struct twin_rule after[TWIN_MAX];
	uint32_t n_after;
	uint32_t version; /* before */
	struct change_log *log;
	uint64_t *kept; /* the region before */
	uint64_t n_kills;
	uint64_t n_kills_adopting;
};

/* ---- The operations. ---- */

static int op_run(struct rig *r, const struct op *op)
{
	struct table_ternary *t = r->f.table;
	struct table_ternary_rule keys[SET_MAX];
	struct change_item items[SET_MAX];
	uint64_t values[SET_MAX][2];
	uint32_t bad;

	for (uint32_t i = 0; i < op->n; i++) {
		keys[i] = rule_of(&op->rules[i]);
		values[i][0] = op->rules[i].value;
		values[i][1] = ~op->rules[i].value;
		items[i] =
			(struct change_item){table_ternary_change(t),
					     op->kinds[i], &keys[i], values[i]};
	}
	switch (op->what) {
	case SET:
		return table_ternary_set(t, &keys[0], values[0], NULL);
	case DEL:
		return table_ternary_del(t, &keys[0]) ? 0 : 1;
	case APPLY:
		return change_apply(r->log, items, op->n, &bad, NULL);
	case SETTLE:
		(void)change_settle(r->log, change_mark(r->log), UINT64_MAX);
	}
	return 0;
}

static void op_draw(struct rig *r, struct rng *rng, struct op *op)
{
	uint32_t what = rng_below(rng, 10);

	op->what = what < 3 ? SET : what < 5 ? DEL : what < 8 ? APPLY : SETTLE;
	op->n = op->what == APPLY ? 1 + rng_below(rng, SET_MAX) : 1;
	for (uint32_t i = 0; i < op->n; i++) {
		struct twin_rule *rule = &op->rules[i];

		rule_draw(&r->f, rng, rule);
		if (r->f.n_rules &&
		    (rng_below(rng, 2) || r->f.n_rules >= N_RULES)) {
			uint64_t value = rule->value;

			*rule = r->f.rules[rng_below(rng, r->f.n_rules)];
			rule->value = value;
		}
		op->kinds[i] = rng_below(rng, 2) ? CHANGE_SET : CHANGE_DEL;
	}
}

/* What is there once the operation has said that it is done. */
static void op_expect(struct rig *r, const struct op *op, int err)
{
	struct fixture twin = r->f;

	twin.rules = r->after;
	memcpy(r->after, r->f.rules, r->f.n_rules * sizeof(r->after[0]));
	for (uint32_t i = 0; !err && op->what != SETTLE && i < op->n; i++) {
		bool is_del = op->what == DEL ||
			      (op->what == APPLY && op->kinds[i] == CHANGE_DEL);
		uint32_t at = twin_find(&twin, &op->rules[i]);

		if (!is_del) {
			r->after[at] = op->rules[i];
			twin.n_rules += at == twin.n_rules;
		} else if (at < twin.n_rules) {
			r->after[at] = r->after[--twin.n_rules];
		}
	}
	r->n_after = twin.n_rules;
}

/* ---- What readers see. ---- */

static void key_of(const struct rig *r, uint32_t i, uint64_t *key)
{
	memset(key, 0, r->f.conf.key_len);
	for (uint32_t b = 0; b < N_BITS; b++)
		bit_put(key, r->f.bits[b], i >> b & 1);
}

struct wrongs {
	uint32_t before; /* keys whose answer is not that of before */
	uint32_t after;
	uint32_t both;
};

static struct wrongs look(const struct rig *r)
{
	uint32_t version = sluice_version(r->f.region->head);
	struct fixture after = r->f;
	struct wrongs w = {0};

	after.rules = (struct twin_rule *)(uintptr_t)r->after;
	after.n_rules = r->n_after;
	for (uint32_t i = 0; i < 1u << N_BITS; i++) {
		uint64_t key[KEY_WORDS_MAX];
		bool was, is;

		key_of(r, i, key);
		was = find_ok(&r->f, key, version);
		is = find_ok(&after, key, version);
		w.before += !was;
		w.after += !is;
		w.both += !was && !is;
	}
	return w;
}

static void readers_are_served(const struct rig *r, const struct op *op)
{
	struct wrongs w = look(r);

	CHECK_EQ(w.both, 0);
	if (op->what != APPLY)
		return;
	if (sluice_version(r->f.region->head) == r->version)
		CHECK_EQ(w.before, 0);
	else
		CHECK_EQ(w.after, 0);
}

static void note(void *ctx, const struct sluice_table_desc *table,
		 const char *what)
{
	(void)ctx;
	printf("# table %s: %s\n", table->name, what);
}

/* A deep check finds nothing, and as many rules as are counted. */
static void table_is_tidy(const struct rig *r)
{
	const struct sluice_map map = {r->f.region->head, r->f.region->len};
	const struct sluice_fsck_conf conf = {.is_deep = true, .say = note};
	static struct sluice_fsck out;

	CHECK_EQ(sluice_fsck(&map, &conf, &out, NULL), 0);
	CHECK_EQ(out.n_wrong + out.n_left, 0);
	CHECK_EQ(out.tables[0].n_born + out.tables[0].n_dying, 0);
	CHECK_EQ(out.tables[0].n_live, table_ternary_n_used(r->f.table));
}

/* It can be emptied by what it says it has, and filled again. */
static void table_is_usable(struct rig *r)
{
	struct rng rng = rng_of(r->n_kills);
	struct fixture f = r->f;
	uint32_t number = 0, at;

	f.rules = calloc(TWIN_MAX, sizeof(*f.rules));
	must(f.rules);
	f.n_rules = 0;
	while ((at = table_ternary_each(f.table, &number)) !=
	       TABLE_TERNARY_NONE) {
		struct twin_rule rule;
		struct table_ternary_rule key = {rule.key, rule.mask, 0};

		table_ternary_get(f.table, at, rule.key, rule.mask,
				  &key.priority);
		CHECK(table_ternary_del(f.table, &key));
	}
	CHECK_EQ(table_ternary_n_used(f.table), 0);
	CHECK_EQ(table_ternary_n_tuples(f.table), 0);
	table_ternary_reclaim(f.table, table_ternary_mark(f.table));
	for (uint32_t i = 0; i < N_RULES; i++) {
		struct twin_rule rule;

		rule_draw(&f, &rng, &rule);
		CHECK_EQ(fixture_set(&f, &rule), 0);
	}
	for (uint32_t i = 0; i < 1u << N_BITS; i++) {
		uint64_t key[KEY_WORDS_MAX];

		key_of(r, i, key);
		CHECK(find_ok(&f, key, sluice_version(f.region->head)));
	}
	free(f.rules);
}

/* ---- Killing. ---- */

static void keep(const struct rig *r, uint64_t *to)
{
	memcpy(to, r->f.region->head, r->f.region->len);
}

static void put_back(const struct rig *r, const uint64_t *from)
{
	memcpy(r->f.region->head, from, r->f.region->len);
}

/* Does an operation, or adopts, in a child. True: it was killed on the way. */
static bool killed(struct rig *r, const struct op *op, int64_t at)
{
	struct table_ternary *heir;
	pid_t pid = kill_fork(at);
	bool is_killed;
	int code;

	if (pid == 0) {
		if (op)
			(void)op_run(r, op);
		else
			must(!table_ternary_adopt(r->f.region, r->f.conf.kind,
						  &heir, NULL));
		_exit(0);
	}
	is_killed = kill_wait(pid, &code);
	must(code == 0);
	return is_killed;
}

/* What a killed writer left: seen by readers, adopted, used. */
static void left_is_whole(struct rig *r, const struct op *op)
{
	struct table_ternary *mine = r->f.table;
	struct wrongs w;

	readers_are_served(r, op);
	must(!table_ternary_adopt(r->f.region, r->f.conf.kind, &r->f.table,
				  NULL));
	readers_are_served(r, op);
	w = look(r);
	CHECK(w.before == 0 || w.after == 0);
	CHECK(table_ternary_n_used(r->f.table) == r->f.n_rules ||
	      table_ternary_n_used(r->f.table) == r->n_after);
	table_is_tidy(r);
	table_is_usable(r);
	table_ternary_free(r->f.table);
	r->f.table = mine;
}

/* The same when the one who adopts is killed as well, at each of its stores. */
static void left_is_whole_twice(struct rig *r, const struct op *op)
{
	uint64_t *left = malloc(r->f.region->len);

	must(left);
	keep(r, left);
	left_is_whole(r, op);
	for (int64_t at = 0;; at++) {
		put_back(r, left);
		if (!killed(r, NULL, at))
			break;
		r->n_kills_adopting++;
		left_is_whole(r, op);
	}
	free(left);
}

/* Is the operation refused? A child does it; to be put back. */
static int says_no(struct rig *r, const struct op *op)
{
	int status;
	pid_t pid = fork();

	must(pid >= 0);
	if (pid == 0)
		_exit(op_run(r, op) != 0);
	must(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void step(struct rig *r, const struct op *op)
{
	keep(r, r->kept);
	r->version = sluice_version(r->f.region->head);
	op_expect(r, op, says_no(r, op));
	put_back(r, r->kept);
	for (int64_t at = 0; killed(r, op, at) && !test_.failed; at++) {
		if (r->n_kills++ % TWICE_EVERY)
			left_is_whole(r, op);
		else
			left_is_whole_twice(r, op);
		put_back(r, r->kept);
	}
	put_back(r, r->kept);
	(void)op_run(r, op);
	memcpy(r->f.rules, r->after, r->n_after * sizeof(r->after[0]));
	r->f.n_rules = r->n_after;
	CHECK_EQ(look(r).after, 0);
	table_ternary_reclaim(r->f.table, table_ternary_mark(r->f.table));
}

static void a_killed_writer_leaves_every_rule(void)
{
	struct rng rng = rng_of(test_seed());
	static struct rig r;
	struct op op;

	fixture_conf(&r.f, 64, 16);
	r.f.conf.n_tuples = 32;
	r.f.n_bits = N_BITS;
	r.f.n_priorities = 6;
	fixture_init(&r.f, &rng);
	r.kept = malloc(r.f.region->len);
	must(r.kept && !change_log_new(r.f.region, &r.log));
	for (uint32_t i = 0; i < N_STEPS && !test_.failed; i++) {
		op_draw(&r, &rng, &op);
		step(&r, &op);
	}
	printf("# %llu writers killed in %u operations, and %llu who adopted\n",
	       (unsigned long long)r.n_kills, N_STEPS,
	       (unsigned long long)r.n_kills_adopting);
	CHECK(r.n_kills > 4ull * N_STEPS);
	free(r.kept);
	change_log_free(r.log);
	fixture_fini(&r.f);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(a_killed_writer_leaves_every_rule);
	return test_done();
}
