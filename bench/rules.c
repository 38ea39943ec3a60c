/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ternary table on rule sets like those of operators (table/rules_fake.h),
 * beside Open vSwitch's classifier, which runs on the same rules and packets in
 * the same rounds (bench/rules_peer.h), and beside a linear scan.
 *
 *     rules/KIND/N/find          million look-ups per second over a trace, as a
 *                                reader does them
 *     rules/KIND/N/find-scan     the same, beside the scan
 *     rules/KIND/N/find-bits     with the bits looked at, as the slow path does
 *                                them; the peer with wildcards
 *     rules/KIND/N/bits          how many bits that were, on average
 *     rules/KIND/N/insert        ns for each of all rules, in random order
 *     rules/KIND/N/insert-first  of the first thousand (a tenth, if N is 1 k),
 *     rules/KIND/N/insert-middle of a middle one,
 *     rules/KIND/N/insert-last   and of the last
 *     rules/KIND/N/delete        ns for each of all, in the same order
 *     rules/KIND/N/bytes         for each rule: the region's part and the writer's
 *                                own; the peer's malloc
 *     rules/KIND/N/bytes-region  the region's part alone
 *     rules/KIND/N/tuples        in use; the peer's subtables
 *     rules/KIND/N/looked-at     tuples that a look-up goes through, on average
 *
 *     rules/wide/10k/..          nearly as many masks as rules: an attacker's set.
 *                                We refuse rules that would need more tuples or
 *                                longer chains than there may be, and count them
 *     rules/KIND/N/refused       in per cent; none in the other sets
 *
 * The scan has what the five fields need, 64 bytes for each rule, and stops at
 * the first rule that matches.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/must.h"
#include "bench/bench.h"
#include "bench/rules_peer.h"
#include "table/rules_ternary_fake.h"

#define SEED 1u

struct shape {
	enum rules_kind kind;
	const char *size;
	uint32_t n;
	uint32_t n_rounds;
	uint32_t n_keys;
	uint32_t n_scanned; /* of the keys, by the scan */
};

static const uint32_t words_used[RULES_WORDS] = {2, 4, 6, 7};

struct scan_rule {
	uint64_t value[RULES_WORDS], mask[RULES_WORDS];
};

enum {
	FIND,
	FIND_SCAN,
	FIND_BITS,
	BITS,
	INSERT,
	INSERT_FIRST,
	INSERT_MIDDLE,
	INSERT_LAST,
	DELETE,
	BYTES,
	BYTES_REGION,
	TUPLES,
	LOOKED_AT,
	REFUSED,
	N_ROWS
};

static const struct {
	const char *name, *unit;
	bool less_is_better;
} row_kinds[N_ROWS] = {
	[FIND] = {"find", "M/s", false},
	[FIND_SCAN] = {"find-scan", "M/s", false},
	[FIND_BITS] = {"find-bits", "M/s", false},
	[BITS] = {"bits", "bits", true},
	[INSERT] = {"insert", "ns", true},
	[INSERT_FIRST] = {"insert-first", "ns", true},
	[INSERT_MIDDLE] = {"insert-middle", "ns", true},
	[INSERT_LAST] = {"insert-last", "ns", true},
	[DELETE] = {"delete", "ns", true},
	[BYTES] = {"bytes", "bytes", true},
	[BYTES_REGION] = {"bytes-region", "bytes", true},
	[TUPLES] = {"tuples", "tuples", true},
	[LOOKED_AT] = {"looked-at", "tuples", true},
	[REFUSED] = {"refused", "%", true},
};

struct rig {
	const struct shape *shape;
	struct rules rules;
	uint32_t *order;
	struct sluice_key *keys;
	struct scan_rule *scan;
	struct rules_table t;
	uint32_t version;
	uint32_t n_refused;
	uint64_t winners; /* as the peer sums them */
	struct bench_row rows[N_ROWS];
	uint64_t sum; /* of what was found */
};

static double mops(uint32_t n, uint64_t ns)
{
	return n * 1e3 / (double)ns;
}

static void ours(struct rig *r, uint32_t row, double v)
{
	bench_add(&r->rows[row].ours, v);
}

static void theirs(struct rig *r, uint32_t row, double v)
{
	bench_add(&r->rows[row].theirs, v);
}

/* ---- Insertion and removal. ---- */

/* Inserts order[from..to-1]; ns in all. */
static double fill_part(struct rig *r, uint32_t from, uint32_t to)
{
	uint64_t since = clock_cpu_ns();

	for (uint32_t i = from; i < to; i++)
		r->n_refused +=
			rules_table_set(&r->t, &r->rules, r->order[i]) != 0;
	return (double)(clock_cpu_ns() - since);
}

static size_t malloced(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static uint64_t table_len(const struct rig *r)
{
	return region_table(r->t.region, SLUICE_TABLE_OWN)->len;
}

static void fill(struct rig *r)
{
	uint32_t n = r->rules.n;
	uint32_t w = rules_window(n);
	uint32_t middle = n / 2 - w / 2;
	size_t before = malloced();
	double own, ns[5], sum = 0;

	rules_table_init(&r->t, n, false, SEED);
	r->version = sluice_version(r->t.region->head);
	r->n_refused = 0;
	ns[0] = fill_part(r, 0, w);
	ns[1] = fill_part(r, w, middle);
	ns[2] = fill_part(r, middle, middle + w);
	ns[3] = fill_part(r, middle + w, n - w);
	ns[4] = fill_part(r, n - w, n);
	for (uint32_t i = 0; i < 5; i++)
		sum += ns[i];
	own = (double)(malloced() - before);
	ours(r, INSERT, sum / n);
	ours(r, INSERT_FIRST, ns[0] / w);
	ours(r, INSERT_MIDDLE, ns[2] / w);
	ours(r, INSERT_LAST, ns[4] / w);
	ours(r, BYTES, (own + (double)table_len(r)) / n);
	ours(r, BYTES_REGION, (double)table_len(r) / n);
	must(!r->n_refused || r->shape->kind == RULES_WIDE);
	ours(r, REFUSED, 100.0 * r->n_refused / n);
	ours(r, TUPLES, table_ternary_n_tuples(r->t.table));
}

static void empty(struct rig *r)
{
	uint64_t since = clock_cpu_ns();
	uint32_t n = r->n_refused;

	for (uint32_t i = 0; i < r->rules.n; i++)
		n += rules_table_del(&r->t, &r->rules, r->order[i]);
	must(n == r->rules.n);
	ours(r, DELETE, (double)(clock_cpu_ns() - since) / r->rules.n);
	rules_table_fini(&r->t);
}

/* ---- Look-ups. ---- */

static double find(struct rig *r)
{
	uint64_t since = clock_cpu_ns();

	for (uint32_t i = 0; i < r->shape->n_keys; i++)
		r->sum += rules_table_find(&r->t, &r->keys[i], r->version);
	return mops(r->shape->n_keys, clock_cpu_ns() - since);
}

static double find_bits(struct rig *r)
{
	uint64_t since = clock_cpu_ns();

	for (uint32_t i = 0; i < r->shape->n_keys; i++) {
		uint64_t bits[RULES_KEY_WORDS] = {0};

		r->sum += rules_table_find_bits(&r->t, &r->keys[i], r->version,
						bits);
	}
	return mops(r->shape->n_keys, clock_cpu_ns() - since);
}

static uint32_t scan_one(const struct rig *r, const struct sluice_key *key)
{
	uint64_t k[RULES_KEY_WORDS], w[RULES_WORDS];
	uint32_t i = 0;

	memcpy(k, key, sizeof(k));
	for (uint32_t j = 0; j < RULES_WORDS; j++)
		w[j] = k[words_used[j]];
	for (;; i++) {
		const struct scan_rule *s = &r->scan[i];

		if ((w[1] & s->mask[1]) == s->value[1] &&
		    (w[2] & s->mask[2]) == s->value[2] &&
		    (w[3] & s->mask[3]) == s->value[3] &&
		    (w[0] & s->mask[0]) == s->value[0])
			return i;
	}
}

static double find_by_scan(struct rig *r)
{
	uint64_t since = clock_cpu_ns();

	for (uint32_t i = 0; i < r->shape->n_scanned; i++)
		r->sum += scan_one(r, &r->keys[i]);
	return mops(r->shape->n_scanned, clock_cpu_ns() - since);
}

/* Tuples that a reader goes through for a key. */
static uint32_t looked_at(const struct rig *r, const struct sluice_key *key)
{
	const struct sluice_ternary_view *v = table_ternary_view(r->t.table);
	const uint64_t *order = sluice_ternary_order(v, v->table->order);
	struct sluice_ternary_best best = {.rule = NULL};
	uint64_t k[RULES_KEY_WORDS];
	uint32_t n = 0;

	memcpy(k, key, sizeof(k));
	while (n < v->n_tuples &&
	       !sluice_ternary_step_(v, order[n], k, r->version, &best))
		n++;
	return n;
}

/* What is no time; also holds winners against each other, and the scan's. */
static void facts(struct rig *r)
{
	uint32_t n = r->shape->n_keys;
	uint64_t n_bits = 0, n_looks = 0, winners = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t bits[RULES_KEY_WORDS] = {0};
		uint32_t winner = rules_table_find_bits(&r->t, &r->keys[i],
							r->version, bits);

		must(winner ==
		     rules_table_find(&r->t, &r->keys[i], r->version));
		must(i >= r->shape->n_scanned || r->n_refused ||
		     winner == scan_one(r, &r->keys[i]));
		winners += (uint64_t)winner * (i + 1);
		n_looks += looked_at(r, &r->keys[i]);
		for (uint32_t w = 0; w < RULES_KEY_WORDS; w++)
			n_bits += (uint32_t)__builtin_popcountll(bits[w]);
	}
	ours(r, BITS, (double)n_bits / n);
	ours(r, LOOKED_AT, (double)n_looks / n);
	r->winners = winners & RULES_WINNERS_MASK;
}

/* ---- Rounds. ---- */

/* A new process each time, as we have a new table: memory is not used again. */
static void peer_round(struct rig *r)
{
	static const uint32_t fills[] = {INSERT, INSERT_FIRST, INSERT_MIDDLE,
					 INSERT_LAST, BYTES};
	const struct shape *s = r->shape;
	struct rules_peer peer;
	double answer[5];

	if (!rules_peer_start(&peer, s->kind, s->n, SEED, s->n_keys))
		return;
	rules_peer_ask(&peer, "fill", answer, 5);
	for (uint32_t i = 0; i < 5; i++)
		theirs(r, fills[i], answer[i]);
	rules_peer_ask(&peer, "find", answer, 2);
	theirs(r, FIND, answer[0]);
	theirs(r, FIND_BITS, answer[1]);
	rules_peer_ask(&peer, "facts", answer, 3);
	theirs(r, BITS, answer[0]);
	theirs(r, TUPLES, answer[1]);
	must(r->n_refused || answer[2] == (double)r->winners);
	rules_peer_ask(&peer, "empty", answer, 1);
	theirs(r, DELETE, answer[0]);
	rules_peer_stop(&peer);
}

static void round_of(struct rig *r)
{
	double v;

	fill(r);
	v = find(r);
	ours(r, FIND, v);
	ours(r, FIND_SCAN, v);
	theirs(r, FIND_SCAN, find_by_scan(r));
	ours(r, FIND_BITS, find_bits(r));
	facts(r);
	empty(r);
	peer_round(r);
}

static void rig_init(struct rig *r, const struct shape *s)
{
	r->shape = s;
	rules_init(&r->rules, s->kind, s->n, SEED);
	r->order = calloc(s->n, sizeof(*r->order));
	r->keys = calloc(s->n_keys, sizeof(*r->keys));
	r->scan = aligned_alloc(64, s->n * sizeof(*r->scan));
	must(r->order && r->keys && r->scan);
	rules_shuffle(&r->rules, SEED, r->order);
	rules_trace(&r->rules, SEED, r->keys, s->n_keys);
	for (uint32_t i = 0; i < s->n; i++) {
		uint64_t value[RULES_KEY_WORDS], mask[RULES_KEY_WORDS];

		memcpy(value, &r->rules.rule[i].value, sizeof(value));
		memcpy(mask, &r->rules.rule[i].mask, sizeof(mask));
		for (uint32_t j = 0; j < RULES_WORDS; j++) {
			r->scan[i].value[j] = value[words_used[j]];
			r->scan[i].mask[j] = mask[words_used[j]];
		}
	}
}

static void rig_fini(struct rig *r)
{
	rules_fini(&r->rules);
	free(r->order);
	free(r->keys);
	free(r->scan);
}

static void measure(const struct bench *b, const struct shape *s)
{
	struct rig r = {0};

	bench_say("rules: %s, %u rules", rules_kind_name(s->kind), s->n);
	rig_init(&r, s);
	if (access(RULES_PEER, X_OK) != 0)
		bench_say("rules: no peer, for there is no %s", RULES_PEER);
	for (uint32_t i = 0; i < s->n_rounds; i++)
		round_of(&r);
	for (uint32_t i = 0; i < N_ROWS; i++) {
		struct bench_row *row = &r.rows[i];

		snprintf(row->name, sizeof(row->name), "rules/%s/%s/%s",
			 rules_kind_name(s->kind), s->size, row_kinds[i].name);
		row->unit = row_kinds[i].unit;
		row->less_is_better = row_kinds[i].less_is_better;
		row->peer = i == FIND_SCAN ? "linear scan" : RULES_PEER_NAME;
		if (bench_wants(b, row->name))
			bench_emit(row);
	}
	rig_fini(&r);
}

int main(int argc, char **argv)
{
	static const struct shape shapes[] = {
		{RULES_ACL, "1k", 1000, 5, 65536, 65536},
		{RULES_ACL, "10k", 10000, 5, 65536, 8192},
		{RULES_ACL, "100k", 100000, 3, 16384, 1024},
		{RULES_FW, "1k", 1000, 5, 65536, 65536},
		{RULES_FW, "10k", 10000, 5, 65536, 8192},
		{RULES_FW, "100k", 100000, 3, 16384, 1024},
		{RULES_IPC, "1k", 1000, 5, 65536, 65536},
		{RULES_IPC, "10k", 10000, 5, 65536, 8192},
		{RULES_IPC, "100k", 100000, 3, 16384, 1024},
		{RULES_WIDE, "10k", 10000, 3, 1024, 1024},
	};
	struct bench b;

	bench_init(&b, argc, argv);
	for (uint32_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		char name[64];

		snprintf(name, sizeof(name), "rules/%s/%s/",
			 rules_kind_name(shapes[i].kind), shapes[i].size);
		if (bench_wants(&b, name))
			measure(&b, &shapes[i]);
	}
	return 0;
}
