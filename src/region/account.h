/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGION_ACCOUNT_H
#define REGION_ACCOUNT_H

/*
 * region/account - charging memory to its owners, within limits
 *
 * The writer's side of sluice/account.h. A region without a table of accounts
 * has account 0 only and no limits. region_table_publish() charges tables,
 * region/heap.h charges blocks; others need account_set() only.
 *
 * What is used is known from the writer's own memory and counted anew when a
 * region is adopted: tables by region_adopt(), blocks by heap_adopt() and those
 * who keep them. The limits are taken as they are found; whoever has them from
 * a configuration sets them again.
 *
 * One thread, the region's writer.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/annotate.h"
#include "base/why.h"
#include "region/region.h"
#include "sluice/account.h"

/* ---- Life. ---- */

/*
 * Adds the table of accounts and charges the tables that are there. Account 0 is
 * named "region". It goes with the struct region.
 *
 * n_max    1 to SLUICE_ACCOUNTS_MAX
 * returns  0, -EINVAL, -ENOMEM, or as region_table_add()
 */
int account_table_new(struct region *r, uint32_t n_max, struct why *why)
	MUST_USE;

/*
 * Names an account and sets its limit in bytes; it may be below what is used:
 * then the account gets nothing more until it is below again.
 *
 * returns  0, -EINVAL (no such number; no name; too long)
 */
int account_set(struct region *r, uint32_t no, const char *name, uint64_t limit,
		struct why *why) MUST_USE;

/* ---- What is charged. ---- */

/* What is in use; 0 where there is no such account. */
uint64_t account_used(const struct region *r, uint32_t no);

/* Is this an account of the region's? 0 always is. */
bool account_is(const struct region *r, uint32_t no);

/*
 * May an account have so many bytes more? Counts a refusal.
 *
 * what     for the reason: "table 'flows'", "a block"
 * returns  0
 *          -EDQUOT  beyond the limit
 *          -EINVAL  no such account
 */
int account_may(struct region *r, uint32_t no, uint64_t bytes, const char *what,
		struct why *why) MUST_USE;

/* Charges whatever the limit says; of no effect where there is no account. */
void account_charge(struct region *r, uint32_t no, uint64_t bytes);
void account_give(struct region *r, uint32_t no, uint64_t bytes);

/* ---- For region.c and heap_adopt(). ---- */

/* Charges the tables that are in the directory, and nothing else. */
void account_recount(struct region *r);

/* Finds the table of a region that is adopted, if it has one. */
int account_adopt(struct region *r, struct why *why) MUST_USE;
void account_free(struct region *r);

#endif
