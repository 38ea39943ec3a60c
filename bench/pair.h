/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PAIR_H
#define BENCH_PAIR_H

/*
 * bench/pair - what something costs while another core does the same
 *
 * The caller runs on the first of two cores and measures; the other runs its
 * part again and again until it is told to stop. Both run before all other work
 * of the machine (SCHED_FIFO), if we may, so make it short; else they do not get
 * both cores all the time, and the cost is that of partial company.
 */

#include <stdbool.h>
#include <stdint.h>

struct pair;

/*
 * Starts fn(arg) over and over in another thread, each thread on a core of its
 * own. NULL: this machine has one core.
 */
struct pair *pair_start(void (*fn)(void *arg), void *arg);

/* Ends it and waits for it; both threads may run anywhere again. */
void pair_stop(struct pair *p);

#endif
