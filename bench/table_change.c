/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Change sets of 10,000 items over an exact table of a million entries.
 *
 *     apply        a set, ready to be true and made so, beside its items one by
 *                  one (table_exact_set() and table_exact_del(), which need no
 *                  settling)
 *     settle       what is left to do after a grace period
 *     stall/p9999  what a look-up takes at most, of 9,999 in 10,000, while a
 *     stall/max    writer on another core applies and settles sets all the time;
 *                  and at most of all, beside the same reader without a writer.
 *     stall/worst  the longest of all rounds
 *     stall/over   how many of a million take more than 10 us: interrupts do, so
 *                  the two sides tell what the writer adds
 *
 * A set replaces 4,000 values, removes 3,000 keys and adds as many.
 *
 * Each look-up is measured by the cycle counter; 18 ns of each is the measuring.
 * One in which the kernel took the processor away does not count: it tells of the
 * machine, not of the table. What a hypervisor takes away is in both sides.
 */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <x86intrin.h>

#include "base/clock.h"
#include "base/must.h"
#include "base/rng.h"
#include "bench/bench.h"
#include "region/grace.h"
#include "sluice/atomic.h"
#include "table/change.h"
#include "table/exact.h"

enum {
	N = 1000000,
	N_KEYS = 1200000, /* of which N are in */
	N_SET = 4000,
	N_DEL = 3000,
	N_ITEMS = N_SET + 2 * N_DEL,
	N_ROUNDS = 9,
	ROUND_MS = 400,
	WINDOW = 64,	/* look-ups between two looks at the scheduler */
	NS_MAX = 60000, /* longer ones are one */
	STALL_NS = 10000,
	N_STALL_ROWS = 5,
};

struct words {
	uint64_t a, b;
};

struct rig {
	struct region *region;
	struct table_exact *table;
	struct change_log *log;
	struct region_grace *grace;
	struct sluice_section record;
	struct rng rng;
	uint32_t *order; /* [N_KEYS] numbers of keys: first those that are in */
	uint64_t n_sets; /* beside a reader */
	struct words keys[N_ITEMS], values[N_ITEMS];
	struct change_item items[N_ITEMS];
};

/* What a reader has measured. */
struct looks {
	uint64_t n;
	uint64_t n_taken; /* in which the processor was taken away */
	uint64_t max_ns;
	uint32_t counts[NS_MAX + 1]; /* by ns */
};

struct reader {
	struct rig *rig;
	struct sluice_seat seat;
	struct rng rng;
	double ns_per_tick;
	uint32_t stop;
	struct looks looks;
};

static struct words key_of(uint32_t number)
{
	return (struct words){number * 0x9e3779b97f4a7c15u, number};
}

/* ---- Sets. ---- */

static uint32_t draw(struct rig *r, uint32_t from, uint32_t to, uint32_t at)
{
	uint32_t other = from + rng_below(&r->rng, to - from);
	uint32_t number = r->order[other];

	r->order[other] = r->order[at];
	r->order[at] = number;
	return number;
}

static void set_item(struct rig *r, uint32_t i, uint32_t number,
		     enum change_kind kind)
{
	r->keys[i] = key_of(number);
	r->values[i] = (struct words){rng_next(&r->rng), 0};
	r->items[i] = (struct change_item){table_exact_change(r->table), kind,
					   &r->keys[i], &r->values[i]};
}

/* A set of other keys each time, in random order of memory. */
static void set_build(struct rig *r)
{
	uint32_t last = N - 1, first = N, i = 0;

	for (; i < N_SET; i++)
		set_item(r, i, draw(r, 0, N - i, N - 1 - i), CHANGE_SET);
	last = N - 1 - i;
	for (; i < N_SET + N_DEL; i++, last--)
		set_item(r, i, draw(r, 0, last + 1, last), CHANGE_DEL);
	for (; i < N_ITEMS; i++, first++)
		set_item(r, i, draw(r, first, N_KEYS, first), CHANGE_ADD);
	/* Those that go and those that come change places. */
	for (i = 0; i < N_DEL; i++) {
		uint32_t gone = r->order[last + 1 + i];

		r->order[last + 1 + i] = r->order[N + i];
		r->order[N + i] = gone;
	}
}

static void set_apply(struct rig *r)
{
	struct why why;
	uint32_t bad;

	must(!change_apply(r->log, r->items, N_ITEMS, &bad, &why));
}

static void set_single(struct rig *r)
{
	for (uint32_t i = 0; i < N_ITEMS; i++) {
		if (r->items[i].kind == CHANGE_DEL)
			must(table_exact_del(r->table, &r->keys[i]));
		else
			must(!table_exact_set(r->table, &r->keys[i],
					      &r->values[i], NULL));
	}
}

static void grace(struct rig *r)
{
	uint64_t ticket = region_grace_start(r->grace, clock_now_ns());

	while (!region_grace_done(r->grace, ticket, clock_now_ns()))
		sched_yield();
}

static void settle(struct rig *r)
{
	must(change_settle(r->log, change_mark(r->log), UINT64_MAX) == N_ITEMS);
}

static void reclaim(struct rig *r)
{
	uint64_t mark = table_exact_mark(r->table);

	grace(r);
	table_exact_reclaim(r->table, mark);
}

static double ms(uint64_t since_ns)
{
	return (double)(clock_cpu_ns() - since_ns) / 1e6;
}

static void sets(struct rig *r, struct bench_row *apply,
		 struct bench_row *settling)
{
	uint64_t began;

	set_build(r);
	began = clock_cpu_ns();
	set_apply(r);
	bench_add(&apply->ours, ms(began));
	began = clock_cpu_ns();
	settle(r);
	bench_add(&settling->ours, ms(began));
	reclaim(r);
	set_build(r);
	began = clock_cpu_ns();
	set_single(r);
	bench_add(&apply->theirs, ms(began));
	reclaim(r);
}

/* ---- A reader. ---- */

static long n_switches(void)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	return u.ru_nvcsw + u.ru_nivcsw;
}

/* Ticks of one look-up of a random key. */
static uint64_t look(struct reader *rd, const struct sluice_exact_view *v)
{
	struct words key = key_of(rng_below(&rd->rng, N_KEYS));
	const struct sluice_region *region = rd->rig->region->head;
	uint64_t began = __rdtsc();
	enum sluice_found f;
	uint8_t *entry;

	_mm_lfence();
	f = sluice_exact_find(v, sluice_version(region), &key, sizeof(key),
			      &entry);
	if (f == SLUICE_YES)
		f += *(uint64_t *)sluice_entry_value(entry, sizeof(key)) == 1;
	__asm__ volatile("" ::"r"(f));
	_mm_lfence();
	return __rdtsc() - began;
}

static void note(struct looks *l, const uint64_t *ticks, double ns_per_tick)
{
	for (uint32_t i = 0; i < WINDOW; i++) {
		uint64_t ns = (uint64_t)((double)ticks[i] * ns_per_tick);

		l->n++;
		l->counts[ns < NS_MAX ? ns : NS_MAX]++;
		if (ns > l->max_ns)
			l->max_ns = ns;
	}
}

static void *reader_run(void *arg)
{
	struct reader *rd = arg;
	const struct sluice_exact_view *v = table_exact_view(rd->rig->table);
	uint64_t ticks[WINDOW];
	long was = n_switches();

	while (!sluice_load32_relaxed(&rd->stop)) {
		long now;

		sluice_section_enter(&rd->seat);
		for (uint32_t i = 0; i < WINDOW; i++)
			ticks[i] = look(rd, v);
		sluice_section_leave(&rd->seat);
		now = n_switches();
		if (now == was)
			note(&rd->looks, ticks, rd->ns_per_tick);
		else
			rd->looks.n_taken += WINDOW;
		was = now;
	}
	return NULL;
}

static double ns_per_tick(void)
{
	uint64_t ns = clock_now_ns(), ticks = __rdtsc();

	while (clock_now_ns() < ns + 50000000)
		;
	ns = clock_now_ns() - ns;
	return (double)ns / (double)(__rdtsc() - ticks);
}

static void pin(pthread_t thread, unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_setaffinity_np(thread, sizeof(set), &set);
}

static uint64_t quantile_ns(const struct looks *l, double part)
{
	uint64_t n = 0, below = (uint64_t)((double)l->n * part);
	uint32_t ns = 0;

	while (ns < NS_MAX && n + l->counts[ns] <= below)
		n += l->counts[ns++];
	return ns;
}

/* How many of a million look-ups take longer. */
static double n_over(const struct looks *l, uint32_t ns)
{
	uint64_t n = 0;

	for (uint32_t i = ns; i <= NS_MAX; i++)
		n += l->counts[i];
	return (double)n * 1e6 / (double)l->n;
}

/* A reader's look-ups for a while, with or without a writer beside it. */
static void looks(struct reader *rd, bool with_writer)
{
	uint64_t until = clock_now_ns() + ROUND_MS * 1000000ull;
	pthread_t thread;

	memset(&rd->looks, 0, sizeof(rd->looks));
	sluice_store32_relaxed(&rd->stop, 0);
	must(!pthread_create(&thread, NULL, reader_run, rd));
	pin(thread, 1);
	while (clock_now_ns() < until) {
		if (!with_writer) {
			struct timespec t = {0, 1000000};

			nanosleep(&t, NULL);
			continue;
		}
		set_build(rd->rig);
		set_apply(rd->rig);
		rd->rig->n_sets++;
		grace(rd->rig);
		settle(rd->rig);
		reclaim(rd->rig);
	}
	sluice_store32_relaxed(&rd->stop, 1);
	pthread_join(thread, NULL);
}

/* ---- All. ---- */

static void rig_init(struct rig *r)
{
	struct grace_conf conf = {.records = &r->record, .n = 1};
	struct table_exact_conf table = {
		.name = "bench",
		.kind = SLUICE_TABLE_FLOWS,
		.n_max = N,
		.key_len = sizeof(struct words),
		.value_len = sizeof(struct words),
		.seed = 1,
	};

	r->rng = rng_of(1);
	must(!region_new_memfd("bench", table_exact_len(&table) + (1 << 16),
			       true, &r->region, NULL));
	must(!table_exact_new(r->region, &table, &r->table, NULL));
	must(!change_log_new(r->region, &r->log));
	must(!region_grace_new(&conf, &r->grace));
	r->order = malloc(N_KEYS * sizeof(*r->order));
	must(r->order);
	for (uint32_t i = 0; i < N_KEYS; i++) {
		struct words key = key_of(i);

		r->order[i] = i;
		if (i < N)
			must(!table_exact_set(r->table, &key, &key, NULL));
	}
}

static void rig_fini(struct rig *r)
{
	region_grace_free(r->grace);
	change_log_free(r->log);
	table_exact_free(r->table);
	region_free(r->region);
	free(r->order);
}

static void measure_sets(struct rig *r)
{
	struct bench_row apply = {.name = "table/change/apply/1M/10k",
				  .unit = "ms",
				  .less_is_better = true,
				  .peer = "one by one"};
	struct bench_row settling = {.name = "table/change/settle/1M/10k",
				     .unit = "ms",
				     .less_is_better = true};

	for (int i = 0; i < 2 * N_ROUNDS; i++)
		sets(r, &apply, &settling);
	bench_emit(&apply);
	bench_emit(&settling);
}

static void stall_add(struct bench_row *rows, const struct looks *with,
		      const struct looks *without)
{
	const double parts[] = {0.5, 0.9999};

	for (uint32_t i = 0; i < 2; i++) {
		bench_add(&rows[i].ours,
			  (double)quantile_ns(with, parts[i]) / 1e3);
		bench_add(&rows[i].theirs,
			  (double)quantile_ns(without, parts[i]) / 1e3);
	}
	bench_add(&rows[2].ours, (double)with->max_ns / 1e3);
	bench_add(&rows[2].theirs, (double)without->max_ns / 1e3);
	bench_add(&rows[4].ours, n_over(with, STALL_NS));
	bench_add(&rows[4].theirs, n_over(without, STALL_NS));
	rows[3].ours.v[0] = fmax(rows[3].ours.v[0], (double)with->max_ns / 1e3);
	rows[3].theirs.v[0] =
		fmax(rows[3].theirs.v[0], (double)without->max_ns / 1e3);
}

static void measure_stalls(struct rig *r)
{
	static const char *const names[] = {"p50", "p9999", "max", "worst",
					    "over"};
	static struct reader rd;
	static struct looks with;
	struct sluice_seat_conf conf = {sluice_owner_of(0),
					SLUICE_SECTION_OTHER, "bench"};
	struct bench_row rows[N_STALL_ROWS] = {0};
	uint64_t n = 0, n_taken = 0;

	rd = (struct reader){.rig = r, .rng = rng_of(2)};
	rd.ns_per_tick = ns_per_tick();
	must(!sluice_seat_take(&r->record, 1, &conf, &rd.seat, NULL));
	for (uint32_t i = 0; i < N_STALL_ROWS; i++) {
		snprintf(rows[i].name, sizeof(rows[i].name),
			 "table/change/stall/1M/%s", names[i]);
		rows[i].unit = i == 4 ? "of a million" : "us";
		rows[i].less_is_better = true;
		rows[i].peer = "no writer";
	}
	bench_add(&rows[3].ours, 0);
	bench_add(&rows[3].theirs, 0);
	pin(pthread_self(), 0);
	for (int i = 0; i < N_ROUNDS; i++) {
		looks(&rd, true);
		with = rd.looks;
		looks(&rd, false);
		stall_add(rows, &with, &rd.looks);
		n += with.n;
		n_taken += with.n_taken;
	}
	bench_say("table/change: %llu look-ups beside %llu sets; %llu others "
		  "in which the processor was taken away do not count",
		  (unsigned long long)n, (unsigned long long)r->n_sets,
		  (unsigned long long)n_taken);
	for (uint32_t i = 0; i < N_STALL_ROWS; i++)
		bench_emit(&rows[i]);
	sluice_seat_give(&rd.seat);
}

int main(int argc, char **argv)
{
	static struct rig r;
	struct bench b;

	bench_init(&b, argc, argv);
	if (!bench_wants(&b, "table/change"))
		return 0;
	bench_say("table/change: memory in %s pages",
		  bench_huge_reserve(1ull << 28) ? "2 MiB" : "4 KiB");
	rig_init(&r);
	if (bench_wants(&b, "table/change/apply") ||
	    bench_wants(&b, "table/change/settle"))
		measure_sets(&r);
	if (bench_wants(&b, "table/change/stall"))
		measure_stalls(&r);
	rig_fini(&r);
	return 0;
}
