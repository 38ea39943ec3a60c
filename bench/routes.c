/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/routes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/annotate.h"
#include "base/must.h"
#include "base/rng.h"
#include "bench/bench.h"

struct share {
	uint32_t len;
	uint32_t per_mille;
};

static const struct share shares4[] = {{24, 600}, {23, 100}, {22, 110},
				       {21, 50},  {20, 45},  {19, 27},
				       {18, 15},  {17, 10},  {16, 15},
				       {15, 3},	  {14, 3},   {13, 2},
				       {25, 4},	  {26, 4},   {27, 3},
				       {28, 3},	  {30, 3},   {32, 3}};
static const struct share shares6[] = {{48, 480}, {32, 150}, {40, 90}, {44, 90},
				       {36, 45},  {46, 30},  {47, 25}, {29, 25},
				       {33, 15},  {34, 10},  {42, 10}, {38, 5},
				       {45, 5},	  {43, 5},   {56, 5},  {64, 5},
				       {30, 5}};

static struct sluice_prefix_key cut(struct sluice_addr a, uint32_t len)
{
	struct sluice_prefix_key k = {.len = len};

	k.addr.hi = len >= 64 ? a.hi : a.hi & ~(~0ull >> len);
	k.addr.lo =
		len > 64 ? a.lo & ~(len == 128 ? 0 : ~0ull >> (len - 64)) : 0;
	return k;
}

static uint32_t draw_len(const struct share *s, uint32_t n, struct rng *r)
{
	uint32_t at = rng_below(r, 1000);

	for (uint32_t i = 0; i < n; i++) {
		if (at < s[i].per_mille)
			return s[i].len;
		at -= s[i].per_mille;
	}
	return s[0].len;
}

static uint64_t draw_block(uint32_t key_bits, struct rng *r)
{
	static const uint16_t tops[] = {0x2001, 0x2400, 0x2600,
					0x2800, 0x2a00, 0x2c00};
	uint64_t block;

	/* 1.0.0.0 to 223.255.255.255 */
	if (key_bits == 32)
		return (uint64_t)((1u << 24) + rng_below(r, 223u << 24)) << 32;
	block = (uint64_t)tops[rng_below(r, ARRAY_LEN(tops))] << 48;
	/* In steps of a /29, as registries do. */
	return block | (uint64_t)rng_below(r, 1 << 16) << 35;
}

/* A network: its allocation and pieces of it. Returns how many routes. */
static uint32_t draw_network(struct sluice_prefix_key *out, uint32_t n_max,
			     uint32_t key_bits, struct rng *r)
{
	bool is4 = key_bits == 32;
	uint32_t at = is4 ? 13 + rng_below(r, 8) : 29 + 3 * rng_below(r, 2);
	uint64_t block =
		cut((struct sluice_addr){draw_block(key_bits, r), 0}, at)
			.addr.hi;
	uint32_t n = 1 + rng_below(r, is4 ? 120 : 40);
	bool in_a_row = rng_below(r, 2);
	uint64_t next = block;

	if (n > n_max)
		n = n_max;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t len = is4 ? draw_len(shares4, ARRAY_LEN(shares4), r)
				   : draw_len(shares6, ARRAY_LEN(shares6), r);
		uint64_t inside = rng_next(r) & (~0ull >> at);

		if (in_a_row)
			inside = next & (~0ull >> at);
		out[i] = cut((struct sluice_addr){len < at ? block
							   : block | inside,
						  0},
			     len);
		if (len >= at)
			next = out[i].addr.hi + (1ull << (64 - len));
	}
	return n;
}

static int compare(const void *a, const void *b)
{
	const struct sluice_prefix_key *x = a, *y = b;

	if (x->addr.hi != y->addr.hi)
		return x->addr.hi < y->addr.hi ? -1 : 1;
	if (x->addr.lo != y->addr.lo)
		return x->addr.lo < y->addr.lo ? -1 : 1;
	return x->len < y->len ? -1 : x->len > y->len;
}

static uint32_t sort_unique(struct sluice_prefix_key *keys, uint32_t n)
{
	uint32_t n_out = 0;

	qsort(keys, n, sizeof(*keys), compare);
	for (uint32_t i = 0; i < n; i++)
		if (!n_out || compare(&keys[n_out - 1], &keys[i]))
			keys[n_out++] = keys[i];
	return n_out;
}

static void shuffle(struct sluice_prefix_key *keys, uint32_t n, struct rng *r)
{
	for (uint32_t i = n; i > 1; i--) {
		uint32_t j = rng_below(r, i);
		struct sluice_prefix_key was = keys[i - 1];

		keys[i - 1] = keys[j];
		keys[j] = was;
	}
}

void routes_init(struct routes *r, uint32_t key_bits, uint32_t n)
{
	struct rng rng = rng_of(key_bits + n);
	uint32_t n_drawn = 0, n_max = 3 * n;

	*r = (struct routes){.n = n, .key_bits = key_bits};
	r->keys = bench_alloc(n_max * sizeof(*r->keys));
	while (n_drawn < n + n / 3)
		n_drawn += draw_network(r->keys + n_drawn, n_max - n_drawn,
					key_bits, &rng);
	n_drawn = sort_unique(r->keys, n_drawn);
	must(n_drawn >= n);
	shuffle(r->keys, n_drawn, &rng);
}

void routes_fini(struct routes *r)
{
	bench_free(r->keys, 3 * r->n * sizeof(*r->keys));
}

static struct sluice_addr within(const struct sluice_prefix_key *k,
				 struct rng *r)
{
	struct sluice_addr a = {rng_next(r), rng_next(r)};
	struct sluice_addr top = cut(a, k->len).addr;

	return (struct sluice_addr){k->addr.hi | (a.hi & ~top.hi),
				    k->addr.lo | (a.lo & ~top.lo)};
}

static uint32_t draw_route(const struct routes *r, struct rng *rng, bool zipf)
{
	double u = (double)(rng_next(rng) >> 11) / 9007199254740992.0;

	/* The integral of 1/x, turned round. */
	return zipf ? (uint32_t)exp(u * log(r->n)) - 1 : rng_below(rng, r->n);
}

void picks_init(struct picks *p, const struct routes *r, uint32_t n, bool zipf)
{
	struct rng rng = rng_of(n + zipf);

	*p = (struct picks){.n = n};
	if (r->key_bits == 32)
		p->ip4 = bench_alloc(n * sizeof(*p->ip4));
	else
		p->ip6 = bench_alloc(n * sizeof(*p->ip6));
	for (uint32_t i = 0; i < n; i++) {
		const struct sluice_prefix_key *k =
			&r->keys[draw_route(r, &rng, zipf)];
		struct sluice_addr a = within(k, &rng);

		if (r->key_bits == 32) {
			p->ip4[i] = (uint32_t)(a.hi >> 32);
			continue;
		}
		a.hi = __builtin_bswap64(a.hi);
		a.lo = __builtin_bswap64(a.lo);
		memcpy(p->ip6[i], &a, sizeof(a));
	}
}

void picks_fini(struct picks *p, const struct routes *r)
{
	if (r->key_bits == 32)
		bench_free(p->ip4, p->n * sizeof(*p->ip4));
	else
		bench_free(p->ip6, p->n * sizeof(*p->ip6));
}

uint32_t routes_n_within(const struct routes *r, uint32_t n_bits)
{
	struct sluice_prefix_key *keys = malloc(r->n * sizeof(*keys));
	uint32_t n = 0;

	must(keys);
	for (uint32_t i = 0; i < r->n; i++)
		if (r->keys[i].len > n_bits)
			keys[n++] = cut(r->keys[i].addr, n_bits);
	n = sort_unique(keys, n);
	free(keys);
	return n;
}
