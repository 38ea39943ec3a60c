/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/exact_adopt - taking over the table of a dead writer
 *
 * The slots are the truth: an entry is in the table if a slot names it that is
 * one of the two places of its key. What a killed writer can leave besides is
 * an entry named by two slots (a move was cut), a live entry named by none (a
 * set or a delete was cut), and a count that is off. Readers may look on
 * all the time, so this keeps to the order of sluice/exact.h, and may be killed
 * itself.
 *
 * Of change sets the region's version tells which are true. Readers that were
 * in a section when the writer died have left it, so all work with that version:
 * to settle, or to take back, is nothing that they could see.
 *
 * Dead entries rest at first if they were ever used: readers may hold them.
 */
#include "table/exact_private.h"

#include <errno.h>
#include <stdlib.h>

#define AHEAD 4u /* buckets whose entries are asked for in advance */

/* Is this the place of an entry that stays, and may it be found here? */
static bool is_place(const struct table_exact *t, uint32_t version,
		     uint64_t slot, uint32_t bucket)
{
	uint32_t hash = (uint32_t)(slot >> 32);
	uint32_t idx = (uint32_t)slot - 1;
	const uint64_t *head;

	if (idx >= t->view.n_entries)
		return false;
	head = exact_head(t, idx);
	return sluice_head_visible(*head, version) &&
	       exact_hash(t, head + 1) == hash &&
	       (sluice_exact_bucket1(hash, t->view.n_buckets) == bucket ||
		sluice_exact_bucket2(hash, t->view.n_buckets) == bucket);
}

static void fetch(const struct table_exact *t, uint32_t bucket)
{
	const uint64_t *slots = exact_slots(t, bucket);

	for (uint32_t i = 0; i < SLUICE_BUCKET_SLOTS; i++) {
		uint32_t idx = (uint32_t)slots[i] - 1;

		if (idx < t->view.n_entries)
			__builtin_prefetch(exact_head(t, idx));
	}
}

/* An entry that stays is live from now on, whatever set it was of. */
static void settle(struct table_exact *t, uint32_t idx)
{
	uint64_t *head = exact_head(t, idx);
	uint64_t live = sluice_head_to(*head, SLUICE_ENTRY_LIVE, 0);

	if (*head != live)
		exact_put(head, live);
}

/* Clears what is in a bucket and should not be; notes the entries seen. */
static void mend_bucket(struct table_exact *t, uint32_t version,
			uint32_t bucket, uint64_t *seen)
{
	uint64_t *slots = exact_slots(t, bucket);

	for (uint32_t i = 0; i < SLUICE_BUCKET_SLOTS; i++) {
		uint32_t idx = (uint32_t)slots[i] - 1;
		uint64_t bit = 1ull << (idx % 64);

		if (!slots[i])
			continue;
		if (is_place(t, version, slots[i], bucket) &&
		    !(seen[idx / 64] & bit)) {
			seen[idx / 64] |= bit;
			settle(t, idx);
		} else {
			exact_put(&slots[i], 0);
		}
	}
}

static bool is_seen(const uint64_t *seen, uint32_t idx)
{
	return seen[idx / 64] >> (idx % 64) & 1;
}

/* Sorts the entries into used, fresh and resting. */
static uint32_t sort_entries(struct table_exact *t, const uint64_t *seen)
{
	struct exact_spare *s = &t->spare;
	uint32_t n_used = 0;

	for (uint32_t i = 0; i < t->view.n_entries; i++) {
		if (is_seen(seen, i))
			n_used++;
		else if (!*exact_head(t, i))
			exact_spare_push(s, i);
	}
	s->freed = s->rested;
	for (uint32_t i = 0; i < t->view.n_entries; i++) {
		uint64_t head = *exact_head(t, i);

		if (is_seen(seen, i) || !head)
			continue;
		if (sluice_head_state(head) != SLUICE_ENTRY_DEAD)
			exact_rest(t, i);
		else
			exact_spare_push(s, i);
	}
	return n_used;
}

int exact_adopt_entries(struct table_exact *t, uint32_t version,
			struct why *why)
{
	uint32_t n_buckets = t->view.n_buckets;
	uint64_t *seen = calloc(t->view.n_entries / 64 + 1, sizeof(*seen));

	if (!seen)
		return why_say(why, -ENOMEM, "no memory to adopt a table");
	/* [exact-change] A copy may have been made and its change not told. */
	exact_changed(t);
	for (uint32_t i = 0; i < n_buckets; i++) {
		if (i + AHEAD < n_buckets)
			fetch(t, i + AHEAD);
		mend_bucket(t, version, i, seen);
	}
	exact_set_n_used(t, sort_entries(t, seen));
	free(seen);
	return 0;
}
