/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/masked_adopt - taking over the table of a dead writer
 *
 * After the exact table was adopted, its entries are the truth: a mask is there
 * if an entry has its number, and the mask is what the record says. From the
 * entries the counts are found again, from these the filter; what a writer who
 * was killed can have left there is bits that nobody sets. Then an order is
 * published. Until then readers may use the one that they find, so records that
 * it names stay as they are, and groups keep their numbers, under which the
 * filter knows their flows.
 */
#include "table/masked_private.h"

#include <string.h>

/* The words of a mask as its record says, with nothing where nothing may be. */
static void read_words(const struct table_masked *t, uint32_t number,
		       uint64_t *out)
{
	const struct sluice_mask *r = &t->view.records[number];
	uint32_t n_words = t->key_len / 8;

	memset(out, 0, MASKED_WORDS * sizeof(*out));
	for (uint32_t i = 0; i < n_words; i++)
		out[i] = sluice_load64_relaxed(&r->words[i]);
	out[n_words - 1] &= SLUICE_MASKED_KEY_BITS;
}

/* Groups of the order that readers use now; others' records may be written. */
static void read_order(struct table_masked *t)
{
	uint64_t order;
	uint32_t n;
	const uint64_t *steps = sluice_masked_steps(&t->view, &order, &n);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t number = (uint32_t)sluice_load64_relaxed(&steps[i]);
		struct masked_mask *g;

		if (number < t->view.n_masks || number >= t->view.n_records)
			continue;
		g = &t->records[number];
		read_words(t, number, g->words);
		g->listed = true;
	}
}

/* Has this mask been met, or may it be one? */
static bool mask_met(struct table_masked *t, uint32_t number)
{
	uint64_t words[MASKED_WORDS];

	if (number >= t->view.n_masks)
		return false;
	if (t->records[number].taken)
		return true;
	read_words(t, number, words);
	/* Two numbers for one mask: somebody has scribbled. */
	if (masked_find(t, words) != MASKED_NONE)
		return false;
	masked_take(t, number, words);
	masked_record_write(t, number);
	masked_join(t, number);
	return true;
}

/* Counts an entry; false: it is under no mask. */
static bool flow_met(struct table_masked *t, const uint64_t *key)
{
	uint32_t n_words = t->key_len / 8;
	uint32_t number =
		(uint32_t)(key[n_words - 1] >> SLUICE_MASKED_TAG_SHIFT) - 1;
	uint64_t masked[MASKED_WORDS];

	if (!mask_met(t, number))
		return false;
	masked_key(t, number, key, masked);
	if (memcmp(masked, key, n_words * 8ull) != 0)
		return false;
	masked_note(t, number, key);
	t->records[number].n++;
	return true;
}

void masked_adopt_flows(struct table_masked *t)
{
	const struct sluice_exact_view *x = &t->view.exact;
	uint64_t key[MASKED_WORDS];

	read_order(t);
	masked_begin(t);
	masked_take_exact(t);
	for (uint32_t i = 0; i < x->n_entries; i++) {
		const uint8_t *e = sluice_exact_entry(x, i);

		if (sluice_head_state(*(const uint64_t *)e) !=
		    SLUICE_ENTRY_LIVE)
			continue;
		memcpy(key, sluice_entry_key(e), t->key_len);
		if (!flow_met(t, key))
			(void)table_exact_del(t->exact, key);
	}
	masked_filter_write(&t->filter);
	masked_publish(t);
}
