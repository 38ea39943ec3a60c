/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_MASKED_PRIVATE_H
#define TABLE_MASKED_PRIVATE_H

/* table/masked_private - what the files of table/masked share */

#include "table/exact_private.h"
#include "table/masked.h"

#define MASKED_WORDS (SLUICE_KEY_LEN_MAX / 8)
#define MASKED_NONE UINT32_MAX

/* A bit of the filter that more than 255 flows set: how many more. */
struct masked_heavy {
	uint64_t bit; /* its number + 1; 0: free */
	uint64_t more;
};

/* How many flows set each bit of the filter. */
struct masked_filter {
	uint64_t *words; /* in the region, [n] */
	uint32_t n;
	uint8_t *counts;	    /* [n * 64] */
	struct masked_heavy *heavy; /* [n_heavy], open addressing */
	uint32_t n_heavy;	    /* a power of two, twice what can be */
};

/* A record, as the writer knows it. */
struct masked_mask {
	uint64_t words[MASKED_WORDS];
	uint64_t n; /* masks: entries that are not dead; groups: masks listed */
	uint64_t seen;	    /* masks: hits at the last reorder */
	uint64_t score;	    /* hits, the older the less; groups: the sum */
	uint64_t first;	    /* masks: hits when it got its number */
	uint32_t group;	    /* masks: its record, or MASKED_NONE */
	uint32_t next;	    /* masks: the next of its bucket, or MASKED_NONE */
	uint32_t n_members; /* groups: masks that belong to it */
	bool taken;	    /* masks: has this number */
	bool listed;	    /* is in the order in force */
};

/* A mask's place in the making: units by score, and masks in them. */
struct masked_rank {
	uint64_t unit_score;
	uint64_t score;
	uint32_t unit; /* the group's record, or the mask itself */
	uint32_t number;
};

#define MASKED_BUCKETS 1024u

struct table_masked {
	/* Constant after init. */
	struct change_table change;
	struct sluice_masked_view view;
	struct sluice_masked *shared;
	struct sluice_mask *shared_records;
	uint64_t *orders; /* in the region, two */
	struct table_exact *exact;
	uint32_t n_masks_max;
	uint32_t key_len;

	/* Ours. */
	struct masked_filter filter;
	struct masked_mask *records;	  /* [view.n_records] */
	uint32_t buckets[MASKED_BUCKETS]; /* of masks, by their words */
	uint32_t n_masks;		  /* taken, all ones not counted */
	uint32_t n_late; /* appended since the order was made anew */
	uint64_t order;	 /* published in shared */
	uint64_t *steps; /* [view.n_records] the order in force */
	uint32_t n_steps;
	struct masked_rank *ranks; /* [view.n_masks] room to sort in */
};

/* Every store that readers can see. */
static inline void masked_put(uint64_t *p, uint64_t v)
{
	crash_point();
	sluice_store64_release(p, v);
}

/* The key as it is stored under a mask or known to the filter under a group. */
static inline void masked_key(const struct table_masked *t, uint32_t number,
			      const uint64_t *key, uint64_t *out)
{
	const uint64_t *words = t->records[number].words;
	uint32_t last = t->key_len / 8 - 1;

	for (uint32_t i = 0; i <= last; i++)
		out[i] = key[i] & words[i];
	out[last] |= sluice_masked_tag(number);
}

/* ---- masked_filter.c ---- */

int masked_filter_init(struct masked_filter *f, uint64_t *words, uint32_t n,
		       uint64_t n_entries) MUST_USE;
void masked_filter_fini(struct masked_filter *f);

/* Counts one more flow of this hash; its bits are set when this returns. */
void masked_filter_add(struct masked_filter *f, uint64_t hash);
void masked_filter_del(struct masked_filter *f, uint64_t hash);

/* The same, but the region's words are left as they are. */
void masked_filter_note(struct masked_filter *f, uint64_t hash);

/* Sets and clears the region's words as it was noted. */
void masked_filter_write(struct masked_filter *f);

/* ---- masked_order.c ---- */

/* The number of a mask whose last two bytes are zero, or MASKED_NONE. */
uint32_t masked_find(const struct table_masked *t, const uint64_t *words);

/* Sees to it that a mask has a number and is in the order; 0 or -EMFILE. */
int masked_add(struct table_masked *t, const uint64_t *words, uint32_t *number)
	MUST_USE;

/* Notes that a mask has this number. */
void masked_take(struct table_masked *t, uint32_t number,
		 const uint64_t *words);

/* Finds or makes the group of a mask; an order is begun. */
void masked_join(struct table_masked *t, uint32_t number);

/* Writes the record of a mask or group. */
void masked_record_write(struct table_masked *t, uint32_t number);

/* Hits of a number, all lanes, ever. */
uint64_t masked_hits(const struct table_masked *t, uint32_t number);

/* From here on records may be written that are in no order in force. */
void masked_begin(struct table_masked *t);

/* Drops masks without flows, makes the order anew and publishes it. */
void masked_publish(struct table_masked *t);

/* ---- masked.c ---- */

/* Takes the mask of all ones. */
void masked_take_exact(struct table_masked *t);

/* ---- masked_adopt.c ---- */

/* Learns masks and counts from the entries, mends filter and order. */
void masked_adopt_flows(struct table_masked *t);

/* ---- masked_change.c ---- */

/* Counts an entry in the filter's counts, not yet in its words. */
void masked_note(struct table_masked *t, uint32_t number,
		 const uint64_t *masked);

extern const struct change_table_ops masked_change_ops;

#endif
