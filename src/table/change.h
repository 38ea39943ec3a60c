/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_CHANGE_H
#define TABLE_CHANGE_H

/*
 * table/change - change sets: all of it or none, in one version step
 *
 * A change set is a list of additions, changes and removals across the tables
 * of one region. change_apply() prepares each item so that no reader sees a
 * difference yet, and then stores the region's next version: one release store
 * that makes all of it true for whoever asks from then on. A reader works with
 * one version for a packet and sees the world before the set or after it
 * (sluice/version.h). An item that cannot be done takes back what was prepared.
 *
 * A writer that is killed before that store leaves nothing of the set, after it
 * all of it: who adopts a table clears up by comparing its entries' heads with
 * the region's version.
 *
 * Afterwards the set is unsettled: entries that were removed still lie there
 * for readers of older versions. change_settle() ends that after a grace
 * period. Sets may follow each other before; only an item that touches an entry
 * of an unsettled set is refused, with -EAGAIN: settle first.
 *
 * Single operations of a table (table_exact_set() and the like) need no set;
 * they are true at once and may be mixed with sets.
 *
 * One thread, the region's writer.
 */

#include <stdint.h>

#include "base/annotate.h"
#include "base/why.h"
#include "region/region.h"

enum change_kind {
	CHANGE_ADD, /* the key must not be there */
	CHANGE_SET, /* adds or replaces */
	CHANGE_DEL, /* the key must be there */
};

struct change_table;

/* key and value as the table's header says; read during change_apply() only. */
struct change_item {
	struct change_table *table;
	enum change_kind kind;
	const void *key;
	const void *value; /* not with CHANGE_DEL */
};

/* What a prepared item is undone or settled by; the table's own meaning. */
struct change_step {
	uint64_t old;  /* usually the entry that dies, or 0 */
	uint64_t born; /* usually the entry that is born, or 0 */
};

/*
 * What a table does to take part. A table of table/ has a struct change_table as
 * a member and gives it out by table_NAME_change().
 */
struct change_table_ops {
	/*
	 * Makes an item ready to be true at version, seen by nobody before.
	 *
	 * returns  0
	 *          -EEXIST, -ENOENT  see enum change_kind
	 *          -ENOSPC           the table, or what it draws from, is full
	 *          -EAGAIN           an unsettled set holds the entry
	 *          -EINVAL           out of range, or named twice in this set
	 *          and nothing has changed
	 */
	int (*prepare)(struct change_table *t, const struct change_item *item,
		       uint32_t version, struct change_step *out,
		       struct why *why);

	/* Takes back what prepare did. In the reverse order of prepare. */
	void (*undo)(struct change_table *t, const struct change_step *s);

	/*
	 * Asks for the memory that prepare will want for an item that comes
	 * soon: in round 0 the index, in round 1, some items later, what it
	 * names. NULL: nothing is asked for.
	 */
	void (*fetch)(struct change_table *t, const struct change_item *item,
		      uint32_t round);

	/*
	 * The set is true and no reader works with an older version. The born
	 * entry becomes live first, then the old one goes and rests until the
	 * table's own reclaim. What another operation has changed since is left
	 * alone.
	 */
	void (*settle)(struct change_table *t, const struct change_step *s);
};

struct change_table {
	const struct change_table_ops *ops;
};

/*
 * For tables that consist of others: their items go through these, into steps
 * that they keep. An inner table refuses to be given a key twice in one set.
 */
static inline int change_prepare(const struct change_item *item,
				 uint32_t version, struct change_step *out,
				 struct why *why)
{
	return item->table->ops->prepare(item->table, item, version, out, why);
}

static inline void change_undo(struct change_table *t,
			       const struct change_step *s)
{
	t->ops->undo(t, s);
}

static inline void change_settle_step(struct change_table *t,
				      const struct change_step *s)
{
	t->ops->settle(t, s);
}

/* Opaque: the sets of one region that are not settled. */
struct change_log;

/* Returns 0 or -ENOMEM. */
int change_log_new(struct region *r, struct change_log **out) MUST_USE;

/* Unsettled sets stay so until the tables are adopted. NULL is fine. */
void change_log_free(struct change_log *log);

/*
 * Applies a set.
 *
 * bad      on failure the number of the offending item; n: no single one
 * returns  0 (of no items: and nothing happens), or as prepare(), or -ENOMEM;
 *          on failure nothing has changed
 * cost     that of the items one by one; readers wait for nothing
 */
int change_apply(struct change_log *log, const struct change_item *items,
		 uint32_t n, uint32_t *bad, struct why *why) MUST_USE;

/* Items of sets that are not settled. */
uint64_t change_n_unsettled(const struct change_log *log);

/*
 * The newest set applied so far; goes to change_settle() after a grace period
 * that began after this call.
 */
uint64_t change_mark(const struct change_log *log);

/* Settles the sets up to the mark, n_max items at most; how many it did. */
uint64_t change_settle(struct change_log *log, uint64_t mark, uint64_t n_max);

#endif
