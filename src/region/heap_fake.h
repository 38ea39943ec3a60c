/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGION_HEAP_FAKE_H
#define REGION_HEAP_FAKE_H

/*
 * region/heap_fake - an owner of blocks, for tests of region/heap
 *
 * Holds an array of references; each block is filled with words that follow from
 * its entry and a number, so whatever overlaps or moves wrongly shows.
 */

#include "base/must.h"
#include "base/rng.h"
#include "base/test.h"
#include "region/account.h"
#include "region/heap.h"

#define OWNER_KIND SLUICE_TABLE_OWN

struct held {
	uint32_t off; /* 0: nothing */
	uint16_t len;
	uint16_t account;
	uint64_t number;
};

struct owner {
	struct region *region;
	struct heap *heap;
	struct held *held; /* [n] */
	uint32_t n;
	uint64_t share; /* sum of heap_share() of what is held */
	uint64_t n_moved;
	bool refuses; /* to have its blocks moved */
};

static inline void owner_init(struct owner *o, uint32_t n_pages, uint32_t n)
{
	*o = (struct owner){.n = n};
	o->held = calloc(n, sizeof(*o->held));
	must(o->held);
	must(!region_new_memfd("heap", heap_len(n_pages) + (1 << 18), false,
			       &o->region, NULL));
	must(!account_table_new(o->region, 8, NULL));
	must(!heap_new(o->region, n_pages, 0, &o->heap, NULL));
}

static inline void owner_fini(struct owner *o)
{
	heap_free(o->heap);
	region_free(o->region);
	free(o->held);
}

static inline uint64_t word_of(const struct held *b, uint32_t i)
{
	return b->number * 0x9e3779b97f4a7c15u + i;
}

static inline uint64_t *payload_of(const struct owner *o, const struct held *b)
{
	uint64_t *p = sluice_heap_at(heap_view(o->heap), b->off, b->len);

	must(p);
	return p;
}

/* Of the block of entry i: as it was filled? */
static inline bool is_whole(const struct owner *o, uint32_t i)
{
	const struct held *b = &o->held[i];
	const uint64_t *p = payload_of(o, b);

	for (uint32_t w = 0; w < b->len / 8u; w++)
		if (p[w] != word_of(b, w))
			return false;
	return true;
}

/* Gives entry i, which has none, a block of len bytes. */
static inline int hold(struct owner *o, uint32_t i, uint32_t len,
		       uint16_t account, uint64_t number)
{
	struct heap_owner who = {OWNER_KIND, i, account};
	struct held b = {0, (uint16_t)len, account, number};
	int err = heap_block_new(o->heap, len, &who, &b.off, NULL);
	uint64_t *p;

	if (err)
		return err;
	p = payload_of(o, &b);
	for (uint32_t w = 0; w < len / 8; w++)
		heap_put(&p[w], word_of(&b, w));
	o->held[i] = b;
	o->share += heap_share(len);
	return 0;
}

static inline void let_go(struct owner *o, uint32_t i)
{
	struct held b = o->held[i];

	o->held[i].off = 0;
	o->share -= heap_share(b.len);
	must(heap_block_free(o->heap, b.off));
}

static inline bool owner_move(void *ctx, const struct heap_owner *who,
			      uint32_t from, uint32_t to)
{
	struct owner *o = ctx;

	if (o->refuses || who->kind != OWNER_KIND || who->entry >= o->n ||
	    o->held[who->entry].off != from)
		return false;
	o->held[who->entry].off = to;
	o->n_moved++;
	return true;
}

static inline void reclaim_all(struct owner *o)
{
	heap_reclaim(o->heap, heap_mark(o->heap));
	CHECK_EQ(heap_n_resting(o->heap), 0);
}

/* Tidies until there is nothing to do, and reclaims. */
static inline void tidy_all(struct owner *o)
{
	while (heap_tidy(o->heap, 100, owner_move, o))
		;
	reclaim_all(o);
}

/* What region/heap.h promises of a tidy heap under (2). */
static inline bool waste_is_bounded(const struct owner *o)
{
	return (uint64_t)heap_n_pages_used(o->heap) * SLUICE_HEAP_PAGE <=
	       o->share + (uint64_t)SLUICE_HEAP_CLASSES * SLUICE_HEAP_PAGE;
}

/* The writer dies; the next one finds what is held. */
static inline void owner_adopt(struct owner *o)
{
	heap_free(o->heap);
	o->heap = NULL;
	must(!heap_adopt(o->region, &o->heap, NULL));
	for (uint32_t i = 0; i < o->n; i++) {
		struct heap_owner who = {OWNER_KIND, i, 0};

		if (o->held[i].off)
			CHECK(heap_keep(o->heap, o->held[i].off, o->held[i].len,
					&who));
	}
	heap_adopted(o->heap);
}

#endif
