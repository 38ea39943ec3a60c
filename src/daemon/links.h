/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_LINKS_H
#define DAEMON_LINKS_H

/*
 * daemon/links - hears when network devices go up and down
 *
 * For engines that do not look themselves. News say only that something is new;
 * then each device of interest is asked, so lost or merged news do no harm.
 */

#include <stdbool.h>

#include "base/annotate.h"

/* A descriptor that polls readable when there is news, or negative errno. */
int links_open(void) MUST_USE;

/* Reads the news away. False when there was none. */
bool links_news(int fd);

/* Is the device there, up, and connected? */
bool links_is_up(int fd, const char *device);

#endif
