/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_GROUP_PRIVATE_H
#define TABLE_GROUP_PRIVATE_H

/* table/group_private - what the files of table/group share */

#include "table/exact.h"
#include "table/group.h"

struct table_group {
	/* Constant after init. */
	struct change_table change;
	struct region *region;
	struct table_exact *exact;
	struct heap *heap;
	struct sluice_groups_view view;
	uint32_t n_entries;

	/* By entry. An entry that is not dead has a body, a dead one none. */
	uint32_t *bodies; /* [n_entries] 0: none */
	uint64_t *names;  /* bitmap: the group names groups */
	uint32_t n_names; /* bits in it */
	uint64_t *marks;  /* bitmaps to search with */
	uint64_t *next_marks;
};

#define GROUP_DEAD UINT32_MAX

/* The newest entry of a group; GROUP_DEAD: there is none. */
uint32_t group_entry(struct table_group *t, uint32_t id);

/* The group of an entry; false: its body makes no sense. */
bool group_of_entry(const struct table_group *t, uint32_t idx,
		    struct sluice_group_at *out);

/* ---- group_check.c ---- */

/* What is to be refused about a group that concerns no other one. */
int group_check(uint32_t id, const struct group_conf *conf, struct why *why)
	MUST_USE;

/* ---- group_slots.c ---- */

/* n_slots[i]: how many slots bucket i gets. */
void group_deal(const struct group_bucket *buckets, uint32_t n,
		uint32_t *n_slots);

/* Fills the slots of a group; old, or NULL: what the group was before. */
void group_slots(const struct group_conf *conf,
		 const struct sluice_group_at *old,
		 uint8_t slots[SLUICE_GROUP_SLOTS]);

/* ---- group_chain.c ---- */

/* May a group be as conf says, as far as it concerns other groups? */
int group_chain_check(struct table_group *t, uint32_t id,
		      const struct group_conf *conf, struct why *why) MUST_USE;

/* May a group be removed? */
int group_chain_may_go(struct table_group *t, uint32_t id, struct why *why)
	MUST_USE;

/* The ports that keep a bucket live. */
uint64_t group_live(struct table_group *t, uint32_t watch_port,
		    uint32_t watch_group);

/*
 * The group has changed: tells those that watch it, and those that watch them.
 * also: ports that may not be left out yet.
 */
void group_chain_tell(struct table_group *t, uint32_t id, uint64_t also);

/* The same for all, after adoption. */
void group_chain_tell_all(struct table_group *t);

/* The ports that keep a group live: any of its buckets. */
uint64_t group_live_of(const struct sluice_group_at *g);

/* Notes whether the group of an entry names groups. */
void group_chain_note(struct table_group *t, uint32_t idx, bool names);

/* Does it name groups? */
bool group_names(const struct sluice_group_at *g);

#endif
