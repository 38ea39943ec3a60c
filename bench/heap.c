/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heap beside malloc() and free() of the C library.
 *
 *     heap/replace        a random block of 100,000 is given back and another
 *                         taken, of 16 to 4,080 bytes, every scale alike; ns for
 *                         both. Ours rests in between and goes through accounts;
 *                         every 1,000 are reclaimed
 *     heap/replace-small  the same blocks by such of 16 to 200 bytes
 *     heap/replace-few    always the same 1,000, which caches hold
 *     heap/waste          after 15 million of all that: bytes of pages in use for each byte asked
 *                         for; beside what the C library has from the kernel
 *     heap/waste-tidied   the same after heap_tidy() to the end
 *     heap/move           ns for a block that is moved
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/must.h"
#include "base/rng.h"
#include "bench/bench.h"
#include "region/account.h"
#include "region/heap.h"

#define N_HELD 100000u
#define N_PAGES 8192u
#define N_ROUNDS 5u
#define N_OPS 1000000u

struct rig {
	struct region *region;
	struct heap *heap;
	uint32_t offs[N_HELD];
	void *ptrs[N_HELD];
	uint32_t lens[N_HELD];
	struct rng rng;
	uint64_t asked; /* bytes held */
	uint64_t footprint;
};

static uint32_t some_len(struct rng *rng, bool is_small)
{
	uint32_t len = 16u << rng_below(rng, 8);

	if (is_small)
		return 16 + rng_below(rng, 185);
	len += rng_below(rng, len);
	return len < SLUICE_HEAP_PAYLOAD_MAX ? len : SLUICE_HEAP_PAYLOAD_MAX;
}

static void ours_take(struct rig *r, uint32_t i, uint32_t len)
{
	struct heap_owner who = {SLUICE_TABLE_OWN, i, 1};

	must(!heap_block_new(r->heap, len, &who, &r->offs[i], NULL));
	*(uint64_t *)sluice_heap_at(heap_view(r->heap), r->offs[i], 8) = i;
}

static void theirs_take(struct rig *r, uint32_t i, uint32_t len)
{
	r->ptrs[i] = malloc(len);
	must(r->ptrs[i]);
	*(uint64_t *)r->ptrs[i] = i;
}

/* Which blocks are replaced, and by what. */
struct mix {
	uint32_t n; /* of N_HELD */
	bool is_small;
};

/* ns for each replacement. The same sequence on both sides. */
static double replace(struct rig *r, const struct mix *mix, uint64_t seed,
		      bool is_ours)
{
	struct rng rng = rng_of(seed);
	uint64_t start = clock_cpu_ns();

	for (uint32_t n = 0; n < N_OPS; n++) {
		uint32_t i = rng_below(&rng, mix->n);
		uint32_t len = some_len(&rng, mix->is_small);

		if (is_ours) {
			must(heap_block_free(r->heap, r->offs[i]));
			ours_take(r, i, len);
			r->asked = r->asked + len - r->lens[i];
			r->lens[i] = len;
			if (n % 1000 == 0)
				heap_reclaim(r->heap, heap_mark(r->heap));
		} else {
			free(r->ptrs[i]);
			theirs_take(r, i, len);
		}
	}
	return (double)(clock_cpu_ns() - start) / N_OPS;
}

static uint64_t libc_len(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.arena + m.hblkhd;
}

static bool move(void *ctx, const struct heap_owner *owner, uint32_t from,
		 uint32_t to)
{
	struct rig *r = ctx;

	must(r->offs[owner->entry] == from);
	r->offs[owner->entry] = to;
	return true;
}

static double per_byte(const struct rig *r, uint64_t len)
{
	return (double)len / (double)r->asked;
}

static double pages_per_byte(const struct rig *r)
{
	return per_byte(r, (uint64_t)heap_n_pages_used(r->heap) *
				   SLUICE_HEAP_PAGE);
}

static void rig_init(struct rig *r)
{
	r->rng = rng_of(1);
	must(!region_new_memfd("bench", heap_len(N_PAGES) + (1 << 16), true,
			       &r->region, NULL));
	must(!account_table_new(r->region, 4, NULL));
	must(!heap_new(r->region, N_PAGES, 0, &r->heap, NULL));
	r->footprint = libc_len();
	for (uint32_t i = 0; i < N_HELD; i++) {
		r->lens[i] = some_len(&r->rng, false);
		r->asked += r->lens[i];
		ours_take(r, i, r->lens[i]);
		theirs_take(r, i, r->lens[i]);
	}
}

static void rounds(struct rig *r, const struct mix *mix, struct bench_row *row)
{
	for (uint32_t i = 0; i < N_ROUNDS; i++) {
		uint64_t seed = rng_next(&r->rng);

		bench_add(&row->ours, replace(r, mix, seed, true));
		bench_add(&row->theirs, replace(r, mix, seed, false));
	}
	heap_reclaim(r->heap, heap_mark(r->heap));
}

int main(int argc, char **argv)
{
	struct bench_row speed = {.name = "heap/replace",
				  .unit = "ns",
				  .less_is_better = true,
				  .peer = "malloc"};
	struct bench_row small = speed;
	struct bench_row few = speed;
	struct bench_row waste = {.name = "heap/waste",
				  .unit = "B/B",
				  .less_is_better = true,
				  .peer = "malloc"};
	struct bench_row tidied = waste;
	struct bench_row moved = {.name = "heap/move",
				  .unit = "ns",
				  .less_is_better = true};
	static struct rig r;
	struct bench b;
	uint64_t start;
	uint32_t n = 0, m;

	bench_init(&b, argc, argv);
	if (!bench_wants(&b, "heap/"))
		return 0;
	strcpy(small.name, "heap/replace-small");
	strcpy(few.name, "heap/replace-few");
	strcpy(tidied.name, "heap/waste-tidied");
	rig_init(&r);
	rounds(&r, &(struct mix){1000, false}, &few);
	rounds(&r, &(struct mix){N_HELD, false}, &speed);
	rounds(&r, &(struct mix){N_HELD, true}, &small);
	bench_add(&waste.ours, pages_per_byte(&r));
	bench_add(&waste.theirs, per_byte(&r, libc_len() - r.footprint));
	start = clock_cpu_ns();
	while ((m = heap_tidy(r.heap, 1000, move, &r)))
		n += m;
	bench_add(&moved.ours, (double)(clock_cpu_ns() - start) / n);
	heap_reclaim(r.heap, heap_mark(r.heap));
	bench_add(&tidied.ours, pages_per_byte(&r));
	bench_add(&tidied.theirs, per_byte(&r, libc_len() - r.footprint));
	bench_emit(&few);
	bench_emit(&speed);
	bench_emit(&small);
	bench_emit(&waste);
	bench_emit(&tidied);
	bench_emit(&moved);
	return 0;
}
