/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/ternary_tuple - which tuples there are, and in which order
 *
 * Each mask a tuple of its own would be the plain tuple space search, with as
 * many tuples as masks: hundreds. TupleMerge (Daly et al. 2019) lets a rule lie
 * under any tuple whose mask is a part of its own, as long as not too many rules
 * come to lie in one chain. Here a new rule goes under the finest such tuple
 * that has room and that is not coarser than the rule's mask made coarse;
 * where there is none, a tuple is made by the coarsest of these that is new:
 *
 *     0  of the wide fields (addresses) whole bytes, nothing else
 *     1  of everything whole bytes
 *     2  the rule's mask
 *     3  the rule's mask again, for rules that differ in priority only
 *
 * Other than in the paper no rule is ever moved to a finer tuple when its chain
 * has filled up: it is the next rule that goes there. The chain stays at
 * CHAIN_FULL, which is what a look-up can bear; in return entries stay where they
 * are and readers need not look again.
 *
 * Each tuple knows its best priority by a heap of its rules. When that changes
 * the place of a tuple in the order, a whole new order is written beside the old
 * one: some hundred stores, but no reader is ever without a tuple.
 */
#include "table/ternary_private.h"

#include <stdlib.h>
#include <string.h>

#define CHAIN_FULL 8u
/* Rules that only their priority tells apart; replacing them doubles it. */
#define CHAIN_FULL_SAME (SLUICE_TERNARY_CHAIN_MAX / 2)
#define N_LEVELS 4u
#define WIDE 32u       /* bits of a field that counts on level 0 */
#define COARSE_MIN 16u /* bits, or level 0 tells too little apart */

/* ---- Masks. ---- */

static uint64_t whole_bytes(uint64_t mask)
{
	uint64_t out = 0;

	for (uint32_t i = 0; i < 64; i += 8)
		if ((mask >> i & 0xff) == 0xff)
			out |= 0xffull << i;
	return out;
}

void ternary_wide_init(struct table_ternary *t)
{
	for (uint32_t i = 0; i < t->n_fields; i++) {
		uint32_t bit = t->fields[i].bit;

		if (t->fields[i].n_bits < WIDE)
			continue;
		for (uint32_t n = t->fields[i].n_bits; n; n--, bit++)
			t->wide[bit / 64] |=
				0x80ull << (bit % 64 / 8 * 8) >> bit % 8;
	}
}

static uint32_t n_bits_of(const uint64_t *mask, uint32_t n)
{
	uint32_t n_bits = 0;

	for (uint32_t i = 0; i < n; i++)
		n_bits += (uint32_t)__builtin_popcountll(mask[i]);
	return n_bits;
}

/* The mask of a form on a level; false: the level is not for it. */
static bool coarse(const struct table_ternary *t, const struct ternary_form *f,
		   uint32_t level, struct sluice_tuple *out)
{
	uint64_t words = f->words;
	uint32_t n = 0;

	out->words = 0;
	for (uint32_t i = 0; i < f->n_words; i++, words &= words - 1) {
		uint32_t w = (uint32_t)__builtin_ctzll(words);
		uint64_t mask = f->pairs[2ul * i];

		if (level <= 1)
			mask = whole_bytes(mask);
		if (level == 0)
			mask &= t->wide[w];
		if (!mask)
			continue;
		out->words |= 1ull << w;
		out->mask[n++] = mask;
	}
	return level > 0 || n_bits_of(out->mask, n) >= COARSE_MIN;
}

bool ternary_tuple_fits(const struct ternary_tuple *u,
			const struct ternary_form *f)
{
	uint64_t words = u->words;

	if (words & ~f->words)
		return false;
	for (uint32_t i = 0; i < u->n_words; i++, words &= words - 1) {
		uint64_t below = (words & -words) - 1;
		uint32_t at = (uint32_t)__builtin_popcountll(f->words & below);

		if (u->mask[i] & ~f->pairs[2ul * at])
			return false;
	}
	return true;
}

/* Is a mask a part of the mask of u? */
static bool has_part(const struct ternary_tuple *u,
		     const struct sluice_tuple *part)
{
	uint64_t words = part->words;

	if (words & ~u->words)
		return false;
	for (uint32_t i = 0; words; i++, words &= words - 1) {
		uint64_t below = (words & -words) - 1;
		uint32_t at = (uint32_t)__builtin_popcountll(u->words & below);

		if (part->mask[i] & ~u->mask[at])
			return false;
	}
	return true;
}

/* ---- The order. ---- */

static uint32_t best_of(const struct ternary_tuple *u)
{
	return (uint32_t)(u->heap[0] >> 32);
}

static uint64_t order_word(const struct table_ternary *t, uint32_t tuple)
{
	return (uint64_t)best_of(&t->tuples.at[tuple]) << 32 | (tuple + 1);
}

/* Writes the order anew beside the present one, and makes it that. */
static void order_publish(struct table_ternary *t)
{
	struct ternary_tuples *s = &t->tuples;
	uint64_t no = s->order_no + 1;
	uint64_t *to =
		t->orders + no % SLUICE_TERNARY_ORDERS * t->view.n_tuples;

	for (uint32_t i = 0; i < s->n; i++)
		ternary_put(&to[i], order_word(t, s->order[i]));
	if (s->n < t->view.n_tuples)
		ternary_put(&to[s->n], 0);
	s->order_no = no;
	ternary_put(&t->shared->order, no); /* [ternary-order] */
}

/* Puts a tuple where it belongs by its best priority. */
static void order_place(struct table_ternary *t, uint32_t tuple, bool is_new)
{
	struct ternary_tuples *s = &t->tuples;
	uint32_t best = best_of(&s->at[tuple]);
	uint32_t was = s->at[tuple].order_at;
	uint32_t i = was;

	for (; i > 0 && best_of(&s->at[s->order[i - 1]]) < best; i--) {
		s->order[i] = s->order[i - 1];
		s->at[s->order[i]].order_at = i;
	}
	for (; i + 1 < s->n && best_of(&s->at[s->order[i + 1]]) > best; i++) {
		s->order[i] = s->order[i + 1];
		s->at[s->order[i]].order_at = i;
	}
	s->order[i] = tuple;
	s->at[tuple].order_at = i;
	if (i == was && !is_new)
		ternary_put(t->orders +
				    s->order_no % SLUICE_TERNARY_ORDERS *
					    t->view.n_tuples +
				    i,
			    order_word(t, tuple)); /* [ternary-order] */
	else
		order_publish(t);
}

static void order_del(struct table_ternary *t, uint32_t tuple)
{
	struct ternary_tuples *s = &t->tuples;

	s->n--;
	for (uint32_t i = s->at[tuple].order_at; i < s->n; i++) {
		s->order[i] = s->order[i + 1];
		s->at[s->order[i]].order_at = i;
	}
	order_publish(t);
}

/* ---- The heap of a tuple. ---- */

static void heap_set(struct table_ternary *t, struct ternary_tuple *u,
		     uint32_t at, uint64_t v)
{
	u->heap[at] = v;
	t->own[(uint32_t)v].heap_at = at;
}

static void heap_up(struct table_ternary *t, struct ternary_tuple *u,
		    uint32_t at, uint64_t v)
{
	for (; at > 0 && u->heap[(at - 1) / 2] >> 32 < v >> 32;
	     at = (at - 1) / 2)
		heap_set(t, u, at, u->heap[(at - 1) / 2]);
	heap_set(t, u, at, v);
}

static void heap_down(struct table_ternary *t, struct ternary_tuple *u,
		      uint32_t at, uint64_t v)
{
	for (;;) {
		uint32_t c = 2 * at + 1;

		if (c >= u->n_rules)
			break;
		if (c + 1 < u->n_rules && u->heap[c + 1] > u->heap[c])
			c++;
		if (u->heap[c] >> 32 <= v >> 32)
			break;
		heap_set(t, u, at, u->heap[c]);
		at = c;
	}
	heap_set(t, u, at, v);
}

bool ternary_tuple_reserve(struct ternary_tuple *u)
{
	uint32_t len = u->heap_len ? 2 * u->heap_len : 8;
	uint64_t *heap;

	if (u->n_rules < u->heap_len)
		return true;
	heap = realloc(u->heap, len * sizeof(*heap));
	if (!heap)
		return false;
	u->heap = heap;
	u->heap_len = len;
	return true;
}

void ternary_heap_add(struct table_ternary *t, uint32_t entry)
{
	struct ternary_tuple *u = &t->tuples.at[t->own[entry].tuple];
	uint64_t priority = ternary_rule(t, entry)->priority;

	heap_up(t, u, u->n_rules++, priority << 32 | entry);
}

/* ---- Rules come and go. ---- */

/* Into the order, at its end, of the lowest priority. */
static void order_add(struct table_ternary *t, uint32_t tuple)
{
	struct ternary_tuples *s = &t->tuples;

	s->at[tuple].order_at = s->n;
	s->order[s->n++] = tuple;
}

void ternary_tuple_add(struct table_ternary *t, uint32_t entry)
{
	uint32_t tuple = t->own[entry].tuple;
	struct ternary_tuple *u = &t->tuples.at[tuple];
	uint32_t priority = ternary_rule(t, entry)->priority;
	bool is_new = u->n_rules == 0;
	bool is_best = is_new || priority > best_of(u);

	ternary_heap_add(t, entry);
	if (is_new)
		order_add(t, tuple);
	if (is_best)
		order_place(t, tuple, is_new);
}

void ternary_tuple_del(struct table_ternary *t, uint32_t entry)
{
	uint32_t tuple = t->own[entry].tuple;
	struct ternary_tuple *u = &t->tuples.at[tuple];
	uint32_t at = t->own[entry].heap_at;
	uint64_t was = u->heap[0];
	uint64_t last = u->heap[--u->n_rules];

	if (u->n_rules == 0) {
		order_del(t, tuple);
		ternary_tuple_drop(t, tuple);
		return;
	}
	if (at < u->n_rules) {
		if (at > 0 && u->heap[(at - 1) / 2] >> 32 < last >> 32)
			heap_up(t, u, at, last);
		else
			heap_down(t, u, at, last);
	}
	if (u->heap[0] >> 32 != was >> 32)
		order_place(t, tuple, false);
}

/* ---- Tuples come and go. ---- */

static void tuple_write(struct table_ternary *t, uint32_t tuple,
			const struct sluice_tuple *mask)
{
	struct sluice_tuple *to =
		(struct sluice_tuple *)(uintptr_t)sluice_ternary_tuple(&t->view,
								       tuple);
	struct ternary_tuple *u = &t->tuples.at[tuple];

	u->words = mask->words;
	u->n_words = (uint32_t)__builtin_popcountll(mask->words);
	u->n_bits = n_bits_of(mask->mask, u->n_words);
	/* Nobody reads it but who is late: he may find nothing here. */
	ternary_put(&to->words, mask->words);
	for (uint32_t i = 0; i < u->n_words; i++) {
		u->mask[i] = mask->mask[i];
		ternary_put(&to->mask[i], mask->mask[i]);
	}
}

void ternary_tuple_own(struct table_ternary *t, uint32_t tuple)
{
	struct ternary_tuples *s = &t->tuples;
	uint32_t i = s->n_fine++;

	s->at[tuple].n_rules = 0;
	s->at[tuple].root = TERNARY_NONE;
	for (; i > 0 && s->at[s->fine[i - 1]].n_bits < s->at[tuple].n_bits; i--)
		s->fine[i] = s->fine[i - 1];
	s->fine[i] = tuple;
}

/* A new tuple; NONE: all are in use. */
static uint32_t tuple_new(struct table_ternary *t,
			  const struct sluice_tuple *mask)
{
	struct ternary_tuples *s = &t->tuples;
	uint32_t tuple;

	if (s->n_fine == t->view.n_tuples)
		return TERNARY_NONE;
	tuple = s->free[t->view.n_tuples - 1 - s->n_fine];
	tuple_write(t, tuple, mask);
	ternary_tuple_own(t, tuple);
	return tuple;
}

void ternary_tuple_drop(struct table_ternary *t, uint32_t tuple)
{
	struct ternary_tuples *s = &t->tuples;
	uint32_t i = 0;

	while (s->fine[i] != tuple)
		i++;
	s->n_fine--;
	memmove(&s->fine[i], &s->fine[i + 1],
		(s->n_fine - i) * sizeof(s->fine[0]));
	s->free[t->view.n_tuples - 1 - s->n_fine] = tuple;
}

void ternary_tuples_adopt(struct table_ternary *t)
{
	struct ternary_tuples *s = &t->tuples;
	uint32_t n_free = t->view.n_tuples;
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_fine; i++)
		if (s->at[s->fine[i]].n_rules)
			s->fine[n++] = s->fine[i];
	s->n_fine = n;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t j = i;

		for (; j > 0 && best_of(&s->at[s->order[j - 1]]) <
					best_of(&s->at[s->fine[i]]);
		     j--)
			s->order[j] = s->order[j - 1];
		s->order[j] = s->fine[i];
	}
	s->n = n;
	for (uint32_t i = 0; i < n; i++)
		s->at[s->order[i]].order_at = i;
	n_free -= n;
	for (uint32_t i = 0; n_free; i++)
		if (!s->at[i].n_rules)
			s->free[--n_free] = i;
	order_publish(t);
}

/* ---- The tuple for a rule. ---- */

/* Has the form's chain under this tuple room for one more, of n_max? */
static bool has_room(const struct table_ternary *t, uint32_t tuple,
		     const struct ternary_form *f, uint32_t n_max,
		     uint32_t *hash)
{
	*hash = sluice_ternary_hash(&t->view, tuple, f->key);
	return ternary_chain_len(t, *hash) < n_max &&
	       ternary_chain_fits(t, *hash);
}

/* Is the tuple's mask the form's, so that nothing finer will do? */
static bool is_same(const struct ternary_tuple *u, const struct ternary_form *f)
{
	uint32_t n_bits = 0;

	for (uint32_t i = 0; i < f->n_words; i++)
		n_bits += (uint32_t)__builtin_popcountll(f->pairs[2ul * i]);
	return n_bits == u->n_bits;
}

/*
 * The finest tuple with room that is no coarser than least, chains of n_max being
 * full; or NONE.
 */
static uint32_t choose(const struct table_ternary *t,
		       const struct ternary_form *f,
		       const struct sluice_tuple *least, uint32_t n_max,
		       uint32_t *hash)
{
	const struct ternary_tuples *s = &t->tuples;

	for (uint32_t i = 0; i < s->n_fine; i++) {
		const struct ternary_tuple *u = &s->at[s->fine[i]];

		if (ternary_tuple_fits(u, f) && has_part(u, least) &&
		    has_room(t, s->fine[i], f,
			     is_same(u, f) ? CHAIN_FULL_SAME : n_max, hash))
			return s->fine[i];
	}
	return TERNARY_NONE;
}

/* Is there a tuple of this very mask? */
static bool is_known(const struct table_ternary *t,
		     const struct sluice_tuple *mask)
{
	const struct ternary_tuples *s = &t->tuples;

	for (uint32_t i = 0; i < s->n_fine; i++) {
		const struct ternary_tuple *u = &s->at[s->fine[i]];

		if (u->words == mask->words &&
		    !memcmp(u->mask, mask->mask,
			    u->n_words * sizeof(u->mask[0])))
			return true;
	}
	return false;
}

uint32_t ternary_tuple_for(struct table_ternary *t,
			   const struct ternary_form *f, uint32_t *hash)
{
	uint64_t room[1 + TERNARY_WORDS] = {0};
	struct sluice_tuple *mask = (struct sluice_tuple *)room;
	uint32_t level = coarse(t, f, 0, mask) ? 0 : 1;
	uint32_t tuple;

	if (level)
		(void)coarse(t, f, 1, mask);
	tuple = choose(t, f, mask, CHAIN_FULL, hash);
	for (; tuple == TERNARY_NONE && level < N_LEVELS; level++) {
		(void)coarse(t, f, level, mask);
		if (level < N_LEVELS - 1 && is_known(t, mask))
			continue;
		tuple = tuple_new(t, mask);
		if (tuple == TERNARY_NONE)
			break;
		if (has_room(t, tuple, f, 1, hash))
			return tuple;
		/* All its buckets are full, or another chain has its hash. */
		ternary_tuple_drop(t, tuple);
		tuple = TERNARY_NONE;
	}
	if (tuple == TERNARY_NONE) {
		/* No tuple is left: a coarser one is better than none. */
		mask->words = 0;
		tuple = choose(t, f, mask, CHAIN_FULL, hash);
		if (tuple == TERNARY_NONE)
			tuple = choose(t, f, mask, CHAIN_FULL_SAME, hash);
	}
	return tuple;
}
