/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_HEAP_H
#define SLUICE_HEAP_H

/*
 * sluice/heap - reading blocks of several lengths
 *
 * What tables keep behind their entries when its length varies: the buckets of
 * a group, a list of actions. An entry names a block by the 32-bit offset of
 * its payload from the first page; 0 is none. A block is written, then published
 * by the store of its offset into the entry; it does not change hands before a
 * grace period has passed since the offset was overwritten.
 *
 *     struct sluice_heap | word of each page | pages
 *     page    16 KiB: blocks of one class, from its start on
 *     block   struct sluice_block, 16 bytes | payload, 16 to 4080 bytes
 *
 * A page word says the page's class and how many of its blocks were ever in
 * use since it has it; the rest of the page is of no meaning. Classes are about
 * a fifth apart; 32 bytes is the unit, so a block's payload lies at 16 modulo 32
 * of a line.
 *
 * One writer (region/heap.h), any number of readers in any process and in BPF.
 * Whatever is written into the heap by others, sluice_heap_at() gives nothing
 * that lies outside of it.
 */

#include "sluice/atomic.h"
#include "sluice/types.h"

#define SLUICE_HEAP_PAGE 16384u
#define SLUICE_HEAP_UNIT 32u
#define SLUICE_HEAP_PAYLOAD_MAX 4080u
#define SLUICE_HEAP_CLASSES 25u

/* X(bytes of a block, its header included, how many are in a page) */
#define SLUICE_HEAP_SIZES(X) \
	X(32, 512)           \
	X(64, 256)           \
	X(96, 170)           \
	X(128, 128)          \
	X(160, 102)          \
	X(192, 85)           \
	X(224, 73)           \
	X(256, 64)           \
	X(320, 51)           \
	X(384, 42)           \
	X(448, 36)           \
	X(512, 32)           \
	X(640, 25)           \
	X(768, 21)           \
	X(896, 18)           \
	X(1024, 16)          \
	X(1248, 13)          \
	X(1472, 11)          \
	X(1632, 10)          \
	X(1792, 9)           \
	X(2048, 8)           \
	X(2336, 7)           \
	X(2720, 6)           \
	X(3264, 5)           \
	X(4096, 4)

/* Lies in the region. Offsets are from the start of this struct. */
struct sluice_heap {
	/* Constant after init. */
	uint32_t n_pages;
	uint32_t page_len;  /* SLUICE_HEAP_PAGE */
	uint32_t words_off; /* uint64_t [n_pages]; multiple of 64 */
	uint32_t pad;
	uint64_t pages_off; /* multiple of 64 */
};

enum sluice_block_state {
	SLUICE_BLOCK_FREE = 0,
	SLUICE_BLOCK_LIVE = 1,
	SLUICE_BLOCK_RESTS = 2, /* until no reader can hold it any more */
};

/* Before each payload. For the writer who adopts and for tools. */
struct sluice_block {
	uint64_t what; /* payload bytes 15..0 | account 31..16 | state 33..32 */
	uint64_t owner; /* table kind 63..32 | entry 31..0 */
};
_Static_assert(sizeof(struct sluice_block) == 16, "ABI");

SLUICE_INLINE uint64_t sluice_block_what(uint32_t len, uint32_t account,
					 enum sluice_block_state state)
{
	return (uint64_t)state << 32 | (uint64_t)(account & 0xffff) << 16 |
	       (len & 0xffff);
}

SLUICE_INLINE uint32_t sluice_block_len(uint64_t what)
{
	return (uint32_t)(what & 0xffff);
}

SLUICE_INLINE uint32_t sluice_block_account(uint64_t what)
{
	return (uint32_t)(what >> 16 & 0xffff);
}

SLUICE_INLINE uint32_t sluice_block_state(uint64_t what)
{
	return (uint32_t)(what >> 32);
}

/* A page word: class + 1 in 7..0, 0: the page is free | blocks used 31..8. */
SLUICE_INLINE uint64_t sluice_heap_page_word(uint32_t class_no, uint32_t n_used)
{
	return (uint64_t)n_used << 8 | (class_no + 1);
}

/* The heap as one reader sees it: its place copied after it was checked. */
struct sluice_heap_view {
	const uint64_t *words; /* [n_pages] */
	uint8_t *pages;
	uint32_t n_pages;
	uint32_t pad;
	uint64_t len; /* bytes of all pages */
};

/* Takes the shape of h, which the caller has checked or made itself. */
SLUICE_INLINE void sluice_heap_view_init(struct sluice_heap_view *v,
					 struct sluice_heap *h)
{
	v->words = (const uint64_t *)((uint8_t *)h + h->words_off);
	v->pages = (uint8_t *)h + h->pages_off;
	v->n_pages = h->n_pages;
	v->pad = 0;
	v->len = (uint64_t)h->n_pages * SLUICE_HEAP_PAGE;
}

/*
 * The address of len bytes at an offset, whatever the offset is: aligned to 16
 * and inside the heap, or NULL.
 */
SLUICE_INLINE void *sluice_heap_at(const struct sluice_heap_view *v,
				   uint32_t off, uint32_t len)
{
	if (off % 16 || off == 0 || off >= v->len || len > v->len - off)
		return NULL;
	return v->pages + off;
}

#ifndef __bpf__

/* ---- What a tool says about a heap; host only, part of the reader. ---- */

/* Blocks of one class; resting ones are not live. */
struct sluice_heap_class {
	uint32_t block_len; /* bytes, header included */
	uint32_t n_in_page;
	uint64_t n_pages;
	uint64_t n_live;
	uint64_t n_resting;
	uint64_t n_free;   /* in the pages of this class */
	uint64_t live_len; /* bytes of payload asked for */
};

struct sluice_heap_usage {
	struct sluice_heap_class classes[SLUICE_HEAP_CLASSES];
	uint64_t n_pages;
	uint64_t n_pages_free;
	uint64_t n_live;
	uint64_t live_len;    /* bytes of payload asked for */
	uint64_t resting_len; /* bytes of blocks that rest */
	/*
	 * Bytes of pages in use that are neither payload nor rest: headers,
	 * rounding up to a class, free blocks, ends of pages.
	 */
	uint64_t waste_len;
};

/*
 * Counts what is in a heap, which may be in use meanwhile: the sums are then of
 * several moments. One pass over the blocks' headers.
 */
void sluice_heap_usage(const struct sluice_heap_view *v,
		       struct sluice_heap_usage *out);

/*
 * The next live block at or after *at, a number that begins with 0; its offset
 * and its header's words. False at the end.
 */
bool sluice_heap_next(const struct sluice_heap_view *v, uint64_t *at,
		      uint32_t *off, struct sluice_block *block);

#endif

#endif
