/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FLOW_STATE_H
#define FLOW_STATE_H

/*
 * flow/state - the tables of one switch in its region
 *
 * Makes the seven tables of a switch, or takes over those that a dead daemon
 * left. Knows their shapes, not what is in them. One thread, the slow path's.
 */

#include <stdint.h>

#include "base/annotate.h"
#include "base/crash.h"
#include "base/why.h"
#include "region/region.h"
#include "sluice/flow.h"
#include "sluice/port.h"
#include "sluice/section.h"
#include "table/exact.h"

struct state_conf {
	enum sluice_engine_kind engine;
	uint32_t n_lanes; /* of port counters: 1 for us, 1 for each core */
	uint32_t n_flows; /* at most */
	uint32_t n_macs;  /* learned addresses, at most */
	uint64_t seed;	  /* of the hash keys; rng_secret() but in tests */
};

/* Everything lies in the region but the two writers' objects, which we own. */
struct state {
	struct region *region; /* not owned */
	struct sluice_switch *sw;
	struct sluice_port *ports;	 /* [SLUICE_PORTS_MAX] */
	struct sluice_port_stats *stats; /* [n_lanes][SLUICE_PORTS_MAX] */
	uint64_t *sets;			 /* [SLUICE_SETS_MAX] */
	struct sluice_section *readers;	 /* [SLUICE_SECTIONS_N] */
	struct table_exact *flows;
	struct table_exact *macs;
};

/* Bytes that a region for such a switch needs; 0: conf is out of range. */
uint64_t state_region_len(const struct state_conf *conf);

/*
 * Makes the tables in an empty region.
 * returns  0, or as table_exact_new()
 */
int state_new(struct region *region, const struct state_conf *conf,
	      struct state *out, struct why *why) MUST_USE;

/*
 * Takes over the tables that a former daemon made and counts n_restarts up.
 * What the tables say is not yet checked beyond their shapes.
 *
 * returns  0
 *          -ENOENT   a table is missing: the daemon died while making them
 *          -EINVAL   a table has another shape
 *          -ESTALE   it is from before the machine was started
 *          -ENOMEM
 */
int state_adopt(struct region *region, struct state *out, struct why *why)
	MUST_USE;

/* Frees our own memory; the tables stay. */
void state_fini(struct state *s);

/* The slow path's counters of a port below SLUICE_PORTS_MAX. */
static inline struct sluice_port_stats *state_stats(struct state *s,
						    uint32_t port)
{
	return &s->stats[SLUICE_LANE_SLOW * SLUICE_PORTS_MAX + port];
}

/* Stores a word that only the slow path writes. */
static inline void state_store(uint64_t *word, uint64_t value)
{
	crash_point();
	sluice_store64_relaxed(word, value);
}

/* Adds to it. */
static inline void state_count(uint64_t *word, uint64_t n)
{
	state_store(word, sluice_load64_relaxed(word) + n);
}

#endif
