/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_TERNARY_FIND_H
#define SLUICE_TERNARY_FIND_H

/* sluice/ternary_find - looking for the best rule in a ternary table */

#include "sluice/ternary.h"

#include "sluice/atomic.h"
#include "sluice/exact.h"

#ifndef __bpf__
#include "sluice/exact_hits.h"
#endif

/* Is there an i-th word? A constant bound is for BPF. */
SLUICE_INLINE bool sluice_ternary_left_(const struct sluice_ternary_view *v,
					uint64_t words, uint32_t i)
{
	return words && i < v->n_words && i < SLUICE_TERNARY_WORDS_MAX;
}

/* The number of the first word. */
SLUICE_INLINE uint32_t sluice_ternary_word_(uint64_t words)
{
#ifdef __bpf__
	/*
	 * It has no such instruction, and clang 14 no way around it: counts the
	 * bits below. The verifier would follow each way through branches.
	 */
	uint64_t x = (words & -words) - 1;

	x -= x >> 1 & 0x5555555555555555u;
	x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
	return (uint32_t)(x * 0x0101010101010101u >> 56) &
	       (SLUICE_TERNARY_WORDS_MAX - 1);
#else
	return (uint32_t)__builtin_ctzll(words);
#endif
}

/* The hash of the chain in which rules lie that a tuple holds for this key. */
SLUICE_INLINE uint32_t sluice_ternary_hash(const struct sluice_ternary_view *v,
					   uint32_t tuple, const uint64_t *key)
{
	const struct sluice_tuple *t = sluice_ternary_tuple(v, tuple);
	const uint64_t *hk = v->table->hash_keys;
	/* The tuple is one word more; two tuples may have one mask. */
	uint64_t h = sluice_ternary_mix_(hk, hk[SLUICE_TERNARY_HASH_KEYS - 1],
					 SLUICE_TERNARY_WORDS_MAX, tuple);
	uint64_t words = sluice_load64_relaxed(&t->words) & v->words;

	for (uint32_t i = 0; sluice_ternary_left_(v, words, i); i++) {
		uint32_t w = sluice_ternary_word_(words);

		h = sluice_ternary_mix_(hk, h, w,
					key[w] & sluice_load64_relaxed(
							 &t->mask[i]));
		words &= words - 1;
	}
	return sluice_ternary_fold_(h);
}

/* The i-th bucket in which a hash may lie. */
SLUICE_INLINE uint32_t sluice_ternary_bucket(uint32_t hash, uint32_t i,
					     uint32_t n_buckets)
{
	uint32_t h = hash * (0x9e3779b1u * (2 * i) + 1);

	return (uint32_t)(((uint64_t)h * n_buckets) >> 32);
}

/* The first rule + 1 of the chain of a hash if it begins here; else 0. */
SLUICE_INLINE uint32_t sluice_ternary_slot_(const uint64_t *slots,
					    uint32_t hash)
{
#ifdef __bpf__
	for (uint32_t i = 0; i < SLUICE_BUCKET_SLOTS; i++) {
		/* [ternary-link] */
		uint64_t s = sluice_load64_acquire(&slots[i]);

		if (s >> 32 == hash && (s & 0x7fffffff))
			return (uint32_t)(s & 0x7fffffff);
	}
#else
	for (uint32_t hits = sluice_bucket_hits(slots, hash); hits;
	     hits &= hits - 1) {
		/* [ternary-link] */
		uint64_t s = sluice_load64_acquire(&slots[__builtin_ctz(hits)]);

		if (s >> 32 == hash && (s & 0x7fffffff))
			return (uint32_t)(s & 0x7fffffff);
	}
#endif
	return 0;
}

/* The first rule + 1 of the chain of a hash; 0: there is none. */
SLUICE_INLINE uint32_t sluice_ternary_chain(const struct sluice_ternary_view *v,
					    uint32_t hash)
{
	for (uint32_t i = 0; i < SLUICE_TERNARY_PROBES; i++) {
		const uint64_t *slots =
			v->buckets +
			(uint64_t)sluice_ternary_bucket(hash, i, v->n_buckets) *
				SLUICE_BUCKET_SLOTS;
		/* [ternary-over] */
		uint64_t last =
			sluice_load64_acquire(&slots[SLUICE_BUCKET_SLOTS - 1]);
		uint32_t first = sluice_ternary_slot_(slots, hash);

		if (first || !(last & SLUICE_TERNARY_OVER))
			return first;
	}
	return 0;
}

/*
 * Does the rule match the key, and is it still the one whose head was loaded
 * before?
 */
SLUICE_INLINE bool sluice_rule_matches_(const struct sluice_ternary_view *v,
					const struct sluice_rule *rule,
					uint64_t head, const uint64_t *key)
{
	const uint64_t *pair = sluice_rule_pairs(rule, v->value_len);
	/* [ternary-head] */
	uint64_t words = sluice_load64_acquire(&rule->words) & v->words;

	for (uint32_t i = 0; sluice_ternary_left_(v, words, i); i++) {
		uint64_t k = key[sluice_ternary_word_(words)];

		/* [ternary-head] */
		if ((k ^ sluice_load64_acquire(&pair[2ul * i + 1])) &
		    sluice_load64_acquire(&pair[2ul * i]))
			return false;
		words &= words - 1;
	}
	return sluice_head_same(sluice_load64_relaxed(&rule->head), head);
}

/* What a look-up has come to. */
struct sluice_ternary_best {
	struct sluice_rule *rule; /* NULL: none yet */
	uint64_t head;		  /* when it was found */
	uint32_t priority;
};

/*
 * Looks at one rule of a chain, given + 1. Returns the next one + 1; 0: the chain
 * has no better one.
 */
SLUICE_INLINE uint32_t sluice_ternary_rule_step_(
	const struct sluice_ternary_view *v, uint32_t at, const uint64_t *key,
	uint32_t version, struct sluice_ternary_best *best)
{
	struct sluice_rule *rule;
	uint32_t priority;
	uint64_t head;

	/* The end, 0, is outside like a lie. */
	if (at - 1 >= v->n_entries)
		return 0;
	rule = sluice_ternary_rule(v, at - 1);
	head = sluice_load64_acquire(&rule->head); /* [ternary-head] */
	priority = sluice_load32_acquire(&rule->priority);
	if (best->rule && priority <= best->priority)
		return 0;
	if (sluice_head_visible(head, version) &&
	    sluice_rule_matches_(v, rule, head, key)) {
		best->rule = rule;
		best->head = head;
		best->priority = priority;
		return 0;
	}
	return sluice_load32_acquire(&rule->next); /* [ternary-link] */
}

/* The best rule of a chain, if it is better than the best so far. */
SLUICE_INLINE void sluice_ternary_walk_(const struct sluice_ternary_view *v,
					uint32_t first, const uint64_t *key,
					uint32_t version,
					struct sluice_ternary_best *best)
{
	for (uint32_t i = 0; first && i < SLUICE_TERNARY_CHAIN_MAX; i++)
		first = sluice_ternary_rule_step_(v, first, key, version, best);
}

/*
 * Looks under the tuple of one word of an order. True: no other can be better,
 * the look-up is over.
 */
SLUICE_INLINE bool sluice_ternary_step_(const struct sluice_ternary_view *v,
					uint64_t word, const uint64_t *key,
					uint32_t version,
					struct sluice_ternary_best *best)
{
	uint32_t tuple = (uint32_t)word - 1;

	if (!word || (best->rule && word >> 32 <= best->priority))
		return true;
	if (tuple < v->n_tuples)
		sluice_ternary_walk_(
			v,
			sluice_ternary_chain(v, sluice_ternary_hash(v, tuple,
								    key)),
			key, version, best);
	return false;
}

#ifndef __bpf__

/* One pass over the tuples; false: changes have overtaken it. */
SLUICE_INLINE bool sluice_ternary_pass_(const struct sluice_ternary_view *v,
					const uint64_t *key, uint32_t version,
					struct sluice_ternary_best *best)
{
	/* [ternary-change] */
	uint64_t changes = sluice_load64_acquire(&v->table->n_changes);
	/* [ternary-order] */
	uint64_t n = sluice_load64_acquire(&v->table->order);
	const uint64_t *order = sluice_ternary_order(v, n);

	*best = (struct sluice_ternary_best){.rule = NULL};
	for (uint32_t i = 0; i < v->n_tuples; i++)
		/* [ternary-order] */
		if (sluice_ternary_step_(v, sluice_load64_acquire(&order[i]),
					 key, version, best))
			break;
	return sluice_load64_relaxed(&v->table->n_changes) == changes &&
	       sluice_load64_relaxed(&v->table->order) - n <
		       SLUICE_TERNARY_ORDERS - 1;
}

/*
 * Finds the rule of the highest priority that matches a key. Wait-free. For
 * readers with a section: the rule may be used until its end.
 *
 * key      key_len bytes, 8-byte aligned
 * version  sluice_version() of the region, once for a packet or batch
 * rule     set on SLUICE_YES
 * returns  SLUICE_YES, SLUICE_NO, SLUICE_BUSY
 */
SLUICE_INLINE enum sluice_found
sluice_ternary_find(const struct sluice_ternary_view *v, const void *key,
		    uint32_t version, struct sluice_rule **rule)
{
	struct sluice_ternary_best best;

	for (uint32_t i = 0; i < SLUICE_TERNARY_TRIES; i++) {
		if (!sluice_ternary_pass_(v, key, version, &best))
			continue;
		*rule = best.rule;
		return best.rule ? SLUICE_YES : SLUICE_NO;
	}
	return SLUICE_BUSY;
}

/*
 * The same for readers without a section: copies the rule's priority and value.
 * Busy also when the entry was used again at every try.
 *
 * value    of the view's value_len bytes, 8-byte aligned
 */
SLUICE_INLINE enum sluice_found
sluice_ternary_get(const struct sluice_ternary_view *v, const void *key,
		   uint32_t version, uint32_t *priority, void *value)
{
	struct sluice_ternary_best best;
	uint64_t *to = (uint64_t *)value;

	for (uint32_t i = 0; i < SLUICE_TERNARY_TRIES; i++) {
		const uint64_t *from;

		if (!sluice_ternary_pass_(v, key, version, &best))
			continue;
		if (!best.rule)
			return SLUICE_NO;
		from = (const uint64_t *)sluice_rule_value(best.rule);
		for (uint32_t j = 0; j < v->value_len / 8; j++)
			/* [ternary-head] */
			to[j] = sluice_load64_acquire(&from[j]);
		*priority = best.priority;
		if (sluice_head_same(sluice_load64_relaxed(&best.rule->head),
				     best.head))
			return SLUICE_YES;
	}
	return SLUICE_BUSY;
}

#endif

#endif
