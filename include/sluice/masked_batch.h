/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_MASKED_BATCH_H
#define SLUICE_MASKED_BATCH_H

/*
 * sluice/masked_batch - finding flows for up to 32 keys at once
 *
 * What sluice_masked_find() answers, for a batch. The order is walked once: at
 * each step the keys that have no flow yet are hashed under that record and
 * asked of the filter. Whom it lets through waits in a queue while its buckets
 * are fetched and the others walk on; now and then the queue is looked through,
 * and whose slot is there leaves the walk. Entries are compared at the end. So
 * nobody waits for memory as long as there is anything else to do. Host only.
 */

#include "sluice/masked_find.h"
#include "sluice/masked_probe.h"

#define SLUICE_MASKED_FULL_ 24u /* the queue is looked through at the latest */
#define SLUICE_MASKED_PAUSE_ 8u /* or after so many steps */

SLUICE_INLINE void sluice_masked_queue_(struct sluice_masked_batch_ *b,
					uint32_t number, uint32_t keys)
{
	const struct sluice_exact_view *x = &b->v->exact;

	b->queued |= keys;
	for (; keys; keys &= keys - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(keys);
		uint32_t hash = b->hashes[i];

		b->queue[b->n_queue].hash = hash;
		b->queue[b->n_queue].number = (uint16_t)number;
		b->queue[b->n_queue].key = (uint8_t)i;
		b->n_queue++;
		__builtin_prefetch(sluice_exact_bucket_(
			x, sluice_exact_bucket1(hash, x->n_buckets)));
		__builtin_prefetch(sluice_exact_bucket_(
			x, sluice_exact_bucket2(hash, x->n_buckets)));
	}
}

/* Who waits in the queue, and has a slot, leaves the walk. */
SLUICE_INLINE void sluice_masked_drain_(struct sluice_masked_batch_ *b)
{
	const struct sluice_exact_view x = b->v->exact;
	/* [exact-change] */
	uint64_t before = sluice_load64_acquire(&x.table->n_changes);
	uint32_t none_of = 0;

	for (uint32_t j = 0; j < b->n_queue; j++) {
		uint32_t i = b->queue[j].key;
		uint32_t hash = b->queue[j].hash;
		uint8_t *e;
		bool none;

		e = sluice_exact_look_(
			&x,
			sluice_exact_bucket_(&x,
					     sluice_exact_bucket1(hash,
								  x.n_buckets)),
			hash, &none);
		if (none)
			e = sluice_exact_look_(
				&x,
				sluice_exact_bucket_(
					&x, sluice_exact_bucket2(hash,
								 x.n_buckets)),
				hash, &none);
		none_of |= (uint32_t)none << i;
		if (none || !(b->left >> i & 1))
			continue;
		sluice_exact_fetch_(&x, e);
		b->at[i] = e;
		b->numbers[i] = b->queue[j].number;
		b->left &= ~(1u << i);
	}
	SLUICE_SLOTS_READ_();
	/* [exact-change] */
	if (sluice_load64_relaxed(&x.table->n_changes) != before)
		b->doubt |= none_of;
	b->n_queue = 0;
	b->queued = 0;
}

/* Walks along the order; returns its number. */
SLUICE_INLINE uint64_t sluice_masked_walk_batch_(struct sluice_masked_batch_ *b)
{
	const struct sluice_masked_view *v = b->v;
	uint32_t n, end = 0, in_group = 0, since = 0;
	uint64_t order;
	const uint64_t *steps = sluice_masked_steps(v, &order, &n);

	for (uint32_t at = 0; at < n && b->left;) {
		/* [masked-begun] */
		uint64_t step = sluice_load64_acquire(&steps[at++]);
		uint32_t number = (uint32_t)step;
		uint32_t skip = (uint32_t)(step >> 32) & SLUICE_MASKED_SKIP;
		uint32_t keys = at <= end ? b->left & in_group : b->left;

		if (number >= v->n_records || !keys)
			continue;
		keys = sluice_masked_probe_(b, number, keys);
		if (number >= v->n_masks) {
			in_group = keys;
			end = at + skip;
			at = keys ? at : end;
			continue;
		}
		if (keys)
			sluice_masked_queue_(b, number, keys);
		if (b->n_queue && (b->n_queue >= SLUICE_MASKED_FULL_ ||
				   ++since >= SLUICE_MASKED_PAUSE_ ||
				   !(b->left & ~b->queued))) {
			sluice_masked_drain_(b);
			since = 0;
		}
	}
	sluice_masked_drain_(b);
	return order;
}

/* Compares the entries that were found with their keys. */
SLUICE_INLINE void sluice_masked_judge_(struct sluice_masked_batch_ *b,
					uint32_t keys,
					struct sluice_exact_answers *out)
{
	const struct sluice_masked_view *v = b->v;

	for (; keys; keys &= keys - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(keys);
		const uint64_t *key = b->keys + (size_t)i * (b->key_len / 8);
		uint64_t masked[SLUICE_KEY_LEN_MAX / 8];

		sluice_masked_key(&v->records[b->numbers[i]], b->numbers[i],
				  key, b->key_len, masked);
		if (!sluice_entry_is(b->at[i], b->version, masked,
				     b->key_len)) {
			b->doubt |= 1u << i;
			continue;
		}
		out->entries[i] = b->at[i];
		out->yes |= 1u << i;
	}
}

SLUICE_INLINE void sluice_masked_alone_(const struct sluice_masked_batch_ *b,
					uint32_t keys,
					struct sluice_exact_answers *out)
{
	for (; keys; keys &= keys - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(keys);
		enum sluice_found f =
			sluice_masked_find(b->v, b->version,
					   b->keys +
						   (size_t)i * (b->key_len / 8),
					   b->key_len, &out->entries[i]);

		if (f != SLUICE_YES)
			out->entries[i] = NULL;
		out->yes |= (uint32_t)(f == SLUICE_YES) << i;
		out->busy |= (uint32_t)(f == SLUICE_BUSY) << i;
	}
}

SLUICE_INLINE void sluice_masked_batch_(struct sluice_masked_batch_ *b,
					uint32_t key_len, uint32_t n,
					struct sluice_exact_answers *out)
{
	uint32_t all = (uint32_t)((1ull << n) - 1);
	uint64_t order;

	b->key_len = key_len;
	b->left = all;
	b->doubt = b->queued = b->n_queue = 0;
	out->n = n;
	out->yes = out->busy = 0;
	for (uint32_t i = 0; i < n; i++)
		out->entries[i] = NULL;
	order = sluice_masked_walk_batch_(b);
	sluice_masked_judge_(b, all & ~b->left, out);
	if (!sluice_masked_held(b->v, order)) {
		out->yes = 0;
		b->doubt = all;
	}
	for (uint32_t left = out->yes; left; left &= left - 1)
		sluice_masked_count(b->v, b->numbers[__builtin_ctz(left)], 1);
	sluice_masked_alone_(b, b->doubt & ~out->yes, out);
}

/*
 * Finds flows for n keys, at most SLUICE_EXACT_BATCH, at one version. Wait-free.
 *
 * keys     n keys, v->exact.key_len bytes each, one behind the other, 8-byte
 *          aligned
 * out      all of it is set
 */
SLUICE_INLINE void sluice_masked_find_batch(const struct sluice_masked_view *v,
					    uint32_t version, const void *keys,
					    uint32_t n,
					    struct sluice_exact_answers *out)
{
	struct sluice_masked_batch_ b;

	b.v = v;
	b.keys = keys;
	b.version = version;
	switch (v->exact.key_len) {
	case 16:
		sluice_masked_batch_(&b, 16, n, out);
		break;
	case 64:
		sluice_masked_batch_(&b, 64, n, out);
		break;
	default:
		sluice_masked_batch_(&b, v->exact.key_len, n, out);
	}
}

#endif
