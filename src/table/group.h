/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_GROUP_H
#define TABLE_GROUP_H

/*
 * table/group - writing OpenFlow groups
 *
 * The writer's side of sluice/group.h. A map from group id to a group of up to
 * 93 buckets (SLUICE_GROUP_BUCKETS_MAX), built of table/exact and of blocks of
 * region/heap.h. It knows what OpenFlow wants to be refused, and says so by
 * OpenFlow's names. It does not know flows: who removes the flows of a removed
 * group is the caller.
 *
 * Class: one writer, one thread. What only the writer needs lies in its own
 * memory and is found again by table_group_adopt().
 *
 * select. Slots are dealt by weight: largest remainder, so a bucket's share of
 * the 1024 slots differs from its weight's share by less than one slot. Each
 * bucket claims slots in an order of its own, in turns, as in Maglev (Eisenbud
 * et al., NSDI 2016), so equal groups have equal slots wherever they are made.
 * When a group is changed, a bucket that stays (same action and watches) keeps
 * the slots that it has, up to its new number: so the slots that change hands are
 * as many as the new numbers ask for and no more (Maglev alone moves more).
 * Rejected: the hash of each bucket with each packet, as Open vSwitch does it
 * and as rendezvous hashing has it (a loop over the buckets for each packet).
 *
 * Chains. A bucket may name groups, by SLUICE_ACT_GROUP or watch_group, that
 * exist; a group that others name cannot be removed. A change that would close a
 * loop, or make a chain of more than SLUICE_GROUP_DEPTH groups, is refused. As
 * long as there are groups that name groups, a change costs time in proportion
 * to their number.
 *
 * Which ports keep a bucket live that watches a group is worked out here. In a
 * change set that changes such a group it is, until the set settles, any port
 * that did so before or does so after: a packet may for that time be sent into a
 * group none of whose buckets is live, never past one that is.
 *
 * A removed or replaced group's entry and body rest until table_group_reclaim()
 * and heap_reclaim(), after one grace period.
 */

#include <stdint.h>

#include "base/annotate.h"
#include "base/why.h"
#include "region/heap.h"
#include "region/region.h"
#include "sluice/group.h"
#include "table/change.h"

/* Opaque; lies in the writer's own memory. */
struct table_group;

struct group_bucket {
	sluice_act act;
	uint32_t watch_port;  /* 0: none */
	uint32_t watch_group; /* SLUICE_GROUP_NONE: none */
	uint32_t weight;      /* select: 0 to 65535, some above 0 */
	uint32_t counter;
};

/* A group as it is to be; copied. As the value of a change item: of its key. */
struct group_conf {
	enum sluice_group_type type;
	bool is_symmetric;	/* select */
	struct sluice_key mask; /* select: bits that are hashed */
	uint32_t counter;
	uint32_t account; /* who pays for its body */
	uint32_t n_buckets;
	const struct group_bucket *buckets;
};

/* The table. */
struct table_group_conf {
	uint32_t n_max;	   /* groups; 1 to 2^24 */
	struct heap *heap; /* of the same region; outlives the table */
	uint64_t seed;	   /* of the hash keys; rng_secret() but in tests */
};

/* ---- Life. ---- */

/*
 * Bytes that a table of so many groups takes in a region, bodies not included;
 * 0: out of range.
 */
uint64_t table_group_len(uint32_t n_max);

/*
 * Makes an empty table, kind SLUICE_TABLE_GROUPS, whose bodies go to the heap.
 * returns  0, -EINVAL, -ENOMEM, -ENOSPC
 */
int table_group_new(struct region *r, const struct table_group_conf *conf,
		    struct table_group **out, struct why *why) MUST_USE;

/*
 * Takes over what a former writer left, as table_exact_adopt(), and keeps the
 * bodies: between heap_adopt() and heap_adopted(). A group whose body makes no
 * sense is removed.
 *
 * returns  0, -ENOENT (no such table), -ENOMEM, -EINVAL
 */
int table_group_adopt(struct region *r, struct heap *heap,
		      struct table_group **out, struct why *why) MUST_USE;

/* Frees the writer's own memory; the table stays. NULL is fine. */
void table_group_free(struct table_group *t);

/* ---- Look-up. ---- */

const struct sluice_groups_view *table_group_view(const struct table_group *t);
uint32_t table_group_n_used(const struct table_group *t);

/* The newest group of an id, prepared ones included. */
bool table_group_find(struct table_group *t, uint32_t id,
		      struct sluice_group_at *out);

/* ---- Change. ---- */

/*
 * The table as a part of change sets. An item's key is a struct sluice_group_key,
 * its value a struct group_conf. Items are judged in their order: a group comes
 * before those that name it, and goes after them.
 */
struct change_table *table_group_change(struct table_group *t);

/*
 * Adds or replaces a group (OFPGC_ADD_OR_MOD).
 *
 * returns  0
 *          -EINVAL  why names it: OFPGMFC_INVALID_GROUP, _BAD_TYPE, _BAD_BUCKET,
 *                   _BAD_WATCH, _WEIGHT_UNSUPPORTED, _LOOP,
 *                   _CHAINING_UNSUPPORTED
 *          -ENOSPC  OFPGMFC_OUT_OF_BUCKETS, OFPGMFC_OUT_OF_GROUPS
 *                   (the table, or the heap: tidy and reclaim, try again)
 *          -EDQUOT  the account's limit
 *          and nothing has changed
 *          Change sets also: -EEXIST OFPGMFC_GROUP_EXISTS, -ENOENT
 *          OFPGMFC_UNKNOWN_GROUP, -EAGAIN
 */
int table_group_set(struct table_group *t, uint32_t id,
		    const struct group_conf *conf, struct why *why) MUST_USE;

/*
 * Removes a group.
 *
 * returns  0, -ENOENT (OFPGMFC_UNKNOWN_GROUP),
 *          -EINVAL (OFPGMFC_CHAINED_GROUP: another group names it)
 */
int table_group_del(struct table_group *t, uint32_t id, struct why *why);

/* ---- Reuse. ---- */

/* As table_exact_mark() and table_exact_reclaim(); bodies are the heap's. */
uint64_t table_group_mark(const struct table_group *t);
void table_group_reclaim(struct table_group *t, uint64_t mark);

/*
 * For heap_tidy(): has the group that owns a block refer to its copy. owner.kind
 * says SLUICE_TABLE_GROUPS.
 */
bool table_group_move(struct table_group *t, const struct heap_owner *owner,
		      uint32_t from, uint32_t to);

#endif
