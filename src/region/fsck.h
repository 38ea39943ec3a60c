/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGION_FSCK_H
#define REGION_FSCK_H

/*
 * region/fsck - what the checks of single tables share
 *
 * sluice_fsck() walks the directory and calls the check of each table's
 * algorithm. A check reads every entry and every index word and reports what
 * breaks an invariant that the table's header promises. The region may be in
 * use: what a writer is in the middle of is no error, so a check that finds
 * something wrong looks again (FSCK_TRIES times, asking whether the table's
 * count of changes moved meanwhile) before it says so. It trusts nothing that
 * it reads and ends in time proportional to the table.
 */

#include "base/annotate.h"
#include "region/check.h"
#include "sluice/fsck.h"

#define FSCK_TRIES 4u
#define FSCK_SAY_MAX 100u /* faults of a table that are told */
#define FSCK_WAIT_MAX 5u  /* after so many there is no doubt */

/* One table's check. */
struct fsck {
	const uint8_t *mem;		  /* the region */
	const struct region_shape *shape; /* the directory, as it was checked */
	uint32_t table;			  /* index into shape->tables, views */
	bool has_writer;
	const struct sluice_fsck_conf *conf;
	struct sluice_fsck_table *out; /* the check counts here */
};

static inline const struct sluice_table_desc *fsck_desc(const struct fsck *f)
{
	return &f->shape->tables[f->table];
}

/*
 * Gives a writer that is in the middle of something time, up to 50 ms; none
 * where there is no writer, or in a table that is known to be damaged.
 */
void fsck_wait(const struct fsck *f, uint32_t try);

/* Counts an entry that is not dead as live, born or dying. */
void fsck_count(struct fsck *f, uint64_t head);

/* Counts a broken invariant and says it, the first hundred of a table. */
void fsck_wrong(struct fsck *f, const char *fmt, ...) PRINTF_LIKE(2, 3);

/*
 * The same for what a writer that was killed may leave by the table's own
 * promise: wrong only while there is a writer, else counted as left.
 */
void fsck_left(struct fsck *f, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ---- Checks. 0 or -ENOMEM. ---- */

int region_fsck_counter(struct fsck *f);
int region_fsck_exact(struct fsck *f);
int region_fsck_heap(struct fsck *f);
int region_fsck_masked(struct fsck *f);
int region_fsck_ternary(struct fsck *f);
int region_fsck_prefix(struct fsck *f);

/* What a table of groups says, beside that it is an exact table. */
void region_fsck_groups(struct fsck *f);

#endif
