/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region/heap_usage - counting the blocks of a heap, by page words and headers
 *
 * Each word is loaded once and checked; one that makes no sense counts as a free
 * page or a free block. What a live block says of its length is cut to what its
 * class holds.
 */
#include <string.h>

#include "sluice/heap.h"

static const struct {
	uint32_t block_len;
	uint32_t n_in_page;
} sizes[SLUICE_HEAP_CLASSES] = {
#define SIZE_ROW(len, n) {len, n},
	SLUICE_HEAP_SIZES(SIZE_ROW)
#undef SIZE_ROW
};

/* Class and blocks in use of a page; false: it is free. */
static bool page_take(const struct sluice_heap_view *v, uint32_t page,
		      uint32_t *class_no, uint32_t *n_used)
{
	uint64_t word = sluice_load64_relaxed(&v->words[page]);

	*class_no = (uint32_t)(word & 0xff) - 1;
	if (*class_no >= SLUICE_HEAP_CLASSES ||
	    word >> 8 > sizes[*class_no].n_in_page)
		return false;
	*n_used = (uint32_t)(word >> 8);
	return true;
}

static const struct sluice_block *block_at(const struct sluice_heap_view *v,
					   uint32_t page, uint32_t class_no,
					   uint32_t idx)
{
	return (const struct sluice_block *)(v->pages +
					     (uint64_t)page * SLUICE_HEAP_PAGE +
					     (uint64_t)idx *
						     sizes[class_no].block_len);
}

static void count_block(struct sluice_heap_class *c, uint64_t what)
{
	uint32_t max = c->block_len - (uint32_t)sizeof(struct sluice_block);
	uint32_t len = sluice_block_len(what);

	if (sluice_block_state(what) == SLUICE_BLOCK_LIVE) {
		c->n_live++;
		c->live_len += len < max ? len : max;
	} else if (sluice_block_state(what) == SLUICE_BLOCK_RESTS) {
		c->n_resting++;
	}
}

static void sum(struct sluice_heap_usage *u)
{
	for (uint32_t i = 0; i < SLUICE_HEAP_CLASSES; i++) {
		struct sluice_heap_class *c = &u->classes[i];
		uint64_t resting_len = c->n_resting * c->block_len;

		c->n_free =
			c->n_pages * c->n_in_page - c->n_live - c->n_resting;
		u->n_pages += c->n_pages;
		u->n_live += c->n_live;
		u->live_len += c->live_len;
		u->resting_len += resting_len;
		u->waste_len += c->n_pages * SLUICE_HEAP_PAGE - c->live_len -
				resting_len;
	}
}

void sluice_heap_usage(const struct sluice_heap_view *v,
		       struct sluice_heap_usage *out)
{
	memset(out, 0, sizeof(*out));
	for (uint32_t i = 0; i < SLUICE_HEAP_CLASSES; i++) {
		out->classes[i].block_len = sizes[i].block_len;
		out->classes[i].n_in_page = sizes[i].n_in_page;
	}
	for (uint32_t i = 0; i < v->n_pages; i++) {
		uint32_t class_no;
		uint32_t n_used;

		if (!page_take(v, i, &class_no, &n_used)) {
			out->n_pages_free++;
			continue;
		}
		out->classes[class_no].n_pages++;
		for (uint32_t b = 0; b < n_used; b++)
			count_block(&out->classes[class_no],
				    sluice_load64_relaxed(
					    &block_at(v, i, class_no, b)
						     ->what));
	}
	sum(out);
}

bool sluice_heap_next(const struct sluice_heap_view *v, uint64_t *at,
		      uint32_t *off, struct sluice_block *block)
{
	uint32_t page = (uint32_t)(*at >> 16);
	uint32_t idx = (uint32_t)(*at & 0xffff);

	for (; page < v->n_pages; page++, idx = 0) {
		uint32_t class_no;
		uint32_t n_used;

		if (!page_take(v, page, &class_no, &n_used))
			continue;
		for (; idx < n_used; idx++) {
			const struct sluice_block *b =
				block_at(v, page, class_no, idx);
			uint64_t what = sluice_load64_relaxed(&b->what);

			if (sluice_block_state(what) != SLUICE_BLOCK_LIVE)
				continue;
			block->what = what;
			block->owner = sluice_load64_relaxed(&b->owner);
			*off = (uint32_t)((const uint8_t *)(b + 1) - v->pages);
			*at = (uint64_t)page << 16 | (idx + 1);
			return true;
		}
	}
	*at = (uint64_t)page << 16;
	return false;
}
