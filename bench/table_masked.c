/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A million flows under 1, 10, 100 and 1,000 masks, beside a tuple space search
 * over DPDK's rte_hash.
 *
 *     lookup/N/HITS   batches of 32 keys, each with a flow. HITS is uniform (all
 *                     masks are hit alike) or zipf (a mask's share is that of its
 *                     rank to the power -1). The peer has a table for each mask
 *                     and tries them in the order of hits, 32 keys at once; the
 *                     limit is sluice/exact.h with as many keys
 *     miss/N          keys of other packets, of which hardly any has a flow
 *     set/N, del/N    one by one, in random order
 *     bytes/N         of the region and of the writer, for each flow
 *
 * Keys are those of packets (sluice/key.h), built from the number of the flow
 * right before they are used. Masks are prefixes of both addresses, with none,
 * one or both ports, and always the port of entry, protocol and type.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/must.h"
#include "base/rng.h"
#include "bench/bench.h"
#include "sluice/key.h"
#include "sluice/masked_batch.h"
#include "table/exact.h"
#include "table/masked.h"
#ifdef HAVE_PEER
#include "bench/peer_rte_hash.h"
#endif

#define BATCH SLUICE_EXACT_BATCH
#define KEY_WORDS (SLUICE_KEY_LEN_MAX / 8)
#define N_FLOWS 1000000u
#define N_PICKS (1u << 18)
#define N_MASKS_MAX 1000u
#define N_ROUNDS 7u
#define OTHERS (1u << 30) /* numbers from here on have no flow, but by chance */

enum hits { UNIFORM, ZIPF };
static const char *const hit_names[] = {"uniform", "zipf"};

struct words {
	uint64_t w[KEY_WORDS];
};

struct rig {
	uint32_t n_masks;
	enum hits hits;
	struct words masks[N_MASKS_MAX];
	struct region *region;
	struct table_masked *table;
	struct sluice_masked_view view; /* counts hits */
	struct region *exact_region;
	struct table_exact *exact;
	uint32_t *picks; /* [N_PICKS] numbers of flows; their masks go round */
	uint32_t *order; /* [N_FLOWS] each flow once, random */
#ifdef HAVE_PEER
	struct peer *peers[N_MASKS_MAX];
	uint32_t peer_order[N_MASKS_MAX];
#endif
	uint64_t sum; /* of what was read, so that it must be read */
};

static uint64_t mix(uint64_t x)
{
	x *= 0x9e3779b97f4a7c15u;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	return x ^ x >> 32;
}

static uint64_t net32(uint64_t host)
{
	return (uint64_t)__builtin_bswap32((uint32_t)host) << 32;
}

/* The key of a packet of a flow. */
static inline void key_build(uint64_t number, uint64_t *w)
{
	uint64_t a = mix(number);
	uint64_t b = mix(number + (1ull << 40));

	w[0] = 3 | 0x5254ull << 32;
	w[1] = a;
	w[2] = 0x0006000000000008u;
	w[3] = 0;
	w[4] = net32(a);
	w[5] = 0;
	w[6] = net32(b);
	w[7] = b >> 32;
}

static void mask_build(struct rng *rng, uint64_t *w)
{
	static const uint64_t ports[] = {0, 0xffff0000u, 0xffffffffu};

	memset(w, 0, sizeof(struct words));
	w[0] = 0xffffffffu;
	w[2] = 0x00ff00000000ffffu;
	w[3] = w[5] = ~0ull;
	w[4] = net32(0xffffffffull << rng_below(rng, 25));
	w[6] = net32(0xffffffffull << rng_below(rng, 25));
	w[7] = ports[rng_below(rng, 3)];
}

static void masks_draw(struct rig *r)
{
	struct rng rng = rng_of(r->n_masks);

	for (uint32_t i = 0; i < r->n_masks;) {
		uint32_t j = 0;

		mask_build(&rng, r->masks[i].w);
		while (memcmp(&r->masks[j], &r->masks[i], sizeof(struct words)))
			j++;
		i += j == i;
	}
}

static double mops(uint64_t n, uint64_t ns)
{
	return (double)n * 1e3 / (double)ns;
}

/* ---- Ours. ---- */

static double ours_set(struct rig *r)
{
	uint64_t value[7] = {1};
	uint64_t start = clock_cpu_ns();

	for (uint32_t i = 0; i < N_FLOWS; i++) {
		uint64_t key[KEY_WORDS];
		const struct table_masked_key flow =
			{key, &r->masks[r->order[i] % r->n_masks]};

		key_build(r->order[i], key);
		must(!table_masked_set(r->table, &flow, value, NULL));
	}
	return mops(N_FLOWS, clock_cpu_ns() - start);
}

static double ours_del(struct rig *r)
{
	uint64_t start = clock_cpu_ns();
	double rate;

	for (uint32_t i = 0; i < N_FLOWS; i++) {
		uint64_t key[KEY_WORDS];
		const struct table_masked_key flow =
			{key, &r->masks[r->order[i] % r->n_masks]};

		key_build(r->order[i], key);
		r->sum += table_masked_del(r->table, &flow);
	}
	rate = mops(N_FLOWS, clock_cpu_ns() - start);
	must(table_masked_n_used(r->table) == 0);
	table_masked_reclaim(r->table, table_masked_mark(r->table));
	return rate;
}

static double ours_find(struct rig *r, uint32_t n_picks, uint32_t other)
{
	uint32_t version = sluice_version(r->region->head);
	uint64_t start = clock_cpu_ns();

	for (uint32_t i = 0; i < n_picks; i += BATCH) {
		uint64_t keys[BATCH][KEY_WORDS];
		struct sluice_exact_answers a;

		for (uint32_t j = 0; j < BATCH; j++) {
			key_build(r->picks[i + j] + other, keys[j]);
		}
		sluice_masked_find_batch(&r->view, version, keys, BATCH, &a);
		must(a.yes == ~0u || other);
		for (uint32_t j = 0; !other && j < BATCH; j++)
			r->sum +=
				*(uint64_t *)
					sluice_entry_value(a.entries[j],
							   SLUICE_KEY_LEN_MAX);
	}
	return mops(n_picks, clock_cpu_ns() - start);
}

/* ---- A plain exact table with as many keys. ---- */

static void exact_init(struct rig *r)
{
	const struct table_exact_conf conf = {
		.name = "exact",
		.kind = SLUICE_TABLE_FLOWS,
		.n_max = N_FLOWS,
		.key_len = SLUICE_KEY_LEN_MAX,
		.value_len = 56,
		.seed = 1,
	};
	uint64_t value[7] = {1};

	must(!region_new_memfd("exact", table_exact_len(&conf) + (1 << 16),
			       true, &r->exact_region, NULL));
	must(!table_exact_new(r->exact_region, &conf, &r->exact, NULL));
	for (uint32_t i = 0; i < N_FLOWS; i++) {
		uint64_t key[KEY_WORDS];

		key_build(i, key);
		key[1] = i;
		must(!table_exact_set(r->exact, key, value, NULL));
	}
}

static double exact_find(struct rig *r, uint32_t n_picks)
{
	uint32_t version = sluice_version(r->exact_region->head);
	uint64_t start = clock_cpu_ns();

	for (uint32_t i = 0; i < n_picks; i += BATCH) {
		uint64_t keys[BATCH][KEY_WORDS];
		struct sluice_exact_answers a;

		for (uint32_t j = 0; j < BATCH; j++) {
			key_build(r->picks[i + j], keys[j]);
			keys[j][1] = r->picks[i + j];
		}
		sluice_exact_find_batch(table_exact_view(r->exact), version,
					keys, BATCH, &a);
		must(a.yes == ~0u);
		for (uint32_t j = 0; j < BATCH; j++)
			r->sum +=
				*(uint64_t *)
					sluice_entry_value(a.entries[j],
							   SLUICE_KEY_LEN_MAX);
	}
	return mops(n_picks, clock_cpu_ns() - start);
}

/* ---- The peer: a table for each mask, tried in turn. ---- */

#ifdef HAVE_PEER

static void masked(const struct rig *r, uint32_t mask, const uint64_t *key,
		   uint64_t *out)
{
	for (uint32_t w = 0; w < KEY_WORDS; w++)
		out[w] = key[w] & r->masks[mask].w[w];
}

/* Counts what each mask is hit, as ours does. */
static void peer_sort(struct rig *r)
{
	static uint32_t n_hits[N_MASKS_MAX];

	memset(n_hits, 0, sizeof(n_hits));
	for (uint32_t i = 0; i < N_PICKS; i++)
		n_hits[r->picks[i] % r->n_masks]++;
	for (uint32_t i = 0; i < r->n_masks; i++) {
		uint32_t at = i;

		for (; at && n_hits[r->peer_order[at - 1]] < n_hits[i]; at--)
			r->peer_order[at] = r->peer_order[at - 1];
		r->peer_order[at] = i;
	}
}

static void peer_init(struct rig *r)
{
	for (uint32_t m = 0; m < r->n_masks; m++) {
		r->peers[m] =
			peer_new(N_FLOWS / r->n_masks + 64, SLUICE_KEY_LEN_MAX);
		must(r->peers[m]);
	}
	for (uint32_t i = 0; i < N_FLOWS; i++) {
		uint64_t key[KEY_WORDS], under[KEY_WORDS];

		key_build(i, key);
		masked(r, i % r->n_masks, key, under);
		must(peer_add(r->peers[i % r->n_masks], under, 1) == 1);
	}
	peer_sort(r);
}

static uint32_t peer_batch(struct rig *r, uint64_t keys[][KEY_WORDS])
{
	uint32_t left[BATCH];
	uint32_t n_left = BATCH;

	for (uint32_t j = 0; j < BATCH; j++)
		left[j] = j;
	for (uint32_t i = 0; i < r->n_masks && n_left; i++) {
		uint32_t m = r->peer_order[i];
		uint64_t under[BATCH][KEY_WORDS];
		uint64_t hits = 0;
		uint32_t n = 0;

		for (uint32_t j = 0; j < n_left; j++)
			masked(r, m, keys[left[j]], under[j]);
		hits = peer_find_bits(r->peers[m], under, n_left, &r->sum);
		for (uint32_t j = 0; j < n_left; j++) {
			left[n] = left[j];
			n += !(hits >> j & 1);
		}
		n_left = n;
	}
	return n_left;
}

static double peer_find_all(struct rig *r, uint32_t n_picks, uint32_t other)
{
	uint64_t start = clock_cpu_ns();

	for (uint32_t i = 0; i < n_picks; i += BATCH) {
		uint64_t keys[BATCH][KEY_WORDS];

		for (uint32_t j = 0; j < BATCH; j++) {
			key_build(r->picks[i + j] + other, keys[j]);
		}
		must(peer_batch(r, keys) == 0 || other);
	}
	return mops(n_picks, clock_cpu_ns() - start);
}

static void peer_fini(struct rig *r)
{
	for (uint32_t m = 0; m < r->n_masks; m++)
		peer_free(r->peers[m]);
}

#endif

/* ---- One number of masks. ---- */

static void picks_draw(struct rig *r, struct rng *rng)
{
	static double until[N_MASKS_MAX];
	double sum = 0;

	for (uint32_t m = 0; m < r->n_masks; m++)
		until[m] = sum += r->hits == ZIPF ? 1.0 / (m + 1) : 1;
	for (uint32_t i = 0; i < N_PICKS; i++) {
		double at = sum * (double)rng_below(rng, 1u << 30) /
			    (double)(1u << 30);
		uint32_t m = 0;

		while (until[m] <= at)
			m++;
		r->picks[i] =
			m + r->n_masks * rng_below(rng, N_FLOWS / r->n_masks);
	}
}

static void rig_init(struct rig *r, uint32_t n_masks, enum hits hits)
{
	struct rng rng = rng_of(n_masks + hits);
	const struct table_masked_conf conf = {
		.name = "bench",
		.kind = SLUICE_TABLE_FLOWS,
		.n_max = N_FLOWS,
		.n_masks_max = n_masks < 64 ? 64 : n_masks,
		.n_lanes = 2,
		.key_len = SLUICE_KEY_LEN_MAX,
		.value_len = 56,
		.seed = 1,
	};

	memset(r, 0, sizeof(*r));
	r->n_masks = n_masks;
	r->hits = hits;
	masks_draw(r);
	must(!region_new_memfd("bench", table_masked_len(&conf) + (1 << 16),
			       true, &r->region, NULL));
	must(!table_masked_new(r->region, &conf, &r->table, NULL));
	r->view = *table_masked_view(r->table);
	must(sluice_masked_count_in(&r->view, 1));
	r->picks = bench_alloc(N_PICKS * sizeof(*r->picks));
	picks_draw(r, &rng);
	r->order = bench_alloc(N_FLOWS * sizeof(*r->order));
	for (uint32_t i = 0; i < N_FLOWS; i++) {
		uint32_t j = rng_below(&rng, i + 1);

		r->order[i] = r->order[j];
		r->order[j] = i;
	}
}

static void rig_fini(struct rig *r)
{
	bench_free(r->order, N_FLOWS * sizeof(*r->order));
	bench_free(r->picks, N_PICKS * sizeof(*r->picks));
	table_masked_free(r->table);
	region_free(r->region);
}

static struct bench_row row_of(const struct rig *r, const char *what)
{
	struct bench_row row = {.unit = "Mops/s"};

	snprintf(row.name, sizeof(row.name), "table/masked/%s/%u", what,
		 r->n_masks);
	if (!strcmp(what, "lookup"))
		snprintf(row.name, sizeof(row.name), "table/masked/%s/%u/%s",
			 what, r->n_masks, hit_names[r->hits]);
	return row;
}

/* As many lookups as take about 0.1 s at 15 ns a mask tried. */
static uint32_t picks_for(uint32_t n_masks)
{
	uint32_t n = 6000000 / n_masks;

	return n < N_PICKS ? n / BATCH * BATCH : N_PICKS;
}

static void lookups(struct rig *r)
{
	struct bench_row hit = row_of(r, "lookup");
	struct bench_row miss = row_of(r, "miss");
	uint32_t n_few = picks_for(r->n_masks);

	exact_init(r);
#ifdef HAVE_PEER
	peer_init(r);
	hit.peer = miss.peer = "rte_hash per mask";
#endif
	for (uint32_t i = 0; i < N_ROUNDS; i++) {
		(void)ours_find(r, n_few, 0);
		table_masked_reorder(r->table);
		bench_add(&hit.ours, ours_find(r, N_PICKS, 0));
		bench_add(&miss.ours, ours_find(r, n_few, OTHERS));
		bench_add(&hit.limit, exact_find(r, N_PICKS));
#ifdef HAVE_PEER
		bench_add(&hit.theirs, peer_find_all(r, n_few, 0));
		bench_add(&miss.theirs, peer_find_all(r, n_few, OTHERS));
#endif
	}
	bench_emit(&hit);
	if (r->hits == UNIFORM)
		bench_emit(&miss);
#ifdef HAVE_PEER
	peer_fini(r);
#endif
	table_exact_free(r->exact);
	region_free(r->exact_region);
}

static void updates(struct rig *r)
{
	struct bench_row set = row_of(r, "set");
	struct bench_row del = row_of(r, "del");
	struct bench_row bytes = row_of(r, "bytes");

	for (uint32_t i = 0; i < 3; i++) {
		bench_add(&del.ours, ours_del(r));
		bench_add(&set.ours, ours_set(r));
	}
	bytes.unit = "bytes";
	bytes.less_is_better = true;
	bench_add(&bytes.ours,
		  (double)(region_table(r->region, SLUICE_TABLE_FLOWS)->len +
			   table_masked_own_len(r->table)) /
			  N_FLOWS);
	bench_emit(&set);
	bench_emit(&del);
	bench_emit(&bytes);
}

static void measure(const struct bench *b, uint32_t n_masks, enum hits hits)
{
	static struct rig r;
	struct bench_row row;

	r.n_masks = n_masks;
	r.hits = hits;
	row = row_of(&r, "lookup");
	if (!bench_wants(b, row.name))
		return;
	bench_say("table/masked: %u masks, %s", n_masks, hit_names[hits]);
	rig_init(&r, n_masks, hits);
	(void)ours_set(&r);
	lookups(&r);
	if (hits == UNIFORM)
		updates(&r);
	rig_fini(&r);
}

int main(int argc, char **argv)
{
	static const uint32_t n_masks[] = {1, 10, 100, 1000};
	struct bench b;
	bool huge;

	bench_init(&b, argc, argv);
	if (!bench_wants(&b, "table/masked"))
		return 0;
	huge = bench_huge_reserve(3ull << 29);
	bench_say("table/masked: memory in %s pages", huge ? "2 MiB" : "4 KiB");
#ifdef HAVE_PEER
	must(peer_start(huge));
#endif
	for (uint32_t i = 0; i < ARRAY_LEN(n_masks); i++) {
		measure(&b, n_masks[i], UNIFORM);
		if (n_masks[i] > 1)
			measure(&b, n_masks[i], ZIPF);
	}
	return 0;
}
