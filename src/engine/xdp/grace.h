/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_XDP_GRACE_H
#define ENGINE_XDP_GRACE_H

/*
 * engine/xdp/grace - waits until no XDP program holds what it found before
 *
 * A program has no record of its own (sluice/section.h) and needs none. The
 * kernel runs XDP programs inside RCU read-side sections, callbacks of
 * bpf_loop() included, and what a program found is gone from its registers when
 * it returns. membarrier(MEMBARRIER_CMD_GLOBAL) returns after synchronize_rcu(),
 * that is when every section that was entered before has been left; it also
 * orders our stores before against the programs that begin later, so those do
 * not find what was unlinked before the ticket. It takes 8 ms and more, and as
 * long as the longest program, so a thread does it.
 *
 * A program cannot be stopped, killed or hang: the verifier has seen its end. So
 * there is no bound here, and no fence. Sleepable programs would run outside of
 * these sections; ours are not.
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
