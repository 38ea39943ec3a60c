/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_EXACT_H
#define SLUICE_EXACT_H

/*
 * sluice/exact - reading an exact-match table
 *
 * A bucketised cuckoo hash table (Pagh and Rodler 2001; buckets: Dietzfelbinger
 * and Weidling 2007) of fixed capacity. A key lies under one of two buckets; a
 * bucket is one cache line of 8 slots; a slot is one word: the key's 32-bit
 * hash and the number of its entry. Entries never move: a "move" of the cuckoo
 * copies a slot word into the other bucket and then clears the first.
 *
 *     bucket   64 bytes: 8 slots          slot   63..32 hash | 31..0 entry + 1
 *     entry    head 8 | key key_len | value value_len        0: empty
 *
 * Both bucket numbers follow from the hash, so the writer moves a slot without
 * touching its entry. So does a key's home, the slot that the writer takes if it
 * is free and a reader looks at first: while a table is not crowded, that is
 * the only look.
 *
 * One writer (table/exact.h), any number of readers in any process and in BPF.
 * A reader works with one version of the region (sluice/version.h), which it
 * gives to every find: an entry that is not there at that version is not found.
 * While a change set is under way or unsettled a key may lie in two slots, the
 * entry that dies and the one that is born, and each reader finds its own.
 *
 * Promises
 *   1. find is wait-free: at most SLUICE_EXACT_TRIES passes of two buckets.
 *      It answers yes, no, or busy (changes kept overtaking it). A key that is
 *      stored throughout at the reader's version is never answered with no.
 *   2. A writer killed at any store leaves every stored key findable with its
 *      value. No reader ever waits for a writer.
 *   3. Whatever is written into the table by others, a reader touches nothing
 *      outside the table and ends.
 *   4. get's copy of a value is one that was stored under that key.
 *   5. A reader in a section finds the entries of its version, of every change
 *      set all or nothing. One without a section asks sluice_version_holds()
 *      afterwards.
 *
 * How the writer keeps them:
 *   [exact-slot]   a slot is stored (release) after its entry is whole; readers
 *                  load it with acquire.
 *   [exact-change] n_changes grows (release) after a key's new place is visible
 *                  and before its old slot is cleared or its old entry is
 *                  written again. A pass that missed a key because of a move
 *                  saw the old place empty, hence sees n_changes grown
 *                  (acquire), hence tries again.
 *   [exact-head]   an entry's generation changes before its words do; words
 *                  are stored with release and loaded with acquire, so whoever
 *                  sees a new word sees the new generation on the second look.
 *                  The state may change meanwhile: it is judged by the first
 *                  look, and was true then. Who loaded the version number of a
 *                  set sees all its states and slots, for they were stored
 *                  before [region-version]; who loaded an older one sees what
 *                  dies and not what is born, until that settles.
 *   Settling       a born entry is live first; then n_changes grows and the
 *                  slot of the one that died is cleared. A pass that saw the
 *                  one not yet live and the other no more tries again.
 */

#include "sluice/atomic.h"
#include "sluice/exact_hash.h"
#include "sluice/types.h"
#include "sluice/version.h"

#ifdef __bpf__
#include "sluice/exact_bpf.h"
#endif

#define SLUICE_EXACT_TRIES 4u

/* Lies in the region. Offsets are from the start of this struct. */
struct sluice_exact {
	/* Constant after init. */
	uint32_t n_buckets;
	uint32_t n_entries;   /* entries, live or not; n_max at least */
	uint32_t entry_len;   /* bytes from one entry to the next */
	uint32_t key_len;     /* bytes; a multiple of 8, at most 64 */
	uint32_t value_len;   /* bytes; a multiple of 8 */
	uint32_t buckets_off; /* multiple of 64 */
	uint64_t entries_off; /* multiple of 64 */
	uint64_t hash_keys[SLUICE_EXACT_HASH_KEYS];

	/* The writer writes, anyone reads. */
	uint64_t n_changes __attribute__((aligned(64))); /* [exact-change] */
	uint64_t n_used; /* keys of the newest version */
};

/*
 * A table as one reader sees it: its shape copied once, after it was checked,
 * so that a later scribble over the header cannot lead the reader astray.
 */
struct sluice_exact_view {
	const struct sluice_exact *table;
	const uint64_t *buckets;
	uint8_t *entries;
	uint32_t n_buckets;
	uint32_t n_entries;
	uint32_t entry_len;
	uint32_t key_len;
	uint32_t value_len; /* what is copied; a reader may make it less */
};

/* What is looked for; private to the headers of sluice/exact. */
struct sluice_exact_want {
	const uint64_t *key;
	uint32_t key_len;
	uint32_t hash;
	uint32_t version;
};

/* Takes the shape of t, which the caller has checked or made itself. */
SLUICE_INLINE void sluice_exact_view_init(struct sluice_exact_view *v,
					  struct sluice_exact *t)
{
	v->table = t;
	v->buckets = (const uint64_t *)((uint8_t *)t + t->buckets_off);
	v->entries = (uint8_t *)t + t->entries_off;
	v->n_buckets = t->n_buckets;
	v->n_entries = t->n_entries;
	v->entry_len = t->entry_len;
	v->key_len = t->key_len;
	v->value_len = t->value_len;
}

SLUICE_INLINE uint8_t *sluice_exact_entry(const struct sluice_exact_view *v,
					  uint32_t idx)
{
	return v->entries + (uint64_t)idx * v->entry_len;
}

SLUICE_INLINE const uint64_t *sluice_entry_key(const uint8_t *entry)
{
	return (const uint64_t *)(entry + 8);
}

SLUICE_INLINE void *sluice_entry_value(uint8_t *entry, uint32_t key_len)
{
	return entry + 8 + key_len;
}

/*
 * 0 if this entry holds the key and did throughout the comparison; its head is
 * then what it was at the first look.
 */
SLUICE_INLINE uint64_t sluice_entry_differs_(const uint8_t *entry,
					     const uint64_t *key,
					     uint32_t key_len, uint64_t *before)
{
	const uint64_t *head = (const uint64_t *)entry;
	const uint64_t *words = sluice_entry_key(entry);
	uint64_t diff = 0;

	*before = sluice_load64_acquire(head); /* [exact-head] */
	for (uint32_t i = 0; i < key_len / 8; i++)
		/* [exact-head] */
		diff |= sluice_load64_acquire(&words[i]) ^ key[i];
	return diff | ((sluice_load64_relaxed(head) ^ *before) &
		       SLUICE_ENTRY_GENERATION);
}

/* Does it hold the key, and is it there at that version? */
SLUICE_INLINE bool sluice_entry_is(const uint8_t *entry, uint32_t version,
				   const uint64_t *key, uint32_t key_len)
{
	uint64_t head;
	uint64_t diff = sluice_entry_differs_(entry, key, key_len, &head);

	return !(diff | !sluice_head_visible(head, version));
}

/* What a slot names, if it has the hash; else NULL. */
SLUICE_INLINE uint8_t *sluice_slot_entry_(const struct sluice_exact_view *v,
					  const uint64_t *slot, uint32_t hash)
{
	uint64_t s = sluice_load64_acquire(slot); /* [exact-slot] */
	uint32_t idx = (uint32_t)s - 1;

	/* An empty slot gives the largest idx: outside, like a lie. */
	if (s >> 32 != hash || idx >= v->n_entries)
		return NULL;
	return sluice_exact_entry(v, idx);
}

/* The entry of a slot if it is the key's; else NULL. */
SLUICE_INLINE uint8_t *sluice_slot_find_(const struct sluice_exact_view *v,
					 const uint64_t *slot,
					 const struct sluice_exact_want *w)
{
	uint8_t *e = sluice_slot_entry_(v, slot, w->hash);

	return e && sluice_entry_is(e, w->version, w->key, w->key_len) ? e
								       : NULL;
}

/* One look at one bucket. Returns the entry, or NULL. */
SLUICE_INLINE uint8_t *sluice_bucket_find_(const struct sluice_exact_view *v,
					   uint32_t bucket,
					   const struct sluice_exact_want *w)
{
	const uint64_t *slots = v->buckets + (uint64_t)bucket * 8;
	uint8_t *e = NULL;

#ifdef __bpf__
	uint64_t hit = sluice_bucket_hit_(slots, w->hash);

	if (!hit)
		return NULL;
	e = sluice_slot_find_(v, &slots[(hit - 1) & 7], w);
	/* Several have this hash, or it changed: look at one after the other. */
#endif
	for (uint32_t i = 0; !e && i < SLUICE_BUCKET_SLOTS; i++)
		e = sluice_slot_find_(v, &slots[i], w);
	return e;
}

/*
 * The entry if it is in the key's home slot and live, hence there at every
 * version; else NULL.
 */
SLUICE_INLINE uint8_t *sluice_exact_at_home_(const struct sluice_exact_view *v,
					     const struct sluice_exact_want *w)
{
	uint32_t b1 = sluice_exact_bucket1(w->hash, v->n_buckets);
	uint8_t *e = sluice_slot_entry_(
		v, &v->buckets[(uint64_t)b1 * 8 + sluice_exact_home(w->hash)],
		w->hash);
	uint64_t head, diff;

	if (!e)
		return NULL;
	diff = sluice_entry_differs_(e, w->key, w->key_len, &head);
	diff |= sluice_head_state(head) ^ SLUICE_ENTRY_LIVE;
	return diff ? NULL : e;
}

/* Finds it wherever it is. */
SLUICE_INLINE enum sluice_found
sluice_exact_find_want_(const struct sluice_exact_view *v,
			const struct sluice_exact_want *w, uint8_t **entry)
{
	uint32_t b1 = sluice_exact_bucket1(w->hash, v->n_buckets);
	uint32_t b2 = sluice_exact_bucket2(w->hash, v->n_buckets);

#ifdef __bpf__
	/* BPF knows no prefetch; a load that nobody waits for is one. */
	(void)sluice_load64_relaxed(&v->buckets[(uint64_t)b2 * 8]);
#endif
	for (uint32_t i = 0; i < SLUICE_EXACT_TRIES; i++) {
		/* [exact-change] */
		uint64_t before = sluice_load64_acquire(&v->table->n_changes);
		uint8_t *e = sluice_bucket_find_(v, b1, w);

		if (!e)
			e = sluice_bucket_find_(v, b2, w);
		if (e) {
			*entry = e;
			return SLUICE_YES;
		}
		if (sluice_load64_relaxed(&v->table->n_changes) == before)
			return SLUICE_NO;
	}
	return SLUICE_BUSY;
}

/*
 * Finds the entry of a key. Wait-free. Give key_len as a constant: the loops
 * then unroll; it must equal v->key_len.
 *
 * version  sluice_version(), taken once for all that belongs together
 * entry    the entry on SLUICE_YES, else of no meaning. It may be counted into until the reader's
 *          next quiescent state; who has none copies with sluice_exact_get().
 */
SLUICE_INLINE enum sluice_found
sluice_exact_find(const struct sluice_exact_view *v, uint32_t version,
		  const void *key, uint32_t key_len, uint8_t **entry)
{
	const struct sluice_exact_want w = {
		.key = key,
		.key_len = key_len,
		.hash = sluice_exact_hash(v->table->hash_keys, key, key_len),
		.version = version,
	};

	*entry = sluice_exact_at_home_(v, &w);
	return *entry ? SLUICE_YES : sluice_exact_find_want_(v, &w, entry);
}

#include "sluice/exact_get.h"

#endif
