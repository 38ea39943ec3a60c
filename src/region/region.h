/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGION_REGION_H
#define REGION_REGION_H

/*
 * region - the writer's side of a region
 *
 * Makes regions, adopts those that a dead writer left, and adds tables to
 * them. The layout is sluice/region.h; readers use sluice/reader.h. A region
 * has one writer at a time: a process that is alive and whose pid and start
 * time are in the header. Tables are given out front to back and never taken
 * back, so there is nothing to fragment.
 *
 * Not thread-safe; any number of regions may be open in a process. An arena is
 * not mapped in the child of a fork.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/annotate.h"
#include "base/why.h"
#include "sluice/region.h"

struct accounts;

struct region {
	struct sluice_region *head; /* the first byte of the region */
	uint64_t len;		    /* bytes, whole pages */
	int fd;			    /* owned: the memfd's or the arena map's */
	enum sluice_backing backing;
	uint32_t page_len; /* bytes: 4096, or 2 MiB */
	bool is_rebooted;  /* adopted from another boot: see region_adopt() */
	struct accounts *accounts; /* region/account's; NULL: none */
};

/* ---- Life. Control thread. ---- */

/*
 * Makes an empty region in a memfd, in 2 MiB pages when want_huge and when
 * there are enough, else in ordinary ones (out->page_len says which).
 *
 * len      bytes; rounded up to whole pages
 * returns  0, -EINVAL (name or len), -ENOMEM
 */
int region_new_memfd(const char *name, uint64_t len, bool want_huge,
		     struct region **out, struct why *why) MUST_USE;

/*
 * Makes an empty region in a new BPF arena, at an address that is free in this
 * process and the same in every other, every page present. BPF programs read
 * it when they are loaded with out->fd as their arena.
 *
 * returns  0, -EINVAL, -ENOMEM,
 *          -EOPNOTSUPP  this kernel has no arenas (before 6.9)
 *          -EPERM       CAP_BPF is missing
 */
int region_new_arena(const char *name, uint64_t len, struct region **out,
		     struct why *why) MUST_USE;

/*
 * Makes an empty region in a file: on tmpfs, on hugetlbfs (in its pages), on a
 * disk, or a device's memory seen as a file (an ivshmem BAR's resourceN). A file
 * that is missing or empty is made as long as needed, for its owner only, and
 * its blocks are taken at once; a longer one is used whole. What is in a file is
 * never lost by accident: it is overwritten only if it is all zero, or a region
 * of this name that nobody writes.
 *
 * Who may write a file may cut it off, and then each access behind its end is a
 * SIGBUS, in any process; so a file is refused, by readers too, that others than
 * root and the caller may write. What remains: they themselves, and a disk that
 * fails. Two machines may read one file (a BAR); one of them writes it, for the
 * other cannot see whether that process lives.
 *
 * len      as for memfds; ignored where a file or device is longer
 * returns  0, -EINVAL, -ENOMEM
 *          -EPERM   others may write it
 *          -EEXIST  it holds something else, or another's region
 *          -EBUSY   a process that lives writes the region in it
 *          -ENOSPC  too short, and it cannot grow
 *          as open()
 */
int region_new_file(const char *path, const char *name, uint64_t len,
		    struct region **out, struct why *why) MUST_USE;

/*
 * The same in a device-DAX character device (/dev/dax0.0: persistent or CXL
 * memory), whose length and alignment sysfs tells. Its pages are its alignment.
 *
 * returns  also -ENOTTY: it is no such device
 */
int region_new_dax(const char *path, const char *name, uint64_t len,
		   struct region **out, struct why *why) MUST_USE;

/*
 * Opens a path of either kind for region_adopt().
 *
 * fd       the caller's
 * returns  0, -ENOENT (no such file, or no region in it yet), as open(), or as
 *          region_new_file()
 */
int region_open_path(const char *path, int *fd, struct why *why) MUST_USE;

/*
 * Takes over a region whose writer is gone: checks it, maps it for writing,
 * writes us into its header, counts generation up. Takes fd on success. Who
 * may run twice at once keeps itself out of here (the daemon by its lock).
 *
 * A region in a file may be from before the machine was started. If its writer
 * closed it in order, out->is_rebooted says so: records of readers
 * (region_grace_reset()) and times since boot in it mean nothing. If not, its
 * memory may be torn, and it is refused.
 *
 * returns  0, -EBUSY (its writer lives, or its address is taken here), -ESTALE
 *          (from another boot, and not closed), or as sluice_region_check()
 */
int region_adopt(int fd, struct region **out, struct why *why) MUST_USE;

/*
 * Unmaps and closes; the memory lives on while others hold it. The header says
 * that the writer left in order. NULL is fine.
 */
void region_free(struct region *r);

/* ---- Tables. The writer only. ---- */

/* Bytes; two cache lines, which many machines fetch together. */
#define REGION_TABLE_ALIGN 128u

/*
 * Adds a table: zeroed memory of desc->len bytes, at a multiple of
 * REGION_TABLE_ALIGN. desc->off is ignored on the way in. Nobody sees it yet: fill the memory, then call
 * region_table_publish(). A table that was not published is forgotten.
 *
 * off      set on success: bytes from the region's start
 * returns  0, -ENOSPC (no room, or SLUICE_TABLES_MAX), -EEXIST (the kind),
 *          -EDQUOT, -EINVAL (desc->account, see region/account.h)
 */
int region_table_add(struct region *r, const struct sluice_table_desc *desc,
		     uint32_t *off, struct why *why) MUST_USE;
void region_table_publish(struct region *r);

/* The descriptor of a kind, or NULL. */
const struct sluice_table_desc *region_table(const struct region *r,
					     uint32_t kind);

/*
 * Stores the region's version [region-version]; table/change only. The version
 * of a new region is 1.
 */
void region_version_set(struct region *r, uint32_t version);

/*
 * Before entries of this version settle [region-settling]; table/change, and
 * who adopts a table.
 */
void region_settling_set(struct region *r, uint32_t version);

/* The only place where an offset becomes an address; NULL if out of range. */
static inline void *region_at(const struct region *r, uint64_t off,
			      uint64_t len)
{
	if (off > r->len || len > r->len - off)
		return NULL;
	return (uint8_t *)r->head + off;
}

#endif
