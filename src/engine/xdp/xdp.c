/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The engine's control side. What is done per packet of a known flow is in
 * bpf/sluice.bpf.c; ports and sets are in ports.c.
 */

#include "engine/xdp/xdp.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/xdp/private.h"
#include "engine/xdp/watch.h"
#include "region/grace.h"
#include "sluice/atomic.h"

enum {
	L2_LEN = 18,
	CALLS_PER_LOOK = 256 /* recvs with packets until we look at news */
};

static void count(uint64_t *word, uint64_t n)
{
	sluice_store64_relaxed(word, sluice_load64_relaxed(word) + n);
}

/* ---- Packets. ---- */

static int xdp_fd(struct engine *e)
{
	return engine_of(e)->env.epoll_fd;
}

static uint64_t cookie_of(uint32_t no, uint32_t queue, uint32_t id)
{
	return (uint64_t)no << 48 | (uint64_t)queue << 32 | id;
}

static uint32_t port_recv(struct xdp_port *p, struct miss *out, uint32_t n)
{
	struct port_xsk_frame frames[64];
	uint32_t got = 0;

	for (uint32_t q = 0; q < p->n_queues && got < n; q++) {
		uint32_t max = n - got < 64 ? n - got : 64;
		uint32_t m;

		m = p->socks[q] ? port_xsk_recv(p->socks[q], frames, max) : 0;
		for (uint32_t i = 0; i < m; i++)
			out[got++] = (struct miss){
				.data = frames[i].data,
				.len = frames[i].len,
				.in_port = p->no,
				.cookie = cookie_of(p->no, q, frames[i].id),
			};
	}
	return got;
}

static uint32_t xdp_recv(struct engine *e, struct miss *out, uint32_t n)
{
	struct xdp_engine *x = engine_of(e);
	uint32_t got = 0;

	for (uint32_t i = 0; i < SLUICE_PORTS_MAX && got < n; i++) {
		x->turn = (x->turn + 1) % SLUICE_PORTS_MAX;
		if (x->ports[x->turn])
			got += port_recv(x->ports[x->turn], out + got, n - got);
	}
	if (!got || ++x->n_calls % CALLS_PER_LOOK == 0)
		xdp_ports_look(x);
	return got;
}

static void xdp_give(struct engine *e, const struct miss *m, uint32_t n)
{
	struct xdp_engine *x = engine_of(e);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t no = (uint32_t)(m[i].cookie >> 48);
		uint32_t queue = (uint32_t)(m[i].cookie >> 32) & 0xffff;
		struct port_xsk *sock;
		uint64_t lost;

		if (!x->ports[no] || !x->ports[no]->socks[queue])
			continue;
		sock = x->ports[no]->socks[queue];
		port_xsk_give(sock, (uint32_t)m[i].cookie);
		lost = port_xsk_lost(sock);
		if (!lost)
			continue;
		/* They were missed, and this is all that becomes of them. */
		count(&x->lane[no].taken, lost);
		count(&x->lane[no].drops[SLUICE_DROP_MISS_FULL], lost);
	}
}

static enum sluice_drop xdp_send(struct engine *e, uint32_t port,
				 const uint8_t *data, uint32_t len)
{
	struct xdp_engine *x = engine_of(e);
	int err;

	if (port >= SLUICE_PORTS_MAX || !(x->up >> port & 1))
		return SLUICE_DROP_NO_PORT;
	if (len > x->records[port].mtu + (uint32_t)L2_LEN)
		return SLUICE_DROP_TOO_LONG;
	if (!x->ports[port] || !x->ports[port]->socks[0])
		return SLUICE_DROP_TX_FULL; /* not yet: its queue is busy */
	err = port_xsk_send(x->ports[port]->socks[0], data, len);
	if (err)
		return err == -EMSGSIZE ? SLUICE_DROP_TOO_LONG
					: SLUICE_DROP_TX_FULL;
	xdp_capture_sent(&x->capture, port, data, len);
	count(&x->lane[port].tx_packets, 1);
	count(&x->lane[port].tx_bytes, len);
	return SLUICE_DROP_NONE;
}

static void xdp_flush(struct engine *e)
{
	xdp_ports_flush(engine_of(e));
}

/* ---- Grace periods: of other readers of the region, and the kernel's. ---- */

static uint64_t grace_start(struct engine *e)
{
	return region_grace_start(engine_of(e)->grace.all, clock_now_ns());
}

static bool grace_done(struct engine *e, uint64_t ticket)
{
	return region_grace_done(engine_of(e)->grace.all, ticket,
				 clock_now_ns());
}

static uint64_t kernel_start(void *arg)
{
	return xdp_grace_start(arg);
}

static bool kernel_done(void *arg, uint64_t ticket)
{
	return xdp_grace_done(arg, ticket);
}

static int grace_open(struct xdp_engine *x)
{
	struct grace_conf conf = {
		.also = {.start = kernel_start, .done = kernel_done}};
	int err = xdp_grace_new(&x->grace.kernel);

	if (err)
		return err;
	conf.also.arg = x->grace.kernel;
	region_grace_records(x->region, &conf);
	err = region_grace_new(&conf, &x->grace.all);
	if (err)
		xdp_grace_free(x->grace.kernel);
	return err;
}

/* ---- Life. ---- */

static void xdp_close(struct engine *e, bool keep)
{
	struct xdp_engine *x = engine_of(e);

	xdp_ports_close(x, keep);
	if (!keep)
		xdp_pins_remove(&x->pins);
	region_grace_free(x->grace.all);
	xdp_grace_free(x->grace.kernel);
	xdp_capture_fini(&x->capture);
	close(x->watch_fd);
	close(x->timer_fd);
	close(x->env.epoll_fd);
	xdp_maps_close(&x->maps);
	xdp_pins_close(&x->pins);
	free(x);
}

static const struct engine_ops xdp_ops = {
	.name = "xdp",
	.port_add = xdp_ports_add,
	.port_del = xdp_ports_del,
	.set_ports = xdp_ports_set,
	.fd = xdp_fd,
	.recv = xdp_recv,
	.give = xdp_give,
	.send = xdp_send,
	.flush = xdp_flush,
	.grace_start = grace_start,
	.grace_done = grace_done,
	.close = xdp_close,
};

/* Pins the region; what belongs to another region of that name goes. */
static int arena_pin(struct xdp_engine *x, struct why *why)
{
	struct bpf_map_info ours = {0}, theirs = {0};
	uint32_t len = sizeof(ours);
	int err, fd;

	err = bpf_obj_get_info_by_fd(x->region->fd, &ours, &len);
	if (err)
		return why_say(why, err, "the region's arena: %s",
			       strerror(-err));
	fd = xdp_pins_get(&x->pins, "arena");
	if (fd >= 0) {
		len = sizeof(theirs);
		err = bpf_obj_get_info_by_fd(fd, &theirs, &len);
		close(fd);
		if (!err && theirs.id == ours.id)
			return 0;
		log_warning(x->env.log,
			    "removing what an earlier switch left "
			    "in %s",
			    x->pins.dir);
	}
	xdp_pins_clear(&x->pins);
	err = xdp_pins_put(&x->pins, "arena", x->region->fd);
	if (err)
		return why_say(why, err, "cannot pin the region in %s: %s",
			       x->pins.dir, strerror(-err));
	return 0;
}

static int fd_watch(struct xdp_engine *x, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN};

	if (fd < 0)
		return -errno;
	return epoll_ctl(x->env.epoll_fd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static int fds_open(struct xdp_engine *x, struct why *why)
{
	int err = 0;

	x->timer_fd = x->watch_fd = -1;
	x->env.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (x->env.epoll_fd < 0)
		err = -errno;
	if (!err) {
		x->timer_fd = timerfd_create(CLOCK_MONOTONIC,
					     TFD_CLOEXEC | TFD_NONBLOCK);
		err = fd_watch(x, x->timer_fd);
	}
	if (!err) {
		x->watch_fd = xdp_watch_open();
		err = fd_watch(x, x->watch_fd);
	}
	if (!err)
		return 0;
	close(x->watch_fd);
	close(x->timer_fd);
	close(x->env.epoll_fd);
	return why_say(why, err, "cannot watch devices: %s", strerror(-err));
}

static int tables_find(struct xdp_engine *x, struct why *why)
{
	struct region *r = x->region;
	int err;

	if (r->backing != SLUICE_BACKING_ARENA)
		return why_say(why, -EINVAL,
			       "the XDP engine needs a region in a BPF arena");
	err = xdp_tables_find(r, &x->tables, why);
	if (err)
		return err;
	if (x->tables.n_lanes < xdp_engine_n_lanes())
		return why_say(why, -EINVAL,
			       "the region has %u lanes of counters, this "
			       "machine needs %u",
			       x->tables.n_lanes, xdp_engine_n_lanes());
	x->records = (void *)(uintptr_t)x->tables.ports;
	x->lane = (void *)(uintptr_t)x->tables.stats;
	x->sets = (void *)(uintptr_t)x->tables.sets;
	return 0;
}

static int parts_open(struct xdp_engine *x, struct why *why)
{
	int err;

	err = xdp_pins_open(x->region->head->name, &x->pins, why);
	if (err)
		return err;
	err = arena_pin(x, why);
	if (!err)
		err = xdp_maps_open(&x->pins, x->region->fd, &x->maps, why);
	if (err)
		goto undo_pins;
	err = fds_open(x, why);
	if (err)
		goto undo_maps;
	err = xdp_capture_init(&x->capture, &x->maps);
	if (err)
		goto undo_fds;
	err = grace_open(x);
	if (!err)
		return 0;

	xdp_capture_fini(&x->capture);
undo_fds:
	close(x->watch_fd);
	close(x->timer_fd);
	close(x->env.epoll_fd);
undo_maps:
	xdp_maps_close(&x->maps);
undo_pins:
	xdp_pins_close(&x->pins);
	return why_say(why, err, "cannot open the XDP engine: %s",
		       strerror(-err));
}

int xdp_engine_open(const struct xdp_engine_conf *conf, struct engine **out,
		    struct why *why)
{
	struct xdp_engine *x;
	int err;

	x = calloc(1, sizeof(*x));
	if (!x)
		return why_say(why, -ENOMEM, "no memory");
	x->base.ops = &xdp_ops;
	x->region = conf->region;
	x->env.log = conf->log;
	x->env.only_generic = conf->only_generic;
	err = tables_find(x, why);
	if (!err)
		err = parts_open(x, why);
	if (err) {
		free(x);
		return err;
	}
	x->env.pins = &x->pins;
	x->env.maps = &x->maps;
	x->env.tables = &x->tables;
	xdp_ports_adopt(x);
	*out = &x->base;
	return 0;
}
