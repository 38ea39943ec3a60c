/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_EXACT_BATCH_H
#define SLUICE_EXACT_BATCH_H

/*
 * sluice/exact_batch - finding up to 32 keys at once
 *
 * What sluice_exact_find() answers, for a batch of keys whose memory is fetched
 * together. A batch goes through four steps, and between two steps its memory
 * is on the way:
 *
 *     start    hash the keys           fetch their first buckets
 *     scan1    look into these         fetch entries, or else second buckets
 *     scan2    look into the latter    fetch entries
 *     answer   compare the keys
 *
 * sluice_exact_find_batch() does the four in a row and so waits three times for
 * all of its keys; sluice/exact_pipe.h has several batches under way. Host only.
 * Promises, and the ways of the writer, are those of sluice/exact.h.
 */

#include "sluice/exact_hits.h"

#define SLUICE_EXACT_BATCH 32u
#define SLUICE_EXACT_FAR_ (1u << 16) /* buckets; more do not fit in caches */

struct sluice_exact_answers {
	uint32_t n;    /* keys */
	uint32_t yes;  /* bit i: key i is stored, in entries[i] */
	uint32_t busy; /* bit i: changes kept overtaking key i; see find */
	uint8_t *entries[SLUICE_EXACT_BATCH]; /* NULL unless yes */
};

/* A batch on its way; private to this header and sluice/exact_pipe.h. */
struct sluice_exact_batch {
	const uint64_t *keys;
	uint64_t before; /* n_changes at the start */
	uint32_t n;
	uint32_t version;
	uint32_t n_late;
	uint32_t none; /* bit i: no slot of key i's hash was seen */
	uint32_t hashes[SLUICE_EXACT_BATCH];
	uint8_t late[SLUICE_EXACT_BATCH]; /* keys not in their first bucket */
	/* Where key i is looked for next: a bucket, then an entry. */
	uint8_t *at[SLUICE_EXACT_BATCH];
};

SLUICE_INLINE const uint64_t *
sluice_exact_bucket_(const struct sluice_exact_view *v, uint32_t bucket)
{
	return v->buckets + (uint64_t)bucket * SLUICE_BUCKET_SLOTS;
}

/*
 * The entry that the first slot of this hash names; any entry, if there is no
 * such slot or it lies. Branch-free: where a key is nobody can predict.
 */
SLUICE_INLINE uint8_t *sluice_exact_look_(const struct sluice_exact_view *v,
					  const uint64_t *slots, uint32_t hash,
					  bool *none)
{
	uint32_t hits = sluice_bucket_hits(slots, hash);
	/* [exact-slot] */
	uint64_t s = sluice_load64_acquire(&slots[__builtin_ctz(hits | 128)]);
	uint32_t idx = (uint32_t)s - 1;

	*none = !hits;
	return sluice_exact_entry(v, idx < v->n_entries ? idx : 0);
}

/*
 * The first step; keys, n and version are set. With both, second buckets are
 * fetched as well: more memory is read, but scan2 need not wait.
 */
SLUICE_INLINE void sluice_exact_start_(const struct sluice_exact_view *view,
				       struct sluice_exact_batch *b,
				       uint32_t key_len, bool both)
{
	struct sluice_exact_view v = *view;
	const uint64_t *key = b->keys;
	uint32_t n = b->n;

	/* [exact-change] */
	b->before = sluice_load64_acquire(&v.table->n_changes);
	for (uint32_t i = 0; i < n; i++, key += key_len / 8) {
		uint32_t hash =
			sluice_exact_hash(v.table->hash_keys, key, key_len);

		b->hashes[i] = hash;
		b->at[i] = (uint8_t *)(uintptr_t)sluice_exact_bucket_(
			&v, sluice_exact_bucket1(hash, v.n_buckets));
		__builtin_prefetch(b->at[i]);
		if (both)
			__builtin_prefetch(sluice_exact_bucket_(
				&v, sluice_exact_bucket2(hash, v.n_buckets)));
	}
}

SLUICE_INLINE void sluice_exact_fetch_(const struct sluice_exact_view *v,
				       const uint8_t *entry)
{
	__builtin_prefetch(entry);
	if (v->entry_len > SLUICE_CACHE_LINE)
		__builtin_prefetch(entry + SLUICE_CACHE_LINE);
}

SLUICE_INLINE void sluice_exact_scan1_(const struct sluice_exact_view *view,
				       struct sluice_exact_batch *b)
{
	struct sluice_exact_view v = *view; /* what nothing here aliases */
	uint32_t n = b->n;
	uint32_t n_late = 0;

	for (uint32_t i = 0; i < n; i++) {
		bool none;

		b->at[i] = sluice_exact_look_(&v, (const uint64_t *)b->at[i],
					      b->hashes[i], &none);
		sluice_exact_fetch_(&v, b->at[i]);
		b->late[n_late] = (uint8_t)i;
		n_late += none;
	}
	for (uint32_t j = 0; j < n_late; j++) {
		uint32_t i = b->late[j];

		b->at[i] = (uint8_t *)(uintptr_t)sluice_exact_bucket_(
			&v, sluice_exact_bucket2(b->hashes[i], v.n_buckets));
		__builtin_prefetch(b->at[i]);
	}
	b->n_late = n_late;
	SLUICE_SLOTS_READ_();
}

SLUICE_INLINE void sluice_exact_scan2_(const struct sluice_exact_view *view,
				       struct sluice_exact_batch *b)
{
	struct sluice_exact_view v = *view;
	uint32_t n_late = b->n_late;

	b->none = 0;
	for (uint32_t j = 0; j < n_late; j++) {
		uint32_t i = b->late[j];
		bool none;

		b->at[i] = sluice_exact_look_(&v, (const uint64_t *)b->at[i],
					      b->hashes[i], &none);
		sluice_exact_fetch_(&v, b->at[i]);
		b->none |= (uint32_t)none << i;
	}
	SLUICE_SLOTS_READ_();
}

/*
 * Looks again, one by one, for keys that were not found. There is no doubt about
 * a key of whose hash no slot was seen while nothing changed; but about others:
 * two keys of one hash, a move, an entry of a change set that is not settled, and
 * hash 0, which empty slots look like.
 */
SLUICE_INLINE void sluice_exact_doubt_(const struct sluice_exact_view *v,
				       const struct sluice_exact_batch *b,
				       uint32_t key_len,
				       struct sluice_exact_answers *out)
{
	uint32_t left = ~out->yes & (uint32_t)((1ull << b->n) - 1);
	/* [exact-change] */
	bool same = sluice_load64_relaxed(&v->table->n_changes) == b->before;

	for (; left; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(left);
		enum sluice_found f = SLUICE_NO;

		if (!same || !(b->none >> i & 1))
			f = sluice_exact_find(v, b->version,
					      b->keys +
						      (size_t)i * (key_len / 8),
					      key_len, &out->entries[i]);
		if (f != SLUICE_YES)
			out->entries[i] = NULL;
		out->yes |= (uint32_t)(f == SLUICE_YES) << i;
		out->busy |= (uint32_t)(f == SLUICE_BUSY) << i;
	}
}

/*
 * Is this a live entry of the key, as nearly all are? Asks for no version, so
 * it costs what it would if there were none. What it denies is in doubt.
 */
SLUICE_INLINE bool sluice_entry_is_live_(const uint8_t *entry,
					 const uint64_t *key, uint32_t key_len)
{
	const uint64_t *head = (const uint64_t *)entry;
	const uint64_t *words = sluice_entry_key(entry);
	uint64_t before = sluice_load64_acquire(head); /* [exact-head] */
	uint64_t diff = (before & SLUICE_ENTRY_STATE) ^ SLUICE_ENTRY_LIVE;

	for (uint32_t i = 0; i < key_len / 8; i++)
		/* [exact-head] */
		diff |= sluice_load64_acquire(&words[i]) ^ key[i];
	diff |= sluice_load64_relaxed(head) ^ before;
	return !diff;
}

SLUICE_INLINE void sluice_exact_answer_(const struct sluice_exact_view *v,
					const struct sluice_exact_batch *b,
					uint32_t key_len,
					struct sluice_exact_answers *out)
{
	uint32_t yes = 0;

	out->n = b->n;
	out->busy = 0;
	for (uint32_t i = 0; i < b->n; i++) {
		const uint64_t *key = b->keys + (size_t)i * (key_len / 8);

		out->entries[i] = b->at[i];
		yes |= (uint32_t)sluice_entry_is_live_(b->at[i], key, key_len)
		       << i;
	}
	out->yes = yes & ~b->none;
	if (out->yes != (uint32_t)((1ull << b->n) - 1))
		sluice_exact_doubt_(v, b, key_len, out);
}

SLUICE_INLINE void sluice_exact_find_batch_(const struct sluice_exact_view *v,
					    struct sluice_exact_batch *b,
					    uint32_t key_len,
					    struct sluice_exact_answers *out)
{
	sluice_exact_start_(v, b, key_len, v->n_buckets > SLUICE_EXACT_FAR_);
	sluice_exact_scan1_(v, b);
	sluice_exact_scan2_(v, b);
	sluice_exact_answer_(v, b, key_len, out);
}

/*
 * Finds n keys, at most SLUICE_EXACT_BATCH, at one version. Wait-free. Who knows
 * the keys' length sets it in the view: code for it alone is then compiled.
 *
 * keys     n keys, v->key_len bytes each, one behind the other, 8-byte aligned
 * out      all of it is set
 */
SLUICE_INLINE void sluice_exact_find_batch(const struct sluice_exact_view *v,
					   uint32_t version, const void *keys,
					   uint32_t n,
					   struct sluice_exact_answers *out)
{
	struct sluice_exact_batch b;

	b.keys = keys;
	b.n = n;
	b.version = version;
	switch (v->key_len) {
	case 16:
		sluice_exact_find_batch_(v, &b, 16, out);
		break;
	case 40:
		sluice_exact_find_batch_(v, &b, 40, out);
		break;
	case 64:
		sluice_exact_find_batch_(v, &b, 64, out);
		break;
	default:
		sluice_exact_find_batch_(v, &b, v->key_len, out);
	}
}

#endif
