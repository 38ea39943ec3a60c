/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

/*
 * bench - what every benchmark program shares
 *
 * A program is an executable named bench_*, built from bench/. It takes one
 * argument, a prefix of row names, measures the rows that begin with it, and
 * writes each as one line of JSON to standard output; what it is doing goes to
 * standard error. devtools/bench runs them all.
 *
 *     bench_init(&b, argc, argv);
 *     if (bench_wants(&b, name))
 *             for each round: bench_add(&row.ours, ..); bench_add(&row.theirs, ..);
 *     bench_emit(&row);
 *
 * The machine is shared and its speed wanders, so every round measures us, the
 * peer and the limit in turn, in CPU time of the thread (clock_cpu_ns()), and a
 * ratio is the median of the rounds' ratios.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/annotate.h"

#define BENCH_ROUNDS_MAX 64u

struct bench {
	const char *only; /* prefix of the rows wanted; "" for all */
};

/* One number per round. */
struct bench_series {
	uint32_t n;
	double v[BENCH_ROUNDS_MAX];
};

struct bench_row {
	char name[96];
	const char *unit;
	bool less_is_better;
	const char *peer; /* NULL: none */
	struct bench_series ours;
	struct bench_series theirs; /* as many as ours, or none */
	struct bench_series limit;  /* what the machine allows; or none */
};

void bench_init(struct bench *b, int argc, char **argv);

/* Is a row of this name, or one whose name begins with it, asked for? */
bool bench_wants(const struct bench *b, const char *name);

/* A line about what goes on. */
void bench_say(const char *fmt, ...) PRINTF_LIKE(1, 2);

void bench_add(struct bench_series *s, double v);
double bench_median(const struct bench_series *s);

/*
 * Half of the distance between the quartiles, in the unit of the values: half
 * of the rounds are about this near to the median.
 */
double bench_spread(const struct bench_series *s);

/* The row as a line of JSON. */
void bench_emit(const struct bench_row *r);

/* ---- Memory in 2 MiB and 1 GiB pages. ---- */

/*
 * Sees to it that len bytes more can be had in 2 MiB pages, if we may and the
 * machine has them; what it changed is put back when the process ends, by
 * itself or by a signal. Call once. False: there will be ordinary pages.
 */
bool bench_huge_reserve(uint64_t len);
bool bench_giant_reserve(uint64_t len); /* the same of 1 GiB pages */

/* Present, zeroed memory, in 2 MiB pages if there are any. Aborts without. */
void *bench_alloc(uint64_t len);
void bench_free(void *mem, uint64_t len);

#endif
