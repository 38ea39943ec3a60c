/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGION_MAP_H
#define REGION_MAP_H

/*
 * region/map - mapping the region behind a file descriptor
 *
 * Only maps: nothing in the memory has been checked yet.
 */

#include "base/annotate.h"
#include "sluice/reader.h"

struct region_map {
	void *mem;
	uint64_t len; /* bytes mapped: all that there is */
	enum sluice_backing backing;
};

/*
 * Maps all of an arena (at its own address), a memfd or a file. fd stays the
 * caller's and is not needed afterwards; munmap() undoes it.
 *
 * returns  0
 *          -EINVAL  neither of these, empty, or a memfd that could shrink
 *          -EBUSY   an arena, and its address is taken in this process
 *          -EACCES, -ENOMEM
 */
int region_map_fd(int fd, bool is_writer, struct region_map *out,
		  struct sluice_why *why) MUST_USE;

#endif
