/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

/*
 * base/wheel - many timers by number
 *
 * A hierarchical timing wheel (Varghese and Lauck, "Hashed and hierarchical
 * timing wheels", 1987) over timers 0 to n - 1, each armed for one tick or not
 * armed. Arming, disarming and firing cost O(1); nothing is ever swept. What a
 * tick is, the caller says. One thread.
 */

#include <stdint.h>

#include "base/annotate.h"

#define WHEEL_NONE UINT32_MAX
#define WHEEL_NEVER UINT64_MAX
#define WHEEL_BITS 6u
#define WHEEL_SLOTS (1u << WHEEL_BITS)
#define WHEEL_LEVELS 11u /* 11 * 6 bits hold every tick: no horizon */

struct wheel_node {
	uint32_t next; /* WHEEL_NONE: not armed */
	uint32_t prev;
	uint64_t deadline; /* ticks */
};

/* Private to wheel.c. */
struct wheel {
	struct wheel_node *nodes; /* n timers, then a head for each slot */
	uint32_t n;
	uint64_t now;		       /* ticks */
	uint64_t filled[WHEEL_LEVELS]; /* bit: the slot has timers */
};

/* All timers disarmed at tick now. Returns 0 or -ENOMEM. */
int wheel_init(struct wheel *w, uint32_t n, uint64_t now) MUST_USE;
void wheel_fini(struct wheel *w);

/* Arms a timer, or arms it anew. A deadline in the past is due at once. */
void wheel_arm(struct wheel *w, uint32_t id, uint64_t deadline);

/* Nothing when it is not armed. */
void wheel_disarm(struct wheel *w, uint32_t id);

/*
 * Takes one timer that is due at tick now and disarms it; WHEEL_NONE when there
 * is no more. now must not go back.
 */
uint32_t wheel_pop(struct wheel *w, uint64_t now);

/*
 * A tick before which no timer is due, WHEEL_NEVER when none is armed. It may
 * be earlier than the first timer, never later.
 */
uint64_t wheel_next(const struct wheel *w);

#endif
