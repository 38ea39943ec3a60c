/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_PREFIX_BATCH_H
#define SLUICE_PREFIX_BATCH_H

/*
 * sluice/prefix_batch - finding the routes of up to 32 addresses at once
 *
 * What sluice_prefix_find() answers, for a batch: all addresses go one level
 * down at a time, so that their memory is fetched together, and those that have
 * their answer are left out of the next level. Host only. Promises, and the ways
 * of the writer, are those of sluice/prefix.h.
 */

#include "sluice/prefix.h"

#define SLUICE_PREFIX_BATCH 32u

/* A batch on its way; private to this header. */
struct sluice_prefix_batch {
	uint32_t n;
	uint32_t words[SLUICE_PREFIX_BATCH];
	struct sluice_addr addrs[SLUICE_PREFIX_BATCH];
	uint8_t left[SLUICE_PREFIX_BATCH]; /* whose word is a child */
};

/* The line that a word leads to, or, if it is no child, some line of nodes. */
SLUICE_INLINE const uint32_t *
sluice_prefix_node_(const struct sluice_prefix_view *v, uint32_t word)
{
	uint64_t node = word & ~SLUICE_PREFIX_CHILD;

	return v->nodes + (node < v->n_nodes ? node : 0) * SLUICE_NODE_WORDS;
}

/* One level further for those that are left; how many are still. */
SLUICE_INLINE uint32_t sluice_prefix_down_(const struct sluice_prefix_view *v,
					   struct sluice_prefix_batch *b,
					   uint32_t n_left, uint32_t at)
{
	uint32_t n = 0;

	for (uint32_t j = 0; j < n_left; j++) {
		uint32_t i = b->left[j];
		const uint32_t *node = sluice_prefix_node_(v, b->words[i]);
		/* [prefix-word] */
		uint32_t w = sluice_load32_acquire(
			&node[sluice_addr_nibble(b->addrs[i], at)]);

		b->words[i] = w;
		b->left[n] = (uint8_t)i;
		if (w & SLUICE_PREFIX_CHILD)
			__builtin_prefetch(sluice_prefix_node_(v, w));
		n += w >> 31;
	}
	return n;
}

/* From the words of the root to the routes. */
SLUICE_INLINE void sluice_prefix_finish_(const struct sluice_prefix_view *view,
					 struct sluice_prefix_batch *b,
					 uint32_t n_left, uint32_t version,
					 uint32_t *out)
{
	struct sluice_prefix_view v = *view; /* what nothing here aliases */
	uint32_t n = b->n;

	for (uint32_t at = 64 - v.root_shift; n_left && at < v.key_bits;
	     at += SLUICE_NODE_BITS)
		n_left = sluice_prefix_down_(&v, b, n_left, at);
	for (uint32_t j = 0; j < n_left; j++)
		b->words[b->left[j]] = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t w = b->words[i];

		if (w - 1 >= v.n_routes)
			w = sluice_prefix_seen_(&v, w, version);
		out[i] = w;
	}
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
	uint32_t shift = v->root_shift - 32;
	const uint32_t *root = v->root;
	uint32_t n_left = 0;

	for (uint32_t i = 0; i < n; i++)
		__builtin_prefetch(&root[addrs[i] >> shift]);
	for (uint32_t i = 0; i < n; i++) {
		/* [prefix-word] */
		uint32_t w = sluice_load32_acquire(&root[addrs[i] >> shift]);

		b.words[i] = w;
		b.addrs[i] = sluice_addr_of_ip4(addrs[i]);
		b.left[n_left] = (uint8_t)i;
		if (w & SLUICE_PREFIX_CHILD)
			__builtin_prefetch(sluice_prefix_node_(v, w));
		n_left += w >> 31;
	}
	b.n = n;
	sluice_prefix_finish_(v, &b, n_left, version, out);
}

/* The same in a table of either family. */
SLUICE_INLINE void sluice_prefix_find_batch(const struct sluice_prefix_view *v,
					    const struct sluice_addr *addrs,
					    uint32_t n, uint32_t version,
					    uint32_t *out)
{
	struct sluice_prefix_batch b;
	uint32_t shift = v->root_shift;
	const uint32_t *root = v->root;
	uint32_t n_left = 0;

	for (uint32_t i = 0; i < n; i++)
		__builtin_prefetch(&root[addrs[i].hi >> shift]);
	for (uint32_t i = 0; i < n; i++) {
		/* [prefix-word] */
		uint32_t w = sluice_load32_acquire(&root[addrs[i].hi >> shift]);

		b.words[i] = w;
		b.addrs[i] = addrs[i];
		b.left[n_left] = (uint8_t)i;
		if (w & SLUICE_PREFIX_CHILD)
			__builtin_prefetch(sluice_prefix_node_(v, w));
		n_left += w >> 31;
	}
	b.n = n;
	sluice_prefix_finish_(v, &b, n_left, version, out);
}

#endif
