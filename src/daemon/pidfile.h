/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_PIDFILE_H
#define DAEMON_PIDFILE_H

/*
 * daemon/pidfile - at most one daemon for each name
 *
 * DIR/NAME/pid (base/rundir.h) holds the process's number; a lock on it, which
 * the kernel drops with the process, says that it is alive.
 */

#include "base/annotate.h"
#include "base/rundir.h"
#include "base/why.h"

struct pidfile {
	int fd;
	char dir[RUNDIR_PATH_LEN];
};

/* Returns 0, -EBUSY (another process has the name), or as rundir_make(). */
int pidfile_take(const char *name, struct pidfile *out, struct why *why)
	MUST_USE;

/* Removes the file, and the folder if nothing else is in it. */
void pidfile_give(struct pidfile *p);

#endif
