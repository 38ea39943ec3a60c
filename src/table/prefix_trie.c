/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/prefix_trie - the words between an address and its route
 *
 * There is one way to change the trie: swap. Within the prefix of a route, each
 * word names either that route, or one that is longer, or, if the route is not in
 * the trie, the next shorter one around; nothing else is possible since each
 * word names the longest. So a route comes by swapping the one around for it, and
 * goes by the reverse, without a look at any other route.
 *
 * Nodes that a route needs are made first, full of the word that they stand for,
 * and published by one store; then the swap goes word by word. Each store leaves
 * every address with its old answer or its new one. Afterwards a node whose
 * words are all the same is folded: its word goes up, the node rests.
 *
 * Rejected: subtrees that are copied and replaced as a whole, since a short
 * route would copy all that lies below it, and each change needs more nodes.
 */
#include "table/prefix_private.h"

#define DEPTH_MAX 31u /* (128 - 8) / 4, and the root */

struct sluice_prefix_key prefix_key(const struct table_prefix *t, uint32_t n)
{
	const struct sluice_route *r = prefix_route(t, n);
	struct sluice_prefix_key key = {.addr.hi = r->addr.hi, .len = r->len};

	if (t->view.key_bits > 64)
		key.addr.lo = r->addr.lo;
	if (key.len > t->view.key_bits)
		key.len = t->view.key_bits; /* a lie */
	return key;
}

/* The words on the way to a prefix. */
struct path {
	uint32_t *words[DEPTH_MAX + 1];
	uint32_t n;
	uint32_t at; /* bits that lead to the last of them */
};

/* As far as nodes go and the prefix does. */
static void path_init(const struct table_prefix *t, struct path *p,
		      const struct sluice_prefix_key *key)
{
	uint32_t *word = &t->root[key->addr.hi >> (64 - t->root_bits)];
	uint32_t node;

	p->n = 1;
	p->words[0] = word;
	p->at = t->root_bits;
	while (p->at < key->len && prefix_child(t, word, &node)) {
		word = prefix_node(t, node) +
		       sluice_addr_nibble(key->addr, p->at);
		p->at += SLUICE_NODE_BITS;
		p->words[p->n++] = word;
	}
}

static uint32_t n_levels(uint32_t from, uint32_t to)
{
	return to <= from
		       ? 0
		       : (to - from + SLUICE_NODE_BITS - 1) / SLUICE_NODE_BITS;
}

uint32_t prefix_nodes_missing(const struct table_prefix *t,
			      const struct sluice_prefix_key *key)
{
	struct path p;

	path_init(t, &p, key);
	return n_levels(p.at, key->len);
}

void prefix_deepen(struct table_prefix *t, const struct sluice_prefix_key *key)
{
	uint32_t *word;
	uint32_t below = 0;
	uint32_t n_missing;
	uint32_t stands_for;
	uint32_t at;
	struct path p;

	path_init(t, &p, key);
	word = p.words[p.n - 1];
	n_missing = n_levels(p.at, key->len);
	/* There was room; but what lies in the table may have been scribbled. */
	if (!n_missing || n_missing > t->pieces.n_nodes_free)
		return;
	stands_for = *word & SLUICE_PREFIX_CHILD ? 0 : *word;
	at = p.at + (n_missing - 1) * SLUICE_NODE_BITS;
	/* From the last to the first, whose word publishes them all. */
	for (uint32_t i = 0; i < n_missing; i++, at -= SLUICE_NODE_BITS) {
		uint32_t node = prefix_node_take(t);
		uint32_t *words = prefix_node(t, node);

		for (uint32_t j = 0; j < SLUICE_NODE_WORDS; j++)
			prefix_put(&words[j], stands_for);
		if (below) {
			uint32_t *up =
				&words[sluice_addr_nibble(key->addr, at)];

			t->pieces.next[below & ~SLUICE_PREFIX_CHILD] =
				prefix_place(t, up);
			prefix_put(up, below); /* [prefix-word] */
		}
		below = SLUICE_PREFIX_CHILD | node;
	}
	t->pieces.next[below & ~SLUICE_PREFIX_CHILD] = prefix_place(t, word);
	prefix_put(word, below); /* [prefix-word] */
}

/* If the node below this word has become uniform, the word takes its place. */
static void fold(struct table_prefix *t, uint32_t *word)
{
	const uint32_t *words;
	uint32_t node;

	if (!prefix_child(t, word, &node))
		return;
	words = prefix_node(t, node);
	for (uint32_t i = 0; i < SLUICE_NODE_WORDS; i++)
		if (words[i] != words[0] || words[i] & SLUICE_PREFIX_CHILD)
			return;
	prefix_put(word, words[0]); /* [prefix-word] */
	prefix_node_rest(t, node);
}

/* Of the routes that hold a word's address, the one below `from` goes below `to`. */
static void reparent(const struct table_prefix *t, uint32_t n,
		     const struct prefix_swap *s)
{
	uint32_t to = prefix_number(t, s->to);

	for (uint32_t i = 0; n && n != to && i < SLUICE_PREFIX_CHAIN; i++) {
		struct sluice_route *r = prefix_route(t, n);
		uint32_t parent = r->parent;

		if (parent == s->from) {
			prefix_put(&r->parent, to); /* [prefix-word] */
			return;
		}
		n = prefix_number(t, parent);
	}
}

static void swap_word(struct table_prefix *t, uint32_t *word,
		      const struct prefix_swap *s)
{
	uint32_t w = sluice_load32_relaxed(word);
	uint32_t node;

	if (prefix_child(t, word, &node)) {
		uint32_t *words = prefix_node(t, node);

		for (uint32_t i = 0; i < SLUICE_NODE_WORDS; i++)
			swap_word(t, &words[i], s);
		fold(t, word);
	} else if (w & SLUICE_PREFIX_CHILD) {
		prefix_put(word, 0); /* a lie: no node of ours */
	} else if ((w & SLUICE_PREFIX_NUMBER) == s->from) {
		if (w != s->to)
			prefix_put(word, s->to); /* [prefix-word] */
	} else if (s->reparent) {
		reparent(t, prefix_number(t, w), s);
	}
}

/*
 * Top-level routes hang on no route, also where there is a default route; so
 * that one comes and goes without anybody else.
 */
static void swap_default(struct table_prefix *t, const struct prefix_swap *s)
{
	uint32_t *word = &t->shared->default_word;

	if ((*word & SLUICE_PREFIX_NUMBER) == s->from && *word != s->to)
		prefix_put(word, s->to); /* [prefix-word] */
}

void prefix_swap(struct table_prefix *t, const struct sluice_prefix_key *key,
		 const struct prefix_swap *s)
{
	uint32_t n_words;
	struct path p;

	if (key->len == 0) {
		swap_default(t, s);
		return;
	}
	path_init(t, &p, key);
	/* It ends within these bits, or, where nodes are missing, before. */
	n_words = p.at > key->len ? 1u << (p.at - key->len) : 1;
	for (uint32_t i = 0; i < n_words; i++)
		swap_word(t, p.words[p.n - 1] + i, s);
	for (uint32_t i = p.n; i-- > 0;)
		fold(t, p.words[i]);
}

uint32_t prefix_exact(const struct table_prefix *t,
		      const struct sluice_prefix_key *key, uint32_t *around)
{
	uint32_t exact = 0;
	uint32_t n;

	*around = 0;
	if (key->len == 0)
		return prefix_number(t, t->shared->default_word);
	n = prefix_number(t, sluice_prefix_word_(&t->view, key->addr));
	for (uint32_t i = 0; n && i < SLUICE_PREFIX_CHAIN; i++) {
		const struct sluice_route *r = prefix_route(t, n);

		if (r->len < key->len) {
			*around = n;
			break;
		}
		if (r->len == key->len && !exact)
			exact = n;
		n = prefix_number(t, r->parent);
	}
	return exact;
}
