/* SPDX-License-Identifier: Apache-2.0 */
#include "look.h"

#include <stdlib.h>
#include <string.h>

#include "region/check.h"
#include "sluice/exact_batch.h"
#include "sluice/fsck.h"
#include "sluice/group_pick.h"
#include "sluice/masked_batch.h"
#include "sluice/masked_find.h"
#include "sluice/meter.h"
#include "sluice/prefix_batch.h"
#include "sluice/ternary_find.h"

#if defined(__SANITIZE_ADDRESS__)
#define LOOK_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LOOK_ASAN 1
#endif
#endif

#ifdef LOOK_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
#define ASAN_UNPOISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
#endif

#define N_INPUT_KEYS 8u
#define N_OWN_KEYS 24u /* of a table's own */
#define N_KEYS (N_INPUT_KEYS + N_OWN_KEYS)
#define KEY_WORDS SLUICE_TERNARY_WORDS_MAX
#define VALUE_LEN_MAX 65536u
#define READ_MAX 128u /* counters at once */
#define LANES_MAX 16u

struct look {
	uint8_t *mem;
	uint64_t len;
	const struct region_shape *shape;
	uint32_t version;
	/* The first ones are the input's. */
	uint64_t keys[N_KEYS][KEY_WORDS];
	/* One behind the other, as batches take them. */
	uint64_t batch[N_KEYS * (SLUICE_KEY_LEN_MAX / 8)];
};

/* Loads that the compiler makes; at may be of any alignment. */
static void touch(const void *at, uint64_t len)
{
	const volatile uint8_t *bytes = at;

	for (uint64_t i = 0; i < len; i += 8)
		(void)bytes[i];
	if (len)
		(void)bytes[len - 1];
}

static uint64_t *room(void)
{
	static uint64_t words[VALUE_LEN_MAX / 8];

	return words;
}

/* ---- Keys. ---- */

static void take_input_keys(struct look *l, const uint8_t *input, size_t len)
{
	for (uint32_t i = 0; i < N_INPUT_KEYS; i++) {
		size_t from = len * i / N_INPUT_KEYS;
		size_t n = len - from;

		memset(l->keys[i], 0, sizeof(l->keys[i]));
		memcpy(l->keys[i], input + from,
		       n < sizeof(l->keys[i]) ? n : sizeof(l->keys[i]));
	}
}

static void take_exact_keys(struct look *l, const struct sluice_exact_view *v)
{
	for (uint32_t i = 0; i < N_OWN_KEYS; i++)
		memcpy(l->keys[N_INPUT_KEYS + i],
		       sluice_exact_entry(v, i % v->n_entries) + 8, v->key_len);
	for (uint32_t i = 0; i < N_KEYS; i++)
		memcpy(l->batch + (size_t)i * (v->key_len / 8), l->keys[i],
		       v->key_len);
}

/* ---- Algorithms. ---- */

static void look_at_exact(struct look *l, const struct sluice_exact_view *v)
{
	struct sluice_exact_answers out;
	uint32_t idx = 0;
	uint8_t *e;

	take_exact_keys(l, v);
	for (uint32_t i = 0; i < N_KEYS; i++) {
		if (sluice_exact_find(v, l->version, l->keys[i], v->key_len,
				      &e) == SLUICE_YES)
			touch(e, v->entry_len);
		(void)sluice_exact_get(v, l->version, l->keys[i], v->key_len,
				       room());
	}
	sluice_exact_find_batch(v, l->version, l->batch, N_KEYS, &out);
	for (uint32_t i = 0; i < N_KEYS; i++)
		if (out.entries[i])
			touch(out.entries[i], v->entry_len);
	for (uint32_t i = 0;
	     sluice_reader_next(v, l->version, &idx, l->batch, room()); i++)
		if (i >= v->n_entries)
			abort();
}

static void look_at_masked(struct look *l, struct sluice_masked_view *v)
{
	const struct sluice_exact_view *x = &v->exact;
	struct sluice_exact_answers out;
	uint8_t *e;

	look_at_exact(l, x);
	for (uint32_t turn = 0; turn < 2; turn++) {
		for (uint32_t i = 0; i < N_KEYS; i++) {
			if (sluice_masked_find(v, l->version, l->keys[i],
					       x->key_len, &e) == SLUICE_YES)
				touch(e, x->entry_len);
			(void)sluice_masked_get(v, l->version, l->keys[i],
						x->key_len, room());
		}
		take_exact_keys(l, x);
		sluice_masked_find_batch(v, l->version, l->batch, N_KEYS, &out);
		for (uint32_t i = 0; i < N_KEYS; i++)
			if (out.entries[i])
				touch(out.entries[i], x->entry_len);
		/* And once more with hits counted. */
		if (!sluice_masked_count_in(v, v->n_lanes - 1) ||
		    sluice_masked_count_in(v, v->n_lanes))
			abort();
	}
}

static void take_ternary_keys(struct look *l,
			      const struct sluice_ternary_view *v)
{
	for (uint32_t i = 0; i < N_OWN_KEYS; i++) {
		const struct sluice_rule *rule =
			sluice_ternary_rule(v, i % v->n_entries);
		const uint64_t *pairs = sluice_rule_pairs(rule, v->value_len);
		uint64_t words = rule->words & v->words;
		uint64_t *key = l->keys[N_INPUT_KEYS + i];

		memcpy(key, l->keys[i % N_INPUT_KEYS], v->key_len);
		for (uint32_t j = 0; words && j < v->n_words; j++) {
			key[__builtin_ctzll(words)] = pairs[2 * j + 1];
			words &= words - 1;
		}
	}
}

static void look_at_ternary(struct look *l, const struct sluice_ternary_view *v)
{
	take_ternary_keys(l, v);
	for (uint32_t i = 0; i < N_KEYS; i++) {
		struct sluice_rule *rule;
		uint32_t priority;

		if (sluice_ternary_find(v, l->keys[i], l->version, &rule) ==
		    SLUICE_YES)
			touch(rule, v->entry_len);
		(void)sluice_ternary_get(v, l->keys[i], l->version, &priority,
					 room());
	}
}

static void look_at_prefix(struct look *l, const struct sluice_table_desc *d,
			   const struct sluice_prefix_view *v)
{
	struct sluice_addr addrs[N_KEYS];
	uint32_t ip4[N_KEYS], out[N_KEYS];

	for (uint32_t i = 0; i < N_KEYS; i++) {
		const void *from = l->keys[i];

		if (i >= N_INPUT_KEYS)
			from = &sluice_prefix_route(v, i % v->n_routes + 1)
					->addr;
		memset(&addrs[i], 0, sizeof(addrs[i]));
		memcpy(&addrs[i], from, v->key_bits == 32 ? 8 : 16);
		ip4[i] = (uint32_t)(addrs[i].hi >> 32);
	}
	for (uint32_t i = 0; i < N_KEYS; i++) {
		uint32_t n = sluice_prefix_find(v, addrs[i], l->version);

		if (n > v->n_routes)
			abort();
		touch(sluice_prefix_value(v, n), d->value_len);
		(void)sluice_prefix_get(v, addrs[i], l->version, room(),
					d->value_len);
	}
	sluice_prefix_find_batch(v, addrs, N_KEYS, l->version, out);
	for (uint32_t i = 0; i < N_KEYS; i++)
		touch(sluice_prefix_value(v, out[i]), d->value_len);
	if (v->key_bits != 32)
		return;
	sluice_prefix_find4_batch(v, ip4, N_KEYS, l->version, out);
	for (uint32_t i = 0; i < N_KEYS; i++)
		touch(sluice_prefix_value(v, out[i]), d->value_len);
}

static void look_at_counters(struct look *l,
			     const struct sluice_counter_view *v)
{
	struct sluice_counter_sum sums[READ_MAX];
	uint32_t n;

	for (uint32_t i = 0; i < LANES_MAX; i++) {
		/* The last one, the one behind it, and from the first on. */
		uint32_t lane = i < 2 ? v->n_lanes - 1 + i : i - 2;
		struct sluice_counter_lane mine = sluice_counter_lane(v, lane);

		if (mine.n != (lane < v->n_lanes ? v->n_counters : 0))
			abort();
		sluice_counter_add(&mine, v->n_counters - 1, 1, 64, 1);
		sluice_counter_add_shared(&mine, (uint32_t)l->keys[0][0], 1, 1,
					  1);
	}
	for (uint32_t i = 0; i < N_INPUT_KEYS; i++) {
		uint32_t no = (uint32_t)l->keys[i][0];

		(void)sluice_counter_get(v, no, &sums[0]);
		(void)sluice_counter_get(v, no % v->n_counters, &sums[0]);
	}
	n = v->n_counters < READ_MAX ? v->n_counters : READ_MAX;
	if (sluice_counter_read(v, v->n_counters - n, READ_MAX, sums) != n)
		abort();
}

static void look_at_heap(struct look *l, const struct sluice_heap_view *v)
{
	uint64_t n_max = (uint64_t)v->n_pages * 512;
	struct sluice_heap_usage usage;
	struct sluice_block block;
	uint64_t at = 0, n = 0;
	uint32_t off;

	sluice_heap_usage(v, &usage);
	while (sluice_heap_next(v, &at, &off, &block)) {
		uint32_t len = sluice_block_len(block.what);
		const void *payload = sluice_heap_at(v, off, len);

		if (n++ > n_max)
			abort();
		if (payload)
			touch(payload, len);
	}
	for (uint32_t i = 0; i < N_INPUT_KEYS; i++) {
		uint32_t len = (uint32_t)(l->keys[i][0] >> 32);
		const void *payload =
			sluice_heap_at(v, (uint32_t)l->keys[i][0], len);

		if (payload)
			touch(payload, len);
	}
}

/* ---- Kinds: what lies in an exact table. ---- */

static void look_at_groups(struct look *l, const struct sluice_exact_view *x)
{
	const struct sluice_groups_view v = {*x, l->shape->heap};

	for (uint32_t i = 0; i < N_KEYS; i++) {
		const struct sluice_group_packet p = {
			.key = (const struct sluice_key *)
				       l->keys[i % N_INPUT_KEYS],
			.up = l->keys[0][1],
			.version = l->version,
		};
		uint32_t id = (uint32_t)l->keys[i][0], bucket;
		struct sluice_group_choice choice;
		struct sluice_group_at g;

		(void)sluice_group_resolve(&v, id, &p, &choice);
		if (sluice_group_find(&v, l->version, id, &g) != SLUICE_YES)
			continue;
		touch(g.buckets, g.n_buckets * sizeof(*g.buckets));
		if (sluice_group_pick(&v, &g, &p, &bucket) != SLUICE_YES)
			continue;
		if (bucket >= g.n_buckets)
			abort();
		touch(&g.buckets[bucket], sizeof(g.buckets[bucket]));
	}
}

static void look_at_meters(struct look *l, const struct sluice_exact_view *x)
{
	struct sluice_meter_view v;

	for (uint32_t engine = 0; engine <= SLUICE_METER_ENGINES_MAX; engine++)
		for (uint32_t i = 0; i < N_KEYS; i++) {
			const struct sluice_meter_load load = {
				.packets = 1,
				.bytes = (uint32_t)l->keys[0][0],
				.came = (enum sluice_colour)(i % 3),
			};
			struct sluice_meter *m;
			uint32_t level;

			if (!sluice_meter_view_init(&v, x, engine) ||
			    sluice_meter_find(&v, l->version, l->keys[i][0],
					      &m) != SLUICE_YES)
				continue;
			(void)sluice_meter_police(m, l->keys[0][1], &load);
			(void)sluice_meter_police_shared(m, l->keys[1][1],
							 &load);
			(void)sluice_meter_act(m, SLUICE_RED, &level);
			(void)sluice_meter_counter(m, SLUICE_RED);
		}
}

/* ---- The region. ---- */

static void look_at_kind(struct look *l, const struct sluice_table_desc *d,
			 const struct sluice_exact_view *x)
{
	look_at_exact(l, x);
	if (d->kind == SLUICE_TABLE_METERS)
		look_at_meters(l, x);
	if (d->kind == SLUICE_TABLE_GROUPS &&
	    x->key_len == sizeof(struct sluice_group_key) &&
	    x->value_len == sizeof(struct sluice_group))
		look_at_groups(l, x);
}

static void look_at_table(struct look *l, const struct sluice_table_desc *d)
{
	struct sluice_counter_view counters;
	struct sluice_ternary_view rules;
	struct sluice_prefix_view routes;
	struct sluice_masked_view masked;
	struct sluice_exact_view exact;
	struct sluice_heap_view heap;
	int err = 0;

	if (d->alg == SLUICE_ALG_ARRAY)
		touch(l->mem + d->off, (uint64_t)d->n_max * d->value_len);
	else if (d->alg == SLUICE_ALG_CUCKOO8 &&
		 !(err = region_check_exact(l->mem, d, &exact, NULL)))
		look_at_kind(l, d, &exact);
	else if (d->alg == SLUICE_ALG_MASKED &&
		 !(err = region_check_masked(l->mem, d, &masked, NULL)))
		look_at_masked(l, &masked);
	else if (d->alg == SLUICE_ALG_TERNARY &&
		 !(err = region_check_ternary(l->mem, d, &rules, NULL)))
		look_at_ternary(l, &rules);
	else if (d->alg == SLUICE_ALG_PREFIX &&
		 !(err = region_check_prefix(l->mem, d, &routes, NULL)))
		look_at_prefix(l, d, &routes);
	else if (d->alg == SLUICE_ALG_COUNTER &&
		 !(err = region_check_counter(l->mem, d, &counters, NULL)))
		look_at_counters(l, &counters);
	else if (d->alg == SLUICE_ALG_HEAP &&
		 !(err = region_check_heap(l->mem, d, &heap, NULL)))
		look_at_heap(l, &heap);
	/* Nobody has written meanwhile but us, and we to no header. */
	if (err)
		abort();
}

/* Only the header, the directory and this table may be touched. */
static void fence(const struct look *l, const struct sluice_table_desc *d)
{
	uint64_t end = d->off + d->len;

	ASAN_POISON_MEMORY_REGION(l->mem + SLUICE_TABLES_OFF,
				  l->len - SLUICE_TABLES_OFF);
	ASAN_UNPOISON_MEMORY_REGION(l->mem + d->off, end - d->off);
	if (d->kind == SLUICE_TABLE_GROUPS)
		ASAN_UNPOISON_MEMORY_REGION(l->shape->heap.pages,
					    l->shape->heap.len);
}

static void begin(void *ctx, const struct sluice_table_desc *d)
{
	const struct look *l = ctx;

	fence(l, d);
	/* It asks the entries that its blocks belong to. */
	if (d->alg == SLUICE_ALG_HEAP)
		ASAN_UNPOISON_MEMORY_REGION(l->mem, l->len);
}

uint64_t look_deep(uint8_t *mem, uint64_t len)
{
	static struct region_shape shape;
	struct look l = {.mem = mem, .len = len, .shape = &shape};
	const struct sluice_fsck_conf conf = {
		.is_deep = true,
		.begin = begin,
		.ctx = &l,
	};
	const struct sluice_map map = {mem, len};
	static struct sluice_fsck out;

	if (region_shape_check(mem, len, &shape, NULL) ||
	    sluice_fsck(&map, &conf, &out, NULL))
		abort();
	ASAN_UNPOISON_MEMORY_REGION(mem, len);
	return out.n_wrong;
}

void look_at_tables(uint8_t *mem, uint64_t len, const uint8_t *input,
		    size_t input_len)
{
	static struct region_shape shape;
	static struct look l;

	if (region_shape_check(mem, len, &shape, NULL))
		abort();
	l.mem = mem;
	l.len = len;
	l.shape = &shape;
	l.version = sluice_version((const struct sluice_region *)mem);
	take_input_keys(&l, input, input_len);
	for (uint32_t i = 0; i < shape.n_tables; i++) {
		fence(&l, &shape.tables[i]);
		look_at_table(&l, &shape.tables[i]);
		ASAN_UNPOISON_MEMORY_REGION(mem, len);
	}
}
