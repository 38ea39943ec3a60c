/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader adds up a million counters, again and again, while two engines count
 * and numbers change their owners. Nothing is lost, and nobody has another's.
 *
 *     counter_torture [-t] [-s SEED] [ROUNDS]
 *
 * Engines are processes, killed and made anew at any instruction; each has a
 * lane, and both share another. The reader maps the region read-only. With -t
 * all are threads, nobody is killed, and there are fewer counters (for
 * ThreadSanitizer).
 *
 * Every counter has an owner, whose packets are all of one length; the length
 * follows from the number and its head, so a reader knows it and sees by the
 * bytes whether a packet was counted for another owner.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/annotate.h"
#include "base/must.h"
#include "base/rng.h"
#include "sluice/reader.h"
#include "table/counter.h"

#define N_ENGINES 2u
#define LANE_SHARED 3u
#define N_LANES 4u
#define N_HOT 64u /* numbers that change owners all the time */
#define PACKETS_A_ROUND 2000u

/* Shared by all, besides the region. */
struct scene {
	/* Control writes: the owners' entries: number << 32 | length. */
	uint64_t entries[N_HOT];
	uint32_t stop;

	/* Each engine writes its own. */
	struct {
		uint64_t section __attribute__((aligned(64))); /* odd: inside */
		uint64_t own;	 /* packets counted in its lane, all told */
		uint64_t shared; /* and in the other */
		uint32_t torn;	 /* it was killed so often; control writes */
	} engines[N_ENGINES];

	/* The reader writes. */
	uint64_t n_rounds;
	uint64_t n_wrong;
};

struct torture {
	bool threads;
	uint64_t seed;
	uint32_t n_max;
	uint64_t n_rounds;
	struct region *region;
	struct table_counter *table;
	struct scene *scene;

	/* Control's. */
	struct rng rng;
	uint32_t no[N_HOT];
	uint64_t n_owners;
	uint64_t n_wrong;
};

static uint32_t len_of(uint64_t no, uint64_t head)
{
	struct rng rng = rng_of(no << 32 ^ head);

	return 60 + rng_below(&rng, 1440);
}

/* ---- Engines. ---- */

/*
 * A section as sluice/section.h has it, with sequentially consistent words
 * instead of a fence, and for processes that are killed and made anew.
 */
static void section_set(uint64_t *word, uint64_t v)
{
	__atomic_store_n(word, v, __ATOMIC_SEQ_CST);
}

static void engine_count(const struct torture *t, uint32_t me, struct rng *r)
{
	const struct sluice_counter_view *v = table_counter_view(t->table);
	struct sluice_counter_lane own = sluice_counter_lane(v, 1 + me);
	struct sluice_counter_lane shared = sluice_counter_lane(v, LANE_SHARED);
	struct scene *s = t->scene;
	uint64_t *word = &s->engines[me].section;
	uint32_t no, len;

	section_set(word, *word | 1);
	if (rng_below(r, 2)) {
		uint64_t e = __atomic_load_n(&s->entries[rng_below(r, N_HOT)],
					     __ATOMIC_SEQ_CST);

		no = (uint32_t)(e >> 32);
		len = (uint32_t)e;
	} else {
		/* The others keep their first owner. */
		no = 1 + N_HOT +
		     rng_below(r, rng_below(r, 2) ? N_HOT : t->n_max - N_HOT);
		len = len_of(no, SLUICE_ENTRY_LIVE);
	}
	/* Long enough for the number to change its owner, if it could. */
	if (rng_below(r, 256) == 0)
		sched_yield();
	if (no > N_HOT || rng_below(r, 2)) {
		sluice_counter_add(&own, no, 1, len, 1);
		sluice_store64_relaxed(&s->engines[me].own,
				       s->engines[me].own + 1);
	} else {
		sluice_counter_add_shared(&shared, no, 1, len, 1);
		sluice_store64_relaxed(&s->engines[me].shared,
				       s->engines[me].shared + 1);
	}
	section_set(word, *word + 1);
}

struct engine {
	const struct torture *t;
	uint32_t me;
	uint64_t seed;
};

static void *engine_main(void *arg)
{
	const struct engine *e = arg;
	struct rng r = rng_of(e->seed);

	while (!sluice_load32_relaxed(&e->t->scene->stop))
		engine_count(e->t, e->me, &r);
	return NULL;
}

/* ---- The reader. ---- */

struct reader {
	struct sluice_counter_view view;
	struct sluice_counter_sum *is; /* [n_max + 1] */
	struct sluice_counter_sum *was;
};

/* A read-only mapping, found as any process finds it. */
static void view_open(const struct torture *t, struct sluice_counter_view *v)
{
	struct sluice_region *head = mmap(NULL, t->region->len, PROT_READ,
					  MAP_SHARED, t->region->fd, 0);
	const struct sluice_table_desc *d;

	must(head != MAP_FAILED);
	must(!sluice_region_check(head, t->region->len, NULL));
	d = sluice_table_find(head, SLUICE_TABLE_COUNTERS);
	must(d);
	sluice_counter_view_init(
		v, (const struct sluice_counters *)((uint8_t *)head + d->off));
}

/*
 * Of one owner packets only grow, and bytes are those of as many packets or of
 * fewer: some may just be counted, and who was killed may not have come to the
 * bytes. (Of the hot ones, which are counted in the lane that is shared as well,
 * perhaps also of one more for each engine.)
 */
static uint64_t judge(uint32_t no, const struct sluice_counter_sum *is,
		      const struct sluice_counter_sum *was)
{
	uint64_t len = len_of(no, is->head);
	uint32_t more = no > N_HOT ? 0 : N_ENGINES;
	uint64_t off = (is->packets + more) * len - is->bytes;

	if (!is->head)
		return is->packets || is->bytes;
	return off % len || (int64_t)off < 0 ||
	       (is->head == was->head && is->packets < was->packets);
}

static void read_some(const struct torture *t, struct reader *r, uint32_t n)
{
	uint32_t got = sluice_counter_read(&r->view, 0, n, r->is);

	t->scene->n_wrong += got != n;
	for (uint32_t no = 1; no < got; no++)
		t->scene->n_wrong += judge(no, &r->is[no], &r->was[no]);
	memcpy(r->was, r->is, n * sizeof(*r->is));
}

/* All of them, and those that change most a hundred times as often. */
static void *reader_main(void *arg)
{
	const struct torture *t = arg;
	struct scene *s = t->scene;
	struct reader r;

	r.is = calloc(t->n_max + 1, sizeof(*r.is));
	r.was = calloc(t->n_max + 1, sizeof(*r.was));
	must(r.is && r.was);
	view_open(t, &r.view);
	while (!sluice_load32_relaxed(&s->stop)) {
		read_some(t, &r, t->n_max + 1);
		for (uint32_t i = 0; i < 100; i++)
			read_some(t, &r, 3 * N_HOT);
		sluice_store64_relaxed(&s->n_rounds, s->n_rounds + 1);
	}
	free(r.is);
	free(r.was);
	return NULL;
}

/* ---- Control. ---- */

static void owner_new(struct torture *t, uint32_t i)
{
	struct sluice_counter_sum sum;

	must(!table_counter_alloc(t->table, 1, &t->no[i]));
	must(sluice_counter_get(table_counter_view(t->table), t->no[i], &sum));
	t->n_wrong += sum.packets || sum.bytes;
	t->n_owners++;
	sluice_store64_release(&t->scene->entries[i],
			       (uint64_t)t->no[i] << 32 |
				       len_of(t->no[i], sum.head));
}

/* No engine counts under what was unlinked any more. */
static void wait_for_grace(const struct torture *t)
{
	for (uint32_t i = 0; i < N_ENGINES; i++) {
		uint64_t *word = &t->scene->engines[i].section;
		uint64_t was = __atomic_load_n(word, __ATOMIC_SEQ_CST);

		while (was % 2 &&
		       __atomic_load_n(word, __ATOMIC_SEQ_CST) == was)
			usleep(50);
	}
}

/* At rest: every packet of this owner with its bytes, but for killed engines. */
static void owner_ends(struct torture *t, uint32_t no)
{
	struct sluice_counter_sum sum;
	uint64_t off, len, torn = 0;

	must(sluice_counter_get(table_counter_view(t->table), no, &sum));
	for (uint32_t i = 0; i < N_ENGINES; i++)
		torn += t->scene->engines[i].torn;
	len = len_of(no, sum.head);
	off = sum.packets * len - sum.bytes;
	t->n_wrong += off % len || off / len > torn;
	must(table_counter_release(t->table, no));
}

/* Gives a few numbers to other owners. */
static void owners_change(struct torture *t)
{
	uint32_t first = rng_below(&t->rng, N_HOT);
	uint32_t n = 1 + rng_below(&t->rng, 8);

	for (uint32_t i = 0; i < n; i++)
		__atomic_store_n(&t->scene->entries[(first + i) % N_HOT], 0,
				 __ATOMIC_SEQ_CST);
	wait_for_grace(t);
	for (uint32_t i = 0; i < n; i++)
		owner_ends(t, t->no[(first + i) % N_HOT]);
	table_counter_reclaim(t->table, table_counter_mark(t->table));
	for (uint32_t i = 0; i < n; i++)
		owner_new(t, (first + i) % N_HOT);
}

static pid_t engine_fork(const struct torture *t, uint32_t me, uint64_t seed)
{
	struct engine e = {t, me, seed};
	pid_t pid = fork();

	must(pid >= 0);
	if (pid == 0) {
		engine_main(&e);
		_exit(0);
	}
	return pid;
}

/* Kills an engine wherever it is; its section is over. */
static pid_t engine_anew(struct torture *t, uint32_t me, pid_t pid)
{
	uint64_t *word = &t->scene->engines[me].section;

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	t->scene->engines[me].torn++;
	if (*word % 2)
		section_set(word, *word + 1);
	return engine_fork(t, me, rng_next(&t->rng));
}

/* So often read, and enough counted meanwhile, however busy the machine. */
static bool is_enough(const struct torture *t)
{
	const struct scene *s = t->scene;

	for (uint32_t i = 0; i < N_ENGINES; i++)
		if (sluice_load64_relaxed(&s->engines[i].own) <
		    t->n_rounds * PACKETS_A_ROUND)
			return false;
	return sluice_load64_relaxed(&s->n_rounds) >= t->n_rounds;
}

static void run_processes(struct torture *t)
{
	pid_t engines[N_ENGINES], reader;

	for (uint32_t i = 0; i < N_ENGINES; i++)
		engines[i] = engine_fork(t, i, rng_next(&t->rng));
	reader = fork();
	must(reader >= 0);
	if (reader == 0) {
		reader_main(t);
		_exit(0);
	}
	while (!is_enough(t)) {
		uint32_t i = rng_below(&t->rng, N_ENGINES);

		for (uint32_t j = rng_below(&t->rng, 50); j; j--)
			owners_change(t);
		engines[i] = engine_anew(t, i, engines[i]);
	}
	sluice_store32_relaxed(&t->scene->stop, 1);
	for (uint32_t i = 0; i < N_ENGINES; i++)
		waitpid(engines[i], NULL, 0);
	waitpid(reader, NULL, 0);
}

static void run_threads(struct torture *t)
{
	struct engine engines[N_ENGINES];
	pthread_t threads[N_ENGINES + 1];

	for (uint32_t i = 0; i < N_ENGINES; i++) {
		engines[i] = (struct engine){t, i, rng_next(&t->rng)};
		must(!pthread_create(&threads[i], NULL, engine_main,
				     &engines[i]));
	}
	must(!pthread_create(&threads[N_ENGINES], NULL, reader_main, t));
	while (!is_enough(t))
		owners_change(t);
	sluice_store32_relaxed(&t->scene->stop, 1);
	for (uint32_t i = 0; i < N_ENGINES + 1; i++)
		pthread_join(threads[i], NULL);
}

static void torture_init(struct torture *t)
{
	const struct table_counter_conf conf = {
		.name = "counters",
		.kind = SLUICE_TABLE_COUNTERS,
		.n_max = t->n_max,
		.n_lanes = N_LANES,
	};
	uint32_t no;

	t->rng = rng_of(t->seed);
	must(!region_new_memfd("torture", table_counter_len(&conf) + (1 << 16),
			       false, &t->region, NULL));
	must(!table_counter_new(t->region, &conf, &t->table, NULL));
	t->scene = mmap(NULL, sizeof(*t->scene), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(t->scene != MAP_FAILED);
	for (uint32_t i = 0; i < N_HOT; i++)
		owner_new(t, i);
	while (!table_counter_alloc(t->table, 1, &no))
		;
}

/* All that was counted in a lane; the writer's own is not among them. */
static uint64_t lane_packets(const struct torture *t, uint32_t lane)
{
	struct sluice_counter_lane l =
		sluice_counter_lane(table_counter_view(t->table), lane);
	uint64_t n = 0;

	for (uint32_t no = 0; no < l.n; no++)
		n += l.records[no].packets;
	return n;
}

/* What engines say they counted is what lies there, but for the killed ones. */
static bool nothing_is_lost(const struct torture *t)
{
	const struct scene *s = t->scene;
	uint64_t said, is, torn = 0;
	bool ok = true;

	for (uint32_t i = 0; i < N_ENGINES; i++) {
		said = s->engines[i].own;
		is = lane_packets(t, 1 + i);
		torn += s->engines[i].torn;
		ok &= is - said <= s->engines[i].torn;
		printf("# lane %u: %llu packets, %llu not reported by %u "
		       "engines killed\n",
		       1 + i, (unsigned long long)is,
		       (unsigned long long)(is - said), s->engines[i].torn);
	}
	said = s->engines[0].shared + s->engines[1].shared;
	is = lane_packets(t, LANE_SHARED);
	printf("# shared lane: %llu packets, %llu not reported\n",
	       (unsigned long long)is, (unsigned long long)(is - said));
	return ok && is - said <= torn;
}

int main(int argc, char **argv)
{
	struct torture t = {.n_max = 1000000, .n_rounds = 100};
	bool lost, wrong;
	int opt;

	t.seed = rng_secret() % 1000000000;
	while ((opt = getopt(argc, argv, "ts:")) != -1) {
		if (opt == 't')
			t.threads = true;
		else if (opt == 's')
			t.seed = strtoull(optarg, NULL, 0);
		else
			return 2;
	}
	if (optind < argc)
		t.n_rounds = strtoull(argv[optind], NULL, 0);
	if (t.threads)
		t.n_max = 5000;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n# seed %llu\n1..2\n",
	       (unsigned long long)t.seed);
	torture_init(&t);
	if (t.threads)
		run_threads(&t);
	else
		run_processes(&t);
	lost = !nothing_is_lost(&t);
	wrong = t.n_wrong + t.scene->n_wrong > 0;
	printf("%sok 1 - no packet is lost, whoever is killed\n",
	       lost ? "not " : "");
	printf("# %u counters read %llu times, %llu owners, %llu wrong\n",
	       t.n_max, (unsigned long long)t.scene->n_rounds,
	       (unsigned long long)t.n_owners,
	       (unsigned long long)t.n_wrong + t.scene->n_wrong);
	printf("%sok 2 - counts are their owner's\n", wrong ? "not " : "");
	return lost || wrong;
}
