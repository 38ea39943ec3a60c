/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_POLL_CLIENT_H
#define ENGINE_POLL_CLIENT_H

/*
 * engine/poll - the daemon's end of the user-space engine
 *
 * Starts sluice-poll for a region, or adopts the one that forwards for it
 * already, and is the engine of engine/engine.h by way of it. When sluice-poll
 * dies it is started again; it finds ports and flows in the region. When we
 * die it goes on without us.
 *
 * Between a death of sluice-poll and its restart nothing is forwarded, and
 * what lay in the sockets is lost: packets that the slow path has counted as
 * sent, and misses that it never took.
 *
 * One thread. It needs no signal: a dead child is reaped when it is noticed.
 */

#include "base/annotate.h"
#include "base/log.h"
#include "base/why.h"
#include "engine/engine.h"
#include "region/region.h"

/* Lanes of counters that the engine needs, the slow path's included. */
#define POLL_N_LANES 2u

struct poll_engine_conf {
	struct region *region; /* a memfd with its tables; not owned */
	const struct log *log; /* may be NULL; not owned */
	const char *binary;    /* sluice-poll; NULL: beside our own program */
};

/*
 * Opens the engine; sluice-poll runs when this returns. The switch's name is
 * the region's.
 *
 * returns  0
 *          -ENOENT    there is no sluice-poll to start
 *          -EBUSY     another daemon is connected to it
 *          -ETIMEDOUT it did not answer in time
 *          -EACCES, -ENAMETOOLONG  the run directory (base/rundir.h)
 *          -ENOMEM, -EINVAL (the region has not the tables of a switch)
 */
int poll_engine_open(const struct poll_engine_conf *conf, struct engine **out,
		     struct why *why) MUST_USE;

#endif
