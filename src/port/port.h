/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_PORT_H
#define PORT_PORT_H

/*
 * port - where frames come in and go out of a user-space engine
 *
 * A port of any kind is opened from its record and then only read and written
 * by bursts. It counts nothing (the engine does), keeps no frame back after
 * send, and knows neither flows nor other ports.
 *
 * Checksums and segments: local hosts leave TCP and UDP checksums to the
 * device and hand over segments of up to 64 KiB. The virtio header of a frame
 * says so. Ports whose device can take that header pass it on; the others
 * finish the checksum, and refuse what is to be segmented.
 *
 * A port is used by one thread at a time; ports are independent.
 */

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/annotate.h"
#include "base/why.h"
#include "sluice/port.h"

#define PORT_BURST 32u	     /* frames in one recv or send, at most */
#define FRAME_LEN_MAX 65600u /* a GSO frame and its tags */
#define FRAME_HEADROOM 64u   /* in front of a room's data */
#define FRAME_TAILROOM 64u
/* An odd number of cache lines: rooms do not collide in the cache. */
#define FRAME_ROOM (FRAME_HEADROOM + FRAME_LEN_MAX + FRAME_TAILROOM)
_Static_assert(FRAME_ROOM / 64 % 2 == 1 && FRAME_ROOM % 64 == 0, "see above");

struct frame {
	uint8_t *data; /* from the Ethernet header on; no FCS */
	uint32_t len;
	uint32_t in_port;	    /* for the engine; ports leave it alone */
	struct virtio_net_hdr vnet; /* all zero: complete and in one piece */
	uint8_t *room; /* FRAME_ROOM bytes of the caller, for recv to use */
};

struct port;

struct port_ops {
	const char *kind;

	/*
	 * Takes up to n frames (at most PORT_BURST) that have arrived.
	 *
	 * out      each with a room; data is set to lie in it or in the port's
	 *          own memory, and may be written until the port's next recv
	 * returns  how many; 0 also when the device is gone (see err)
	 */
	uint32_t (*recv)(struct port *p, struct frame *out, uint32_t n);

	/*
	 * Sends n frames (at most PORT_BURST). Never blocks. Afterwards they
	 * are the caller's again. May finish a frame's checksum in place.
	 *
	 * lost     [n]; set to SLUICE_DROP_NONE, or why a frame was not taken
	 */
	void (*send)(struct port *p, struct frame *const *frames, uint32_t n,
		     uint8_t *lost);

	/* Frames that the device lost since the last call; NULL: none ever. */
	uint64_t (*losses)(struct port *p);

	void (*close)(struct port *p);
};

struct port {
	const struct port_ops *ops;
	int fd;	      /* readable when recv has something; -1: look, every ms */
	int err;      /* negative errno: the device is gone for good */
	bool at_end;  /* a file has been read to its end: recv gives no more */
	uint16_t mtu; /* bytes of L3 */
	uint32_t ifindex; /* 0: none */
	uint8_t mac[6];
};

/*
 * Opens a port from a copy of its record (name, device, output, kind).
 *
 * returns  0
 *          -ENODEV, -ENOENT   no such device or file
 *          -EPERM             CAP_NET_RAW or CAP_NET_ADMIN is missing
 *          -EBUSY             AF_XDP: its queues are another's; maybe of a
 *                             process that was just killed, so try again
 *          -EINVAL            not a kind of user space, or unfit files
 *          -EOPNOTSUPP        AF_XDP is not built in
 *          -ENOMEM, or what the device said
 */
int port_open(const struct sluice_port *rec, struct port **out, struct why *why)
	MUST_USE;

/* NULL is fine. */
void port_close(struct port *p);

/* ---- For the kinds. ---- */

int port_packet_open(const struct sluice_port *rec, struct port **out,
		     struct why *why) MUST_USE;
int port_tap_open(const struct sluice_port *rec, struct port **out,
		  struct why *why) MUST_USE;
int port_pcap_open(const struct sluice_port *rec, struct port **out,
		   struct why *why) MUST_USE;
int port_mem_open(const struct sluice_port *rec, struct port **out,
		  struct why *why) MUST_USE;

int port_xsk_port_open(const struct sluice_port *rec, struct port **out,
		       struct why *why) MUST_USE;

/* Index, MAC and MTU of a netdev by name, into p. Returns 0 or negative errno. */
int port_netdev(struct port *p, const char *name) MUST_USE;

/*
 * Makes a frame fit for a device without virtio headers: finishes its checksum
 * in place. SLUICE_DROP_TOO_LONG when it is to be segmented.
 */
enum sluice_drop port_make_plain(struct frame *f);

#endif
