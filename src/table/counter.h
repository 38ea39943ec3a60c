/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_COUNTER_H
#define TABLE_COUNTER_H

/*
 * table/counter - giving out the numbers of counters
 *
 * The writer's side of sluice/counter.h, which has the layout, and the
 * functions of those who count and of those who read. Numbers are given out
 * and taken back here; who has one remembers it in an entry of its own.
 *
 * One writer: one thread of one process, which is also the only one that counts
 * in lane 0. Which numbers are free is in its own memory. Who adopts the table
 * learns it from the owners: each takes its numbers by table_counter_take(),
 * and table_counter_settle() frees the others. (Owners: a number is to be
 * written into an entry after it was given out, and given back after that entry
 * is gone; a writer killed in between then loses none.)
 *
 * A number given back rests until table_counter_reclaim(): engines may still
 * count under it. Call that after a grace period.
 */

#include <stdint.h>

#include "base/annotate.h"
#include "base/why.h"
#include "region/region.h"
#include "sluice/counter.h"

struct table_counter_conf {
	const char *name;
	uint32_t kind;
	uint32_t n_max;	  /* counters; 1 to 2^26 */
	uint32_t n_lanes; /* lane 0 among them; 1 to 1024 */
};

/* Opaque; lies in the writer's own memory. */
struct table_counter;

/* ---- Life. ---- */

/*
 * Bytes that such a table takes in a region: 32 per counter and lane. 0: conf
 * is out of range.
 */
uint64_t table_counter_len(const struct table_counter_conf *conf);

/*
 * Makes a table, every number free, and puts it into the directory.
 * returns  0, -EINVAL, -ENOMEM, -ENOSPC (the region is full)
 */
int table_counter_new(struct region *r, const struct table_counter_conf *conf,
		      struct table_counter **out, struct why *why) MUST_USE;

/*
 * Takes over the table that a former writer left, at whatever store it was
 * killed. Until table_counter_settle() no number is given out.
 *
 * returns  0, -ENOENT (no table of that kind), -ENOMEM,
 *          -EINVAL (not of the shape that the directory says)
 */
int table_counter_adopt(struct region *r, uint32_t kind,
			struct table_counter **out, struct why *why) MUST_USE;

/*
 * Says that an owner has this number; its counts go on.
 * returns  0, -EINVAL (no such number), -EEXIST (taken already),
 *          -ENOENT (it is nobody's: the owner lies)
 */
int table_counter_take(struct table_counter *t, uint32_t no) MUST_USE;

/*
 * Ends the adoption: numbers that nobody took are free. Those that were in use
 * ever rest at first.
 */
void table_counter_settle(struct table_counter *t);

/* Frees the writer's own memory; the table stays. NULL is fine. */
void table_counter_free(struct table_counter *t);

/* ---- Numbers. ---- */

const struct sluice_counter_view *
table_counter_view(const struct table_counter *t);
uint32_t table_counter_n_used(const struct table_counter *t);

/*
 * Gives out a number whose counts start at zero, last used now.
 *
 * no       set on success, never 0
 * returns  0, -ENOSPC (none is free; some may rest)
 * cost     a cache line for each lane, or one if it was never used before
 */
int table_counter_alloc(struct table_counter *t, uint64_t now_ns, uint32_t *no)
	MUST_USE;

/* Takes a number back. False if it is not in use. Readers see it gone. */
bool table_counter_release(struct table_counter *t, uint32_t no);

/* ---- Reuse. ---- */

/* Numbers that were given back and rest. */
uint32_t table_counter_n_resting(const struct table_counter *t);

/*
 * Notes which numbers rest now; the mark goes to table_counter_reclaim() after
 * a grace period that began after this call.
 */
uint64_t table_counter_mark(const struct table_counter *t);

/* Makes the numbers that rested at the mark free again. */
void table_counter_reclaim(struct table_counter *t, uint64_t mark);

#endif
