/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_MASKED_H
#define TABLE_MASKED_H

/*
 * table/masked - writing a table of flows under masks
 *
 * The writer's side of sluice/masked.h, which has the layout, the readers'
 * functions and what readers may rely on. A map of fixed capacity from a key
 * under a mask to a value. It does not look whether flows overlap: whose do
 * must give the same answer (priorities: table/ternary).
 *
 * The number of masks is bounded, so that nobody can make look-ups dear by
 * inventing masks. When set() says -EMFILE, the caller sets a flow for the
 * packet's whole key, under the mask of all ones: that one always has a place
 * and does not count.
 *
 * One writer: one thread of one process. What only the writer needs (how many
 * flows set a bit of the filter, which mask has which number) lies in its own
 * memory, 24 bytes a flow besides table/exact's, and is found again by
 * table_masked_adopt().
 *
 * Deleted and replaced flows rest until table_masked_reclaim(), as in
 * table/exact.h. A mask without flows goes when the order is made anew or its
 * place is needed; nobody need wait for that (sluice/masked.h, [masked-begun]).
 */

#include <stdint.h>

#include "base/annotate.h"
#include "base/why.h"
#include "region/region.h"
#include "sluice/masked.h"
#include "table/change.h"

#define TABLE_MASKED_MASKS 64u /* usual n_masks_max */

struct table_masked_conf {
	const char *name;
	uint32_t kind;
	uint32_t n_max;	      /* flows that fit for sure; 1 to 2^28 */
	uint32_t n_masks_max; /* 1 to SLUICE_MASKS_MAX; all ones not counted */
	uint32_t n_lanes;     /* of those who count hits; 1 to 256 */
	uint16_t key_len;     /* bytes; 8 to 64, a multiple of 8 */
	uint16_t value_len;   /* bytes; a multiple of 8 */
	uint16_t key_layout;  /* for the directory */
	uint64_t seed;	      /* of the hash keys; rng_secret() but in tests */
};

/*
 * A flow's key and mask, key_len bytes each, 8-byte aligned. Bits of the key
 * that are not in the mask, and the last two bytes of both, have no meaning.
 */
struct table_masked_key {
	const void *key;
	const void *mask;
};

/* One mask as table_masked_mask() tells it. */
struct table_masked_mask {
	uint64_t words[SLUICE_KEY_LEN_MAX / 8];
	uint64_t n_flows; /* of unsettled change sets, too */
	uint64_t n_hits;  /* since it has its number */
};

/* Opaque; lies in the writer's own memory. */
struct table_masked;

/* ---- Life. ---- */

/* Bytes that such a table takes in a region; 0: conf is out of range. */
uint64_t table_masked_len(const struct table_masked_conf *conf);

/*
 * Makes an empty table in a region and puts it into the directory.
 * returns  0, -EINVAL, -ENOMEM, -ENOSPC (the region is full), -EEXIST
 */
int table_masked_new(struct region *r, const struct table_masked_conf *conf,
		     struct table_masked **out, struct why *why) MUST_USE;

/*
 * Takes over the table that a former writer left, at whatever store it was
 * killed; as table_exact_adopt(). A flow that is under no mask goes.
 *
 * returns  0, -ENOENT (no table of that kind), -ENOMEM,
 *          -EINVAL (not of the shape that the directory says)
 */
int table_masked_adopt(struct region *r, uint32_t kind,
		       struct table_masked **out, struct why *why) MUST_USE;

/* Frees the writer's own memory; the table stays. NULL is fine. */
void table_masked_free(struct table_masked *t);

/* ---- Look-up. The writer; others use sluice/masked.h. ---- */

const struct sluice_masked_view *
table_masked_view(const struct table_masked *t);
uint32_t table_masked_n_used(const struct table_masked *t);

/* Masks that readers try, the one of all ones not counted. */
uint32_t table_masked_n_masks(const struct table_masked *t);

/* The entry of a flow that was set under just this mask, or NULL. */
uint8_t *table_masked_find(struct table_masked *t,
			   const struct table_masked_key *key);

/* Bytes of the writer's own memory, the exact table's included. */
uint64_t table_masked_own_len(const struct table_masked *t);

/*
 * The mask of a number, from SLUICE_MASK_EXACT on. False: the number has none
 * now. Numbers are below table_masked_view()->n_masks.
 */
bool table_masked_mask(const struct table_masked *t, uint32_t number,
		       struct table_masked_mask *out);

/* ---- Change. ---- */

/*
 * The table as a part of change sets; an item's key is a struct
 * table_masked_key. prepare() also says -EMFILE, as table_masked_set().
 */
struct change_table *table_masked_change(struct table_masked *t);

/*
 * Adds a flow, or replaces its value by publishing another entry in one store.
 *
 * key, value  copied; 8-byte aligned
 * entry       if not NULL, set to the entry; it stays where it is
 * returns     0
 *             -EMFILE  n_masks_max masks have flows and this one has none: set
 *                      an exact flow instead
 *             -ENOSPC  as table_exact_set()
 *             and then nothing has changed
 */
int table_masked_set(struct table_masked *t, const struct table_masked_key *key,
		     const void *value, uint8_t **entry) MUST_USE;

/* Removes a flow. False if there is none under just this mask. */
bool table_masked_del(struct table_masked *t,
		      const struct table_masked_key *key);

/*
 * Orders the masks by hits since the last time (older ones count half, and so
 * on), forms their groups, and drops those without flows. Call it when traffic
 * may have changed, once a second say. Cost: 0.1 ms at a thousand masks.
 */
void table_masked_reorder(struct table_masked *t);

/* ---- Reuse; as in table/exact.h. ---- */

uint32_t table_masked_n_resting(const struct table_masked *t);
uint64_t table_masked_mark(const struct table_masked *t);
void table_masked_reclaim(struct table_masked *t, uint64_t mark);

#endif
