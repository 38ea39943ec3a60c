/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_FSCK_H
#define SLUICE_FSCK_H

/*
 * sluice/fsck - what is in a region, and whether it is whole
 *
 * Host only. Reads, never writes; the region may be in use, so what a writer is
 * in the middle of is no error. Works on a damaged region as far as its
 * header and directory are sound (sluice_region_check()).
 */

#include "sluice/account.h"
#include "sluice/heap.h"
#include "sluice/reader.h"

/* A mapping of which nothing has been checked. */
struct sluice_map {
	const void *mem;
	uint64_t len; /* bytes */
};

/*
 * Maps the region of a running switch, NULL: of the only one; errors as
 * sluice_reader_open(). Or the region that fd is of; fd stays the caller's.
 */
int sluice_map_open(const char *name, struct sluice_map *out,
		    struct sluice_why *why);
int sluice_map_open_fd(int fd, struct sluice_map *out, struct sluice_why *why);
void sluice_map_close(struct sluice_map *m);

/* One table. */
struct sluice_fsck_table {
	struct sluice_table_desc desc; /* as it was checked */

	/* Counted when deep, else as the table itself says, 0 if it does not. */
	uint64_t n_live; /* entries that readers see */

	/* Deep only. */
	uint64_t n_born;   /* of change sets that are not settled */
	uint64_t n_dying;  /* likewise */
	uint64_t n_left;   /* what a dead writer left; adoption clears it up */
	uint64_t n_wrong;  /* broken invariants */
	uint64_t used_len; /* bytes of it in use */
};

struct sluice_fsck {
	struct sluice_region head; /* as it was checked */
	bool has_writer;	   /* who wrote itself into the head lives */
	uint32_t n_tables;
	struct sluice_fsck_table tables[SLUICE_TABLES_MAX];
	uint64_t n_left;  /* sums */
	uint64_t n_wrong; /* likewise */

	/* In the region, as long as it is mapped. */
	uint32_t n_accounts; /* 0: nobody keeps accounts */
	const struct sluice_account *accounts;
	struct sluice_heap_view heap; /* n_pages 0: there is none */
};

struct sluice_fsck_conf {
	/* Walk every entry and every index word, in time with their number. */
	bool is_deep;
	/* NULL, or before each table. */
	void (*begin)(void *ctx, const struct sluice_table_desc *table);
	/* NULL, or for each broken invariant, the first hundred of a table. */
	void (*say)(void *ctx, const struct sluice_table_desc *table,
		    const char *what);
	void *ctx;
};

/*
 * returns  0       out is filled; n_wrong says whether it is whole
 *          -ENOMEM
 *          as sluice_region_check(): there is no telling what is inside
 */
int sluice_fsck(const struct sluice_map *m, const struct sluice_fsck_conf *conf,
		struct sluice_fsck *out, struct sluice_why *why);

/* "masked", "cuckoo8", ...; NULL: no such algorithm. */
const char *sluice_alg_name(uint32_t alg);

#endif
