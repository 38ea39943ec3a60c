/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_XDP_PINS_H
#define ENGINE_XDP_PINS_H

/*
 * engine/xdp/pins - a switch's folder of kernel objects, /sys/fs/bpf/sluice/NAME
 *
 * What is pinned lives on without a process. Whoever has the folder open holds
 * a lock on it, which goes with the process.
 */

#include <stdint.h>

#include "base/annotate.h"
#include "base/why.h"

#define XDP_PIN_LEN 96u /* of a path, NUL included */

struct xdp_pins {
	int dir_fd;
	char dir[XDP_PIN_LEN];
};

/* The path of an object; returns out. */
const char *xdp_pins_path(const struct xdp_pins *p, const char *object,
			  char out[XDP_PIN_LEN]);

/*
 * Opens and locks the folder; makes it, and mounts bpffs, where missing.
 * returns  0, -EBUSY (a live process has it), -EINVAL (name), -EPERM
 */
int xdp_pins_open(const char *name, struct xdp_pins *out, struct why *why)
	MUST_USE;
void xdp_pins_close(struct xdp_pins *p);

/* The object's descriptor, or negative errno: -ENOENT. */
int xdp_pins_get(const struct xdp_pins *p, const char *object) MUST_USE;

/* Pins, in place of what is there. */
int xdp_pins_put(const struct xdp_pins *p, const char *object, int fd) MUST_USE;

/* Unpins; a link is taken off its device at once. */
void xdp_pins_drop(const struct xdp_pins *p, const char *object);

/* Unpins everything likewise. */
void xdp_pins_clear(const struct xdp_pins *p);

/* The same, and removes the folder; p is still to be closed. */
void xdp_pins_remove(const struct xdp_pins *p);

#endif
