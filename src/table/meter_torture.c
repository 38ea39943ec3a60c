/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads share a meter and ask it for far more than it gives; what they get
 * together is what is due, within 1 %.
 *
 *     meter_torture [-s SEED] [PACKETS]
 *
 * By a clock that all of them advance, a step for each packet, so that every
 * rate from 100 packets a second to 100 Gbit/s is tried at full contention; and
 * by the real one.
 */
#include <pthread.h>
#include <sched.h>

#include "base/clock.h"
#include "base/rng.h"
#include "table/meter_fake.h"

#define N_THREADS 4u
#define SECOND 1000000000ull

static uint64_t n_packets = 2000000; /* of all threads */

/*
 * Steps by which a thread may lag behind the virtual clock: one that is put
 * aside between its look at the clock and its look at the meter is late, as by
 * the real clock, but not by hours.
 */
#define LAG_MAX 10000u

struct shared {
	struct sluice_meter *m;
	uint64_t clock_ns; /* virtual */
	uint64_t step_ns;  /* of that; 0: by the real one */
	uint64_t until_ns; /* by the real clock */
	uint32_t len;
	enum sluice_colour came;
	uint64_t n[3];		     /* packets by colour */
	uint64_t seen_ns[N_THREADS]; /* when each looked; UINT64_MAX: left */
	uint32_t n_threads;
};

static bool somebody_lags(const struct shared *s, uint64_t now_ns)
{
	for (uint32_t i = 0; i < N_THREADS; i++) {
		uint64_t seen_ns =
			__atomic_load_n(&s->seen_ns[i], __ATOMIC_RELAXED);

		if (seen_ns < now_ns && now_ns - seen_ns > LAG_MAX * s->step_ns)
			return true;
	}
	return false;
}

static uint64_t tick(struct shared *s, uint32_t me)
{
	uint64_t now_ns;

	if (!s->step_ns)
		return clock_now_ns();
	now_ns = __atomic_load_n(&s->clock_ns, __ATOMIC_RELAXED);
	for (;;) {
		__atomic_store_n(&s->seen_ns[me], now_ns, __ATOMIC_RELAXED);
		if (!somebody_lags(s, now_ns))
			break;
		sched_yield();
		now_ns = __atomic_load_n(&s->clock_ns, __ATOMIC_RELAXED);
	}
	return __atomic_add_fetch(&s->clock_ns, s->step_ns, __ATOMIC_RELAXED);
}

static void *ask(void *arg)
{
	struct shared *s = arg;
	const struct sluice_meter_load load = {.packets = 1,
					       .bytes = s->len,
					       .came = s->came};
	uint32_t me = __atomic_fetch_add(&s->n_threads, 1, __ATOMIC_RELAXED);
	uint64_t n[3] = {0};

	for (uint64_t i = 0;; i++) {
		uint64_t now_ns = tick(s, me);

		if (s->step_ns ? i == n_packets / N_THREADS
			       : now_ns >= s->until_ns)
			break;
		n[sluice_meter_police_shared(s->m, now_ns, &load)]++;
	}
	__atomic_store_n(&s->seen_ns[me], UINT64_MAX, __ATOMIC_RELAXED);
	for (uint32_t c = 0; c < 3; c++)
		__atomic_fetch_add(&s->n[c], n[c], __ATOMIC_RELAXED);
	return NULL;
}

static void ask_all(struct shared *s)
{
	pthread_t threads[N_THREADS];

	for (uint32_t i = 0; i < N_THREADS; i++)
		s->seen_ns[i] = s->clock_ns;
	for (uint32_t i = 0; i < N_THREADS; i++)
		must(!pthread_create(&threads[i], NULL, ask, s));
	for (uint32_t i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* Tokens due in that time, with the bucket full at first. */
static double due(const struct table_meter_rate *rate, uint64_t ns)
{
	return (double)rate->burst +
	       (double)rate->per_second * (double)ns / 1e9;
}

static void check_near(const char *what, double is, double should)
{
	double off = (is - should) / should;

	if (off > 0.01 || off < -0.01) {
		printf("# %s: %.0f tokens, due %.0f: %.2f %%\n", what, is,
		       should, off * 100);
		CHECK(false);
	}
}

/* Three times as much as the rate is asked for, in virtual time. */
static void run_virtual(struct fixture *f, struct table_meter_spec *spec,
			enum sluice_colour came)
{
	const struct table_meter_rate *most = spec->kind == SLUICE_METER_TRTCM
						      ? &spec->more
						      : &spec->committed;
	struct shared s = {.len = 64, .came = came};
	uint64_t tokens = spec->packets ? 1 : s.len;
	uint64_t start;
	double green, all, ns;

	table_meter_del(f->table, 1);
	table_meter_reclaim(f->table, table_meter_mark(f->table));
	CHECK_EQ(table_meter_set(f->table, 1, spec, NULL), 0);
	s.m = meter_of_engine(f, 1, 0);
	ns = (double)tokens * 1e9 / (double)most->per_second / 3;
	s.step_ns = ns < 1 ? 1 : (uint64_t)ns;
	s.clock_ns = start = 1000 * SECOND;
	ask_all(&s);
	green = (double)(s.n[SLUICE_GREEN] * tokens);
	all = green + (double)(s.n[SLUICE_YELLOW] * tokens);
	ns = (double)(s.clock_ns - start);
	if (came == SLUICE_GREEN)
		check_near("green", green, due(&spec->committed, (uint64_t)ns));
	if (spec->kind == SLUICE_METER_TRTCM)
		check_near("all", all, due(&spec->more, (uint64_t)ns));
	else if (spec->kind == SLUICE_METER_SRTCM && came == SLUICE_GREEN)
		check_near("all", all,
			   due(&spec->committed, (uint64_t)ns) +
				   (double)spec->more.burst);
	else if (spec->kind == SLUICE_METER_SRTCM)
		/* All that the first bucket has over. */
		check_near("yellow", all,
			   due(&spec->committed, (uint64_t)ns) +
				   (double)(spec->more.burst -
					    spec->committed.burst));
}

static const uint64_t rates[] = {100,	    5000,	1000000,
				 20000000,  148809523,	12800,
				 125000000, 1250000000, 12500000000};

static struct table_meter_spec spec_of(uint32_t i, enum sluice_meter_kind kind)
{
	struct table_meter_spec spec = {
		.kind = kind,
		.packets = i < 5,
		.committed = {.per_second = rates[i]},
	};

	/* In a thousandth of the packets, so that it does not weigh much. */
	spec.committed.burst =
		(spec.packets ? 1 : 64) * (n_packets / 1000 + 10);
	spec.more.burst = spec.committed.burst * 2;
	if (kind == SLUICE_METER_TRTCM)
		spec.more.per_second = spec.committed.per_second +
				       spec.committed.per_second / 4;
	if (kind == SLUICE_METER_SINGLE)
		spec.more.burst = 0;
	return spec;
}

static void threads_get_what_is_due_by_a_clock_of_theirs(void)
{
	struct fixture f;

	fixture_init(&f, 1, 0);
	for (uint32_t i = 0; i < ARRAY_LEN(rates); i++)
		for (int kind = SLUICE_METER_SINGLE; kind <= SLUICE_METER_TRTCM;
		     kind++) {
			struct table_meter_spec spec =
				spec_of(i, (enum sluice_meter_kind)kind);

			run_virtual(&f, &spec, SLUICE_GREEN);
			if (kind == SLUICE_METER_SINGLE)
				continue;
			spec.colour_aware = true;
			run_virtual(&f, &spec, SLUICE_YELLOW);
		}
	fixture_fini(&f);
}

/*
 * A second's worth of burst, so that no token is lost while the machine does
 * something else; it is used up before.
 */
static void threads_get_what_is_due_by_the_real_clock(void)
{
	static const uint64_t real[] = {10000, 1000000, 5000000};
	struct fixture f;

	fixture_init(&f, 1, 0);
	for (uint32_t i = 0; i < ARRAY_LEN(real); i++) {
		struct table_meter_spec spec = {.packets = true,
						.committed = {real[i],
							      real[i]}};
		struct shared s = {.len = 64};
		uint64_t start;
		double granted;

		CHECK_EQ(table_meter_set(f.table, i, &spec, NULL), 0);
		s.m = meter_of_engine(&f, i, 0);
		start = clock_now_ns();
		while (pass(s.m, start, 1, 64))
			;
		s.until_ns = start + SECOND / 2;
		ask_all(&s);
		/* What the last of them left, when it was put aside. */
		while (pass(s.m, s.until_ns, 1, 64))
			s.n[SLUICE_GREEN]++;
		granted = (double)s.n[SLUICE_GREEN];
		/* A machine too busy to ask for it has not got it. */
		if (s.n[SLUICE_RED] < s.n[SLUICE_GREEN] / 10)
			continue;
		check_near("real", granted, (double)real[i] / 2);
	}
	fixture_fini(&f);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	if (argc > 1 && strtoull(argv[argc - 1], NULL, 0) > 1000 &&
	    argv[argc - 2][0] != '-') {
		n_packets = strtoull(argv[argc - 1], NULL, 0);
		test_.only = NULL;
	}
	TEST(threads_get_what_is_due_by_a_clock_of_theirs);
	TEST(threads_get_what_is_due_by_the_real_clock);
	return test_done();
}
