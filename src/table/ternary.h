/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_TERNARY_H
#define TABLE_TERNARY_H

/*
 * table/ternary - writing a table of rules with masks and priorities
 *
 * The writer's side of sluice/ternary.h, which has the layout, the readers'
 * functions and what readers may rely on. A set of rules of fixed capacity. Key,
 * mask and priority together name a rule: setting the same three again replaces
 * its value, in another entry. Rules may overlap as they like.
 *
 * For the slow path it also tells which bits of a key had to be looked at to
 * know the best rule (table_ternary_find_bits()).
 *
 * One writer: one thread of one process. What only the writer needs lies in its
 * own memory (some 100 bytes a rule) and is found again by
 * table_ternary_adopt().
 *
 * A deleted or replaced rule rests until table_ternary_reclaim(), as in
 * table/exact.h; there are n_max / 32 + 64 entries more than n_max.
 *
 * Bits of keys are numbered from the highest bit of the first byte, so that a
 * prefix in network order is a run of bits. Keys that put first what tells most
 * rules apart need fewer bits.
 */

#include <stdint.h>

#include "base/annotate.h"
#include "base/why.h"
#include "region/region.h"
#include "sluice/ternary_find.h"
#include "table/change.h"

struct table_ternary_conf {
	const char *name;
	uint32_t kind;
	uint32_t n_max;	     /* rules at most; 1 to 2^24; see set's -ENOSPC */
	uint32_t n_tuples;   /* masks to look under; 16 to 1024; 0: 512 */
	uint16_t key_len;    /* bytes; 8 to 512, a multiple of 8 */
	uint16_t value_len;  /* bytes; a multiple of 8 */
	uint16_t key_layout; /* for the directory */
	uint16_t n_words;    /* 8-byte words that a rule looks at; 0: any */

	/*
	 * Fields in which rules have prefixes, addresses and ports, at most
	 * SLUICE_TERNARY_FIELDS_MAX of 1 to 128 bits each. They help to choose
	 * tuples, and say to what table_ternary_round() rounds.
	 */
	const struct sluice_ternary_field *fields;
	uint32_t n_fields;

	uint64_t seed; /* of the hash keys; rng_secret() but in tests */
};

/* key and mask: key_len bytes, 8-byte aligned; copied. What the mask does not
 * have does not matter in the key. */
struct table_ternary_rule {
	const void *key;
	const void *mask;
	uint32_t priority; /* the highest number wins */
};

#define TABLE_TERNARY_NONE UINT32_MAX

/* Opaque; lies in the writer's own memory. */
struct table_ternary;

/* ---- Life. ---- */

/* Bytes that such a table takes in a region; 0: conf is out of range. */
uint64_t table_ternary_len(const struct table_ternary_conf *conf);

/*
 * Makes an empty table in a region and puts it into the directory.
 * returns  0, -EINVAL, -ENOMEM, -ENOSPC (the region is full)
 */
int table_ternary_new(struct region *r, const struct table_ternary_conf *conf,
		      struct table_ternary **out, struct why *why) MUST_USE;

/*
 * Takes over the table that a former writer left, at whatever store it was
 * killed, and what it left of change sets (table/change.h). After a grace
 * period. Cost: one pass over the table.
 *
 * returns  0, -ENOENT (no table of that kind), -ENOMEM,
 *          -EINVAL (not of the shape that the directory says)
 */
int table_ternary_adopt(struct region *r, uint32_t kind,
			struct table_ternary **out, struct why *why) MUST_USE;

/* Frees the writer's own memory; the table stays. NULL is fine. */
void table_ternary_free(struct table_ternary *t);

/* ---- Look-up. The writer; others use sluice/ternary.h. ---- */

const struct sluice_ternary_view *
table_ternary_view(const struct table_ternary *t);
uint32_t table_ternary_n_used(const struct table_ternary *t);
uint32_t table_ternary_n_max(const struct table_ternary *t);

/* Tuples in use: about what a look-up costs. */
uint32_t table_ternary_n_tuples(const struct table_ternary *t);

/*
 * Finds the best rule for a key, as sluice_ternary_find() does, and what had to
 * be looked at: any key that equals this one in all of bits, as bits are
 * afterwards, has the same answer, among the rules of now at that version.
 *
 * rule     set to the rule's number on SLUICE_YES
 * bits     key_len bytes. Those that are set already count as looked at, and
 *          are preferred; others are added, as few as can be found quickly
 * returns  SLUICE_YES or SLUICE_NO
 */
enum sluice_found table_ternary_find_bits(struct table_ternary *t,
					  const void *key, uint32_t version,
					  uint32_t *rule, void *bits);

/*
 * Adds to bits what makes whole prefixes of those in the configured fields: the
 * bits before the last one in each. Fewer different masks come out of that.
 */
void table_ternary_round(const struct table_ternary *t, void *bits);

/* The number of the rule of these three, or TABLE_TERNARY_NONE. */
uint32_t table_ternary_find(const struct table_ternary *t,
			    const struct table_ternary_rule *rule);

/*
 * A rule of the same priority that could match a key that this one matches, other
 * than the one of these three (OpenFlow's check of overlap); or
 * TABLE_TERNARY_NONE. Cost: a walk down each tuple's tree, into both sides where
 * this rule's mask does not tell; branches of lower priorities are left out.
 */
uint32_t table_ternary_overlap(const struct table_ternary *t,
			       const struct table_ternary_rule *rule);

/* A rule, its value behind sluice_rule_value(), by its number. */
struct sluice_rule *table_ternary_at(const struct table_ternary *t,
				     uint32_t number);

/* Copies key and mask (key_len bytes each) and priority of a rule. */
void table_ternary_get(const struct table_ternary *t, uint32_t number,
		       void *key, void *mask, uint32_t *priority);

/*
 * The number of the next rule of the newest version from *number on, which is
 * set to the one behind it; begin with 0. TABLE_TERNARY_NONE: no more. The table
 * may be changed between calls.
 */
uint32_t table_ternary_each(const struct table_ternary *t, uint32_t *number);

/* ---- Change. ---- */

/*
 * Adds a rule, or replaces its value.
 *
 * value    copied; 8-byte aligned
 * number   if not NULL, set to the rule's number; it stays while the rule lives
 * returns  0
 *          -EINVAL  its mask has more than n_words words
 *          -ENOSPC  n_max rules are there, or no entry is free since too many
 *                   rest, or all tuples are in use and every chain in which it
 *                   could hang is full (so many masks have only attackers and
 *                   tests), or no memory; nothing has changed
 * cost     the same for the first rule and the last; of the tuples in use, a
 *          look at each
 */
int table_ternary_set(struct table_ternary *t,
		      const struct table_ternary_rule *rule, const void *value,
		      uint32_t *number) MUST_USE;

/* Removes a rule. False if it was not there. */
bool table_ternary_del(struct table_ternary *t,
		       const struct table_ternary_rule *rule);

/*
 * To take part in change sets: an item's key is a struct table_ternary_rule, its
 * value the value.
 */
struct change_table *table_ternary_change(struct table_ternary *t);

/* ---- Reuse. As in table/exact.h. ---- */

uint32_t table_ternary_n_resting(const struct table_ternary *t);
uint64_t table_ternary_mark(const struct table_ternary *t);
void table_ternary_reclaim(struct table_ternary *t, uint64_t mark);

#endif
