/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_XDP_GRACE_H
#define ENGINE_XDP_GRACE_H

/*
 * engine/xdp/grace - waits until no XDP program holds what it found before
 *
 * XDP programs run inside RCU read-side sections, so the kernel's grace period
 * is theirs. membarrier() waits for one; it takes 8 ms and more, so a thread
 * does it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/annotate.h"

struct xdp_grace;

/* Starts the thread. Returns 0, -ENOMEM, -EAGAIN. */
int xdp_grace_new(struct xdp_grace **out) MUST_USE;

/* Ends it; waits for the grace period that is under way. NULL is fine. */
void xdp_grace_free(struct xdp_grace *g);

/* Asks for a grace period that begins after this call. Any thread. */
uint64_t xdp_grace_start(struct xdp_grace *g);

/* Has it ended? Any thread. */
bool xdp_grace_done(struct xdp_grace *g, uint64_t ticket);

#endif
