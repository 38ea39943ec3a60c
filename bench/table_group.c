/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choosing a bucket of a select group.
 *
 *     group/pick/N       for random keys, one group of N buckets; beside a hash of
 *                        each bucket with the packet and a loop over them, as
 *                        Open vSwitch has it for selection method "hash" (its
 *                        arithmetic, written anew here). Both hash the packet's
 *                        masked key by the same function.
 *     group/resolve/N    10,000 groups of N buckets: find the group, too
 *     group/set/N        replacing a group, its slots dealt anew
 *     group/bytes/N      bytes of a group of N buckets: entry and block
 *
 * Half of the bytes of a select group of 16 are its slots.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/must.h"
#include "base/rng.h"
#include "bench/bench.h"
#include "region/account.h"
#include "sluice/group_pick.h"
#include "table/group.h"

#define N_ROUNDS 9u
#define N_PICKS (1u << 20)
#define N_KEYS 4096u
#define N_GROUPS 10000u
#define N_SETS 300u

struct rig {
	uint32_t n;
	struct region *region;
	struct heap *heap;
	struct table_group *groups;
	struct sluice_key *keys; /* [N_KEYS] */
	uint64_t sum;
};

static void group_set(struct rig *r, uint32_t id, uint32_t turn)
{
	struct group_bucket b[SLUICE_GROUP_BUCKETS_MAX];
	struct group_conf conf = {
		.type = SLUICE_GROUP_SELECT,
		.n_buckets = r->n,
		.buckets = b,
	};

	memset(conf.mask.ip_src, 0xff, 32);
	memset(&conf.mask.tp_src, 0xff, 4);
	for (uint32_t i = 0; i < r->n; i++)
		b[i] = (struct group_bucket){
			.act = sluice_act_of(SLUICE_ACT_OUTPUT, 1 + i % 63),
			.watch_port = 1 + i % 63,
			.watch_group = SLUICE_GROUP_NONE,
			.weight = 1 + (i + turn) % 4,
		};
	must(!table_group_set(r->groups, id, &conf, NULL));
}

static void rig_init(struct rig *r, uint32_t n)
{
	struct table_group_conf conf = {.n_max = N_GROUPS, .seed = 1};
	struct rng rng = rng_of(n);
	uint32_t n_pages = N_GROUPS / 4;

	*r = (struct rig){.n = n};
	must(!region_new_memfd("bench",
			       heap_len(n_pages) + table_group_len(N_GROUPS) +
				       (1 << 16),
			       true, &r->region, NULL));
	must(!heap_new(r->region, n_pages, 0, &r->heap, NULL));
	conf.heap = r->heap;
	must(!table_group_new(r->region, &conf, &r->groups, NULL));
	for (uint32_t id = 0; id < N_GROUPS; id++)
		group_set(r, id, 0);
	r->keys = bench_alloc(N_KEYS * sizeof(*r->keys));
	for (uint32_t i = 0; i < N_KEYS * sizeof(*r->keys) / 8; i++)
		((uint64_t *)r->keys)[i] = rng_next(&rng);
}

static void rig_fini(struct rig *r)
{
	bench_free(r->keys, N_KEYS * sizeof(*r->keys));
	table_group_free(r->groups);
	heap_free(r->heap);
	region_free(r->region);
}

static double mops(uint64_t n, uint64_t ns)
{
	return (double)n * 1e3 / (double)ns;
}

static double ours_pick(struct rig *r)
{
	const struct sluice_groups_view *v = table_group_view(r->groups);
	struct sluice_group_packet p = {NULL, ~0ull, 1};
	struct sluice_group_at g;
	uint64_t start = clock_cpu_ns();

	must(sluice_group_find(v, 1, 7, &g) == SLUICE_YES);
	for (uint32_t i = 0; i < N_PICKS; i++) {
		uint32_t bucket;

		p.key = &r->keys[i % N_KEYS];
		must(sluice_group_pick(v, &g, &p, &bucket) == SLUICE_YES);
		r->sum += bucket;
	}
	return mops(N_PICKS, clock_cpu_ns() - start);
}

/* hash_int() of Open vSwitch: a round and the end of MurmurHash3. */
static inline uint32_t hash_int(uint32_t x, uint32_t basis)
{
	uint32_t h = basis;

	x *= 0xcc9e2d51u;
	x = x << 15 | x >> 17;
	x *= 0x1b873593u;
	h ^= x;
	h = h << 13 | h >> 19;
	h = h * 5 + 0xe6546b64u;
	h ^= 4;
	h ^= h >> 16;
	h *= 0x85ebca6bu;
	h ^= h >> 13;
	h *= 0xc2b2ae35u;
	return h ^ h >> 16;
}

static uint32_t loop_pick(const struct sluice_group_at *g, uint32_t basis,
			  uint64_t up)
{
	uint32_t best = 0;
	uint32_t best_score = 0;

	for (uint32_t i = 0; i < g->n_buckets; i++) {
		uint32_t score;

		if (!sluice_group_is_live(g, i, up))
			continue;
		score = (hash_int(i, basis) & 0xffff) * g->buckets[i].weight;
		if (score >= best_score) {
			best = i;
			best_score = score;
		}
	}
	return best;
}

static double theirs_pick(struct rig *r)
{
	const struct sluice_groups_view *v = table_group_view(r->groups);
	struct sluice_group_at g;
	uint64_t start = clock_cpu_ns();

	must(sluice_group_find(v, 1, 7, &g) == SLUICE_YES);
	for (uint32_t i = 0; i < N_PICKS; i++)
		r->sum += loop_pick(&g,
				    sluice_group_hash(v, &g,
						      &r->keys[i % N_KEYS]),
				    ~0ull);
	return mops(N_PICKS, clock_cpu_ns() - start);
}

static double ours_resolve(struct rig *r)
{
	const struct sluice_groups_view *v = table_group_view(r->groups);
	struct sluice_group_packet p = {NULL, ~0ull, 1};
	struct rng rng = rng_of(3);
	uint64_t start = clock_cpu_ns();

	for (uint32_t i = 0; i < N_PICKS; i++) {
		struct sluice_group_choice c;

		p.key = &r->keys[i % N_KEYS];
		must(sluice_group_resolve(v, rng_below(&rng, N_GROUPS), &p,
					  &c) == SLUICE_YES);
		r->sum += c.act.w;
	}
	return mops(N_PICKS, clock_cpu_ns() - start);
}

/* In microseconds. */
static double ours_set(struct rig *r)
{
	static uint32_t turn;
	uint64_t start = clock_cpu_ns();

	for (uint32_t i = 0; i < N_SETS; i++)
		group_set(r, i, ++turn);
	start = clock_cpu_ns() - start;
	table_group_reclaim(r->groups, table_group_mark(r->groups));
	heap_reclaim(r->heap, heap_mark(r->heap));
	return (double)start / 1e3 / N_SETS;
}

static void emit(struct bench_row *row, const char *what, uint32_t n)
{
	snprintf(row->name, sizeof(row->name), "group/%s/%u", what, n);
	bench_emit(row);
}

static void measure(uint32_t n)
{
	struct bench_row pick = {.unit = "Mpicks/s", .peer = "loop of hashes"};
	struct bench_row resolve = {.unit = "Mpicks/s"};
	struct bench_row set = {.unit = "us", .less_is_better = true};
	struct bench_row bytes = {.unit = "B", .less_is_better = true};
	struct sluice_heap_usage usage;
	struct rig r;

	rig_init(&r, n);
	sluice_heap_usage(heap_view(r.heap), &usage);
	bench_add(&bytes.ours, ((double)usage.n_pages * SLUICE_HEAP_PAGE +
				(double)table_group_len(N_GROUPS)) /
				       N_GROUPS);
	for (uint32_t i = 0; i < N_ROUNDS; i++) {
		bench_add(&pick.ours, ours_pick(&r));
		bench_add(&pick.theirs, theirs_pick(&r));
		bench_add(&resolve.ours, ours_resolve(&r));
		bench_add(&set.ours, ours_set(&r));
	}
	emit(&pick, "pick", n);
	emit(&resolve, "resolve", n);
	emit(&set, "set", n);
	emit(&bytes, "bytes", n);
	bench_say("(%llu)", (unsigned long long)r.sum);
	rig_fini(&r);
}

int main(int argc, char **argv)
{
	static const uint32_t ns[] = {2, 16, 64};
	struct bench b;

	bench_init(&b, argc, argv);
	if (!bench_wants(&b, "group/"))
		return 0;
	for (uint32_t i = 0; i < ARRAY_LEN(ns); i++)
		measure(ns[i]);
	return 0;
}
