/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Torture of grace periods: a writer replaces what readers hold as fast as it
 * can, and uses it again as soon as it may.
 *
 *     grace_torture [-t] [-s SEED] [MS]
 *
 * A few slots each name a cell; a cell is full of one number. Inside a section
 * a reader loads a slot and looks at the cell's words again and again: they stay
 * the same as long as holds() says yes behind the look. Then it counts in the
 * cell, behind a last holds(), as engines do. The writer puts another cell into
 * a slot, and when the grace period is over fills the old one with another
 * number and clears its count.
 *
 * Readers are processes. Some are killed (-9) wherever they are, and others
 * start in their place; some are stopped for longer than the writer's bound. A
 * count that comes into a cell which nobody may hold is the one thing that can
 * go wrong, and there is at most one for each reader that was fenced. With -t
 * readers are threads, which nobody stops.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/must.h"
#include "base/rng.h"
#include "base/test.h"
#include "region/grace.h"
#include "sluice/reader.h"

#define N_READERS 4u
#define N_SLOTS 4u
#define N_CELLS 64u
#define WORDS 6u
#define STUCK_NS 3000000u
#define FREE_MAGIC 0xdead000000000000ull

struct cell {
	uint64_t words[WORDS];
	uint64_t count;
	uint64_t pad;
};

/* What a reader's life came to; each its own line. */
struct result {
	uint64_t n_sections;
	uint64_t n_fenced;
	uint64_t n_wrong;
	uint64_t pad[5];
};

struct torture {
	struct sluice_section records[SLUICE_SECTIONS_N];
	uint64_t slots[N_SLOTS];
	struct cell cells[N_CELLS];
	struct result results[N_READERS];
	uint32_t stop;
};

/* The writer's own. */
struct writer {
	struct torture *t;
	struct region_grace *g;
	struct rng rng;
	uint32_t resting[N_CELLS]; /* a ring of those that rest */
	uint32_t n_rest, first;
	uint64_t ticket;
	uint32_t n_ticket; /* how many of them the ticket is for; 0: none */
	uint32_t free[N_CELLS];
	uint32_t n_free;
	uint64_t number;
	uint64_t n_reused;
	uint64_t n_stray;
};

static uint32_t run_ms = 2000;
static bool with_threads;

/* ---- Readers ---- */

static void look(struct torture *t, struct sluice_seat *seat, struct rng *rng,
		 struct result *r)
{
	struct cell *c;
	uint64_t number;

	sluice_section_enter(seat);
	c = &t->cells[sluice_load64_acquire(
		&t->slots[rng_below(rng, N_SLOTS)])];
	number = sluice_load64_relaxed(&c->words[0]);
	for (uint32_t i = rng_below(rng, 60); i > 0; i--) {
		uint64_t now =
			sluice_load64_relaxed(&c->words[rng_below(rng, WORDS)]);

		if (!sluice_section_holds(seat)) {
			r->n_fenced++;
			goto leave;
		}
		r->n_wrong += now != number;
	}
	number = sluice_load64_relaxed(&c->count);
	if (sluice_section_holds(seat))
		sluice_store64_relaxed(&c->count, number + 1);
leave:
	sluice_section_leave(seat);
	sluice_store64_relaxed(&r->n_sections, r->n_sections + 1);
}

struct life {
	struct torture *t;
	uint32_t no;
	uint64_t seed;
};

static void *live(void *arg)
{
	const struct life *l = arg;
	const struct sluice_seat_conf conf = {.owner = sluice_owner_of(0)};
	struct rng rng = rng_of(l->seed);
	struct sluice_seat seat;

	must(!sluice_seat_take(l->t->records, SLUICE_SECTIONS_N, &conf, &seat,
			       NULL));
	while (!sluice_load32_relaxed(&l->t->stop))
		look(l->t, &seat, &rng, &l->t->results[l->no]);
	sluice_seat_give(&seat);
	return NULL;
}

static pid_t start(struct torture *t, uint32_t no, uint64_t seed)
{
	struct life l = {t, no, seed};
	pid_t pid = fork();

	must(pid >= 0);
	if (pid == 0) {
		live(&l);
		_exit(0);
	}
	return pid;
}

/* ---- The writer ---- */

/* Full of a number; its count of nobody. */
static void fill(struct writer *w, uint32_t i)
{
	struct cell *c = &w->t->cells[i];

	/* Nobody had it, but for readers that were stopped. */
	w->n_stray += sluice_load64_relaxed(&c->count) != FREE_MAGIC;
	w->number++;
	for (uint32_t k = 0; k < WORDS; k++)
		sluice_store64_relaxed(&c->words[k], w->number);
	sluice_store64_relaxed(&c->count, 0);
}

/* What may be used again is spoilt at once, so that who holds it sees that. */
static void spoil(struct writer *w, uint32_t i)
{
	struct cell *c = &w->t->cells[i];

	for (uint32_t k = 0; k < WORDS; k++)
		sluice_store64_relaxed(&c->words[k], FREE_MAGIC | k);
	sluice_store64_relaxed(&c->count, FREE_MAGIC);
	w->free[w->n_free++] = i;
	w->n_reused++;
}

static void settle(struct writer *w)
{
	uint64_t now_ns = clock_now_ns();

	if (w->n_ticket && region_grace_done(w->g, w->ticket, now_ns))
		for (; w->n_ticket; w->n_ticket--) {
			spoil(w, w->resting[w->first]);
			w->first = (w->first + 1) % N_CELLS;
			w->n_rest--;
		}
	if (!w->n_ticket && w->n_rest) {
		w->ticket = region_grace_start(w->g, now_ns);
		w->n_ticket = w->n_rest;
	}
}

static void replace(struct writer *w)
{
	uint64_t *slot = &w->t->slots[rng_below(&w->rng, N_SLOTS)];
	uint32_t take = rng_below(&w->rng, w->n_free);
	uint32_t old = (uint32_t)*slot, i = w->free[take];

	w->free[take] = w->free[--w->n_free];
	fill(w, i);
	sluice_store64_release(slot, i);
	w->resting[(w->first + w->n_rest++) % N_CELLS] = old;
}

static void write_until(struct writer *w, uint64_t end_ns)
{
	while (clock_now_ns() < end_ns) {
		for (uint32_t i = 0; i < 8 && w->n_free; i++)
			replace(w);
		settle(w);
	}
}

static void writer_init(struct writer *w, uint64_t stuck_ns)
{
	struct grace_conf conf = {.n = SLUICE_SECTIONS_N, .stuck_ns = stuck_ns};

	memset(w, 0, sizeof(*w));
	w->t = mmap(NULL, sizeof(*w->t), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(w->t != MAP_FAILED);
	conf.records = w->t->records;
	must(!region_grace_new(&conf, &w->g));
	w->rng = rng_of(test_seed());
	for (uint32_t i = 0; i < N_CELLS; i++)
		spoil(w, i);
	for (uint32_t i = 0; i < N_SLOTS; i++) {
		uint32_t cell = w->free[--w->n_free];

		fill(w, cell);
		w->t->slots[i] = cell;
	}
	w->n_reused = 0;
}

static void writer_fini(struct writer *w)
{
	region_grace_free(w->g);
	munmap(w->t, sizeof(*w->t));
}

/* No reader saw what was used again under it. */
static void judge(struct writer *w)
{
	struct grace_counts c;
	struct result sum = {0};

	region_grace_counts(w->g, &c);
	for (uint32_t i = 0; i < N_READERS; i++) {
		sum.n_sections += w->t->results[i].n_sections;
		sum.n_fenced += w->t->results[i].n_fenced;
		sum.n_wrong += w->t->results[i].n_wrong;
	}
	printf("# %lu sections, %lu cells used again, %lu rounds; %lu gone "
	       "inside, %lu fenced, %lu found so, %lu stray counts\n",
	       (unsigned long)sum.n_sections, (unsigned long)w->n_reused,
	       (unsigned long)c.n_rounds, (unsigned long)c.n_gone,
	       (unsigned long)c.n_fenced, (unsigned long)sum.n_fenced,
	       (unsigned long)w->n_stray);
	CHECK_EQ(sum.n_wrong, 0);
	CHECK(w->n_stray <= c.n_fenced);
	CHECK(sum.n_sections > 1000);
	CHECK(w->n_reused > 100);
}

static void processes_that_die_and_stop(void)
{
	struct rng rng = rng_of(test_seed() + 1);
	pid_t pids[N_READERS];
	struct writer w;
	uint64_t end_ns, n_killed = 0;

	if (with_threads)
		return test_skip("with -t there are threads only");
	writer_init(&w, STUCK_NS);
	for (uint32_t i = 0; i < N_READERS; i++)
		pids[i] = start(w.t, i, rng_next(&rng));
	end_ns = clock_now_ns() + run_ms * 1000000ull;
	while (clock_now_ns() < end_ns) {
		uint32_t i = rng_below(&rng, N_READERS);

		write_until(&w, clock_now_ns() + rng_below(&rng, 4000000));
		if (rng_below(&rng, 2)) {
			kill(pids[i], SIGKILL);
			/* It is a zombie for a while, and then a free pid. */
			write_until(&w, clock_now_ns() + 300000);
			must(waitpid(pids[i], NULL, 0) == pids[i]);
			pids[i] = start(w.t, i, rng_next(&rng));
			n_killed++;
			continue;
		}
		kill(pids[i], SIGSTOP);
		write_until(&w, clock_now_ns() + 3ul * STUCK_NS);
		kill(pids[i], SIGCONT);
	}
	sluice_store32_relaxed(&w.t->stop, 1);
	for (uint32_t i = 0; i < N_READERS; i++)
		must(waitpid(pids[i], NULL, 0) == pids[i]);
	printf("# %lu killed\n", (unsigned long)n_killed);
	judge(&w);
	writer_fini(&w);
}

static void threads_of_one_process(void)
{
	pthread_t threads[N_READERS];
	struct life lives[N_READERS];
	struct writer w;

	/* Whoever waits for the processor is not stuck. */
	writer_init(&w, 60000000000ull);
	for (uint32_t i = 0; i < N_READERS; i++) {
		lives[i] = (struct life){w.t, i, test_seed() + i};
		must(!pthread_create(&threads[i], NULL, live, &lives[i]));
	}
	write_until(&w, clock_now_ns() + run_ms * 1000000ull);
	sluice_store32_relaxed(&w.t->stop, 1);
	for (uint32_t i = 0; i < N_READERS; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(w.n_stray, 0);
	judge(&w);
	writer_fini(&w);
}

/* ---- The fences, side by side ---- */

/*
 * Both begin at the same moment, again and again. The reader enters and loads;
 * the writer stores and asks who is inside. One of them sees the other's store:
 * without a fence on either side, now and then neither does.
 */
struct duel {
	struct sluice_section record;
	uint64_t slot __attribute__((aligned(64)));
	uint64_t seen __attribute__((aligned(64)));
	uint64_t turn __attribute__((aligned(64))); /* the writer says go */
	uint64_t ready __attribute__((aligned(64)));
	uint64_t judged __attribute__((aligned(64)));
	struct sluice_seat seat;
};

#define DUEL_END UINT64_MAX

static uint64_t spin(const uint64_t *word, uint64_t past)
{
	uint64_t now;

	for (uint32_t i = 1; (now = sluice_load64_acquire(word)) < past; i++)
		if (i % 4096 == 0)
			sched_yield(); /* the other may have no processor */
	return now;
}

static void *duel_read(void *arg)
{
	struct duel *d = arg;

	for (uint64_t i = 1;; i++) {
		uint64_t slot;

		sluice_store64_release(&d->ready, i);
		if (spin(&d->turn, i) == DUEL_END)
			return NULL;
		sluice_section_enter(&d->seat);
		slot = sluice_load64_acquire(&d->slot);
		sluice_store64_release(&d->seen, i << 32 | slot);
		spin(&d->judged, i);
		sluice_section_leave(&d->seat);
	}
}

/* Who has seen the old thing is inside for the writer. True: so it is. */
static bool duel_round(struct duel *d, struct region_grace *g, uint64_t i)
{
	uint64_t t, seen;
	bool over;

	spin(&d->ready, i);
	sluice_store64_release(&d->turn, i);
	/* Somewhat apart, now this way and now that. */
	for (uint64_t k = i % 64; k > 0; k--)
		(void)sluice_load64_acquire(&d->turn);
	sluice_store64_release(&d->slot, i);
	t = region_grace_start(g, 0);
	over = region_grace_done(g, t, 0);
	seen = spin(&d->seen, i << 32);
	sluice_store64_release(&d->judged, i);
	while (!region_grace_done(g, t, 0))
		;
	return !over || (seen & 0xffffffff) == i;
}

static void neither_side_overtakes_its_fence(void)
{
	static struct duel d;
	const struct grace_conf conf = {.records = &d.record, .n = 1};
	const struct sluice_seat_conf owner = {.owner = sluice_owner_of(0)};
	uint64_t end_ns = clock_now_ns() + run_ms * 1000000ull, i = 0, bad = 0;
	struct region_grace *g;
	pthread_t reader;

	must(!region_grace_new(&conf, &g));
	must(!sluice_seat_take(&d.record, 1, &owner, &d.seat, NULL));
	must(!pthread_create(&reader, NULL, duel_read, &d));
	while (clock_now_ns() < end_ns)
		bad += !duel_round(&d, g, ++i);
	spin(&d.ready, i + 1);
	sluice_store64_release(&d.turn, DUEL_END);
	pthread_join(reader, NULL);
	printf("# %lu times\n", (unsigned long)i);
	CHECK_EQ(bad, 0);
	region_grace_free(g);
}

int main(int argc, char **argv)
{
	int n = 1;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-t") == 0)
			with_threads = true;
		else if (argv[i][0] >= '0' && argv[i][0] <= '9' &&
			 strcmp(argv[i - 1], "-s") != 0)
			run_ms = (uint32_t)strtoul(argv[i], NULL, 10);
		else
			argv[n++] = argv[i];
	}
	test_init(n, argv);
	TEST(processes_that_die_and_stop);
	TEST(threads_of_one_process);
	TEST(neither_side_overtakes_its_fence);
	return test_done();
}
