/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel tells an arena's size and address, so nothing needs to be read
 * before it is mapped. A memfd must be sealed against shrinking, or its maker
 * could make every access of ours a SIGBUS. What cannot be sealed, a plain file
 * (on tmpfs it says so: F_SEAL_SEAL), must be of somebody whom we trust not to.
 */
#include "region/map.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "region/bpf_sys.h"
#include "region/check.h"

static int map_arena(int fd, int prot, const struct bpf_arena *arena,
		     struct region_map *out, struct sluice_why *why)
{
	void *at = (void *)(uintptr_t)arena->addr;
	void *mem = mmap(at, arena->len, prot, MAP_SHARED | MAP_FIXED_NOREPLACE,
			 fd, 0);

	if (mem == MAP_FAILED && errno == EEXIST)
		return region_say(why, -EBUSY,
				  "the arena must lie at %p, where this "
				  "process has something else: another arena, "
				  "or this one already",
				  at);
	if (mem == MAP_FAILED)
		return region_say(why, -errno, "cannot map the arena at %p: %s",
				  at, strerror(errno));
	*out = (struct region_map){mem, arena->len, SLUICE_BACKING_ARENA};
	return 0;
}

/*
 * A file of a region lasts as long as nobody cuts it off: it belongs to root or
 * us, and nobody else may write it. One without a name cannot be opened.
 */
static int check_mode(const struct stat *st, struct sluice_why *why)
{
	if (st->st_nlink == 0)
		return 0;
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return region_say(why, -EPERM,
				  "the file belongs to user %u, who could cut "
				  "it off: take one of your own or of root's",
				  (unsigned)st->st_uid);
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return region_say(why, -EPERM,
				  "others may write the file (mode %04o) and "
				  "could cut it off: chmod go-w",
				  (unsigned)st->st_mode & 07777);
	return 0;
}

static bool is_memfd(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && seals != F_SEAL_SEAL;
}

static int say_none(struct sluice_why *why)
{
	return region_say(why, -EINVAL,
			  "no region: neither a BPF arena nor a memfd nor a "
			  "file nor a DAX device");
}

int region_file_stat(int fd, struct region_file *out, struct sluice_why *why)
{
	struct stat st;
	int err = 0;

	if (fstat(fd, &st))
		return region_say(why, -errno, "cannot ask for its length: %s",
				  strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		return say_none(why);
	if (S_ISCHR(st.st_mode)) {
		err = region_dax_stat(st.st_rdev, out, why);
		if (err)
			return err;
		return check_mode(&st, why);
	}
	out->len = st.st_size < 0 ? 0 : (uint64_t)st.st_size;
	out->page_len = region_file_page(fd);
	out->backing =
		is_memfd(fd) ? SLUICE_BACKING_MEMFD : SLUICE_BACKING_FILE;
	return out->backing == SLUICE_BACKING_FILE ? check_mode(&st, why) : 0;
}

static int map_file(int fd, int prot, struct region_map *out,
		    struct sluice_why *why)
{
	struct region_file f = {0};
	void *mem;
	int err = region_file_stat(fd, &f, why);

	if (err == -ENOTTY)
		return say_none(why);
	if (err)
		return err;
	if (f.backing == SLUICE_BACKING_MEMFD &&
	    !(fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK))
		return region_say(why, -EINVAL,
				  "the memfd is not sealed against shrinking");
	if (!f.len)
		return region_say(why, -EINVAL, "no region: it is empty");
	mem = mmap(NULL, f.len, prot, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		return region_say(why, -errno, "cannot map the region: %s",
				  strerror(errno));
	*out = (struct region_map){mem, f.len, f.backing};
	return 0;
}

int region_map_fd(int fd, bool is_writer, struct region_map *out,
		  struct sluice_why *why)
{
	int prot = is_writer ? PROT_READ | PROT_WRITE : PROT_READ;
	struct bpf_arena arena;
	int err = bpf_sys_arena_info(fd, &arena);

	if (err == -EMEDIUMTYPE)
		return region_say(why, -EINVAL,
				  "no region: a BPF map, but no arena");
	if (err)
		return map_file(fd, prot, out, why);
	return map_arena(fd, prot, &arena, out, why);
}
