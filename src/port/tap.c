/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TAP made, or opened when it is there, by name; with virtio headers, so
 * that hosts behind it may leave checksums and segmenting to whoever sends the
 * frame out at last. One read(2) per frame: a TAP has no batches.
 *
 * A TAP that was made here is kept by the kernel until the port is closed in
 * order, so it outlives a crash with its addresses and routes, and the process
 * that comes back finds it. To that one it is a TAP that was there, so then it
 * stays when the port is closed: ip link del.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "port/port.h"

struct tap_port {
	struct port port;
	bool is_made; /* here: it goes with the port */
};

static struct tap_port *of(struct port *p)
{
	return container_of(p, struct tap_port, port);
}

static uint32_t tap_recv(struct port *p, struct frame *out, uint32_t n)
{
	uint32_t i = 0;

	if (p->err)
		return 0;
	while (i < n) {
		struct iovec iov[2] = {
			{&out[i].vnet, sizeof(out[i].vnet)},
			{out[i].room + FRAME_HEADROOM, FRAME_LEN_MAX},
		};
		ssize_t len = readv(p->fd, iov, 2);

		if (len < (ssize_t)sizeof(out[i].vnet)) {
			if (len < 0 && errno == EBADFD)
				p->err = -ENODEV;
			break;
		}
		out[i].data = out[i].room + FRAME_HEADROOM;
		out[i].len = (uint32_t)len - (uint32_t)sizeof(out[i].vnet);
		i++;
	}
	return i;
}

static void tap_send(struct port *p, struct frame *const *frames, uint32_t n,
		     uint8_t *lost)
{
	for (uint32_t i = 0; i < n; i++) {
		struct iovec iov[2] = {
			{&frames[i]->vnet, sizeof(frames[i]->vnet)},
			{frames[i]->data, frames[i]->len},
		};

		lost[i] = SLUICE_DROP_NONE;
		if (writev(p->fd, iov, 2) >= 0)
			continue;
		lost[i] = errno == EMSGSIZE ? SLUICE_DROP_TOO_LONG
					    : SLUICE_DROP_TX_FULL;
		if (errno == EBADFD)
			p->err = -ENODEV;
	}
}

static void tap_close(struct port *p)
{
	struct tap_port *tp = of(p);

	if (tp->is_made)
		ioctl(p->fd, TUNSETPERSIST, 0);
	close(p->fd);
	free(tp);
}

static const struct port_ops tap_ops = {
	.kind = "tap",
	.recv = tap_recv,
	.send = tap_send,
	.close = tap_close,
};

static int set_up(struct tap_port *tp, const char *name)
{
	struct ifreq req = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	unsigned int offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
	int fd = tp->port.fd, s, err = 0;

	tp->is_made = if_nametoindex(name) == 0;
	memcpy(req.ifr_name, name, strlen(name));
	if (ioctl(fd, TUNSETIFF, &req) != 0 ||
	    ioctl(fd, TUNSETOFFLOAD, offloads) != 0)
		return -errno;
	if (tp->is_made && ioctl(fd, TUNSETPERSIST, 1) != 0)
		return -errno;
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0)
		return -errno;
	if (ioctl(s, SIOCGIFFLAGS, &req) != 0)
		err = -errno;
	req.ifr_flags = (short)(req.ifr_flags | IFF_UP);
	if (!err && ioctl(s, SIOCSIFFLAGS, &req) != 0)
		err = -errno;
	close(s);
	return err ? err : port_netdev(&tp->port, name);
}

int port_tap_open(const struct sluice_port *rec, struct port **out,
		  struct why *why)
{
	struct tap_port *tp;
	int err;

	if (!rec->device[0] || strlen(rec->device) >= IFNAMSIZ)
		return why_say(why, -EINVAL,
			       "port %s: '%s' is no name for a TAP: 1 to %d "
			       "bytes",
			       rec->name, rec->device, IFNAMSIZ - 1);
	tp = calloc(1, sizeof(*tp));
	if (!tp)
		return why_say(why, -ENOMEM, "port %s: no memory", rec->name);
	tp->port.ops = &tap_ops;
	tp->port.fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tp->port.fd < 0) {
		err = why_say(why, -errno, "port %s: /dev/net/tun: %s",
			      rec->name, strerror(errno));
		goto undo_alloc;
	}
	err = set_up(tp, rec->device);
	if (err) {
		why_say(why, err, "port %s: TAP %s: %s", rec->name, rec->device,
			strerror(-err));
		tap_close(&tp->port);
		return err;
	}
	*out = &tp->port;
	return 0;

undo_alloc:
	free(tp);
	return err;
}
