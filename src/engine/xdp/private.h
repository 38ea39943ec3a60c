/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_XDP_PRIVATE_H
#define ENGINE_XDP_PRIVATE_H

/* engine/xdp/private - the engine itself, for xdp.c and ports.c */

#include "base/annotate.h"
#include "engine/engine.h"
#include "engine/xdp/capture.h"
#include "engine/xdp/grace.h"
#include "engine/xdp/pins.h"
#include "engine/xdp/port.h"
#include "engine/xdp/program.h"
#include "region/region.h"
#include "sluice/flow.h"
#include "sluice/port.h"

struct xdp_graces {
	struct xdp_grace *kernel;
	struct region_grace *all; /* of the region's readers and the kernel */
};

struct xdp_engine {
	struct engine base;
	struct region *region;
	struct xdp_pins pins;
	struct xdp_maps maps;
	struct xdp_tables tables;
	struct xdp_port_env env;
	struct xdp_capture capture;
	struct xdp_graces grace;
	int timer_fd;
	int watch_fd;

	/* In the region. */
	struct sluice_port *records;
	struct sluice_port_stats *lane; /* the slow path's */
	uint64_t *sets;

	uint64_t added; /* ports, as bits: those we were given */
	uint64_t up;	/* those the programs may send to */
	uint64_t wanted[SLUICE_SETS_MAX];	  /* the sets as asked for */
	struct xdp_port *ports[SLUICE_PORTS_MAX]; /* NULL: no device now */
	uint32_t turn; /* the port whose misses are taken first */
	uint32_t n_calls;
	bool has_unsent; /* the last flush left frames with us */
};

static inline struct xdp_engine *engine_of(struct engine *e)
{
	return container_of(e, struct xdp_engine, base);
}

/* Engine operations on ports and sets, as in engine/engine.h. */
int xdp_ports_add(struct engine *e, uint32_t no, struct why *why) MUST_USE;
void xdp_ports_del(struct engine *e, uint32_t no);
int xdp_ports_set(struct engine *e, uint32_t set, uint64_t ports,
		  struct why *why) MUST_USE;

/* Takes up what the region and the maps say of an engine before us. */
void xdp_ports_adopt(struct xdp_engine *x);

/* Closes all ports; with keep they go on without us. */
void xdp_ports_close(struct xdp_engine *x, bool keep);

/* Sends what is queued; what cannot be sent now is tried again by look. */
void xdp_ports_flush(struct xdp_engine *x);

/* Looks for news of devices, and tries again what did not work. */
void xdp_ports_look(struct xdp_engine *x);

#endif
