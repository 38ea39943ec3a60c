/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel tells an arena's size and address, so nothing needs to be read
 * before it is mapped. A memfd must be sealed against shrinking, or its maker
 * could make every access of ours a SIGBUS. What cannot be sealed, a plain file
 * (on tmpfs it says so: F_SEAL_SEAL), is taken as the copy of a region that
 * nobody changes.
 */
#include "region/map.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

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

static int map_file(int fd, int prot, struct region_map *out,
		    struct sluice_why *why)
{
	struct stat st;
	uint64_t len;
	void *mem;
	int seals;

	if (fstat(fd, &st))
		return region_say(why, -errno, "cannot ask for its length: %s",
				  strerror(errno));
	if (!S_ISREG(st.st_mode))
		return region_say(why, -EINVAL,
				  "no region: neither a BPF arena nor a memfd "
				  "nor a file");
	seals = fcntl(fd, F_GET_SEALS);
	if (seals >= 0 && !(seals & (F_SEAL_SHRINK | F_SEAL_SEAL)))
		return region_say(why, -EINVAL,
				  "the memfd is not sealed against shrinking");
	if (st.st_size <= 0)
		return region_say(why, -EINVAL, "no region: it is empty");
	len = (uint64_t)st.st_size;
	mem = mmap(NULL, len, prot, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		return region_say(why, -errno, "cannot map the region: %s",
				  strerror(errno));
	*out = (struct region_map){mem, len, SLUICE_BACKING_MEMFD};
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
