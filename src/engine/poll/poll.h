/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_POLL_POLL_H
#define ENGINE_POLL_POLL_H

/*
 * engine/poll - the user-space engine
 *
 * Forwards the packets of known flows between ports of user space: takes up to
 * POLL_BUDGET frames from each port that has any, parses them, finds their
 * flows in the region, counts, and does what the flows say. What it has no
 * answer for goes to the slow path through a hook. It decides nothing itself
 * and needs nobody to go on forwarding what is known.
 *
 * One thread calls all functions of an engine; engines are independent of each
 * other. It counts in lane POLL_LANE, whose only writer it is. A round is a
 * section (sluice/section.h) of its record among the region's readers; a round
 * that was fenced treats what it found as misses, and its next burst is in a new
 * section.
 *
 * Promises
 *   1. A round takes at most POLL_BUDGET frames per port, beginning with
 *      another port each time: no port waits for more than a round of others.
 *   2. A frame never leaves by the port it came in by.
 *   3. received + copies = sent + drops + missed, after each round.
 *   4. A round allocates nothing and does not block.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/annotate.h"
#include "base/why.h"
#include "port/port.h"
#include "sluice/flow.h"
#include "sluice/reader.h"

#define POLL_BUDGET PORT_BURST
#define POLL_LANE 1u

/* Opaque. */
struct poll;

/* ---- What becomes of one frame. Pure. ---- */

/* The tables an answer depends on. */
struct poll_tables {
	const struct sluice_region *region;
	struct sluice_exact_view flows;
	const uint64_t *sets; /* [SLUICE_SETS_MAX] */
};

struct poll_verdict {
	enum sluice_drop drop;	  /* the whole frame, and why; or NONE */
	bool is_slow;		  /* to the slow path */
	uint64_t ports;		  /* else: bit n: out by port n */
	struct sluice_flow *flow; /* to be counted; NULL: none */
};

/*
 * What becomes of a frame that came in by f->in_port, while the ports in up
 * (bit n: port n) can be sent to. Counts nothing. Exactly one of drop, is_slow
 * and ports is set. A frame for the slow path has no flow to be counted here,
 * for the slow path counts it. The flow is valid as sluice_exact_find() says.
 */
void poll_verdict(const struct poll_tables *t, const struct frame *f,
		  uint64_t up, struct poll_verdict *out);

/* ---- Life. ---- */

/* Where misses go. */
struct poll_slow {
	void *arg;
	/*
	 * Takes n frames (at most POLL_BUDGET), which are lent for the call.
	 * lost     [n]; SLUICE_DROP_NONE, MISS_FULL or NO_SLOW_PATH
	 */
	void (*miss)(void *arg, struct frame *const *frames, uint32_t n,
		     uint8_t *lost);
};

/*
 * Makes an engine without ports on a region that is mapped for writing and
 * stays so until poll_free(). The counters go on from what they are.
 *
 * mem, len  the region; checked before anything in it is believed
 * slow      copied
 * returns   0, -ENOMEM, -EUSERS (no reader record is free), or as
 *           sluice_reader_open_mem()
 */
int poll_new(void *mem, uint64_t len, const struct poll_slow *slow,
	     struct poll **out, struct why *why) MUST_USE;

/* Closes the ports too. NULL is fine. */
void poll_free(struct poll *e);

/* The region's tables, as the engine sees them. */
struct sluice_switch *poll_switch(struct poll *e);
struct sluice_port *poll_records(struct poll *e);
const struct poll_tables *poll_tables(const struct poll *e);

/* ---- Ports. ---- */

/*
 * Gives the engine an open port under a number that is free. It is closed by
 * poll_port_close() or poll_free().
 * returns  0, -EINVAL (no such number), -EEXIST, or what epoll said
 */
int poll_port_give(struct poll *e, uint32_t no, struct port *p) MUST_USE;

/* NULL: no port has the number. */
struct port *poll_port(const struct poll *e, uint32_t no);

/* Nothing happens if there is none. */
void poll_port_close(struct poll *e, uint32_t no);

/* Bit n: port n is open. */
uint64_t poll_ports(const struct poll *e);

/* Adds what devices lost to the counters; now and then. */
void poll_losses(struct poll *e);

/* Takes another reader record if ours is lost: until then rounds do nothing. */
void poll_sit(struct poll *e);

/* ---- Running. ---- */

/*
 * Waits for a descriptor's input too, as number i, below 64.
 * returns  0, or what epoll said
 */
int poll_watch(struct poll *e, uint32_t i, int fd) MUST_USE;
void poll_unwatch(struct poll *e, int fd);

/*
 * Waits until a port has frames, a watched descriptor has something, or
 * timeout_ms has passed (negative: never). Does not wait when the round before
 * had frames.
 *
 * returns  bit i: descriptor number i has something
 */
uint64_t poll_wait(struct poll *e, int timeout_ms);

/*
 * One round over the ports that have frames. Fast path.
 *
 * now_ns   CLOCK_MONOTONIC_COARSE, for the flows' used_ns
 * returns  frames received
 */
uint32_t poll_round(struct poll *e, uint64_t now_ns);

/*
 * Sends one frame for the slow path by port no (below SLUICE_PORTS_MAX). The
 * slow path has counted it as sent, in its own lane. When it is lost here, that
 * is taken back in ours, and it is a drop of f->in_port (0: the slow path's
 * own). So all lanes together are right at any time. May be called from the
 * hook that takes misses.
 */
void poll_send(struct poll *e, uint32_t no, struct frame *f);

#endif
