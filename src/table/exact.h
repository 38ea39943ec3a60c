/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_EXACT_H
#define TABLE_EXACT_H

/*
 * table/exact - writing an exact-match table
 *
 * The writer's side of sluice/exact.h, which has the layout, the readers'
 * functions and what readers may rely on. A map of fixed capacity from a key
 * of key_len bytes to a value of value_len bytes. It does not grow, does not
 * know what its values mean, and knows no priorities.
 *
 * One writer: one thread of one process. What only the writer needs (which
 * entries are free) lies in its own memory and is found again by
 * table_exact_adopt().
 *
 * A deleted or replaced entry rests until table_exact_reclaim(): readers that
 * count into entries may still hold it. Call that after a grace period. Readers
 * that only copy (sluice_exact_get) need none. There are n_max / 32 + 64 entries
 * more than n_max, so that a full table can be changed while some rest.
 *
 * Change sets (table/change.h) go through table_exact_change(). Until a set is
 * settled its removed and replaced entries take slots and entries beside the
 * table's keys; a table that is nearly full then says -ENOSPC earlier.
 */

#include <stdint.h>

#include "base/annotate.h"
#include "base/why.h"
#include "region/region.h"
#include "sluice/exact.h"
#include "table/change.h"

struct table_exact_conf {
	const char *name;
	uint32_t kind;
	uint32_t n_max;	     /* entries that fit for sure; 1 to 2^28 */
	uint16_t key_len;    /* bytes; 8 to 64, a multiple of 8 */
	uint16_t value_len;  /* bytes; a multiple of 8 */
	uint16_t key_layout; /* for the directory */
	uint64_t seed;	     /* of the hash keys; rng_secret() but in tests */
};

#define TABLE_EXACT_BATCH 32u

/* Opaque; lies in the writer's own memory. */
struct table_exact;

/* ---- Life. ---- */

/* Bytes that such a table takes in a region; 0: conf is out of range. */
uint64_t table_exact_len(const struct table_exact_conf *conf);

/*
 * Makes an empty table in a region and puts it into the directory.
 * returns  0, -EINVAL, -ENOMEM, -ENOSPC (the region is full)
 */
int table_exact_new(struct region *r, const struct table_exact_conf *conf,
		    struct table_exact **out, struct why *why) MUST_USE;

/*
 * Takes over the table that a former writer left, at whatever store it was
 * killed: an entry in two places stays in one, an entry in none is freed, and
 * of its change sets those that became true are settled, the others are gone.
 * Call it after a grace period, and for all tables before the first new set.
 * Cost: one pass over the table.
 *
 * returns  0, -ENOENT (no table of that kind), -ENOMEM,
 *          -EINVAL (not of the shape that the directory says)
 */
int table_exact_adopt(struct region *r, uint32_t kind, struct table_exact **out,
		      struct why *why) MUST_USE;

/*
 * The same for a table that lies inside another one's memory: make takes
 * table_exact_len() zeroed bytes, at a multiple of REGION_TABLE_ALIGN; take a
 * descriptor that says where it lies and what it should be. The directory is
 * the other table's business.
 */
int table_exact_make(struct sluice_exact *mem,
		     const struct table_exact_conf *conf,
		     struct table_exact **out, struct why *why) MUST_USE;
int table_exact_take(struct region *r, const struct sluice_table_desc *d,
		     struct table_exact **out, struct why *why) MUST_USE;

/* Frees the writer's own memory; the table stays. NULL is fine. */
void table_exact_free(struct table_exact *t);

/* ---- Look-up. The writer; others use sluice/exact.h. ---- */

const struct sluice_exact_view *table_exact_view(const struct table_exact *t);
uint32_t table_exact_n_used(const struct table_exact *t);
uint32_t table_exact_n_max(const struct table_exact *t);

/* The entry of a key in the newest version (prepared ones included), or NULL. */
uint8_t *table_exact_find(struct table_exact *t, const void *key);

/* ---- Change. ---- */

/* The table as a part of change sets; key and value as of table_exact_set(). */
struct change_table *table_exact_change(struct table_exact *t);

/*
 * Adds a key, or replaces its value by publishing another entry in one store.
 *
 * key, value  copied; 8-byte aligned
 * entry       if not NULL, set to the entry; it stays where it is
 * returns     0
 *             -ENOSPC  n_max entries are live, or no other is free since too
 *                      many rest; nothing has changed
 */
int table_exact_set(struct table_exact *t, const void *key, const void *value,
		    uint8_t **entry) MUST_USE;

/*
 * The same for n keys (at most TABLE_EXACT_BATCH), their memory fetched
 * together; several times faster on large tables. Stops at the first that does
 * not fit.
 *
 * keys, values  arrays of n, key_len and value_len bytes apart
 * returns       how many are in
 */
uint32_t table_exact_set_batch(struct table_exact *t, const void *keys,
			       const void *values, uint32_t n) MUST_USE;

/* Removes a key. False if it was not there. */
bool table_exact_del(struct table_exact *t, const void *key);

/* n keys likewise, at most TABLE_EXACT_BATCH; returns how many were there. */
uint32_t table_exact_del_batch(struct table_exact *t, const void *keys,
			       uint32_t n);

/* ---- Reuse. ---- */

/* Entries that were deleted or replaced and rest. */
uint32_t table_exact_n_resting(const struct table_exact *t);

/*
 * Notes which entries rest now; the mark goes to table_exact_reclaim() after a
 * grace period that began after this call.
 */
uint64_t table_exact_mark(const struct table_exact *t);

/* Makes the entries that rested at the mark free again. */
void table_exact_reclaim(struct table_exact *t, uint64_t mark);

#endif
