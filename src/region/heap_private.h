/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGION_HEAP_PRIVATE_H
#define REGION_HEAP_PRIVATE_H

/*
 * region/heap_private - what the files of region/heap share
 *
 * All of this lies in the writer's own memory. The region has copies of it (page
 * words, block headers) that are written and never read again but by adoption.
 */

#include "base/crash.h"
#include "region/account.h"
#include "region/heap.h"

#define HEAP_NONE UINT32_MAX
#define HEAP_IN_PAGE_MAX 512u
#define HEAP_MAP_WORDS (HEAP_IN_PAGE_MAX / 64)

/*
 * Pages of a class that have a free block hang in lists by fullness, that is by
 * live blocks: list 0 has those without any, the last one those with a block
 * that its owner would not have moved. Such a page cannot be emptied, so it is
 * filled first.
 */
#define HEAP_LISTS 33u
#define HEAP_LIST_STUCK (HEAP_LISTS - 1)

struct heap_class {
	/* Constant. */
	uint32_t block_len;
	uint32_t n_in_page;
	uint32_t shift;	     /* live blocks to list */
	uint64_t reciprocal; /* 2^32 / block_len, rounded up */

	uint64_t lists; /* which are not empty */
	uint32_t heads[HEAP_LISTS];
};

struct heap_page {
	uint64_t busy[HEAP_MAP_WORDS]; /* live or resting */
	uint64_t live[HEAP_MAP_WORDS];
	uint32_t next; /* in its list, or of the free pages */
	uint32_t prev;
	uint16_t n_busy;
	uint16_t n_live;
	uint16_t n_used;  /* blocks that were ever in use */
	uint8_t class_no; /* HEAP_NO_CLASS: the page is free */
	uint8_t list;	  /* HEAP_NO_LIST: in none */
};

#define HEAP_NO_CLASS 0xffu
#define HEAP_NO_LIST 0xffu

struct heap {
	/* Constant after init. */
	struct region *region;
	struct sluice_heap_view view;
	uint64_t *words;
	uint32_t account; /* of the heap's table */
	uint8_t class_of[SLUICE_HEAP_PAYLOAD_MAX / SLUICE_HEAP_UNIT + 2];

	struct heap_class classes[SLUICE_HEAP_CLASSES];
	struct heap_page *pages; /* [n_pages] */
	uint32_t free_page;	 /* first of the list */
	uint32_t n_pages_used;

	/* By block number: page * HEAP_IN_PAGE_MAX + number in the page. */
	uint16_t *accounts; /* who pays */
	uint32_t *next;	    /* resting: the next one; last: HEAP_NONE */
	uint32_t rest_first;
	uint32_t rest_last;
	uint64_t n_rested;    /* since the start */
	uint64_t n_reclaimed; /* likewise */
};

/* Where a block is. */
struct heap_place {
	uint32_t page;
	uint32_t idx;
};

static inline uint32_t heap_no(struct heap_place at)
{
	return at.page * HEAP_IN_PAGE_MAX + at.idx;
}

static inline struct heap_place heap_place_of(uint32_t no)
{
	return (struct heap_place){no / HEAP_IN_PAGE_MAX,
				   no % HEAP_IN_PAGE_MAX};
}

static inline struct heap_class *heap_class_of(struct heap *h, uint32_t page)
{
	return &h->classes[h->pages[page].class_no];
}

static inline uint64_t heap_block_off(struct heap *h, struct heap_place at)
{
	return (uint64_t)at.page * SLUICE_HEAP_PAGE +
	       (uint64_t)at.idx * heap_class_of(h, at.page)->block_len;
}

static inline struct sluice_block *heap_block(struct heap *h,
					      struct heap_place at)
{
	return (struct sluice_block *)(h->view.pages + heap_block_off(h, at));
}

static inline uint32_t heap_payload_off(struct heap *h, struct heap_place at)
{
	return (uint32_t)heap_block_off(h, at) +
	       (uint32_t)sizeof(struct sluice_block);
}

/* The block whose payload begins at an offset; false: none could. */
bool heap_find(struct heap *h, uint32_t off, struct heap_place *out);

static inline bool heap_has(const uint64_t *map, uint32_t idx)
{
	return map[idx / 64] >> (idx % 64) & 1;
}

static inline void heap_flip(uint64_t *map, uint32_t idx)
{
	map[idx / 64] ^= 1ull << (idx % 64);
}

/* Writes the first word of a block's header. */
static inline void heap_put_what(struct heap *h, struct heap_place at,
				 uint32_t len, enum sluice_block_state state)
{
	heap_put(&heap_block(h, at)->what,
		 sluice_block_what(len, h->accounts[heap_no(at)], state));
}

/* ---- heap_page.c ---- */

/* A page with a free block of a class; HEAP_NONE: no page is free either. */
uint32_t heap_page_for(struct heap *h, uint32_t class_no);

/* Makes a free page, not in the list of free ones, one of a class. */
void heap_page_init(struct heap *h, uint32_t page, uint32_t class_no);

/* Takes the first free block of a page as live; it has one. */
struct heap_place heap_page_take(struct heap *h, uint32_t page);

/* Hangs a page where it belongs after its counts have changed. */
void heap_page_sort(struct heap *h, uint32_t page);

/* A page that tidying cannot empty, or can again; only where it has a list. */
void heap_page_stick(struct heap *h, uint32_t page, bool is_stuck);

/* Puts a page before the first of the free ones. */
void heap_page_free(struct heap *h, uint32_t page);

/* ---- heap.c ---- */

/* Writer's memory for a heap whose shape is right; no page is in any list. */
int heap_writer_new(struct region *r, const struct sluice_table_desc *d,
		    struct heap **out, struct why *why) MUST_USE;

/* 0, -ENOENT (d is NULL), or -EINVAL: the heap is not as we would make it. */
int heap_shape_check(struct region *r, const struct sluice_table_desc *d,
		     struct why *why) MUST_USE;

/* The block's bytes are the account's from now on, not the heap's any more. */
void heap_charge(struct heap *h, struct heap_place at, uint32_t account);

/* A block's header, and then that the block counts. */
void heap_publish(struct heap *h, struct heap_place at, uint32_t len,
		  const struct heap_owner *owner);

/* A live block of a page is no longer; it rests. */
void heap_rest(struct heap *h, struct heap_place at);

/* A live block that nobody has seen is free. */
void heap_drop(struct heap *h, struct heap_place at);

/* A busy block is free. Does not sort its page. */
void heap_unbusy(struct heap *h, struct heap_place at);

#endif
