/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening by kind, and what the kinds share. Segmenting in software was left
 * out: only AF_XDP ports would use it, and a device with a native XDP program
 * turns segments off at its peer.
 */
#include "port/port.h"

#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "packet/csum.h"

static int open_xsk(const struct sluice_port *rec, struct port **out,
		    struct why *why)
{
#ifdef PORT_WITH_XSK
	return port_xsk_port_open(rec, out, why);
#else
	(void)out;
	return why_say(why, -EOPNOTSUPP,
		       "port %s: this sluice-poll was built without AF_XDP",
		       rec->name);
#endif
}

int port_open(const struct sluice_port *rec, struct port **out, struct why *why)
{
	switch ((enum sluice_port_kind)rec->kind) {
	case SLUICE_PORT_PACKET:
		return port_packet_open(rec, out, why);
	case SLUICE_PORT_TAP:
		return port_tap_open(rec, out, why);
	case SLUICE_PORT_PCAP:
		return port_pcap_open(rec, out, why);
	case SLUICE_PORT_MEM:
		return port_mem_open(rec, out, why);
	case SLUICE_PORT_XSK:
		return open_xsk(rec, out, why);
	case SLUICE_PORT_NONE:
	case SLUICE_PORT_XDP:
		break;
	}
	return why_say(why, -EINVAL,
		       "port %s: kind %u is not one of user space", rec->name,
		       rec->kind);
}

void port_close(struct port *p)
{
	if (p)
		p->ops->close(p);
}

int port_netdev(struct port *p, const char *name)
{
	struct ifreq req = {0};
	int s, err = 0;

	if (strlen(name) >= IFNAMSIZ)
		return -ENODEV;
	memcpy(req.ifr_name, name, strlen(name));
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0)
		return -errno;
	if (ioctl(s, SIOCGIFINDEX, &req) != 0)
		goto fail;
	p->ifindex = (uint32_t)req.ifr_ifindex;
	if (ioctl(s, SIOCGIFMTU, &req) != 0)
		goto fail;
	p->mtu = req.ifr_mtu > UINT16_MAX ? UINT16_MAX : (uint16_t)req.ifr_mtu;
	if (ioctl(s, SIOCGIFHWADDR, &req) != 0)
		goto fail;
	memcpy(p->mac, req.ifr_hwaddr.sa_data, 6);
	close(s);
	return 0;

fail:
	err = -errno;
	close(s);
	return err;
}

enum sluice_drop port_make_plain(struct frame *f)
{
	uint32_t start = f->vnet.csum_start;
	uint32_t at = start + f->vnet.csum_offset;
	sluice_be16 sum;

	if (f->vnet.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return SLUICE_DROP_TOO_LONG;
	/* The field holds the pseudo header's sum and is summed with the rest. */
	if ((f->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && at + 2 <= f->len) {
		sum = csum_fold(csum_add(0, f->data + start, f->len - start));
		/* 0 would say "none" in UDP; it is the same number as ffff. */
		if (sum.be == 0)
			sum.be = 0xffff;
		memcpy(f->data + at, &sum, sizeof(sum));
	}
	memset(&f->vnet, 0, sizeof(f->vnet));
	return SLUICE_DROP_NONE;
}
