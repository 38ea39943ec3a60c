/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGION_BPF_SYS_H
#define REGION_BPF_SYS_H

/*
 * region/bpf_sys - the three bpf(2) calls that a region needs
 *
 * Straight to the kernel, so that who only makes or reads a region needs no
 * libbpf.
 */

#include <stdint.h>

/* An arena, as the kernel describes it. */
struct bpf_arena {
	uint64_t len;  /* bytes */
	uint64_t addr; /* the only place where it can be mapped */
};

/*
 * A new arena. Returns a descriptor (close-on-exec), or negative errno;
 * -EINVAL also from a kernel that does not know arenas.
 */
int bpf_sys_arena_new(uint64_t len, uint64_t addr);

/*
 * returns  0
 *          -EINVAL      fd is no BPF map
 *          -EMEDIUMTYPE it is a BPF map, but no arena
 */
int bpf_sys_arena_info(int fd, struct bpf_arena *out);

/* Opens what is pinned at path. A descriptor, or negative errno. */
int bpf_sys_obj_get(const char *path);

#endif
