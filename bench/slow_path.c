/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slow path, beside the bare insert that it cannot beat.
 *
 *     slow/new-flows/N  misses of N new flows, each taken, parsed, run through
 *                       the learning switch, written into the table and sent
 *                       on, until N flows are there. Limit: that many inserts
 *                       of the same keys, one by one, with nothing around them
 *     slow/learn/N      the same, when each packet is a new station's too
 *     slow/known/N      misses whose flow was written while they waited
 *     slow/visible/N    one miss with N flows there: from taking it until an
 *                       engine finds its flow
 *
 * The engine is the tests' fake: what a device costs is not in here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/must.h"
#include "bench/bench.h"
#include "engine/engine_fake.h"
#include "pipe/slowpath.h"
#include "sluice/parse.h"

#define N_STATIONS 4096u /* but for learn */
#define N_ROUNDS 7u
#define FRAME_LEN 60u
#define FOR_EVER 1000000000000000ull /* ns */

struct rig {
	uint32_t n_flows;
	uint32_t n_stations;
	struct region *region;
	struct state state;
	struct engine_fake fake;
	struct slowpath slow;
	struct learn_conf conf;
};

static void rig_open(struct rig *r, uint32_t n_flows, uint32_t n_stations)
{
	struct state_conf sc = {
		.engine = SLUICE_ENGINE_POLL,
		.n_lanes = 2,
		.n_flows = n_flows + 64,
		.n_macs = n_stations + 64,
		.seed = 1,
	};
	uint64_t len = state_region_len(&sc);

	memset(r, 0, sizeof(*r));
	r->n_flows = n_flows;
	r->n_stations = n_stations;
	must(len);
	must(!region_new_memfd("bench", len, true, &r->region, NULL));
	must(!state_new(r->region, &sc, &r->state, NULL));
	engine_fake_init(&r->fake, &r->state);
	r->conf = (struct learn_conf){
		.state = &r->state,
		.flow_idle_ns = FOR_EVER,
		.mac_age_ns = FOR_EVER,
		.seed = 1,
	};
	must(!slowpath_init(&r->slow, &r->conf, &r->fake.engine, 1));
	for (uint32_t no = 1; no <= 4; no++)
		must(!r->fake.engine.ops->port_add(&r->fake.engine, no, NULL));
	must(!slowpath_set_up(&r->slow, 0x1e, NULL));
}

static void rig_close(struct rig *r)
{
	slowpath_fini(&r->slow);
	state_fini(&r->state);
	region_free(r->region);
}

/* UDP of flow i: its station's port, two stations, and a source port. */
static uint32_t frame(const struct rig *r, uint32_t i, uint8_t *data)
{
	static const uint8_t head[42] = {
		2,    0, 0,  0,	 0, 0, 2, 0, 0,	 0,  0, 0, 8,  0,
		0x45, 0, 0,  28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0,
		0,    1, 10, 0,	 0, 2, 0, 0, 0,	 80, 0, 8, 0,  0,
	};
	uint32_t src = i % r->n_stations;
	uint32_t dst = (src * 7 + 1) % r->n_stations;
	uint32_t sport = i / r->n_stations;

	memset(data, 0, FRAME_LEN);
	memcpy(data, head, sizeof(head));
	memcpy(data + 2, &dst, sizeof(dst));
	memcpy(data + 8, &src, sizeof(src));
	data[34] = (uint8_t)(sport >> 8);
	data[35] = (uint8_t)sport;
	return 1 + src % 4;
}

/* Gives n frames from i on to the slow path; returns the time it took. */
static uint64_t misses(struct rig *r, uint32_t i, uint32_t n)
{
	uint8_t data[FRAME_LEN];
	uint64_t start;

	for (uint32_t end = i + n; i < end; i++) {
		uint32_t port = frame(r, i, data);

		engine_fake_miss(&r->fake, port, data, sizeof(data));
	}
	start = clock_cpu_ns();
	while (slowpath_round(&r->slow, 2))
		;
	return clock_cpu_ns() - start;
}

/* Misses of all flows, first to last. Returns the time it took. */
static uint64_t all_misses(struct rig *r)
{
	uint64_t ns = 0;

	for (uint32_t i = 0; i < r->n_flows; i += FAKE_QUEUE)
		ns += misses(r, i,
			     r->n_flows - i < FAKE_QUEUE ? r->n_flows - i
							 : FAKE_QUEUE);
	return ns;
}

/* The limit: the same keys into the same table, and nothing else. */
static uint64_t all_inserts(struct rig *r)
{
	struct sluice_key keys[FAKE_QUEUE];
	uint64_t ns = 0;

	for (uint32_t i = 0; i < r->n_flows; i += FAKE_QUEUE) {
		struct sluice_flow value = {.created_ns = 2};
		uint32_t n = 0;
		uint64_t start;

		for (; n < FAKE_QUEUE && i + n < r->n_flows; n++) {
			uint8_t data[FRAME_LEN];
			uint32_t port = frame(r, i + n, data);

			must(!sluice_parse(data, data + sizeof(data), port,
					   &keys[n]));
		}
		start = clock_cpu_ns();
		for (uint32_t j = 0; j < n; j++)
			must(!table_exact_set(r->state.flows, &keys[j], &value,
					      NULL));
		ns += clock_cpu_ns() - start;
	}
	return ns;
}

static double mops(uint64_t n, uint64_t ns)
{
	return (double)n * 1e3 / (double)ns;
}

static double limit_round(uint32_t n, uint32_t n_stations)
{
	struct rig r;
	uint64_t ns;

	rig_open(&r, n, n_stations);
	ns = all_inserts(&r);
	rig_close(&r);
	return mops(n, ns);
}

/* ---- Rows. ---- */

static void new_flows(struct bench *b, const char *what, uint32_t n,
		      uint32_t n_stations)
{
	struct bench_row row = {.unit = "Mops/s"};
	struct bench_row known = {.unit = "Mops/s"};

	snprintf(row.name, sizeof(row.name), "slow/%s/%uk", what, n / 1000);
	snprintf(known.name, sizeof(known.name), "slow/known/%uk", n / 1000);
	if (!bench_wants(b, row.name) && !bench_wants(b, known.name))
		return;
	bench_say("%s", row.name);
	for (uint32_t i = 0; i < N_ROUNDS; i++) {
		struct rig r;

		rig_open(&r, n, n_stations);
		bench_add(&row.ours, mops(n, all_misses(&r)));
		must(table_exact_n_used(r.state.flows) == n);
		bench_add(&known.ours, mops(n, all_misses(&r)));
		rig_close(&r);
		bench_add(&row.limit, limit_round(n, n_stations));
	}
	bench_emit(&row);
	if (n_stations == N_STATIONS)
		bench_emit(&known);
}

static void visible(struct bench *b, uint32_t n)
{
	struct bench_row row = {.unit = "ns", .less_is_better = true};
	struct rig r;

	snprintf(row.name, sizeof(row.name), "slow/visible/%uk", n / 1000);
	if (!bench_wants(b, row.name))
		return;
	bench_say("%s", row.name);
	rig_open(&r, n, N_STATIONS);
	r.n_flows = n / 2;
	all_misses(&r);
	for (uint32_t i = 0; i < N_ROUNDS; i++) {
		uint64_t ns = 0;

		for (uint32_t j = 0; j < 1000; j++)
			ns += misses(&r, n / 2 + i * 1000 + j, 1);
		bench_add(&row.ours, (double)ns / 1000);
	}
	bench_emit(&row);
	rig_close(&r);
}

int main(int argc, char **argv)
{
	struct bench b;

	bench_init(&b, argc, argv);
	new_flows(&b, "new-flows", 64000, N_STATIONS);
	new_flows(&b, "new-flows", 1000000, N_STATIONS);
	new_flows(&b, "learn", 64000, 64000);
	visible(&b, 64000);
	visible(&b, 1000000);
	return 0;
}
