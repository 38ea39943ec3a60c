/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/links.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int links_open(void)
{
	const struct sockaddr_nl to = {.nl_family = AF_NETLINK,
				       .nl_groups = RTMGRP_LINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_ROUTE);
	int err;

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

bool links_news(int fd)
{
	char buf[4096];
	bool any = false;

	/* ENOBUFS: some were lost, which is news as well. */
	while (recv(fd, buf, sizeof(buf), MSG_TRUNC) > 0 || errno == ENOBUFS) {
		any = true;
		errno = 0;
	}
	return any;
}

bool links_is_up(int fd, const char *device)
{
	struct ifreq r = {0};

	if (strlen(device) >= IFNAMSIZ)
		return false;
	memcpy(r.ifr_name, device, strlen(device));
	/* Any socket does for this call. */
	return ioctl(fd, SIOCGIFFLAGS, &r) == 0 && r.ifr_flags & IFF_UP &&
	       r.ifr_flags & IFF_RUNNING;
}
