/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region/fsck_exact - is an exact table whole?
 *
 * Every slot that is not empty names an entry that is not dead, under one of
 * the two buckets of its key, and no other slot names that entry; every entry
 * that is not dead is named by a slot; the table's count is right.
 *
 * A writer at work is told from damage by n_changes, which grows around every
 * removal and move: a slot or an entry is found guilty when it looks the same
 * and wrong in a look during which nothing changed.
 */
#include "region/fsck.h"

#include <errno.h>
#include <stdlib.h>

#include "sluice/exact.h"
#include "sluice/version.h"

struct exact_check {
	struct fsck *f;
	const struct sluice_exact_view *v;
	uint64_t *seen; /* a bit for each entry that a slot names */
};

static uint64_t n_changes(const struct exact_check *c)
{
	/* [exact-change] */
	return sluice_load64_acquire(&c->v->table->n_changes);
}

static uint64_t head_of(const struct exact_check *c, uint32_t idx)
{
	/* [exact-head] */
	return sluice_load64_acquire((uint64_t *)sluice_exact_entry(c->v, idx));
}

static uint32_t hash_of(const struct exact_check *c, uint32_t idx)
{
	uint64_t key[SLUICE_KEY_LEN_MAX / 8];
	const uint64_t *words = sluice_entry_key(sluice_exact_entry(c->v, idx));

	for (uint32_t i = 0; i < c->v->key_len / 8; i++)
		key[i] = sluice_load64_acquire(&words[i]); /* [exact-head] */
	return sluice_exact_hash(c->v->table->hash_keys, key, c->v->key_len);
}

static bool is_bucket_of(const struct exact_check *c, uint32_t hash,
			 uint32_t bucket)
{
	return bucket == sluice_exact_bucket1(hash, c->v->n_buckets) ||
	       bucket == sluice_exact_bucket2(hash, c->v->n_buckets);
}

/* How many slots of a bucket name an entry. */
static uint32_t n_names(const struct exact_check *c, uint32_t bucket,
			uint32_t idx)
{
	const uint64_t *slots = c->v->buckets + (uint64_t)bucket * 8;
	uint32_t n = 0;

	for (uint32_t i = 0; i < SLUICE_BUCKET_SLOTS; i++)
		/* [exact-slot] */
		n += (uint32_t)sluice_load64_acquire(&slots[i]) == idx + 1;
	return n;
}

/* In how many slots of its key's two buckets an entry is. */
static uint32_t n_places(const struct exact_check *c, uint32_t idx)
{
	uint32_t hash = hash_of(c, idx);

	return n_names(c, sluice_exact_bucket1(hash, c->v->n_buckets), idx) +
	       n_names(c, sluice_exact_bucket2(hash, c->v->n_buckets), idx);
}

/* What is wrong with a slot's word; NULL: nothing. */
static const char *slot_fault(const struct exact_check *c, uint64_t slot,
			      uint32_t bucket)
{
	uint32_t idx = (uint32_t)slot - 1;
	uint32_t hash = (uint32_t)(slot >> 32);

	if (idx >= c->v->n_entries)
		return "names an entry that is not there";
	if (sluice_head_state(head_of(c, idx)) == SLUICE_ENTRY_DEAD)
		return "names a dead entry";
	if (hash_of(c, idx) != hash)
		return "has not the hash of its entry's key";
	if (!is_bucket_of(c, hash, bucket))
		return "is in a bucket that is not its key's";
	if (n_places(c, idx) > 1)
		return "is not the only one that names its entry";
	return NULL;
}

/* A writer that dies in a move, a set or a delete leaves no worse. */
static bool may_be_left(const struct exact_check *c, uint64_t slot,
			uint32_t bucket)
{
	return (uint32_t)slot - 1 < c->v->n_entries &&
	       is_bucket_of(c, (uint32_t)(slot >> 32), bucket);
}

static void check_slot(struct exact_check *c, uint32_t bucket, uint32_t i)
{
	const uint64_t *at = c->v->buckets + (uint64_t)bucket * 8 + i;
	const char *fault = NULL;
	uint64_t slot = 0;

	for (uint32_t try = 0; try <= FSCK_TRIES; try++) {
		uint64_t before = n_changes(c);
		uint32_t idx;

		slot = sluice_load64_acquire(at); /* [exact-slot] */
		idx = (uint32_t)slot - 1;
		fault = slot ? slot_fault(c, slot, bucket) : NULL;
		if (slot && !fault)
			c->seen[idx / 64] |= 1ull << (idx % 64);
		if (!fault)
			return;
		if (try == FSCK_TRIES && n_changes(c) == before)
			break;
		fault = NULL;
		fsck_wait(c->f, try);
	}
	if (!fault)
		return;
	if (may_be_left(c, slot, bucket))
		fsck_left(c->f, "slot %u of bucket %u %s", i, bucket, fault);
	else
		fsck_wrong(c->f, "slot %u of bucket %u %s", i, bucket, fault);
}

/* An entry that is not dead, but that no slot named when we passed. */
static void check_unseen(struct exact_check *c, uint32_t idx)
{
	bool is_lost = false;

	for (uint32_t try = 0; try <= FSCK_TRIES; try++) {
		uint64_t before = n_changes(c);
		uint64_t head = head_of(c, idx);

		if (sluice_head_state(head) == SLUICE_ENTRY_DEAD)
			return;
		if (n_places(c, idx)) {
			fsck_count(c->f, head);
			return;
		}
		/* An insert writes the entry first and counts no change. */
		is_lost = n_changes(c) == before && head_of(c, idx) == head;
		fsck_wait(c->f, try);
	}
	if (is_lost)
		fsck_left(c->f, "entry %u is in no slot", idx);
}

/* Entries that are there in the newest version, settled or not. */
static uint64_t n_newest(const struct exact_check *c)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < c->v->n_entries; i++) {
		uint32_t state = sluice_head_state(head_of(c, i));

		n += state == SLUICE_ENTRY_LIVE || state == SLUICE_ENTRY_BORN;
	}
	return n;
}

/* The count lags while a writer works, and when it died at it. */
static void check_count(struct exact_check *c)
{
	const uint64_t *at = &c->v->table->n_used;
	uint64_t used = 0, n = 0;

	for (uint32_t try = 0; try <= FSCK_TRIES; try++) {
		uint64_t before = n_changes(c);

		used = sluice_load64_relaxed(at);
		n = n_newest(c);
		if (used == n)
			return;
		if (n_changes(c) != before || sluice_load64_relaxed(at) != used)
			used = n;
		fsck_wait(c->f, try);
	}
	/* Who adopts may die before it says its count. */
	if (used != n)
		fsck_left(c->f, "%llu entries are counted, there are %llu",
			  (unsigned long long)used, (unsigned long long)n);
}

int region_fsck_exact(struct fsck *f)
{
	struct exact_check c = {f, &f->shape->views[f->table], NULL};
	struct sluice_fsck_table *out = f->out;

	c.seen = calloc(c.v->n_entries / 64 + 1, sizeof(*c.seen));
	if (!c.seen)
		return -ENOMEM;
	for (uint32_t b = 0; b < c.v->n_buckets; b++)
		for (uint32_t i = 0; i < SLUICE_BUCKET_SLOTS; i++)
			check_slot(&c, b, i);
	for (uint32_t i = 0; i < c.v->n_entries; i++) {
		uint64_t head = head_of(&c, i);

		if (sluice_head_state(head) == SLUICE_ENTRY_DEAD)
			continue;
		if (c.seen[i / 64] >> (i % 64) & 1)
			fsck_count(f, head);
		else
			check_unseen(&c, i);
	}
	check_count(&c);
	out->used_len =
		sizeof(struct sluice_exact) + (uint64_t)c.v->n_buckets * 64 +
		(out->n_live + out->n_born + out->n_dying) * c.v->entry_len;
	free(c.seen);
	return 0;
}
