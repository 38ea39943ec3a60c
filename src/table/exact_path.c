/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/exact_path - room for a key whose buckets are both full
 *
 * A breadth-first search from the two buckets over "the key in this slot could
 * lie in that bucket" ends at the nearest bucket with an empty slot. Then the
 * keys on the way move by one place each, the last one first, so each is copied
 * into a slot that is free (or held the key that has just been copied on), and
 * is findable throughout. A slot word has the hash, so no entry is touched.
 *
 * Rejected: a random walk, which moves keys before it knows that it will end,
 * and more of them. At 95 % load the search looks at a handful of buckets.
 */
#include "table/exact_private.h"

#include <stdlib.h>
#include <string.h>

/* Buckets that a search visits at most. */
#define NODES_MAX 2048u

struct node {
	uint32_t bucket;
	uint16_t parent; /* node; roots: their own number */
	uint16_t slot;	 /* of the parent's bucket: whose key moves here */
};

struct exact_path {
	uint32_t n;
	struct node nodes[NODES_MAX];
	uint64_t visited[]; /* a bit per bucket; zero between searches */
};

struct exact_path *exact_path_new(uint32_t n_buckets)
{
	return calloc(1, sizeof(struct exact_path) +
				 (n_buckets / 64 + 1) * sizeof(uint64_t));
}

/* Adds a node unless its bucket is known. */
static void add(struct exact_path *p, uint32_t bucket, uint32_t parent,
		uint32_t slot)
{
	uint64_t bit = 1ull << (bucket % 64);

	if (p->visited[bucket / 64] & bit || p->n == NODES_MAX)
		return;
	p->visited[bucket / 64] |= bit;
	p->nodes[p->n++] =
		(struct node){bucket, (uint16_t)parent, (uint16_t)slot};
}

static void forget(struct exact_path *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		p->visited[p->nodes[i].bucket / 64] = 0;
	p->n = 0;
}

/* Adds the buckets where this node's keys could go. Their memory is fetched. */
static void expand(struct table_exact *t, uint32_t node)
{
	struct exact_path *p = t->path;
	uint32_t bucket = p->nodes[node].bucket;
	const uint64_t *slots = exact_slots(t, bucket);

	for (uint32_t i = 0; i < SLUICE_BUCKET_SLOTS; i++) {
		uint32_t other = exact_other(t, slots[i], bucket);

		__builtin_prefetch(exact_slots(t, other), 1);
		add(p, other, node, i);
	}
}

/* Moves the keys between a root and an empty slot; returns the root's slot. */
static uint64_t *walk(struct table_exact *t, uint32_t node, uint64_t *empty)
{
	const struct node *nodes = t->path->nodes;

	while (nodes[node].parent != node) {
		const struct node *n = &nodes[node];
		uint64_t *from =
			exact_slots(t, nodes[n->parent].bucket) + n->slot;

		exact_put(empty, *from);
		exact_changed(t); /* [exact-change] before *from goes */
		empty = from;
		node = n->parent;
	}
	return empty;
}

uint64_t *exact_path_clear(struct table_exact *t, uint32_t hash)
{
	struct exact_path *p = t->path;
	uint64_t *found = NULL;

	add(p, sluice_exact_bucket1(hash, t->view.n_buckets), 0, 0);
	add(p, sluice_exact_bucket2(hash, t->view.n_buckets), 1, 0);
	for (uint32_t i = 0; i < p->n && !found; i++) {
		uint64_t *empty = exact_empty(t, p->nodes[i].bucket, hash);

		if (empty)
			found = walk(t, i, empty);
		else
			expand(t, i);
	}
	forget(p);
	return found;
}
