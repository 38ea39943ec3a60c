/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One UMEM per socket, cut into frames of 2 KiB, or 4 KiB where the MTU asks.
 * The first n_rx frames go round between fill and receive ring; the others are
 * for sending, kept on a stack while free.
 *
 * The kernel loses a frame only while the fill ring is empty, and we alone fill
 * it, by give. So only after a give that found it empty can there have been
 * losses, and only then is the kernel asked for its count.
 *
 * Rejected: one UMEM for all sockets, with which a frame could go out without
 * being copied: misses are the rare packets, and a slow port would then hold
 * the memory that another needs. libxdp's own program (the dispatcher): ours is
 * on the device already.
 *
 * A send call of the kernel's takes 32 frames, so flush repeats it.
 */

#include "port/xsk.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xdp/xsk.h>

enum {
	N_RX = 1024, /* frames; both powers of two: ring sizes */
	N_TX = 512,
	FRAME_SMALL = 2048, /* bytes */
	FRAME_LARGE = 4096,
	HEADROOM = 256, /* XDP_PACKET_HEADROOM, which the kernel takes */
	FLUSH_TRIES = 2 * N_TX / 32,
};

struct port_xsk {
	uint32_t queue;
	uint32_t frame_len; /* bytes from one frame to the next */
	uint32_t frame_max;
	uint8_t *area;
	size_t area_len;
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	struct xsk_ring_prod fill, tx;
	struct xsk_ring_cons comp, rx;

	bool may_have_lost;
	uint64_t n_lost; /* as the kernel counted them, when last asked */

	uint32_t n_free; /* frames for sending */
	uint32_t free[N_TX];
};

uint32_t port_xsk_n_queues(const char *device)
{
	struct ethtool_channels ch = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq ifr = {.ifr_data = (char *)&ch};
	uint32_t n = 1;
	int fd;

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return n;
	strncpy(ifr.ifr_name, device, IFNAMSIZ - 1);
	if (!ioctl(fd, SIOCETHTOOL, &ifr))
		n = ch.rx_count + ch.combined_count;
	close(fd);
	if (n < 1)
		n = 1;
	return n < PORT_XSK_QUEUES_MAX ? n : PORT_XSK_QUEUES_MAX;
}

uint32_t port_xsk_frame_max(void)
{
	return FRAME_LARGE - HEADROOM;
}

static uint8_t *frame_at(struct port_xsk *x, uint64_t addr)
{
	return x->area + addr;
}

/* All receive frames into the fill ring, the others onto the stack. */
static int fill_init(struct port_xsk *x)
{
	uint32_t at;

	if (xsk_ring_prod__reserve(&x->fill, N_RX, &at) != N_RX)
		return -ENOMEM;
	for (uint32_t i = 0; i < N_RX; i++)
		*xsk_ring_prod__fill_addr(&x->fill, at + i) =
			(uint64_t)i * x->frame_len;
	xsk_ring_prod__submit(&x->fill, N_RX);
	for (uint32_t i = 0; i < N_TX; i++)
		x->free[x->n_free++] = N_RX + i;
	return 0;
}

static int socket_open(struct port_xsk *x, const char *device)
{
	const struct xsk_umem_config uconf = {
		.fill_size = N_RX,
		.comp_size = N_TX,
		.frame_size = x->frame_len,
	};
	const struct xsk_socket_config sconf = {
		.rx_size = N_RX,
		.tx_size = N_TX,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = XDP_USE_NEED_WAKEUP,
	};
	int err;

	err = xsk_umem__create(&x->umem, x->area,
			       (uint64_t)(N_RX + N_TX) * x->frame_len, &x->fill,
			       &x->comp, &uconf);
	if (err)
		return err;
	err = fill_init(x);
	if (!err)
		err = xsk_socket__create(&x->socket, device, x->queue, x->umem,
					 &x->rx, &x->tx, &sconf);
	if (err)
		xsk_umem__delete(x->umem);
	return err;
}

static int area_new(struct port_xsk *x)
{
	/* Behind the last frame there is room, too. */
	x->area_len = (size_t)(N_RX + N_TX) * x->frame_len + FRAME_LARGE;
	x->area = mmap(NULL, x->area_len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return x->area == MAP_FAILED ? -ENOMEM : 0;
}

int port_xsk_open(const struct port_xsk_conf *conf, struct port_xsk **out,
		  struct why *why)
{
	struct port_xsk *x;
	int err;

	if (conf->frame_max > port_xsk_frame_max())
		return why_say(why, -EINVAL,
			       "%s: frames of %u bytes are too long for AF_XDP "
			       "(at most %u)",
			       conf->device, conf->frame_max,
			       port_xsk_frame_max());
	x = calloc(1, sizeof(*x));
	if (!x)
		return why_say(why, -ENOMEM, "no memory");
	x->queue = conf->queue;
	x->frame_max = conf->frame_max;
	x->frame_len = FRAME_SMALL;
	if (conf->frame_max > FRAME_SMALL - HEADROOM)
		x->frame_len = FRAME_LARGE;
	err = area_new(x);
	if (err)
		goto undo_alloc;
	err = socket_open(x, conf->device);
	if (err)
		goto undo_area;
	*out = x;
	return 0;

undo_area:
	munmap(x->area, x->area_len);
undo_alloc:
	free(x);
	return why_say(why, err, "%s: AF_XDP socket on queue %u: %s",
		       conf->device, conf->queue, strerror(-err));
}

void port_xsk_close(struct port_xsk *x)
{
	if (!x)
		return;
	xsk_socket__delete(x->socket);
	xsk_umem__delete(x->umem);
	munmap(x->area, x->area_len);
	free(x);
}

int port_xsk_join(struct port_xsk *x, int map_fd)
{
	return xsk_socket__update_xskmap(x->socket, map_fd);
}

int port_xsk_fd(const struct port_xsk *x)
{
	return xsk_socket__fd(x->socket);
}

uint32_t port_xsk_recv(struct port_xsk *x, struct port_xsk_frame *out,
		       uint32_t n)
{
	uint32_t at;

	n = xsk_ring_cons__peek(&x->rx, n, &at);
	for (uint32_t i = 0; i < n; i++) {
		const struct xdp_desc *d =
			xsk_ring_cons__rx_desc(&x->rx, at + i);

		out[i].data = frame_at(x, d->addr);
		out[i].len = d->len;
		out[i].id = (uint32_t)(d->addr / x->frame_len);
	}
	xsk_ring_cons__release(&x->rx, n);
	return n;
}

void port_xsk_give(struct port_xsk *x, uint32_t id)
{
	uint32_t at;

	if (__atomic_load_n(x->fill.consumer, __ATOMIC_RELAXED) ==
	    x->fill.cached_prod)
		x->may_have_lost = true;
	/* There is room: the ring is as large as all that can be lent. */
	if (xsk_ring_prod__reserve(&x->fill, 1, &at) != 1)
		return;
	*xsk_ring_prod__fill_addr(&x->fill, at) = (uint64_t)id * x->frame_len;
	xsk_ring_prod__submit(&x->fill, 1);
}

uint64_t port_xsk_lost(struct port_xsk *x)
{
	struct xdp_statistics st = {0};
	socklen_t len = sizeof(st);
	uint64_t n;

	if (!x->may_have_lost)
		return 0;
	if (getsockopt(port_xsk_fd(x), SOL_XDP, XDP_STATISTICS, &st, &len))
		return 0;
	x->may_have_lost = false;
	n = st.rx_dropped + st.rx_ring_full - x->n_lost;
	x->n_lost += n;
	return n;
}

/* Takes back the frames that the device has sent. */
static void reap(struct port_xsk *x)
{
	uint32_t at;
	uint32_t n = xsk_ring_cons__peek(&x->comp, N_TX, &at);

	for (uint32_t i = 0; i < n; i++) {
		uint64_t addr = *xsk_ring_cons__comp_addr(&x->comp, at + i);

		x->free[x->n_free++] = (uint32_t)(addr / x->frame_len);
	}
	xsk_ring_cons__release(&x->comp, n);
}

int port_xsk_send(struct port_xsk *x, const uint8_t *data, uint32_t len)
{
	struct xdp_desc *d;
	uint32_t at;

	if (len > x->frame_max)
		return -EMSGSIZE;
	if (!x->n_free)
		port_xsk_flush(x);
	if (!x->n_free || xsk_ring_prod__reserve(&x->tx, 1, &at) != 1)
		return -ENOBUFS;
	d = xsk_ring_prod__tx_desc(&x->tx, at);
	d->addr = (uint64_t)x->free[--x->n_free] * x->frame_len;
	d->len = len;
	d->options = 0;
	memcpy(frame_at(x, d->addr), data, len);
	xsk_ring_prod__submit(&x->tx, 1);
	return 0;
}

static bool has_unsent(const struct port_xsk *x)
{
	return __atomic_load_n(x->tx.consumer, __ATOMIC_RELAXED) !=
	       x->tx.cached_prod;
}

bool port_xsk_flush(struct port_xsk *x)
{
	for (int i = 0; i < FLUSH_TRIES && has_unsent(x); i++) {
		ssize_t got =
			sendto(port_xsk_fd(x), NULL, 0, MSG_DONTWAIT, NULL, 0);

		/* EAGAIN: it took 32, and there are more. */
		if (got < 0 && errno != EAGAIN)
			break;
	}
	reap(x);
	return !has_unsent(x);
}
