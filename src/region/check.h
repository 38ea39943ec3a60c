/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGION_CHECK_H
#define REGION_CHECK_H

/*
 * region/check - what a region says of itself, checked and copied
 *
 * The memory may change while we look: each word is loaded once, and what was
 * checked is what the caller gets. Who uses the copy, and not the header, stays
 * inside the region whatever anyone writes there.
 */

#include "base/annotate.h"
#include "sluice/counter.h"
#include "sluice/heap.h"
#include "sluice/masked.h"
#include "sluice/prefix.h"
#include "sluice/reader.h"
#include "sluice/ternary.h"

struct region_shape {
	struct sluice_region head;
	uint32_t n_tables;
	struct sluice_table_desc tables[SLUICE_TABLES_MAX];
	struct sluice_exact_view views[SLUICE_TABLES_MAX]; /* cuckoo8, masked */
	struct sluice_heap_view heap; /* n_pages 0: there is none */
};

/* As sluice_region_check(); fills out on success. mem: 64-byte aligned. */
int region_shape_check(const void *mem, uint64_t len, struct region_shape *out,
		       struct sluice_why *why) MUST_USE;

/* ---- Shapes by algorithm; each fills out on success. ---- */

int region_check_exact(const uint8_t *mem, const struct sluice_table_desc *d,
		       struct sluice_exact_view *out, struct sluice_why *why)
	MUST_USE;

int region_check_masked(const uint8_t *mem, const struct sluice_table_desc *d,
			struct sluice_masked_view *out, struct sluice_why *why)
	MUST_USE;

int region_check_heap(const uint8_t *mem, const struct sluice_table_desc *d,
		      struct sluice_heap_view *out, struct sluice_why *why)
	MUST_USE;

int region_check_prefix(const uint8_t *mem, const struct sluice_table_desc *d,
			struct sluice_prefix_view *out, struct sluice_why *why)
	MUST_USE;

int region_check_counter(const uint8_t *mem, const struct sluice_table_desc *d,
			 struct sluice_counter_view *out,
			 struct sluice_why *why) MUST_USE;

int region_check_ternary(const uint8_t *mem, const struct sluice_table_desc *d,
			 struct sluice_ternary_view *out,
			 struct sluice_why *why) MUST_USE;

/*
 * 1 to 31 letters, digits, '-' and '_': good for a path and for a BPF pin.
 * Looks at no more than SLUICE_NAME_LEN bytes.
 */
bool region_name_is_valid(const char *name);

/* Fills why, which may be NULL, and returns err. */
int region_say(struct sluice_why *why, int err, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

#endif
