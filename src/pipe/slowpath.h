/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PIPE_SLOWPATH_H
#define PIPE_SLOWPATH_H

/*
 * pipe/slowpath - answers the misses of one engine
 *
 * A round takes up to 32 misses, runs the program on those that have no flow
 * yet, writes their flows, and sends all of them on. Each packet is counted
 * once, in its flow and in lane 0 of its port (sluice/port.h).
 *
 * Order: a flow is in the table before its first packet leaves, so a packet
 * close behind may overtake it while the round lasts; packets that missed keep
 * their order among themselves.
 *
 * One thread; time is an argument.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/annotate.h"
#include "base/why.h"
#include "engine/engine.h"
#include "pipe/learn.h"

#define SLOWPATH_BATCH 32u

struct slowpath {
	struct state *state;   /* not owned */
	struct engine *engine; /* not owned */
	struct learn *learn;   /* owned */
	bool has_forwarded;
};

/* Empty tables, or before slowpath_adopt(). Returns 0 or -ENOMEM. */
int slowpath_init(struct slowpath *s, const struct learn_conf *conf,
		  struct engine *engine, uint64_t now_ns) MUST_USE;
void slowpath_fini(struct slowpath *s);

/*
 * Which ports are up; bit n: port n. Flooding stops at once for the others.
 * returns  0, or the engine's error; ours is done all the same
 */
int slowpath_set_up(struct slowpath *s, uint64_t up, struct why *why) MUST_USE;

/* After the first slowpath_set_up(), on tables that a dead daemon left. */
void slowpath_adopt(struct slowpath *s, uint64_t now_ns);

/* Returns how many misses it took. */
uint32_t slowpath_round(struct slowpath *s, uint64_t now_ns);

/*
 * Timers and reclamation, a bounded portion: twice the flows that a round can
 * make. True if more is due now.
 */
bool slowpath_timers(struct slowpath *s, uint64_t now_ns);

/* When slowpath_timers() has something to do; UINT64_MAX: never. */
uint64_t slowpath_next_ns(const struct slowpath *s);

#endif
