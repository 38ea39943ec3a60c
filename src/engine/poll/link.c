/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/poll/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int link_socket(const char *dir, struct sockaddr_un *at)
{
	int n, fd;

	*at = (struct sockaddr_un){.sun_family = AF_UNIX};
	n = snprintf(at->sun_path, sizeof(at->sun_path), "%s/" LINK_FILE, dir);
	if (n < 0 || n >= (int)sizeof(at->sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd < 0 ? -errno : fd;
}

void link_widen(int fd)
{
	int size = LINK_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) !=
	    0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

void link_block(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

int link_say(int fd, const struct link_head *head, const void *body, size_t len)
{
	struct iovec iov[2] = {
		{(void *)(uintptr_t)head, sizeof(*head)},
		{(void *)(uintptr_t)body, len},
	};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

bool link_is_ours(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		return false;
	return peer.uid == geteuid() || peer.uid == 0;
}

int link_identify(int fd, struct link_hello *out)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	*out = (struct link_hello){.dev = st.st_dev, .ino = st.st_ino};
	return 0;
}
