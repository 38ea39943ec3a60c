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

/*
 * Fills why with a sentence and returns err, which is evaluated twice: so the
 * compiler and its analyzer know what is returned. The first reason said stays.
 */
#define why_say(why, err, ...) (why_say_(why, err, __VA_ARGS__), why_err_(err))
static inline int why_err_(int err)
{
	return err;
}
void why_say_(struct why *why, int err, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts "where: " in front of what was said; returns why's err. */
int why_at(struct why *why, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
