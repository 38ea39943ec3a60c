/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGION_FSCK_H
#define REGION_FSCK_H

/*
 * region/fsck - what the checks of single tables share
 *
 * sluice_region_fsck() (sluice/fsck.h) walks the directory and calls the check
 * of each table's algorithm. A check reads every entry and every index word and
 * reports what breaks an invariant that the table's header promises. The
 * region may be in use: what a writer is in the middle of is no error, so a
 * check that finds something wrong looks again (FSCK_TRIES times, asking
 * whether the table's count of changes moved meanwhile) before it says so. It
 * trusts nothing that it reads and ends in time proportional to the table.
 */

#include "base/annotate.h"
#include "region/check.h"

#define FSCK_TRIES 4u

/* What one table's check found. */
struct fsck {
	const uint8_t *mem; /* the region */
	uint64_t len;
	const struct sluice_region *head;
	const struct region_shape *shape; /* the directory, as it was checked */
	const struct sluice_table_desc *table;

	uint64_t n_live;   /* entries that readers see */
	uint64_t n_born;   /* of unsettled change sets */
	uint64_t n_dying;  /* likewise */
	uint64_t n_wrong;  /* broken invariants */
	uint64_t used_len; /* bytes of the table in use, as far as it counts */

	void (*say)(void *ctx, const struct sluice_table_desc *table,
		    const char *what);
	void *ctx;
};

/* Counts a broken invariant and says it, the first hundred of a table. */
void fsck_wrong(struct fsck *f, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The checks of the single algorithms. */
void region_fsck_counter(struct fsck *f);

#endif
