/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/group_slots - dealing the slots of a select group
 *
 * First how many each bucket gets: the whole part of its share, and one more for
 * those with the largest remainders until all are dealt. Then which: a bucket
 * that was there before keeps what it had, up to its number; what is left is
 * claimed in turns, each bucket along a permutation of the slots that follows
 * from what it is (first slot and step, the step odd, so it comes by all 1024).
 *
 * Cost: some ten thousand steps at most, for 93 buckets.
 */
#include <string.h>

#include "base/rng.h"
#include "table/group_private.h"

#define NOBODY 0xffu
_Static_assert(SLUICE_GROUP_BUCKETS_MAX < NOBODY, "a slot is a byte");

void group_deal(const struct group_bucket *buckets, uint32_t n,
		uint32_t *n_slots)
{
	uint64_t rest[SLUICE_GROUP_BUCKETS_MAX];
	uint64_t sum = 0;
	uint32_t n_left = SLUICE_GROUP_SLOTS;

	for (uint32_t i = 0; i < n; i++)
		sum += buckets[i].weight;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t part =
			(uint64_t)buckets[i].weight * SLUICE_GROUP_SLOTS;

		n_slots[i] = (uint32_t)(part / sum);
		rest[i] = part % sum;
		n_left -= n_slots[i];
	}
	while (n_left--) {
		uint32_t best = 0;

		for (uint32_t i = 1; i < n; i++)
			if (rest[i] > rest[best])
				best = i;
		n_slots[best]++;
		rest[best] = 0;
	}
}

static bool is_same(const struct group_bucket *b,
		    const struct sluice_group_bucket *o)
{
	return b->act.w == o->act && b->watch_port == o->watch_port &&
	       b->watch_group == o->watch_group;
}

/* new_of[i]: which bucket the old one number i is now, or NOBODY. */
static void match(const struct group_conf *conf,
		  const struct sluice_group_at *old, uint8_t *new_of)
{
	bool taken[SLUICE_GROUP_BUCKETS_MAX] = {false};

	for (uint32_t i = 0; i < old->n_buckets; i++) {
		new_of[i] = NOBODY;
		for (uint32_t j = 0; j < conf->n_buckets; j++) {
			if (taken[j] ||
			    !is_same(&conf->buckets[j], &old->buckets[i]))
				continue;
			taken[j] = true;
			new_of[i] = (uint8_t)j;
			break;
		}
	}
}

/* Leaves those slots to their buckets that they may keep. */
static void keep(const struct group_conf *conf,
		 const struct sluice_group_at *old, uint8_t *slots,
		 uint32_t *n_slots)
{
	const uint8_t *were = (const uint8_t *)old->slots;
	uint8_t new_of[SLUICE_GROUP_BUCKETS_MAX];

	match(conf, old, new_of);
	for (uint32_t s = 0; s < SLUICE_GROUP_SLOTS; s++) {
		uint32_t b = were[s];

		b = b < old->n_buckets ? new_of[b] : NOBODY;
		if (b == NOBODY || !n_slots[b])
			continue;
		slots[s] = (uint8_t)b;
		n_slots[b]--;
	}
}

/* A bucket on its way along its permutation. */
struct claim {
	uint32_t at;
	uint32_t step;
};

/* Equal buckets of one group differ by how many of them were before. */
static void claims_init(const struct group_conf *conf, struct claim *claims)
{
	for (uint32_t i = 0; i < conf->n_buckets; i++) {
		const struct group_bucket *b = &conf->buckets[i];
		struct rng rng =
			rng_of(b->act.w ^ (uint64_t)b->watch_port << 40 ^
			       (uint64_t)b->watch_group << 20);

		for (uint32_t j = 0; j < i; j++)
			if (b->act.w == conf->buckets[j].act.w)
				rng_next(&rng);
		claims[i].at = (uint32_t)rng_next(&rng) % SLUICE_GROUP_SLOTS;
		claims[i].step = (uint32_t)rng_next(&rng) | 1;
	}
}

static void claim_one(struct claim *c, uint8_t *slots, uint32_t bucket)
{
	while (slots[c->at] != NOBODY)
		c->at = (c->at + c->step) % SLUICE_GROUP_SLOTS;
	slots[c->at] = (uint8_t)bucket;
}

void group_slots(const struct group_conf *conf,
		 const struct sluice_group_at *old,
		 uint8_t slots[SLUICE_GROUP_SLOTS])
{
	struct claim claims[SLUICE_GROUP_BUCKETS_MAX];
	uint32_t n_slots[SLUICE_GROUP_BUCKETS_MAX];
	bool is_left = true;

	memset(slots, NOBODY, SLUICE_GROUP_SLOTS);
	if (!conf->n_buckets)
		return;
	group_deal(conf->buckets, conf->n_buckets, n_slots);
	if (old && old->type == SLUICE_GROUP_SELECT)
		keep(conf, old, slots, n_slots);
	claims_init(conf, claims);
	while (is_left) {
		is_left = false;
		for (uint32_t i = 0; i < conf->n_buckets; i++) {
			if (!n_slots[i])
				continue;
			claim_one(&claims[i], slots, i);
			is_left |= --n_slots[i] > 0;
		}
	}
}
