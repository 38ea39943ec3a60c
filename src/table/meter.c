/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that divides is here: an engine's part of a rate becomes the cost
 * of a token in units of 1/256 ns, as a multiplier of up to 40 bits and a shift,
 * exact to 2^-39 where the rate allows it; a burst becomes the time in which it
 * comes.
 *
 * Measured and rejected (bench/table_meter.c, two cores on one meter): setting
 * the word by compare-and-swap for each packet, which is a tenth to a quarter
 * slower with two cores already, and whose tries grow with the cores; and chunks
 * of tokens that each core takes for itself. These are several times cheaper,
 * but a chunk for each core and meter is then outside of the bucket, so a burst
 * is not what was asked for, and it needs memory for each core. Who has batches
 * asks once for a batch: a chunk that is used up at once, and cheaper yet.
 */
#include "table/meter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

#include "table/exact.h"

#define N_MAX (1u << 24)
#define RATE_MAX_PACKETS 1000000000ull
#define RATE_MAX_BYTES 125000000000ull
#define UNITS_PER_S (1000000000ull * SLUICE_TOKENS_NS)
#define COST_BITS 40u
#define BURST_NS 50000000u /* chosen */
#define BURST_BYTES 10000u
#define VALUE_WORDS \
	(SLUICE_METER_VALUE_LEN(SLUICE_METER_ENGINES_MAX) / sizeof(uint64_t))

typedef unsigned __int128 u128;

struct table_meter {
	struct change_table change;
	struct table_exact *exact;
	uint32_t n_engines;
	uint64_t clock_ns;
};

/* A value on its way into the table. */
union value {
	uint64_t words[VALUE_WORDS];
	uint8_t bytes[VALUE_WORDS * 8];
};

static struct sluice_meter *meter_of(void *value, uint32_t engine)
{
	return (struct sluice_meter *)((uint8_t *)value +
				       (size_t)engine * SLUICE_METER_STRIDE);
}

/* ---- From what people say to what engines use. ---- */

/* One engine's part of a whole. */
struct part {
	uint64_t of;
	uint64_t all;
};

static int cost_of(uint64_t per_second, const struct part *p, uint64_t *out,
		   struct why *why)
{
	u128 den = (u128)per_second * p->of;
	u128 num = (u128)UNITS_PER_S * p->all;
	uint32_t shift = 0;

	must(den);
	if (num / den >= 1ull << COST_BITS)
		return why_say(why, -EINVAL,
			       "a meter of %llu a second is too slow to be "
			       "shared as asked for",
			       (unsigned long long)per_second);
	while (shift < COST_BITS && (num << 1) / den < 1ull << COST_BITS) {
		num <<= 1;
		shift++;
	}
	*out = (uint64_t)((num + den / 2) / den) << 8 | shift;
	return 0;
}

static uint64_t burst_chosen(const struct table_meter *t,
			     const struct table_meter_spec *spec,
			     uint64_t per_second)
{
	uint64_t least = spec->packets ? 1 : BURST_BYTES;
	uint64_t ns = 4 * t->clock_ns > BURST_NS ? 4 * t->clock_ns : BURST_NS;
	uint64_t burst = (uint64_t)((u128)per_second * ns / 1000000000u);

	return burst < least ? least : burst;
}

/* Does the bucket hold what comes in a tick of the clock? */
static int tick_check(const struct table_meter *t,
		      const struct table_meter_rate *rate, struct why *why)
{
	u128 least = (u128)rate->per_second * t->clock_ns / 1000000000u;

	if (rate->burst >= least)
		return 0;
	return why_say(why, -EINVAL,
		       "a burst of %llu is less than what comes in a tick of "
		       "the engines' clock, %llu",
		       (unsigned long long)rate->burst,
		       (unsigned long long)least);
}

/*
 * Units in which a burst comes, and what the rounding of costs may add to it:
 * half a unit for each packet, of 64 bytes at least.
 */
static int burst_of(const struct table_meter_rate *rate, bool packets,
		    uint64_t *out, struct why *why)
{
	u128 units =
		((u128)rate->burst * (u128)UNITS_PER_S + rate->per_second - 1) /
		rate->per_second;

	units += rate->burst / (packets ? 2 : 128) + (units >> 38) + 1;
	if (units >= SLUICE_TOKENS_BURST_MAX)
		return why_say(why, -EINVAL,
			       "a burst of %llu at %llu a second takes more "
			       "than 18 minutes",
			       (unsigned long long)rate->burst,
			       (unsigned long long)rate->per_second);
	*out = (uint64_t)units;
	return 0;
}

/* One bucket of one engine. */
static int bucket_of(const struct table_meter_rate *rate, bool packets,
		     const struct part *p, struct sluice_tokens_conf *out,
		     struct why *why)
{
	int err;

	if (p->of == 0) {
		/* No packet fits into no burst. */
		*out = (struct sluice_tokens_conf){.cost = 1 << 8};
		return 0;
	}
	err = cost_of(rate->per_second, p, &out->cost, why);
	if (err)
		return err;
	/* Its part of the burst comes at its part of the rate. */
	return burst_of(rate, packets, &out->burst, why);
}

static bool rate_ok(const struct table_meter_spec *spec, uint64_t per_second)
{
	return per_second >= 1 &&
	       per_second <=
		       (spec->packets ? RATE_MAX_PACKETS : RATE_MAX_BYTES);
}

static bool band_ok(const struct table_meter_band *b)
{
	return b->act <= SLUICE_METER_REMARK && b->level <= 3 &&
	       (b->act == SLUICE_METER_REMARK) == (b->level > 0);
}

static int spec_check(const struct table_meter *t,
		      const struct table_meter_spec *spec, struct why *why)
{
	const struct table_meter_rate *c = &spec->committed;
	const struct table_meter_rate *m = &spec->more;

	if (spec->kind > SLUICE_METER_TRTCM)
		return why_say(why, -EINVAL, "%u is no kind of meter",
			       (unsigned)spec->kind);
	if (!rate_ok(spec, c->per_second) ||
	    (spec->kind == SLUICE_METER_TRTCM && !rate_ok(spec, m->per_second)))
		return why_say(why, -EINVAL,
			       "a meter's rate is 1 to 10^9 packets or "
			       "1.25 * 10^11 bytes a second");
	if (spec->kind == SLUICE_METER_TRTCM && m->per_second < c->per_second)
		return why_say(why, -EINVAL,
			       "the peak rate is below the committed one");
	if (spec->kind == SLUICE_METER_SINGLE &&
	    (spec->colour_aware || spec->yellow.act != SLUICE_METER_PASS))
		return why_say(why, -EINVAL,
			       "a meter of one bucket knows no yellow");
	if (!band_ok(&spec->yellow) || !band_ok(&spec->red))
		return why_say(why, -EINVAL,
			       "a remarking band has a level of 1 to 3, others "
			       "have none");
	for (uint32_t e = t->n_engines; e < SLUICE_METER_ENGINES_MAX; e++)
		if (spec->share[e])
			return why_say(why, -EINVAL,
				       "the table has no engine %u", e);
	return 0;
}

static uint32_t flags_of(const struct table_meter_spec *spec)
{
	uint32_t flags = spec->kind;

	if (spec->packets)
		flags |= SLUICE_METER_PACKETS;
	if (spec->colour_aware)
		flags |= SLUICE_METER_AWARE;
	flags |= (spec->yellow.act | spec->yellow.level << 4)
		 << 8 * SLUICE_YELLOW;
	return flags | (spec->red.act | spec->red.level << 4) << 8 * SLUICE_RED;
}

/* The two rates of a spec with their bursts chosen and checked. */
static int rates_of(const struct table_meter *t,
		    const struct table_meter_spec *spec,
		    struct table_meter_rate *c, struct table_meter_rate *m,
		    struct why *why)
{
	bool peak = spec->kind == SLUICE_METER_TRTCM;
	int err = 0;

	*c = spec->committed;
	*m = spec->more;
	/* RFC 2697 wants one of its two bursts only. */
	if (!c->burst && (spec->kind != SLUICE_METER_SRTCM || !m->burst))
		c->burst = burst_chosen(t, spec, c->per_second);
	if (peak && !m->burst)
		m->burst = burst_chosen(t, spec, m->per_second);
	if (!peak)
		m->per_second = c->per_second;
	if (spec->kind == SLUICE_METER_SINGLE)
		m->burst = 0;
	if (c->burst)
		err = tick_check(t, c, why);
	if (!err && peak)
		err = tick_check(t, m, why);
	return err;
}

/* The configuration of one engine's meter. */
static int meter_fill(const struct table_meter *t,
		      const struct table_meter_spec *spec, const struct part *p,
		      struct sluice_meter *out, struct why *why)
{
	struct table_meter_rate c, m;
	int err = rates_of(t, spec, &c, &m, why);

	if (!err)
		err = bucket_of(&c, spec->packets, p, &out->committed, why);
	if (!err)
		err = bucket_of(&m, spec->packets, p, &out->more, why);
	if (err)
		return err;
	out->flags = flags_of(spec);
	memcpy(out->counters, spec->counters, sizeof(out->counters));
	return 0;
}

/* ---- Values. ---- */

/* How full the buckets are, from the entry that is replaced, if any. */
static void keep_state(const struct table_meter *t, uint64_t id,
		       union value *value)
{
	uint8_t *entry = table_exact_find(t->exact, &id);

	for (uint32_t e = 0; e < t->n_engines; e++) {
		struct sluice_meter *m = meter_of(value, e);
		bool rates =
			(m->flags & SLUICE_METER_KIND_) == SLUICE_METER_TRTCM;
		const struct sluice_meter *old;

		m->at = SLUICE_TOKENS_FRESH;
		m->more_at = rates ? SLUICE_TOKENS_FRESH : 0;
		if (!entry)
			continue;
		old = meter_of(sluice_entry_value(entry, sizeof(id)), e);
		m->at = sluice_load64_relaxed(&old->at);
		if (!((old->flags ^ m->flags) & SLUICE_METER_KIND_))
			m->more_at = sluice_load64_relaxed(&old->more_at);
	}
}

static int value_of(const struct table_meter *t, uint64_t id,
		    const struct table_meter_spec *spec, union value *out,
		    struct why *why)
{
	uint64_t all = 0;
	int err = spec_check(t, spec, why);

	if (err)
		return err;
	memset(out, 0, sizeof(*out));
	for (uint32_t e = 0; e < t->n_engines; e++)
		all += spec->share[e];
	for (uint32_t e = 0; e < t->n_engines; e++) {
		struct part p = {all ? spec->share[e] : 1,
				 all ? all : t->n_engines};

		err = meter_fill(t, spec, &p, meter_of(out, e), why);
		if (err)
			return err;
	}
	keep_state(t, id, out);
	return 0;
}

int table_meter_set(struct table_meter *t, uint64_t id,
		    const struct table_meter_spec *spec, struct why *why)
{
	union value value;
	int err = value_of(t, id, spec, &value, why);

	if (err)
		return err;
	err = table_exact_set(t->exact, &id, value.words, NULL);
	if (err)
		return why_say(why, err, "no room for meter %llu",
			       (unsigned long long)id);
	return 0;
}

bool table_meter_del(struct table_meter *t, uint64_t id)
{
	return table_exact_del(t->exact, &id);
}

/* ---- Change sets. ---- */

static struct table_meter *meters_of(struct change_table *c)
{
	return container_of(c, struct table_meter, change);
}

static int meter_prepare(struct change_table *c, const struct change_item *item,
			 uint32_t version, struct change_step *out,
			 struct why *why)
{
	struct table_meter *t = meters_of(c);
	struct change_table *exact = table_exact_change(t->exact);
	struct change_item mine = *item;
	union value value;
	uint64_t id;
	int err;

	mine.table = exact;
	if (item->kind != CHANGE_DEL) {
		memcpy(&id, item->key, sizeof(id));
		err = value_of(t, id, item->value, &value, why);
		if (err)
			return err;
		mine.value = value.words;
	}
	return exact->ops->prepare(exact, &mine, version, out, why);
}

static void meter_undo(struct change_table *c, const struct change_step *s)
{
	struct change_table *exact = table_exact_change(meters_of(c)->exact);

	exact->ops->undo(exact, s);
}

static void meter_settle(struct change_table *c, const struct change_step *s)
{
	struct change_table *exact = table_exact_change(meters_of(c)->exact);

	exact->ops->settle(exact, s);
}

static const struct change_table_ops meter_ops = {
	.prepare = meter_prepare,
	.undo = meter_undo,
	.settle = meter_settle,
};

struct change_table *table_meter_change(struct table_meter *t)
{
	return &t->change;
}

/* ---- Life. ---- */

static bool conf_ok(const struct table_meter_conf *c)
{
	return c->n_max >= 1 && c->n_max <= N_MAX && c->n_engines >= 1 &&
	       c->n_engines <= SLUICE_METER_ENGINES_MAX;
}

static struct table_exact_conf exact_conf(const struct table_meter_conf *c)
{
	return (struct table_exact_conf){
		.name = c->name,
		.kind = SLUICE_TABLE_METERS,
		.n_max = c->n_max,
		.key_len = sizeof(uint64_t),
		.value_len = (uint16_t)SLUICE_METER_VALUE_LEN(c->n_engines),
		.seed = c->seed,
	};
}

uint64_t table_meter_len(const struct table_meter_conf *conf)
{
	struct table_exact_conf c = exact_conf(conf);

	return conf_ok(conf) ? table_exact_len(&c) : 0;
}

static int writer_new(struct table_exact *exact, uint64_t clock_ns,
		      struct table_meter **out, struct why *why)
{
	struct table_meter *t = calloc(1, sizeof(*t));
	uint32_t value_len = table_exact_view(exact)->value_len;

	if (!t)
		return why_say(why, -ENOMEM, "no memory to write meters");
	t->change.ops = &meter_ops;
	t->exact = exact;
	t->n_engines = (value_len - (uint32_t)sizeof(struct sluice_meter)) /
			       SLUICE_METER_STRIDE +
		       1;
	t->clock_ns = clock_ns;
	*out = t;
	return 0;
}

int table_meter_new(struct region *r, const struct table_meter_conf *conf,
		    struct table_meter **out, struct why *why)
{
	struct table_exact_conf c = exact_conf(conf);
	struct table_exact *exact;
	int err;

	if (!conf_ok(conf))
		return why_say(why, -EINVAL,
			       "%u meters for %u engines are out of range",
			       conf->n_max, conf->n_engines);
	err = table_exact_new(r, &c, &exact, why);
	if (err)
		return err;
	err = writer_new(exact, conf->clock_ns, out, why);
	if (err)
		table_exact_free(exact);
	return err;
}

int table_meter_adopt(struct region *r, uint64_t clock_ns,
		      struct table_meter **out, struct why *why)
{
	const struct sluice_table_desc *d =
		region_table(r, SLUICE_TABLE_METERS);
	struct table_exact *exact;
	int err;

	if (d &&
	    (d->key_len != sizeof(uint64_t) ||
	     d->value_len < sizeof(struct sluice_meter) ||
	     d->value_len > SLUICE_METER_VALUE_LEN(SLUICE_METER_ENGINES_MAX) ||
	     (d->value_len - sizeof(struct sluice_meter)) %
		     SLUICE_METER_STRIDE))
		return why_say(why, -EINVAL, "table %.32s is not one of meters",
			       d->name);
	err = table_exact_adopt(r, SLUICE_TABLE_METERS, &exact, why);
	if (err)
		return err;
	err = writer_new(exact, clock_ns, out, why);
	if (err)
		table_exact_free(exact);
	return err;
}

uint32_t table_meter_take_counters(const struct table_meter *t,
				   struct table_counter *counters)
{
	const struct sluice_exact_view *v = table_exact_view(t->exact);
	uint32_t n = 0;

	for (uint32_t i = 0; i < v->n_entries; i++) {
		uint8_t *entry = sluice_exact_entry(v, i);
		const struct sluice_meter *m;

		if (sluice_head_state(*(uint64_t *)entry) != SLUICE_ENTRY_LIVE)
			continue;
		m = sluice_entry_value(entry, v->key_len);
		for (uint32_t j = 0; j < ARRAY_LEN(m->counters); j++)
			n += !table_counter_take(counters, m->counters[j]);
	}
	return n;
}

void table_meter_free(struct table_meter *t)
{
	if (!t)
		return;
	table_exact_free(t->exact);
	free(t);
}

const struct sluice_exact_view *table_meter_view(const struct table_meter *t)
{
	return table_exact_view(t->exact);
}

uint32_t table_meter_n_used(const struct table_meter *t)
{
	return table_exact_n_used(t->exact);
}

uint64_t table_meter_mark(const struct table_meter *t)
{
	return table_exact_mark(t->exact);
}

void table_meter_reclaim(struct table_meter *t, uint64_t mark)
{
	table_exact_reclaim(t->exact, mark);
}
