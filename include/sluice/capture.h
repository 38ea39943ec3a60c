/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_CAPTURE_H
#define SLUICE_CAPTURE_H

/*
 * sluice/capture - copies of a port's packets out of the XDP engine
 *
 * What a native XDP program redirects is never an skb, so no packet socket sees
 * it; the program itself copies it out. The loader pins two maps:
 *
 *     SLUICE_BPF_DIR/NAME/capture_ports   array, mappable: a record per port
 *     SLUICE_BPF_DIR/NAME/capture_rings   array of ring buffers: one per port
 *
 * To capture port n, a process with rights makes a ring buffer of any size,
 * puts it at index n of capture_rings, and then writes a time a little ahead
 * into until_ns, again and again: a lease. When it ends, or dies, the time runs
 * out; the program then writes 0 and the port costs one load and one branch
 * per packet again. One capture per port at a time: who finds a time that is
 * not past leaves the port alone, and who finds another ring at index n has
 * lost the port.
 *
 * Packets that the slow path sends go through the same maps: the engine runs
 * the program capture_sent with the frame as its data (bpf/capture.h).
 *
 * Order of a port's records is the order in the ring; times are
 * CLOCK_MONOTONIC.
 */

#include "sluice/port.h"
#include "sluice/region.h"
#include "sluice/types.h"

#define SLUICE_CAPTURE_PORTS "capture_ports"
#define SLUICE_CAPTURE_RINGS "capture_rings"

/* Value of capture_ports; its key is the port's number. */
struct sluice_capture_port {
	/* The capturing process writes; the program writes 0 when it is past. */
	uint64_t until_ns; /* CLOCK_MONOTONIC; 0: nobody captures */

	/* The program writes, by atomic adds. */
	uint64_t n_lost; /* packets for which the ring had no room; grows */
};
_Static_assert(sizeof(struct sluice_capture_port) == 16, "ABI");

enum sluice_capture_dir {
	SLUICE_CAPTURE_RECEIVED = 0,
	SLUICE_CAPTURE_SENT = 1,
};

/* A record in a ring. A frame longer than the largest record is cut. */
struct sluice_capture_rec {
	uint64_t time_ns;
	uint32_t len;	  /* bytes of the frame */
	uint32_t cap_len; /* bytes of it in data */
	uint32_t port;
	uint32_t dir; /* enum sluice_capture_dir */
	uint8_t data[];
};
_Static_assert(sizeof(struct sluice_capture_rec) == 24, "ABI");

/* Bytes of data that a record can hold; it takes the smallest that does. */
#define SLUICE_CAPTURE_SMALL 256u
#define SLUICE_CAPTURE_MEDIUM 2048u
#define SLUICE_CAPTURE_LARGE 16384u

/* In front of the frame in the data that capture_sent is run with. */
struct sluice_capture_sent {
	uint32_t port;
	uint32_t pad;
};
_Static_assert(sizeof(struct sluice_capture_sent) == 8, "ABI");

#endif
