/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_ENGINES_H
#define DAEMON_ENGINES_H

/*
 * daemon/engines - which engine a switch gets, and how to have it
 *
 * The one place that knows all engines by name. Control thread.
 */

#include "base/annotate.h"
#include "base/log.h"
#include "base/why.h"
#include "daemon/config.h"
#include "engine/engine.h"
#include "region/region.h"

/*
 * Chooses the engine that the configuration asks for. With "auto" that is xdp,
 * or poll where xdp cannot be had; then the log says why, in a sentence.
 *
 * returns  0
 *          -EOPNOTSUPP, -EPERM  xdp is asked for and cannot be had
 */
int engines_choose(const struct config *config, const struct log *log,
		   enum sluice_engine_kind *out, struct why *why) MUST_USE;

/* Can this process have the engine xdp? Returns 0, -EOPNOTSUPP or -EPERM. */
int engines_probe_xdp(struct why *why) MUST_USE;

const char *engines_name(enum sluice_engine_kind kind);

/* Lanes of port counters that the engine needs, the slow path's included. */
uint32_t engines_n_lanes(enum sluice_engine_kind kind);

/* How a port of the configuration is opened by the engine. */
enum sluice_port_kind engines_port_kind(enum sluice_engine_kind kind,
					const struct config_port *port);

/*
 * The region with which an engine of this kind still forwards for a switch of
 * that name, since its daemon left or died; or the one in the file or device
 * that is configured.
 *
 * fd       the caller's
 * returns  0, -ENOENT, or why it cannot be had
 */
int engines_find_region(enum sluice_engine_kind kind,
			const struct config *config, int *fd, struct why *why)
	MUST_USE;

/* Makes an empty region as the engine needs it. */
int engines_new_region(enum sluice_engine_kind kind,
		       const struct config *config, uint64_t len,
		       struct region **out, struct why *why) MUST_USE;

/* Opens the engine on a region that has its tables; without ports. */
int engines_open(enum sluice_engine_kind kind, struct region *region,
		 const struct log *log, struct engine **out, struct why *why)
	MUST_USE;

#endif
