/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_XDP_XDP_H
#define ENGINE_XDP_XDP_H

/*
 * engine/xdp - the engine that forwards in the kernel
 *
 * Loads the programs of bpf/, attaches one to each port's device, and takes
 * their misses from AF_XDP sockets. The programs read the region, which must be
 * a BPF arena. Maps and links are pinned under /sys/fs/bpf/sluice/NAME, where
 * NAME is the region's:
 *
 *     arena          the region itself
 *     devs, sets     the devices behind port numbers and port sets
 *     capture_*      see sluice/capture.h
 *     port-N         the link of port N, which holds its program
 *
 * When we die they stay, and known flows go on. Who opens an engine on a region
 * with such a past takes it over without a gap: maps are used as they are, each
 * port's program is replaced by ours in one step when the port is added; only
 * the sockets are new. A port that is not added again must be deleted.
 *
 * Left-overs that belong to another region of that name are removed, whatever
 * made them; a live engine of that name is an error.
 *
 * A device that goes down, or goes, leaves the port sets and its port is DOWN;
 * when it comes again under its name, the port starts again by itself. This
 * happens inside recv, which therefore must be called when fd is readable.
 *
 * Counters: tx means "handed to the device's driver". See docs/xdp.md.
 *
 * One thread, but for one of our own that waits for grace periods.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/annotate.h"
#include "base/log.h"
#include "base/why.h"
#include "engine/engine.h"
#include "region/region.h"

struct xdp_engine_conf {
	struct region *region; /* an arena that has its tables; not owned */
	const struct log *log; /* may be NULL; not owned */
	bool only_generic;     /* do not try native mode; for tests */
};

/*
 * Can this process have the engine on this machine?
 * returns  0
 *          -EOPNOTSUPP  the kernel lacks arenas (before 6.9) or AF_XDP
 *          -EPERM       rights are missing
 */
int xdp_engine_available(struct why *why) MUST_USE;

/* Lanes of counters that the engine needs: the slow path's and each core's. */
uint32_t xdp_engine_n_lanes(void);

/*
 * Finds the region that an engine of that name left pinned.
 *
 * fd       set on success; the caller's
 * returns  0, -ENOENT, -EPERM
 */
int xdp_engine_find(const char *name, int *fd, struct why *why) MUST_USE;

/*
 * Opens the engine, without ports.
 *
 * returns  0
 *          -EINVAL  the region is no arena, or lacks a table
 *          -EBUSY   another process has an engine of that name
 *          -EPERM, -ENOMEM, or what the kernel said
 */
int xdp_engine_open(const struct xdp_engine_conf *conf, struct engine **out,
		    struct why *why) MUST_USE;

#endif
