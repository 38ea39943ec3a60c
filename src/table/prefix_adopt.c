/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/prefix_adopt - taking over the table of a dead writer
 *
 * The routes are the truth, with their heads and the region's version. They are
 * sorted, and then the trie is compared with what they ask for, word by word in
 * the order of addresses, and mended where it differs, each word by one store.
 * Only then do the heads change: until then readers who meet an unsettled word
 * ask them; and a writer who is killed here is followed by one who decides the
 * same. Nodes and routes that nothing leads to are free, for the caller has
 * waited for readers; what is taken out here rests.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/annotate.h"
#include "table/prefix_private.h"

#define UNCLAIMED 0x7ffffffeu /* in next[], for nodes */

struct sorted {
	struct sluice_prefix_key key;
	uint32_t n; /* the route's number */
};

struct mend {
	struct table_prefix *t;
	struct sorted *order; /* [n] routes that live on */
	uint32_t n;
	uint32_t pos;	/* the first that has no place yet */
	uint64_t *live; /* by number: bit set if it lives on */
};

/* The words of the root or of a node. */
struct span {
	uint32_t *words;
	uint32_t n_bits; /* 2^n_bits words */
	uint32_t at;	 /* address bits that lead to one of them */
	uint32_t end;	 /* routes from mend.pos on that are longer or inside */
	uint32_t around; /* the longest route around them all */
};

/* ---- Who is who. ---- */

static bool lives_on(const struct table_prefix *t, uint32_t n)
{
	uint64_t head = prefix_route(t, n)->head;
	uint32_t version = t->region->head->version;

	return sluice_head_visible(head, version);
}

/* Each node that the trie names gets its place, the others are free. */
static void claim(struct table_prefix *t, uint32_t *words, uint32_t n,
		  uint32_t at)
{
	for (uint32_t i = 0; i < n && at < t->view.key_bits; i++) {
		uint32_t node = words[i] & ~SLUICE_PREFIX_CHILD;

		if (!(words[i] & SLUICE_PREFIX_CHILD) ||
		    node >= t->view.n_nodes ||
		    t->pieces.next[node] != UNCLAIMED)
			continue;
		t->pieces.next[node] = prefix_place(t, &words[i]);
		t->n_nodes_used++;
		claim(t, prefix_node(t, node), SLUICE_NODE_WORDS,
		      at + SLUICE_NODE_BITS);
	}
}

static void claim_all(struct table_prefix *t)
{
	for (uint32_t i = 0; i < t->view.n_nodes; i++)
		t->pieces.next[i] = UNCLAIMED;
	claim(t, t->root, 1u << t->root_bits, t->root_bits);
	for (uint32_t i = t->view.n_nodes; i-- > 0;)
		if (t->pieces.next[i] == UNCLAIMED)
			prefix_node_is_free(t, i);
}

static int compare(const void *a, const void *b)
{
	const struct sorted *x = a, *y = b;

	if (x->key.addr.hi != y->key.addr.hi)
		return x->key.addr.hi < y->key.addr.hi ? -1 : 1;
	if (x->key.addr.lo != y->key.addr.lo)
		return x->key.addr.lo < y->key.addr.lo ? -1 : 1;
	if (x->key.len != y->key.len)
		return x->key.len < y->key.len ? -1 : 1;
	return x->n < y->n ? -1 : x->n > y->n;
}

static void set_live(struct mend *m, uint32_t n, bool is)
{
	uint64_t bit = 1ull << n % 64;

	m->live[n / 64] = is ? m->live[n / 64] | bit : m->live[n / 64] & ~bit;
}

static bool is_live(const struct mend *m, uint32_t n)
{
	return m->live[n / 64] >> n % 64 & 1;
}

/* Of two routes of one prefix the newer lives on; the other leads to it. */
static void drop(struct mend *m, uint32_t older, uint32_t newer)
{
	set_live(m, older, false);
	prefix_put(&prefix_route(m->t, older)->parent, newer);
}

static void drop_doubles(struct mend *m)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->n; i++) {
		struct sorted *last = n ? &m->order[n - 1] : NULL;
		struct sorted *s = &m->order[i];

		if (!last || last->key.addr.hi != s->key.addr.hi ||
		    last->key.addr.lo != s->key.addr.lo ||
		    last->key.len != s->key.len) {
			m->order[n++] = *s;
			continue;
		}
		if (sluice_head_version(prefix_route(m->t, s->n)->head) ==
		    PREFIX_NEWER) {
			drop(m, last->n, s->n);
			*last = *s;
		} else {
			drop(m, s->n, last->n);
		}
	}
	m->n = n;
}

static int sort_routes(struct mend *m)
{
	struct table_prefix *t = m->t;
	uint32_t n_max = t->view.n_routes;

	m->live = calloc(n_max / 64 + 1, sizeof(*m->live));
	m->order = malloc((size_t)n_max * sizeof(*m->order));
	if (!m->live || !m->order)
		return -ENOMEM;
	for (uint32_t n = n_max; n > 0; n--) {
		if (sluice_head_state(prefix_route(t, n)->head) ==
		    SLUICE_ENTRY_DEAD) {
			prefix_route_is_free(t, n);
			continue;
		}
		t->n_used++;
		if (!lives_on(t, n))
			continue;
		m->order[m->n] =
			(struct sorted){.key = prefix_key(t, n), .n = n};
		if (prefix_route(t, n)->len > t->view.key_bits ||
		    !prefix_key_ok(t, &m->order[m->n].key))
			continue; /* scribbled upon */
		set_live(m, n, true);
		m->n++;
	}
	qsort(m->order, m->n, sizeof(*m->order), compare);
	drop_doubles(m);
	return 0;
}

/* ---- The words. ---- */

static void word_put(uint32_t *word, uint32_t v)
{
	if (*word != v)
		prefix_put(word, v); /* [prefix-word] */
}

/* What hung on a word that was stored over rests. */
static void rest_below(struct table_prefix *t, uint32_t node)
{
	uint32_t *words = prefix_node(t, node);
	uint32_t below;

	for (uint32_t i = 0; i < SLUICE_NODE_WORDS; i++)
		if (prefix_child(t, &words[i], &below))
			rest_below(t, below);
	prefix_node_rest(t, node);
}

static void leaf(struct table_prefix *t, uint32_t *word, uint32_t route)
{
	uint32_t node;
	bool had = prefix_child(t, word, &node);

	word_put(word, route);
	if (had)
		rest_below(t, node);
}

static void set_parent(struct mend *m, uint32_t n, uint32_t parent)
{
	word_put(&prefix_route(m->t, n)->parent, parent);
}

static uint32_t slot_of(const struct span *s, const struct sorted *r)
{
	if (s->n_bits != SLUICE_NODE_BITS)
		return (uint32_t)(r->key.addr.hi >> (64 - s->n_bits));
	return sluice_addr_nibble(r->key.addr, s->at - s->n_bits);
}

static int mend_span(struct mend *m, struct span s);

/* Routes up to end are longer than what leads to this word. */
static int branch(struct mend *m, uint32_t *word, struct span below)
{
	struct table_prefix *t = m->t;
	uint32_t node;
	int err;

	if (prefix_child(t, word, &node)) {
		below.words = prefix_node(t, node);
		return mend_span(m, below);
	}
	if (!t->pieces.n_nodes_free)
		return -ENOSPC;
	node = prefix_node_take(t);
	t->pieces.next[node] = prefix_place(t, word);
	below.words = prefix_node(t, node);
	for (uint32_t i = 0; i < SLUICE_NODE_WORDS; i++)
		prefix_put(&below.words[i], below.around);
	err = mend_span(m, below);
	if (!err)
		prefix_put(word,
			   SLUICE_PREFIX_CHILD | node); /* [prefix-word] */
	return err;
}

/* The routes around the word at hand, each inside the one before. */
struct around {
	uint32_t n;
	struct {
		uint32_t route;
		uint32_t end; /* the word behind its last */
	} covers[32];
};

static uint32_t innermost(const struct around *a, const struct span *s)
{
	return a->n ? a->covers[a->n - 1].route : s->around;
}

static void enter(struct mend *m, const struct span *s, struct around *a,
		  uint32_t i)
{
	while (a->n && a->covers[a->n - 1].end <= i)
		a->n--;
	for (; m->pos < s->end; m->pos++) {
		const struct sorted *r = &m->order[m->pos];

		if (r->key.len > s->at || slot_of(s, r) != i)
			break;
		set_parent(m, r->n, innermost(a, s));
		a->covers[a->n].route = r->n;
		a->covers[a->n++].end = i + (1u << (s->at - r->key.len));
	}
}

static int mend_span(struct mend *m, struct span s)
{
	struct around a = {0};
	int err = 0;

	for (uint32_t i = 0; !err && i < 1u << s.n_bits; i++) {
		uint32_t end;

		enter(m, &s, &a, i);
		end = m->pos;
		while (end < s.end && slot_of(&s, &m->order[end]) == i)
			end++;
		if (end == m->pos)
			leaf(m->t, &s.words[i], innermost(&a, &s));
		else
			err = branch(m, &s.words[i],
				     (struct span){
					     .n_bits = SLUICE_NODE_BITS,
					     .at = s.at + SLUICE_NODE_BITS,
					     .end = end,
					     .around = innermost(&a, &s),
				     });
	}
	return err;
}

static int mend_words(struct mend *m)
{
	struct table_prefix *t = m->t;
	uint32_t n = 0;

	if (m->n && m->order[0].key.len == 0) {
		n = m->order[0].n;
		set_parent(m, n, 0);
		m->pos = 1;
	}
	word_put(&t->shared->default_word, n);
	return mend_span(m, (struct span){
				    .words = t->root,
				    .n_bits = t->root_bits,
				    .at = t->root_bits,
				    .end = m->n,
			    });
}

static void mend_heads(struct mend *m)
{
	struct table_prefix *t = m->t;

	for (uint32_t n = 1; n <= t->view.n_routes; n++) {
		uint64_t *head = &prefix_route(t, n)->head;
		uint32_t state = sluice_head_state(*head);

		if (state == SLUICE_ENTRY_DEAD)
			continue;
		if (!is_live(m, n)) {
			prefix_put64(head, sluice_head_dead(*head));
			prefix_route_rest(t, n);
		} else if (state != SLUICE_ENTRY_LIVE ||
			   sluice_head_version(*head)) {
			prefix_put64(head,
				     sluice_head_to(*head, SLUICE_ENTRY_LIVE,
						    0));
		}
	}
}

int prefix_adopt_all(struct table_prefix *t, struct why *why)
{
	struct mend m = {.t = t};
	int err;

	prefix_begin(t);
	claim_all(t);
	err = sort_routes(&m);
	if (!err)
		err = mend_words(&m);
	if (!err) {
		mend_heads(&m);
		prefix_end(t);
	}
	free(m.order);
	free(m.live);
	if (err)
		why_say(why, err, "cannot adopt %u routes: no %s", t->n_used,
			err == -ENOMEM ? "memory" : "nodes left");
	return err;
}
