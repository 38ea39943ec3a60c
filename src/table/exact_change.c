/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/exact_change - setting and deleting keys
 *
 * Every function here is a sequence of single stores; a writer killed between
 * any two of them leaves what sluice/exact.h promises. Batches are the single
 * operations in turn, after their memory has been asked for.
 */
#include "table/exact_private.h"

#include <errno.h>

uint64_t *exact_empty(const struct table_exact *t, uint32_t bucket,
		      uint32_t hash)
{
	uint64_t *slots = exact_slots(t, bucket);
	uint32_t home = sluice_exact_home(hash);
	uint32_t empty = 0;

	for (uint32_t i = 0; i < SLUICE_BUCKET_SLOTS; i++)
		empty |= (uint32_t)(slots[i] == 0) << i;
	if (!empty)
		return NULL;
	return &slots[empty >> home & 1 ? home
					: (uint32_t)__builtin_ctz(empty)];
}

void exact_spare_push(struct exact_spare *s, uint32_t idx)
{
	s->ring[s->rest_at] = idx;
	s->rest_at = s->rest_at + 1 == s->len ? 0 : s->rest_at + 1;
	s->rested++;
}

/* There is one. */
static uint32_t spare_take(struct exact_spare *s)
{
	uint32_t idx = s->ring[s->take_at];

	s->take_at = s->take_at + 1 == s->len ? 0 : s->take_at + 1;
	s->taken++;
	return idx;
}

void exact_rest(struct table_exact *t, uint32_t idx)
{
	uint64_t *head = (uint64_t *)sluice_exact_entry(&t->view, idx);

	/* [exact-head] Live of this generation + 1: dead of the next. */
	exact_put(head, *head + 1);
	exact_spare_push(&t->spare, idx);
}

/* Takes an entry and fills it; nobody finds it yet. */
static uint32_t entry_new(struct table_exact *t, const uint64_t *key,
			  const uint64_t *value)
{
	uint32_t idx = spare_take(&t->spare);
	uint64_t *head = (uint64_t *)sluice_exact_entry(&t->view, idx);
	uint64_t *word = head + 1;

	for (uint32_t i = 0; i < t->view.key_len / 8; i++)
		exact_put(word++, key[i]); /* [exact-head] */
	for (uint32_t i = 0; i < t->value_len / 8; i++)
		exact_put(word++, value[i]); /* [exact-head] */
	exact_put(head, *head | SLUICE_ENTRY_LIVE);
	return idx;
}

static uint64_t slot_word(uint32_t hash, uint32_t idx)
{
	return (uint64_t)hash << 32 | (idx + 1);
}

static uint32_t slot_idx(const uint64_t *slot)
{
	return (uint32_t)*slot - 1;
}

/* The slot of a key in one bucket, or NULL. */
static uint64_t *bucket_slot(const struct table_exact *t, uint32_t bucket,
			     uint32_t hash, const uint64_t *key)
{
	uint64_t *slots = exact_slots(t, bucket);
	uint32_t hits = sluice_bucket_hits(slots, hash);

	for (; hits; hits &= hits - 1) {
		uint64_t *slot = &slots[__builtin_ctz(hits)];
		uint32_t idx = slot_idx(slot);

		if (idx < t->view.n_entries &&
		    sluice_entry_is(sluice_exact_entry(&t->view, idx), key,
				    t->view.key_len))
			return slot;
	}
	return NULL;
}

static uint64_t *key_slot(const struct table_exact *t, uint32_t hash,
			  const uint64_t *key)
{
	uint32_t n = t->view.n_buckets;
	uint64_t *slot =
		bucket_slot(t, sluice_exact_bucket1(hash, n), hash, key);

	if (slot)
		return slot;
	return bucket_slot(t, sluice_exact_bucket2(hash, n), hash, key);
}

/* A slot that may be overwritten, under the key's buckets; or NULL. */
static uint64_t *room(struct table_exact *t, uint32_t hash)
{
	uint32_t n = t->view.n_buckets;
	uint64_t *slot = exact_empty(t, sluice_exact_bucket1(hash, n), hash);

	if (!slot)
		slot = exact_empty(t, sluice_exact_bucket2(hash, n), hash);
	if (!slot)
		slot = exact_path_clear(t, hash);
	return slot;
}

static int set_hashed(struct table_exact *t, const void *key, const void *value,
		      uint32_t hash, uint8_t **entry)
{
	uint64_t *slot = key_slot(t, hash, key);
	uint32_t old = 0;
	bool is_new = !slot;
	uint32_t idx;

	if (t->spare.taken == t->spare.freed ||
	    (is_new && t->n_used == t->n_max))
		return -ENOSPC;
	if (is_new)
		slot = room(t, hash);
	else
		old = slot_idx(slot);
	if (!slot)
		return -ENOSPC;
	idx = entry_new(t, key, value);
	exact_put(slot, slot_word(hash, idx)); /* [exact-slot] */
	if (is_new) {
		exact_set_n_used(t, t->n_used + 1);
	} else {
		exact_changed(t); /* [exact-change] before old is used again */
		exact_rest(t, old);
	}
	if (entry)
		*entry = sluice_exact_entry(&t->view, idx);
	return 0;
}

int table_exact_set(struct table_exact *t, const void *key, const void *value,
		    uint8_t **entry)
{
	return set_hashed(t, key, value, exact_hash(t, key), entry);
}

static bool del_hashed(struct table_exact *t, const void *key, uint32_t hash)
{
	uint64_t *slot = key_slot(t, hash, key);
	uint32_t idx;

	if (!slot)
		return false;
	idx = slot_idx(slot);
	exact_changed(t);
	exact_put(slot, 0);
	exact_rest(t, idx);
	exact_set_n_used(t, t->n_used - 1);
	return true;
}

bool table_exact_del(struct table_exact *t, const void *key)
{
	return del_hashed(t, key, exact_hash(t, key));
}

/* Hashes n keys and asks for the memory of their buckets. */
static void fetch_buckets(const struct table_exact *t, const uint8_t *keys,
			  uint32_t n, uint32_t *hashes)
{
	uint32_t n_buckets = t->view.n_buckets;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t h = exact_hash(t, keys + (size_t)i * t->view.key_len);

		hashes[i] = h;
		__builtin_prefetch(exact_slots(t,
					       sluice_exact_bucket1(h,
								    n_buckets)),
				   1);
		__builtin_prefetch(exact_slots(t,
					       sluice_exact_bucket2(h,
								    n_buckets)),
				   1);
	}
}

/* Asks for the memory of the entries that will be taken next. */
static void fetch_spare(const struct table_exact *t, uint32_t n)
{
	const struct exact_spare *s = &t->spare;
	uint32_t at = s->take_at;

	for (uint32_t i = 0; i < n; i++) {
		uint8_t *entry = sluice_exact_entry(&t->view, s->ring[at]);

		for (uint32_t l = 0; l < t->view.entry_len; l += CACHE_LINE)
			__builtin_prefetch(entry + l, 1);
		at = at + 1 == s->len ? 0 : at + 1;
	}
}

/*
 * Asks for the memory of the entries that seem to hold these keys; not where a
 * cache holds them all, for looking twice costs more there.
 */
static void fetch_entries(const struct table_exact *t, const uint32_t *hashes,
			  uint32_t n)
{
	if (t->view.n_buckets < 1024)
		return;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t h = hashes[i];
		const uint64_t *slots =
			exact_slots(t,
				    sluice_exact_bucket1(h, t->view.n_buckets));
		uint32_t hits = sluice_bucket_hits(slots, h);

		if (!hits) {
			slots = exact_slots(
				t, sluice_exact_bucket2(h, t->view.n_buckets));
			hits = sluice_bucket_hits(slots, h);
		}
		if (hits)
			__builtin_prefetch(
				sluice_exact_entry(
					&t->view,
					slot_idx(&slots[__builtin_ctz(hits)])),
				1);
	}
}

uint32_t table_exact_set_batch(struct table_exact *t, const void *keys,
			       const void *values, uint32_t n)
{
	const uint8_t *key = keys;
	const uint8_t *value = values;
	uint32_t hashes[TABLE_EXACT_BATCH] = {0};
	uint32_t i;

	fetch_buckets(t, keys, n, hashes);
	fetch_spare(t, n);
	fetch_entries(t, hashes, n);
	for (i = 0; i < n; i++) {
		if (set_hashed(t, key, value, hashes[i], NULL))
			break;
		key += t->view.key_len;
		value += t->value_len;
	}
	return i;
}

uint32_t table_exact_del_batch(struct table_exact *t, const void *keys,
			       uint32_t n)
{
	const uint8_t *key = keys;
	uint32_t hashes[TABLE_EXACT_BATCH] = {0};
	uint32_t n_there = 0;

	fetch_buckets(t, keys, n, hashes);
	fetch_entries(t, hashes, n);
	for (uint32_t i = 0; i < n; i++) {
		n_there += del_hashed(t, key, hashes[i]);
		key += t->view.key_len;
	}
	return n_there;
}
