/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters are drawn without addresses, then both address trees are grown over
 * all of them, then equal ones go. If too few rules came out of it, everything
 * begins anew with twice as many filters, so that the trees are those of one set.
 */
#include "table/rules_fake.h"

#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "base/rng.h"

#define BLOCKS_MAX 30u /* prefixes that cover a range of 16 bits */
#define ANY_PROTO 0u
#define ETH_IPV4 0x0800u

enum port_class { WC, HI, LO, EM, AR };

/* Lists end with weight 0; weights come first (draw()). */
struct lengths {
	uint8_t weight;
	uint8_t src_min, src_max, dst_min, dst_max;
};

struct ports {
	uint8_t weight;
	enum port_class src, dst;
};

struct proto {
	uint8_t weight;
	uint8_t proto;
	const struct ports *ports;
};

/* A piece of the address tree: depths below end, in per cent. */
struct piece {
	uint8_t end, branch, skew;
};

struct kind {
	const char *name;
	const struct lengths *lengths;
	const struct proto *protos;
	struct piece src[4], dst[4];
	uint8_t correlation; /* per cent, per bit */
	uint8_t jitter;	     /* bits by which the order may differ */
};

static const struct ports no_ports[] = {{1, WC, WC}, {0}};

/* ICMP's type and code lie where ports do. */
static const struct ports icmp_ports[] = {{6, WC, WC}, {4, EM, WC}, {0}};

static const struct ports acl_tcp[] = {{52, WC, EM}, {24, WC, AR}, {14, WC, WC},
				       {6, WC, HI},  {4, EM, HI},  {0}};
static const struct ports acl_udp[] = {{48, WC, EM}, {22, WC, AR}, {14, WC, WC},
				       {8, WC, HI},  {8, EM, EM},  {0}};
static const struct ports fw_tcp[] = {{30, WC, EM}, {16, HI, EM}, {16, WC, WC},
				      {14, EM, WC}, {10, EM, HI}, {8, WC, AR},
				      {3, WC, LO},  {3, HI, HI},  {0}};
static const struct ports fw_udp[] = {{30, WC, EM}, {20, EM, WC}, {16, EM, EM},
				      {14, HI, EM}, {10, WC, WC}, {6, EM, HI},
				      {4, WC, AR},  {0}};
static const struct ports ipc_tcp[] = {{38, WC, EM}, {18, WC, WC}, {16, EM, WC},
				       {10, HI, EM}, {8, EM, HI},  {8, WC, AR},
				       {2, LO, WC},  {0}};
static const struct ports ipc_udp[] = {{30, WC, EM}, {26, EM, EM}, {18, WC, WC},
				       {14, EM, WC}, {8, WC, AR},  {4, HI, EM},
				       {0}};

static const struct ports wide_ports[] = {{2, WC, AR},
					  {2, AR, WC},
					  {1, HI, AR},
					  {1, AR, HI},
					  {0}};

/* Real sets have most of their weight on few pairs, and a long tail. */
static const struct lengths acl_lengths[] =
	{{20, 32, 32, 32, 32}, {16, 24, 24, 32, 32},
	 {14, 0, 0, 32, 32},   {10, 30, 30, 32, 32},
	 {9, 24, 24, 24, 24},  {7, 0, 0, 24, 24},
	 {5, 16, 16, 32, 32},  {4, 16, 16, 24, 24},
	 {3, 32, 32, 0, 0},    {3, 28, 28, 28, 28},
	 {3, 27, 32, 30, 32},  {2, 20, 24, 24, 28},
	 {1, 8, 16, 16, 24},   {0}};
static const struct lengths fw_lengths[] =
	{{18, 0, 0, 32, 32},   {15, 32, 32, 0, 0},
	 {16, 32, 32, 32, 32}, {10, 24, 24, 32, 32},
	 {9, 32, 32, 24, 24},  {7, 0, 0, 24, 24},
	 {6, 24, 24, 0, 0},    {5, 16, 16, 16, 16},
	 {4, 0, 0, 16, 16},    {3, 0, 0, 0, 0},
	 {3, 28, 32, 28, 32},  {1, 8, 16, 16, 24},
	 {1, 16, 24, 8, 16},   {0}};
static const struct lengths ipc_lengths[] = {{30, 32, 32, 32, 32},
					     {12, 24, 24, 32, 32},
					     {10, 32, 32, 24, 24},
					     {9, 0, 0, 32, 32},
					     {8, 24, 24, 24, 24},
					     {6, 32, 32, 0, 0},
					     {5, 16, 16, 32, 32},
					     {4, 16, 16, 16, 16},
					     {3, 32, 32, 28, 28},
					     {4, 28, 32, 28, 32},
					     {2, 16, 20, 16, 24},
					     {1, 16, 24, 8, 16},
					     {0}};

static const struct lengths wide_lengths[] = {{1, 8, 32, 8, 32}, {0}};

static const struct proto wide_protos[] = {{1, 6, wide_ports}, {0}};
static const struct proto acl_protos[] = {{76, 6, acl_tcp},
					  {13, 17, acl_udp},
					  {4, 1, icmp_ports},
					  {5, ANY_PROTO, no_ports},
					  {1, 47, no_ports},
					  {1, 50, no_ports},
					  {0}};
static const struct proto fw_protos[] = {{62, 6, fw_tcp},
					 {22, 17, fw_udp},
					 {6, 1, icmp_ports},
					 {8, ANY_PROTO, no_ports},
					 {1, 47, no_ports},
					 {1, 51, no_ports},
					 {0}};
static const struct proto ipc_protos[] = {{58, 6, ipc_tcp},
					  {24, 17, ipc_udp},
					  {6, 1, icmp_ports},
					  {10, ANY_PROTO, no_ports},
					  {1, 2, no_ports},
					  {1, 89, no_ports},
					  {0}};

static const struct kind kinds[] = {
	[RULES_ACL] =
		{.name = "acl",
		 .lengths = acl_lengths,
		 .protos = acl_protos,
		 .src = {{8, 50, 40}, {16, 60, 40}, {24, 45, 50}, {32, 30, 30}},
		 .dst = {{8, 30, 50}, {16, 60, 50}, {24, 60, 40}, {32, 40, 20}},
		 .correlation = 40,
		 .jitter = 16},
	[RULES_FW] =
		{.name = "fw",
		 .lengths = fw_lengths,
		 .protos = fw_protos,
		 .src = {{8, 55, 50}, {16, 60, 40}, {24, 50, 40}, {32, 35, 30}},
		 .dst = {{8, 35, 50}, {16, 60, 40}, {24, 60, 30}, {32, 45, 20}},
		 .correlation = 20,
		 .jitter = 24},
	[RULES_IPC] =
		{.name = "ipc",
		 .lengths = ipc_lengths,
		 .protos = ipc_protos,
		 .src = {{8, 45, 50}, {16, 60, 50}, {24, 50, 40}, {32, 35, 30}},
		 .dst = {{8, 45, 50}, {16, 60, 50}, {24, 50, 40}, {32, 35, 30}},
		 .correlation = 60,
		 .jitter = 20},
	[RULES_WIDE] = {.name = "wide",
			.lengths = wide_lengths,
			.protos = wide_protos,
			.src = {{32, 60, 40}},
			.dst = {{32, 60, 40}},
			.correlation = 0,
			.jitter = 255},
};

/* Popular ones first. */
static const uint16_t services[] = {80,	  443,	22,   53,   25,	  110,	21,
				    123,  161,	143,  389,  445,  993,	995,
				    1433, 3306, 5432, 8080, 8443, 3389, 514,
				    179,  1521, 1812, 2049, 5060, 6379, 9092};
static const uint16_t ranges[][2] = {{20, 21},	     {67, 68},
				     {135, 139},     {161, 162},
				     {137, 138},     {512, 514},
				     {1812, 1813},   {6000, 6063},
				     {8000, 8099},   {5060, 5061},
				     {2300, 2400},   {33434, 33524},
				     {49152, 65535}, {1521, 1530},
				     {7000, 7009}};

struct filter {
	/* What is compared. */
	uint32_t src, dst;
	uint8_t src_len, dst_len;
	uint8_t proto; /* ANY_PROTO: any */
	uint8_t zero;
	uint16_t sp_min, sp_max, dp_min, dp_max;
	/* What is not. */
	uint32_t order;
	uint32_t n_rules;
	bool follows; /* its destination has been its source so far */
};
#define FILTER_SAME offsetof(struct filter, order)
_Static_assert(FILTER_SAME == 20, "filters are compared as bytes");

struct block {
	uint16_t value, mask;
};

const char *rules_kind_name(enum rules_kind kind)
{
	return kinds[kind].name;
}

/* ---- Chance. ---- */

static bool per_cent(struct rng *g, uint32_t p)
{
	return rng_below(g, 100) < p;
}

static uint32_t between(struct rng *g, uint32_t min, uint32_t max)
{
	return min + rng_below(g, max - min + 1);
}

/* Makes small numbers likely: i in proportion to 1 / (i + 1), about. */
static uint32_t popular(struct rng *g, uint32_t n)
{
	return rng_below(g, between(g, 1, n));
}

/* ---- Ports. ---- */

/* Mostly a popular range; sometimes hundreds, as people like them. */
static void range_draw(struct rng *g, uint16_t *min, uint16_t *max)
{
	uint32_t i = popular(g, sizeof(ranges) / sizeof(ranges[0]));

	*min = ranges[i][0];
	*max = ranges[i][1];
	if (per_cent(g, 80))
		return;
	*min = (uint16_t)(100 * between(g, 11, 600));
	*max = (uint16_t)(*min + 100 * between(g, 1, 5));
}

static void ports_draw(struct rng *g, enum port_class class, uint16_t *min,
		       uint16_t *max)
{
	switch (class) {
	case WC:
		*min = 0;
		*max = 65535;
		return;
	case HI:
		*min = 1024;
		*max = 65535;
		return;
	case LO:
		*min = 0;
		*max = 1023;
		return;
	case AR:
		range_draw(g, min, max);
		return;
	case EM:
		break;
	}
	if (per_cent(g, 60))
		*min = services[popular(g, sizeof(services) / 2)];
	else
		*min = (uint16_t)between(g, 1, 65535);
	*max = *min;
}

/* The fewest prefixes that cover min to max. */
static uint32_t blocks_of(uint32_t min, uint32_t max, struct block *out)
{
	uint32_t n = 0;

	while (min <= max) {
		uint32_t size = 1;

		while (min % (2 * size) == 0 && min + 2 * size - 1 <= max)
			size *= 2;
		must(n < BLOCKS_MAX);
		out[n++] = (struct block){(uint16_t)min,
					  (uint16_t)(0x10000u - size)};
		min += size;
	}
	return n;
}

/* ---- Filters. ---- */

/* Draws from a list of elements that begin with their weight. */
static const void *draw(struct rng *g, const void *list, size_t len)
{
	const uint8_t *at = list;
	uint32_t sum = 0;

	for (const uint8_t *i = at; *i; i += len)
		sum += *i;
	for (sum = rng_below(g, sum); sum >= *at; at += len)
		sum -= *at;
	return at;
}

/* All but addresses. */
static struct filter filter_draw(struct rng *g, const struct kind *k)
{
	const struct lengths *l = draw(g, k->lengths, sizeof(*l));
	const struct proto *proto;
	const struct ports *pair;
	struct filter f = {.follows = true};
	struct block blocks[BLOCKS_MAX];

	f.src_len = (uint8_t)between(g, l->src_min, l->src_max);
	f.dst_len = (uint8_t)between(g, l->dst_min, l->dst_max);
	do {
		/* No second rule for everything. */
		proto = draw(g, k->protos, sizeof(*proto));
	} while (proto->proto == ANY_PROTO && !f.src_len && !f.dst_len);
	f.proto = proto->proto;
	pair = draw(g, proto->ports, sizeof(*pair));
	ports_draw(g, pair->src, &f.sp_min, &f.sp_max);
	ports_draw(g, pair->dst, &f.dp_min, &f.dp_max);
	if (proto->ports == icmp_ports && pair->src == EM)
		f.sp_min = f.sp_max = (uint16_t)rng_below(g, 19);
	f.n_rules = blocks_of(f.sp_min, f.sp_max, blocks) *
		    blocks_of(f.dp_min, f.dp_max, blocks);
	return f;
}

/* ---- Addresses: one tree for sources, one for destinations. ---- */

struct tree {
	struct rng *g;
	struct filter *filters;
	const struct piece *pieces;
	uint32_t correlation;
	bool is_dst;
};

/* Which child filter f goes to. */
static uint32_t bit_of(const struct tree *t, struct filter *f, uint32_t depth,
		       uint32_t heavy, uint32_t heavy_share)
{
	if (t->is_dst && f->follows && depth < f->src_len &&
	    per_cent(t->g, t->correlation))
		return f->src >> (31 - depth) & 1;
	f->follows = false;
	return per_cent(t->g, heavy_share) ? heavy : !heavy;
}

/*
 * The node addr at depth has the filters ids[0..n-1]; those whose prefix ends
 * here get it, the others go on. Nothing lies in 240.0.0.0/4.
 */
static void tree_grow(const struct tree *t, uint32_t *ids, uint32_t n,
		      uint32_t depth, uint32_t addr)
{
	const struct piece *p = t->pieces;
	uint32_t heavy = rng_below(t->g, 2);
	uint32_t share = 100;
	uint32_t n_left = 0, n_zero = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct filter *f = &t->filters[ids[i]];

		if ((t->is_dst ? f->dst_len : f->src_len) != depth)
			ids[n_left++] = ids[i];
		else if (t->is_dst)
			f->dst = addr;
		else
			f->src = addr;
	}
	if (!n_left)
		return;
	while (depth >= p->end)
		p++;
	if (per_cent(t->g, p->branch))
		share = 10000u / (200u - p->skew);
	for (uint32_t i = 0; i < n_left; i++) {
		uint32_t id = ids[i];

		if (bit_of(t, &t->filters[id], depth, heavy, share) &&
		    !(depth == 3 && addr == 0xe0000000u))
			continue;
		ids[i] = ids[n_zero];
		ids[n_zero++] = id;
	}
	tree_grow(t, ids, n_zero, depth + 1, addr);
	tree_grow(t, ids + n_zero, n_left - n_zero, depth + 1,
		  addr | 0x80000000u >> depth);
}

static void addresses_draw(struct rng *g, const struct kind *k,
			   struct filter *filters, uint32_t n)
{
	uint32_t *ids = calloc(n, sizeof(*ids));
	struct tree src = {g, filters, k->src, 0, false};
	struct tree dst = {g, filters, k->dst, k->correlation, true};

	must(ids);
	for (uint32_t i = 0; i < n; i++)
		ids[i] = i;
	tree_grow(&src, ids, n, 0, 0);
	for (uint32_t i = 0; i < n; i++)
		ids[i] = i;
	tree_grow(&dst, ids, n, 0, 0);
	free(ids);
}

/* ---- Order. ---- */

static int by_content(const void *a, const void *b)
{
	return memcmp(a, b, FILTER_SAME);
}

static int by_order(const void *a, const void *b)
{
	const struct filter *x = a;
	const struct filter *y = b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return by_content(a, b);
}

/* Removes filters that are there twice; the others stay in their order. */
static uint32_t filters_unique(struct filter *filters, uint32_t n)
{
	uint32_t n_left = 1;

	for (uint32_t i = 0; i < n; i++)
		filters[i].order = i;
	qsort(filters, n, sizeof(*filters), by_content);
	for (uint32_t i = 1; i < n; i++)
		if (by_content(&filters[i], &filters[n_left - 1]))
			filters[n_left++] = filters[i];
	qsort(filters, n_left, sizeof(*filters), by_order);
	return n_left;
}

static uint32_t range_bits(uint32_t min, uint32_t max)
{
	return (uint32_t)__builtin_clz(max - min + 1) - 15;
}

/* The most specific first, more or less. */
static void filters_sort(struct rng *g, const struct kind *k,
			 struct filter *filters, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct filter *f = &filters[i];
		uint32_t bits = (uint32_t)f->src_len + f->dst_len +
				range_bits(f->sp_min, f->sp_max) +
				range_bits(f->dp_min, f->dp_max) +
				(f->proto == ANY_PROTO ? 0 : 8);

		f->order = 256 - bits + rng_below(g, k->jitter);
	}
	qsort(filters, n, sizeof(*filters), by_order);
}

/*
 * Filters that make at least n rules, at most one of them needed in part only.
 * Returns their number; the caller frees *out.
 */
static uint32_t filters_draw(struct rng *g, const struct kind *k, uint32_t n,
			     struct filter **out)
{
	for (uint32_t n_filters = n / 4 + 1;; n_filters *= 2) {
		struct filter *filters = calloc(n_filters, sizeof(*filters));
		uint32_t n_unique, sum = 0;

		must(filters && n_filters < 1u << 28);
		for (uint32_t i = 0; i < n_filters; i++)
			filters[i] = filter_draw(g, k);
		addresses_draw(g, k, filters, n_filters);
		n_unique = filters_unique(filters, n_filters);
		for (uint32_t i = 0; i < n_unique; i++) {
			sum += filters[i].n_rules;
			if (sum >= n) {
				filters_sort(g, k, filters, i + 1);
				*out = filters;
				return i + 1;
			}
		}
		free(filters);
	}
}

/* ---- Rules. ---- */

static uint16_t be16(uint16_t v)
{
	return __builtin_bswap16(v);
}

static void address_set(uint8_t *value, uint8_t *mask, uint32_t addr,
			uint32_t len)
{
	uint32_t bits = len ? 0xffffffffu << (32 - len) : 0;

	for (uint32_t i = 0; i < 4; i++) {
		value[12 + i] = (uint8_t)(addr >> (24 - 8 * i));
		mask[12 + i] = (uint8_t)(bits >> (24 - 8 * i));
	}
}

static struct rule rule_of(const struct filter *f, const struct block *src,
			   const struct block *dst)
{
	struct rule r = {0};

	r.value.eth_type.be = be16(ETH_IPV4);
	r.mask.eth_type.be = 0xffff;
	r.value.ip_proto = f->proto;
	r.mask.ip_proto = f->proto == ANY_PROTO ? 0 : 0xff;
	address_set(r.value.ip_src, r.mask.ip_src, f->src, f->src_len);
	address_set(r.value.ip_dst, r.mask.ip_dst, f->dst, f->dst_len);
	r.value.tp_src.be = be16(src->value);
	r.mask.tp_src.be = be16(src->mask);
	r.value.tp_dst.be = be16(dst->value);
	r.mask.tp_dst.be = be16(dst->mask);
	return r;
}

/* Writes a filter's rules, n_max at most; returns how many. */
static uint32_t expand(const struct filter *f, struct rule *out, uint32_t n_max)
{
	struct block src[BLOCKS_MAX], dst[BLOCKS_MAX];
	uint32_t n_src = blocks_of(f->sp_min, f->sp_max, src);
	uint32_t n_dst = blocks_of(f->dp_min, f->dp_max, dst);
	uint32_t n = 0;

	for (uint32_t i = 0; i < n_src; i++)
		for (uint32_t j = 0; j < n_dst && n < n_max; j++)
			out[n++] = rule_of(f, &src[i], &dst[j]);
	return n;
}

void rules_init(struct rules *r, enum rules_kind kind, uint32_t n,
		uint64_t seed)
{
	struct rng g = rng_of(seed + kind);
	struct filter *filters;
	uint32_t n_filters;

	must(n >= 2 && n <= 1u << 20);
	n_filters = filters_draw(&g, &kinds[kind], n - 1, &filters);
	r->n_filters = n_filters + 1;
	r->n = 0;
	r->rule = calloc(n, sizeof(*r->rule));
	r->first = calloc(n_filters + 2, sizeof(*r->first));
	must(r->rule && r->first);
	for (uint32_t i = 0; i < n_filters; i++) {
		uint32_t m = expand(&filters[i], r->rule + r->n, n - 1 - r->n);

		r->first[i] = r->n;
		for (uint32_t j = 0; j < m; j++) {
			r->rule[r->n].filter = i;
			r->rule[r->n++].priority = n_filters - i;
		}
	}
	r->first[n_filters] = r->n;
	r->rule[r->n++].filter = n_filters;
	r->first[n_filters + 1] = r->n;
	must(r->n == n);
	free(filters);
}

void rules_fini(struct rules *r)
{
	free(r->rule);
	free(r->first);
}
