/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region/heap_page - pages, in lists by fullness
 *
 * A page changes its list when its number of live blocks leaves the list's range,
 * which is a 30th of a page or one block, so most operations touch no list.
 * Within a list the order is that of arrival.
 */
#include "base/must.h"
#include "region/heap_private.h"

static uint32_t list_of(const struct heap_class *c, const struct heap_page *p)
{
	if (p->n_busy == c->n_in_page)
		return HEAP_NO_LIST;
	return p->n_live ? 1 + ((uint32_t)p->n_live >> c->shift) : 0;
}

static void unhang(struct heap *h, uint32_t page)
{
	struct heap_class *c = heap_class_of(h, page);
	struct heap_page *p = &h->pages[page];

	if (p->list == HEAP_NO_LIST)
		return;
	if (p->prev == HEAP_NONE)
		c->heads[p->list] = p->next;
	else
		h->pages[p->prev].next = p->next;
	if (p->next != HEAP_NONE)
		h->pages[p->next].prev = p->prev;
	if (c->heads[p->list] == HEAP_NONE)
		c->lists &= ~(1ull << p->list);
	p->list = HEAP_NO_LIST;
}

static void hang(struct heap *h, uint32_t page, uint32_t list)
{
	struct heap_class *c = heap_class_of(h, page);
	struct heap_page *p = &h->pages[page];

	if (list == HEAP_NO_LIST)
		return;
	p->list = (uint8_t)list;
	p->prev = HEAP_NONE;
	p->next = c->heads[list];
	if (p->next != HEAP_NONE)
		h->pages[p->next].prev = page;
	c->heads[list] = page;
	c->lists |= 1ull << list;
}

void heap_page_free(struct heap *h, uint32_t page)
{
	h->pages[page].class_no = HEAP_NO_CLASS;
	h->pages[page].list = HEAP_NO_LIST;
	h->pages[page].next = h->free_page;
	h->free_page = page;
}

void heap_page_init(struct heap *h, uint32_t page, uint32_t class_no)
{
	h->pages[page] = (struct heap_page){
		.next = HEAP_NONE,
		.prev = HEAP_NONE,
		.class_no = (uint8_t)class_no,
		.list = HEAP_NO_LIST,
	};
	h->n_pages_used++;
}

void heap_page_sort(struct heap *h, uint32_t page)
{
	struct heap_page *p = &h->pages[page];
	uint32_t list = list_of(&h->classes[p->class_no], p);

	if (!p->n_busy) {
		unhang(h, page);
		heap_put(&h->words[page], 0);
		heap_page_free(h, page);
		h->n_pages_used--;
		return;
	}
	if (list == p->list ||
	    (p->list == HEAP_LIST_STUCK && list != HEAP_NO_LIST))
		return;
	unhang(h, page);
	hang(h, page, list);
}

void heap_page_stick(struct heap *h, uint32_t page, bool is_stuck)
{
	const struct heap_page *p = &h->pages[page];

	if (p->list == HEAP_NO_LIST || (p->list == HEAP_LIST_STUCK) == is_stuck)
		return;
	unhang(h, page);
	hang(h, page,
	     is_stuck ? HEAP_LIST_STUCK : list_of(heap_class_of(h, page), p));
}

uint32_t heap_page_for(struct heap *h, uint32_t class_no)
{
	struct heap_class *c = &h->classes[class_no];
	uint32_t page = h->free_page;

	if (c->lists)
		return c->heads[63 - __builtin_clzll(c->lists)];
	if (page == HEAP_NONE)
		return HEAP_NONE;
	h->free_page = h->pages[page].next;
	heap_page_init(h, page, class_no);
	heap_put(&h->words[page], sluice_heap_page_word(class_no, 0));
	return page;
}

struct heap_place heap_page_take(struct heap *h, uint32_t page)
{
	struct heap_page *p = &h->pages[page];
	struct heap_place at = {page, 0};
	uint32_t w = 0;

	while (!~p->busy[w])
		w++;
	at.idx = w * 64 + (uint32_t)__builtin_ctzll(~p->busy[w]);
	must(at.idx < heap_class_of(h, page)->n_in_page);
	heap_flip(p->busy, at.idx);
	heap_flip(p->live, at.idx);
	p->n_busy++;
	p->n_live++;
	return at;
}
