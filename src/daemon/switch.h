/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SWITCH_H
#define DAEMON_SWITCH_H

/*
 * daemon/switch - one switch: its region, its engine and its slow path
 *
 * An object without process-wide state: a process may have several, of other
 * names. Its owner runs an event loop, waits for the descriptor and the time
 * that it is told, and calls in. One thread each; time is an argument.
 *
 * A region that an earlier daemon left, with an engine that still forwards, is
 * adopted: what was learned, the flows and all counters go on, and no packet of
 * a known flow is lost. Ports keep their numbers by name.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/annotate.h"
#include "base/log.h"
#include "base/why.h"
#include "daemon/config.h"

/* Opaque. */
struct vswitch;

/*
 * Starts a switch, forwarding when this returns. A port that cannot be opened
 * is logged and its record says FAILED.
 *
 * start_ns  when the daemon started, for the record
 * returns   0
 *           -EBUSY  a switch of this name is alive
 *           or why the engine or the region cannot be had
 */
int switch_open(const struct config *config, const struct log *log,
		uint64_t start_ns, struct vswitch **out, struct why *why)
	MUST_USE;

/* Ends it; with keep, known flows go on being forwarded, for a successor. */
void switch_close(struct vswitch *s, bool keep);

/* Polls readable when switch_serve() has something to do. */
int switch_fd(struct vswitch *s);

/*
 * Answers misses, follows the ports' states, runs timers: a bounded portion.
 * True if there is more to do at once.
 */
bool switch_serve(struct vswitch *s, uint64_t now_ns);

/* When to call switch_serve() even if nothing comes; UINT64_MAX: never. */
uint64_t switch_next_ns(const struct vswitch *s);

#endif
