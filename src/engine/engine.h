/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

/*
 * engine - what the slow path asks of an engine
 *
 * An engine forwards packets of known flows by reading the region, without us.
 * Through this interface the slow path gives it ports and port sets, takes its
 * misses, sends packets on, and learns when deleted flows may be used again.
 * All calls from one thread, the slow path's.
 */

#include <stdint.h>

#include "base/annotate.h"
#include "base/why.h"
#include "sluice/port.h"

struct engine;

/* A packet that an engine could not answer for. Lent until engine_give(). */
struct miss {
	uint8_t *data; /* may be written; at least 64 bytes of room behind */
	uint32_t len;
	uint32_t in_port;
	uint64_t cookie; /* the engine's own */
};

struct engine_ops {
	const char *name;

	/*
	 * Starts forwarding for port number no, whose record in the region is
	 * filled but for ifindex, mac, mtu, state and xdp_mode, which the engine
	 * fills. A port that an earlier daemon added is adopted without a gap.
	 */
	int (*port_add)(struct engine *e, uint32_t no, struct why *why);

	/* Stops forwarding for a port; its record's state becomes DOWN. */
	void (*port_del)(struct engine *e, uint32_t no);

	/* The members of a port set changed; bit n: port n. Stores it too. */
	int (*set_ports)(struct engine *e, uint32_t set, uint64_t ports,
			 struct why *why);

	/* A descriptor that polls readable when recv has something. */
	int (*fd)(struct engine *e);

	/* Takes up to n misses; all go back by give before the next recv. */
	uint32_t (*recv)(struct engine *e, struct miss *out, uint32_t n);
	void (*give)(struct engine *e, const struct miss *m, uint32_t n);

	/*
	 * Sends a copy of a frame from the slow path. Counts tx in lane 0 itself.
	 * returns  SLUICE_DROP_NONE, or why the port did not take it
	 */
	enum sluice_drop (*send)(struct engine *e, uint32_t port,
				 const uint8_t *data, uint32_t len);

	/* Sends what send has queued. Once after each batch. */
	void (*flush)(struct engine *e);

	/*
	 * Grace periods: every reader that may hold an entry deleted before
	 * grace_start() has let go once grace_done() says true. May be asked
	 * again and again; neither blocks for more than a few milliseconds.
	 */
	uint64_t (*grace_start)(struct engine *e);
	bool (*grace_done)(struct engine *e, uint64_t ticket);

	/* Leaves; with keep, known flows go on being forwarded without us. */
	void (*close)(struct engine *e, bool keep);
};

/* First member of every engine. */
struct engine {
	const struct engine_ops *ops;
};

#endif
