/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_EXACT_PRIVATE_H
#define TABLE_EXACT_PRIVATE_H

/* table/exact_private - what the files of table/exact share */

#include "base/crash.h"
#include "sluice/exact_hits.h"
#include "table/change.h"
#include "table/exact.h"

/*
 * Numbers of the entries that are not live, in the order in which they died:
 * those that may be used, then those that rest.
 *
 *     [ free ... | resting ... | (live) ]
 *       taken      freed         rested      counts since the start
 */
struct exact_spare {
	uint32_t *ring; /* [len] */
	uint32_t len;
	uint32_t take_at; /* taken % len */
	uint32_t rest_at; /* rested % len */
	uint64_t taken;
	uint64_t freed;
	uint64_t rested;
};

struct exact_place {
	uint64_t *slot; /* NULL: none */
	uint32_t idx;	/* of the entry that it names */
};

/* Where a key lies. */
struct exact_places {
	struct exact_place now;	  /* of a live or born entry */
	struct exact_place dying; /* of one that dies at some version */
};

struct table_exact {
	/* Constant after init. */
	struct change_table change;
	struct sluice_exact_view view;
	struct sluice_exact *shared;
	uint64_t *buckets;
	uint32_t n_max;
	uint32_t value_len;

	/* Ours; the first two are published in shared. */
	uint64_t n_changes;
	uint32_t n_used;
	struct exact_spare spare;
	struct exact_path *path;
};

/* Every store that readers can see. */
static inline void exact_put(uint64_t *p, uint64_t v)
{
	crash_point();
	sluice_store64_release(p, v);
}

/* [exact-change]: what was stored before is to be seen before what comes. */
static inline void exact_changed(struct table_exact *t)
{
	exact_put(&t->shared->n_changes, ++t->n_changes);
}

static inline void exact_set_n_used(struct table_exact *t, uint32_t n)
{
	t->n_used = n;
	exact_put(&t->shared->n_used, n);
}

static inline uint64_t *exact_slots(const struct table_exact *t,
				    uint32_t bucket)
{
	return t->buckets + (uint64_t)bucket * SLUICE_BUCKET_SLOTS;
}

/* A constant length lets the compiler unroll: the usual ones are. */
static inline uint32_t exact_hash(const struct table_exact *t, const void *key)
{
	const uint64_t *hash_keys = t->shared->hash_keys;

	switch (t->view.key_len) {
	case 16:
		return sluice_exact_hash(hash_keys, key, 16);
	case 40:
		return sluice_exact_hash(hash_keys, key, 40);
	case 64:
		return sluice_exact_hash(hash_keys, key, 64);
	default:
		return sluice_exact_hash(hash_keys, key, t->view.key_len);
	}
}

/* The bucket other than this one under which a slot word's key may lie. */
static inline uint32_t exact_other(const struct table_exact *t, uint64_t slot,
				   uint32_t bucket)
{
	uint32_t hash = (uint32_t)(slot >> 32);
	uint32_t b1 = sluice_exact_bucket1(hash, t->view.n_buckets);

	if (b1 != bucket)
		return b1;
	return sluice_exact_bucket2(hash, t->view.n_buckets);
}

/* An empty slot of a bucket, the home of the hash if it can be; or NULL. */
uint64_t *exact_empty(const struct table_exact *t, uint32_t bucket,
		      uint32_t hash);

static inline uint64_t *exact_head(const struct table_exact *t, uint32_t idx)
{
	return (uint64_t *)sluice_exact_entry(&t->view, idx);
}

static inline uint64_t exact_slot_word(uint32_t hash, uint32_t idx)
{
	return (uint64_t)hash << 32 | (idx + 1);
}

/* All slots of a key. */
void exact_places(const struct table_exact *t, uint32_t hash,
		  const uint64_t *key, struct exact_places *out);

/*
 * A slot that may be overwritten, under the key's buckets; or NULL. Other keys
 * may have moved.
 */
uint64_t *exact_room(struct table_exact *t, uint32_t hash);

/*
 * Takes an entry, of which there is one, and fills it; nobody finds it yet. It is live, or born
 * at a version.
 */
uint32_t exact_entry_new(struct table_exact *t, const void *key,
			 const void *value, uint64_t state);

/* Hashes n keys and asks for the memory of their buckets. */
void exact_fetch_buckets(const struct table_exact *t, const uint8_t *keys,
			 uint32_t n, uint32_t *hashes);

/*
 * Asks for the memory of the entries that seem to hold these keys; not where a
 * cache holds them all, for looking twice costs more there.
 */
void exact_fetch_entries(const struct table_exact *t, const uint32_t *hashes,
			 uint32_t n);

/* Marks an entry dead, of the next generation, and lays it to rest. */
void exact_rest(struct table_exact *t, uint32_t idx);

/* Puts the entry that was taken last back to the free ones. */
void exact_spare_untake(struct exact_spare *s, uint32_t idx);

/* Appends an entry that is dead already to those that rest. */
void exact_spare_push(struct exact_spare *s, uint32_t idx);

/* ---- exact_path.c: making room by moving keys to their other bucket. ---- */

/* Room to search in; freed by free(). NULL: no memory. */
struct exact_path *exact_path_new(uint32_t n_buckets);

/*
 * Empties a slot under one of the two buckets, both full, of a hash. Returns
 * it, or NULL when no short path leads to an empty one: nothing has changed.
 * The slot still holds a word whose key has its new place already, and is to be
 * overwritten next.
 */
uint64_t *exact_path_clear(struct table_exact *t, uint32_t hash);

/* ---- exact_step.c ---- */

extern const struct change_table_ops exact_change_ops;

/* The number of the entry that a member of a struct change_step names. */
static inline uint32_t exact_step_idx(uint64_t name)
{
	return (uint32_t)name - 1;
}

/* ---- exact_adopt.c ---- */

/*
 * Mends what a dead writer left at that version of the region, and learns which
 * entries are in use.
 */
int exact_adopt_entries(struct table_exact *t, uint32_t version,
			struct why *why) MUST_USE;

#endif
