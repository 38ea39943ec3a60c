/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_PREFIX_PRIVATE_H
#define TABLE_PREFIX_PRIVATE_H

/* table/prefix_private - what the files of table/prefix share */

#include "base/crash.h"
#include "table/prefix.h"

/*
 * Where each node and route is, by piece: node i is piece i, route n is piece
 * n_nodes + n. A piece is free, rests, or is in use. Free ones are a list with
 * both ends, resting ones likewise, linked by next; a node in use has the place
 * of the word that names it instead, so that the trie is a tree for us, whatever
 * is written into it.
 */
#define PIECE_LISTED 0x80000000u /* in next[]: on a list */
#define PIECE_NONE 0x7fffffffu

struct piece_list {
	uint32_t first;
	uint32_t last;
};

struct prefix_pieces {
	uint32_t *next;		   /* [n_nodes + n_routes + 1] */
	struct piece_list nodes;   /* free */
	struct piece_list routes;  /* free */
	struct piece_list resting; /* in the order in which they died */
	uint32_t n_nodes_free;
	uint32_t n_routes_free;
	uint64_t rested; /* counts since the start */
	uint64_t freed;
};

struct table_prefix {
	/* Constant after init. */
	struct sluice_prefix_view view;
	struct sluice_prefix *shared;
	const struct region *region; /* for its version */
	struct change_table change;
	uint32_t *root;
	uint32_t *nodes;
	uint32_t root_bits;
	uint32_t n_max;
	uint32_t value_len;

	/* Ours; published in shared. */
	uint32_t n_used;
	uint32_t n_nodes_used;
	uint64_t n_changes;
	uint64_t n_reused;
	struct prefix_pieces pieces;
};

/* The version in the head of a live route that takes another's place. */
#define PREFIX_NEWER 1u

/* Every store that readers can see. */
static inline void prefix_put(uint32_t *p, uint32_t v)
{
	crash_point();
	sluice_store32_release(p, v);
}

static inline void prefix_put64(uint64_t *p, uint64_t v)
{
	crash_point();
	sluice_store64_release(p, v);
}

static inline struct sluice_route *prefix_route(const struct table_prefix *t,
						uint32_t n)
{
	return sluice_prefix_route(&t->view, n);
}

static inline uint32_t *prefix_node(const struct table_prefix *t, uint32_t node)
{
	return t->nodes + (uint64_t)node * SLUICE_NODE_WORDS;
}

/* The route that a word names, 0 if there is no such. */
static inline uint32_t prefix_number(const struct table_prefix *t,
				     uint32_t word)
{
	uint32_t n = word & SLUICE_PREFIX_NUMBER;

	return n <= t->view.n_routes ? n : 0;
}

/* Where a word lies: in the root, or behind it in a node. */
static inline uint32_t prefix_place(const struct table_prefix *t,
				    const uint32_t *word)
{
	if (word >= t->root && word < t->root + (1u << t->root_bits))
		return (uint32_t)(word - t->root);
	return (1u << t->root_bits) + (uint32_t)(word - t->nodes);
}

static inline bool prefix_covers(const struct sluice_prefix_key *p,
				 struct sluice_addr a)
{
	uint64_t hi = p->addr.hi ^ a.hi;
	uint64_t lo = p->addr.lo ^ a.lo;

	if (p->len == 0)
		return true;
	if (p->len <= 64)
		return hi >> (64 - p->len) == 0;
	return !hi && lo >> (128 - p->len) == 0;
}

/* The prefix of a route, as it says. */
struct sluice_prefix_key prefix_key(const struct table_prefix *t, uint32_t n);

/* Not longer than addresses are, and 0 behind its length? */
bool prefix_key_ok(const struct table_prefix *t,
		   const struct sluice_prefix_key *key);

/* Before and after a change. */
void prefix_begin(struct table_prefix *t);
void prefix_end(struct table_prefix *t);

/* ---- prefix_piece.c ---- */

int prefix_pieces_init(struct table_prefix *t) MUST_USE;
void prefix_pieces_fini(struct table_prefix *t);

/* There is one. The caller gives a node its place. */
uint32_t prefix_node_take(struct table_prefix *t);
uint32_t prefix_route_take(struct table_prefix *t);

/* Out of use; only what is in use counts. */
void prefix_node_rest(struct table_prefix *t, uint32_t node);
void prefix_route_rest(struct table_prefix *t, uint32_t n);

/* At adoption: these are free. All others are in use. */
void prefix_node_is_free(struct table_prefix *t, uint32_t node);
void prefix_route_is_free(struct table_prefix *t, uint32_t n);

/* The node that a word names, if it is in use and hangs there; else none. */
bool prefix_child(const struct table_prefix *t, const uint32_t *word,
		  uint32_t *node);

/* ---- prefix_trie.c ---- */

/* What names one route is to name another. */
struct prefix_swap {
	uint32_t from; /* a route's number; 0: words without a route */
	uint32_t to;   /* a word */
	bool reparent; /* also as the parent of other routes */
};

/* Nodes that a route of this prefix needs and that are not there. */
uint32_t prefix_nodes_missing(const struct table_prefix *t,
			      const struct sluice_prefix_key *key);

/* Makes these nodes, for the words within the prefix to be told apart. */
void prefix_deepen(struct table_prefix *t, const struct sluice_prefix_key *key);

/* Swaps in the words within a prefix, and folds nodes that became uniform. */
void prefix_swap(struct table_prefix *t, const struct sluice_prefix_key *key,
		 const struct prefix_swap *s);

/* The newest route of exactly this prefix; around: the next shorter, or 0. */
uint32_t prefix_exact(const struct table_prefix *t,
		      const struct sluice_prefix_key *key, uint32_t *around);

/* ---- prefix_adopt.c ---- */

/* Mends what a dead writer left and learns which pieces are in use. */
int prefix_adopt_all(struct table_prefix *t, struct why *why) MUST_USE;

extern const struct change_table_ops prefix_change_ops;

#endif
