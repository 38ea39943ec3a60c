/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_POLL_SPAWN_H
#define ENGINE_POLL_SPAWN_H

/* engine/poll - starting sluice-poll so that it survives whoever started it */

#include <sys/types.h>

#include "base/annotate.h"
#include "base/why.h"

/*
 * Starts sluice-poll in a session of its own, with the region's descriptor and
 * our standard output and error, and nothing else of ours.
 *
 * binary   its path; NULL: the file sluice-poll beside our own program
 * child    set on success; the caller waits for it when it has ended
 * returns  0, -ENOENT, -EACCES, or what posix_spawn said
 */
int spawn_poll(const char *binary, const char *name, int region_fd,
	       pid_t *child, struct why *why) MUST_USE;

#endif
