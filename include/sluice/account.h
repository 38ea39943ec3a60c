/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_ACCOUNT_H
#define SLUICE_ACCOUNT_H

/*
 * sluice/account - whose memory it is
 *
 * An array of records; a record's index is the account's number. Every byte of
 * a region that was given out is charged to one account: a table to
 * sluice_table_desc.account, a block of the heap to the account in the block's
 * header. What a block takes is taken off the account of the heap's table, so
 * the sum of used_bytes is the sum of all tables' lengths. Account 0 is the
 * region's owner and has no limit unless one is set.
 *
 * The writer (region/account.h) stores, anyone reads. What it decides by lies in
 * its own memory; these words are for people.
 */

#include "sluice/atomic.h"
#include "sluice/types.h"

#define SLUICE_ACCOUNT_NAME_LEN 32u /* bytes, the final NUL included */
#define SLUICE_ACCOUNTS_MAX 4096u
#define SLUICE_ACCOUNT_NO_LIMIT (~0ull)

/* A record of SLUICE_TABLE_ACCOUNTS. */
struct sluice_account {
	char name[SLUICE_ACCOUNT_NAME_LEN]; /* NUL-terminated; "": unused */
	uint64_t limit_bytes;
	uint64_t used_bytes;
	uint64_t n_refused; /* allocations that the limit forbade */
	uint64_t pad;
};
_Static_assert(sizeof(struct sluice_account) == 64, "ABI");

#endif
