/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_TERNARY_PRIVATE_H
#define TABLE_TERNARY_PRIVATE_H

/* table/ternary_private - what the files of table/ternary share */

#include "base/crash.h"
#include "table/ternary.h"
#include "table/ternary_tree.h"

#define TERNARY_WORDS SLUICE_TERNARY_WORDS_MAX

/* As struct exact_spare. */
struct ternary_spare {
	uint32_t *ring; /* [len] */
	uint32_t len;
	uint64_t taken;
	uint64_t freed;
	uint64_t rested;
};

/* A rule in the form in which it is stored: what the mask leaves of the key. */
struct ternary_form {
	const uint64_t *key; /* the whole, unmasked */
	const uint64_t *mask;
	uint64_t words;
	uint32_t n_words;
	uint32_t priority;
	uint32_t name; /* a hash of all of it */
	uint64_t pairs[2 * TERNARY_WORDS];
};

/* What we know of an entry without believing the region. */
struct ternary_own {
	uint32_t tuple;
	uint32_t hash; /* of its chain */
	uint32_t name;
	uint32_t name_next; /* entry, or TERNARY_NONE */
	uint32_t heap_at;   /* in its tuple's heap */
	uint32_t leaf;	    /* in its tuple's tree */
};

struct ternary_tuple {
	uint64_t words;
	uint64_t *mask;	   /* [n_words], as in struct sluice_tuple */
	uint64_t *heap;	   /* priority << 32 | entry; the best at 0 */
	uint32_t heap_len; /* room */
	uint32_t n_words;
	uint32_t n_bits;
	uint32_t n_rules;
	uint32_t order_at;
	uint32_t root; /* of its tree */
};

struct ternary_tuples {
	struct ternary_tuple *at; /* [n_tuples] */
	uint32_t *order;	  /* those in use, the best priorities first */
	uint32_t *fine;		  /* those in use, the most bits first */
	uint32_t *free;		  /* the others, a stack */
	uint64_t *masks;	  /* memory of the tuples' masks */
	uint32_t n;		  /* in the order */
	uint32_t n_fine; /* the same, or one more that is not yet in it */
	uint64_t order_no;
};

struct table_ternary {
	/* Constant after init. */
	struct sluice_ternary_view view;
	struct sluice_ternary *shared;
	uint64_t *buckets;
	uint64_t *orders;
	uint32_t n_max;
	uint32_t n_fields;
	struct sluice_ternary_field fields[SLUICE_TERNARY_FIELDS_MAX];
	uint64_t wide[TERNARY_WORDS]; /* bits of wide fields */

	/* Ours; the first two are published in shared. */
	uint64_t n_changes;
	uint32_t n_used;
	uint32_t n_names; /* a power of two */
	struct ternary_spare spare;
	struct ternary_own *own; /* [n_entries] */
	uint32_t *names;	 /* [n_names]; entry, or TERNARY_NONE */
	uint16_t *over;		 /* [n_buckets] chains that went further */
	struct ternary_tuples tuples;
	struct ternary_trees trees;
	struct change_table change;
};

/* Every store that readers can see. */
static inline void ternary_put(uint64_t *p, uint64_t v)
{
	crash_point();
	sluice_store64_release(p, v);
}

static inline void ternary_put32(uint32_t *p, uint32_t v)
{
	crash_point();
	sluice_store32_release(p, v);
}

static inline struct sluice_rule *ternary_rule(const struct table_ternary *t,
					       uint32_t entry)
{
	return sluice_ternary_rule(&t->view, entry);
}

static inline uint64_t *ternary_pairs(const struct table_ternary *t,
				      uint32_t entry)
{
	return (uint64_t *)((uint8_t *)(ternary_rule(t, entry) + 1) +
			    t->view.value_len);
}

/* There, for readers of the newest version? */
static inline bool ternary_is_current(const struct table_ternary *t,
				      uint32_t entry)
{
	uint32_t state = sluice_head_state(ternary_rule(t, entry)->head);

	return state == SLUICE_ENTRY_LIVE || state == SLUICE_ENTRY_BORN;
}

/* [ternary-change]: what was stored before is to be seen before what comes. */
static inline void ternary_changed(struct table_ternary *t)
{
	ternary_put(&t->shared->n_changes, ++t->n_changes);
}

static inline void ternary_set_n_used(struct table_ternary *t, uint32_t n)
{
	t->n_used = n;
	ternary_put(&t->shared->n_used, n);
}

/* ---- ternary_entry.c: entries, their names, what is spare. ---- */

/* False: it has more words than a rule may. */
bool ternary_form(const struct table_ternary *t,
		  const struct table_ternary_rule *rule,
		  struct ternary_form *out);

/* The same for an entry; key and mask are memory for it. */
void ternary_form_of(const struct table_ternary *t, uint32_t entry,
		     uint64_t *key, uint64_t *mask, struct ternary_form *out);

/* The entry of that form which is current, or the one that dies; or NONE. */
uint32_t ternary_current(const struct table_ternary *t,
			 const struct ternary_form *f);
uint32_t ternary_dying(const struct table_ternary *t,
		       const struct ternary_form *f);

bool ternary_has_spare(const struct table_ternary *t);

/* Takes a spare entry and writes all but head and next. There is one. */
uint32_t ternary_entry_new(struct table_ternary *t,
			   const struct ternary_form *f, const void *value);

/* Appends an entry that is dead already to those that rest. */
void ternary_spare_push(struct ternary_spare *s, uint32_t entry);

void ternary_name_add(struct table_ternary *t, uint32_t entry, uint32_t name);
void ternary_name_del(struct table_ternary *t, uint32_t entry);

/* ---- ternary_index.c: chains and where they begin. ---- */

/* Entries in the chain of a hash. */
uint32_t ternary_chain_len(const struct table_ternary *t, uint32_t hash);

/* The first entry of the chain of a hash that belongs to a leaf, or NONE. */
uint32_t ternary_chain_first(const struct table_ternary *t, uint32_t hash,
			     uint32_t leaf);

/* Could a chain of this hash begin somewhere, or does it? */
bool ternary_chain_fits(const struct table_ternary *t, uint32_t hash);

/* Links a whole entry into the chain of its hash, which fits. */
void ternary_chain_add(struct table_ternary *t, uint32_t entry);

/* Takes an entry out of its chain; false if it is not in. */
bool ternary_chain_del(struct table_ternary *t, uint32_t entry);

/* Stores the first entry + 1 of a chain, 0: none; the mark stays as it is. */
void ternary_slot_set(uint64_t *slot, uint32_t hash, uint32_t first);

/* For ternary_adopt.c: learns of a chain; false: its slot is not of its hash. */
bool ternary_index_take(struct table_ternary *t, const uint64_t *slot);

/* The reverse, for a chain that had no rule. */
void ternary_index_give(struct table_ternary *t, const uint64_t *slot,
			uint32_t hash);

/* All chains are known: clears marks that are for none. */
void ternary_index_adopt(struct table_ternary *t);

/* ---- ternary_tuple.c: which tuples there are, and in which order. ---- */

/*
 * The tuple for a new rule, made if need be, with room for it. NONE: there is
 * none, and nothing has changed.
 */
uint32_t ternary_tuple_for(struct table_ternary *t,
			   const struct ternary_form *f, uint32_t *hash);

/* Notes which fields are wide. */
void ternary_wide_init(struct table_ternary *t);

/* Counts a tuple, its mask known, among those in use; it has no rule yet. */
void ternary_tuple_own(struct table_ternary *t, uint32_t tuple);

/* Makes room in the heap; false: no memory. */
bool ternary_tuple_reserve(struct ternary_tuple *u);

/* Counts a rule, not yet linked, and sees to the order. There is room. */
void ternary_tuple_add(struct table_ternary *t, uint32_t entry);

/* The reverse, when it is unlinked. A tuple without rules is given back. */
void ternary_tuple_del(struct table_ternary *t, uint32_t entry);

/* Is the mask of a tuple a part of the form's? */
bool ternary_tuple_fits(const struct ternary_tuple *u,
			const struct ternary_form *f);

/* Counts an entry into the heap of its tuple only. There is room. */
void ternary_heap_add(struct table_ternary *t, uint32_t entry);

/* All rules are known: orders the tuples that have some. */
void ternary_tuples_adopt(struct table_ternary *t);

/* Gives back a tuple that got no rule. */
void ternary_tuple_drop(struct table_ternary *t, uint32_t tuple);

/* ---- ternary_change.c ---- */

extern const struct change_table_ops ternary_change_ops;

/* Unlinks a rule that nobody shall see any more and lays it to rest. */
void ternary_kill(struct table_ternary *t, uint32_t entry);

/* ---- ternary_adopt.c ---- */

int ternary_adopt_rules(struct table_ternary *t, uint32_t version,
			struct why *why) MUST_USE;

#endif
