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

/* Hashes a key that may have a flow, and asks for its buckets. */
SLUICE_INLINE void sluice_masked_fetch_(const struct sluice_masked_batch_ *b,
					struct sluice_masked_probe_ *p)
{
	const struct sluice_exact_view *x = &b->v->exact;
	uint64_t masked[SLUICE_KEY_LEN_MAX / 8];
	uint32_t hash;

	sluice_masked_key(&b->v->records[p->number], p->number,
			  b->keys + (size_t)p->key * (b->key_len / 8),
			  b->key_len, masked);
	hash = sluice_exact_hash(x->table->hash_keys, masked, b->key_len);
	p->hash = hash;
	__builtin_prefetch(
		sluice_exact_bucket_(x,
				     sluice_exact_bucket1(hash, x->n_buckets)));
	__builtin_prefetch(
		sluice_exact_bucket_(x,
				     sluice_exact_bucket2(hash, x->n_buckets)));
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
		uint32_t hash = (uint32_t)b->queue[j].hash;
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
}

/*
 * Asks the filter for the window. Who may have a flow goes to the queue, or into
 * the group; who went to the queue the last time has had time to get there.
 */
SLUICE_INLINE void sluice_masked_flush_(struct sluice_masked_batch_ *b)
{
	const struct sluice_masked_view *v = b->v;
	uint32_t n = 0;

	sluice_masked_drain_(b);
	for (uint32_t j = 0; j < b->n_window; j++) {
		const struct sluice_masked_probe_ p = b->window[j];
		uint32_t pass = b->all | sluice_filter_has(v, p.hash);

		if (p.number >= v->n_masks) {
			b->groups[p.group].keys |= pass << p.key;
			continue;
		}
		b->queue[n] = p;
		n += pass & b->left >> p.key;
	}
	for (uint32_t j = 0; j < n; j++)
		sluice_masked_fetch_(b, &b->queue[j]);
	b->n_queue = n;
	b->n_window = 0;
}

/* Steps until the window is full; groups' members are left out. */
SLUICE_INLINE uint32_t sluice_masked_fill_(struct sluice_masked_batch_ *b,
					   uint32_t at, uint32_t n)
{
	const struct sluice_masked_view *v = b->v;

	b->n_groups = 0;
	while (at < n && b->n_window < SLUICE_MASKED_WINDOW_ &&
	       b->n_groups < SLUICE_MASKED_WINDOW_) {
		/* [masked-begun] */
		uint64_t step = sluice_load64_acquire(&b->steps[at++]);
		uint32_t number = (uint32_t)step;
		uint32_t end = at;

		if (number >= v->n_records)
			continue;
		sluice_masked_ask_all_(b, number, b->left);
		if (number < v->n_masks)
			continue;
		end += (uint32_t)(step >> 32) & SLUICE_MASKED_SKIP;
		end = end < n ? end : n;
		b->groups[b->n_groups].at = at;
		b->groups[b->n_groups].end = end;
		b->groups[b->n_groups++].keys = 0;
		at = end;
	}
	return at;
}

/* Asks for the members of a group. */
SLUICE_INLINE void sluice_masked_open_(struct sluice_masked_batch_ *b,
				       uint32_t group)
{
	uint32_t keys = b->groups[group].keys;

	for (uint32_t at = b->groups[group].at; at < b->groups[group].end;
	     at++) {
		/* [masked-begun] */
		uint64_t step = sluice_load64_acquire(&b->steps[at]);

		if (!(keys & b->left))
			return;
		if ((uint32_t)step < b->v->n_masks)
			sluice_masked_ask_all_(b, (uint32_t)step,
					       keys & b->left);
		if (b->n_window >= SLUICE_MASKED_WINDOW_)
			sluice_masked_flush_(b);
	}
}

/* Walks along the order; returns its number. */
SLUICE_INLINE uint64_t sluice_masked_walk_batch_(struct sluice_masked_batch_ *b)
{
	uint64_t order;
	uint32_t at = 0, n;

	b->steps = sluice_masked_steps(b->v, &order, &n);
	b->all = n == 1;
	while (at < n && b->left) {
		at = sluice_masked_fill_(b, at, n);
		sluice_masked_flush_(b);
		for (uint32_t i = 0; i < b->n_groups; i++)
			sluice_masked_open_(b, i);
	}
	sluice_masked_flush_(b);
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
	b->doubt = b->n_queue = b->n_window = 0;
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
