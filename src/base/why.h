/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_WHY_H
#define BASE_WHY_H

/*
 * base/why - the reason of a failure, for people
 *
 * Control-plane entry points return 0 or negative errno for machines and fill
 * this for people: which field, which value, how to mend it. Owned by the
 * caller; NULL where nobody asks.
 */

#include <stdarg.h>

#include "base/annotate.h"

#define WHY_LEN 512

struct why {
	int err;	    /* negative errno; 0 while nothing was said */
	char text[WHY_LEN]; /* one sentence, NUL-terminated */
};

/* Fills why with a sentence and returns err. The first reason said stays. */
int why_say(struct why *why, int err, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts "where: " in front of what was said; returns why's err. */
int why_at(struct why *why, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
