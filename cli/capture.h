/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CAPTURE_H
#define CLI_CAPTURE_H

/*
 * cli/capture - from where a port's packets come, and where they go
 *
 * A source is a ring that the XDP engine fills (sluice/capture.h), or the
 * kernel's own tap of a device that the poll engine uses through the network
 * stack. One thread.
 */

#include "cli/cli.h"
#include "sluice/capture.h"

struct pcap_dumper; /* libpcap's; its header and libbpf's exclude each other */

/* Which packets, as the switch sees them. */
enum capture_want {
	CAPTURE_IN = 1 << SLUICE_CAPTURE_RECEIVED,
	CAPTURE_OUT = 1 << SLUICE_CAPTURE_SENT,
	CAPTURE_BOTH = CAPTURE_IN | CAPTURE_OUT,
};

struct capture_sink {
	struct pcap_dumper *to;
	uint64_t n;	/* written */
	uint64_t n_max; /* then it is enough */
};

/*
 * Writes a packet; time_ns is since 1970.
 * returns  0, -ECANCELED (that was the last one wanted), -EPIPE (nobody reads
 *          any more), or why it cannot be written
 */
int capture_put(struct capture_sink *to, uint64_t time_ns, uint32_t len,
		uint32_t cap_len, const uint8_t *data);

struct capture_source;

struct capture_source_ops {
	/* Puts what there is into to; 0, or as capture_put(). */
	int (*take)(struct capture_source *s, struct capture_sink *to);

	/* Keeps the source alive; twice a second. 0 or negative errno. */
	int (*keep)(struct capture_source *s);

	/* Ends the capture, so that take gives what is left, and no more. */
	void (*stop)(struct capture_source *s);

	/* Packets that there was no room for. */
	uint64_t (*n_lost)(struct capture_source *s);
	void (*free)(struct capture_source *s);
};

struct capture_source {
	const struct capture_source_ops *ops;
	int fd; /* readable when take has something */
};

/*
 * Begins to capture port no. Both say what went wrong and return NULL.
 */
struct capture_source *capture_ring_open(const struct sluice_reader *r,
					 uint32_t no, enum capture_want want);
struct capture_source *capture_tap_open(const struct sluice_reader *r,
					uint32_t no, enum capture_want want);

#endif
