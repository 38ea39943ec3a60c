/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A region in a memfd. 2 MiB pages spare nearly all TLB misses of random look-
 * ups, but whether they are to be had shows only when all of them are faulted
 * in: so they are, at once, and on failure the memory is made again of
 * ordinary pages. Those come when they are first touched.
 *
 * The file is sealed: nobody can cut it off under a reader.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "region/make.h"

#define HUGE_PAGE (2u << 20)
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Fills fd, head and len of r. Whole pages of r->page_len. */
static int memfd_map(struct region *r, const char *name, uint64_t len)
{
	bool is_huge = r->page_len == HUGE_PAGE;
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING |
			 (is_huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0u);
	int err;

	r->fd = memfd_create(name, flags);
	if (r->fd < 0)
		return -errno;
	err = ftruncate(r->fd, (off_t)len) ? -errno : 0;
	if (err)
		goto undo_fd;
	r->head = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	err = r->head == MAP_FAILED ? -errno : 0;
	if (err)
		goto undo_fd;
	err = is_huge && madvise(r->head, len, MADV_POPULATE_WRITE) ? -errno
								    : 0;
	if (err)
		goto undo_map;
	err = fcntl(r->fd, F_ADD_SEALS, SEALS) ? -errno : 0;
	if (err)
		goto undo_map;
	r->len = len;
	return 0;

undo_map:
	munmap(r->head, len);
undo_fd:
	close(r->fd);
	return err;
}

/* 2 MiB pages or nothing. */
static int try_huge(struct region *r, const char *name, uint64_t len)
{
	r->page_len = HUGE_PAGE;
	if (region_take_conf(name, &len, r->page_len, NULL))
		return -EINVAL;
	return memfd_map(r, name, len);
}

static int try_small(struct region *r, const char *name, uint64_t len,
		     struct why *why)
{
	int err;

	r->page_len = (uint32_t)sysconf(_SC_PAGESIZE);
	err = region_take_conf(name, &len, r->page_len, why);
	if (err)
		return err;
	err = memfd_map(r, name, len);
	if (err)
		return why_say(why, -ENOMEM,
			       "cannot have a memfd of %llu bytes: %s",
			       (unsigned long long)len, strerror(-err));
	return 0;
}

int region_new_memfd(const char *name, uint64_t len, bool want_huge,
		     struct region **out, struct why *why)
{
	struct region *r = calloc(1, sizeof(*r));
	int err = -ENOMEM;

	if (!r)
		return why_say(why, -ENOMEM, "no memory");
	r->backing = SLUICE_BACKING_MEMFD;
	if (want_huge)
		err = try_huge(r, name, len);
	if (err)
		err = try_small(r, name, len, why);
	if (err) {
		free(r);
		return err;
	}
	region_init(r, name, 0);
	*out = r;
	return 0;
}
