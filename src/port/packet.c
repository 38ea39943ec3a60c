/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network device through AF_PACKET, by recvmmsg and sendmmsg with virtio
 * headers. TPACKET_V3 rings were rejected: they hand over a block when it is
 * full or a timer fires, which costs latency on quiet links, their blocks
 * cannot hold 64 KiB segments without waste, and sending needs its own copy
 * there as well. No PACKET_QDISC_BYPASS: a queue on the device is somebody's
 * intent.
 *
 * The kernel takes a received frame's outer VLAN tag off and gives it beside;
 * it is put back here, so that engines only know frames as on the wire.
 *
 * The device's own stack sees the frames too, as it does with any capture: an
 * operator gives such a device no addresses.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port/port.h"

#define SOCKET_BUFFER (8 << 20) /* bytes: some ms of a fast sender */
#define VLAN_LEN 4u
#define MACS_LEN 12u

union aux_room {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
};

struct packet_port {
	struct port port;
	char name[SLUICE_PORT_NAME_LEN];
	struct mmsghdr rx[PORT_BURST];
	struct mmsghdr tx[PORT_BURST];
	struct iovec rx_iov[PORT_BURST][2];
	struct iovec tx_iov[PORT_BURST][2];
	union aux_room aux[PORT_BURST];
	uint64_t n_lost; /* too long, or of a kind that virtio cannot say */
};

static struct packet_port *of(struct port *p)
{
	return container_of(p, struct packet_port, port);
}

/* ENETDOWN says that the device went down, or went: down ones come back. */
static void note_error(struct packet_port *pp, int err)
{
	struct port now = {0};

	if (err != ENETDOWN && err != ENXIO && err != ENODEV)
		return;
	if (port_netdev(&now, pp->name) != 0 || now.ifindex != pp->port.ifindex)
		pp->port.err = -ENODEV;
}

static const struct tpacket_auxdata *aux_of(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	if (!c || c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
		return NULL;
	return (const struct tpacket_auxdata *)(const void *)CMSG_DATA(c);
}

static void put_tag_back(struct frame *f, const struct tpacket_auxdata *aux)
{
	bool has_type = aux->tp_status & TP_STATUS_VLAN_TPID_VALID;
	uint16_t tag[2] = {
		htons(has_type ? aux->tp_vlan_tpid : ETH_P_8021Q),
		htons(aux->tp_vlan_tci),
	};

	if (f->len < MACS_LEN)
		return;
	memmove(f->data - VLAN_LEN, f->data, MACS_LEN);
	f->data -= VLAN_LEN;
	f->len += VLAN_LEN;
	memcpy(f->data + MACS_LEN, tag, sizeof(tag));
	/* The kernel's offsets are those of the frame without its tag. */
	if (f->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		f->vnet.csum_start = (uint16_t)(f->vnet.csum_start + VLAN_LEN);
	if (f->vnet.hdr_len)
		f->vnet.hdr_len = (uint16_t)(f->vnet.hdr_len + VLAN_LEN);
}

/* One message into its frame; false: not a whole frame. */
static bool take(struct mmsghdr *m, struct frame *f)
{
	const struct tpacket_auxdata *aux;

	if (m->msg_len < sizeof(f->vnet) || (m->msg_hdr.msg_flags & MSG_TRUNC))
		return false;
	f->data = f->room + FRAME_HEADROOM;
	f->len = m->msg_len - (uint32_t)sizeof(f->vnet);
	aux = aux_of(&m->msg_hdr);
	if (aux && (aux->tp_status & TP_STATUS_VLAN_VALID))
		put_tag_back(f, aux);
	return true;
}

static uint32_t packet_recv(struct port *p, struct frame *out, uint32_t n)
{
	struct packet_port *pp = of(p);
	uint32_t n_out = 0;
	int got;

	if (p->err)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		pp->rx_iov[i][0].iov_base = &out[i].vnet;
		pp->rx_iov[i][1].iov_base = out[i].room + FRAME_HEADROOM;
		pp->rx[i].msg_hdr.msg_controllen = sizeof(pp->aux[i]);
	}
	got = recvmmsg(p->fd, pp->rx, n, MSG_DONTWAIT, NULL);
	if (got < 0) {
		pp->n_lost += errno == EINVAL;
		note_error(pp, errno);
		return 0;
	}
	for (uint32_t i = 0; i < (uint32_t)got; i++) {
		struct frame swap = out[i];

		if (!take(&pp->rx[i], &swap)) {
			pp->n_lost++;
			continue;
		}
		/* Rooms stay with their frames when one is left out. */
		out[i].room = out[n_out].room;
		out[n_out++] = swap;
	}
	return n_out;
}

static enum sluice_drop reason_of(int err)
{
	return err == EMSGSIZE ? SLUICE_DROP_TOO_LONG : SLUICE_DROP_TX_FULL;
}

static void packet_send(struct port *p, struct frame *const *frames, uint32_t n,
			uint8_t *lost)
{
	struct packet_port *pp = of(p);
	uint32_t i = 0;

	for (uint32_t j = 0; j < n; j++) {
		pp->tx_iov[j][0].iov_base = &frames[j]->vnet;
		pp->tx_iov[j][1].iov_base = frames[j]->data;
		pp->tx_iov[j][1].iov_len = frames[j]->len;
	}
	while (i < n) {
		int sent = sendmmsg(p->fd, &pp->tx[i], n - i, MSG_DONTWAIT);

		if (sent <= 0) {
			/* The first of the rest failed; the others may not. */
			note_error(pp, errno);
			lost[i++] = (uint8_t)reason_of(errno);
			continue;
		}
		memset(lost + i, SLUICE_DROP_NONE, (size_t)sent);
		i += (uint32_t)sent;
	}
}

static uint64_t packet_losses(struct port *p)
{
	struct tpacket_stats st = {0};
	socklen_t len = sizeof(st);
	uint64_t n = of(p)->n_lost;

	of(p)->n_lost = 0;
	/* Reading clears. */
	if (getsockopt(p->fd, SOL_PACKET, PACKET_STATISTICS, &st, &len) == 0)
		n += st.tp_drops;
	return n;
}

static void packet_close(struct port *p)
{
	struct packet_port *pp = of(p);

	close(p->fd);
	free(pp);
}

static const struct port_ops packet_ops = {
	.kind = "packet",
	.recv = packet_recv,
	.send = packet_send,
	.losses = packet_losses,
	.close = packet_close,
};

static void wire_messages(struct packet_port *pp)
{
	for (uint32_t i = 0; i < PORT_BURST; i++) {
		pp->rx_iov[i][0].iov_len = sizeof(struct virtio_net_hdr);
		pp->rx_iov[i][1].iov_len = FRAME_LEN_MAX - VLAN_LEN;
		pp->tx_iov[i][0].iov_len = sizeof(struct virtio_net_hdr);
		pp->rx[i].msg_hdr.msg_iov = pp->rx_iov[i];
		pp->rx[i].msg_hdr.msg_iovlen = 2;
		pp->rx[i].msg_hdr.msg_control = &pp->aux[i];
		pp->tx[i].msg_hdr.msg_iov = pp->tx_iov[i];
		pp->tx[i].msg_hdr.msg_iovlen = 2;
	}
}

static int set(int fd, int option, int value)
{
	return setsockopt(fd, SOL_PACKET, option, &value, sizeof(value));
}

/* Listening begins with bind: nothing from other devices comes before. */
static int set_up(struct packet_port *pp)
{
	struct packet_mreq promisc = {.mr_ifindex = (int)pp->port.ifindex,
				      .mr_type = PACKET_MR_PROMISC};
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = (int)pp->port.ifindex};
	int fd = pp->port.fd, size = SOCKET_BUFFER;

	if (set(fd, PACKET_VNET_HDR, 1) != 0 ||
	    set(fd, PACKET_AUXDATA, 1) != 0 ||
	    set(fd, PACKET_IGNORE_OUTGOING, 1) != 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promisc,
		       sizeof(promisc)) != 0)
		return -errno;
	/* Beyond the machine's limit where that is permitted, else up to it. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) !=
	    0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) !=
	    0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0)
		return -errno;
	return 0;
}

int port_packet_open(const struct sluice_port *rec, struct port **out,
		     struct why *why)
{
	struct packet_port *pp = calloc(1, sizeof(*pp));
	int err;

	if (!pp)
		return why_say(why, -ENOMEM, "port %s: no memory", rec->name);
	pp->port.ops = &packet_ops;
	if (strlen(rec->device) < sizeof(pp->name))
		memcpy(pp->name, rec->device, strlen(rec->device));
	err = port_netdev(&pp->port, rec->device);
	if (err) {
		why_say(why, err, "port %s: device %s: %s", rec->name,
			rec->device, strerror(-err));
		goto undo_alloc;
	}
	pp->port.fd =
		socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (pp->port.fd < 0) {
		err = why_say(why, -errno, "port %s: AF_PACKET socket: %s",
			      rec->name, strerror(errno));
		goto undo_alloc;
	}
	err = set_up(pp);
	if (err) {
		why_say(why, err, "port %s: device %s: AF_PACKET: %s",
			rec->name, rec->device, strerror(-err));
		goto undo_socket;
	}
	wire_messages(pp);
	*out = &pp->port;
	return 0;

undo_socket:
	close(pp->port.fd);
undo_alloc:
	free(pp);
	return err;
}
