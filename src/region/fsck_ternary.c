/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ternary tables: is every rule in the chain of its hash, the best first, and
 * that chain findable; is each tuple in the order, and not below its rules? A
 * chain that seems wrong is looked at again: a writer may be at it. A killed
 * writer may leave rules that are in no chain.
 */
#include "region/fsck.h"
#include "sluice/ternary_find.h"

#define FIRST(slot) ((uint32_t)(slot)&0x7fffffffu)

/* Best priority of each tuple + 1 by the present order; 0: it is not in it. */
struct order {
	uint64_t above[SLUICE_TERNARY_TUPLES_MAX];
};

static const char *order_look(const struct sluice_ternary_view *v,
			      struct order *out)
{
	/* [ternary-order] */
	uint64_t no = sluice_load64_acquire(&v->table->order);
	const uint64_t *words = sluice_ternary_order(v, no);
	uint64_t last = UINT64_MAX;

	for (uint32_t i = 0; i < v->n_tuples; i++)
		out->above[i] = 0;
	for (uint32_t i = 0; i < v->n_tuples; i++) {
		/* [ternary-order] */
		uint64_t word = sluice_load64_acquire(&words[i]);
		uint32_t tuple = (uint32_t)word - 1;

		if (!word)
			break;
		if (tuple >= v->n_tuples)
			return "the order names a tuple that does not exist";
		if (out->above[tuple])
			return "the order names a tuple twice";
		if (word >> 32 > last)
			return "the order is not by priority";
		last = word >> 32;
		out->above[tuple] = last + 1;
	}
	return NULL;
}

/* A rule's key, as far as its mask has it. False: words beyond the key's. */
static bool key_of(const struct sluice_ternary_view *v,
		   const struct sluice_rule *r, uint64_t *key)
{
	const uint64_t *pair = sluice_rule_pairs(r, v->value_len);
	uint64_t words = sluice_load64_acquire(&r->words); /* [ternary-head] */

	if (words & ~v->words ||
	    (uint32_t)__builtin_popcountll(words) > v->n_words)
		return false;
	for (uint32_t w = 0; w < SLUICE_TERNARY_WORDS_MAX; w++) {
		key[w] = 0;
		if (!(words >> w & 1))
			continue;
		/* [ternary-head] */
		key[w] = sluice_load64_acquire(&pair[1]) &
			 sluice_load64_relaxed(&pair[0]);
		pair += 2;
	}
	return true;
}

static const char *rule_look(const struct sluice_ternary_view *v,
			     const struct order *o, const struct sluice_rule *r,
			     uint32_t hash)
{
	uint32_t tuple = sluice_load32_relaxed(&r->tuple);
	uint64_t key[SLUICE_TERNARY_WORDS_MAX];

	if (sluice_load32_relaxed(&r->hash) != hash)
		return "a rule is in the chain of another hash";
	if (tuple >= v->n_tuples || !o->above[tuple])
		return "a rule's tuple is not in the order";
	if (sluice_load32_relaxed(&r->priority) >= o->above[tuple])
		return "a rule is better than its tuple";
	if (!key_of(v, r, key))
		return "a rule looks at words that keys do not have";
	if (sluice_ternary_hash(v, tuple, key) != hash)
		return "a rule is in a chain that is not its key's";
	return NULL;
}

static const char *chain_look(const struct sluice_ternary_view *v,
			      const struct order *o, uint64_t slot)
{
	uint32_t hash = (uint32_t)(slot >> 32);
	uint32_t at = FIRST(slot);
	uint32_t last = UINT32_MAX;

	if (sluice_ternary_chain(v, hash) != at)
		return "a chain is not where its hash leads";
	for (uint32_t n = 0; at; n++) {
		const struct sluice_rule *r;
		const char *wrong;
		uint64_t head;

		if (at - 1 >= v->n_entries)
			return "a chain leads outside";
		if (n == SLUICE_TERNARY_CHAIN_MAX)
			return "a chain is too long";
		r = sluice_ternary_rule(v, at - 1);
		head = sluice_load64_acquire(&r->head); /* [ternary-head] */
		if (sluice_head_state(head) == SLUICE_ENTRY_DEAD)
			return "a dead rule is in a chain";
		if (sluice_load32_relaxed(&r->priority) > last)
			return "a chain is not by priority";
		last = sluice_load32_relaxed(&r->priority);
		wrong = rule_look(v, o, r, hash);
		if (wrong)
			return wrong;
		at = sluice_load32_acquire(&r->next); /* [ternary-link] */
	}
	return NULL;
}

static void check_slot(struct fsck *f, const struct sluice_ternary_view *v,
		       struct order *o, const uint64_t *at)
{
	const char *wrong = NULL;
	uint64_t slot = 0;

	for (uint32_t try = 0; try <= FSCK_TRIES; try++) {
		slot = sluice_load64_acquire(at); /* [ternary-link] */
		wrong = FIRST(slot) ? chain_look(v, o, slot) : NULL;
		if (!wrong)
			return;
		fsck_wait(f, try);
		(void)order_look(v, o);
	}
	fsck_wrong(f, "%s; it begins with rule %u", wrong, FIRST(slot) - 1);
}

/* Is a rule in the chain in which it says that it is? */
static bool is_linked(const struct sluice_ternary_view *v, uint32_t no)
{
	const struct sluice_rule *r = sluice_ternary_rule(v, no);
	uint32_t at = sluice_ternary_chain(v, sluice_load32_relaxed(&r->hash));

	for (uint32_t n = 0; n < SLUICE_TERNARY_CHAIN_MAX; n++) {
		if (at - 1 >= v->n_entries || at - 1 == no)
			break;
		/* [ternary-link] */
		at = sluice_load32_acquire(
			&sluice_ternary_rule(v, at - 1)->next);
	}
	return at - 1 == no;
}

static void check_rule(struct fsck *f, const struct sluice_ternary_view *v,
		       uint32_t no)
{
	const struct sluice_rule *r = sluice_ternary_rule(v, no);

	for (uint32_t try = 0; try <= FSCK_TRIES; try++) {
		/* [ternary-head] */
		uint64_t head = sluice_load64_acquire(&r->head);

		if (sluice_head_state(head) == SLUICE_ENTRY_DEAD)
			return;
		if (is_linked(v, no)) {
			fsck_count(f, head);
			return;
		}
		fsck_wait(f, try);
	}
	fsck_left(f, "rule %u is in no chain", no);
}

static void check_order(struct fsck *f, const struct sluice_ternary_view *v,
			struct order *out)
{
	const char *wrong = NULL;

	for (uint32_t try = 0; try <= FSCK_TRIES; try++) {
		wrong = order_look(v, out);
		if (!wrong)
			return;
		fsck_wait(f, try);
	}
	fsck_wrong(f, "%s", wrong);
}

int region_fsck_ternary(struct fsck *f)
{
	struct sluice_ternary_view v;
	struct order order;
	uint64_t n_slots;

	if (region_check_ternary(f->mem, fsck_desc(f), &v, NULL)) {
		fsck_wrong(f, "its shape has changed");
		return 0;
	}
	check_order(f, &v, &order);
	n_slots = (uint64_t)v.n_buckets * SLUICE_BUCKET_SLOTS;
	for (uint64_t i = 0; i < n_slots; i++)
		check_slot(f, &v, &order, &v.buckets[i]);
	for (uint32_t i = 0; i < v.n_entries; i++)
		check_rule(f, &v, i);
	f->out->used_len = (f->out->n_live + f->out->n_born + f->out->n_dying) *
			   v.entry_len;
	return 0;
}
