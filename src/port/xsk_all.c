/* SPDX-License-Identifier: Apache-2.0 */

/* One program and one map per device; the link dies with us. */

#include "port/xsk_all.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>
#include <unistd.h>

#include "xsk_all.skel.h"

int port_xdp_attach(int prog_fd, uint32_t ifindex, int *native)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	int fd;

	fd = bpf_link_create(prog_fd, (int)ifindex, BPF_XDP, &opts);
	*native = fd < 0 ? fd : 0;
	/* Generic mode helps against what the driver cannot do, only. */
	if (fd >= 0 || fd == -EBUSY || fd == -EEXIST || fd == -EPERM ||
	    fd == -ENODEV)
		return fd;
	opts.flags = XDP_FLAGS_SKB_MODE;
	return bpf_link_create(prog_fd, (int)ifindex, BPF_XDP, &opts);
}

int port_xsk_all_open(uint32_t ifindex, struct port_xsk_all *out,
		      struct why *why)
{
	struct xsk_all_bpf *skel = xsk_all_bpf__open_and_load();
	int err, native, map_fd;

	if (!skel)
		return why_say(why, -errno, "cannot load the XDP program: %s",
			       strerror(errno));
	map_fd = dup(bpf_map__fd(skel->maps.xsks));
	if (map_fd < 0) {
		err = why_say(why, -errno, "XSKMAP: %s", strerror(errno));
		goto done;
	}
	err = port_xdp_attach(bpf_program__fd(skel->progs.xsk_all), ifindex,
			      &native);
	if (err < 0) {
		close(map_fd);
		err = why_say(why, err, "cannot attach an XDP program: %s",
			      strerror(-err));
		goto done;
	}
	out->link_fd = err;
	out->map_fd = map_fd;
	out->is_native = !native;
	err = 0;
done:
	xsk_all_bpf__destroy(skel);
	return err;
}

void port_xsk_all_close(struct port_xsk_all *a)
{
	close(a->link_fd);
	close(a->map_fd);
}
