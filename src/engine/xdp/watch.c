/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The kernel's news (rtnetlink) say only that something is new; each port then
 * looks at its device. So lost or merged news do no harm.
 */

#include "engine/xdp/watch.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int ask(int fd, const char *name, unsigned long what, struct ifreq *out)
{
	memset(out, 0, sizeof(*out));
	strncpy(out->ifr_name, name, IFNAMSIZ - 1);
	return ioctl(fd, what, out) ? -errno : 0;
}

int xdp_device_find(const char *name, struct xdp_device *out)
{
	struct ifreq idx, mtu, mac, flags;
	int err, fd;

	if (strlen(name) >= IFNAMSIZ)
		return -ENODEV;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = ask(fd, name, SIOCGIFINDEX, &idx);
	if (!err)
		err = ask(fd, name, SIOCGIFMTU, &mtu);
	if (!err)
		err = ask(fd, name, SIOCGIFHWADDR, &mac);
	if (!err)
		err = ask(fd, name, SIOCGIFFLAGS, &flags);
	close(fd);
	if (err)
		return err;
	out->ifindex = (uint32_t)idx.ifr_ifindex;
	out->mtu =
		mtu.ifr_mtu > UINT16_MAX ? UINT16_MAX : (uint16_t)mtu.ifr_mtu;
	memcpy(out->mac, mac.ifr_hwaddr.sa_data, 6);
	out->is_running =
		flags.ifr_flags & IFF_UP && flags.ifr_flags & IFF_RUNNING;
	return 0;
}

int xdp_watch_open(void)
{
	struct sockaddr_nl to = {.nl_family = AF_NETLINK,
				 .nl_groups = RTMGRP_LINK};
	int fd;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    NETLINK_ROUTE);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&to, sizeof(to))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

bool xdp_watch_news(int fd)
{
	uint8_t buf[8192];
	bool any = false;

	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_TRUNC);

		if (n < 0 && errno == ENOBUFS) /* some were lost: so, news */
			n = 1;
		if (n <= 0)
			return any;
		any = true;
	}
}
