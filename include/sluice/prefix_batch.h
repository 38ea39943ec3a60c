/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_PREFIX_BATCH_H
#define SLUICE_PREFIX_BATCH_H

/*
 * sluice/prefix_batch - finding the routes of up to 64 addresses at once
 *
 * What sluice_prefix_find() answers, for a batch: all addresses go one level
 * down at a time, so that their memory is fetched together, and those that have
 * their answer are left out of the next level. Host only. Promises, and the ways
 * of the writer, are those of sluice/prefix.h.
 */

#include "sluice/prefix.h"

#define SLUICE_PREFIX_BATCH 64u

/* A batch on its way; private to this header. */
struct sluice_prefix_batch {
	const void *addrs;
	uint32_t n;
	uint32_t n_left;
	uint32_t left[SLUICE_PREFIX_BATCH]; /* whose word is a child */
};

/* Address i; is4 is a constant. */
SLUICE_INLINE struct sluice_addr
sluice_prefix_addr_(const struct sluice_prefix_batch *b, uint32_t i, bool is4)
{
	if (is4)
		return sluice_addr_of_ip4(((const uint32_t *)b->addrs)[i]);
	return ((const struct sluice_addr *)b->addrs)[i];
}

/*
 * The node that a word leads to; the first if it is a lie, or no child. Without
 * branches: what a word is nobody can predict.
 */
SLUICE_INLINE const uint32_t *
sluice_prefix_node_(const struct sluice_prefix_view *v, uint32_t word)
{
	uint64_t node = word ^ SLUICE_PREFIX_CHILD;

	node = node < v->n_nodes ? node : 0;
	return v->nodes + node * SLUICE_NODE_WORDS;
}

/* Address i has got this far; children are left for the next level. */
SLUICE_INLINE void sluice_prefix_sort_(const struct sluice_prefix_view *v,
				       struct sluice_prefix_batch *b,
				       uint32_t i, uint32_t word)
{
	__builtin_prefetch(sluice_prefix_node_(v, word));
	b->left[b->n_left] = i;
	b->n_left += word >> 31;
}

SLUICE_INLINE void sluice_prefix_root_(const struct sluice_prefix_view *v,
				       struct sluice_prefix_batch *b, bool is4,
				       uint32_t *out)
{
	b->n_left = 0;
	for (uint32_t i = 0; i < b->n; i++) {
		struct sluice_addr a = sluice_prefix_addr_(b, i, is4);
		/* [prefix-word] */
		uint32_t w =
			sluice_load32_acquire(&v->root[a.hi >> v->root_shift]);

		out[i] = w;
		sluice_prefix_sort_(v, b, i, w);
	}
}

/* One level further for those that are left. */
SLUICE_INLINE void sluice_prefix_down_(const struct sluice_prefix_view *v,
				       struct sluice_prefix_batch *b, bool is4,
				       uint32_t at, uint32_t *out)
{
	uint32_t n = b->n_left;

	b->n_left = 0;
	for (uint32_t j = 0; j < n; j++) {
		uint32_t i = b->left[j];
		struct sluice_addr a = sluice_prefix_addr_(b, i, is4);
		const uint32_t *node = sluice_prefix_node_(v, out[i]);
		/* [prefix-word] */
		uint32_t w =
			sluice_load32_acquire(&node[sluice_addr_nibble(a, at)]);

		out[i] = w;
		sluice_prefix_sort_(v, b, i, w);
	}
}

/* From words to routes. */
SLUICE_INLINE void sluice_prefix_answer_(const struct sluice_prefix_view *v,
					 uint32_t n, uint32_t version,
					 uint32_t *out)
{
	uint32_t n_routes = v->n_routes;
	uint32_t odd = 0;

	for (uint32_t i = 0; i < n; i++)
		odd |= out[i] - 1 >= n_routes;
	if (!odd)
		return;
	for (uint32_t i = 0; i < n; i++)
		if (out[i] - 1 >= n_routes)
			out[i] = sluice_prefix_seen_(v, out[i], version);
}

SLUICE_INLINE void sluice_prefix_batch_(const struct sluice_prefix_view *view,
					struct sluice_prefix_batch *b, bool is4,
					uint32_t version, uint32_t *out)
{
	struct sluice_prefix_view v = *view; /* what nothing here aliases */

	sluice_prefix_root_(&v, b, is4, out);
	for (uint32_t at = 64 - v.root_shift; b->n_left && at < v.key_bits;
	     at += SLUICE_NODE_BITS)
		sluice_prefix_down_(&v, b, is4, at, out);
	for (uint32_t j = 0; j < b->n_left; j++)
		out[b->left[j]] = 0; /* a lie */
	sluice_prefix_answer_(&v, b->n, version, out);
}

/*
 * With a root that has nearly all the words, one after the other is faster: the
 * machine overlaps them by itself, and there is little to guess.
 */
SLUICE_INLINE void sluice_prefix_flat_(const struct sluice_prefix_view *view,
				       const uint32_t *addrs, uint32_t n,
				       uint32_t version, uint32_t *out)
{
	struct sluice_prefix_view v = *view; /* what nothing here aliases */

	for (uint32_t i = 0; i < n; i++)
		/* [prefix-word] */
		out[i] = sluice_load32_acquire(
			&v.root[addrs[i] >> (v.root_shift - 32)]);
	for (uint32_t i = 0; i < n; i++)
		if (__builtin_expect(out[i] - 1 >= v.n_routes, 0))
			out[i] =
				sluice_prefix_find(&v,
						   sluice_addr_of_ip4(addrs[i]),
						   version);
}

/*
 * Finds the routes of n addresses, at most SLUICE_PREFIX_BATCH, in an IPv4
 * table.
 *
 * addrs    in host order
 * out      n numbers; 0: none
 */
SLUICE_INLINE void sluice_prefix_find4_batch(const struct sluice_prefix_view *v,
					     const uint32_t *addrs, uint32_t n,
					     uint32_t version, uint32_t *out)
{
	struct sluice_prefix_batch b;

	if (v->root_shift == 64 - 24) {
		sluice_prefix_flat_(v, addrs, n, version, out);
		return;
	}
	b.addrs = addrs;
	b.n = n;
	sluice_prefix_batch_(v, &b, true, version, out);
}

/* The same in a table of either family. */
SLUICE_INLINE void sluice_prefix_find_batch(const struct sluice_prefix_view *v,
					    const struct sluice_addr *addrs,
					    uint32_t n, uint32_t version,
					    uint32_t *out)
{
	struct sluice_prefix_batch b;

	b.addrs = addrs;
	b.n = n;
	sluice_prefix_batch_(v, &b, false, version, out);
}

#endif
