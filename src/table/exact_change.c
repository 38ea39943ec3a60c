/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/exact_change - setting and deleting keys
 *
 * What is set or deleted here is true at once, for readers of all versions; of
 * what an unsettled change set did to the key nothing stays (sets: exact_step.c).
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

void exact_spare_untake(struct exact_spare *s, uint32_t idx)
{
	s->take_at = s->take_at ? s->take_at - 1 : s->len - 1;
	s->ring[s->take_at] = idx;
	s->taken--;
}

void exact_rest(struct table_exact *t, uint32_t idx)
{
	uint64_t *head = exact_head(t, idx);

	exact_put(head, sluice_head_dead(*head)); /* [exact-head] */
	exact_spare_push(&t->spare, idx);
}

uint32_t exact_entry_new(struct table_exact *t, const void *key,
			 const void *value, uint64_t state)
{
	uint32_t idx = spare_take(&t->spare);
	const uint64_t *key_words = key;
	const uint64_t *value_words = value;
	uint64_t *head = exact_head(t, idx);
	uint64_t *word = head + 1;

	for (uint32_t i = 0; i < t->view.key_len / 8; i++)
		exact_put(word++, key_words[i]); /* [exact-head] */
	for (uint32_t i = 0; i < t->value_len / 8; i++)
		exact_put(word++, value_words[i]); /* [exact-head] */
	exact_put(head, (*head & SLUICE_ENTRY_GENERATION) | state);
	return idx;
}

/* Has the entry, in whatever state, this key? */
static inline bool has_key(const struct table_exact *t, uint32_t idx,
			   const uint64_t *key)
{
	const uint64_t *words = exact_head(t, idx) + 1;
	uint64_t diff = 0;

	for (uint32_t i = 0; i < t->view.key_len / 8; i++)
		diff |= words[i] ^ key[i];
	return !diff;
}

/* Notes the slots of a key in one bucket. True: there are no others. */
static inline bool bucket_places(const struct table_exact *t, uint32_t bucket,
				 uint32_t hash, const uint64_t *key,
				 struct exact_places *out)
{
	uint64_t *slots = exact_slots(t, bucket);
	uint32_t hits = sluice_bucket_hits(slots, hash);

	for (; hits; hits &= hits - 1) {
		uint64_t *slot = &slots[__builtin_ctz(hits)];
		uint32_t idx = (uint32_t)sluice_load64_relaxed(slot) - 1;
		uint32_t state;

		if (idx >= t->view.n_entries || !has_key(t, idx, key))
			continue;
		state = sluice_head_state(*exact_head(t, idx));
		if (state == SLUICE_ENTRY_DYING)
			out->dying = (struct exact_place){slot, idx};
		else if (state != SLUICE_ENTRY_DEAD)
			out->now = (struct exact_place){slot, idx};
		if (state == SLUICE_ENTRY_LIVE)
			return true;
	}
	return false;
}

void exact_places(const struct table_exact *t, uint32_t hash,
		  const uint64_t *key, struct exact_places *out)
{
	uint32_t n = t->view.n_buckets;

	*out = (struct exact_places){0};
	/* Beside a live entry its key has no other. */
	if (!bucket_places(t, sluice_exact_bucket1(hash, n), hash, key, out))
		bucket_places(t, sluice_exact_bucket2(hash, n), hash, key, out);
}

uint64_t *exact_room(struct table_exact *t, uint32_t hash)
{
	uint32_t n = t->view.n_buckets;
	uint64_t *slot = exact_empty(t, sluice_exact_bucket1(hash, n), hash);

	if (!slot)
		slot = exact_empty(t, sluice_exact_bucket2(hash, n), hash);
	if (!slot)
		slot = exact_path_clear(t, hash);
	return slot;
}

/* After a change was counted. */
static void clear(struct table_exact *t, const struct exact_place *at)
{
	exact_put(at->slot, 0);
	exact_rest(t, at->idx);
}

/*
 * The new entry takes the slot of the one that it replaces, or else of one that
 * dies, or else an empty one.
 */
static int set_hashed(struct table_exact *t, const void *key, const void *value,
		      uint32_t hash, uint8_t **entry)
{
	struct exact_places at;
	struct exact_place *old;
	uint64_t *slot;
	uint32_t idx;

	exact_places(t, hash, key, &at);
	if (t->spare.taken == t->spare.freed ||
	    (!at.now.slot && t->n_used == t->n_max))
		return -ENOSPC;
	old = at.now.slot ? &at.now : &at.dying;
	slot = old->slot ? old->slot : exact_room(t, hash);
	if (!slot)
		return -ENOSPC;
	idx = exact_entry_new(t, key, value, SLUICE_ENTRY_LIVE);
	exact_put(slot, exact_slot_word(hash, idx)); /* [exact-slot] */
	if (old->slot) {
		exact_changed(t); /* [exact-change] before old is used again */
		exact_rest(t, old->idx);
	}
	if (at.now.slot && at.dying.slot)
		clear(t, &at.dying);
	if (!at.now.slot)
		exact_set_n_used(t, t->n_used + 1);
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
	struct exact_places at;

	exact_places(t, hash, key, &at);
	if (!at.now.slot)
		return false;
	exact_changed(t);
	if (at.dying.slot)
		clear(t, &at.dying);
	clear(t, &at.now);
	exact_set_n_used(t, t->n_used - 1);
	return true;
}

uint8_t *table_exact_find(struct table_exact *t, const void *key)
{
	struct exact_places at;

	exact_places(t, exact_hash(t, key), key, &at);
	return at.now.slot ? (uint8_t *)exact_head(t, at.now.idx) : NULL;
}

bool table_exact_del(struct table_exact *t, const void *key)
{
	return del_hashed(t, key, exact_hash(t, key));
}

void exact_fetch_buckets(const struct table_exact *t, const uint8_t *keys,
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

void exact_fetch_entries(const struct table_exact *t, const uint32_t *hashes,
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
					(uint32_t)slots[__builtin_ctz(hits)] -
						1),
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

	exact_fetch_buckets(t, keys, n, hashes);
	fetch_spare(t, n);
	exact_fetch_entries(t, hashes, n);
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

	exact_fetch_buckets(t, keys, n, hashes);
	exact_fetch_entries(t, hashes, n);
	for (uint32_t i = 0; i < n; i++) {
		n_there += del_hashed(t, key, hashes[i]);
		key += t->view.key_len;
	}
	return n_there;
}
