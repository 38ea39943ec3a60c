/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SCRIBBLE_ZOO_H
#define TESTS_SCRIBBLE_ZOO_H

/*
 * zoo - a region with one table of each kind, filled from a seed, and a reader
 * of all of them. Two zoos of the same seed give the same answers.
 */

#include <stdint.h>

#include "region/heap.h"
#include "region/region.h"
#include "sluice/counter.h"
#include "sluice/meter.h"
#include "table/counter.h"
#include "table/exact.h"
#include "table/group.h"
#include "table/masked.h"
#include "table/meter.h"
#include "table/prefix.h"
#include "table/ternary.h"

#define ZOO_LOOKS 256u /* of one pass, under each kind */
#define ZOO_KINDS 9u   /* of look-ups */
#define ZOO_ANSWERS (ZOO_LOOKS * ZOO_KINDS)

struct zoo {
	struct region *region;
	struct table_exact *exact;
	struct table_masked *masked;
	struct table_ternary *ternary;
	struct table_prefix *ip4, *ip6;
	struct table_counter *counters;
	struct table_meter *meters;
	struct heap *heap;
	struct table_group *groups;

	/* As an engine has them: taken while the region was sound. */
	struct sluice_counter_lane lane;
	struct sluice_meter_view meter_view;
};

/* Aborts when it cannot. */
void zoo_make(struct zoo *z, const char *name, uint64_t seed);
void zoo_free(struct zoo *z);

/*
 * Looks everything up as an engine does, counts and asks meters too, and says
 * what it found: a word for each look, the same for the same memory. Touches
 * what it finds, so that a tool sees where that lies.
 */
void zoo_look(const struct zoo *z, uint64_t answers[ZOO_ANSWERS]);

/* What was counted in all passes by zoo_look(); exact if nobody scribbles. */
uint64_t zoo_counted(const struct zoo *z);

#endif
