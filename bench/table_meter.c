/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Meters: ns a packet, its meter drawn from N.
 *
 *     KIND/N/own          one core's meter, by KIND: single, srtcm, trtcm; the
 *                         peer is DPDK's rte_meter, the limit is the loop alone
 *     KIND/N/shared       the same by atomic operations
 *     .../two-cores       while another core asks the same meters
 *     single/1/{green,red}/...  all packets granted, or none
 *     .../batch-16        16 packets asked for at once
 *     rejected/{cas,chunks}/..  other ways to share a bucket, written down here:
 *                         its time set by compare-and-swap for each packet; or
 *                         fetched 16 packets at a time by each core
 *     find/N              finding the meter by its id and asking it, one after
 *                         the other
 *     clock/..            looking at a clock
 *     bytes/N-engines     of a meter, its part of the index included
 *
 * The clock is read once for 32 packets, and a meter's memory is asked for eight
 * packets ahead, as an engine does that has batches; so in the loop alone, and
 * for the peer. All but green and red are asked for about twice what they grant.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/must.h"
#include "base/rng.h"
#include "bench/bench.h"
#include "bench/pair.h"
#include "table/meter.h"
#ifdef HAVE_PEER
#include "bench/peer_rte_hash.h"
#include "bench/peer_rte_meter.h"
#endif

enum {
	N_ROUNDS = 11,
	N_PACKETS = 1000000,
	MILLION = 1000000,
	LEN = 500,
	AHEAD = 8
};

/* Bytes a second, of all meters together: half of what is asked for. */
#define RATE 25000000000ull

struct lab {
	struct region *region;
	struct table_meter *table;
	struct sluice_meter_view view;
	struct sluice_meter **meters; /* [n] */
	uint32_t *order;	      /* [N_PACKETS + AHEAD] */
	uint32_t n;
	uint64_t rate; /* of each */
	uint64_t burst;
};

static struct table_meter_spec spec_of(const struct lab *lab,
				       enum sluice_meter_kind kind)
{
	struct table_meter_spec spec = {
		.kind = kind,
		.committed = {lab->rate, lab->burst},
		.more = {2 * lab->rate, 2 * lab->burst},
	};

	if (kind == SLUICE_METER_SRTCM)
		spec.more = (struct table_meter_rate){0, lab->burst};
	if (kind == SLUICE_METER_SINGLE)
		spec.more = (struct table_meter_rate){0, 0};
	return spec;
}

static void lab_set(struct lab *lab, const struct table_meter_spec *spec)
{
	for (uint32_t i = 0; i < lab->n; i++) {
		must(!table_meter_set(lab->table, i, spec, NULL));
		if (i % 32 == 0)
			table_meter_reclaim(lab->table,
					    table_meter_mark(lab->table));
	}
	table_meter_reclaim(lab->table, table_meter_mark(lab->table));
	for (uint32_t i = 0; i < lab->n; i++)
		must(sluice_meter_find(&lab->view, 1, i, &lab->meters[i]) ==
		     SLUICE_YES);
}

static void lab_init(struct lab *lab, uint32_t n)
{
	const struct table_meter_conf conf = {.name = "bench",
					      .n_max = n,
					      .n_engines = 1,
					      .seed = 1};
	struct rng r = rng_of(1);

	must(!region_new_memfd("bench", table_meter_len(&conf) + (4 << 20),
			       true, &lab->region, NULL));
	must(!table_meter_new(lab->region, &conf, &lab->table, NULL));
	must(sluice_meter_view_init(&lab->view, table_meter_view(lab->table),
				    0));
	lab->n = n;
	lab->meters = calloc(n, sizeof(*lab->meters));
	lab->order = bench_alloc((N_PACKETS + AHEAD) * sizeof(*lab->order));
	must(lab->meters);
	for (uint32_t i = 0; i < N_PACKETS + AHEAD; i++)
		lab->order[i] = rng_below(&r, n);
	lab->rate = RATE / n;
	lab->burst = lab->rate / 100 + 10 * LEN;
}

static void lab_fini(struct lab *lab)
{
	bench_free(lab->order, (N_PACKETS + AHEAD) * sizeof(*lab->order));
	free(lab->meters);
	table_meter_free(lab->table);
	region_free(lab->region);
}

/* ---- What is timed. ---- */

struct work {
	struct lab *lab;
	uint64_t now_ns;
	uint64_t n[3];
	uint64_t chunk; /* of "chunks": what this core has of the bucket */
};

/* The meter of the ith packet; now and then a look at the clock. */
static struct sluice_meter *next(struct work *w, uint32_t i)
{
	const struct lab *lab = w->lab;

	if (i % 32 == 0)
		w->now_ns = clock_now_ns();
	if (lab->order[i + AHEAD] != lab->order[i])
		sluice_meter_fetch(lab->meters[lab->order[i + AHEAD]]);
	return lab->meters[lab->order[i]];
}

static const struct sluice_meter_load load = {.packets = 1, .bytes = LEN};

static void none(void *arg)
{
	struct work *w = arg;

	for (uint32_t i = 0; i < N_PACKETS; i++) {
		__asm__ volatile("" ::"r"(next(w, i)), "r"(w->now_ns)
				 : "memory");
	}
}

static void own(void *arg)
{
	struct work *w = arg;

	for (uint32_t i = 0; i < N_PACKETS; i++) {
		struct sluice_meter *m = next(w, i);

		w->n[sluice_meter_police(m, w->now_ns, &load)]++;
	}
}

static void shared(void *arg)
{
	struct work *w = arg;

	for (uint32_t i = 0; i < N_PACKETS; i++) {
		struct sluice_meter *m = next(w, i);

		w->n[sluice_meter_police_shared(m, w->now_ns, &load)]++;
	}
}

static void found(void *arg)
{
	struct work *w = arg;

	for (uint32_t i = 0; i < N_PACKETS; i++) {
		struct sluice_meter *m;

		if (i % 32 == 0)
			w->now_ns = clock_now_ns();
		must(sluice_meter_find(&w->lab->view, 1, w->lab->order[i],
				       &m) == SLUICE_YES);
		w->n[sluice_meter_police_shared(m, w->now_ns, &load)]++;
	}
}

/* One look for 16 packets. */
static void by_batch(void *arg)
{
	static const struct sluice_meter_load sixteen = {.packets = 16,
							 .bytes = 16 * LEN};
	struct work *w = arg;

	for (uint32_t i = 0; i < N_PACKETS; i += 16) {
		struct sluice_meter *m = next(w, i);

		w->n[sluice_meter_police_shared(m, w->now_ns, &sixteen)] += 16;
	}
}

/* Rejected: the bucket's time set for each packet. */
static bool cas_take(uint64_t *word, uint64_t now, uint64_t burst,
		     uint64_t cost)
{
	uint64_t at = sluice_load64_relaxed(word);

	for (;;) {
		uint64_t full = now - burst;
		uint64_t from = (int64_t)(at - full) < 0 ? full : at;
		uint64_t was;

		if (from - full > burst - cost)
			return false;
		was = sluice_cas64_relaxed(word, at, from + cost);
		if (was == at)
			return true;
		at = was;
	}
}

static void by_cas(void *arg)
{
	struct work *w = arg;

	for (uint32_t i = 0; i < N_PACKETS; i++) {
		struct sluice_meter *m = next(w, i);
		uint64_t cost = sluice_tokens_cost(m->committed.cost, LEN);

		w->n[cas_take(&m->at, w->now_ns * SLUICE_TOKENS_NS,
			      m->committed.burst, cost)
			     ? SLUICE_GREEN
			     : SLUICE_RED]++;
	}
}

/* Rejected: 16 packets' worth at a time. One meter; a red packet asks again. */
static void by_chunks(void *arg)
{
	struct work *w = arg;

	for (uint32_t i = 0; i < N_PACKETS; i++) {
		struct sluice_meter *m = next(w, i);
		uint64_t cost = sluice_tokens_cost(m->committed.cost, LEN);
		struct sluice_tokens_ask a = {
			.now = w->now_ns * SLUICE_TOKENS_NS,
			.burst = sluice_load64_relaxed(&m->committed.burst),
			.cost = 16 * cost,
		};

		if (w->chunk < cost && sluice_tokens_take(&m->at, &a, true))
			w->chunk += 16 * cost;
		if (w->chunk >= cost) {
			w->chunk -= cost;
			w->n[SLUICE_GREEN]++;
		} else {
			w->n[SLUICE_RED]++;
		}
	}
}

/* ns a packet. */
static double timed(void (*fn)(void *), struct work *w)
{
	uint64_t began = clock_cpu_ns();

	fn(w);
	return (double)(clock_cpu_ns() - began) / N_PACKETS;
}

/* ---- Rows. ---- */

static void row_init(struct bench_row *row, const char *a, const char *b,
		     const char *c, const char *d)
{
	*row = (struct bench_row){.unit = "ns", .less_is_better = true};
	snprintf(row->name, sizeof(row->name), "table/meter/%s/%s/%s%s", a, b,
		 c, d);
}

/* One way to ask, alone and in company. */
static void bench_way(struct lab *lab, const char *a, const char *b,
		      const char *c, void (*fn)(void *))
{
	struct work one = {.lab = lab}, other = one;
	struct bench_row row;
	struct pair *pair;

	row_init(&row, a, b, c, "");
	for (int i = 0; i < N_ROUNDS; i++) {
		bench_add(&row.ours, timed(fn, &one));
		bench_add(&row.limit, timed(none, &one));
	}
	bench_emit(&row);
	pair = pair_start(fn, &other);
	if (!pair)
		return;
	row_init(&row, a, b, c, "/two-cores");
	for (int i = 0; i < N_ROUNDS; i++) {
		bench_add(&row.ours, timed(fn, &one));
		bench_add(&row.limit, timed(none, &one));
	}
	pair_stop(pair);
	bench_emit(&row);
}

#ifdef HAVE_PEER
static double peer_timed(struct peer_meters *p, const struct lab *lab,
			 enum sluice_meter_kind kind)
{
	const struct peer_meter_run run = {lab->order, N_PACKETS, AHEAD, LEN};
	uint64_t n[3] = {0};
	uint64_t began = clock_cpu_ns();

	if (kind == SLUICE_METER_SRTCM)
		peer_meters_srtcm(p, &run, n);
	else
		peer_meters_trtcm(p, &run, n);
	must(n[0] + n[1] + n[2] == N_PACKETS);
	return (double)(clock_cpu_ns() - began) / N_PACKETS;
}
#endif

/* Beside the peer; kinds that it does not know have none. */
static void bench_own(struct lab *lab, enum sluice_meter_kind kind,
		      const char *kind_name, const char *n)
{
	struct work w = {.lab = lab};
	struct bench_row row;

	row_init(&row, kind_name, n, "own", "");
#ifdef HAVE_PEER
	struct peer_meters *p = NULL;

	if (kind != SLUICE_METER_SINGLE) {
		row.peer = "rte_meter";
		p = peer_meters_new(lab->n, lab->rate, lab->burst);
		must(p);
	}
#endif
	for (int i = 0; i < N_ROUNDS; i++) {
		bench_add(&row.ours, timed(own, &w));
		bench_add(&row.limit, timed(none, &w));
#ifdef HAVE_PEER
		if (p)
			bench_add(&row.theirs, peer_timed(p, lab, kind));
#endif
	}
#ifdef HAVE_PEER
	if (p)
		peer_meters_free(p);
#endif
	(void)kind;
	bench_emit(&row);
}

static void bench_kinds(struct lab *lab, const char *n)
{
	static const char *const names[] = {"single", "srtcm", "trtcm"};

	for (int kind = SLUICE_METER_SINGLE; kind <= SLUICE_METER_TRTCM;
	     kind++) {
		struct table_meter_spec spec =
			spec_of(lab, (enum sluice_meter_kind)kind);

		lab_set(lab, &spec);
		bench_own(lab, (enum sluice_meter_kind)kind, names[kind], n);
		bench_way(lab, names[kind], n, "shared", shared);
	}
	bench_way(lab, "find", n, "shared", found);
}

/* The same meter, granting everything or nothing. */
static void bench_one(struct lab *lab)
{
	struct table_meter_spec spec = {
		.committed = {100000000000ull, 10000000000ull}};

	lab_set(lab, &spec);
	bench_way(lab, "single", "1", "green/shared", shared);
	bench_way(lab, "single", "1", "green/batch-16", by_batch);
	bench_way(lab, "rejected", "cas", "green", by_cas);
	bench_way(lab, "rejected", "chunks", "green", by_chunks);
	spec.committed = (struct table_meter_rate){1, 1};
	lab_set(lab, &spec);
	bench_way(lab, "single", "1", "red/shared", shared);
}

static void bench_clocks(void)
{
	static const struct {
		const char *name;
		clockid_t id;
	} clocks[] = {{"monotonic", CLOCK_MONOTONIC},
		      {"coarse", CLOCK_MONOTONIC_COARSE}};

	for (size_t c = 0; c < ARRAY_LEN(clocks); c++) {
		struct bench_row row;
		uint64_t sum = 0;

		row_init(&row, "clock", clocks[c].name, "call", "");
		for (int i = 0; i < N_ROUNDS; i++) {
			uint64_t began = clock_cpu_ns();

			for (uint32_t j = 0; j < N_PACKETS; j++)
				sum += clock_ns_of(clocks[c].id);
			bench_add(&row.ours,
				  (double)(clock_cpu_ns() - began) / N_PACKETS);
		}
		must(sum);
		bench_emit(&row);
	}
}

static void bench_bytes(uint32_t n_engines)
{
	const struct table_meter_conf conf = {.name = "bench",
					      .n_max = MILLION,
					      .n_engines = n_engines};
	struct bench_row row = {.unit = "B", .less_is_better = true};

	snprintf(row.name, sizeof(row.name), "table/meter/bytes/%u-engines",
		 n_engines);
	bench_add(&row.ours, (double)table_meter_len(&conf) / MILLION);
	bench_emit(&row);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		uint32_t n;
	} sizes[] = {{"1", 1}, {"1k", 1000}, {"1M", MILLION}};
	struct bench b;
	bool huge;

	bench_init(&b, argc, argv);
	if (!bench_wants(&b, "table/meter"))
		return 0;
	huge = bench_huge_reserve(320ull << 20);
#ifdef HAVE_PEER
	must(peer_start(huge));
#endif
	if (!huge)
		bench_say("meters lie in ordinary pages");
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct lab lab;

		lab_init(&lab, sizes[i].n);
		bench_kinds(&lab, sizes[i].name);
		if (sizes[i].n == 1)
			bench_one(&lab);
		lab_fini(&lab);
	}
	bench_clocks();
	bench_bytes(1);
	bench_bytes(2);
	return 0;
}
