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

/* A file or device that a region can be in. */
struct region_file {
	enum sluice_backing backing; /* memfd, file or dax */
	uint64_t len;		     /* bytes */
	uint32_t page_len;	     /* bytes; mapped are multiples of it */
};

/*
 * What is behind a descriptor, if we trust who may write it (region/region.h).
 * returns  0, -EINVAL (no such thing), -EPERM, -ENOTTY (a device, but no DAX)
 */
int region_file_stat(int fd, struct region_file *out, struct sluice_why *why)
	MUST_USE;

/* The length of a file's pages: hugetlbfs says it, else the machine's. */
uint32_t region_file_page(int fd);

/* The same of a device-DAX device by its number. returns 0 or -ENOTTY */
int region_dax_stat(uint64_t dev, struct region_file *out,
		    struct sluice_why *why) MUST_USE;

/* The same from the device's folder in sysfs. */
int region_dax_read(const char *folder, struct region_file *out,
		    struct sluice_why *why) MUST_USE;

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
