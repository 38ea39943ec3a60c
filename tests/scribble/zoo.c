/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/scribble/zoo.h"

#include <stdio.h>
#include <string.h>

#include "base/must.h"
#include "base/rng.h"
#include "sluice/exact_batch.h"
#include "sluice/group_pick.h"
#include "sluice/key.h"
#include "sluice/masked_batch.h"
#include "sluice/prefix_batch.h"

#define ZOO_LEN (64u << 20)
#define KIND(n) (SLUICE_TABLE_OWN + (n))
#define N_ENTRIES 4096u
#define N_RULES 2000u
#define N_METERS 64u
#define N_GROUPS 32u
#define VALUE_WORDS 2u
#define BATCH 32u
#define SEEN 1ull

/* Which look-ups a pass makes; their answers lie one behind the other. */
enum {
	LOOK_EXACT,
	LOOK_EXACT_BATCH,
	LOOK_MASKED,
	LOOK_MASKED_BATCH,
	LOOK_TERNARY,
	LOOK_IP4,
	LOOK_IP6,
	LOOK_METER,
	LOOK_GROUP,
};

/* ---- What is in it. Everything follows from a number. ---- */

static void key_of(uint32_t no, struct sluice_key *k)
{
	struct rng rng = rng_of(no / 2); /* two keys are alike */

	memset(k, 0, sizeof(*k));
	k->in_port = no % 8;
	k->eth_type = sluice_to_be16(0x0800);
	k->ip_proto = no % 2 ? 6 : 17;
	k->ip_src[12] = k->ip_dst[12] = 10;
	for (uint32_t i = 13; i < 16; i++) {
		k->ip_src[i] = (uint8_t)rng_next(&rng);
		k->ip_dst[i] = (uint8_t)rng_next(&rng);
	}
	k->tp_src = sluice_to_be16((uint16_t)rng_next(&rng));
	k->tp_dst = sluice_to_be16((uint16_t)(no % 100));
}

static void mask_of(uint32_t no, struct sluice_key *m)
{
	memset(m, 0, sizeof(*m));
	m->in_port = ~0u;
	if (no & 1)
		memset(m->ip_src, 0xff, 14 + (no >> 2 & 1));
	if (no & 2)
		memset(m->ip_dst, 0xff, 15);
	if (no & 4)
		m->tp_dst = sluice_to_be16(0xffff);
	if (no & 8)
		m->ip_proto = 0xff;
}

static void value_of(uint64_t no, uint64_t value[VALUE_WORDS])
{
	value[0] = no;
	value[1] = ~no;
}

static void exact_make(struct zoo *z, uint64_t seed)
{
	const struct table_exact_conf conf = {
		.name = "exact",
		.kind = KIND(0),
		.n_max = N_ENTRIES,
		.key_len = sizeof(struct sluice_key),
		.value_len = VALUE_WORDS * 8,
		.seed = seed,
	};

	must(!table_exact_new(z->region, &conf, &z->exact, NULL));
	for (uint32_t i = 0; i < N_ENTRIES; i += 2) {
		uint64_t value[VALUE_WORDS];
		struct sluice_key key;

		key_of(i, &key);
		value_of(i, value);
		must(!table_exact_set(z->exact, &key, value, NULL));
	}
}

static void masked_make(struct zoo *z, uint64_t seed)
{
	const struct table_masked_conf conf = {
		.name = "masked",
		.kind = KIND(1),
		.n_max = N_ENTRIES,
		.n_masks_max = 16,
		.n_lanes = 2,
		.key_len = sizeof(struct sluice_key),
		.value_len = VALUE_WORDS * 8,
		.seed = seed,
	};

	must(!table_masked_new(z->region, &conf, &z->masked, NULL));
	for (uint32_t i = 0; i < N_ENTRIES / 2; i++) {
		uint64_t value[VALUE_WORDS];
		struct sluice_key key, mask;
		const struct table_masked_key both = {&key, &mask};

		key_of(i, &key);
		mask_of(i % 15 + 1, &mask);
		value_of(i, value);
		must(!table_masked_set(z->masked, &both, value, NULL));
	}
}

static void ternary_make(struct zoo *z, uint64_t seed)
{
	const struct table_ternary_conf conf = {
		.name = "ternary",
		.kind = KIND(2),
		.n_max = N_RULES,
		.n_tuples = 128,
		.key_len = sizeof(struct sluice_key),
		.value_len = VALUE_WORDS * 8,
		.seed = seed,
	};

	must(!table_ternary_new(z->region, &conf, &z->ternary, NULL));
	for (uint32_t i = 0; i < N_RULES; i++) {
		uint64_t value[VALUE_WORDS];
		struct sluice_key key, mask;
		/* No two alike, so that answers do not hang on the order. */
		const struct table_ternary_rule rule = {&key, &mask, i + 1};

		key_of(i * 2, &key);
		mask_of(i % 16, &mask);
		value_of(i, value);
		must(!table_ternary_set(z->ternary, &rule, value, NULL));
	}
}

/* An address and a length, the shorter ones around the longer. */
static struct sluice_prefix_key route_of(uint32_t no, uint32_t key_bits)
{
	struct rng rng = rng_of(no / 4 + 1000);
	struct sluice_prefix_key k = {{rng_next(&rng), rng_next(&rng)}, 0, 0};
	uint32_t longest = key_bits == 32 ? 32 : 64;

	k.len = longest - no % 4 * (longest / 4);
	if (key_bits == 32)
		k.addr.hi &= ~0ull << 32;
	k.addr.lo = 0;
	k.addr.hi &= k.len ? ~0ull << (64 - k.len) : 0;
	return k;
}

static struct table_prefix *prefix_make(struct zoo *z, uint32_t kind,
					uint32_t key_bits)
{
	const struct table_prefix_conf conf = {
		.name = key_bits == 32 ? "ip4" : "ip6",
		.kind = kind,
		.n_max = N_ENTRIES,
		.n_nodes = 65536,
		.key_bits = key_bits,
		.root_bits = 16,
		.value_len = VALUE_WORDS * 8,
	};
	struct table_prefix *t;

	must(!table_prefix_new(z->region, &conf, &t, NULL));
	for (uint32_t i = 0; i < N_ENTRIES / 2; i++) {
		struct sluice_prefix_key key = route_of(i, key_bits);
		uint64_t value[VALUE_WORDS];

		value_of(i, value);
		must(!table_prefix_set(t, &key, value, NULL));
	}
	return t;
}

static void meters_make(struct zoo *z, uint64_t seed)
{
	const struct table_counter_conf counters = {
		.name = "counters",
		.kind = SLUICE_TABLE_COUNTERS,
		.n_max = ZOO_LOOKS,
		.n_lanes = 2,
	};
	const struct table_meter_conf meters = {
		.name = "meters",
		.n_max = N_METERS,
		.n_engines = 1,
		.seed = seed,
	};

	must(!table_counter_new(z->region, &counters, &z->counters, NULL));
	for (uint32_t i = 0; i < ZOO_LOOKS; i++) {
		uint32_t no;

		must(!table_counter_alloc(z->counters, 1, &no));
	}
	z->lane = sluice_counter_lane(table_counter_view(z->counters), 1);
	must(!table_meter_new(z->region, &meters, &z->meters, NULL));
	for (uint64_t id = 0; id < N_METERS; id++) {
		const struct table_meter_spec spec = {
			.kind = (enum sluice_meter_kind)(id % 3),
			.committed = {1000000, 100000},
			.more = {id % 3 == 1 ? 0 : 2000000, 200000},
			.yellow = {SLUICE_METER_PASS, 0},
			.red = {SLUICE_METER_DROP, 0},
		};

		must(!table_meter_set(z->meters, id, &spec, NULL));
	}
	must(sluice_meter_view_init(&z->meter_view, table_meter_view(z->meters),
				    0));
}

/* Each type in turn; those that watch a group watch the first. */
static void groups_make(struct zoo *z, uint64_t seed)
{
	struct table_group_conf conf = {.n_max = N_GROUPS, .seed = seed};
	struct group_bucket buckets[8];

	must(!heap_new(z->region, 16, 0, &z->heap, NULL));
	conf.heap = z->heap;
	must(!table_group_new(z->region, &conf, &z->groups, NULL));
	for (uint32_t id = 0; id < N_GROUPS; id++) {
		struct group_conf g = {
			.type = (enum sluice_group_type)(id % 4),
			.is_symmetric = id % 8 == 1,
			.n_buckets = id % 4 == SLUICE_GROUP_INDIRECT ? 1 : 8,
			.buckets = buckets,
		};

		memset(&g.mask, 0xff, sizeof(g.mask));
		for (uint32_t i = 0; i < g.n_buckets; i++)
			buckets[i] = (struct group_bucket){
				.act = sluice_act_of(SLUICE_ACT_OUTPUT, i),
				.watch_port =
					g.type == SLUICE_GROUP_FF ? i + 1 : 0,
				.watch_group = SLUICE_GROUP_NONE,
				.weight = g.type == SLUICE_GROUP_SELECT ? i + 1
									: 0,
			};
		must(!table_group_set(z->groups, id, &g, NULL));
	}
}

void zoo_make(struct zoo *z, const char *name, uint64_t seed)
{
	must(!region_new_memfd(name, ZOO_LEN, false, &z->region, NULL));
	exact_make(z, seed);
	masked_make(z, seed);
	ternary_make(z, seed);
	z->ip4 = prefix_make(z, KIND(3), 32);
	z->ip6 = prefix_make(z, KIND(4), 128);
	meters_make(z, seed);
	groups_make(z, seed);
}

void zoo_free(struct zoo *z)
{
	table_exact_free(z->exact);
	table_masked_free(z->masked);
	table_ternary_free(z->ternary);
	table_prefix_free(z->ip4);
	table_prefix_free(z->ip6);
	table_meter_free(z->meters);
	table_counter_free(z->counters);
	table_group_free(z->groups);
	heap_free(z->heap);
	region_free(z->region);
}

/* ---- Looking. ---- */

/* All of a value, so that a tool sees that it is memory of ours. */
static uint64_t answer_of(const void *value)
{
	const uint64_t *words = value;
	uint64_t sum = SEEN;

	for (uint32_t i = 0; i < VALUE_WORDS; i++)
		sum = sum * 31 + sluice_load64_relaxed(&words[i]);
	return sum;
}

static uint64_t answer_of_entry(enum sluice_found found, uint8_t *entry)
{
	if (found != SLUICE_YES)
		return found;
	return answer_of(sluice_entry_value(entry, sizeof(struct sluice_key)));
}

static void look_at_keys(const struct zoo *z, uint32_t version,
			 uint64_t *answers)
{
	const struct sluice_exact_view *x = table_exact_view(z->exact);
	const struct sluice_masked_view *m = table_masked_view(z->masked);
	const struct sluice_ternary_view *t = table_ternary_view(z->ternary);
	const uint32_t key_len = sizeof(struct sluice_key);

	for (uint32_t i = 0; i < ZOO_LOOKS; i++) {
		enum sluice_found found;
		struct sluice_rule *rule;
		struct sluice_key key;
		uint8_t *entry;

		key_of(i * 7, &key);
		found = sluice_exact_find(x, version, &key, key_len, &entry);
		answers[LOOK_EXACT * (size_t)ZOO_LOOKS + i] =
			answer_of_entry(found, entry);
		found = sluice_masked_find(m, version, &key, key_len, &entry);
		answers[LOOK_MASKED * (size_t)ZOO_LOOKS + i] =
			answer_of_entry(found, entry);
		found = sluice_ternary_find(t, &key, version, &rule);
		answers[LOOK_TERNARY * (size_t)ZOO_LOOKS + i] =
			found == SLUICE_YES ? answer_of(sluice_rule_value(rule))
					    : found;
	}
}

static void look_at_batches(const struct zoo *z, uint32_t version,
			    uint64_t *answers)
{
	for (uint32_t at = 0; at < ZOO_LOOKS; at += BATCH) {
		struct sluice_key keys[BATCH];
		struct sluice_exact_answers out;

		for (uint32_t i = 0; i < BATCH; i++)
			key_of((at + i) * 7, &keys[i]);
		sluice_exact_find_batch(table_exact_view(z->exact), version,
					keys, BATCH, &out);
		for (uint32_t i = 0; i < BATCH; i++)
			answers[LOOK_EXACT_BATCH * (size_t)ZOO_LOOKS + at + i] =
				out.entries[i] ? answer_of_entry(SLUICE_YES,
								 out.entries[i])
					       : SLUICE_NO;
		sluice_masked_find_batch(table_masked_view(z->masked), version,
					 keys, BATCH, &out);
		for (uint32_t i = 0; i < BATCH; i++)
			answers[LOOK_MASKED_BATCH * (size_t)ZOO_LOOKS + at +
				i] = out.entries[i]
					     ? answer_of_entry(SLUICE_YES,
							       out.entries[i])
					     : SLUICE_NO;
	}
}

static void look_at_routes(const struct table_prefix *t, uint32_t key_bits,
			   uint32_t version, uint64_t *answers)
{
	const struct sluice_prefix_view *v = table_prefix_view(t);

	for (uint32_t i = 0; i < ZOO_LOOKS; i++) {
		struct sluice_prefix_key key = route_of(i * 11, key_bits);
		uint32_t route = sluice_prefix_find(v, key.addr, version);
		uint64_t value[VALUE_WORDS];

		/* With and without believing the route. */
		answers[i] = answer_of(sluice_prefix_value(v, route)) + route;
		if (sluice_prefix_get(v, key.addr, version, value,
				      sizeof(value)) == SLUICE_YES)
			answers[i] += answer_of(value);
	}
}

static void count(const struct zoo *z, uint32_t version, uint64_t *answers)
{
	const struct sluice_meter_load load = {1, 64, SLUICE_GREEN};

	for (uint32_t i = 0; i < ZOO_LOOKS; i++) {
		enum sluice_found found;
		struct sluice_meter *m;
		uint32_t level;

		sluice_counter_add(&z->lane, i + 1, 1, 64, 1);
		found = sluice_meter_find(&z->meter_view, version, i % N_METERS,
					  &m);
		answers[i] = found;
		if (found != SLUICE_YES)
			continue;
		/* The hour is late, so every packet is green. */
		answers[i] +=
			sluice_meter_police(m, (1ull << 40) * (i + 1), &load);
		answers[i] += sluice_meter_act(m, SLUICE_RED, &level);
		sluice_counter_add(&z->lane,
				   sluice_meter_counter(m, SLUICE_RED), 0, 0,
				   1);
	}
}

static void look_at_groups(const struct zoo *z, uint32_t version,
			   uint64_t *answers)
{
	const struct sluice_groups_view *v = table_group_view(z->groups);

	for (uint32_t i = 0; i < ZOO_LOOKS; i++) {
		struct sluice_key key;
		const struct sluice_group_packet p = {.key = &key,
						      .version = version,
						      .up = 0xaa};
		struct sluice_group_at g;
		uint32_t bucket;

		key_of(i, &key);
		answers[i] = sluice_group_find(v, version, i % N_GROUPS, &g);
		if (answers[i] != SLUICE_YES)
			continue;
		answers[i] = sluice_group_pick(v, &g, &p, &bucket);
		if (answers[i] == SLUICE_YES)
			answers[i] +=
				sluice_load64_relaxed(&g.buckets[bucket].act) +
				1000ul * bucket;
	}
}

void zoo_look(const struct zoo *z, uint64_t answers[ZOO_ANSWERS])
{
	uint32_t version = sluice_version(z->region->head);

	look_at_keys(z, version, answers);
	look_at_batches(z, version, answers);
	look_at_routes(z->ip4, 32, version,
		       answers + LOOK_IP4 * (size_t)ZOO_LOOKS);
	look_at_routes(z->ip6, 128, version,
		       answers + LOOK_IP6 * (size_t)ZOO_LOOKS);
	count(z, version, answers + LOOK_METER * (size_t)ZOO_LOOKS);
	look_at_groups(z, version, answers + LOOK_GROUP * (size_t)ZOO_LOOKS);
}

uint64_t zoo_counted(const struct zoo *z)
{
	const struct sluice_counter_view *v = table_counter_view(z->counters);
	uint64_t sum = 0;

	for (uint32_t no = 1; no <= ZOO_LOOKS; no++) {
		struct sluice_counter_sum c;

		sluice_counter_get(v, no, &c);
		sum += c.packets;
	}
	return sum;
}
