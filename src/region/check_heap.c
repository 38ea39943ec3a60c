/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region/check_heap - what a heap says of its shape
 */
#include <errno.h>

#include "region/check.h"
#include "sluice/heap.h"

int region_check_heap(const uint8_t *mem, const struct sluice_table_desc *d,
		      struct sluice_heap_view *out, struct sluice_why *why)
{
	struct sluice_heap *in =
		(struct sluice_heap *)(uintptr_t)(mem + d->off);
	struct sluice_heap h;

	if (d->len < sizeof(h))
		return region_say(why, -EINVAL,
				  "table '%s' is too short for its header",
				  d->name);
	h.n_pages = sluice_load32_relaxed(&in->n_pages);
	h.page_len = sluice_load32_relaxed(&in->page_len);
	h.words_off = sluice_load32_relaxed(&in->words_off);
	h.pages_off = sluice_load64_relaxed(&in->pages_off);
	if (h.page_len != SLUICE_HEAP_PAGE)
		return region_say(why, -EINVAL,
				  "heap '%s' has pages of %u bytes, this "
				  "program knows %u",
				  d->name, h.page_len, SLUICE_HEAP_PAGE);
	if (h.n_pages == 0 || h.n_pages != d->n_max)
		return region_say(why, -EINVAL,
				  "heap '%s' has %u pages, its directory says "
				  "%u",
				  d->name, h.n_pages, d->n_max);
	if (h.words_off % 64 || h.words_off < sizeof(h) ||
	    h.words_off + (uint64_t)h.n_pages * 8 > h.pages_off)
		return region_say(why, -EINVAL,
				  "the page words of heap '%s' lie outside of "
				  "it",
				  d->name);
	if (h.pages_off % 64 || h.pages_off > d->len ||
	    (uint64_t)h.n_pages * h.page_len > d->len - h.pages_off)
		return region_say(why, -EINVAL,
				  "the pages of heap '%s' lie outside of it",
				  d->name);
	/* From the copy: what the header says later is not believed. */
	out->words = (const uint64_t *)((uint8_t *)in + h.words_off);
	out->pages = (uint8_t *)in + h.pages_off;
	out->n_pages = h.n_pages;
	out->pad = 0;
	out->len = (uint64_t)h.n_pages * SLUICE_HEAP_PAGE;
	return 0;
}
