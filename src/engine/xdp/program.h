/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_XDP_PROGRAM_H
#define ENGINE_XDP_PROGRAM_H

/*
 * engine/xdp/program - loads bpf/sluice.bpf.c, and makes the maps it shares
 *
 * Each port has its own instance of the program, with its number and the places
 * of the tables as constants; the maps here are common to them.
 */

#include <stdint.h>

#include "base/annotate.h"
#include "base/why.h"
#include "engine/xdp/pins.h"
#include "region/region.h"

/* Descriptors of the maps that all programs of a switch share. */
struct xdp_maps {
	int arena; /* the region's; not owned */
	int devs;
	int sets;
	int capture_ports;
	int capture_rings;
};

/*
 * Opens the pinned maps; makes and pins those that are missing, or have another
 * shape than ours.
 */
int xdp_maps_open(const struct xdp_pins *pins, int arena_fd,
		  struct xdp_maps *out, struct why *why) MUST_USE;
void xdp_maps_close(struct xdp_maps *m);

/* A map for the sockets of one port, or negative errno. */
int xdp_maps_new_xsks(void) MUST_USE;

/*
 * The map of the devices in a port set, as a descriptor of the caller, or
 * negative errno: -ENOENT. make: when there is none, make one.
 */
int xdp_maps_set(const struct xdp_maps *m, uint32_t set, bool make) MUST_USE;

/* Where the programs find things in the region: user-space addresses. */
struct xdp_tables {
	uint32_t n_lanes;
	uint64_t ports;
	uint64_t stats;
	uint64_t sets;
	uint64_t flows;
	uint64_t region;
};

/* Returns 0 or -EINVAL: a table is missing, or not as the programs know it. */
int xdp_tables_find(const struct region *r, struct xdp_tables *out,
		    struct why *why) MUST_USE;

/* Loads the program of one port. Returns its descriptor, or negative errno. */
int xdp_program_load(const struct xdp_tables *t, const struct xdp_maps *m,
		     uint32_t port, int xsks_fd, struct why *why) MUST_USE;

/* Loads the program capture_sent (sluice/capture.h) likewise. */
int xdp_program_load_capture(const struct xdp_maps *m, struct why *why)
	MUST_USE;

#endif
