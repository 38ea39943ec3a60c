/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/masked_order - masks, their groups, and the order in which they are
 * tried
 *
 * An order is written anew into the place of the one before the last and then
 * published by its number (sluice/masked.h). A new mask is appended; when some
 * have been, or when asked, all are sorted:
 *
 *   - a mask that gets an eighth of all hits stands for itself, before others;
 *   - the masks of a group of four or more follow their group's record, and the
 *     group stands where the sum of their hits says;
 *   - all others by their hits.
 *
 * A group is what remains of a mask when each byte that is not all ones is
 * cleared: of /25 to /31 and of /24 it is /24. So it follows from the mask
 * alone, no flow ever changes its group, and there is nothing to rebuild when
 * masks come and go. What a group saves depends on what its bits tell apart; if
 * that is nothing, it costs one look at the filter for its four or more masks.
 *
 * Rejected: groups by likeness (the best bits in common of masks that are near
 * to each other): they prune more, but a mask that joins takes bits from the
 * group, and all flows of its masks would be entered into the filter again.
 */
#include "table/masked_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_MIN 4u /* masks for which a group's record is worth a look */
#define HOT 8u	     /* a mask with 1 / HOT of the hits stands for itself */
#define LATE 8u	     /* masks that are appended before all are sorted */

static uint32_t bucket_of(const uint64_t *words)
{
	uint64_t h = 0;

	for (uint32_t i = 0; i < MASKED_WORDS; i++)
		h = (h ^ words[i]) * 0x9e3779b97f4a7c15u + (h >> 29);
	return (uint32_t)(h >> 32) % MASKED_BUCKETS;
}

static bool same_words(const uint64_t *a, const uint64_t *b)
{
	return !memcmp(a, b, MASKED_WORDS * sizeof(*a));
}

uint32_t masked_find(const struct table_masked *t, const uint64_t *words)
{
	uint32_t i = t->buckets[bucket_of(words)];

	while (i != MASKED_NONE && !same_words(t->records[i].words, words))
		i = t->records[i].next;
	return i;
}

void masked_take(struct table_masked *t, uint32_t number, const uint64_t *words)
{
	struct masked_mask *m = &t->records[number];
	uint32_t *bucket = &t->buckets[bucket_of(words)];

	memcpy(m->words, words, sizeof(m->words));
	m->next = *bucket;
	*bucket = number;
	m->taken = true;
	m->score = 0;
	m->first = m->seen = masked_hits(t, number);
	t->n_masks += number != SLUICE_MASK_EXACT;
}

static void leave(struct table_masked *t, uint32_t number)
{
	struct masked_mask *m = &t->records[number];
	uint32_t *at = &t->buckets[bucket_of(m->words)];

	while (*at != number)
		at = &t->records[*at].next;
	*at = m->next;
	m->taken = false;
	if (m->group != MASKED_NONE)
		t->records[m->group].n_members--;
	t->n_masks--;
}

uint64_t masked_hits(const struct table_masked *t, uint32_t number)
{
	uint32_t lane_len = sluice_masked_lane_len(t->view.n_masks);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < t->view.n_lanes; i++)
		sum += sluice_load64_relaxed(
			&t->view.lanes[(size_t)i * lane_len + number]);
	return sum;
}

/* ---- Records and groups. ---- */

/* It is in no order in force, and an order is begun; or it stays as it is. */
void masked_record_write(struct table_masked *t, uint32_t number)
{
	uint64_t *to = t->shared_records[number].words;

	for (uint32_t i = 0; i < MASKED_WORDS; i++)
		/* [masked-begun] */
		masked_put(&to[i], t->records[number].words[i]);
}

/* What a mask's group has of it; false: nothing. */
static bool group_words(const uint64_t *words, uint64_t *out)
{
	uint64_t any = 0;

	for (uint32_t i = 0; i < MASKED_WORDS; i++) {
		uint64_t w = words[i];

		out[i] = 0;
		for (uint64_t byte = 0xff; byte; byte <<= 8)
			if ((w & byte) == byte)
				out[i] |= byte;
		any |= out[i];
	}
	return any;
}

/* A group's record with these words, or a free one; MASKED_NONE: neither. */
static uint32_t group_find(const struct table_masked *t, const uint64_t *words,
			   bool *is_new)
{
	uint32_t free_one = MASKED_NONE;

	*is_new = false;
	for (uint32_t i = t->view.n_masks; i < t->view.n_records; i++) {
		const struct masked_mask *g = &t->records[i];

		if (!g->n_members && !g->listed)
			free_one = free_one == MASKED_NONE ? i : free_one;
		else if (same_words(g->words, words))
			return i;
	}
	*is_new = true;
	return free_one;
}

void masked_join(struct table_masked *t, uint32_t number)
{
	struct masked_mask *m = &t->records[number];
	uint64_t words[MASKED_WORDS];
	bool is_new;

	m->group = MASKED_NONE;
	if (number == SLUICE_MASK_EXACT || !group_words(m->words, words))
		return;
	m->group = group_find(t, words, &is_new);
	if (m->group == MASKED_NONE)
		return;
	t->records[m->group].n_members++;
	if (is_new) {
		memcpy(t->records[m->group].words, words, sizeof(words));
		masked_record_write(t, m->group);
	}
}

/* ---- The order. ---- */

void masked_begin(struct table_masked *t)
{
	masked_put(&t->shared->begun, t->order + 1); /* [masked-begun] */
}

static void finish(struct table_masked *t)
{
	uint64_t *to = t->orders + (~t->order & 1) * sluice_masked_order_len(
							     t->view.n_records);

	masked_put(to, t->n_steps); /* [masked-begun] */
	for (uint32_t i = 0; i < t->n_steps; i++)
		masked_put(&to[i + 1], t->steps[i]);
	masked_put(&t->shared->order, ++t->order); /* [masked-order] */
}

static int by_rank(const void *a, const void *b)
{
	const struct masked_rank *x = a;
	const struct masked_rank *y = b;

	if (x->unit_score != y->unit_score)
		return x->unit_score > y->unit_score ? -1 : 1;
	if (x->unit != y->unit)
		return x->unit < y->unit ? -1 : 1;
	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

/* Lists the masks that have flows; each group's sum in its own score. */
static uint32_t rank_masks(struct table_masked *t)
{
	uint64_t total = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->view.n_records; i++) {
		t->records[i].listed = false;
		if (i < t->view.n_masks)
			total += t->records[i].score;
		else
			t->records[i].n = t->records[i].score = 0;
	}
	for (uint32_t i = 0; i < t->view.n_masks; i++) {
		const struct masked_mask *m = &t->records[i];

		if (!m->taken || !m->n)
			continue;
		t->ranks[n] = (struct masked_rank){m->score, m->score, i, i};
		if (m->group != MASKED_NONE && m->score <= total / HOT) {
			t->ranks[n].unit = m->group;
			t->records[m->group].score += m->score;
			t->records[m->group].n++;
		}
		n++;
	}
	return n;
}

/* Sorts them; a group that is too small is none. */
static void rank_units(struct table_masked *t, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct masked_rank *r = &t->ranks[i];

		if (r->unit < t->view.n_masks)
			continue;
		if (t->records[r->unit].n < GROUP_MIN)
			r->unit = r->number;
		else
			r->unit_score = t->records[r->unit].score;
	}
	qsort(t->ranks, n, sizeof(*t->ranks), by_rank);
}

static void step_add(struct table_masked *t, uint32_t number, uint64_t skip)
{
	t->steps[t->n_steps++] = skip << 32 | number;
	t->records[number].listed = true;
}

void masked_publish(struct table_masked *t)
{
	uint32_t unit = MASKED_NONE;
	uint32_t n;

	for (uint32_t i = SLUICE_MASK_EXACT + 1; i < t->view.n_masks; i++)
		if (t->records[i].taken && !t->records[i].n)
			leave(t, i);
	n = rank_masks(t);
	rank_units(t, n);
	t->n_steps = 0;
	t->n_late = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct masked_rank *r = &t->ranks[i];

		if (r->unit != unit && r->unit >= t->view.n_masks)
			step_add(t, r->unit, t->records[r->unit].n);
		unit = r->unit;
		step_add(t, r->number, 0);
	}
	masked_begin(t);
	finish(t);
}

/* A number that no mask has, and that is in no order in force. */
static uint32_t number_free(const struct table_masked *t)
{
	for (uint32_t i = SLUICE_MASK_EXACT + 1; i < t->view.n_masks; i++)
		if (!t->records[i].taken)
			return i;
	return MASKED_NONE;
}

int masked_add(struct table_masked *t, const uint64_t *words, uint32_t *number)
{
	uint32_t i = masked_find(t, words);

	*number = i;
	if (i != MASKED_NONE && t->records[i].listed)
		return 0;
	if (t->n_late >= LATE + t->n_masks / 8 ||
	    (i == MASKED_NONE && t->n_masks == t->n_masks_max))
		masked_publish(t);
	if (i == MASKED_NONE) {
		if (t->n_masks == t->n_masks_max)
			return -EMFILE;
		i = number_free(t);
		masked_begin(t);
		masked_take(t, i, words);
		masked_record_write(t, i);
		masked_join(t, i);
	} else {
		masked_begin(t);
	}
	step_add(t, i, 0);
	t->n_late++;
	finish(t);
	*number = i;
	return 0;
}

void table_masked_reorder(struct table_masked *t)
{
	for (uint32_t i = 0; i < t->view.n_masks; i++) {
		struct masked_mask *m = &t->records[i];
		uint64_t hits = masked_hits(t, i);

		/* Engines write them: they may say anything. */
		m->score = m->score / 2 + (hits - m->seen) % (1ull << 40);
		m->seen = hits;
	}
	masked_publish(t);
}
