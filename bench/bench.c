/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of JSON per row, so that a program can be killed or grow without a
 * format of its own, and a script can collect.
 */
#include "bench/bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

void bench_init(struct bench *b, int argc, char **argv)
{
	b->only = argc > 1 ? argv[1] : "";
	setvbuf(stdout, NULL, _IOLBF, 0);
}

bool bench_wants(const struct bench *b, const char *name)
{
	size_t n = strlen(b->only);
	size_t m = strlen(name);

	return strncmp(b->only, name, n < m ? n : m) == 0;
}

void bench_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void bench_add(struct bench_series *s, double v)
{
	must(s->n < BENCH_ROUNDS_MAX);
	s->v[s->n++] = v;
}

static int compare(const void *a, const void *b)
{
	const double *x = a;
	const double *y = b;

	return (*x > *y) - (*x < *y);
}

/* The value below which a part of the series lies, 0 to 1. */
static double quantile(const struct bench_series *s, double part)
{
	struct bench_series sorted = *s;
	double at = part * (s->n - 1);
	uint32_t i = (uint32_t)at;

	must(s->n > 0);
	qsort(sorted.v, sorted.n, sizeof(sorted.v[0]), compare);
	if (i + 1 == s->n)
		return sorted.v[i];
	return sorted.v[i] + (sorted.v[i + 1] - sorted.v[i]) * (at - i);
}

double bench_median(const struct bench_series *s)
{
	return quantile(s, 0.5);
}

double bench_spread(const struct bench_series *s)
{
	return (quantile(s, 0.75) - quantile(s, 0.25)) / 2;
}

static double ratio(const struct bench_row *r)
{
	struct bench_series ratios = {0};

	for (uint32_t i = 0; i < r->ours.n; i++)
		bench_add(&ratios, r->less_is_better
					   ? r->theirs.v[i] / r->ours.v[i]
					   : r->ours.v[i] / r->theirs.v[i]);
	return bench_median(&ratios);
}

void bench_emit(const struct bench_row *r)
{
	printf("{\"name\": \"%s\", \"unit\": \"%s\", \"value\": %.4g, "
	       "\"spread\": %.2g",
	       r->name, r->unit, bench_median(&r->ours),
	       bench_spread(&r->ours));
	if (r->theirs.n) {
		must(r->theirs.n == r->ours.n);
		printf(", \"peer\": \"%s\", \"peer_value\": %.4g, "
		       "\"ratio\": %.3g",
		       r->peer, bench_median(&r->theirs), ratio(r));
	} else {
		printf(", \"peer\": null, \"peer_value\": null, "
		       "\"ratio\": null");
	}
	if (r->limit.n)
		printf(", \"limit_value\": %.4g}\n", bench_median(&r->limit));
	else
		printf(", \"limit_value\": null}\n");
}
