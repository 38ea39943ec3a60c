/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_MASKED_H
#define SLUICE_MASKED_H

/*
 * sluice/masked - reading a table of flows under masks
 *
 * A flow is a masked key: it answers for every key that equals it in the bits
 * of its mask. All flows lie in one exact table (sluice/exact.h), whatever their
 * mask, so no mask has a size, grows, or leaves a hole. The last two bytes of a
 * key are the table's: there stands the number of the mask + 1, and a flow is
 * found as the exact key
 *
 *     key & mask, mask number + 1
 *
 * under each mask in turn (tuple space search: Srinivasan, Suri and Varghese
 * 1999). Flows that answer for one key must give the same answer; the first one
 * wins.
 *
 * Masks are tried in the order that the writer wrote down, those that are hit
 * most first. What keeps a miss under a mask cheap is a filter (Bloom 1970,
 * blocked: Putze, Sanders and Singler 2007), two bits in one word for every
 * flow, that lies in a near cache: only one in twenty looks that the filter lets
 * through is in vain. And masks that are alike form groups: a group's record is
 * the bits that they have in common, the filter knows each flow under it as
 * well, and a key that it does not let through skips all of the group's masks.
 *
 *     struct sluice_masked | records: masks, then groups | two orders
 *     | hits by lane | filter | struct sluice_exact | its buckets and entries
 *
 *     order   number of steps | step .. : 63..32 steps to skip | 31..0 record
 *
 * One writer (table/masked.h), any number of readers in any process and in BPF.
 *
 * Promises
 *   1. find is wait-free: SLUICE_EXACT_TRIES walks along an order at most, each
 *      of as many steps as there are records, each with the bounds of
 *      sluice/exact.h. A flow that is stored throughout is never answered with
 *      no, whatever becomes of other flows, masks and orders meanwhile.
 *   2. As sluice/exact.h: a killed writer leaves every stored flow findable; no
 *      scribble leads a reader outside; get's copy is one that was stored.
 *
 * How the writer keeps them:
 *   [masked-order] an order is whole, and so are its records, before its number
 *                  is published (release); readers load it with acquire.
 *   [masked-begun] there are two orders in turn. Before one is overwritten, or a
 *                  record that is not in the order in force, begun is counted
 *                  (and all of these are stored with release and loaded with
 *                  acquire): a reader whose order is two behind begun when it
 *                  ends walks again.
 *   The filter's bits of a flow are set before its slot is published, and
 *   cleared after it was; a word of it is changed by one store.
 */

#include "sluice/exact.h"
#include "sluice/version.h"

#define SLUICE_MASKS_MAX 1024u /* besides the mask of all ones */
#define SLUICE_MASKED_LANES_MAX 256u
#define SLUICE_MASK_EXACT 0u /* number of the mask of all ones */
#define SLUICE_MASKED_TAG_SHIFT 48
#define SLUICE_MASKED_KEY_BITS ((1ull << SLUICE_MASKED_TAG_SHIFT) - 1)
#define SLUICE_MASKED_SKIP 0xffffu /* of a step's upper half */

/* A mask, or the bits that the masks of a group have in common. */
struct sluice_mask {
	/* Constant while an order in force names it. */
	uint64_t words[SLUICE_KEY_LEN_MAX / 8];
};
_Static_assert(sizeof(struct sluice_mask) == 64, "ABI");

/* Lies in the region. Offsets are from the start of this struct. */
struct sluice_masked {
	/* Constant after init. */
	uint32_t n_masks;     /* records of masks; number 0: all ones */
	uint32_t n_groups;    /* records of groups, behind them */
	uint32_t n_lanes;     /* who counts hits: one lane for each core */
	uint32_t n_filter;    /* words */
	uint32_t records_off; /* multiples of 64 */
	uint32_t orders_off;
	uint32_t hits_off;
	uint32_t filter_off;
	uint64_t exact_off;
	uint64_t exact_len;			      /* bytes */
	uint64_t filter_keys[SLUICE_KEY_LEN_MAX / 8]; /* odd */

	/* The writer writes, anyone reads. */
	uint64_t order __attribute__((aligned(64))); /* [masked-order] */
	uint64_t begun;				     /* [masked-begun] */
};

/* As sluice_exact_view: the shape, copied once. */
struct sluice_masked_view {
	const struct sluice_masked *table;
	const struct sluice_mask *records;
	const uint64_t *orders;
	const uint64_t *filter;
	uint64_t *lanes;
	uint64_t *hits; /* of our lane; NULL: hits are not counted */
	uint32_t n_masks;
	uint32_t n_records; /* groups as well */
	uint32_t n_filter;
	uint32_t n_lanes;
	struct sluice_exact_view exact;
};

/* Words from one order to the other, and from one lane's hits to the next. */
SLUICE_INLINE uint32_t sluice_masked_order_len(uint32_t n_records)
{
	return (n_records + 8) & ~7u;
}

SLUICE_INLINE uint32_t sluice_masked_lane_len(uint32_t n_masks)
{
	return (n_masks + 7) & ~7u;
}

/* Takes the shape t of a table at mem, but for its exact table. */
SLUICE_INLINE void sluice_masked_view_at(struct sluice_masked_view *v,
					 const struct sluice_masked *t,
					 const uint8_t *mem)
{
	v->table = (const struct sluice_masked *)mem;
	v->records = (const struct sluice_mask *)(mem + t->records_off);
	v->orders = (const uint64_t *)(mem + t->orders_off);
	v->filter = (const uint64_t *)(mem + t->filter_off);
	v->lanes = (uint64_t *)((uintptr_t)mem + t->hits_off);
	v->hits = NULL;
	v->n_masks = t->n_masks;
	v->n_records = t->n_masks + t->n_groups;
	v->n_filter = t->n_filter;
	v->n_lanes = t->n_lanes;
}

/* Takes the shape of t, which the caller has checked or made itself. */
SLUICE_INLINE void sluice_masked_view_init(struct sluice_masked_view *v,
					   struct sluice_masked *t)
{
	uint8_t *mem = (uint8_t *)t;

	sluice_masked_view_at(v, t, mem);
	sluice_exact_view_init(&v->exact,
			       (struct sluice_exact *)(mem + t->exact_off));
}

/* Hits of this view's finds are counted in that lane, of which it is the only
 * user. False: there is no such lane. */
SLUICE_INLINE bool sluice_masked_count_in(struct sluice_masked_view *v,
					  uint32_t lane)
{
	if (lane >= v->n_lanes)
		return false;
	v->hits = v->lanes + (size_t)lane * sluice_masked_lane_len(v->n_masks);
	return true;
}

/* ---- The steps of a look-up. ---- */

SLUICE_INLINE uint64_t sluice_masked_tag(uint32_t number)
{
	return (uint64_t)(number + 1) << SLUICE_MASKED_TAG_SHIFT;
}

/* The key under a record, which is below n_records, as the filter and the exact
 * table know it. */
SLUICE_INLINE void sluice_masked_key(const struct sluice_mask *record,
				     uint32_t number, const uint64_t *key,
				     uint32_t key_len, uint64_t *masked)
{
#pragma GCC unroll 8
	for (uint32_t i = 0; i < key_len / 8; i++)
		/* [masked-begun] */
		masked[i] = key[i] & sluice_load64_acquire(&record->words[i]);
	masked[key_len / 8 - 1] &= SLUICE_MASKED_KEY_BITS;
	masked[key_len / 8 - 1] |= sluice_masked_tag(number);
}

/*
 * The hash of the filter, cheaper than that of the exact table: the key's words
 * times secret odd numbers, and mixed once (Dietzfelbinger et al., "A reliable
 * randomized algorithm for the closest-pair problem", 1997). number: as in
 * sluice_masked_key(), whose key this is without building it.
 */
SLUICE_INLINE uint64_t sluice_filter_hash(const uint64_t *filter_keys,
					  const struct sluice_mask *record,
					  uint32_t number, const uint64_t *key,
					  uint32_t key_len)
{
	uint32_t last = key_len / 8 - 1;
	uint64_t h = (sluice_load64_acquire(&record->words[last]) & key[last] &
		      SLUICE_MASKED_KEY_BITS) |
		     sluice_masked_tag(number); /* [masked-begun] */

	h *= filter_keys[last];
#pragma GCC unroll 8
	for (uint32_t i = 0; i < last; i++)
		/* [masked-begun] */
		h += (key[i] & sluice_load64_acquire(&record->words[i])) *
		     filter_keys[i];
	h ^= h >> 32;
	return h * 0x9e3779b97f4a7c15u;
}

/* Where in the filter the bits of a hash are: word and bits. */
SLUICE_INLINE uint32_t sluice_filter_at(uint64_t hash, uint32_t n_filter)
{
	return (uint32_t)(((hash >> 32) * n_filter) >> 32);
}

SLUICE_INLINE uint64_t sluice_filter_bits(uint64_t hash)
{
	return 1ull << (hash >> 26 & 63) | 1ull << (hash >> 20 & 63);
}

SLUICE_INLINE bool sluice_filter_has(const struct sluice_masked_view *v,
				     uint64_t hash)
{
	const uint64_t *at = &v->filter[sluice_filter_at(hash, v->n_filter)];

	return !(sluice_filter_bits(hash) & ~sluice_load64_relaxed(at));
}

/* The order in force, its steps, and how many they are. */
SLUICE_INLINE const uint64_t *
sluice_masked_steps(const struct sluice_masked_view *v, uint64_t *order,
		    uint32_t *n)
{
	uint32_t len = sluice_masked_order_len(v->n_records);
	const uint64_t *steps;
	uint64_t n_steps;

	*order = sluice_load64_acquire(&v->table->order); /* [masked-order] */
	steps = v->orders + (*order & 1) * len;
	n_steps = sluice_load64_acquire(steps); /* [masked-begun] */
	*n = n_steps <= v->n_records ? (uint32_t)n_steps : v->n_records;
	return steps + 1;
}

/* Has nothing that a walk along this order has read been written meanwhile? */
SLUICE_INLINE bool sluice_masked_held(const struct sluice_masked_view *v,
				      uint64_t order)
{
	/* [masked-begun] */
	return sluice_load64_relaxed(&v->table->begun) - order < 2;
}

SLUICE_INLINE void sluice_masked_count(const struct sluice_masked_view *v,
				       uint32_t number, uint32_t n)
{
	if (v->hits)
		sluice_store64_relaxed(&v->hits[number],
				       sluice_load64_relaxed(&v->hits[number]) +
					       n);
}

#endif
