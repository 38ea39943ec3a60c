/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/prefix_piece - which nodes and routes are free, rest, or are in use
 *
 * All of it in the writer's own memory, so nothing that is written into the
 * table makes the writer use a piece twice, free one twice, or walk in circles.
 * Free lists are last in, first out: what was used lately is in the caches.
 */
#include "table/prefix_private.h"

#include <errno.h>
#include <stdlib.h>

static uint32_t n_pieces(const struct table_prefix *t)
{
	return t->view.n_nodes + t->view.n_routes + 1;
}

static uint32_t route_piece(const struct table_prefix *t, uint32_t n)
{
	return t->view.n_nodes + n;
}

static void push_first(struct prefix_pieces *p, struct piece_list *l,
		       uint32_t piece)
{
	p->next[piece] = PIECE_LISTED | l->first;
	l->first = piece;
}

static uint32_t pop(struct prefix_pieces *p, struct piece_list *l)
{
	uint32_t piece = l->first;

	l->first = p->next[piece] & ~PIECE_LISTED;
	p->next[piece] = 0;
	return piece;
}

/* All are in use at first. */
int prefix_pieces_init(struct table_prefix *t)
{
	struct prefix_pieces *p = &t->pieces;

	p->next = calloc(n_pieces(t), sizeof(*p->next));
	if (!p->next)
		return -ENOMEM;
	p->nodes.first = PIECE_NONE;
	p->routes.first = PIECE_NONE;
	p->resting.first = PIECE_NONE;
	return 0;
}

void prefix_pieces_fini(struct table_prefix *t)
{
	free(t->pieces.next);
}

uint64_t table_prefix_own_len(const struct table_prefix *t)
{
	return sizeof(*t) + (uint64_t)n_pieces(t) * sizeof(*t->pieces.next);
}

uint32_t prefix_node_take(struct table_prefix *t)
{
	t->pieces.n_nodes_free--;
	t->n_nodes_used++;
	return pop(&t->pieces, &t->pieces.nodes);
}

uint32_t prefix_route_take(struct table_prefix *t)
{
	t->pieces.n_routes_free--;
	t->n_used++;
	return pop(&t->pieces, &t->pieces.routes) - t->view.n_nodes;
}

static bool rest(struct table_prefix *t, uint32_t piece)
{
	struct prefix_pieces *p = &t->pieces;

	if (p->next[piece] & PIECE_LISTED)
		return false;
	p->next[piece] = PIECE_LISTED | PIECE_NONE;
	if (p->resting.first == PIECE_NONE)
		p->resting.first = piece;
	else
		p->next[p->resting.last] = PIECE_LISTED | piece;
	p->resting.last = piece;
	p->rested++;
	return true;
}

void prefix_node_rest(struct table_prefix *t, uint32_t node)
{
	if (rest(t, node))
		t->n_nodes_used--;
}

void prefix_route_rest(struct table_prefix *t, uint32_t n)
{
	if (rest(t, route_piece(t, n)))
		t->n_used--;
}

void prefix_node_is_free(struct table_prefix *t, uint32_t node)
{
	push_first(&t->pieces, &t->pieces.nodes, node);
	t->pieces.n_nodes_free++;
}

void prefix_route_is_free(struct table_prefix *t, uint32_t n)
{
	push_first(&t->pieces, &t->pieces.routes, route_piece(t, n));
	t->pieces.n_routes_free++;
}

bool prefix_child(const struct table_prefix *t, const uint32_t *word,
		  uint32_t *node)
{
	uint32_t w = sluice_load32_relaxed(word);
	uint32_t i = w & ~SLUICE_PREFIX_CHILD;

	if (!(w & SLUICE_PREFIX_CHILD) || i >= t->view.n_nodes ||
	    t->pieces.next[i] != prefix_place(t, word))
		return false;
	*node = i;
	return true;
}

uint32_t table_prefix_n_resting(const struct table_prefix *t)
{
	return (uint32_t)(t->pieces.rested - t->pieces.freed);
}

uint64_t table_prefix_mark(const struct table_prefix *t)
{
	return t->pieces.rested;
}

void table_prefix_reclaim(struct table_prefix *t, uint64_t mark)
{
	struct prefix_pieces *p = &t->pieces;

	if (mark <= p->freed || mark > p->rested)
		return;
	/* [prefix-reuse] before any of them is written again. */
	prefix_put64(&t->shared->n_reused, ++t->n_reused);
	for (; p->freed < mark; p->freed++) {
		uint32_t piece = p->resting.first;

		p->resting.first = p->next[piece] & ~PIECE_LISTED;
		if (piece < t->view.n_nodes)
			prefix_node_is_free(t, piece);
		else
			prefix_route_is_free(t, piece - t->view.n_nodes);
	}
}
