/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_XSK_H
#define PORT_XSK_H

/*
 * port/xsk - an AF_XDP socket on one receive queue of a device
 *
 * Frames come by the XDP program of the device, which puts them into the map
 * that has the socket (port_xsk_join()); port/xsk_all.h has a program that
 * does so with all of them. Frames are sent past that program. The socket has
 * its own packet memory; nothing is shared between sockets.
 *
 * Used by one thread. A frame that arrives while no frame memory is free is
 * lost in the kernel; port_xsk_lost() counts such.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/annotate.h"
#include "base/why.h"

#define PORT_XSK_QUEUES_MAX 64u
#define PORT_XSK_ROOM 64u /* bytes behind a received frame that may be used */

/* Opaque. */
struct port_xsk;

struct port_xsk_conf {
	const char *device; /* in the network namespace of the thread */
	uint32_t queue;	    /* receive queue; frames are sent on it, too */
	uint32_t frame_max; /* bytes of the longest frame received or sent */
};

/* A received frame; lent until port_xsk_give(). */
struct port_xsk_frame {
	uint8_t *data; /* may be written */
	uint32_t len;  /* bytes */
	uint32_t id;   /* names the frame to give */
};

/* Receive queues of a device, at least 1. */
uint32_t port_xsk_n_queues(const char *device);

/* The longest frame_max: what fits a page beside the kernel's headroom. */
uint32_t port_xsk_frame_max(void);

/*
 * Opens a socket.
 *
 * returns  0
 *          -EBUSY   the queue has a socket, maybe of a process that was just
 *                   killed: it goes within a second, so try again
 *          -EINVAL  frame_max; or there is no such queue
 *          -ENODEV, -EPERM, -ENOMEM, -EOPNOTSUPP
 */
int port_xsk_open(const struct port_xsk_conf *conf, struct port_xsk **out,
		  struct why *why) MUST_USE;

/* Lent frames become invalid. NULL is fine. */
void port_xsk_close(struct port_xsk *x);

/* Puts the socket into an XSKMAP under its queue's number. */
int port_xsk_join(struct port_xsk *x, int map_fd) MUST_USE;

/* Polls readable when recv has something. */
int port_xsk_fd(const struct port_xsk *x);

/* Takes up to n received frames. */
uint32_t port_xsk_recv(struct port_xsk *x, struct port_xsk_frame *out,
		       uint32_t n);

/* Gives a lent frame back. */
void port_xsk_give(struct port_xsk *x, uint32_t id);

/*
 * Frames lost since it was last asked because none was free here. Asks the
 * kernel only when there can have been any.
 */
uint64_t port_xsk_lost(struct port_xsk *x);

/*
 * Queues a copy of a frame, to be sent by the next flush.
 * returns  0, -EMSGSIZE (over frame_max), -ENOBUFS (the device is congested)
 */
int port_xsk_send(struct port_xsk *x, const uint8_t *data, uint32_t len)
	MUST_USE;

/*
 * Sends what is queued. False: the device could not take all of it now; the
 * rest stays queued, so call again a little later.
 */
bool port_xsk_flush(struct port_xsk *x);

#endif
