/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_RUNDIR_H
#define BASE_RUNDIR_H

/*
 * base/rundir - where the running switches of this machine are found
 *
 * A switch NAME has a directory DIR/NAME with a link `region` to its memory and
 * the sockets of its processes. DIR is the first of these that can be had:
 *
 *     $SLUICE_RUN_DIR             when set, and then no other
 *     /run/sluice                 when it can be written
 *     $XDG_RUNTIME_DIR/sluice     when set
 *     /tmp/sluice-UID
 *
 * Who makes one takes no directory that belongs to somebody else.
 *
 * UID is the number outside a user namespace, so that a switch which runs
 * inside one is found by its owner.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/annotate.h"
#include "base/why.h"

/* NUL included; DIR/NAME/poll.sock must fit into a socket's address. */
#define RUNDIR_LEN 64u
#define RUNDIR_PATH_LEN 108u

/*
 * The i-th place to look for switches; it need not exist. False: no more. For
 * readers, who look at all of them.
 */
bool rundir_place(uint32_t i, char out[RUNDIR_LEN]);

/*
 * Chooses DIR as above, makes it and DIR/NAME when they are missing.
 *
 * out      DIR/NAME, no final slash
 * returns  0, -ENAMETOOLONG, -EINVAL (a name with '/' or none), -EACCES
 */
int rundir_make(const char *name, char out[RUNDIR_PATH_LEN], struct why *why)
	MUST_USE;

#endif
