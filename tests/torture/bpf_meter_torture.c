/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BPF programs count and ask meters in an arena, on two cores at once, while
 * this process reads. Nothing is lost, and what meters grant is what is due.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/must.h"
#include "base/test.h"
#include "meter_probe.skel.h"
#include "table/counter.h"
#include "table/meter.h"

#define N_COUNTERS 1000u
#define N_LANES 65u
#define LOOPS 1000u /* in one run of a program */
#define N_RUNS 3000u
#define LEN 100u
#define SECOND 1000000000ull

struct rig {
	struct region *region;
	struct table_counter *counters;
	struct table_meter *meters;
	struct meter_probe_bpf *skel;
	const struct bpf_program *program;
	uint64_t until_ns; /* 0: N_RUNS runs */
	uint32_t n_done;
	int err;
};

static const struct table_counter_conf counter_conf = {
	.name = "counters",
	.kind = SLUICE_TABLE_COUNTERS,
	.n_max = N_COUNTERS + 3,
	.n_lanes = N_LANES,
};

static const char *rig_init(struct rig *r, uint32_t lane)
{
	const struct table_meter_conf conf = {.name = "meters",
					      .n_max = 10,
					      .n_engines = 1,
					      .seed = 1};
	uint64_t addr;
	uint32_t no;

	memset(r, 0, sizeof(*r));
	if (sysconf(_SC_NPROCESSORS_CONF) >= N_LANES)
		return "has more cores than this test has lanes";
	if (region_new_arena("meters", 8 << 20, &r->region, NULL))
		return "needs root and BPF arenas (Linux 6.9)";
	must(!table_counter_new(r->region, &counter_conf, &r->counters, NULL));
	must(!table_meter_new(r->region, &conf, &r->meters, NULL));
	for (uint32_t i = 1; i <= N_COUNTERS; i++) {
		must(!table_counter_alloc(r->counters, 1, &no));
		must(no == i);
	}
	addr = r->region->head->base_addr;
	r->skel = meter_probe_bpf__open();
	must(r->skel);
	r->skel->rodata->counters_addr =
		addr + region_table(r->region, SLUICE_TABLE_COUNTERS)->off;
	r->skel->rodata->meters_addr =
		addr + region_table(r->region, SLUICE_TABLE_METERS)->off;
	r->skel->rodata->n_counters = N_COUNTERS;
	r->skel->rodata->meter_id = 5;
	r->skel->rodata->lane_no = lane;
	r->skel->rodata->len = LEN;
	must(!bpf_map__reuse_fd(r->skel->maps.arena, r->region->fd));
	must(!meter_probe_bpf__load(r->skel));
	return NULL;
}

static void rig_fini(struct rig *r)
{
	meter_probe_bpf__destroy(r->skel);
	table_meter_free(r->meters);
	table_counter_free(r->counters);
	region_free(r->region);
}

static void run_once(struct rig *r, uint32_t repeat)
{
	uint32_t data[16] = {LOOPS};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data,
		    .data_size_in = sizeof(data), .repeat = (int)repeat);

	if (bpf_prog_test_run_opts(bpf_program__fd(r->program), &opts))
		__atomic_store_n(&r->err, 1, __ATOMIC_RELAXED);
}

static void *run(void *arg)
{
	struct rig *r = arg;

	if (!r->until_ns)
		run_once(r, N_RUNS);
	while (r->until_ns && clock_now_ns() < r->until_ns)
		run_once(r, 10);
	__atomic_fetch_add(&r->n_done, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* Runs the program in two threads, each on a core of its own. */
static void run_twice(struct rig *r, const struct bpf_program *program,
		      void (*meanwhile)(const struct rig *))
{
	pthread_t threads[2];

	r->program = program;
	r->n_done = 0;
	for (uint32_t i = 0; i < 2; i++) {
		cpu_set_t cpus;

		CPU_ZERO(&cpus);
		CPU_SET(i % (uint32_t)sysconf(_SC_NPROCESSORS_ONLN), &cpus);
		must(!pthread_create(&threads[i], NULL, run, r));
		pthread_setaffinity_np(threads[i], sizeof(cpus), &cpus);
	}
	while (__atomic_load_n(&r->n_done, __ATOMIC_ACQUIRE) < 2)
		meanwhile(r);
	for (uint32_t i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(r->err, 0);
}

static struct sluice_counter_sum sum_of_all(const struct rig *r)
{
	static struct sluice_counter_sum sums[N_COUNTERS + 4];
	struct sluice_counter_sum all = {0};
	uint32_t n = sluice_counter_read(table_counter_view(r->counters), 0,
					 ARRAY_LEN(sums), sums);

	for (uint32_t i = 0; i < n; i++) {
		all.packets += sums[i].packets;
		all.bytes += sums[i].bytes;
	}
	return all;
}

static uint64_t last_packets;

static void counts_only_grow(const struct rig *r)
{
	struct sluice_counter_sum all = sum_of_all(r);

	CHECK(all.packets >= last_packets);
	/* Some packets may be counted, and their bytes not yet. */
	CHECK(all.bytes <= all.packets * LEN);
	last_packets = all.packets;
}

static void sums_grow(const struct rig *r)
{
	struct sluice_counter_sum all = sum_of_all(r);

	CHECK(all.packets >= last_packets);
	last_packets = all.packets;
}

static void nothing_is_lost_in_a_lane_for_each_core(void)
{
	struct sluice_counter_sum all;
	struct rig r;
	const char *cannot = rig_init(&r, 0);

	if (cannot)
		return test_skip(cannot);
	last_packets = 0;
	run_twice(&r, r.skel->progs.probe_count_own, counts_only_grow);
	all = sum_of_all(&r);
	CHECK_EQ(all.packets, 2ull * N_RUNS * LOOPS);
	CHECK_EQ(all.bytes, all.packets * LEN);
	rig_fini(&r);
}

static void nothing_is_lost_in_a_lane_that_cores_share(void)
{
	struct sluice_counter_sum all;
	struct rig r;
	const char *cannot = rig_init(&r, 1);

	if (cannot)
		return test_skip(cannot);
	last_packets = 0;
	run_twice(&r, r.skel->progs.probe_count_shared, sums_grow);
	all = sum_of_all(&r);
	CHECK_EQ(all.packets, 2ull * N_RUNS * LOOPS);
	CHECK_EQ(all.bytes, all.packets * LEN);
	rig_fini(&r);
}

/* The same packets at the same times: here and there, the same colours. */
static void bpf_and_host_see_the_same_colours(void)
{
	const struct table_meter_spec spec = {
		.kind = SLUICE_METER_TRTCM,
		.committed = {.per_second = 1000000, .burst = 20000},
		.more = {.per_second = 3000000, .burst = 30000},
		.counters = {N_COUNTERS, N_COUNTERS - 1, N_COUNTERS - 2},
	};
	const struct sluice_meter_load load = {.packets = 1, .bytes = LEN};
	uint64_t n[3] = {0}, now_ns = SECOND;
	struct sluice_counter_sum sum;
	struct sluice_meter_view v;
	struct sluice_meter *m;
	struct rig r;
	const char *cannot = rig_init(&r, 0);

	if (cannot)
		return test_skip(cannot);
	must(!table_meter_set(r.meters, 5, &spec, NULL));
	must(!table_meter_set(r.meters, 6, &spec, NULL));
	must(sluice_meter_view_init(&v, table_meter_view(r.meters), 0));
	must(sluice_meter_find(&v, 1, 6, &m) == SLUICE_YES);
	r.skel->bss->clock_ns = now_ns;
	r.skel->bss->step_ns = 12345;
	r.program = r.skel->progs.probe_police;
	run_once(&r, 100);
	CHECK_EQ(r.err, 0);
	for (uint32_t i = 0; i < 100 * LOOPS; i++)
		n[sluice_meter_police_shared(m, now_ns += 12345, &load)]++;
	CHECK_EQ(r.skel->bss->n_missing, 0);
	for (uint32_t c = 0; c < 3; c++) {
		CHECK(n[c] > 1000);
		CHECK_EQ(r.skel->bss->n_colours[c], n[c]);
		CHECK(sluice_counter_get(table_counter_view(r.counters),
					 spec.counters[c], &sum));
		CHECK_EQ(sum.packets, n[c]);
		CHECK_EQ(sum.bytes, n[c] * LEN);
	}
	rig_fini(&r);
}

static void wait_a_little(const struct rig *r)
{
	(void)r;
	usleep(1000);
}

static void two_cores_get_what_is_due(void)
{
	/* A second of burst, used up before: no token is lost in a pause. */
	const struct table_meter_spec spec = {
		.packets = true,
		.committed = {.per_second = 1000000, .burst = 1000000},
	};
	const struct sluice_meter_load load = {.packets = 1, .bytes = LEN};
	struct sluice_meter_view v;
	struct sluice_meter *m;
	uint64_t n, start;
	struct rig r;
	const char *cannot = rig_init(&r, 0);

	if (cannot)
		return test_skip(cannot);
	must(!table_meter_set(r.meters, 5, &spec, NULL));
	must(sluice_meter_view_init(&v, table_meter_view(r.meters), 0));
	must(sluice_meter_find(&v, 1, 5, &m) == SLUICE_YES);
	start = clock_now_ns();
	while (sluice_meter_police_shared(m, start, &load) == SLUICE_GREEN)
		;
	r.until_ns = start + SECOND / 2;
	run_twice(&r, r.skel->progs.probe_police, wait_a_little);
	n = r.skel->bss->n_colours[SLUICE_GREEN];
	start = clock_now_ns() - start;
	while (sluice_meter_police_shared(m, r.until_ns, &load) == SLUICE_GREEN)
		n++;
	printf("# %lu granted of %lu in %lu us\n", (unsigned long)n,
	       (unsigned long)(n + r.skel->bss->n_colours[SLUICE_RED]),
	       (unsigned long)start / 1000);
	/* They stopped between the time set and the time seen now. */
	CHECK((double)n >= 0.99 * 500000);
	CHECK((double)n <= 1.01 * (double)start / 1000);
	rig_fini(&r);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(nothing_is_lost_in_a_lane_for_each_core);
	TEST(nothing_is_lost_in_a_lane_that_cores_share);
	TEST(bpf_and_host_see_the_same_colours);
	TEST(two_cores_get_what_is_due);
	return test_done();
}
