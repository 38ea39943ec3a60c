/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact table beside DPDK's rte_hash and beside the machine.
 *
 *     lookup/N/K/poll   random keys among N in batches of 32, four batches under
 *                       way (sluice/exact_pipe.h), as a polling engine under
 *                       load may do; the peer has no such call, so it looks up
 *                       64 at once, which is the most and the fastest it can
 *     lookup/N/K/batch  the same, one batch after the other, like the peer
 *     insert/N/K        new keys, until 90 % of our slots are in use
 *     delete/N/K        all N keys, in another random order
 *     machine/..        random reads of as much memory as our buckets and
 *                       entries take: one-line, independent ones; two-lines, one
 *                       that names the other, in batches of 32 one after the
 *                       other, which the lookups have as their limit;
 *                       two-lines-piped, with three batches under way: what
 *                       overlaps its batches may pass the former, never this
 *
 * Both tables are made for N entries and hold N at the lookups, which is 95 % of
 * our slots. A key is built from its number right before it is used, on both
 * sides, as a switch would build it from a packet: keys that come from a long
 * list in memory would compete with the table for the memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/must.h"
#include "base/rng.h"
#include "bench/bench.h"
#include "bench/lines.h"
#include "sluice/exact_pipe.h"
#include "table/exact.h"
#ifdef HAVE_PEER
#include "bench/peer_rte_hash.h"
#endif

#define BATCH SLUICE_EXACT_BATCH
#define WORDS_MAX (SLUICE_KEY_LEN_MAX / 8)
#define N_PICKS (1u << 22)

struct shape {
	const char *name;
	uint32_t n;
	uint32_t n_rounds;
	uint32_t n_repeats; /* of filling and emptying, within a round */
};

struct rig {
	const struct shape *shape;
	uint32_t key_len;
	uint32_t n_90; /* entries when 90 % of the slots are in use */
	struct region *region;
	struct table_exact *table;
	const struct sluice_exact_view *view;
	uint32_t version;
	struct lines lines;
	uint32_t *picks;   /* [N_PICKS] numbers of keys */
	uint32_t *comers;  /* [n] each key once, random */
	uint32_t *leavers; /* [n] likewise */
#ifdef HAVE_PEER
	struct peer *peer;
#endif
	uint64_t sum; /* of what was read, so that it must be read */
};

/* Rows from ONE_LINE on have no peer. */
enum { POLL, BY_BATCH, INSERT, DELETE, ONE_LINE, TWO_LINES, TWO_PIPED, N_ROWS };

/* What stands before and after the number of entries and the key's length. */
static const char *const row_names[N_ROWS][2] = {
	[POLL] = {"lookup", "/poll"},
	[BY_BATCH] = {"lookup", "/batch"},
	[INSERT] = {"insert", ""},
	[DELETE] = {"delete", ""},
	[ONE_LINE] = {"machine/one-line", ""},
	[TWO_LINES] = {"machine/two-lines", ""},
	[TWO_PIPED] = {"machine/two-lines-piped", ""},
};

static inline void keys_build_of(uint64_t *keys, uint32_t n_words,
				 const uint32_t *numbers, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t number = numbers[i];

		keys[0] = number * 0x9e3779b97f4a7c15u;
#pragma GCC unroll 8
		for (uint32_t w = 1; w < n_words; w++)
			keys[w] = number + (0x0a000000u << w);
		keys += n_words;
	}
}

/* Builds the keys of n numbers. */
static void keys_build(uint64_t *keys, uint32_t key_len,
		       const uint32_t *numbers, uint32_t n)
{
	if (key_len == 16)
		keys_build_of(keys, 2, numbers, n);
	else
		keys_build_of(keys, 5, numbers, n);
}

static uint32_t at_most(uint32_t n)
{
	return n < BATCH ? n : BATCH;
}

static double mops(uint64_t n, uint64_t ns)
{
	return (double)n * 1e3 / (double)ns;
}

/* ---- Ours. ---- */

static void use(struct rig *r, const struct sluice_exact_answers *a)
{
	must(a->yes == (uint32_t)((1ull << a->n) - 1));
	for (uint32_t i = 0; i < a->n; i++)
		r->sum += *(uint64_t *)sluice_entry_value(a->entries[i],
							  r->key_len);
}

static double ours_by_batch(struct rig *r)
{
	uint64_t start = clock_cpu_ns();

	for (uint32_t i = 0; i < N_PICKS; i += BATCH) {
		uint64_t keys[BATCH * WORDS_MAX];
		struct sluice_exact_answers a;

		keys_build(keys, r->key_len, r->picks + i, BATCH);
		sluice_exact_find_batch(r->view, r->version, keys, BATCH, &a);
		use(r, &a);
	}
	return mops(N_PICKS, clock_cpu_ns() - start);
}

static double ours_poll(struct rig *r)
{
	static const struct sluice_exact_pipe empty;
	struct sluice_exact_pipe pipe = empty;
	uint64_t keys[4][BATCH * WORDS_MAX];
	struct sluice_exact_answers a;
	uint64_t start = clock_cpu_ns();

	pipe.version = r->version;
	for (uint32_t i = 0; i < N_PICKS; i += BATCH) {
		uint64_t *mine = keys[i / BATCH % 4];

		keys_build(mine, r->key_len, r->picks + i, BATCH);
		sluice_exact_pipe_push(r->view, &pipe, mine, BATCH, &a);
		use(r, &a);
	}
	for (uint32_t i = 0; i < 3; i++) {
		sluice_exact_pipe_push(r->view, &pipe, NULL, 0, &a);
		use(r, &a);
	}
	return mops(N_PICKS, clock_cpu_ns() - start);
}

static uint64_t ours_insert(struct rig *r, uint32_t from, uint32_t to)
{
	uint64_t values[BATCH] = {0};
	uint64_t start = clock_cpu_ns();

	for (uint32_t i = from; i < to; i += BATCH) {
		uint64_t keys[BATCH * WORDS_MAX];
		uint32_t n = at_most(to - i);

		keys_build(keys, r->key_len, r->comers + i, n);
		must(table_exact_set_batch(r->table, keys, values, n) == n);
	}
	return clock_cpu_ns() - start;
}

static uint64_t ours_delete(struct rig *r)
{
	uint64_t start = clock_cpu_ns();

	for (uint32_t i = 0; i < r->shape->n; i += BATCH) {
		uint64_t keys[BATCH * WORDS_MAX];
		uint32_t n = at_most(r->shape->n - i);

		keys_build(keys, r->key_len, r->leavers + i, n);
		must(table_exact_del_batch(r->table, keys, n) == n);
	}
	start = clock_cpu_ns() - start;
	table_exact_reclaim(r->table, table_exact_mark(r->table));
	return start;
}

static void ours_round(struct rig *r, struct bench_row *rows)
{
	uint32_t n_repeats = r->shape->n_repeats;
	uint64_t insert_ns = 0;
	uint64_t delete_ns = 0;

	for (uint32_t i = 0; i < n_repeats; i++) {
		insert_ns += ours_insert(r, 0, r->n_90);
		ours_insert(r, r->n_90, r->shape->n);
		if (i == 0) {
			bench_add(&rows[POLL].ours, ours_poll(r));
			bench_add(&rows[BY_BATCH].ours, ours_by_batch(r));
		}
		delete_ns += ours_delete(r);
	}
	bench_add(&rows[INSERT].ours,
		  mops((uint64_t)r->n_90 * n_repeats, insert_ns));
	bench_add(&rows[DELETE].ours,
		  mops((uint64_t)r->shape->n * n_repeats, delete_ns));
}

/* ---- The peer. ---- */

#ifdef HAVE_PEER

static double peers_find(struct rig *r, uint32_t n_at_once)
{
	uint64_t start = clock_cpu_ns();

	for (uint32_t i = 0; i < N_PICKS; i += n_at_once) {
		uint64_t keys[PEER_BULK_MAX * WORDS_MAX];

		keys_build(keys, r->key_len, r->picks + i, n_at_once);
		must(peer_find(r->peer, keys, n_at_once, &r->sum) == n_at_once);
	}
	return mops(N_PICKS, clock_cpu_ns() - start);
}

static uint64_t peers_insert(struct rig *r, uint32_t from, uint32_t to)
{
	uint64_t start = clock_cpu_ns();

	for (uint32_t i = from; i < to; i += BATCH) {
		uint64_t keys[BATCH * WORDS_MAX];
		uint32_t n = at_most(to - i);

		keys_build(keys, r->key_len, r->comers + i, n);
		must(peer_add(r->peer, keys, n) == n);
	}
	return clock_cpu_ns() - start;
}

static uint64_t peers_delete(struct rig *r)
{
	uint64_t start = clock_cpu_ns();

	for (uint32_t i = 0; i < r->shape->n; i += BATCH) {
		uint64_t keys[BATCH * WORDS_MAX];
		uint32_t n = at_most(r->shape->n - i);

		keys_build(keys, r->key_len, r->leavers + i, n);
		must(peer_del(r->peer, keys, n) == n);
	}
	return clock_cpu_ns() - start;
}

static void peers_round(struct rig *r, struct bench_row *rows)
{
	uint32_t n_repeats = r->shape->n_repeats;
	uint64_t insert_ns = 0;
	uint64_t delete_ns = 0;

	for (uint32_t i = 0; i < n_repeats; i++) {
		insert_ns += peers_insert(r, 0, r->n_90);
		peers_insert(r, r->n_90, r->shape->n);
		if (i == 0) {
			bench_add(&rows[POLL].theirs,
				  peers_find(r, PEER_BULK_MAX));
			bench_add(&rows[BY_BATCH].theirs, peers_find(r, BATCH));
		}
		delete_ns += peers_delete(r);
	}
	bench_add(&rows[INSERT].theirs,
		  mops((uint64_t)r->n_90 * n_repeats, insert_ns));
	bench_add(&rows[DELETE].theirs,
		  mops((uint64_t)r->shape->n * n_repeats, delete_ns));
}

#endif

/* ---- One size of table. ---- */

static uint32_t *permutation(uint32_t n, struct rng *rng)
{
	uint32_t *p = bench_alloc(n * sizeof(*p));

	for (uint32_t i = 0; i < n; i++) {
		uint32_t j = rng_below(rng, i + 1);

		p[i] = p[j];
		p[j] = i;
	}
	return p;
}

static void rig_init(struct rig *r, const struct shape *s, uint32_t key_len)
{
	struct rng rng = rng_of(s->n + key_len);
	struct table_exact_conf conf = {
		.name = "bench",
		.kind = SLUICE_TABLE_FLOWS,
		.n_max = s->n,
		.key_len = (uint16_t)key_len,
		.value_len = 8,
		.seed = rng_next(&rng),
	};

	*r = (struct rig){.shape = s, .key_len = key_len};
	must(!region_new_memfd("bench", table_exact_len(&conf) + (1 << 16),
			       true, &r->region, NULL));
	must(!table_exact_new(r->region, &conf, &r->table, NULL));
	r->view = table_exact_view(r->table);
	r->version = sluice_version(r->region->head);
	r->n_90 = (uint32_t)(r->view->n_buckets * 8ull * 9 / 10);
	lines_init(&r->lines, r->view->n_buckets,
		   (uint64_t)s->n * r->view->entry_len / 64);
	r->picks = bench_alloc(N_PICKS * sizeof(*r->picks));
	for (uint32_t i = 0; i < N_PICKS; i++)
		r->picks[i] = rng_below(&rng, s->n);
	r->comers = permutation(s->n, &rng);
	r->leavers = permutation(s->n, &rng);
#ifdef HAVE_PEER
	r->peer = peer_new(s->n, key_len);
	must(r->peer);
#endif
}

static void rig_fini(struct rig *r)
{
#ifdef HAVE_PEER
	peer_free(r->peer);
#endif
	bench_free(r->leavers, r->shape->n * sizeof(*r->leavers));
	bench_free(r->comers, r->shape->n * sizeof(*r->comers));
	bench_free(r->picks, N_PICKS * sizeof(*r->picks));
	lines_fini(&r->lines);
	table_exact_free(r->table);
	region_free(r->region);
}

static void machine_round(struct rig *r, struct bench_row *rows)
{
	double two = lines_two(&r->lines);

	bench_add(&rows[POLL].limit, two);
	bench_add(&rows[BY_BATCH].limit, two);
	bench_add(&rows[TWO_LINES].ours, two);
	bench_add(&rows[TWO_PIPED].ours, lines_two_pipe(&r->lines));
	bench_add(&rows[ONE_LINE].ours, lines_one(&r->lines));
}

/* Names the rows; is any of them wanted? */
static bool rows_init(struct bench_row *rows, const struct bench *b,
		      const struct shape *s, uint32_t key_len)
{
	bool wanted = false;

	for (uint32_t i = 0; i < N_ROWS; i++) {
		snprintf(rows[i].name, sizeof(rows[i].name),
			 "table/exact/%s/%s/%uB%s", row_names[i][0], s->name,
			 key_len, row_names[i][1]);
		rows[i].unit = "Mops/s";
		rows[i].peer = "rte_hash";
		wanted |= bench_wants(b, rows[i].name);
	}
	return wanted;
}

static void measure(const struct bench *b, const struct shape *s,
		    uint32_t key_len)
{
	struct bench_row rows[N_ROWS] = {0};
	struct rig r;

	if (!rows_init(rows, b, s, key_len))
		return;
	bench_say("table/exact: %s entries, keys of %u bytes", s->name,
		  key_len);
	rig_init(&r, s, key_len);
	for (uint32_t i = 0; i < s->n_rounds; i++) {
		ours_round(&r, rows);
#ifdef HAVE_PEER
		peers_round(&r, rows);
#endif
		machine_round(&r, rows);
	}
	rig_fini(&r);
	for (uint32_t i = 0; i < N_ROWS; i++)
		if (bench_wants(b, rows[i].name))
			bench_emit(&rows[i]);
}

int main(int argc, char **argv)
{
	static const struct shape shapes[] = {
		{"1k", 1000, 9, 500},
		{"1M", 1000000, 9, 1},
		{"10M", 10000000, 5, 1},
	};
	struct bench b;
	bool huge;

	bench_init(&b, argc, argv);
	if (!bench_wants(&b, "table/exact"))
		return 0;
	huge = bench_huge_reserve(5ull << 29);
	bench_say("table/exact: memory in %s pages", huge ? "2 MiB" : "4 KiB");
#ifdef HAVE_PEER
	must(peer_start(huge));
#endif
	for (uint32_t i = 0; i < ARRAY_LEN(shapes); i++) {
		measure(&b, &shapes[i], 16);
		measure(&b, &shapes[i], 40);
	}
	return 0;
}
