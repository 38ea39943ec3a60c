/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of routes beside DPDK's, with a million routes (bench/routes.h).
 *
 *     F/lookup/M/P    addresses within routes, 64 at once; M: each route as often
 *                     as any other (random), or few of them much more often (zipf)
 *     F/lookup/M/one  one after the other, without a peer
 *     F/update/P      thousands of changes a second: random routes go and come back
 *     F/bytes/P       bytes for each route: the table as it was made, with all
 *                     indexes and what the writer keeps for itself
 *
 * F is ip4 (peers rte_lpm and rte_fib) or ip6 (rte_lpm6, rte_fib6). All look at
 * the same addresses, in network order where the peer wants them so, and all
 * must give the same answers.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/must.h"
#include "base/rng.h"
#include "bench/bench.h"
#include "bench/routes.h"
#include "sluice/prefix_batch.h"
#include "table/prefix.h"
#ifdef HAVE_PEER
#include "bench/peer_rte_hash.h"
#include "bench/peer_rte_route.h"
#endif

#define BATCH SLUICE_PREFIX_BATCH
#define N_ROUTES 1000000u
#define N_PICKS (1u << 21)
#define N_ROUNDS 7u

struct family {
	const char *name;
	uint32_t key_bits;
	uint32_t root_bits;
	const char *peers[2];
#ifdef HAVE_PEER
	enum peer_route_kind kinds[2];
#endif
};

struct rig {
	const struct family *family;
	struct routes routes;
	struct picks picks[2]; /* random, zipf */
	struct region *region;
	struct table_prefix *table;
	const struct sluice_prefix_view *view;
	uint64_t len; /* of the table */
	uint64_t sum; /* of what was read, so that it must be read */
#ifdef HAVE_PEER
	struct peer_route *peers[2];
	uint64_t peer_lens[2];
#endif
};

static const char *const mixes[] = {"random", "zipf"};

static double mops(uint64_t n, uint64_t ns)
{
	return (double)n * 1e3 / (double)ns;
}

/* ---- Ours. ---- */

static void ours_find(struct rig *r, const struct picks *p, uint32_t first,
		      uint32_t *found)
{
	uint32_t version = sluice_version(r->region->head);

	if (r->family->key_bits == 32) {
		sluice_prefix_find4_batch(r->view, p->ip4 + first, BATCH,
					  version, found);
	} else {
		struct sluice_addr addrs[BATCH];

		for (uint32_t i = 0; i < BATCH; i++)
			addrs[i] = sluice_addr_of_ip6(p->ip6[first + i]);
		sluice_prefix_find_batch(r->view, addrs, BATCH, version, found);
	}
}

static double ours_batch(struct rig *r, const struct picks *p)
{
	uint64_t start = clock_cpu_ns();

	for (uint32_t i = 0; i < p->n; i += BATCH) {
		uint32_t found[BATCH];

		ours_find(r, p, i, found);
		for (uint32_t j = 0; j < BATCH; j++)
			r->sum += found[j];
	}
	return mops(p->n, clock_cpu_ns() - start);
}

static double ours_one(struct rig *r, const struct picks *p)
{
	uint32_t version = sluice_version(r->region->head);
	uint64_t start = clock_cpu_ns();

	for (uint32_t i = 0; i < p->n; i++) {
		struct sluice_addr a = r->family->key_bits == 32
					       ? sluice_addr_of_ip4(p->ip4[i])
					       : sluice_addr_of_ip6(p->ip6[i]);

		r->sum += sluice_prefix_find(r->view, a, version);
	}
	return mops(p->n, clock_cpu_ns() - start);
}

static uint64_t hop_of(uint32_t i)
{
	return i;
}

static void ours_add(struct rig *r, uint32_t i)
{
	uint64_t value = hop_of(i);

	must(!table_prefix_set(r->table, &r->routes.keys[i], &value, NULL));
}

/* Random routes go and come back. Thousands of changes per second. */
static double ours_update(struct rig *r, struct rng *rng)
{
	enum { N = 100000 };
	uint64_t start = clock_cpu_ns();

	for (uint32_t i = 0; i < N; i++) {
		uint32_t no = rng_below(rng, N_ROUTES);

		must(!table_prefix_del(r->table, &r->routes.keys[no]));
		ours_add(r, no);
		if (i % 1024 == 0)
			table_prefix_reclaim(r->table,
					     table_prefix_mark(r->table));
	}
	return mops(2 * N, clock_cpu_ns() - start) * 1e3;
}

static void ours_init(struct rig *r)
{
	struct table_prefix_conf conf = {
		.name = "bench",
		.kind = SLUICE_TABLE_OWN,
		.n_max = N_ROUTES,
		.key_bits = r->family->key_bits,
		.root_bits = r->family->root_bits,
		.value_len = 8,
	};
	uint64_t start;

	for (uint32_t at = conf.root_bits; at < conf.key_bits; at += 4)
		conf.n_nodes += routes_n_within(&r->routes, at);
	conf.n_nodes += conf.n_nodes / 16 + 1000;
	r->len = table_prefix_len(&conf);
	must(!region_new_memfd("bench", r->len + (1 << 16), true, &r->region,
			       NULL));
	must(!table_prefix_new(r->region, &conf, &r->table, NULL));
	r->view = table_prefix_view(r->table);
	start = clock_cpu_ns();
	for (uint32_t i = 0; i < N_ROUTES; i++)
		ours_add(r, i);
	bench_say("table/prefix: %s: %u routes, %u nodes, set at %.0f k/s",
		  r->family->name, N_ROUTES, conf.n_nodes,
		  mops(N_ROUTES, clock_cpu_ns() - start) * 1e3);
}

/* ---- The peers. ---- */

#ifdef HAVE_PEER

static void peers_key(const struct rig *r, uint32_t i, uint8_t *addr)
{
	struct sluice_addr a = r->routes.keys[i].addr;

	a.hi = __builtin_bswap64(a.hi);
	a.lo = __builtin_bswap64(a.lo);
	memcpy(addr, &a, sizeof(a));
}

static void peers_add(struct rig *r, uint32_t which, uint32_t i)
{
	uint8_t addr[16];

	peers_key(r, i, addr);
	must(peer_route_add(r->peers[which], addr,
			    (uint8_t)r->routes.keys[i].len,
			    (uint32_t)hop_of(i)));
}

static const void *picked(const struct picks *p, uint32_t i)
{
	return p->ip4 ? (const void *)(p->ip4 + i) : (const void *)(p->ip6 + i);
}

static double peers_batch(struct rig *r, uint32_t which, const struct picks *p)
{
	uint64_t start = clock_cpu_ns();

	for (uint32_t i = 0; i < p->n; i += PEER_ROUTE_MAX) {
		uint32_t found[PEER_ROUTE_MAX];

		peer_route_find(r->peers[which], picked(p, i), PEER_ROUTE_MAX,
				found);
		for (uint32_t j = 0; j < PEER_ROUTE_MAX; j++)
			r->sum += found[j];
	}
	return mops(p->n, clock_cpu_ns() - start);
}

static double peers_update(struct rig *r, uint32_t which, struct rng *rng)
{
	/* rte_lpm looks through all routes of the same length. */
	uint32_t n = r->family->kinds[which] == PEER_LPM ? 300 : 20000;
	uint64_t start = clock_cpu_ns();

	for (uint32_t i = 0; i < n; i++) {
		uint32_t no = rng_below(rng, N_ROUTES);
		uint8_t addr[16];

		peers_key(r, no, addr);
		must(peer_route_del(r->peers[which], addr,
				    (uint8_t)r->routes.keys[no].len));
		peers_add(r, which, no);
	}
	return mops(2 * n, clock_cpu_ns() - start) * 1e3;
}

/* All of them say the same, or we have not measured the same. */
static void peers_agree(struct rig *r, uint32_t which)
{
	const struct picks *p = &r->picks[0];

	for (uint32_t i = 0; i < p->n; i += BATCH) {
		uint32_t mine[BATCH], theirs[BATCH];

		ours_find(r, p, i, mine);
		peer_route_find(r->peers[which], picked(p, i), BATCH, theirs);
		for (uint32_t j = 0; j < BATCH; j++)
			must(*(uint64_t *)sluice_prefix_value(r->view,
							      mine[j]) ==
			     theirs[j]);
	}
}

static void peer_init(struct rig *r, uint32_t which)
{
	uint64_t before = peer_heap_len();
	uint32_t n_tbl8 = 0;
	uint64_t start;

	for (uint32_t at = 24; at < r->family->key_bits; at += 8)
		n_tbl8 += routes_n_within(&r->routes, at);
	/* rte_fib6 reserves nodes for routes that could share them. */
	if (r->family->kinds[which] == PEER_FIB6)
		n_tbl8 *= 3;
	n_tbl8 += n_tbl8 / 16 + 1000;
	r->peers[which] = peer_route_new(r->family->kinds[which],
					 N_ROUTES + N_ROUTES / 32, n_tbl8);
	must(r->peers[which]);
	start = clock_cpu_ns();
	for (uint32_t i = 0; i < N_ROUTES; i++)
		peers_add(r, which, i);
	r->peer_lens[which] = peer_heap_len() - before;
	bench_say("table/prefix: %s: %u nodes, added at %.1f k/s",
		  r->family->peers[which], n_tbl8,
		  mops(N_ROUTES, clock_cpu_ns() - start) * 1e3);
	peers_agree(r, which);
}

#endif

/* ---- Rows. ---- */

/* Of one family; [2] by peer. */
struct rows {
	struct bench_row lookup[2][2];
	struct bench_row one[2];
	struct bench_row update[2];
	struct bench_row bytes[2];
};

static void row_init(struct bench_row *row, const char *unit, const char *peer,
		     const char *name)
{
	*row = (struct bench_row){.unit = unit, .peer = peer};
	snprintf(row->name, sizeof(row->name), "table/prefix/%s", name);
}

static void rows_init(struct rows *rows, const struct family *f)
{
	char name[80];

	for (uint32_t m = 0; m < 2; m++) {
		snprintf(name, sizeof(name), "%s/lookup/%s/one", f->name,
			 mixes[m]);
		row_init(&rows->one[m], "Mops/s", NULL, name);
		for (uint32_t w = 0; w < 2; w++) {
			snprintf(name, sizeof(name), "%s/lookup/%s/%s", f->name,
				 mixes[m], f->peers[w]);
			row_init(&rows->lookup[m][w], "Mops/s", f->peers[w],
				 name);
		}
	}
	for (uint32_t w = 0; w < 2; w++) {
		snprintf(name, sizeof(name), "%s/update/%s", f->name,
			 f->peers[w]);
		row_init(&rows->update[w], "kops/s", f->peers[w], name);
		snprintf(name, sizeof(name), "%s/bytes/%s", f->name,
			 f->peers[w]);
		row_init(&rows->bytes[w], "B", f->peers[w], name);
		rows->bytes[w].less_is_better = true;
	}
}

static void round_of(struct rig *r, struct rows *rows, struct rng *rng)
{
	for (uint32_t m = 0; m < 2; m++) {
		double ours = ours_batch(r, &r->picks[m]);

		bench_add(&rows->one[m].ours, ours_one(r, &r->picks[m]));
		for (uint32_t w = 0; w < 2; w++)
			bench_add(&rows->lookup[m][w].ours, ours);
	}
	bench_add(&rows->update[0].ours, ours_update(r, rng));
	bench_add(&rows->update[1].ours,
		  rows->update[0].ours.v[rows->update[0].ours.n - 1]);
#ifdef HAVE_PEER
	for (uint32_t w = 0; w < 2; w++) {
		for (uint32_t m = 0; m < 2; m++)
			bench_add(&rows->lookup[m][w].theirs,
				  peers_batch(r, w, &r->picks[m]));
		bench_add(&rows->update[w].theirs, peers_update(r, w, rng));
	}
#endif
}

static void emit_all(struct rig *r, struct rows *rows)
{
	for (uint32_t m = 0; m < 2; m++) {
		bench_emit(&rows->one[m]);
		for (uint32_t w = 0; w < 2; w++)
			bench_emit(&rows->lookup[m][w]);
	}
	for (uint32_t w = 0; w < 2; w++) {
		bench_emit(&rows->update[w]);
		bench_add(&rows->bytes[w].ours,
			  (double)(r->len + table_prefix_own_len(r->table)) /
				  N_ROUTES);
#ifdef HAVE_PEER
		bench_add(&rows->bytes[w].theirs,
			  (double)r->peer_lens[w] / N_ROUTES);
#endif
		bench_emit(&rows->bytes[w]);
	}
}

static void measure(const struct family *f)
{
	struct rng rng = rng_of(1);
	struct rows rows;
	struct rig r = {.family = f};

	routes_init(&r.routes, f->key_bits, N_ROUTES);
	for (uint32_t m = 0; m < 2; m++)
		picks_init(&r.picks[m], &r.routes, N_PICKS, m);
	ours_init(&r);
#ifdef HAVE_PEER
	for (uint32_t w = 0; w < 2; w++)
		peer_init(&r, w);
#endif
	rows_init(&rows, f);
	for (uint32_t i = 0; i < N_ROUNDS; i++)
		round_of(&r, &rows, &rng);
	emit_all(&r, &rows);
#ifdef HAVE_PEER
	for (uint32_t w = 0; w < 2; w++)
		peer_route_free(r.peers[w]);
#endif
	table_prefix_free(r.table);
	region_free(r.region);
	for (uint32_t m = 0; m < 2; m++)
		picks_fini(&r.picks[m], &r.routes);
	routes_fini(&r.routes);
}

int main(int argc, char **argv)
{
	static const struct family families[] = {
#ifdef HAVE_PEER
		{"ip4", 32, 24, {"rte_lpm", "rte_fib"}, {PEER_LPM, PEER_FIB}},
		{"ip6",
		 128,
		 24,
		 {"rte_lpm6", "rte_fib6"},
		 {PEER_LPM6, PEER_FIB6}},
#else
		{"ip4", 32, 24, {"rte_lpm", "rte_fib"}},
		{"ip6", 128, 24, {"rte_lpm6", "rte_fib6"}},
#endif
	};
	struct bench b;
	bool huge;

	bench_init(&b, argc, argv);
	if (!bench_wants(&b, "table/prefix"))
		return 0;
	huge = bench_huge_reserve(9ull << 29);
	bench_say("table/prefix: memory in %s pages", huge ? "2 MiB" : "4 KiB");
#ifdef HAVE_PEER
	must(peer_start(huge));
#endif
	for (uint32_t i = 0; i < ARRAY_LEN(families); i++) {
		char name[64];

		snprintf(name, sizeof(name), "table/prefix/%s",
			 families[i].name);
		if (bench_wants(&b, name))
			measure(&families[i]);
	}
	return 0;
}
