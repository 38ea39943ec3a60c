/* SPDX-License-Identifier: Apache-2.0 */

/* What can be known before a region exists: each thing is tried, not guessed. */

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/xdp/xdp.h"
#include "region/bpf_sys.h"
#include "sluice/capture.h"

uint32_t xdp_engine_n_lanes(void)
{
	int n = libbpf_num_possible_cpus();

	return 1 + (n > 0 ? (uint32_t)n : 1);
}

static int try_arena(struct why *why)
{
	int fd = bpf_sys_arena_new(4096, 1ull << 44);

	if (fd == -EPERM || fd == -EACCES)
		return why_say(why, -EPERM,
			       "the XDP engine needs rights that this process "
			       "lacks (be root, or have CAP_BPF, CAP_NET_ADMIN "
			       "and CAP_NET_RAW)");
	if (fd < 0)
		return why_say(why, -EOPNOTSUPP,
			       "the XDP engine needs BPF arenas, which this "
			       "kernel lacks (they came with Linux 6.9)");
	close(fd);
	return 0;
}

static int try_program(struct why *why)
{
	/* return XDP_PASS */
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "probe", "GPL", insns, 2,
			       NULL);

	if (fd < 0)
		return why_say(why, fd == -EACCES ? -EPERM : fd,
			       "the XDP engine cannot load XDP programs: %s",
			       strerror(-fd));
	close(fd);
	return 0;
}

static int try_socket(struct why *why)
{
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 && errno == EPERM)
		return why_say(why, -EPERM,
			       "the XDP engine needs CAP_NET_RAW for AF_XDP");
	if (fd < 0)
		return why_say(why, -EOPNOTSUPP,
			       "this kernel has no AF_XDP sockets");
	close(fd);
	return 0;
}

int xdp_engine_available(struct why *why)
{
	int err;

	err = try_arena(why);
	if (!err)
		err = try_program(why);
	if (!err)
		err = try_socket(why);
	return err;
}

int xdp_engine_find(const char *name, int *fd, struct why *why)
{
	char path[128];
	int got;

	snprintf(path, sizeof(path), SLUICE_BPF_DIR "/%.32s/arena", name);
	got = bpf_sys_obj_get(path);
	if (got < 0)
		return why_say(why, got, "%s: %s", path, strerror(-got));
	*fd = got;
	return 0;
}
