/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

/*
 * base/log - lines for the operator
 *
 * A log is an object that its user passes on, so two switches in one process
 * have two. Lines go to one stream as "sluiced[name] warning: text". Any
 * thread may write; a line is written whole.
 */

#include <stdio.h>

#include "base/annotate.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

struct log {
	FILE *to;	    /* NULL: silent */
	const char *who;    /* in front of each line; not owned */
	enum log_level max; /* lines above are not written */
};

/* l may be NULL: silent. */
void log_line(const struct log *l, enum log_level level, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

#define log_error(l, ...) log_line(l, LOG_ERROR, __VA_ARGS__)
#define log_warning(l, ...) log_line(l, LOG_WARNING, __VA_ARGS__)
#define log_info(l, ...) log_line(l, LOG_INFO, __VA_ARGS__)
#define log_debug(l, ...) log_line(l, LOG_DEBUG, __VA_ARGS__)

#endif
