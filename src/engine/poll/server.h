/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_POLL_SERVER_H
#define ENGINE_POLL_SERVER_H

/*
 * engine/poll - sluice-poll's end of the link to the daemon
 *
 * Listens in the switch's run directory, hands misses to the daemon that has
 * said hello, sends what it says, and does its requests. The daemon may come,
 * die and come again. One thread, the engine's. What goes over the link: link.h.
 */

#include "base/log.h"
#include "engine/poll/follow.h"

/* Opaque. */
struct server;

/*
 * Listens; whoever holds the run directory's lock may take the address from a
 * dead one.
 *
 * dir, region_fd  borrowed
 * returns         0, -ENOMEM, -ENAMETOOLONG, or what bind said
 */
int server_new(const char *dir, int region_fd, const struct log *log,
	       struct server **out, struct why *why) MUST_USE;
/* Before poll_free() of the engine that it serves. */
void server_free(struct server *s);

/* The engine's slow path. Before server_start() it loses everything. */
struct poll_slow server_slow(struct server *s);

/*
 * Begins to serve an engine. It watches descriptors 0 to 15 of poll_wait().
 * returns  0, or what epoll said
 */
int server_start(struct server *s, struct poll *engine, struct follow *follow)
	MUST_USE;

/* Serves the descriptors in watched (from poll_wait). Never blocks. */
void server_round(struct server *s, uint64_t watched, uint64_t now_ns);

/* Has the daemon asked for the end? */
bool server_is_over(const struct server *s);

#endif
