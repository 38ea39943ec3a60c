/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network device through AF_XDP: one socket per receive queue, and a program
 * that gives them all the device's packets. Frames are sent by the first
 * queue; who sends has one thread anyway.
 *
 * XDP knows no virtio header: a frame comes as it lies in memory, so a host at
 * the other end of a veth must finish its checksums itself (ethtool -K eth0 tx
 * off), and segments are refused here when they are to be sent.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port/port.h"
#include "port/xsk.h"
#include "port/xsk_all.h"

struct lent {
	uint32_t queue;
	uint32_t id;
};

struct xsk_port {
	struct port port; /* its fd: an epoll of all the sockets */
	char name[SLUICE_PORT_NAME_LEN];
	struct port_xsk_all all;
	uint32_t n_queues;
	uint32_t next; /* the queue that the next recv begins with */
	struct port_xsk *queues[PORT_XSK_QUEUES_MAX];
	uint32_t n_lent;
	struct lent lent[PORT_BURST];
};

static struct xsk_port *of(struct port *p)
{
	return container_of(p, struct xsk_port, port);
}

/* A socket whose device went says so once. */
static void look_after(struct xsk_port *xp)
{
	struct port now = {0};
	int err = 0;
	socklen_t len = sizeof(err);

	for (uint32_t i = 0; i < xp->n_queues; i++)
		if (getsockopt(port_xsk_fd(xp->queues[i]), SOL_SOCKET, SO_ERROR,
			       &err, &len) == 0 &&
		    err != 0 &&
		    (port_netdev(&now, xp->name) != 0 ||
		     now.ifindex != xp->port.ifindex))
			xp->port.err = -ENODEV;
}

static void give_back(struct xsk_port *xp)
{
	for (uint32_t i = 0; i < xp->n_lent; i++)
		port_xsk_give(xp->queues[xp->lent[i].queue], xp->lent[i].id);
	xp->n_lent = 0;
}

static uint32_t xsk_recv(struct port *p, struct frame *out, uint32_t n)
{
	struct port_xsk_frame got[PORT_BURST];
	struct xsk_port *xp = of(p);

	give_back(xp);
	for (uint32_t i = 0; i < xp->n_queues && xp->n_lent < n; i++) {
		uint32_t q = xp->next + i < xp->n_queues
				     ? xp->next + i
				     : xp->next + i - xp->n_queues;
		uint32_t n_got =
			port_xsk_recv(xp->queues[q], got, n - xp->n_lent);

		for (uint32_t j = 0; j < n_got; j++) {
			struct frame *f = &out[xp->n_lent];

			f->data = got[j].data;
			f->len = got[j].len;
			memset(&f->vnet, 0, sizeof(f->vnet));
			xp->lent[xp->n_lent++] = (struct lent){q, got[j].id};
		}
	}
	xp->next = xp->next + 1 < xp->n_queues ? xp->next + 1 : 0;
	if (xp->n_lent == 0)
		look_after(xp);
	return xp->n_lent;
}

static void xsk_send(struct port *p, struct frame *const *frames, uint32_t n,
		     uint8_t *lost)
{
	struct port_xsk *x = of(p)->queues[0];

	for (uint32_t i = 0; i < n; i++) {
		struct frame *f = frames[i];
		int err;

		lost[i] = (uint8_t)port_make_plain(f);
		if (lost[i])
			continue;
		err = port_xsk_send(x, f->data, f->len);
		if (err)
			lost[i] = err == -EMSGSIZE ? SLUICE_DROP_TOO_LONG
						   : SLUICE_DROP_TX_FULL;
	}
	port_xsk_flush(x);
}

static uint64_t xsk_losses(struct port *p)
{
	struct xsk_port *xp = of(p);
	uint64_t n = 0;

	for (uint32_t i = 0; i < xp->n_queues; i++)
		n += port_xsk_lost(xp->queues[i]);
	return n;
}

/* The program goes first: no packet is given to a socket that is closed. */
static void xsk_close(struct port *p)
{
	struct xsk_port *xp = of(p);

	if (xp->all.link_fd >= 0)
		port_xsk_all_close(&xp->all);
	for (uint32_t i = 0; i < xp->n_queues; i++)
		port_xsk_close(xp->queues[i]);
	if (p->fd >= 0)
		close(p->fd);
	free(xp);
}

static const struct port_ops xsk_ops = {
	.kind = "xsk",
	.recv = xsk_recv,
	.send = xsk_send,
	.losses = xsk_losses,
	.close = xsk_close,
};

static int open_queue(struct xsk_port *xp, const char *device, struct why *why)
{
	struct port_xsk_conf conf = {
		.device = device,
		.queue = xp->n_queues,
		.frame_max = port_xsk_frame_max(),
	};
	struct epoll_event ev = {.events = EPOLLIN};
	struct port_xsk *x;
	int err = port_xsk_open(&conf, &x, why);

	if (err)
		return err;
	xp->queues[xp->n_queues++] = x;
	err = port_xsk_join(x, xp->all.map_fd);
	if (!err &&
	    epoll_ctl(xp->port.fd, EPOLL_CTL_ADD, port_xsk_fd(x), &ev) != 0)
		err = -errno;
	if (err)
		why_say(why, err, "queue %u: %s", conf.queue, strerror(-err));
	return err;
}

static int set_up(struct xsk_port *xp, const char *device, struct why *why)
{
	uint32_t n_queues = port_xsk_n_queues(device);
	int err = port_netdev(&xp->port, device);

	if (err)
		return why_say(why, err, "%s", strerror(-err));
	xp->port.fd = epoll_create1(EPOLL_CLOEXEC);
	if (xp->port.fd < 0)
		return why_say(why, -errno, "epoll: %s", strerror(errno));
	err = port_xsk_all_open(xp->port.ifindex, &xp->all, why);
	if (err) {
		xp->all.link_fd = -1;
		return err;
	}
	if (n_queues > PORT_XSK_QUEUES_MAX)
		n_queues = PORT_XSK_QUEUES_MAX;
	while (!err && xp->n_queues < n_queues)
		err = open_queue(xp, device, why);
	return err;
}

int port_xsk_port_open(const struct sluice_port *rec, struct port **out,
		       struct why *why)
{
	struct xsk_port *xp = calloc(1, sizeof(*xp));
	int err;

	if (!xp)
		return why_say(why, -ENOMEM, "port %s: no memory", rec->name);
	xp->port.ops = &xsk_ops;
	xp->port.fd = xp->all.link_fd = -1;
	if (strlen(rec->device) < sizeof(xp->name))
		memcpy(xp->name, rec->device, strlen(rec->device));
	err = set_up(xp, rec->device, why);
	if (err) {
		why_at(why, "port %s: device %s: AF_XDP", rec->name,
		       rec->device);
		xsk_close(&xp->port);
		return err;
	}
	*out = &xp->port;
	return 0;
}
