/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_METER_H
#define TABLE_METER_H

/*
 * table/meter - writing the table of meters
 *
 * The writer's side of sluice/meter.h: rates and bursts as people give them
 * become the words that engines use. The table is an exact table (table/exact)
 * from a meter's id to one meter for each engine, with what that promises: one
 * writer, a replaced or deleted entry rests until table_meter_reclaim(), and a
 * writer may die at any store.
 *
 * Setting a meter that exists, alone or in a change set, replaces all of its
 * configuration at once; no packet sees half of it. How full its buckets are
 * goes on (as the time in which that much comes, at the new rate), but for what is taken between the moment at which the new entry is
 * made and the one at which engines see it: a meter may grant that once more,
 * at most a burst for each change. Counters of colours go on exactly, if the
 * same numbers are given again.
 *
 * The numbers of the colours' counters are the caller's: given out before
 * (table/counter.h), taken back after the meter is gone.
 */

#include <stdint.h>

#include "base/annotate.h"
#include "base/why.h"
#include "region/region.h"
#include "sluice/meter.h"
#include "table/change.h"
#include "table/counter.h"

struct table_meter_conf {
	const char *name;
	uint32_t n_max;	    /* meters; 1 to 2^24 */
	uint32_t n_engines; /* 1 to SLUICE_METER_ENGINES_MAX */
	uint64_t clock_ns;  /* longest tick of an engine's clock; 0: precise */
	uint64_t seed;	    /* as table_exact_conf's */
};

/* A rate and its burst, in tokens: packets or bytes. */
struct table_meter_rate {
	uint64_t per_second; /* 1 to 10^9 packets, or 1.25 * 10^11 bytes */
	uint64_t burst; /* 0: chosen: 50 ms, four ticks of the clock, 10 kB */
};

struct table_meter_band {
	enum sluice_meter_act act;
	uint32_t level; /* REMARK: 1 to 3, see sluice_meter_remark() */
};

struct table_meter_spec {
	enum sluice_meter_kind kind;
	bool packets;	   /* tokens are packets, else bytes */
	bool colour_aware; /* SRTCM and TRTCM only */
	struct table_meter_rate committed;
	/*
	 * SRTCM: burst is that of the excess bucket, may be 0 and is not
	 * chosen; no rate. TRTCM: the peak, not below the committed rate.
	 */
	struct table_meter_rate more;
	struct table_meter_band yellow; /* SINGLE has none */
	struct table_meter_band red;
	uint32_t counters[3]; /* by colour; 0: not counted */
	/* Parts of rate and burst for each engine; all 0: equal parts. */
	uint16_t share[SLUICE_METER_ENGINES_MAX];
};

/* Opaque; lies in the writer's own memory. */
struct table_meter;

/* ---- Life. ---- */

/* Bytes that such a table takes in a region; 0: conf is out of range. */
uint64_t table_meter_len(const struct table_meter_conf *conf);

/* Makes an empty table of kind METERS. Returns as table_exact_new(). */
int table_meter_new(struct region *r, const struct table_meter_conf *conf,
		    struct table_meter **out, struct why *why) MUST_USE;

/*
 * Takes over what a former writer left. Then give table_meter_take_counters()
 * the counters, between their adoption and table_counter_settle().
 *
 * clock_ns  as in table_meter_conf
 * returns   as table_exact_adopt()
 */
int table_meter_adopt(struct region *r, uint64_t clock_ns,
		      struct table_meter **out, struct why *why) MUST_USE;

/*
 * Takes the numbers that meters name. One that cannot be taken (it is nobody's,
 * or another's) is left; a meter whose number is another's counts there.
 * Returns how many were taken.
 */
uint32_t table_meter_take_counters(const struct table_meter *t,
				   struct table_counter *counters);

/* Frees the writer's own memory; the table stays. NULL is fine. */
void table_meter_free(struct table_meter *t);

const struct sluice_exact_view *table_meter_view(const struct table_meter *t);
uint32_t table_meter_n_used(const struct table_meter *t);

/* ---- Change. ---- */

/*
 * Adds a meter, its buckets full, or replaces its configuration.
 *
 * returns  0
 *          -EINVAL  the spec is out of range (why says what), or a burst is
 *                   shorter than a tick of the clock or longer than 18 minutes
 *          -ENOSPC  as table_exact_set()
 */
int table_meter_set(struct table_meter *t, uint64_t id,
		    const struct table_meter_spec *spec, struct why *why)
	MUST_USE;

/* Removes a meter. False if it was not there. */
bool table_meter_del(struct table_meter *t, uint64_t id);

/*
 * The table as a part of change sets. key: the id, a uint64_t; value: a struct
 * table_meter_spec; -EINVAL as above.
 */
struct change_table *table_meter_change(struct table_meter *t);

/* ---- Reuse; as table_exact's. ---- */

uint64_t table_meter_mark(const struct table_meter *t);
void table_meter_reclaim(struct table_meter *t, uint64_t mark);

#endif
