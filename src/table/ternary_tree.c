/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/ternary_tree - the keys of each tuple
 *
 * A crit-bit tree per tuple (Morrison's PATRICIA, 1968; Bernstein's crit-bit)
 * over the masked keys of its rules: a node says by which bit the keys below it
 * differ first. So the way down to a key's place tests just the bits that tell
 * the tuple's keys apart, and one bit more proves that a key is not among them.
 * That is what table_ternary_find_bits() needs. Each node knows the best
 * priority below it.
 *
 * Rejected: Open vSwitch's tries for a few named fields and hashes of stages of
 * the key (Pfaff et al., NSDI 2015). They prove the same by whole prefixes and
 * whole stages, and only for the fields that somebody named.
 */
#include "table/ternary_private.h"

uint64_t ternary_key_word(const struct table_ternary *t, uint32_t entry,
			  uint32_t word)
{
	uint64_t words = ternary_rule(t, entry)->words;
	uint64_t bit = 1ull << word;
	uint32_t at = (uint32_t)__builtin_popcountll(words & (bit - 1));

	return words & bit && at < t->view.n_words
		       ? ternary_pairs(t, entry)[2 * at + 1]
		       : 0;
}

/* The first bit in which a key differs from an entry's under the tuple; or NONE. */
uint32_t ternary_differ(const struct table_ternary *t,
			const struct ternary_tuple *u, uint32_t entry,
			const uint64_t *key)
{
	uint64_t words = u->words;

	for (uint32_t i = 0; i < u->n_words; i++, words &= words - 1) {
		uint32_t w = (uint32_t)__builtin_ctzll(words);
		uint64_t diff =
			(ternary_key_word(t, entry, w) ^ key[w]) & u->mask[i];

		if (diff)
			return 64 * w + ternary_first_bit(diff);
	}
	return TERNARY_NONE;
}

static uint32_t *parent_of(struct ternary_trees *s, uint32_t ref)
{
	return ref & TERNARY_LEAF ? &s->leaves[ref & ~TERNARY_LEAF].parent
				  : &s->nodes[ref].parent;
}

static uint32_t max_of(const struct ternary_trees *s, uint32_t ref)
{
	return ref & TERNARY_LEAF ? s->leaves[ref & ~TERNARY_LEAF].max
				  : s->nodes[ref].max;
}

/* Nodes and leaves: one that was given back, or a fresh one. */
static uint32_t node_new(struct ternary_trees *s)
{
	uint32_t n = s->free_node;

	if (n == TERNARY_NONE)
		return s->n_nodes++;
	s->free_node = s->nodes[n].parent;
	return n;
}

static uint32_t leaf_new(struct ternary_trees *s)
{
	uint32_t n = s->free_leaf;

	if (n == TERNARY_NONE)
		return s->n_leaves++;
	s->free_leaf = s->leaves[n].parent;
	return n;
}

/* What leads to a child of a parent, NONE: to the root. */
static uint32_t *link_of(struct table_ternary *t, uint32_t tuple,
			 uint32_t parent, uint32_t ref)
{
	struct ternary_node *p;

	if (parent == TERNARY_NONE)
		return &t->tuples.at[tuple].root;
	p = &t->trees.nodes[parent];
	return &p->child[p->child[1] == ref];
}

/* The best priorities from a node up, until one is as it was. */
static void max_up(struct ternary_trees *s, uint32_t node)
{
	while (node != TERNARY_NONE) {
		struct ternary_node *n = &s->nodes[node];
		uint32_t a = max_of(s, n->child[0]);
		uint32_t b = max_of(s, n->child[1]);

		if (n->max == (a > b ? a : b))
			return;
		n->max = a > b ? a : b;
		node = n->parent;
	}
}

/* Puts a leaf beside what is at the end of the way to its first other bit. */
static void leaf_place(struct table_ternary *t, uint32_t tuple, uint32_t leaf,
		       uint32_t bit, const uint64_t *key)
{
	struct ternary_trees *s = &t->trees;
	uint32_t ref = t->tuples.at[tuple].root;
	uint32_t parent = TERNARY_NONE;
	uint32_t node = node_new(s);
	uint32_t side = ternary_bit(key, bit);

	while (!(ref & TERNARY_LEAF) && s->nodes[ref].bit < bit) {
		parent = ref;
		ref = s->nodes[ref].child[ternary_bit(key, s->nodes[ref].bit)];
	}
	*link_of(t, tuple, parent, ref) = node;
	s->nodes[node].parent = parent;
	s->nodes[node].bit = bit;
	s->nodes[node].max = 0;
	s->nodes[node].child[side] = leaf | TERNARY_LEAF;
	s->nodes[node].child[!side] = ref;
	s->leaves[leaf].parent = node;
	*parent_of(s, ref) = node;
	max_up(s, node);
}

uint32_t ternary_tree_find(const struct table_ternary *t, uint32_t tuple,
			   const uint64_t *key)
{
	const struct ternary_trees *s = &t->trees;
	uint32_t ref = t->tuples.at[tuple].root;

	while (!(ref & TERNARY_LEAF))
		ref = s->nodes[ref].child[ternary_bit(key, s->nodes[ref].bit)];
	return ref == TERNARY_NONE ? ref : ref & ~TERNARY_LEAF;
}

void ternary_tree_add(struct table_ternary *t, uint32_t entry,
		      const uint64_t *key, bool is_first)
{
	struct ternary_trees *s = &t->trees;
	uint32_t tuple = t->own[entry].tuple;
	struct ternary_tuple *u = &t->tuples.at[tuple];
	uint32_t priority = ternary_rule(t, entry)->priority;
	uint32_t leaf = ternary_tree_find(t, tuple, key);
	uint32_t bit = TERNARY_NONE;

	if (leaf != TERNARY_NONE) {
		bit = ternary_differ(t, u, s->leaves[leaf].first, key);
		if (bit == TERNARY_NONE) {
			struct ternary_leaf *l = &s->leaves[leaf];

			t->own[entry].leaf = leaf;
			l->n++;
			if (priority < l->max ||
			    (priority == l->max && !is_first))
				return;
			l->first = entry;
			l->max = priority;
			max_up(s, l->parent);
			return;
		}
	}
	leaf = leaf_new(s);
	t->own[entry].leaf = leaf;
	s->leaves[leaf] =
		(struct ternary_leaf){TERNARY_NONE, entry, 1, priority};
	if (bit == TERNARY_NONE)
		u->root = leaf | TERNARY_LEAF;
	else
		leaf_place(t, tuple, leaf, bit, key);
}

/* Takes a leaf without rules away, and the branching that led to it. */
static void leaf_del(struct table_ternary *t, uint32_t tuple, uint32_t leaf)
{
	struct ternary_trees *s = &t->trees;
	uint32_t node = s->leaves[leaf].parent;

	s->leaves[leaf].parent = s->free_leaf;
	s->free_leaf = leaf;
	if (node == TERNARY_NONE) {
		t->tuples.at[tuple].root = TERNARY_NONE;
	} else {
		struct ternary_node *n = &s->nodes[node];
		uint32_t other = n->child[n->child[0] == (leaf | TERNARY_LEAF)];
		uint32_t up = n->parent;

		*link_of(t, tuple, up, node) = other;
		*parent_of(s, other) = up;
		n->parent = s->free_node;
		s->free_node = node;
		max_up(s, up);
	}
}

void ternary_tree_del(struct table_ternary *t, uint32_t entry)
{
	uint32_t tuple = t->own[entry].tuple;
	uint32_t leaf = t->own[entry].leaf;
	struct ternary_leaf *l = &t->trees.leaves[leaf];
	uint32_t next;

	if (--l->n == 0) {
		leaf_del(t, tuple, leaf);
		return;
	}
	if (l->first != entry)
		return;
	next = ternary_chain_first(t, t->own[entry].hash, leaf);
	if (next == TERNARY_NONE)
		return; /* somebody scribbled over the chain */
	l->first = next;
	l->max = ternary_rule(t, next)->priority;
	max_up(&t->trees, l->parent);
}
