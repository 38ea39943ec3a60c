/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/ternary_bits - which bits had to be looked at
 *
 * First the best rule is found as readers find it: all bits of its mask count.
 * Then, tuple by tuple, a proof is made that none of its rules is better, out of
 * bits that count already as far as possible, and no tuple is looked at that
 * cannot hold a better one. Down the tuple's tree (ternary_tree.c) there are
 * three ways to end a proof, and the cheapest is taken:
 *
 *     the branch has no rule that could be better: the branchings so far
 *     the key differs from all of the branch in a bit: those above, and that bit
 *     that bit counts already: those above
 *
 * At a leaf that is the key's own each better rule of its chain needs one bit in
 * which it differs.
 *
 * Why that is enough: let another key be equal in these bits. It matches the
 * same rule. In each tree it goes the same way as far as the proof went, and
 * there finds the same difference, or nothing that could be better. Which rules
 * and tuples are "better" depends on the found rule only, not on the key.
 */
#include "table/ternary_private.h"

#define DEPTH_MAX (8 * SLUICE_TERNARY_KEY_LEN_MAX)

struct proof {
	const struct table_ternary *t;
	const uint64_t *key;
	uint64_t *bits;	     /* what counts so far */
	uint32_t best_entry; /* or NONE */
	uint64_t than;	     /* rules of this priority or more are better */
};

static void bit_add(struct proof *p, uint32_t bit)
{
	((uint8_t *)p->bits)[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
}

static bool counts(const struct proof *p, uint32_t bit)
{
	return ternary_bit(p->bits, bit);
}

/* The bits that tell a rule that does not match from the key: adds one. */
static void exclude_rule(struct proof *p, uint32_t entry)
{
	const struct sluice_rule *r = ternary_rule(p->t, entry);
	const uint64_t *pair = ternary_pairs(p->t, entry);
	uint64_t words = r->words & p->t->view.words;
	uint32_t first = TERNARY_NONE;

	for (uint32_t i = 0; words && i < p->t->view.n_words; i++) {
		uint32_t w = (uint32_t)__builtin_ctzll(words);
		uint64_t diff = (p->key[w] ^ pair[2ul * i + 1]) & pair[2ul * i];

		if (diff & p->bits[w])
			return;
		if (diff && first == TERNARY_NONE)
			first = 64 * w + ternary_first_bit(diff);
		words &= words - 1;
	}
	/* None: it matches, and is not there at this version. */
	if (first != TERNARY_NONE)
		bit_add(p, first);
}

/* The rules of the key's own leaf that come before the best one. */
static void exclude_chain(struct proof *p, const struct ternary_leaf *l,
			  uint32_t leaf)
{
	uint32_t e = l->first;

	for (uint32_t n = 0; n < SLUICE_TERNARY_CHAIN_MAX; n++) {
		if (e >= p->t->view.n_entries || e == p->best_entry ||
		    ternary_rule(p->t, e)->priority < p->than)
			return;
		if (p->t->own[e].leaf == leaf)
			exclude_rule(p, e);
		e = ternary_rule(p->t, e)->next - 1;
	}
}

/* Where the key differs from a leaf: at all, and in a bit that counts. */
struct differences {
	uint32_t first;
	uint32_t counted;
};

static struct differences differences(const struct proof *p,
				      const struct ternary_tuple *u,
				      uint32_t entry)
{
	struct differences d = {TERNARY_NONE, TERNARY_NONE};
	uint64_t words = u->words;

	for (uint32_t i = 0; i < u->n_words; i++, words &= words - 1) {
		uint32_t w = (uint32_t)__builtin_ctzll(words);
		uint64_t diff = (ternary_key_word(p->t, entry, w) ^ p->key[w]) &
				u->mask[i];

		if (diff && d.first == TERNARY_NONE)
			d.first = 64 * w + ternary_first_bit(diff);
		diff &= p->bits[w];
		if (diff) {
			d.counted = 64 * w + ternary_first_bit(diff);
			break;
		}
	}
	return d;
}

/* The branchings on the way that do not count yet. */
struct way {
	uint32_t n;
	uint16_t bits[DEPTH_MAX]; /* growing */
};

/* How many of them come before a bit? */
static uint32_t n_before(const struct way *way, uint32_t bit)
{
	uint32_t n = way->n;

	while (n > 0 && way->bits[n - 1] >= bit)
		n--;
	return n;
}

static void exclude_tuple(struct proof *p, const struct ternary_tuple *u)
{
	const struct ternary_trees *s = &p->t->trees;
	uint32_t ref = u->root;
	uint32_t n_pruned = UINT32_MAX; /* branchings to where none is better */
	uint32_t n_first, n_counted;
	const struct ternary_leaf *l;
	struct differences d;
	struct way way;

	for (way.n = 0; !(ref & TERNARY_LEAF) && way.n < DEPTH_MAX;) {
		const struct ternary_node *n = &s->nodes[ref];

		if (n->max < p->than && n_pruned == UINT32_MAX)
			n_pruned = way.n;
		if (!counts(p, n->bit))
			way.bits[way.n++] = (uint16_t)n->bit;
		ref = n->child[ternary_bit(p->key, n->bit)];
		if (n_pruned == 0)
			return;
	}
	l = &s->leaves[ref & ~TERNARY_LEAF];
	if (l->max < p->than && n_pruned == UINT32_MAX)
		n_pruned = way.n;
	d = differences(p, u, l->first);
	n_first = d.first == TERNARY_NONE ? UINT32_MAX
					  : n_before(&way, d.first) + 1;
	n_counted = d.counted == TERNARY_NONE ? UINT32_MAX
					      : n_before(&way, d.counted);
	if (d.first == TERNARY_NONE && n_pruned == UINT32_MAX) {
		exclude_chain(p, l, ref & ~TERNARY_LEAF);
	} else if (n_counted <= n_first && n_counted <= n_pruned) {
		way.n = n_counted;
	} else if (n_first < n_pruned) {
		way.n = n_first - 1;
		bit_add(p, d.first);
	} else {
		way.n = n_pruned;
	}
	for (uint32_t i = 0; i < way.n; i++)
		bit_add(p, way.bits[i]);
}

/* All that the best rule looks at. */
static void take_rule(struct proof *p, uint32_t entry)
{
	const uint64_t *pair = ternary_pairs(p->t, entry);
	uint64_t words = ternary_rule(p->t, entry)->words & p->t->view.words;

	for (uint32_t i = 0; words && i < p->t->view.n_words; i++) {
		p->bits[__builtin_ctzll(words)] |= pair[2ul * i];
		words &= words - 1;
	}
}

/*
 * In the order of look-ups: a tuple before the best rule's own must not have one
 * of the same priority either, for that would be found first.
 */
static void exclude_all(struct proof *p)
{
	const struct ternary_tuples *s = &p->t->tuples;
	uint32_t entry = p->best_entry;
	uint32_t own = TERNARY_NONE;
	uint64_t priority = 0;

	if (entry != TERNARY_NONE) {
		own = p->t->own[entry].tuple;
		priority = ternary_rule(p->t, entry)->priority;
	}
	p->than = priority;
	for (uint32_t i = 0; i < s->n; i++) {
		const struct ternary_tuple *u = &s->at[s->order[i]];

		if (u->heap[0] >> 32 < p->than)
			return;
		if (s->order[i] == own) {
			uint32_t leaf = p->t->own[entry].leaf;

			exclude_chain(p, &p->t->trees.leaves[leaf], leaf);
			p->than = priority + 1;
		} else {
			exclude_tuple(p, u);
		}
	}
}

enum sluice_found table_ternary_find_bits(struct table_ternary *t,
					  const void *key, uint32_t version,
					  uint32_t *rule, void *bits)
{
	struct proof p = {.t = t,
			  .key = key,
			  .bits = bits,
			  .best_entry = TERNARY_NONE};
	struct sluice_rule *r;
	/* Nobody else writes, so it is never busy. */
	enum sluice_found found =
		sluice_ternary_find(&t->view, key, version, &r);

	if (found == SLUICE_YES) {
		p.best_entry = sluice_ternary_number(&t->view, r);
		*rule = p.best_entry;
		take_rule(&p, p.best_entry);
	}
	exclude_all(&p);
	return found;
}

void table_ternary_round(const struct table_ternary *t, void *bits)
{
	uint8_t *b = bits;

	for (uint32_t i = 0; i < t->n_fields; i++) {
		uint32_t first = t->fields[i].bit;
		uint32_t at = first + t->fields[i].n_bits;

		while (at > first && !ternary_bit(bits, at - 1))
			at--;
		for (; at > first; at--)
			b[(at - 1) / 8] |= (uint8_t)(0x80 >> (at - 1) % 8);
	}
}

/* ---- Overlap. ---- */

struct search {
	const struct table_ternary *t;
	const struct ternary_form *f;
	uint32_t self;
};

static bool overlaps(const struct search *s, uint32_t entry)
{
	const uint64_t *pair = ternary_pairs(s->t, entry);
	const struct sluice_rule *r = ternary_rule(s->t, entry);
	uint64_t words = r->words & s->t->view.words;

	if (r->priority != s->f->priority || entry == s->self ||
	    !ternary_is_current(s->t, entry))
		return false;
	for (uint32_t i = 0; words && i < s->t->view.n_words; i++) {
		uint32_t w = (uint32_t)__builtin_ctzll(words);

		if ((s->f->key[w] ^ pair[2ul * i + 1]) & s->f->mask[w] &
		    pair[2ul * i])
			return false;
		words &= words - 1;
	}
	return true;
}

static uint32_t overlap_in_leaf(const struct search *s, uint32_t leaf)
{
	uint32_t e = s->t->trees.leaves[leaf].first;

	for (uint32_t n = 0; n < SLUICE_TERNARY_CHAIN_MAX; n++) {
		if (e >= s->t->view.n_entries)
			break;
		if (s->t->own[e].leaf == leaf && overlaps(s, e))
			return e;
		e = ternary_rule(s->t, e)->next - 1;
	}
	return TERNARY_NONE;
}

static uint32_t overlap_below(const struct search *s, uint32_t root)
{
	const struct ternary_trees *trees = &s->t->trees;
	uint32_t stack[DEPTH_MAX + 1];
	uint32_t n = 0;

	stack[n++] = root;
	while (n > 0) {
		uint32_t ref = stack[--n];
		const struct ternary_node *node;
		uint32_t found;

		if (ref & TERNARY_LEAF) {
			found = overlap_in_leaf(s, ref & ~TERNARY_LEAF);
			if (found != TERNARY_NONE)
				return found;
			continue;
		}
		node = &trees->nodes[ref];
		if (node->max < s->f->priority || n + 2 > DEPTH_MAX)
			continue;
		if (ternary_bit(s->f->mask, node->bit)) {
			stack[n++] =
				node->child[ternary_bit(s->f->key, node->bit)];
		} else {
			stack[n++] = node->child[0];
			stack[n++] = node->child[1];
		}
	}
	return TERNARY_NONE;
}

uint32_t table_ternary_overlap(const struct table_ternary *t,
			       const struct table_ternary_rule *rule)
{
	const struct ternary_tuples *s = &t->tuples;
	struct search search = {.t = t};
	struct ternary_form f;

	if (!ternary_form(t, rule, &f))
		return TERNARY_NONE;
	search.f = &f;
	search.self = table_ternary_find(t, rule);
	for (uint32_t i = 0; i < s->n; i++) {
		const struct ternary_tuple *u = &s->at[s->order[i]];
		uint32_t found;

		if (u->heap[0] >> 32 < rule->priority)
			break;
		found = overlap_below(&search, u->root);
		if (found != TERNARY_NONE)
			return found;
	}
	return TERNARY_NONE;
}
