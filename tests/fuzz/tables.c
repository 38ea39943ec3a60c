/* SPDX-License-Identifier: Apache-2.0 */
#include "tables.h"

#include <string.h>

#include "base/must.h"
#include "base/rng.h"
#include "region/heap.h"
#include "region/region.h"
#include "sluice/key.h"
#include "table/counter.h"
#include "table/group.h"
#include "table/masked.h"
#include "table/meter.h"
#include "table/prefix.h"
#include "table/ternary.h"

#define OWN(n) (SLUICE_TABLE_OWN + (n))
#define SEED 1u
#define KEY_LEN 16u
#define N_MAX 6u

const char *const tables_names[TABLES_N] = {"masked", "ternary",  "ip4",
					    "ip6",    "counters", "groups",
					    "meters"};

/* ---- Sound ones: nearly full, one that has gone, all by the writers. ---- */

static void make_masked(struct region *r)
{
	const struct table_masked_conf conf = {
		.name = "masked",
		.kind = OWN(0),
		.n_max = N_MAX,
		.n_masks_max = 6,
		.n_lanes = 2,
		.key_len = KEY_LEN,
		.value_len = 16,
		.seed = SEED,
	};
	struct table_masked *t;

	must(!table_masked_new(r, &conf, &t, NULL));
	for (uint64_t i = 0; i < N_MAX; i++) {
		const uint64_t masks[] = {~0ull, 0xff, 0xffff, 0xffffff,
					  0xff00ff};
		uint64_t key[] = {i * 0x0101010101, i}, value[] = {i, ~i};
		uint64_t mask[] = {masks[i % 5], i % 2 ? ~0ull : 0};
		const struct table_masked_key both = {key, mask};

		must(!table_masked_set(t, &both, value, NULL));
		if (i == 2)
			must(table_masked_del(t, &both));
	}
	table_masked_free(t);
}

static void make_ternary(struct region *r)
{
	static const struct sluice_ternary_field fields[] = {{0, 32}, {96, 16}};
	const struct table_ternary_conf conf = {
		.name = "ternary",
		.kind = OWN(1),
		.n_max = N_MAX,
		.n_tuples = 16,
		.key_len = KEY_LEN,
		.value_len = 16,
		.fields = fields,
		.n_fields = 2,
		.seed = SEED,
	};
	struct table_ternary *t;

	must(!table_ternary_new(r, &conf, &t, NULL));
	for (uint64_t i = 0; i < N_MAX; i++) {
		const uint64_t masks[] = {0xffffffff, 0xff, 0, ~0ull};
		uint64_t key[] = {i % 3, i}, value[] = {i, ~i};
		uint64_t mask[] = {masks[i % 4], i % 2 ? ~0ull : 0};
		const struct table_ternary_rule rule = {key, mask, (uint32_t)i};

		must(!table_ternary_set(t, &rule, value, NULL));
		if (i == 2)
			must(table_ternary_del(t, &rule));
	}
	table_ternary_free(t);
}

static void make_prefix(struct region *r, const char *name, uint32_t key_bits)
{
	const struct table_prefix_conf conf = {
		.name = name,
		.kind = OWN(2),
		.n_max = N_MAX,
		.n_nodes = 48,
		.key_bits = key_bits,
		.root_bits = 8,
		.value_len = 8,
	};
	static const uint32_t lens[N_MAX] = {0, 8, 13, 24, 30, 32};
	struct table_prefix *t;

	must(!table_prefix_new(r, &conf, &t, NULL));
	for (uint64_t i = 0; i < N_MAX; i++) {
		uint32_t len = lens[i] * (key_bits == 128 ? 2 : 1);
		struct sluice_prefix_key key = {{0x0a01020304050607, 0},
						len,
						0};

		key.addr.hi &= len ? ~0ull << (64 - len) : 0;
		must(!table_prefix_set(t, &key, &i, NULL));
		if (i == 2)
			must(!table_prefix_del(t, &key));
	}
	table_prefix_free(t);
}

static void make_ip4(struct region *r)
{
	make_prefix(r, "ip4", 32);
}

static void make_ip6(struct region *r)
{
	make_prefix(r, "ip6", 128);
}

static void make_counters(struct region *r)
{
	const struct table_counter_conf conf = {
		.name = "counters",
		.kind = SLUICE_TABLE_COUNTERS,
		.n_max = N_MAX,
		.n_lanes = 3,
	};
	struct table_counter *t;
	uint32_t no;

	must(!table_counter_new(r, &conf, &t, NULL));
	for (uint32_t i = 0; i < N_MAX - 1; i++)
		must(!table_counter_alloc(t, 1, &no));
	must(table_counter_release(t, no));
	table_counter_free(t);
}

/* Bodies of one length, so that two pages do; of type indirect there is none. */
static void make_groups(struct region *r)
{
	struct table_group_conf conf = {.n_max = N_MAX, .seed = SEED};
	struct group_bucket buckets[36];
	struct table_group *t;

	must(!heap_new(r, 2, 0, &conf.heap, NULL));
	must(!table_group_new(r, &conf, &t, NULL));
	for (uint32_t id = 0; id < 6; id++) {
		struct group_conf g = {
			.type = id % 3 == 2 ? SLUICE_GROUP_FF
					    : (enum sluice_group_type)(id % 3),
			.is_symmetric = id == SLUICE_GROUP_SELECT,
			.n_buckets = id % 3 == SLUICE_GROUP_SELECT ? 3 : 35,
			.buckets = buckets,
		};

		memset(&g.mask, 0xff, sizeof(g.mask));
		for (uint32_t i = 0; i < g.n_buckets; i++)
			buckets[i] = (struct group_bucket){
				.act = sluice_act_of(SLUICE_ACT_OUTPUT, i),
				.watch_port =
					g.type == SLUICE_GROUP_FF ? i + 1 : 0,
				.watch_group = SLUICE_GROUP_NONE,
				.weight = g.type == SLUICE_GROUP_SELECT,
			};
		must(!table_group_set(t, id, &g, NULL));
	}
	table_group_free(t);
	heap_free(conf.heap);
}

static void make_meters(struct region *r)
{
	const struct table_meter_conf conf = {
		.name = "meters",
		.n_max = N_MAX,
		.n_engines = 2,
		.seed = SEED,
	};
	struct table_meter *t;

	must(!table_meter_new(r, &conf, &t, NULL));
	for (uint64_t id = 0; id < 3; id++) {
		const struct table_meter_spec spec = {
			.kind = (enum sluice_meter_kind)id,
			.committed = {1000000, 100000},
			.more = {id == SLUICE_METER_TRTCM ? 2000000 : 0,
				 200000},
			.yellow = {SLUICE_METER_PASS, 0},
			.red = {SLUICE_METER_DROP, 0},
		};

		must(!table_meter_set(t, id, &spec, NULL));
	}
	table_meter_free(t);
}

uint64_t tables_make(enum tables_which which, uint8_t *mem)
{
	static void (*const makes[TABLES_N])(
		struct region * r) = {make_masked, make_ternary,  make_ip4,
				      make_ip6,	   make_counters, make_groups,
				      make_meters};
	struct sluice_region *h = (struct sluice_region *)(void *)mem;
	struct region *r;
	uint64_t len;

	must(!region_new_memfd("sample", TABLES_LEN_MAX, false, &r, NULL));
	makes[which](r);
	len = (r->head->used_len + 4095) / 4096 * 4096;
	must(r->page_len == 4096 && len <= TABLES_LEN_MAX);
	memset(mem, 0, TABLES_LEN_MAX);
	memcpy(mem, r->head, len);
	region_free(r);
	h->len = len;
	/* What is not the same each time. */
	h->owner_uid = 0;
	h->writer_pid = h->writer_start = h->writer_boot = 0;
	return len;
}

/* Is this 8-byte word of a table a header's? */
static bool is_head(const struct sluice_table_desc *d, const uint64_t *words,
		    uint64_t at)
{
	static const uint32_t heads[] = {
		[SLUICE_ALG_CUCKOO8] = sizeof(struct sluice_exact),
		[SLUICE_ALG_MASKED] = sizeof(struct sluice_masked),
		[SLUICE_ALG_TERNARY] = sizeof(struct sluice_ternary),
		[SLUICE_ALG_PREFIX] = sizeof(struct sluice_prefix),
		[SLUICE_ALG_COUNTER] = sizeof(struct sluice_counters),
		[SLUICE_ALG_HEAP] = sizeof(struct sluice_heap),
	};
	uint64_t inner = ((const struct sluice_masked *)words)->exact_off / 8;

	return at < heads[d->alg] / 8 ||
	       (d->alg == SLUICE_ALG_MASKED && at >= inner &&
		at < inner + sizeof(struct sluice_exact) / 8);
}

void tables_lie(uint8_t *mem, uint64_t seed)
{
	const struct sluice_region *h = (const void *)mem;
	const struct sluice_table_desc *d =
		(const void *)(mem + SLUICE_DIR_OFF);
	struct rng rng = rng_of(seed);

	for (uint32_t i = 0; i < h->n_tables; i++) {
		uint64_t *words = (uint64_t *)(void *)(mem + d[i].off);

		for (uint64_t at = 0; at < d[i].len / 8; at++) {
			uint64_t was = words[at];

			/* What is 0 mostly stays, for short inputs. */
			if (is_head(&d[i], words, at) ||
			    rng_below(&rng, was ? 3 : 24))
				continue;
			words[at] = rng_below(&rng, 2)
					    ? was + 1 - rng_below(&rng, 3)
					    : was ^ 1ull << rng_below(&rng, 64);
		}
	}
}

void tables_empty(uint8_t *mem)
{
	const struct sluice_table_desc *d =
		(const void *)(mem + SLUICE_DIR_OFF);
	uint64_t *words = (uint64_t *)(void *)(mem + d->off);

	for (uint64_t at = 0; at < (TABLES_LEN_MAX - d->off) / 8; at++)
		if (!is_head(d, words, at))
			words[at] = 0;
}
