/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_XDP_PORT_H
#define ENGINE_XDP_PORT_H

/*
 * engine/xdp/port - one port: its program on its device, its sockets
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/annotate.h"
#include "base/log.h"
#include "base/why.h"
#include "engine/xdp/pins.h"
#include "engine/xdp/program.h"
#include "engine/xdp/watch.h"
#include "port/xsk.h"
#include "sluice/port.h"

/* What a port needs of its engine. */
struct xdp_port_env {
	const struct xdp_pins *pins;
	const struct xdp_maps *maps;
	const struct xdp_tables *tables;
	const struct log *log;
	int epoll_fd; /* its sockets are added with the port's number as data */
	bool only_generic;
};

struct xdp_port {
	uint32_t no;
	struct sluice_port *rec; /* in the region */
	uint32_t ifindex;
	bool lacks_native; /* its driver knows no native XDP */
	int link_fd;
	int xsks_fd;
	uint32_t n_queues;
	uint32_t
		n_missing; /* sockets still to be opened: their queue is busy */
	struct port_xsk *socks[PORT_XSK_QUEUES_MAX];
};

/*
 * Puts the program on the device, in place of one that an engine before us left
 * there, and opens the sockets. Fills the record but for its state.
 */
int xdp_port_open(const struct xdp_port_env *env, uint32_t no,
		  struct sluice_port *rec, struct xdp_port **out,
		  struct why *why) MUST_USE;

/* With keep the program stays on the device. NULL is fine. */
void xdp_port_close(const struct xdp_port_env *env, struct xdp_port *p,
		    bool keep);

/* Takes a program off that an engine before us left on a port. */
void xdp_port_forget(const struct xdp_pins *pins, uint32_t no);

/* Tries again to open the sockets that are missing. */
void xdp_port_retry(const struct xdp_port_env *env, struct xdp_port *p);

#endif
