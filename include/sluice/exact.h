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
 * the only look. The hash is Multilinear-HM (Lemire and Kaser, "Strongly
 * universal string hashing is fast", 2014) under 64-bit keys drawn per table:
 * two keys chosen without knowing them collide with probability 2^-32.
 *
 * One writer (table/exact.h), any number of readers in any process and in BPF.
 *
 * Promises
 *   1. find is wait-free: at most SLUICE_EXACT_TRIES passes of two buckets.
 *      It answers yes, no, or busy (changes kept overtaking it). A key that is
 *      stored throughout is never answered with no.
 *   2. A writer killed at any store leaves every stored key findable with its
 *      value. No reader ever waits for a writer.
 *   3. Whatever is written into the table by others, a reader touches nothing
 *      outside the table and ends.
 *   4. get's copy of a value is one that was stored under that key.
 *
 * How the writer keeps them:
 *   [exact-slot]   a slot is stored (release) after its entry is whole; readers
 *                  load it with acquire.
 *   [exact-change] n_changes grows (release) after a key's new place is visible
 *                  and before its old slot is cleared or its old entry is
 *                  written again. A pass that missed a key because of a move
 *                  saw the old place empty, hence sees n_changes grown
 *                  (acquire), hence tries again.
 *   [exact-head]   an entry's head changes before its words do; words are
 *                  stored with release and loaded with acquire, so whoever sees
 *                  a new word sees the new head on the second look.
 */

#include "sluice/atomic.h"
#include "sluice/types.h"

#ifdef __bpf__
#include "sluice/exact_bpf.h"
#endif

#define SLUICE_KEY_LEN_MAX 64u /* bytes */
#define SLUICE_BUCKET_SLOTS 8u
#define SLUICE_EXACT_TRIES 4u
#define SLUICE_EXACT_HASH_KEYS (SLUICE_KEY_LEN_MAX / 4 + 1)

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
	uint64_t n_used;				 /* live entries */
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
};

enum sluice_found { SLUICE_NO, SLUICE_YES, SLUICE_BUSY };

/* Bit 0 of an entry's head: the entry is live. Above: its generation. */
#define SLUICE_ENTRY_LIVE 1ull

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
}

SLUICE_INLINE uint32_t sluice_exact_hash(const uint64_t *hash_keys,
					 const uint64_t *key, uint32_t key_len)
{
	uint64_t h = hash_keys[SLUICE_EXACT_HASH_KEYS - 1];
	uint32_t mixed;

	/* gcc leaves it a loop otherwise, at twice the time. */
#pragma GCC unroll 8
	for (size_t i = 0; i < key_len / 8; i++)
		h += (hash_keys[2 * i] + (uint32_t)key[i]) *
		     (hash_keys[2 * i + 1] + (key[i] >> 32));
	/*
	 * Keys that differ by equal steps would have hashes that do, and fill
	 * their buckets unevenly. A permutation, so nothing else changes.
	 */
	mixed = (uint32_t)(h >> 32);
	mixed ^= mixed >> 15;
	mixed *= 0x2c1b3c6du;
	return mixed ^ mixed >> 12;
}

SLUICE_INLINE uint32_t sluice_exact_bucket1(uint32_t hash, uint32_t n_buckets)
{
	return (uint32_t)(((uint64_t)hash * n_buckets) >> 32);
}

/* The slot of a bucket in which a key lies unless it was taken: a hint. */
SLUICE_INLINE uint32_t sluice_exact_home(uint32_t hash)
{
	return hash % SLUICE_BUCKET_SLOTS;
}

/* The other bucket of a hash; differs from the first when there are two. */
SLUICE_INLINE uint32_t sluice_exact_bucket2(uint32_t hash, uint32_t n_buckets)
{
	uint32_t b1 = sluice_exact_bucket1(hash, n_buckets);
	uint32_t b2 = sluice_exact_bucket1(hash * 0x9e3779b1u, n_buckets);

	if (b2 == b1)
		b2 = b1 + 1 < n_buckets ? b1 + 1 : 0;
	return b2;
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

/* Does this entry hold the key, and did it throughout the comparison? */
SLUICE_INLINE bool sluice_entry_is(const uint8_t *entry, const uint64_t *key,
				   uint32_t key_len)
{
	const uint64_t *head = (const uint64_t *)entry;
	const uint64_t *words = sluice_entry_key(entry);
	uint64_t before = sluice_load64_acquire(head); /* [exact-head] */
	uint64_t diff = ~before & SLUICE_ENTRY_LIVE;

	for (uint32_t i = 0; i < key_len / 8; i++)
		/* [exact-head] */
		diff |= sluice_load64_acquire(&words[i]) ^ key[i];
	diff |= sluice_load64_relaxed(head) ^ before;
	return !diff;
}

/* The entry of a slot if it is the key's; else NULL. */
SLUICE_INLINE uint8_t *sluice_slot_find_(const struct sluice_exact_view *v,
					 const uint64_t *slot, uint32_t hash,
					 const uint64_t *key, uint32_t key_len)
{
	uint64_t s = sluice_load64_acquire(slot); /* [exact-slot] */
	uint32_t idx = (uint32_t)s - 1;
	uint8_t *e;

	/* An empty slot gives the largest idx: outside, like a lie. */
	if (s >> 32 != hash || idx >= v->n_entries)
		return NULL;
	e = sluice_exact_entry(v, idx);
	return sluice_entry_is(e, key, key_len) ? e : NULL;
}

/* One look at one bucket. Returns the entry, or NULL. */
SLUICE_INLINE uint8_t *sluice_bucket_find(const struct sluice_exact_view *v,
					  uint32_t bucket, uint32_t hash,
					  const uint64_t *key, uint32_t key_len)
{
	const uint64_t *slots = v->buckets + (uint64_t)bucket * 8;
	uint8_t *e = NULL;

#ifdef __bpf__
	uint64_t hit = sluice_bucket_hit_(slots, hash);

	if (!hit)
		return NULL;
	e = sluice_slot_find_(v, &slots[(hit - 1) & 7], hash, key, key_len);
	/* Several have this hash, or it changed: look at one after the other. */
#endif
	for (uint32_t i = 0; !e && i < SLUICE_BUCKET_SLOTS; i++)
		e = sluice_slot_find_(v, &slots[i], hash, key, key_len);
	return e;
}

/*
 * Finds the entry of a key. Wait-free. Give key_len as a constant: the loops
 * then unroll; it must equal v->key_len.
 *
 * entry    the entry on SLUICE_YES, else of no meaning. It may be counted into until the reader's
 *          next quiescent state; who has none copies with sluice_exact_get().
 */
SLUICE_INLINE enum sluice_found
sluice_exact_find(const struct sluice_exact_view *v, const void *key,
		  uint32_t key_len, uint8_t **entry)
{
	uint32_t hash = sluice_exact_hash(v->table->hash_keys, key, key_len);
	uint32_t b1 = sluice_exact_bucket1(hash, v->n_buckets);
	uint32_t b2 = sluice_exact_bucket2(hash, v->n_buckets);

	*entry = sluice_slot_find_(
		v, &v->buckets[(uint64_t)b1 * 8 + sluice_exact_home(hash)],
		hash, key, key_len);
	if (*entry)
		return SLUICE_YES;
#ifdef __bpf__
	/* BPF knows no prefetch; a load that nobody waits for is one. */
	(void)sluice_load64_relaxed(&v->buckets[(uint64_t)b2 * 8]);
#endif
	for (uint32_t i = 0; i < SLUICE_EXACT_TRIES; i++) {
		/* [exact-change] */
		uint64_t before = sluice_load64_acquire(&v->table->n_changes);
		uint8_t *e = sluice_bucket_find(v, b1, hash, key, key_len);

		if (!e)
			e = sluice_bucket_find(v, b2, hash, key, key_len);
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
 * Finds a key and copies its value (value_len bytes, a multiple of 8, at most
 * the table's). For readers without quiescent states. Busy also when the entry
 * was reused at every try.
 */
SLUICE_INLINE enum sluice_found
sluice_exact_get(const struct sluice_exact_view *v, const void *key,
		 uint32_t key_len, uint64_t *value, uint32_t value_len)
{
	for (uint32_t i = 0; i < SLUICE_EXACT_TRIES; i++) {
		uint8_t *e;
		enum sluice_found f = sluice_exact_find(v, key, key_len, &e);
		const uint64_t *from;
		uint64_t head;

		if (f != SLUICE_YES)
			return f;
		from = sluice_entry_value(e, key_len);
		head = sluice_load64_acquire((uint64_t *)e); /* [exact-head] */
		for (uint32_t j = 0; j < value_len / 8; j++)
			/* [exact-head] */
			value[j] = sluice_load64_acquire(&from[j]);
		/* The key again: the entry may have changed hands before head. */
		if (sluice_entry_is(e, key, key_len) &&
		    sluice_load64_relaxed((uint64_t *)e) == head)
			return SLUICE_YES;
	}
	return SLUICE_BUSY;
}

#endif
