/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region/heap - shape, life, and the way of a block
 *
 *     free --new--> live --free--> rests --reclaim--> free
 *
 * In the region a new block's header is whole before the page's word says that
 * the block is in use, and that is before the caller knows it. A freed block's
 * header changes after its owner has let go of it. So at any store a killed
 * writer leaves at worst a block that says "live" and that nobody refers to,
 * which is what adoption looks for.
 *
 * Resting blocks are a queue through the writer's own memory. It could lie in
 * the blocks, but what lies in the region may be scribbled upon.
 */
#include "region/heap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/must.h"
#include "region/heap_private.h"
#include "sluice/atomic.h"

static const struct {
	uint32_t block_len;
	uint32_t n_in_page;
} sizes[] = {
#define SIZE_ROW(len, n) {len, n},
	SLUICE_HEAP_SIZES(SIZE_ROW)
#undef SIZE_ROW
};
_Static_assert(ARRAY_LEN(sizes) == SLUICE_HEAP_CLASSES, "classes");

#define SIZE_CHECK(len, n)                                      \
	_Static_assert((len) % SLUICE_HEAP_UNIT == 0 &&         \
			       (n) == SLUICE_HEAP_PAGE / (len), \
		       "a class does not fill its pages");
SLUICE_HEAP_SIZES(SIZE_CHECK)
#undef SIZE_CHECK

#define HEADER ((uint32_t)sizeof(struct sluice_block))

/* ---- Shape. ---- */

static uint64_t words_off(void)
{
	return (sizeof(struct sluice_heap) + 63) / 64 * 64;
}

static uint64_t pages_off(uint32_t n_pages)
{
	uint64_t end = words_off() + (uint64_t)n_pages * sizeof(uint64_t);

	return (end + REGION_TABLE_ALIGN - 1) / REGION_TABLE_ALIGN *
	       REGION_TABLE_ALIGN;
}

uint64_t heap_len(uint32_t n_pages)
{
	uint64_t len =
		pages_off(n_pages) + (uint64_t)n_pages * SLUICE_HEAP_PAGE;

	return n_pages && len <= SLUICE_REGION_LEN_MAX ? len : 0;
}

static bool shape_ok(const struct sluice_heap *s,
		     const struct sluice_table_desc *d)
{
	return d->alg == SLUICE_ALG_HEAP && s->page_len == SLUICE_HEAP_PAGE &&
	       heap_len(s->n_pages) && d->len == heap_len(s->n_pages) &&
	       s->words_off == words_off() &&
	       s->pages_off == pages_off(s->n_pages);
}

/* ---- Life. ---- */

static void classes_init(struct heap *h)
{
	uint32_t class_no = 0;

	for (uint32_t i = 0; i < SLUICE_HEAP_CLASSES; i++) {
		struct heap_class *c = &h->classes[i];

		c->block_len = sizes[i].block_len;
		c->n_in_page = sizes[i].n_in_page;
		c->reciprocal =
			((1ull << 32) + c->block_len - 1) / c->block_len;
		while (1 + (c->n_in_page >> c->shift) >= HEAP_LIST_STUCK)
			c->shift++;
		for (uint32_t l = 0; l < HEAP_LISTS; l++)
			c->heads[l] = HEAP_NONE;
	}
	for (uint32_t i = 0; i < ARRAY_LEN(h->class_of); i++) {
		if (i * SLUICE_HEAP_UNIT > sizes[class_no].block_len)
			class_no++;
		h->class_of[i] = (uint8_t)class_no;
	}
}

/* Zeroed pages that are there when touched: most of this never is. */
static void *map_new(uint64_t len)
{
	void *mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

static void map_free(void *mem, uint64_t len)
{
	if (mem)
		munmap(mem, len);
}

static uint64_t n_blocks_max(const struct heap *h)
{
	return (uint64_t)h->view.n_pages * HEAP_IN_PAGE_MAX;
}

int heap_writer_new(struct region *r, const struct sluice_table_desc *d,
		    struct heap **out, struct why *why)
{
	struct sluice_heap *s = region_at(r, d->off, d->len);
	struct heap *h = calloc(1, sizeof(*h));

	if (!h)
		goto no_memory;
	h->region = r;
	sluice_heap_view_init(&h->view, s);
	h->words = (uint64_t *)((uint8_t *)s + s->words_off);
	h->account = d->account;
	h->free_page = HEAP_NONE;
	h->rest_first = HEAP_NONE;
	h->rest_last = HEAP_NONE;
	classes_init(h);
	h->pages = map_new(h->view.n_pages * sizeof(*h->pages));
	h->accounts = map_new(n_blocks_max(h) * sizeof(*h->accounts));
	h->next = map_new(n_blocks_max(h) * sizeof(*h->next));
	if (!h->pages || !h->accounts || !h->next)
		goto undo_h;
	*out = h;
	return 0;

undo_h:
	heap_free(h);
no_memory:
	return why_say(why, -ENOMEM, "no memory to write a heap of %u pages",
		       s->n_pages);
}

int heap_new(struct region *r, uint32_t n_pages, uint16_t account,
	     struct heap **out, struct why *why)
{
	struct sluice_table_desc d = {
		.name = "heap",
		.kind = SLUICE_TABLE_HEAP,
		.alg = SLUICE_ALG_HEAP,
		.n_max = n_pages,
		.len = heap_len(n_pages),
		.account = account,
	};
	struct sluice_heap *s;
	struct heap *h = NULL;
	int err;

	if (!d.len)
		return why_say(why, -EINVAL,
			       "a heap of %u pages is out of range", n_pages);
	err = region_table_add(r, &d, &d.off, why);
	if (err)
		return err;
	s = region_at(r, d.off, d.len);
	s->n_pages = n_pages;
	s->page_len = SLUICE_HEAP_PAGE;
	s->words_off = (uint32_t)words_off();
	s->pages_off = pages_off(n_pages);
	err = heap_writer_new(r, &d, &h, why);
	if (err)
		return err;
	for (uint32_t i = n_pages; i > 0; i--)
		heap_page_free(h, i - 1);
	region_table_publish(r);
	*out = h;
	return 0;
}

int heap_shape_check(struct region *r, const struct sluice_table_desc *d,
		     struct why *why)
{
	const struct sluice_heap *s;

	if (!d)
		return why_say(why, -ENOENT, "the region has no heap");
	s = region_at(r, d->off, d->len);
	if (!s || d->len < sizeof(*s) || !shape_ok(s, d))
		return why_say(why, -EINVAL,
			       "the heap is not of the shape it should be");
	return 0;
}

void heap_free(struct heap *h)
{
	if (!h)
		return;
	map_free(h->next, n_blocks_max(h) * sizeof(*h->next));
	map_free(h->accounts, n_blocks_max(h) * sizeof(*h->accounts));
	map_free(h->pages, h->view.n_pages * sizeof(*h->pages));
	free(h);
}

const struct sluice_heap_view *heap_view(const struct heap *h)
{
	return &h->view;
}

uint32_t heap_n_pages_used(const struct heap *h)
{
	return h->n_pages_used;
}

uint32_t heap_share(uint32_t len)
{
	return (len + HEADER) * 5 / 4 + SLUICE_HEAP_UNIT;
}

/* ---- Blocks. ---- */

bool heap_find(struct heap *h, uint32_t off, struct heap_place *out)
{
	uint32_t page = off / SLUICE_HEAP_PAGE;
	uint32_t in_page = off % SLUICE_HEAP_PAGE - HEADER;
	const struct heap_class *c;
	uint32_t idx;

	if (page >= h->view.n_pages || in_page >= SLUICE_HEAP_PAGE ||
	    h->pages[page].class_no == HEAP_NO_CLASS)
		return false;
	c = heap_class_of(h, page);
	idx = (uint32_t)(in_page * c->reciprocal >> 32);
	*out = (struct heap_place){page, idx};
	return idx < c->n_in_page && idx * c->block_len == in_page;
}

void heap_charge(struct heap *h, struct heap_place at, uint32_t account)
{
	uint32_t len = heap_class_of(h, at.page)->block_len;

	h->accounts[heap_no(at)] = (uint16_t)account;
	if (account == h->account)
		return;
	account_charge(h->region, account, len);
	account_give(h->region, h->account, len);
}

void heap_unbusy(struct heap *h, struct heap_place at)
{
	uint32_t len = heap_class_of(h, at.page)->block_len;
	uint32_t account = h->accounts[heap_no(at)];

	heap_flip(h->pages[at.page].busy, at.idx);
	h->pages[at.page].n_busy--;
	if (account == h->account)
		return;
	account_give(h->region, account, len);
	account_charge(h->region, h->account, len);
}

void heap_publish(struct heap *h, struct heap_place at, uint32_t len,
		  const struct heap_owner *owner)
{
	struct heap_page *p = &h->pages[at.page];

	heap_put(&heap_block(h, at)->owner,
		 (uint64_t)owner->kind << 32 | owner->entry);
	heap_put_what(h, at, len, SLUICE_BLOCK_LIVE);
	if (at.idx < p->n_used)
		return;
	p->n_used = (uint16_t)(at.idx + 1);
	heap_put(&h->words[at.page],
		 sluice_heap_page_word(p->class_no, p->n_used));
}

int heap_block_new(struct heap *h, uint32_t len, const struct heap_owner *owner,
		   uint32_t *off, struct why *why)
{
	uint32_t units =
		(len + HEADER + SLUICE_HEAP_UNIT - 1) / SLUICE_HEAP_UNIT;
	struct heap_place at;
	uint32_t class_no;
	uint32_t page;
	int err = 0;

	if (len < 1 || len > SLUICE_HEAP_PAYLOAD_MAX)
		return why_say(why, -EINVAL,
			       "a block has 1 to %u bytes, not %u",
			       SLUICE_HEAP_PAYLOAD_MAX, len);
	class_no = h->class_of[units];
	if (owner->account != h->account)
		err = account_may(h->region, owner->account,
				  h->classes[class_no].block_len, "a block",
				  why);
	if (err)
		return err;
	page = heap_page_for(h, class_no);
	if (page == HEAP_NONE)
		return why_say(why, -ENOSPC,
			       "the heap's %u pages are all in use",
			       h->view.n_pages);
	at = heap_page_take(h, page);
	heap_charge(h, at, owner->account);
	heap_publish(h, at, len, owner);
	heap_page_sort(h, page);
	*off = heap_payload_off(h, at);
	return 0;
}

static bool find_live(struct heap *h, uint32_t off, struct heap_place *at)
{
	return heap_find(h, off, at) &&
	       heap_has(h->pages[at->page].live, at->idx);
}

void heap_block_own(struct heap *h, uint32_t off, uint32_t entry)
{
	struct heap_place at;
	uint64_t *owner;

	if (!find_live(h, off, &at))
		return;
	owner = &heap_block(h, at)->owner;
	heap_put(owner, (*owner & ~0xffffffffull) | entry);
}

static void unlive(struct heap *h, struct heap_place at)
{
	heap_flip(h->pages[at.page].live, at.idx);
	h->pages[at.page].n_live--;
}

void heap_rest(struct heap *h, struct heap_place at)
{
	uint32_t no = heap_no(at);

	unlive(h, at);
	heap_put_what(h, at, 0, SLUICE_BLOCK_RESTS);
	h->next[no] = HEAP_NONE;
	if (h->rest_first == HEAP_NONE)
		h->rest_first = no;
	else
		h->next[h->rest_last] = no;
	h->rest_last = no;
	h->n_rested++;
}

bool heap_block_free(struct heap *h, uint32_t off)
{
	struct heap_place at;

	if (!find_live(h, off, &at))
		return false;
	heap_rest(h, at);
	heap_page_stick(h, at.page, false);
	heap_page_sort(h, at.page);
	return true;
}

void heap_drop(struct heap *h, struct heap_place at)
{
	unlive(h, at);
	heap_put_what(h, at, 0, SLUICE_BLOCK_FREE);
	heap_unbusy(h, at);
	heap_page_sort(h, at.page);
}

bool heap_block_drop(struct heap *h, uint32_t off)
{
	struct heap_place at;

	if (!find_live(h, off, &at))
		return false;
	heap_page_stick(h, at.page, false);
	heap_drop(h, at);
	return true;
}

/* ---- Reuse. ---- */

uint64_t heap_n_resting(const struct heap *h)
{
	return h->n_rested - h->n_reclaimed;
}

uint64_t heap_mark(const struct heap *h)
{
	return h->n_rested;
}

void heap_reclaim(struct heap *h, uint64_t mark)
{
	if (mark > h->n_rested)
		return;
	while (h->n_reclaimed < mark) {
		struct heap_place at = heap_place_of(h->rest_first);

		h->rest_first = h->next[h->rest_first];
		h->n_reclaimed++;
		heap_put_what(h, at, 0, SLUICE_BLOCK_FREE);
		heap_unbusy(h, at);
		heap_page_sort(h, at.page);
	}
}
