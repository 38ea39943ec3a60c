/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGION_MAKE_H
#define REGION_MAKE_H

/* region/make - what the backings share when they make a region */

#include "region/region.h"
#include "sluice/reader.h"

/*
 * Writes the header of an empty region into r's zeroed memory, which is mapped
 * at r->head. base_addr is 0 where any will do.
 */
void region_init(struct region *r, const char *name, uint64_t base_addr);

/*
 * Keeps two writers from starting in one file at the same moment; the others are
 * kept out by the header. Ends with the process, or when it closes the file. Does
 * nothing for memfds and arenas. returns 0 or -EBUSY
 */
int region_lock(int fd, enum sluice_backing backing, struct sluice_why *why)
	MUST_USE;

/*
 * Checks what the caller asked for and rounds *len up to whole pages of
 * page_len bytes. returns 0 or -EINVAL
 */
int region_take_conf(const char *name, uint64_t *len, uint32_t page_len,
		     struct why *why) MUST_USE;

#endif
