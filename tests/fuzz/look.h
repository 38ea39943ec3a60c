/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_LOOK_H
#define FUZZ_LOOK_H

/* look - uses what is in a region that has been checked, as engines do */

#include <stddef.h>
#include <stdint.h>

/*
 * Opens each table by its algorithm and looks up the keys that it holds, and
 * others that come from the input. Under AddressSanitizer all but the table (and
 * the heap, for groups) is out of bounds meanwhile. Counts and polices, so it
 * writes. Aborts where a reader goes on for ever.
 *
 * mem  len bytes, 64-byte aligned
 */
void look_at_tables(uint8_t *mem, uint64_t len, const uint8_t *input,
		    size_t input_len);

/*
 * The deep check of each table, fenced likewise, of a region that was checked
 * and that nobody writes. Returns how many faults it found.
 */
uint64_t look_deep(uint8_t *mem, uint64_t len);

#endif
