/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_PREFIX_FAKE_H
#define TABLE_PREFIX_FAKE_H

/*
 * table/prefix_fake - a table of routes in a region of its own, for tests of
 * table/prefix
 */

#include "base/must.h"
#include "base/rng.h"
#include "base/test.h"
#include "sluice/fsck.h"
#include "sluice/prefix_batch.h"
#include "table/prefix.h"

struct fixture {
	struct region *region;
	struct table_prefix *table;
	struct table_prefix_conf conf;
};

static inline void fixture_init(struct fixture *f, uint32_t key_bits,
				uint32_t root_bits, uint32_t n_max)
{
	f->conf = (struct table_prefix_conf){
		.name = "routes",
		.kind = SLUICE_TABLE_OWN,
		.n_max = n_max,
		.n_nodes = n_max * (key_bits == 32 ? 7 : 31),
		.key_bits = key_bits,
		.root_bits = root_bits,
		.value_len = 16,
	};
	must(!region_new_memfd("test", table_prefix_len(&f->conf) + (1 << 16),
			       false, &f->region, NULL));
	must(!table_prefix_new(f->region, &f->conf, &f->table, NULL));
}

static inline void fixture_fini(struct fixture *f)
{
	table_prefix_free(f->table);
	region_free(f->region);
}

/* The writer dies and another one comes. */
static inline void fixture_adopt(struct fixture *f)
{
	table_prefix_free(f->table);
	f->table = NULL;
	must(!table_prefix_adopt(f->region, f->conf.kind, &f->table, NULL));
}

static inline void reclaim_all(struct fixture *f)
{
	table_prefix_reclaim(f->table, table_prefix_mark(f->table));
	CHECK_EQ(table_prefix_n_resting(f->table), 0);
}

/* The bits of an address from len on. */
static inline struct sluice_addr tail_of(uint32_t len)
{
	return (struct sluice_addr){
		.hi = len >= 64 ? 0 : ~0ull >> len,
		.lo = len <= 64	   ? ~0ull
		      : len == 128 ? 0
				   : ~0ull >> (len - 64),
	};
}

static inline struct sluice_prefix_key key_of(struct sluice_addr a,
					      uint32_t len)
{
	struct sluice_addr tail = tail_of(len);

	return (struct sluice_prefix_key){.addr = {a.hi & ~tail.hi,
						   a.lo & ~tail.lo},
					  .len = len};
}

/* IPv4 as people write it. */
static inline struct sluice_prefix_key ip4(uint32_t a, uint32_t b, uint32_t len)
{
	return key_of(sluice_addr_of_ip4(a << 24 | b << 16), len);
}

static inline int set(struct fixture *f, const struct sluice_prefix_key *key,
		      uint64_t v)
{
	uint64_t value[2] = {v, ~v};

	return table_prefix_set(f->table, key, value, NULL);
}

/* The value that a route number stands for; 0: none, 1: torn. */
static inline uint64_t value_at(const struct fixture *f, uint32_t n)
{
	const uint64_t *value =
		sluice_prefix_value(table_prefix_view(f->table), n);

	if (!n)
		return 0;
	return value[0] == ~value[1] ? value[0] : 1;
}

/* The value that a reader at that version finds. */
static inline uint64_t find_at(const struct fixture *f, struct sluice_addr a,
			       uint32_t version)
{
	return value_at(f, sluice_prefix_find(table_prefix_view(f->table), a,
					      version));
}

static inline void say_fault(void *ctx, const struct sluice_table_desc *table,
			     const char *what)
{
	(void)ctx;
	(void)table;
	printf("# fsck: %s\n", what);
}

/* What a deep check of the region finds wrong. */
static inline uint64_t n_faults(const struct fixture *f)
{
	const struct sluice_map map = {f->region->head, f->region->len};
	const struct sluice_fsck_conf conf = {.is_deep = true,
					      .say = say_fault};
	static struct sluice_fsck out;

	must(!sluice_fsck(&map, &conf, &out, NULL));
	return out.n_wrong + out.n_left;
}

#endif
