/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_EXACT_GET_H
#define SLUICE_EXACT_GET_H

/* sluice/exact_get - copying a value; a part of sluice/exact.h */

#include "sluice/exact.h"

/*
 * Finds a key and copies its value, v->value_len bytes: the table's, or fewer
 * if the reader's view says so (a constant lets the loop unroll, as BPF needs
 * it). For readers without quiescent states. Busy also when the entry was
 * reused at every try.
 */
SLUICE_INLINE enum sluice_found
sluice_exact_get(const struct sluice_exact_view *v, uint32_t version,
		 const void *key, uint32_t key_len, uint64_t *value)
{
	for (uint32_t i = 0; i < SLUICE_EXACT_TRIES; i++) {
		uint8_t *e;
		enum sluice_found f =
			sluice_exact_find(v, version, key, key_len, &e);
		const uint64_t *from;
		uint64_t head;

		if (f != SLUICE_YES)
			return f;
		from = sluice_entry_value(e, key_len);
		head = sluice_load64_acquire((uint64_t *)e); /* [exact-head] */
		for (uint32_t j = 0; j < v->value_len / 8; j++)
			/* [exact-head] */
			value[j] = sluice_load64_acquire(&from[j]);
		/* The key again: the entry may have changed hands before head. */
		if (sluice_entry_is(e, version, key, key_len) &&
		    sluice_head_same(sluice_load64_relaxed((uint64_t *)e),
				     head))
			return SLUICE_YES;
	}
	return SLUICE_BUSY;
}

#endif
