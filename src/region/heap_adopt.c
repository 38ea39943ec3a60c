/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region/heap_adopt - taking over the heap of a dead writer
 *
 * The references are the truth: what an entry refers to is live, whatever its
 * header says, as long as it is a block of its page. The page words say what is
 * a block; one that makes no sense makes its page free, and references into it
 * are refused. What nobody keeps may still be in a reader's hand, so it rests,
 * unless its header says that it was free.
 */
#include "base/must.h"
#include "region/heap_private.h"
#include "sluice/atomic.h"

/* The page's word, if it makes sense. Lists are for later. */
static void adopt_page(struct heap *h, uint32_t page)
{
	uint64_t word = sluice_load64_relaxed(&h->words[page]);
	uint32_t class_no = (uint32_t)(word & 0xff) - 1;
	uint64_t n_used = word >> 8;

	if (class_no >= SLUICE_HEAP_CLASSES ||
	    n_used > h->classes[class_no].n_in_page) {
		if (word)
			heap_put(&h->words[page], 0);
		heap_page_free(h, page);
		return;
	}
	heap_page_init(h, page, class_no);
	h->pages[page].n_used = (uint16_t)n_used;
}

int heap_adopt(struct region *r, struct heap **out, struct why *why)
{
	const struct sluice_table_desc *d = region_table(r, SLUICE_TABLE_HEAP);
	struct heap *h;
	int err = heap_shape_check(r, d, why);

	if (!err)
		err = heap_writer_new(r, d, &h, why);
	if (err)
		return err;
	account_recount(r);
	for (uint32_t i = h->view.n_pages; i > 0; i--)
		adopt_page(h, i - 1);
	*out = h;
	return 0;
}

/* Whom a block's header names as the payer; the heap's owner if nobody. */
static uint32_t payer(struct heap *h, uint64_t what)
{
	uint32_t account = sluice_block_account(what);

	return account_is(h->region, account) ? account : h->account;
}

/* Takes a block as live. */
static void take(struct heap *h, struct heap_place at, uint32_t account)
{
	struct heap_page *p = &h->pages[at.page];

	heap_flip(p->busy, at.idx);
	heap_flip(p->live, at.idx);
	p->n_busy++;
	p->n_live++;
	heap_charge(h, at, account);
}

bool heap_keep(struct heap *h, uint32_t off, uint32_t len,
	       const struct heap_owner *owner)
{
	uint64_t words = (uint64_t)owner->kind << 32 | owner->entry;
	struct sluice_block *block;
	struct heap_place at;
	uint64_t what;

	if (!heap_find(h, off, &at) || at.idx >= h->pages[at.page].n_used ||
	    heap_has(h->pages[at.page].live, at.idx) ||
	    len + sizeof(*block) > heap_class_of(h, at.page)->block_len)
		return false;
	block = heap_block(h, at);
	what = sluice_load64_relaxed(&block->what);
	take(h, at, payer(h, what));
	if (sluice_load64_relaxed(&block->owner) != words)
		heap_put(&block->owner, words);
	heap_put_what(h, at, len, SLUICE_BLOCK_LIVE);
	return true;
}

static void adopt_block(struct heap *h, struct heap_place at)
{
	uint64_t what;

	if (heap_has(h->pages[at.page].live, at.idx))
		return;
	what = sluice_load64_relaxed(&heap_block(h, at)->what);
	if (sluice_block_state(what) == SLUICE_BLOCK_FREE)
		return;
	take(h, at, payer(h, what));
	heap_rest(h, at);
}

void heap_adopted(struct heap *h)
{
	for (uint32_t i = 0; i < h->view.n_pages; i++) {
		if (h->pages[i].class_no == HEAP_NO_CLASS)
			continue;
		for (uint32_t idx = 0; idx < h->pages[i].n_used; idx++)
			adopt_block(h, (struct heap_place){i, idx});
		heap_page_sort(h, i);
	}
}
