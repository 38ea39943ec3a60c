/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_POLL_FOLLOW_H
#define ENGINE_POLL_FOLLOW_H

/*
 * engine/poll - opens and closes the engine's ports as the region's records say
 *
 * The records are enough: a process that was just started opens all of them
 * without being told, and one whose daemon is dead goes on following them. A
 * port that cannot be opened, or whose device goes away, is FAILED and tried
 * again every second. One thread, the engine's.
 */

#include "base/log.h"
#include "engine/poll/poll.h"

#define FOLLOW_RETRY_NS 1000000000ull

struct follow_port {
	struct sluice_port rec; /* as it was when the port was tried */
	uint64_t tried_ns;
	bool is_shut;  /* by request, until it is opened by request */
	bool is_ended; /* a file's end has been told */
};

struct follow {
	struct poll *engine;
	const struct log *log;
	struct follow_port ports[SLUICE_PORTS_MAX];
};

void follow_init(struct follow *f, struct poll *engine, const struct log *log);

/* Looks at all records, and at the ports' health. Now and then. */
void follow_round(struct follow *f, uint64_t now_ns);

/*
 * Opens the port of a record now, if it is not open as the record says.
 * returns  0, -EINVAL (no such number, or no record), or as port_open()
 */
int follow_open(struct follow *f, uint32_t no, uint64_t now_ns, struct why *why)
	MUST_USE;

/* Closes a port, whatever its record says. */
void follow_shut(struct follow *f, uint32_t no);

#endif
