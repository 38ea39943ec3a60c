/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters: what a packet pays, and what it takes to read a million.
 *
 *     read/1M/N-lanes      ms for the sums of a million; the limit is copying as
 *                          many bytes as they are read from
 *     count/N/own          ns a packet, its counter drawn from N, in a lane of
 *                          the core's own; the limit is the loop without it
 *     count/N/shared       the same in a lane that cores share (atomic adds)
 *     ../two-cores         while another core does the same
 *     layout/...           other layouts, written down here: records of 24 and
 *                          of 32 bytes; the lanes' records of one counter side
 *                          by side (index) instead of a lane's (lane)
 *     bytes/N-lanes        of a counter
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/must.h"
#include "base/rng.h"
#include "bench/bench.h"
#include "bench/pair.h"
#include "table/counter.h"

enum { N_ROUNDS = 11, N_PACKETS = 2000000, MILLION = 1000000, BLOCK = 64 };

struct lab {
	struct region *region;
	struct table_counter *table;
	const struct sluice_counter_view *view;
	struct sluice_counter_sum *sums; /* [MILLION + 1] */
	uint32_t *order;		 /* [N_PACKETS] */
};

static void lab_init(struct lab *lab, uint32_t n_lanes)
{
	const struct table_counter_conf conf = {
		.name = "bench",
		.kind = SLUICE_TABLE_COUNTERS,
		.n_max = MILLION,
		.n_lanes = n_lanes,
	};
	struct rng r = rng_of(1);
	uint32_t no;

	must(!region_new_memfd("bench", table_counter_len(&conf) + (4 << 20),
			       true, &lab->region, NULL));
	must(!table_counter_new(lab->region, &conf, &lab->table, NULL));
	lab->view = table_counter_view(lab->table);
	while (!table_counter_alloc(lab->table, 1, &no))
		;
	lab->sums = bench_alloc((MILLION + 1) * sizeof(*lab->sums));
	lab->order = bench_alloc(N_PACKETS * sizeof(*lab->order));
	/* Every page of every lane is there, and written to. */
	for (uint32_t i = 1; i < n_lanes; i++) {
		struct sluice_counter_lane l =
			sluice_counter_lane(lab->view, i);

		for (no = 1; no <= MILLION; no++)
			sluice_counter_add(&l, no, 1, rng_below(&r, 1500), 5);
	}
}

static void lab_fini(struct lab *lab)
{
	bench_free(lab->order, N_PACKETS * sizeof(*lab->order));
	bench_free(lab->sums, (MILLION + 1) * sizeof(*lab->sums));
	table_counter_free(lab->table);
	region_free(lab->region);
}

static void draw(struct lab *lab, uint32_t n)
{
	struct rng r = rng_of(2);

	for (uint32_t i = 0; i < N_PACKETS; i++)
		lab->order[i] = 1 + rng_below(&r, n);
}

/* ---- Reading. ---- */

static double ms_since(uint64_t began)
{
	return (double)(clock_cpu_ns() - began) / 1e6;
}

static double read_all(struct lab *lab)
{
	uint64_t began = clock_cpu_ns();

	must(sluice_counter_read(lab->view, 1, MILLION, lab->sums) == MILLION);
	return ms_since(began);
}

static double copy_all(struct lab *lab)
{
	uint64_t began = clock_cpu_ns();

	for (uint32_t i = 0; i < lab->view->n_lanes; i++) {
		memcpy(lab->sums, lab->view->lanes + i * lab->view->lane_len,
		       MILLION * sizeof(struct sluice_counter));
		__asm__ volatile("" ::"r"(lab->sums) : "memory");
	}
	return ms_since(began);
}

static void bench_read(const struct bench *b, uint32_t n_lanes)
{
	struct bench_row row = {.unit = "ms", .less_is_better = true};
	struct bench_row bytes = {.unit = "B", .less_is_better = true};
	struct lab lab;

	snprintf(row.name, sizeof(row.name), "table/counter/read/1M/%u-lanes",
		 n_lanes);
	snprintf(bytes.name, sizeof(bytes.name), "table/counter/bytes/%u-lanes",
		 n_lanes);
	if (!bench_wants(b, row.name) && !bench_wants(b, bytes.name))
		return;
	lab_init(&lab, n_lanes);
	for (int i = 0; i < N_ROUNDS; i++) {
		bench_add(&row.ours, read_all(&lab));
		bench_add(&row.limit, copy_all(&lab));
	}
	must(lab.sums[5].head || n_lanes);
	bench_add(&bytes.ours, (double)lab.view->lane_len * n_lanes / MILLION);
	bench_emit(&row);
	bench_emit(&bytes);
	lab_fini(&lab);
}

/* ---- Counting. ---- */

struct work {
	struct sluice_counter_lane lane;
	const uint32_t *order;
	bool shared;
	uint64_t sum;
};

static void count(void *arg)
{
	struct work *w = arg;

	if (w->shared)
		for (uint32_t i = 0; i < N_PACKETS; i++)
			sluice_counter_add_shared(&w->lane, w->order[i], 1, 64,
						  i);
	else
		for (uint32_t i = 0; i < N_PACKETS; i++)
			sluice_counter_add(&w->lane, w->order[i], 1, 64, i);
}

static void count_none(void *arg)
{
	struct work *w = arg;

	for (uint32_t i = 0; i < N_PACKETS; i++) {
		w->sum += w->order[i];
		__asm__ volatile("" ::: "memory");
	}
}

/* ns a packet. */
static double timed(void (*fn)(void *), void *arg)
{
	uint64_t began = clock_cpu_ns();

	fn(arg);
	return (double)(clock_cpu_ns() - began) / N_PACKETS;
}

static void bench_count(struct lab *lab, const char *n, bool shared)
{
	struct work one = {.shared = shared, .order = lab->order};
	struct work other = one;
	struct bench_row row = {.unit = "ns", .less_is_better = true};
	struct bench_row two = row;
	struct pair *pair;

	snprintf(row.name, sizeof(row.name), "table/counter/count/%s/%s", n,
		 shared ? "shared" : "own");
	snprintf(two.name, sizeof(two.name),
		 "table/counter/count/%s/%s/two-cores", n,
		 shared ? "shared" : "own");
	one.lane = sluice_counter_lane(lab->view, 1);
	other.lane = sluice_counter_lane(lab->view, shared ? 1 : 2);
	for (int i = 0; i < N_ROUNDS; i++) {
		bench_add(&row.ours, timed(count, &one));
		bench_add(&row.limit, timed(count_none, &one));
	}
	bench_emit(&row);
	pair = pair_start(count, &other);
	if (!pair)
		return;
	for (int i = 0; i < N_ROUNDS; i++) {
		bench_add(&two.ours, timed(count, &one));
		bench_add(&two.limit, timed(count_none, &one));
	}
	pair_stop(pair);
	bench_emit(&two);
}

static void bench_counts(const struct bench *b)
{
	static const struct {
		const char *name;
		uint32_t n;
	} sizes[] = {{"1", 1}, {"1k", 1000}, {"1M", MILLION}};
	struct lab lab;

	if (!bench_wants(b, "table/counter/count"))
		return;
	lab_init(&lab, 3);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		draw(&lab, sizes[i].n);
		bench_count(&lab, sizes[i].name, false);
		bench_count(&lab, sizes[i].name, true);
	}
	lab_fini(&lab);
}

/* ---- Layouts. ---- */

/* Where the record of a number in a lane lies, in bytes from the start. */
struct layout {
	const char *name;
	uint64_t no_step;
	uint64_t lane_step;
};

struct place {
	const struct layout *layout;
	uint8_t *mem; /* of two lanes */
	const uint32_t *order;
	uint32_t lane;
	struct sluice_counter_sum *sums;
};

static uint64_t *record(const struct place *p, uint32_t lane, uint64_t no)
{
	return (uint64_t *)(p->mem + lane * p->layout->lane_step +
			    no * p->layout->no_step);
}

static void layout_count(void *arg)
{
	struct place *p = arg;

	for (uint32_t i = 0; i < N_PACKETS; i++) {
		uint64_t *c = record(p, p->lane, p->order[i]);

		sluice_store64_relaxed(&c[0], sluice_load64_relaxed(&c[0]) + 1);
		sluice_store64_release(&c[1],
				       sluice_load64_relaxed(&c[1]) + 64);
		sluice_store64_relaxed(&c[2], i);
	}
}

static double layout_read(struct place *p)
{
	uint64_t began = clock_cpu_ns();

	for (uint64_t first = 0; first < MILLION; first += BLOCK)
		for (uint32_t lane = 0; lane < 2; lane++)
			for (uint64_t no = first; no < first + BLOCK; no++) {
				struct sluice_counter_sum *s = &p->sums[no];
				uint64_t *c = record(p, lane, no);

				s->bytes += sluice_load64_acquire(&c[1]);
				s->packets += sluice_load64_acquire(&c[0]);
				s->used_ns |= sluice_load64_acquire(&c[2]);
			}
	return ms_since(began);
}

static void bench_layout(const struct layout *l, const uint32_t *order)
{
	const uint64_t len = MILLION * 160ull;
	struct place one = {.layout = l, .order = order};
	struct place other;
	struct bench_row count1 = {.unit = "ns", .less_is_better = true};
	struct bench_row count2 = count1, all = count1;
	struct pair *pair;

	all.unit = "ms";
	snprintf(count1.name, sizeof(count1.name),
		 "table/counter/layout/%s/count/1M", l->name);
	snprintf(count2.name, sizeof(count2.name),
		 "table/counter/layout/%s/count/1M/two-cores", l->name);
	snprintf(all.name, sizeof(all.name), "table/counter/layout/%s/read/1M",
		 l->name);
	one.mem = bench_alloc(len);
	one.sums = bench_alloc((MILLION + BLOCK) * sizeof(*one.sums));
	other = one;
	other.lane = 1;
	for (int i = 0; i < N_ROUNDS; i++) {
		bench_add(&count1.ours, timed(layout_count, &one));
		bench_add(&all.ours, layout_read(&one));
	}
	bench_emit(&all);
	bench_emit(&count1);
	pair = pair_start(layout_count, &other);
	for (int i = 0; pair && i < N_ROUNDS; i++)
		bench_add(&count2.ours, timed(layout_count, &one));
	if (pair) {
		pair_stop(pair);
		bench_emit(&count2);
	}
	bench_free(one.sums, (MILLION + BLOCK) * sizeof(*one.sums));
	bench_free(one.mem, len);
}

static void bench_layouts(const struct bench *b)
{
	static const struct layout layouts[] = {
		{"lane-24", 24, 24ull * (MILLION + BLOCK)},
		{"lane-32", 32, 32ull * (MILLION + BLOCK)},
		{"index-32", 64, 32},
		{"index-64", 128, 64},
	};
	struct lab lab;

	if (!bench_wants(b, "table/counter/layout"))
		return;
	lab.order = bench_alloc(N_PACKETS * sizeof(*lab.order));
	draw(&lab, MILLION);
	for (size_t i = 0; i < ARRAY_LEN(layouts); i++)
		bench_layout(&layouts[i], lab.order);
	bench_free(lab.order, N_PACKETS * sizeof(*lab.order));
}

int main(int argc, char **argv)
{
	struct bench b;

	bench_init(&b, argc, argv);
	if (!bench_wants(&b, "table/counter"))
		return 0;
	if (!bench_huge_reserve(640ull << 20))
		bench_say("counters lie in ordinary pages");
	bench_read(&b, 1);
	bench_read(&b, 2);
	bench_read(&b, 4);
	bench_counts(&b);
	bench_layouts(&b);
	return 0;
}
