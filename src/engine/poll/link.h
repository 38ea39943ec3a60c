/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_POLL_LINK_H
#define ENGINE_POLL_LINK_H

/*
 * engine/poll - what sluice-poll and the daemon say to each other
 *
 * Messages over a unix SOCK_SEQPACKET socket in the switch's run directory: a
 * head, and behind it a frame, a text or nothing. The first message of a
 * connection says what it is for:
 *
 *     LINK_HELLO    misses one way, packets to send the other way, until one
 *                   side closes; there is one such connection at a time
 *     LINK_OPEN, LINK_SHUT, LINK_QUIT
 *                   one request; sluice-poll answers and closes
 *
 * Both ends run as the same user (or root), each looks at the other's uid; yet
 * nothing in a message is believed before it has been checked. Full sockets
 * lose frames, which the sender counts; nothing waits.
 */

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/annotate.h"

#define LINK_FILE "poll.sock"
#define LINK_BURST 32u	      /* messages in one system call */
#define LINK_BUFFER (4 << 20) /* bytes of a socket's buffer, if permitted */

enum link_kind {
	LINK_HELLO = 1,	 /* body: struct link_hello */
	LINK_MISS = 2,	 /* port: where the frame came in */
	LINK_SEND = 3,	 /* port: where it goes out; from: where it came in */
	LINK_OPEN = 4,	 /* port: whose record is ready */
	LINK_SHUT = 5,	 /* port: to be closed */
	LINK_QUIT = 6,	 /* close all ports and end */
	LINK_ANSWER = 7, /* err; body: a sentence when it is not 0 */
};

struct link_head {
	uint32_t kind; /* enum link_kind */
	uint32_t port;
	uint32_t from;
	int32_t err; /* negative errno */
	struct virtio_net_hdr vnet;
	uint16_t pad;
	uint32_t pad2;
};
_Static_assert(sizeof(struct link_head) == 32, "a frame behind it is aligned");

/* Which memory the daemon means: a file of another number is another switch. */
struct link_hello {
	uint64_t dev;
	uint64_t ino;
};

/*
 * A socket for the link, and the other's address, DIR/poll.sock.
 * returns  the descriptor (close-on-exec, non-blocking), or negative errno
 */
struct sockaddr_un;
int link_socket(const char *dir, struct sockaddr_un *at) MUST_USE;

/* Buffers as large as permitted. */
void link_widen(int fd);

/* Makes reads and connects wait. */
void link_block(int fd);

/*
 * Sends one message. body may be NULL when len is 0.
 * returns  0, -EAGAIN (no room), -EPIPE, or what sendmsg said
 */
int link_say(int fd, const struct link_head *head, const void *body, size_t len)
	MUST_USE;

/* Is the process at the other end ours, or root's? */
bool link_is_ours(int fd);

/* Identity of the memory behind a descriptor. */
int link_identify(int fd, struct link_hello *out) MUST_USE;

#endif
