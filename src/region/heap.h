/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGION_HEAP_H
#define REGION_HEAP_H

/*
 * region/heap - giving out blocks of several lengths inside a region
 *
 * The writer's side of sluice/heap.h. Blocks of 16 to 4,080 bytes in 25 classes,
 * in pages of 16 KiB of which any can serve any class. It knows nothing of what
 * is in a block, and lets each block belong to one place: an entry of a table.
 *
 * Class: one writer, one thread. What only the writer needs (which blocks are
 * free, who pays for them) lies in its own memory, at most a fifth of the pages
 * in use, and is found again by heap_adopt() and by those who own blocks.
 *
 * A block that was freed rests until heap_reclaim(): readers may hold it. Call
 * that after a grace period. It is charged until then, too.
 *
 * Time: every operation but adoption takes a bounded number of steps, whatever
 * the heap holds: a block is found in the fullest page of its class that has one
 * free (by a 64-bit map of lists by fullness), lowest first.
 *
 * Waste. Let a page be in use if it belongs to a class. In a block of payload n,
 * header and rounding up to a class included, lies a share of a page of at most
 *
 *     5/4 * (n + 16) + 32 bytes                                            (1)
 *
 * which heap_test.c checks for every n. No class can fragment another, since
 * pages are equal and empty ones go back at once. What is left are free blocks in
 * pages that are partly used. Who frees at random, or with ill will, can leave
 * one block in every page. heap_tidy() moves blocks from the emptiest page of a
 * class into the fullest one until at most one page of each class is partly used;
 * it never needs a new page to do so. After it, and when what rests has been
 * reclaimed, the pages in use take at most
 *
 *     sum over live blocks of (1) + 25 pages of 16 KiB                      (2)
 *
 * so a heap of 64 MiB never says "full" to somebody who tidies while the sum is
 * below 63.6 MiB. Blocks whose owner refuses to have them moved count with their
 * page; tables refuse only blocks that they do not know.
 *
 * Rejected: a buddy system (a third of waste, and pairs that never meet again);
 * first fit with coalescing, or TLSF (bounded in time, but not in fragmentation:
 * Robson 1974 gives a factor of log2 of the sizes' range against ill will); not
 * moving (Mesh, Powers et al. 2019, needs page tables of its own).
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/annotate.h"
#include "base/crash.h"
#include "base/why.h"
#include "region/region.h"
#include "sluice/heap.h"

/* Opaque; lies in the writer's own memory. */
struct heap;

/* Who refers to a block, and who pays for it. */
struct heap_owner {
	uint32_t kind;	  /* of the table */
	uint32_t entry;	  /* number; the owner's own meaning */
	uint32_t account; /* ignored by heap_keep() */
};

/* ---- Life. ---- */

/* Bytes that a heap of so many pages takes in a region; 0: out of range. */
uint64_t heap_len(uint32_t n_pages);

/*
 * Makes an empty heap in a region and puts it into the directory.
 *
 * account  whose it is as far as no block of another account lies in it
 * returns  0, -EINVAL, -ENOMEM, -ENOSPC (the region is full), -EDQUOT
 */
int heap_new(struct region *r, uint32_t n_pages, uint16_t account,
	     struct heap **out, struct why *why) MUST_USE;

/*
 * Takes over the heap that a former writer left, at whatever store it was
 * killed. Each owner then calls heap_keep() for every block that it refers to,
 * and the last one heap_adopted(); nothing else may be called before that. Cost:
 * one pass over the pages' words, and over the blocks' headers in the end.
 *
 * returns  0, -ENOENT (no heap), -ENOMEM, -EINVAL (its shape)
 */
int heap_adopt(struct region *r, struct heap **out, struct why *why) MUST_USE;

/*
 * Keeps a block of at least len bytes of payload. False: there is none at this
 * offset, or it is somebody else's already; the reference is not to be used.
 */
bool heap_keep(struct heap *h, uint32_t off, uint32_t len,
	       const struct heap_owner *owner) MUST_USE;

/* What nobody has kept rests from here on. */
void heap_adopted(struct heap *h);

/* Frees the writer's own memory; the heap stays. NULL is fine. */
void heap_free(struct heap *h);

/* ---- Blocks. ---- */

const struct sluice_heap_view *heap_view(const struct heap *h);

/*
 * Gives a block, whose payload is to be filled by stores of heap_put() before it
 * is published.
 *
 * len      bytes of payload, 1 to SLUICE_HEAP_PAYLOAD_MAX
 * returns  0
 *          -EINVAL  len, or no such account
 *          -EDQUOT  the account's limit
 *          -ENOSPC  no page is free; heap_tidy() and heap_reclaim() may help
 */
int heap_block_new(struct heap *h, uint32_t len, const struct heap_owner *owner,
		   uint32_t *off, struct why *why) MUST_USE;

/* Every store into a block that readers can see, or will. */
static inline void heap_put(uint64_t *p, uint64_t v)
{
	crash_point();
	sluice_store64_release(p, v);
}

/* The entry that refers to the block is known now. */
void heap_block_own(struct heap *h, uint32_t off, uint32_t entry);

/*
 * Lays a block to rest that no entry refers to any more. False: there is no live
 * block at this offset.
 */
bool heap_block_free(struct heap *h, uint32_t off);

/* The same at once, for a block that was never published. */
bool heap_block_drop(struct heap *h, uint32_t off);

/* ---- Reuse. ---- */

/* Blocks that rest. */
uint64_t heap_n_resting(const struct heap *h);

/* What rests now; goes to heap_reclaim() after a grace period from here on. */
uint64_t heap_mark(const struct heap *h);

/* Makes the blocks that rested at the mark free again. */
void heap_reclaim(struct heap *h, uint64_t mark);

/*
 * Has an owner refer to a block's copy instead of the block, by one store; the
 * block rests afterwards. False: it knows no such reference, nothing changed.
 */
typedef bool (*heap_move_fn)(void *ctx, const struct heap_owner *owner,
			     uint32_t from, uint32_t to);

/*
 * Moves up to n_max blocks off the emptiest pages. Returns how many were moved
 * or refused; 0: there is nothing to tidy, and (2) holds as soon as what rests
 * is reclaimed.
 */
uint32_t heap_tidy(struct heap *h, uint32_t n_max, heap_move_fn move,
		   void *ctx);

/* ---- Inspection. ---- */

uint32_t heap_n_pages_used(const struct heap *h);

/* Bytes of a page that a block of this payload takes at most, see (1). */
uint32_t heap_share(uint32_t len);

#endif
