/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_PREFIX_H
#define SLUICE_PREFIX_H

/*
 * sluice/prefix - reading a table of routes: the longest prefix that matches
 *
 * A multibit trie with leaf pushing (Srinivasan and Varghese, "Fast address
 * lookups using controlled prefix expansion", 1999) over IPv4 or IPv6
 * addresses. The first root_bits bits index a root array, each further 4 bits a
 * node of 16 words, which is one cache line. A word is the number of a route, or
 * a node to go on with; a look-up touches the root and one line for each 4 bits
 * in which longer prefixes differ, and its last word is the answer. All nodes
 * are of one size and so are all routes, so nothing ever becomes fragmented.
 *
 *     word     child 1 | unsettled 1 | number of node or route 30;   0: no route
 *     route    head 8 | parent 4 | len 4 | address 8 or 16 | value value_len
 *
 * Routes are numbered from 1 and never move. The default route (length 0) is in
 * no node but in a word of its own, which stands for every 0: so it is set by
 * one store. A route's parent is the next shorter one around it.
 *
 * While a change set is unsettled (sluice/version.h) the words name the longest
 * of all routes, old and new, with the bit "unsettled" at those that not
 * everybody sees; a reader who does not see such a route goes on to its parent.
 * All other words need no look at the route.
 *
 * One writer (table/prefix.h), any number of readers in any process and in BPF.
 *
 * Promises
 *   1. find is wait-free: a load for the root, one for each 4 bits, and, only
 *      with unsettled sets, one for each route that covers the address. It is
 *      never busy.
 *   2. Every look-up gives, for its address and version, the answer before or
 *      after a change that happens meanwhile; never a third one.
 *   3. A writer killed at any store leaves the same.
 *   4. Whatever is written into the table by others, a reader touches nothing
 *      outside the table and ends.
 *
 * find and the route it answers need a section (sluice/section.h; an XDP program is
 * in one); who has none copies with sluice_prefix_get().
 *
 * How the writer keeps them:
 *   [prefix-word]   a word is stored (release) after the node or route it names
 *                   is whole, and nodes that were published change by single
 *                   words only; readers load with acquire.
 *   [prefix-reuse]  n_reused grows (release) before nodes and routes that were
 *                   taken out are written again. Who sees a new word in them
 *                   sees it grown.
 */

#include "sluice/atomic.h"
#include "sluice/route.h"
#include "sluice/types.h"
#include "sluice/version.h"

#define SLUICE_PREFIX_CHILD 0x80000000u
#define SLUICE_PREFIX_UNSETTLED 0x40000000u
#define SLUICE_PREFIX_NUMBER 0x3fffffffu

#define SLUICE_NODE_BITS 4u
#define SLUICE_NODE_WORDS 16u
#define SLUICE_PREFIX_TRIES 4u
#define SLUICE_PREFIX_LEVELS 30u /* of nodes: (128 - 8) / 4 */
#define SLUICE_PREFIX_CHAIN 260u /* routes around one address, old and new */

/* Lies in the region. Offsets are from the start of this struct. */
struct sluice_prefix {
	/* Constant after init. */
	uint32_t key_bits;  /* 32: IPv4; 128: IPv6 */
	uint32_t root_bits; /* 8 to 24, a multiple of 4 */
	uint32_t n_nodes;
	uint32_t n_routes;  /* and one more that is never used, number 0 */
	uint32_t route_len; /* bytes from one route to the next */
	uint32_t value_len; /* bytes; a multiple of 8 */
	uint64_t root_off;  /* multiples of 64 */
	uint64_t nodes_off;
	uint64_t routes_off;

	/* The writer writes, anyone reads. */
	uint32_t default_word __attribute__((aligned(64)));
	uint32_t pad;
	uint64_t n_reused;				 /* [prefix-reuse] */
	uint64_t n_changes __attribute__((aligned(64))); /* odd: in one */
	uint32_t n_used; /* routes, old and new */
	uint32_t n_nodes_used;
};

/*
 * A table as one reader sees it: its shape copied once, after it was checked,
 * so that a later scribble over the header cannot lead the reader astray.
 */
struct sluice_prefix_view {
	const struct sluice_prefix *table;
	const uint32_t *root;
	const uint32_t *nodes;
	uint8_t *routes;
	uint32_t key_bits;
	uint32_t root_shift; /* 64 - root_bits */
	uint32_t n_nodes;
	uint32_t n_routes;
	uint32_t route_len;
	uint32_t value_off; /* in a route */
};

SLUICE_INLINE uint32_t sluice_route_value_off(uint32_t key_bits)
{
	return key_bits == 32 ? 24 : 32;
}

/* Takes the shape of t, which the caller has checked or made itself. */
SLUICE_INLINE void sluice_prefix_view_init(struct sluice_prefix_view *v,
					   struct sluice_prefix *t)
{
	v->table = t;
	v->root = (const uint32_t *)((uint8_t *)t + t->root_off);
	v->nodes = (const uint32_t *)((uint8_t *)t + t->nodes_off);
	v->routes = (uint8_t *)t + t->routes_off;
	v->key_bits = t->key_bits;
	v->root_shift = 64 - t->root_bits;
	v->n_nodes = t->n_nodes;
	v->n_routes = t->n_routes;
	v->route_len = t->route_len;
	v->value_off = sluice_route_value_off(t->key_bits);
}

/* Route number n; the unused one if there is no such route. */
SLUICE_INLINE struct sluice_route *
sluice_prefix_route(const struct sluice_prefix_view *v, uint32_t n)
{
	if (n > v->n_routes)
		n = 0;
	return (struct sluice_route *)(void *)(v->routes +
					       (uint64_t)n * v->route_len);
}

SLUICE_INLINE void *sluice_prefix_value(const struct sluice_prefix_view *v,
					uint32_t n)
{
	return (uint8_t *)sluice_prefix_route(v, n) + v->value_off;
}

/* Which of all routes' words stands for an address; not a child. */
SLUICE_INLINE uint32_t sluice_prefix_word_(const struct sluice_prefix_view *v,
					   struct sluice_addr a)
{
	/* [prefix-word] */
	uint32_t w = sluice_load32_acquire(&v->root[a.hi >> v->root_shift]);

	uint32_t at = 64 - v->root_shift;

	/* A bound that BPF's verifier sees. */
	for (uint32_t i = 0; i < SLUICE_PREFIX_LEVELS; i++) {
		uint64_t node = w & ~SLUICE_PREFIX_CHILD;

		if (!(w & SLUICE_PREFIX_CHILD))
			return w;
		if (node >= v->n_nodes || at >= v->key_bits)
			return 0;
		/* [prefix-word] */
		w = sluice_load32_acquire(&v->nodes[node * SLUICE_NODE_WORDS +
						    sluice_addr_nibble(a, at)]);
		at += SLUICE_NODE_BITS;
	}
	return w & SLUICE_PREFIX_CHILD ? 0 : w;
}

/* On the way from a route to the shorter ones around it. */
struct sluice_prefix_chain {
	const struct sluice_prefix_view *v;
	uint32_t word;
	uint32_t version;
	uint32_t n; /* the answer; 0: none */
	bool is_default;
};

/* One route further; true: that was the last. */
SLUICE_INLINE bool sluice_prefix_step_(struct sluice_prefix_chain *c)
{
	uint32_t n = c->word & SLUICE_PREFIX_NUMBER;
	const struct sluice_route *r;

	if (!n) {
		if (c->is_default)
			return true;
		c->is_default = true;
		/* [prefix-word] */
		c->word = sluice_load32_acquire(&c->v->table->default_word);
		return false;
	}
	if (n > c->v->n_routes)
		return true;
	r = sluice_prefix_route(c->v, n);
	if (!(c->word & SLUICE_PREFIX_UNSETTLED) ||
	    sluice_head_visible(sluice_load64_acquire(&r->head), c->version)) {
		c->n = n;
		return true;
	}
	/* [prefix-word] */
	c->word = sluice_load32_acquire(&r->parent) | SLUICE_PREFIX_UNSETTLED;
	return false;
}

#ifdef __bpf__

/* The helper bpf_loop(): the verifier looks at one turn instead of all. */
static long (*const sluice_prefix_loop_)(uint32_t n, void *fn, void *ctx,
					 uint64_t flags) = (void *)181;

static int sluice_prefix_turn_(uint32_t i, void *ctx)
{
	(void)i;
	return sluice_prefix_step_(ctx);
}

#endif

/* The route that a word means to a reader at that version; 0: none. */
SLUICE_INLINE uint32_t sluice_prefix_seen_(const struct sluice_prefix_view *v,
					   uint32_t word, uint32_t version)
{
	struct sluice_prefix_chain c = {v, word, version, 0, false};

#ifdef __bpf__
	sluice_prefix_loop_(SLUICE_PREFIX_CHAIN, sluice_prefix_turn_, &c, 0);
#else
	for (uint32_t i = 0; i < SLUICE_PREFIX_CHAIN; i++)
		if (sluice_prefix_step_(&c))
			break;
#endif
	return c.n;
}

/*
 * Finds the longest route around an address, for a reader at that version.
 * Returns its number, good until the reader's section ends; 0: there is none.
 */
SLUICE_INLINE uint32_t sluice_prefix_find(const struct sluice_prefix_view *v,
					  struct sluice_addr addr,
					  uint32_t version)
{
	uint32_t w = sluice_prefix_word_(v, addr);

	/* Neither unsettled nor 0 nor a lie. */
	if (w - 1 < v->n_routes)
		return w;
	return sluice_prefix_seen_(v, w, version);
}

/*
 * Finds a route and copies its value (value_len bytes, a multiple of 8, at most
 * the table's), for readers without a section. Busy when reuse kept overtaking
 * it.
 */
SLUICE_INLINE enum sluice_found
sluice_prefix_get(const struct sluice_prefix_view *v, struct sluice_addr addr,
		  uint32_t version, uint64_t *value, uint32_t value_len)
{
	for (uint32_t i = 0; i < SLUICE_PREFIX_TRIES; i++) {
		/* [prefix-reuse] */
		uint64_t before = sluice_load64_acquire(&v->table->n_reused);
		uint32_t n = sluice_prefix_find(v, addr, version);
		const uint64_t *from = sluice_prefix_value(v, n);

		for (uint32_t j = 0; j < value_len / 8; j++)
			/* [prefix-reuse] */
			value[j] = sluice_load64_acquire(&from[j]);
		if (sluice_load64_relaxed(&v->table->n_reused) == before)
			return n ? SLUICE_YES : SLUICE_NO;
	}
	return SLUICE_BUSY;
}

#endif
