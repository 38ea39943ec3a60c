/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_XDP_CAPTURE_H
#define ENGINE_XDP_CAPTURE_H

/*
 * engine/xdp/capture - shows captures what the slow path sends
 *
 * The engine's part of sluice/capture.h. While nobody captures, a sent frame
 * costs one load.
 */

#include <stdint.h>

#include "base/annotate.h"
#include "engine/xdp/program.h"
#include "sluice/capture.h"

struct xdp_capture {
	const struct xdp_maps *maps;	   /* not owned */
	struct sluice_capture_port *ports; /* [SLUICE_PORTS_MAX], mapped */
	int prog_fd; /* -1 until the first capture; -2: it does not load */
	uint8_t *buf;
};

int xdp_capture_init(struct xdp_capture *c, const struct xdp_maps *maps)
	MUST_USE;
void xdp_capture_fini(struct xdp_capture *c);

/* A frame that was sent on a port. */
void xdp_capture_sent(struct xdp_capture *c, uint32_t port, const uint8_t *data,
		      uint32_t len);

#endif
