/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's own rates: nothing but the reads, prefetched in the best way
 * that we know. Random numbers are drawn before; a list of 32-bit numbers costs
 * a sixteenth of a line per read.
 */
#include "bench/lines.h"

#include "base/clock.h"
#include "base/rng.h"
#include "bench/bench.h"

#define N_PICKS (1u << 22)
#define BATCH 32u
#define PICKS_LEN ((N_PICKS + BATCH) * sizeof(uint32_t))

void lines_init(struct lines *l, uint64_t n_first, uint64_t n_second)
{
	struct rng rng = rng_of(n_first);

	*l = (struct lines){
		.first = bench_alloc(n_first * 64),
		.second = bench_alloc(n_second * 64),
		.n_first = (uint32_t)n_first,
		.n_second = (uint32_t)n_second,
		.picks = bench_alloc(PICKS_LEN),
	};
	for (uint64_t i = 0; i < n_first * 8; i++)
		l->first[i] = rng_below(&rng, l->n_second);
	for (uint32_t i = 0; i < N_PICKS; i++)
		l->picks[i] = (uint32_t)(rng_next(&rng) >> 32);
}

void lines_fini(struct lines *l)
{
	bench_free(l->picks, PICKS_LEN);
	bench_free(l->second, l->n_second * 64ull);
	bench_free(l->first, l->n_first * 64ull);
}

/* Line pick of n lines at mem. */
static inline const uint64_t *line(const uint64_t *mem, uint32_t n,
				   uint32_t pick)
{
	return mem + (((uint64_t)pick * n) >> 32) * 8;
}

static double mops(uint64_t start)
{
	return N_PICKS * 1e3 / (double)(clock_cpu_ns() - start);
}

static inline void fetch_first(struct lines *l, const uint32_t *picks)
{
	for (uint32_t i = 0; i < BATCH; i++)
		__builtin_prefetch(line(l->first, l->n_first, picks[i]));
}

static inline void fetch_second(struct lines *l, const uint32_t *picks,
				const uint64_t **at)
{
	for (uint32_t i = 0; i < BATCH; i++) {
		const uint64_t *f = line(l->first, l->n_first, picks[i]);

		at[i] = l->second + f[picks[i] % 8] * 8;
		__builtin_prefetch(at[i]);
	}
}

static inline void read_second(struct lines *l, const uint64_t **at)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < BATCH; i++)
		sum += *at[i];
	l->sum += sum;
}

static inline const uint64_t *second(const struct lines *l, uint32_t pick)
{
	return line(l->second, l->n_second, pick);
}

double lines_one(struct lines *l)
{
	uint64_t start = clock_cpu_ns();
	uint64_t sum = 0;

	for (uint32_t i = 0; i < N_PICKS; i += BATCH) {
		/* The list is followed by zeros of one batch more. */
		for (uint32_t j = 0; j < BATCH; j++)
			__builtin_prefetch(second(l, l->picks[i + BATCH + j]));
		for (uint32_t j = 0; j < BATCH; j++)
			sum += *second(l, l->picks[i + j]);
	}
	l->sum += sum;
	return mops(start);
}

double lines_two(struct lines *l)
{
	uint64_t start = clock_cpu_ns();
	const uint64_t *at[BATCH];

	for (uint32_t i = 0; i < N_PICKS; i += BATCH) {
		fetch_first(l, l->picks + i);
		fetch_second(l, l->picks + i, at);
		read_second(l, at);
	}
	return mops(start);
}

double lines_two_pipe(struct lines *l)
{
	uint64_t start = clock_cpu_ns();
	const uint64_t *at[2][BATCH];
	uint32_t i;

	fetch_first(l, l->picks);
	fetch_first(l, l->picks + BATCH);
	fetch_second(l, l->picks, at[0]);
	for (i = 2 * BATCH; i < N_PICKS; i += BATCH) {
		uint32_t odd = i / BATCH % 2;

		fetch_first(l, l->picks + i);
		fetch_second(l, l->picks + i - BATCH, at[!odd]);
		read_second(l, at[odd]);
	}
	fetch_second(l, l->picks + i - BATCH, at[1]);
	read_second(l, at[0]);
	read_second(l, at[1]);
	return mops(start);
}
