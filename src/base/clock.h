/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

/*
 * base/clock - the clocks of main functions, benchmarks and engines
 *
 * Modules do not call these: time is an argument (now_ns) of theirs.
 */

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns_of(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Since boot; what a region's created_ns, seen_ns and started_ns are. */
static inline uint64_t clock_now_ns(void)
{
	return clock_ns_of(CLOCK_MONOTONIC);
}

/* The same clock at the last tick; what used_ns is. */
static inline uint64_t clock_coarse_ns(void)
{
	return clock_ns_of(CLOCK_MONOTONIC_COARSE);
}

/* CPU time of this thread, for benchmarks on a shared machine. */
static inline uint64_t clock_cpu_ns(void)
{
	return clock_ns_of(CLOCK_THREAD_CPUTIME_ID);
}

#endif
