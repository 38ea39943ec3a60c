/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The link is pinned: it holds the program, and the program its maps. A new
 * engine loads its own program and puts it into the old link, which is one step
 * for the device's packets; whether the old one was the same does not matter.
 *
 * The sockets of a killed process keep their queues for some 0.3 s more. Until
 * then misses are dropped and counted; known flows do not care.
 */

#include "engine/xdp/port.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "port/xsk_all.h"

enum { L2_LEN = 18 }; /* Ethernet header and one VLAN tag */

static const char *link_name(uint32_t no, char out[16])
{
	snprintf(out, 16, "port-%u", no);
	return out;
}

/* The mode in which the device runs an XDP program. */
static enum sluice_xdp_mode mode_of(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);

	if (bpf_xdp_query((int)ifindex, 0, &q))
		return SLUICE_XDP_NONE;
	if (q.attach_mode == XDP_ATTACHED_SKB)
		return SLUICE_XDP_GENERIC;
	return q.attach_mode == XDP_ATTACHED_NONE ? SLUICE_XDP_NONE
						  : SLUICE_XDP_NATIVE;
}

/* Is the link on this device, here? Its index alone may mean another one. */
static bool link_is_on(int link_fd, uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(link_fd, &info, &len) ||
	    info.xdp.ifindex != ifindex)
		return false;
	return !bpf_xdp_query((int)ifindex, 0, &q) &&
	       (q.prog_id == info.prog_id || q.drv_prog_id == info.prog_id ||
		q.skb_prog_id == info.prog_id);
}

/* Takes over the link of an engine before us; -ENOENT: there is none. */
static int link_adopt(const struct xdp_port_env *env, struct xdp_port *p,
		      int prog_fd)
{
	char name[16];
	int fd;

	fd = xdp_pins_get(env->pins, link_name(p->no, name));
	if (fd < 0)
		return -ENOENT;
	if (!link_is_on(fd, p->ifindex) || bpf_link_update(fd, prog_fd, NULL)) {
		xdp_pins_drop(env->pins, name);
		close(fd);
		return -ENOENT;
	}
	p->link_fd = fd;
	return 0;
}

static int link_new(const struct xdp_port_env *env, struct xdp_port *p,
		    int prog_fd, struct why *why)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_SKB_MODE);
	const char *device = p->rec->device;
	int fd, native = 0;
	char name[16];

	if (env->only_generic)
		fd = bpf_link_create(prog_fd, (int)p->ifindex, BPF_XDP, &opts);
	else
		fd = port_xdp_attach(prog_fd, p->ifindex, &native);
	if (fd == -EBUSY || fd == -EEXIST)
		return why_say(why, fd,
			       "%s has another XDP program; take it off first "
			       "(ip link set %s xdp off)",
			       device, device);
	if (fd < 0)
		return why_say(why, fd, "%s: cannot attach an XDP program: %s",
			       device, strerror(-fd));
	if (native)
		log_warning(env->log,
			    "%s: no native XDP (%s); generic XDP works, but "
			    "is slower",
			    device, strerror(-native));
	p->lacks_native = native == -EOPNOTSUPP;
	p->link_fd = fd;
	fd = xdp_pins_put(env->pins, link_name(p->no, name), fd);
	if (!fd)
		return 0;
	close(p->link_fd);
	return why_say(why, fd, "cannot pin the XDP link of %s: %s", device,
		       strerror(-fd));
}

static int program_attach(const struct xdp_port_env *env, struct xdp_port *p,
			  struct why *why)
{
	int err, prog_fd;

	prog_fd = xdp_program_load(env->tables, env->maps, p->no, p->xsks_fd,
				   why);
	if (prog_fd < 0)
		return prog_fd;
	err = link_adopt(env, p, prog_fd);
	if (err)
		err = link_new(env, p, prog_fd, why);
	close(prog_fd);
	return err;
}

static int sock_open(const struct xdp_port_env *env, struct xdp_port *p,
		     uint32_t queue, struct why *why)
{
	struct port_xsk_conf conf = {
		.device = p->rec->device,
		.queue = queue,
		.frame_max = p->rec->mtu + L2_LEN,
	};
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = p->no};
	struct port_xsk *x;
	int err;

	if (conf.frame_max > port_xsk_frame_max())
		conf.frame_max = port_xsk_frame_max();
	err = port_xsk_open(&conf, &x, why);
	if (err)
		return err;
	err = port_xsk_join(x, p->xsks_fd);
	if (!err &&
	    epoll_ctl(env->epoll_fd, EPOLL_CTL_ADD, port_xsk_fd(x), &ev))
		err = -errno;
	if (err) {
		port_xsk_close(x);
		return why_say(why, err, "%s: AF_XDP socket: %s", conf.device,
			       strerror(-err));
	}
	p->socks[queue] = x;
	return 0;
}

void xdp_port_retry(const struct xdp_port_env *env, struct xdp_port *p)
{
	p->n_missing = 0;
	for (uint32_t i = 0; i < p->n_queues; i++) {
		struct why why = {0};
		int err;

		if (p->socks[i])
			continue;
		err = sock_open(env, p, i, &why);
		if (err == -EBUSY)
			p->n_missing++;
		else if (err)
			log_error(env->log, "%s; its misses will be dropped",
				  why.text);
	}
}

static void record_fill(struct sluice_port *rec, const struct xdp_device *dev)
{
	rec->ifindex = dev->ifindex;
	rec->mtu = dev->mtu;
	memcpy(rec->mac, dev->mac, sizeof(rec->mac));
}

int xdp_port_open(const struct xdp_port_env *env, uint32_t no,
		  struct sluice_port *rec, struct xdp_port **out,
		  struct why *why)
{
	struct xdp_device dev;
	struct xdp_port *p;
	int err;

	err = xdp_device_find(rec->device, &dev);
	if (err)
		return why_say(why, err, "%s: %s", rec->device, strerror(-err));
	p = calloc(1, sizeof(*p));
	if (!p)
		return why_say(why, -ENOMEM, "no memory");
	p->no = no;
	p->rec = rec;
	p->ifindex = dev.ifindex;
	p->n_queues = port_xsk_n_queues(rec->device);
	record_fill(rec, &dev);
	p->xsks_fd = xdp_maps_new_xsks();
	if (p->xsks_fd < 0) {
		err = why_say(why, p->xsks_fd, "cannot make an XSKMAP: %s",
			      strerror(-p->xsks_fd));
		goto undo_alloc;
	}
	err = program_attach(env, p, why);
	if (err)
		goto undo_xsks;
	rec->xdp_mode = mode_of(p->ifindex);
	xdp_port_retry(env, p);
	*out = p;
	return 0;

undo_xsks:
	close(p->xsks_fd);
undo_alloc:
	free(p);
	return err;
}

void xdp_port_forget(const struct xdp_pins *pins, uint32_t no)
{
	char name[16];

	xdp_pins_drop(pins, link_name(no, name));
}

void xdp_port_close(const struct xdp_port_env *env, struct xdp_port *p,
		    bool keep)
{
	if (!p)
		return;
	if (!keep)
		xdp_port_forget(env->pins, p->no);
	close(p->link_fd);
	for (uint32_t i = 0; i < p->n_queues; i++)
		port_xsk_close(p->socks[i]);
	close(p->xsks_fd);
	free(p);
}
