/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region/fsck_prefix - is a table of routes whole?
 *
 * The routes that are not dead are copied and sorted; from them follows what
 * every word must be and every parent, and which nodes there are: a word names
 * the longest route around its addresses, and says "unsettled" unless that is
 * live; a node is where longer routes are, and hangs in one place. All words
 * are compared with that in the order of addresses.
 *
 * A writer at work is told from damage by n_changes, which is odd while a change
 * is under way: where it moved meanwhile all is done again, after a while, and
 * where it never stands still a difference is no fault.
 */
#include "region/fsck.h"

#include <errno.h>
#include <stdlib.h>

#include "sluice/atomic.h"
#include "sluice/prefix.h"

struct copied {
	struct sluice_addr addr;
	uint32_t len;
	uint32_t word; /* its number, and whether it is settled */
	uint32_t parent;
	uint32_t is_old; /* dying: below a born one of the same prefix */
};

struct prefix_check {
	struct fsck *f;
	struct sluice_prefix_view v;
	struct copied *routes; /* [n], sorted */
	uint64_t *seen;	       /* a bit for each node */
	uint32_t n;
	uint32_t pos; /* the first that we have not come to */
	uint32_t n_nodes;
	uint32_t n_faults;
	bool may_be_left; /* a writer died in a change */
	bool tell;
};

/* The words of the root or of a node. */
struct span {
	const uint32_t *words;
	uint32_t n_bits; /* 2^n_bits words */
	uint32_t at;	 /* address bits that lead to one of them */
	uint32_t end;	 /* routes from pos to there are inside */
	uint32_t around; /* the word of the longest around them all */
};

static uint64_t n_changes(const struct prefix_check *c)
{
	return sluice_load64_acquire(&c->v.table->n_changes);
}

static void fault(struct prefix_check *c, const char *what, uint64_t no)
{
	c->n_faults++;
	if (!c->tell)
		return;
	if (c->may_be_left)
		fsck_left(c->f, "%s %llu", what, (unsigned long long)no);
	else
		fsck_wrong(c->f, "%s %llu", what, (unsigned long long)no);
}

/* ---- The routes. ---- */

static int compare(const void *a, const void *b)
{
	const struct copied *x = a, *y = b;

	if (x->addr.hi != y->addr.hi)
		return x->addr.hi < y->addr.hi ? -1 : 1;
	if (x->addr.lo != y->addr.lo)
		return x->addr.lo < y->addr.lo ? -1 : 1;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return y->is_old < x->is_old ? -1 : y->is_old > x->is_old;
}

static bool is_prefix(const struct prefix_check *c, const struct copied *r)
{
	uint64_t hi = r->len >= 64 ? 0 : ~0ull >> r->len;
	uint64_t lo = r->len <= 64    ? ~0ull
		      : r->len >= 128 ? 0
				      : ~0ull >> (r->len - 64);

	return r->len <= c->v.key_bits && !(r->addr.hi & hi) &&
	       !(r->addr.lo & lo);
}

static void copy_route(struct prefix_check *c, uint32_t n)
{
	const struct sluice_route *r = sluice_prefix_route(&c->v, n);
	uint32_t state = sluice_head_state(sluice_load64_acquire(&r->head));
	struct copied *out = &c->routes[c->n];

	if (state == SLUICE_ENTRY_DEAD)
		return;
	*out = (struct copied){
		.addr.hi = sluice_load64_relaxed(&r->addr.hi),
		.len = sluice_load32_relaxed(&r->len),
		.parent = sluice_load32_relaxed(&r->parent),
		.word = state == SLUICE_ENTRY_LIVE
				? n
				: n | SLUICE_PREFIX_UNSETTLED,
		.is_old = state == SLUICE_ENTRY_DYING,
	};
	if (c->v.key_bits > 64)
		out->addr.lo = sluice_load64_relaxed(&r->addr.lo);
	if (is_prefix(c, out))
		c->n++;
	else
		fault(c, "no prefix in route", n);
}

/* ---- The words. ---- */

static uint32_t slot_of(const struct span *s, struct sluice_addr a)
{
	if (s->n_bits != SLUICE_NODE_BITS)
		return (uint32_t)(a.hi >> (64 - s->n_bits));
	return sluice_addr_nibble(a, s->at - s->n_bits);
}

static void check_span(struct prefix_check *c, struct span s);

static void check_child(struct prefix_check *c, uint32_t word,
			struct span below)
{
	uint64_t node = word & ~SLUICE_PREFIX_CHILD;

	if (!(word & SLUICE_PREFIX_CHILD))
		fault(c, "no node for routes from number", c->pos);
	else if (node >= c->v.n_nodes)
		fault(c, "a word names a node that is not there,", node);
	else if (c->seen[node / 64] >> node % 64 & 1)
		fault(c, "two words name node", node);
	else {
		c->seen[node / 64] |= 1ull << node % 64;
		c->n_nodes++;
		below.words = c->v.nodes + node * SLUICE_NODE_WORDS;
		check_span(c, below);
	}
	c->pos = below.end;
}

static void check_leaf(struct prefix_check *c, uint32_t word, uint32_t want)
{
	if (word == want)
		return;
	if (word & SLUICE_PREFIX_CHILD)
		fault(c, "no route is behind node", word ^ SLUICE_PREFIX_CHILD);
	else
		fault(c, "a word is not the longest route's, but", word);
}

/* The routes around the word at hand, each inside the one before. */
struct around {
	uint32_t n;
	struct {
		uint32_t word;
		uint32_t end; /* the word behind its last */
	} covers[64];
};

static void check_parent(struct prefix_check *c, const struct copied *r,
			 uint32_t around)
{
	if (r->parent != (around & SLUICE_PREFIX_NUMBER))
		fault(c, "a parent that is not the next shorter in route",
		      r->word & SLUICE_PREFIX_NUMBER);
}

static uint32_t innermost(const struct around *a, const struct span *s)
{
	return a->n ? a->covers[a->n - 1].word : s->around;
}

static void enter(struct prefix_check *c, const struct span *s,
		  struct around *a, uint32_t i)
{
	while (a->n && a->covers[a->n - 1].end <= i)
		a->n--;
	for (; c->pos < s->end; c->pos++) {
		const struct copied *r = &c->routes[c->pos];

		if (r->len > s->at || slot_of(s, r->addr) != i)
			break;
		check_parent(c, r, innermost(a, s));
		if (a->n == 64) { /* many of one prefix */
			fault(c, "too many of the prefix of route",
			      r->word & SLUICE_PREFIX_NUMBER);
			continue;
		}
		a->covers[a->n].word = r->word;
		a->covers[a->n++].end = i + (1u << (s->at - r->len));
	}
}

static void check_span(struct prefix_check *c, struct span s)
{
	struct around a = {0};

	for (uint32_t i = 0; i < 1u << s.n_bits; i++) {
		/* [prefix-word] */
		uint32_t word = sluice_load32_acquire(&s.words[i]);
		uint32_t end;

		enter(c, &s, &a, i);
		end = c->pos;
		while (end < s.end && slot_of(&s, c->routes[end].addr) == i)
			end++;
		if (end == c->pos)
			check_leaf(c, word, innermost(&a, &s));
		else
			check_child(c, word,
				    (struct span){
					    .n_bits = SLUICE_NODE_BITS,
					    .at = s.at + SLUICE_NODE_BITS,
					    .end = end,
					    .around = innermost(&a, &s),
				    });
	}
}

/* ---- All of it. ---- */

static void check_all(struct prefix_check *c)
{
	const struct sluice_prefix *t = c->v.table;
	uint32_t want = 0;

	c->n = 0;
	c->pos = 0;
	c->n_nodes = 0;
	c->n_faults = 0;
	for (uint32_t i = 0; i <= c->v.n_nodes / 64; i++)
		c->seen[i] = 0;
	for (uint32_t n = 1; n <= c->v.n_routes; n++)
		copy_route(c, n);
	qsort(c->routes, c->n, sizeof(*c->routes), compare);
	for (; c->pos < c->n && c->routes[c->pos].len == 0; c->pos++) {
		check_parent(c, &c->routes[c->pos], want);
		want = c->routes[c->pos].word;
	}
	if (sluice_load32_relaxed(&t->default_word) != want)
		fault(c, "not the default route's is word", t->default_word);
	check_span(c, (struct span){
			      .words = c->v.root,
			      .n_bits = 64 - c->v.root_shift,
			      .at = 64 - c->v.root_shift,
			      .end = c->n,
		      });
	if (sluice_load32_relaxed(&t->n_used) != c->n)
		fault(c, "the count of routes is wrong, there are", c->n);
	if (sluice_load32_relaxed(&t->n_nodes_used) != c->n_nodes)
		fault(c, "the count of nodes is wrong, there are", c->n_nodes);
}

static void look(struct prefix_check *c)
{
	for (uint32_t try = 0; try <= FSCK_TRIES; try++) {
		uint64_t before = n_changes(c);

		check_all(c);
		if (!c->n_faults)
			return;
		if (n_changes(c) == before &&
		    (before % 2 == 0 || !c->f->has_writer)) {
			c->may_be_left = before % 2;
			c->tell = true;
			check_all(c);
			return;
		}
		fsck_wait(c->f, try);
	}
}

int region_fsck_prefix(struct fsck *f)
{
	struct prefix_check c = {.f = f};
	int err = region_check_prefix(f->mem, fsck_desc(f), &c.v, NULL);

	if (err) { /* it was right a moment ago */
		fsck_wrong(f, "its shape has changed");
		return 0;
	}
	c.routes = malloc(((size_t)c.v.n_routes + 1) * sizeof(*c.routes));
	c.seen = malloc((c.v.n_nodes / 64 + 1) * sizeof(*c.seen));
	if (!c.routes || !c.seen) {
		err = -ENOMEM;
		goto undo_memory;
	}
	look(&c);
	for (uint32_t n = 1; n <= c.v.n_routes; n++)
		fsck_count(f, sluice_load64_relaxed(
				      &sluice_prefix_route(&c.v, n)->head));
	f->out->used_len = sizeof(struct sluice_prefix) +
			   (4ull << (64 - c.v.root_shift)) +
			   (uint64_t)c.n_nodes * SLUICE_CACHE_LINE +
			   ((uint64_t)c.n + 1) * c.v.route_len;
undo_memory:
	free(c.seen);
	free(c.routes);
	return err;
}
