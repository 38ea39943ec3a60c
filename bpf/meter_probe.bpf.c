/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */

/*
 * Counts in a table of counters, and asks a meter, in an arena, as often as the
 * packet's first word says; for a test and for benchmarks.
 */

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/arena.h"
#include "sluice/counter.h"
#include "sluice/meter.h"

const volatile uint64_t counters_addr; /* struct sluice_counters, or 0 */
const volatile uint64_t meters_addr;   /* struct sluice_exact */
const volatile uint32_t n_counters;    /* numbers 1 to n_counters are used */
const volatile uint64_t meter_id;
const volatile uint32_t lane_no; /* where to count; 0: 1 + the CPU's number */
const volatile uint32_t len = 1500;

uint64_t turn;
uint64_t clock_ns, step_ns; /* a clock of our own, unless step_ns is 0 */
uint64_t n_colours[4];
uint64_t n_missing;

static __always_inline uint32_t next_no(void)
{
	turn = turn * 6364136223846793005u + 1442695040888963407u;
	return 1 + (uint32_t)((turn >> 32) * n_counters >> 32);
}

static __always_inline struct sluice_counter_lane my_lane(void)
{
	uint32_t lane = lane_no ? lane_no : 1 + bpf_get_smp_processor_id();
	struct sluice_counter_view v;

	sluice_counter_view_init(&v, arena_at(counters_addr));
	return sluice_counter_lane(&v, lane);
}

static int count_none(uint32_t i, void *ctx)
{
	(void)i;
	(void)ctx;
	n_colours[3] += next_no();
	return 0;
}

static int count_own(uint32_t i, void *ctx)
{
	struct sluice_counter_lane l = my_lane();

	(void)i;
	(void)ctx;
	sluice_counter_add(&l, next_no(), 1, len, 7);
	return 0;
}

static int count_shared(uint32_t i, void *ctx)
{
	struct sluice_counter_lane l = my_lane();

	(void)i;
	(void)ctx;
	sluice_counter_add_shared(&l, next_no(), 1, len, 7);
	return 0;
}

/* Finds the meter, asks it, and counts what it said under its counter. */
static int police(uint32_t i, void *ctx)
{
	const struct sluice_meter_load load = {.packets = 1, .bytes = len};
	struct sluice_counter_lane l;
	struct sluice_exact_view table;
	struct sluice_meter_view v;
	enum sluice_colour colour;
	struct sluice_meter *m;
	uint64_t now_ns;

	(void)i;
	(void)ctx;
	sluice_exact_view_init(&table, arena_at(meters_addr));
	sluice_meter_view_init(&v, &table, 0);
	if (sluice_meter_find(&v, 1, meter_id, &m) != SLUICE_YES) {
		n_missing++;
		return 0;
	}
	if (step_ns)
		now_ns = clock_ns += step_ns;
	else
		now_ns = bpf_ktime_get_ns();
	colour = sluice_meter_police_shared(m, now_ns, &load);
	sluice_add64_relaxed(&n_colours[colour & 3], 1);
	if (counters_addr) {
		l = my_lane();
		sluice_counter_add(&l, sluice_meter_counter(m, colour), 1, len,
				   now_ns);
	}
	return 0;
}

#define PROBE(name, what)                                    \
	SEC("xdp")                                           \
	int name(struct xdp_md *ctx)                         \
	{                                                    \
		uint32_t *n = (uint32_t *)(long)ctx->data;   \
                                                             \
		ARENA_USE();                                 \
		if (n + 1 > (uint32_t *)(long)ctx->data_end) \
			return XDP_ABORTED;                  \
		bpf_loop(*n, what, NULL, 0);                 \
		return XDP_DROP;                             \
	}

PROBE(probe_count_none, count_none)
PROBE(probe_count_own, count_own)
PROBE(probe_count_shared, count_shared)
PROBE(probe_police, police)

char LICENSE[] SEC("license") = "GPL";
