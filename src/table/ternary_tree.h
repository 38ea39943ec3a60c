/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_TERNARY_TREE_H
#define TABLE_TERNARY_TREE_H

/* table/ternary_tree - the keys of each tuple, by the bits that tell them apart */

#include <stdbool.h>
#include <stdint.h>

#include "table/ternary.h"

#define TERNARY_NONE TABLE_TERNARY_NONE

struct ternary_tuple;

/* A branching of a tree, by one bit of the keys; ternary_tree.c. */
struct ternary_node {
	uint32_t parent;
	uint32_t child[2]; /* a node, or a leaf | TERNARY_LEAF */
	uint32_t bit;
	uint32_t max; /* best priority below */
};

/* The rules of a tuple with one masked key; all in one chain. */
struct ternary_leaf {
	uint32_t parent;
	uint32_t first; /* entry; the best */
	uint32_t n;	/* rules */
	uint32_t max;
};

#define TERNARY_LEAF 0x80000000u

struct ternary_trees {
	struct ternary_node *nodes;  /* [n_entries] */
	struct ternary_leaf *leaves; /* [n_entries] */
	uint32_t n_nodes, n_leaves;  /* ever used */
	uint32_t free_node, free_leaf;
};

/*
 * The leaf of the entry's masked key, made if need be; the entry counts in. Of
 * those of its priority it is the first in the chain, or not.
 */
void ternary_tree_add(struct table_ternary *t, uint32_t entry,
		      const uint64_t *key, bool is_first);

/* The reverse, when it is unlinked. */
void ternary_tree_del(struct table_ternary *t, uint32_t entry);

/* The only leaf where a key could be; NONE: the tree is empty. */
uint32_t ternary_tree_find(const struct table_ternary *t, uint32_t tuple,
			   const uint64_t *key);

/* The first bit in which a key differs from an entry's under a tuple; or NONE. */
uint32_t ternary_differ(const struct table_ternary *t,
			const struct ternary_tuple *u, uint32_t entry,
			const uint64_t *key);

/* A word of an entry's key; 0 where its mask has nothing. */
uint64_t ternary_key_word(const struct table_ternary *t, uint32_t entry,
			  uint32_t word);

static inline uint32_t ternary_bit(const uint64_t *key, uint32_t bit)
{
	return ((const uint8_t *)key)[bit / 8] >> (7 - bit % 8) & 1u;
}

/* The first bit, in bytes' order, of a word that is not 0. */
static inline uint32_t ternary_first_bit(uint64_t word)
{
	return (uint32_t)__builtin_clzll(__builtin_bswap64(word));
}

#endif
