/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_LINES_H
#define BENCH_LINES_H

/*
 * bench/lines - how fast this machine reads random cache lines
 *
 * Two pieces of memory, such as buckets and entries: each word of the first
 * names a line of the second. Rates in million per second of CPU time.
 */

#include <stdint.h>

struct lines {
	uint64_t *first;  /* [n_first * 8] numbers of lines of the second */
	uint64_t *second; /* [n_second * 8] */
	uint32_t n_first; /* cache lines */
	uint32_t n_second;
	uint32_t *picks; /* lines of the first, random */
	uint64_t sum;
};

void lines_init(struct lines *l, uint64_t n_first, uint64_t n_second);
void lines_fini(struct lines *l);

/* Independent reads of the second. */
double lines_one(struct lines *l);

/* A line of the first and the one it names; batches of 32, one by one. */
double lines_two(struct lines *l);

/* The same with three batches under way. */
double lines_two_pipe(struct lines *l);

#endif
