/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region/heap_tidy - moving blocks off sparse pages
 *
 * One step takes the emptiest page of a class and the fullest one that has room,
 * and moves one block: a copy, the owner's store of the new offset, and the
 * block rests. Each step empties the source, whose list only sinks, so there is
 * no back and forth; when a class has no two pages left with free blocks, it is
 * done. A page that is being emptied is chosen by nobody else, since blocks are
 * taken from the fullest.
 *
 * An owner that does not know the block (a scribbled header, or a block in the
 * making) leaves its page stuck: it is filled first and not looked at again
 * until a block in it is freed.
 */
#include "region/heap_private.h"
#include "sluice/atomic.h"

#define STUCK_BIT (1ull << HEAP_LIST_STUCK)

/* The page to empty, or HEAP_NONE: the class is tidy. */
static uint32_t source(const struct heap_class *c)
{
	/* Without list 0: nothing lives there. */
	uint64_t lists = c->lists & ~STUCK_BIT & ~1ull;

	return lists ? c->heads[__builtin_ctzll(lists)] : HEAP_NONE;
}

/* The page to fill; not the source. */
static uint32_t target(struct heap *h, const struct heap_class *c,
		       uint32_t from)
{
	uint64_t lists = c->lists & ~1ull;
	uint32_t page = c->heads[63 - __builtin_clzll(lists)];

	return page == from ? h->pages[page].next : page;
}

static uint32_t first_live(const struct heap_page *p)
{
	uint32_t w = 0;

	while (!p->live[w])
		w++;
	return w * 64 + (uint32_t)__builtin_ctzll(p->live[w]);
}

static void copy(uint64_t *to, const uint64_t *from, uint32_t len)
{
	for (uint32_t i = 0; i < len / 8; i++)
		heap_put(&to[i], sluice_load64_relaxed(&from[i]));
}

/* Moves one block from a page to another one, or finds that it cannot. */
static void move_one(struct heap *h, uint32_t from, uint32_t to,
		     heap_move_fn move, void *ctx)
{
	struct heap_place old = {from, first_live(&h->pages[from])};
	const struct sluice_block *block = heap_block(h, old);
	uint32_t len = sluice_block_len(sluice_load64_relaxed(&block->what));
	uint64_t words = sluice_load64_relaxed(&block->owner);
	struct heap_owner owner = {
		.kind = (uint32_t)(words >> 32),
		.entry = (uint32_t)words,
		.account = h->accounts[heap_no(old)],
	};
	struct heap_place new = heap_page_take(h, to);
	uint32_t room = heap_class_of(h, to)->block_len;

	heap_charge(h, new, owner.account);
	heap_publish(h, new, len, &owner);
	copy((uint64_t *)(heap_block(h, new) + 1),
	     (const uint64_t *)(block + 1), room - (uint32_t)sizeof(*block));
	if (move(ctx, &owner, heap_payload_off(h, old),
		 heap_payload_off(h, new))) {
		heap_rest(h, old);
		heap_page_sort(h, to);
		heap_page_sort(h, from);
	} else {
		heap_drop(h, new);
		heap_page_stick(h, from, true);
	}
}

uint32_t heap_tidy(struct heap *h, uint32_t n_max, heap_move_fn move, void *ctx)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < SLUICE_HEAP_CLASSES; i++) {
		const struct heap_class *c = &h->classes[i];

		while (n < n_max) {
			uint32_t from = source(c);
			uint32_t to;

			if (from == HEAP_NONE)
				break;
			to = target(h, c, from);
			if (to == HEAP_NONE)
				break;
			move_one(h, from, to, move, ctx);
			n++;
		}
	}
	return n;
}
