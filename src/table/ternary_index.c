/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/ternary_index - chains and where they begin
 *
 * A chain is all rules of one hash, the best priority first. It begins in a slot
 * of the first of its hash's buckets that had one free when it was made; the
 * full ones before bear the mark "look further", and we count the chains that
 * each mark is for. Buckets are half full at most on the average, so about one in
 * fifty is marked and all eight are full about once in 10^13 chains.
 *
 * Rejected: the exact table's cuckoo. It fills higher, but a look-up that finds
 * nothing, which is what most tuples give, must then read two buckets, and the
 * moves make readers look again.
 */
#include "base/must.h"
#include "table/ternary_private.h"

#define LAST (SLUICE_BUCKET_SLOTS - 1)
#define FIRST_MASK 0x7fffffffull

static uint64_t *slots_of(const struct table_ternary *t, uint32_t hash,
			  uint32_t i)
{
	return t->buckets +
	       (uint64_t)sluice_ternary_bucket(hash, i, t->view.n_buckets) *
		       SLUICE_BUCKET_SLOTS;
}

static uint16_t *over_of(const struct table_ternary *t, uint32_t hash,
			 uint32_t i)
{
	return &t->over[sluice_ternary_bucket(hash, i, t->view.n_buckets)];
}

/* The slot of a chain, and the number of its bucket; or NULL. */
static uint64_t *chain_slot(const struct table_ternary *t, uint32_t hash,
			    uint32_t *probe)
{
	for (uint32_t i = 0; i < SLUICE_TERNARY_PROBES; i++) {
		uint64_t *slots = slots_of(t, hash, i);

		for (uint32_t j = 0; j <= LAST; j++) {
			if (slots[j] >> 32 != hash || !(slots[j] & FIRST_MASK))
				continue;
			*probe = i;
			return &slots[j];
		}
		if (!(slots[LAST] & SLUICE_TERNARY_OVER))
			return NULL;
	}
	return NULL;
}

static uint64_t *empty_slot(const struct table_ternary *t, uint32_t hash,
			    uint32_t *probe)
{
	for (uint32_t i = 0; i < SLUICE_TERNARY_PROBES; i++) {
		uint64_t *slots = slots_of(t, hash, i);

		for (uint32_t j = 0; j <= LAST; j++) {
			if (slots[j] & FIRST_MASK)
				continue;
			*probe = i;
			return &slots[j];
		}
	}
	return NULL;
}

void ternary_slot_set(uint64_t *slot, uint32_t hash, uint32_t first)
{
	uint64_t word = first ? (uint64_t)hash << 32 | first : 0;

	must(slot); /* ternary_chain_fits() was asked before */
	ternary_put(slot, word | (*slot & SLUICE_TERNARY_OVER));
}

/* The first entry of a chain, or NONE. */
static uint32_t first_of(const struct table_ternary *t, uint32_t hash)
{
	uint32_t probe;
	const uint64_t *slot = chain_slot(t, hash, &probe);

	return slot ? (uint32_t)(*slot & FIRST_MASK) - 1 : TERNARY_NONE;
}

static bool is_entry(const struct table_ternary *t, uint32_t entry)
{
	return entry < t->view.n_entries;
}

uint32_t ternary_chain_len(const struct table_ternary *t, uint32_t hash)
{
	uint32_t n = 0;

	for (uint32_t e = first_of(t, hash);
	     is_entry(t, e) && n < SLUICE_TERNARY_CHAIN_MAX;
	     e = ternary_rule(t, e)->next - 1)
		n++;
	return n;
}

uint32_t ternary_chain_first(const struct table_ternary *t, uint32_t hash,
			     uint32_t leaf)
{
	uint32_t n = 0;

	for (uint32_t e = first_of(t, hash);
	     is_entry(t, e) && n++ < SLUICE_TERNARY_CHAIN_MAX;
	     e = ternary_rule(t, e)->next - 1)
		if (t->own[e].leaf == leaf)
			return e;
	return TERNARY_NONE;
}

bool ternary_chain_fits(const struct table_ternary *t, uint32_t hash)
{
	uint32_t probe;

	return chain_slot(t, hash, &probe) || empty_slot(t, hash, &probe);
}

static void chain_begin(struct table_ternary *t, uint32_t hash, uint32_t first)
{
	uint32_t probe = 0;
	uint64_t *slot = empty_slot(t, hash, &probe);

	for (uint32_t i = 0; i < probe; i++) {
		uint64_t *last = slots_of(t, hash, i) + LAST;

		/* [ternary-over] before the slot */
		if (!(*over_of(t, hash, i))++)
			ternary_put(last, *last | SLUICE_TERNARY_OVER);
	}
	ternary_slot_set(slot, hash, first); /* [ternary-link] */
}

void ternary_chain_add(struct table_ternary *t, uint32_t entry)
{
	struct sluice_rule *r = ternary_rule(t, entry);
	struct sluice_rule *before = NULL;
	uint32_t hash = t->own[entry].hash;
	uint32_t probe;
	uint64_t *slot = chain_slot(t, hash, &probe);
	uint32_t next;

	if (!slot) {
		ternary_put32(&r->next, 0);
		chain_begin(t, hash, entry + 1);
		return;
	}
	next = (uint32_t)(*slot & FIRST_MASK);
	for (uint32_t n = 0; is_entry(t, next - 1); n++) {
		struct sluice_rule *at = ternary_rule(t, next - 1);

		if (at->priority <= r->priority ||
		    n == SLUICE_TERNARY_CHAIN_MAX)
			break;
		before = at;
		next = at->next;
	}
	ternary_put32(&r->next, next);
	if (before)
		ternary_put32(&before->next, entry + 1); /* [ternary-link] */
	else
		ternary_slot_set(slot, hash, entry + 1); /* [ternary-link] */
}

static void chain_end(struct table_ternary *t, uint64_t *slot, uint32_t hash,
		      uint32_t probe)
{
	ternary_slot_set(slot, hash, 0);
	for (uint32_t i = 0; i < probe; i++) {
		uint64_t *last = slots_of(t, hash, i) + LAST;

		/* [ternary-over] behind the slot */
		if (!--*over_of(t, hash, i))
			ternary_put(last, *last & ~SLUICE_TERNARY_OVER);
	}
}

bool ternary_chain_del(struct table_ternary *t, uint32_t entry)
{
	const struct sluice_rule *r = ternary_rule(t, entry);
	struct sluice_rule *before = NULL;
	uint32_t hash = t->own[entry].hash;
	uint32_t probe = 0; /* -O3 of gcc does not see that it is set */
	uint64_t *slot = chain_slot(t, hash, &probe);
	uint32_t at = slot ? (uint32_t)(*slot & FIRST_MASK) : 0;

	for (uint32_t n = 0; is_entry(t, at - 1) && at != entry + 1; n++) {
		if (n == SLUICE_TERNARY_CHAIN_MAX)
			return false;
		before = ternary_rule(t, at - 1);
		at = before->next;
	}
	if (at != entry + 1)
		return false;
	if (before)
		ternary_put32(&before->next, r->next);
	else if (r->next)
		ternary_slot_set(slot, hash, r->next);
	else
		chain_end(t, slot, hash, probe);
	return true;
}

bool ternary_index_take(struct table_ternary *t, const uint64_t *slot)
{
	uint32_t hash = (uint32_t)(*slot >> 32);
	uint32_t probe;

	if (chain_slot(t, hash, &probe) != slot)
		return false;
	for (uint32_t i = 0; i < probe; i++)
		(*over_of(t, hash, i))++;
	return true;
}

void ternary_index_give(struct table_ternary *t, const uint64_t *slot,
			uint32_t hash)
{
	uint64_t at = (uint64_t)(slot - t->buckets) / SLUICE_BUCKET_SLOTS;

	for (uint32_t i = 0; i < SLUICE_TERNARY_PROBES; i++) {
		if (sluice_ternary_bucket(hash, i, t->view.n_buckets) == at)
			return;
		(*over_of(t, hash, i))--;
	}
}

void ternary_index_adopt(struct table_ternary *t)
{
	for (uint32_t b = 0; b < t->view.n_buckets; b++) {
		uint64_t *last =
			t->buckets + (uint64_t)b * SLUICE_BUCKET_SLOTS + LAST;

		/* [ternary-over] behind all slots */
		if (*last & SLUICE_TERNARY_OVER && !t->over[b])
			ternary_put(last, *last & ~SLUICE_TERNARY_OVER);
	}
}
