/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_TABLES_H
#define FUZZ_TABLES_H

/*
 * tables - small sound regions with a table of each algorithm, and the ways to
 * spoil them that their checks refuse. Arrays and exact tables are in
 * region/sample_fake.h.
 */

#include <stdint.h>

#include "sluice/region.h"

#define TABLES_LEN_MAX (256ul << 10)

enum tables_which {
	TABLES_MASKED,
	TABLES_TERNARY,
	TABLES_IP4,
	TABLES_IP6,
	TABLES_COUNTERS,
	TABLES_GROUPS, /* first the heap */
	TABLES_METERS,
	TABLES_N
};

extern const char *const tables_names[TABLES_N];

/*
 * Makes a region whose first table is of that algorithm; the same bytes each
 * time. Aborts when it cannot.
 *
 * mem      TABLES_LEN_MAX bytes, 64-byte aligned
 * returns  the region's length, whole pages
 */
uint64_t tables_make(enum tables_which which, uint8_t *mem);

/* A way to spoil the header or the directory entry of the first table. */
struct tables_spoil {
	enum tables_which which;
	const char *name;
	const char *says; /* words that the refusal (EINVAL) contains */
	void (*apply)(struct sluice_table_desc *d, void *table);
};

extern const struct tables_spoil tables_spoils[];
extern const uint32_t tables_n_spoils;

void tables_spoil(uint8_t *mem, const struct tables_spoil *s);

/* Clears all but the header of the first table. */
void tables_empty(uint8_t *mem);

/* Lies in all that lies behind the headers; the region stays acceptable. */
void tables_lie(uint8_t *mem, uint64_t seed);

#endif
