/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel headers of Debian 12 are older than arenas, hence the number. A
 * descriptor from bpf(2) is always close-on-exec.
 */
#include "region/bpf_sys.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAP_TYPE_ARENA 33u
#define ARENA_PAGE 4096u

static int bpf_sys(enum bpf_cmd cmd, union bpf_attr *attr)
{
	long r = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	return r < 0 ? -errno : (int)r;
}

int bpf_sys_arena_new(uint64_t len, uint64_t addr)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = MAP_TYPE_ARENA;
	attr.max_entries = (uint32_t)(len / ARENA_PAGE);
	attr.map_flags = BPF_F_MMAPABLE;
	attr.map_extra = addr;
	memcpy(attr.map_name, "sluice_arena", sizeof("sluice_arena"));
	return bpf_sys(BPF_MAP_CREATE, &attr);
}

int bpf_sys_arena_info(int fd, struct bpf_arena *out)
{
	struct bpf_map_info info;
	union bpf_attr attr;

	memset(&info, 0, sizeof(info));
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uintptr_t)&info;
	if (bpf_sys(BPF_OBJ_GET_INFO_BY_FD, &attr))
		return -EINVAL;
	if (info.type != MAP_TYPE_ARENA)
		return -EMEDIUMTYPE;
	out->len = (uint64_t)info.max_entries * ARENA_PAGE;
	out->addr = info.map_extra;
	return 0;
}

int bpf_sys_obj_get(const char *path)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.pathname = (uintptr_t)path;
	return bpf_sys(BPF_OBJ_GET, &attr);
}
