/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_TERNARY_H
#define SLUICE_TERNARY_H

/*
 * sluice/ternary - a table of rules with masks and priorities
 *
 * A rule is a key, a mask of the same length and a priority; it matches a key
 * that agrees with its own in every bit of the mask. Of all that match, the one
 * with the highest number as priority is the answer. Of several with the same
 * priority any may be; which one stays the same until somebody writes.
 *
 * Tuple space search with merged tuples (Srinivasan, Suri and Varghese 1999;
 * Daly et al., "TupleMerge: Fast Software Packet Processing for Online Packet
 * Classification", 2019). A tuple is a mask. A rule lies under a tuple whose
 * mask is part of its own; rules that agree under it hang in one chain, best
 * priority first. One index for all tuples finds the chain by a hash of tuple and
 * masked key. Tuples are looked at in the order of their best priorities, until
 * none can be better than what was found.
 *
 *     order    8 bytes a tuple: 63..32 best priority | 31..0 tuple + 1; 0 ends
 *     tuple    words 8 | mask word 8 [n_words]
 *     bucket   64 bytes: 8 slots, each 63..32 hash | 30..0 first rule + 1
 *              bit 31 of the last slot: look into the next bucket of the hash too
 *     rule     struct sluice_rule | value | {mask word, key word} [n_words]
 *
 * "words" has a bit for each 8-byte word of the mask that is not zero; only
 * these words are stored, in order, so long keys cost only what rules use.
 *
 * One writer (table/ternary.h), any number of readers in any process
 * (sluice/ternary_find.h) and in BPF (sluice/ternary_bpf.h).
 *
 * Promises
 *   1. find is wait-free: at most SLUICE_TERNARY_TRIES passes of n_tuples
 *      tuples, of SLUICE_TERNARY_PROBES buckets and SLUICE_TERNARY_CHAIN_MAX
 *      rules each; usually a bucket a tuple, and one pass. It answers yes, no,
 *      or busy (changes kept overtaking it).
 *   2. The answer is right among the rules that are there, at the reader's
 *      version, throughout; one that comes or goes meanwhile may count or not.
 *   3. A rule that is replaced counts as there: as the old one or the new.
 *   4. A rule stays where it is as long as it lives.
 *   5. A writer killed at any store leaves every rule findable. No reader ever
 *      waits for a writer.
 *   6. Whatever is written into the table by others, a reader touches nothing
 *      outside the table and ends.
 *
 * How the writer keeps them:
 *   [ternary-link]   a slot or a rule's next is stored (release) after what it
 *                    leads to is whole. A rule that leaves a chain keeps its
 *                    own next. Rules are never moved.
 *   [ternary-order]  a tuple is in an order, under a priority that is not below
 *                    the rule's, before a rule is linked under it. A new order
 *                    is written beside the old one, in a ring of
 *                    SLUICE_TERNARY_ORDERS, and made the present one by a
 *                    release store of its number. A reader keeps to one, and
 *                    looks again if the ring may have come round meanwhile.
 *   [ternary-over]   the mark "look further" is stored before the slot that
 *                    needs it, and cleared after that slot.
 *   [ternary-change] n_changes grows (release) after what replaces a rule was
 *                    linked and before that rule is unlinked or dead, and
 *                    before the memory of a dead rule is used again. Who saw
 *                    neither of the two, or was led astray by such memory, sees
 *                    it grown (acquire) and looks again.
 *   [ternary-head]   a rule's generation changes before its words do.
 */

#include "sluice/version.h"

#include "sluice/types.h"

#define SLUICE_TERNARY_KEY_LEN_MAX 512u /* bytes */
#define SLUICE_TERNARY_WORDS_MAX 64u
#define SLUICE_TERNARY_TUPLES_MAX 1024u
#define SLUICE_TERNARY_PROBES 8u
#define SLUICE_TERNARY_CHAIN_MAX 64u
#define SLUICE_TERNARY_ORDERS 8u
#define SLUICE_TERNARY_TRIES 4u
#define SLUICE_TERNARY_FIELDS_MAX 16u
#define SLUICE_TERNARY_HASH_KEYS (2 * SLUICE_TERNARY_WORDS_MAX + 3)
#define SLUICE_TERNARY_OVER 0x80000000ull

/* Bits of the key, counted from the highest bit of its first byte. */
struct sluice_ternary_field {
	uint16_t bit;
	uint16_t n_bits;
};

/* Lies in the region. Offsets are from the start of this struct. */
struct sluice_ternary {
	/* Constant after init. */
	uint32_t n_buckets;
	uint32_t n_entries;  /* rules, live or not; n_max at least */
	uint32_t entry_len;  /* bytes from one rule to the next */
	uint32_t n_tuples;   /* at most SLUICE_TERNARY_TUPLES_MAX */
	uint32_t tuple_len;  /* bytes from one tuple to the next */
	uint32_t key_len;    /* bytes; a multiple of 8, at most 512 */
	uint32_t value_len;  /* bytes; a multiple of 8 */
	uint32_t n_words;    /* words of a mask that are not 0, at most */
	uint64_t orders_off; /* each of n_tuples words; multiples of 64 */
	uint64_t tuples_off;
	uint64_t buckets_off;
	uint64_t entries_off;
	uint32_t n_fields; /* the writer's; see table/ternary.h */
	struct sluice_ternary_field fields[SLUICE_TERNARY_FIELDS_MAX];
	uint64_t hash_keys[SLUICE_TERNARY_HASH_KEYS];

	/* The writer writes, anyone reads. */
	uint64_t n_changes __attribute__((aligned(64))); /* [ternary-change] */
	uint64_t n_used; /* rules of the newest version */
	uint64_t order;	 /* number of the present one [ternary-order] */
};

struct sluice_tuple {
	uint64_t words;
	uint64_t mask[];
};

struct sluice_rule {
	uint64_t head; /* sluice/version.h */
	uint32_t priority;
	uint32_t next; /* rule + 1, of the same or a lower priority; 0 ends */
	uint64_t words;
	uint32_t hash;	/* of its chain; the writer's */
	uint32_t tuple; /* likewise */
};
_Static_assert(sizeof(struct sluice_rule) == 32, "ABI");

/* As struct sluice_exact_view: checked once, believed from then on. */
struct sluice_ternary_view {
	const struct sluice_ternary *table;
	const uint64_t *orders;
	const uint8_t *tuples;
	const uint64_t *buckets;
	uint8_t *entries;
	uint64_t words; /* a bit for each word of a key */
	uint32_t n_buckets;
	uint32_t n_entries;
	uint32_t entry_len;
	uint32_t n_tuples;
	uint32_t tuple_len;
	uint32_t key_len;
	uint32_t value_len;
	uint32_t n_words;
};

/* Takes the shape of t, which the caller has checked or made itself. */
SLUICE_INLINE void sluice_ternary_view_init(struct sluice_ternary_view *v,
					    struct sluice_ternary *t)
{
	v->table = t;
	v->orders = (const uint64_t *)((uint8_t *)t + t->orders_off);
	v->tuples = (const uint8_t *)t + t->tuples_off;
	v->buckets = (const uint64_t *)((uint8_t *)t + t->buckets_off);
	v->entries = (uint8_t *)t + t->entries_off;
	v->words = ~0ull >> (64 - t->key_len / 8);
	v->n_buckets = t->n_buckets;
	v->n_entries = t->n_entries;
	v->entry_len = t->entry_len;
	v->n_tuples = t->n_tuples;
	v->tuple_len = t->tuple_len;
	v->key_len = t->key_len;
	v->value_len = t->value_len;
	v->n_words = t->n_words;
}

SLUICE_INLINE struct sluice_rule *
sluice_ternary_rule(const struct sluice_ternary_view *v, uint32_t no)
{
	return (struct sluice_rule *)(v->entries + (uint64_t)no * v->entry_len);
}

/* Its number, which names it as long as it lives. */
SLUICE_INLINE uint32_t sluice_ternary_number(
	const struct sluice_ternary_view *v, const struct sluice_rule *rule)
{
	return (uint32_t)((uint64_t)((const uint8_t *)rule - v->entries) /
			  v->entry_len);
}

SLUICE_INLINE void *sluice_rule_value(struct sluice_rule *rule)
{
	return rule + 1;
}

/* Its words in pairs: mask, key. */
SLUICE_INLINE const uint64_t *sluice_rule_pairs(const struct sluice_rule *rule,
						uint32_t value_len)
{
	return (const uint64_t *)((const uint8_t *)(rule + 1) + value_len);
}

SLUICE_INLINE const struct sluice_tuple *
sluice_ternary_tuple(const struct sluice_ternary_view *v, uint32_t no)
{
	return (const struct sluice_tuple *)(v->tuples +
					     (uint64_t)no * v->tuple_len);
}

/* Order number n of the ring. */
SLUICE_INLINE const uint64_t *
sluice_ternary_order(const struct sluice_ternary_view *v, uint64_t n)
{
	return v->orders + n % SLUICE_TERNARY_ORDERS * v->n_tuples;
}

/* ---- The hash of a masked key: as that of sluice/exact.h. ---- */

SLUICE_INLINE uint64_t sluice_ternary_mix_(const uint64_t *hash_keys,
					   uint64_t h, uint32_t word,
					   uint64_t x)
{
	return h + (hash_keys[2ul * word] + (uint32_t)x) *
			   (hash_keys[2ul * word + 1] + (x >> 32));
}

SLUICE_INLINE uint32_t sluice_ternary_fold_(uint64_t h)
{
	uint32_t mixed = (uint32_t)(h >> 32);

	mixed ^= mixed >> 15;
	mixed *= 0x2c1b3c6du;
	return mixed ^ mixed >> 12;
}

#endif
