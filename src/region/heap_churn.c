/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Months of churn in a heap: the waste stays below what region/heap.h states.
 *
 *     heap_churn [-n OPERATIONS] [-s SEED]
 *
 * 16 MiB of pages under phases that follow each other at random. Each asks for
 * lengths of its own and lets go of what the former ones left, a block at a time,
 * so the classes take pages from each other all the time. Some are of ill will:
 * they fill the heap to the brim with one length and let go of all but one block
 * in each page. An operation gives or takes one block. Time is virtual: a grace
 * period is 4096 operations; at a thousand operations a second 10^9 of them are
 * twelve days, at what a busy controller does, 100 a second, four months.
 *
 * After every phase the heap is tidied to the end, and the pages in use must be
 * within (2) of region/heap.h. When the heap says that it is full although it
 * was tidied, the blocks must be so many that (2) allows it.
 */
#include <math.h>

#include "base/clock.h"
#include "region/heap_fake.h"

#define N_PAGES 1024u
#define N_HELD (1u << 18)
#define GRACE 4096u
#define N_PHASES 200u
#define HEAP_BYTES ((uint64_t)N_PAGES * SLUICE_HEAP_PAGE)

static uint64_t n_ops = 10000000;

enum what { SMALL, LARGE, ANY, EVERY_SCALE, DRIFT, GROUPS, PINS, N_WHATS };

static const char *const names[N_WHATS] = {
	[SMALL] = "small",	 [LARGE] = "large",
	[ANY] = "any",		 [EVERY_SCALE] = "every scale",
	[DRIFT] = "drift",	 [GROUPS] = "groups",
	[PINS] = "pinned pages",
};

struct churn {
	struct owner o;
	struct rng rng;
	uint64_t n_done;
	uint64_t mark;
	uint64_t target; /* bytes of share to be held */
	uint64_t n_full;
	uint64_t tidy_ns; /* CPU */
	uint64_t cpu_ns;
	double worst; /* pages in use by the bound, after tidying */
};

/* ---- Lengths. ---- */

static uint32_t of_scale(struct rng *rng)
{
	uint32_t len = 16u << rng_below(rng, 8);

	len += rng_below(rng, len);
	return len < SLUICE_HEAP_PAYLOAD_MAX ? len : SLUICE_HEAP_PAYLOAD_MAX;
}

/* part: how much of the phase is over, 0 to 255 */
static uint32_t some_len(struct rng *rng, enum what what, uint32_t part)
{
	uint32_t n;

	switch (what) {
	case SMALL:
		return 16 + rng_below(rng, 100);
	case LARGE:
		return 1000 + rng_below(rng, 3081);
	case ANY:
		return 1 + rng_below(rng, SLUICE_HEAP_PAYLOAD_MAX);
	case EVERY_SCALE:
		return of_scale(rng);
	case DRIFT:
		return 16 + part * 15 + rng_below(rng, 200);
	case GROUPS:
		n = 1 + rng_below(rng, 16);
		return 80 + n * 32 + (rng_below(rng, 2) ? 1024 : 0);
	case PINS:
	case N_WHATS:
		break;
	}
	return 16;
}

/* ---- One operation. ---- */

static void tick(struct churn *c)
{
	if (++c->n_done % GRACE)
		return;
	heap_reclaim(c->o.heap, c->mark);
	c->mark = heap_mark(c->o.heap);
}

static void tidy(struct churn *c)
{
	uint64_t start = clock_cpu_ns();

	tidy_all(&c->o);
	c->tidy_ns += clock_cpu_ns() - start;
	c->mark = heap_mark(c->o.heap);
}

/* As hold(), without filling the block. */
static bool take(struct churn *c, uint32_t i, uint32_t len)
{
	struct heap_owner who = {OWNER_KIND, i, 0};
	struct held *b = &c->o.held[i];

	tick(c);
	if (heap_block_new(c->o.heap, len, &who, &b->off, NULL)) {
		b->off = 0;
		return false;
	}
	b->len = (uint16_t)len;
	c->o.share += heap_share(len);
	return true;
}

static void give(struct churn *c, uint32_t i)
{
	tick(c);
	let_go(&c->o, i);
}

/* Full: is it by right, once everything is tidy? */
static void full(struct churn *c, uint32_t len)
{
	c->n_full++;
	tidy(c);
	if (c->o.share + (uint64_t)SLUICE_HEAP_CLASSES * SLUICE_HEAP_PAGE <
	    HEAP_BYTES) {
		uint32_t i = 0;

		while (c->o.held[i].off)
			i++;
		CHECK(take(c, i, len));
	}
}

static void step(struct churn *c, enum what what, uint32_t part)
{
	uint32_t i = rng_below(&c->rng, N_HELD);
	uint32_t len;

	if (c->o.held[i].off)
		give(c, i);
	if (c->o.share > c->target)
		return;
	len = some_len(&c->rng, what, part);
	if (!take(c, i, len))
		full(c, len);
}

/* ---- Phases. ---- */

/* Fills all that is free with blocks of one length. */
static void fill(struct churn *c, uint32_t len)
{
	for (uint32_t i = 0; i < N_HELD; i++)
		if (!c->o.held[i].off && !take(c, i, len))
			return;
}

/* Lets go of all but one block in each page. */
static void pin(struct churn *c)
{
	static uint8_t has[N_PAGES];
	uint32_t from = rng_below(&c->rng, N_HELD);

	memset(has, 0, sizeof(has));
	for (uint32_t n = 0; n < N_HELD; n++) {
		uint32_t i = (from + n) % N_HELD;
		uint32_t page = c->o.held[i].off / SLUICE_HEAP_PAGE;

		if (!c->o.held[i].off)
			continue;
		if (has[page])
			give(c, i);
		has[page] = 1;
	}
}

static void phase_run(struct churn *c, enum what what, uint64_t n)
{
	uint64_t from = c->n_done;

	while (what == PINS && c->n_done < from + n) {
		fill(c, of_scale(&c->rng));
		pin(c);
		reclaim_all(&c->o);
		c->mark = heap_mark(c->o.heap);
	}
	while (c->n_done < from + n)
		/* A step without an operation must not stall the phase. */
		for (uint32_t i = 0; i < 64; i++)
			step(c, what,
			     (uint32_t)((c->n_done - from) * 256 / (n + 64)) %
				     256);
}

static void phase(struct churn *c, uint32_t no)
{
	enum what what = (enum what)(no % N_WHATS);
	uint64_t start = clock_cpu_ns();
	uint32_t n_before;
	double used, bound;

	c->target = HEAP_BYTES / 100 * (30 + rng_below(&c->rng, 65));
	phase_run(c, what, n_ops / N_PHASES);
	c->cpu_ns += clock_cpu_ns() - start;
	reclaim_all(&c->o);
	n_before = heap_n_pages_used(c->o.heap);
	tidy(c);
	CHECK(waste_is_bounded(&c->o));
	used = (double)heap_n_pages_used(c->o.heap) * SLUICE_HEAP_PAGE;
	bound = (double)c->o.share +
		(double)(uint64_t)SLUICE_HEAP_CLASSES * SLUICE_HEAP_PAGE;
	c->worst = fmax(c->worst, used / bound);
	if (no < 2 * N_WHATS)
		printf("# %-12s %4u pages, tidied %4u, at most %4.0f\n",
		       names[what], n_before, heap_n_pages_used(c->o.heap),
		       bound / SLUICE_HEAP_PAGE);
}

static void waste_stays_bounded(void)
{
	static struct churn c;

	c.rng = rng_of(test_seed());
	owner_init(&c.o, N_PAGES, N_HELD);
	for (uint32_t i = 0; i < N_PHASES; i++)
		phase(&c, i);
	printf("# %llu operations, %.1f ns each with tidying when full; "
	       "%llu blocks moved; %llu times full; pages in use after a "
	       "phase: at most %.3f of the bound\n",
	       (unsigned long long)c.n_done,
	       (double)c.cpu_ns / (double)c.n_done,
	       (unsigned long long)c.o.n_moved, (unsigned long long)c.n_full,
	       c.worst);
	for (uint32_t i = 0; i < N_HELD; i++)
		if (c.o.held[i].off)
			let_go(&c.o, i);
	reclaim_all(&c.o);
	CHECK_EQ(heap_n_pages_used(c.o.heap), 0);
	owner_fini(&c.o);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "-n")) {
		n_ops = strtoull(argv[2], NULL, 10);
		argc -= 2;
		argv += 2;
	}
	test_init(argc, argv);
	TEST(waste_stays_bounded);
	return test_done();
}
