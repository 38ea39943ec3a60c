/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGION_SAMPLE_FAKE_H
#define REGION_SAMPLE_FAKE_H

/*
 * region/sample - a switch's region made by hand, and the ways to spoil it
 *
 * For tests and for the fuzzer's corpus. It is written from the header alone,
 * without src/region and src/table, so it is their twin as well.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sluice/exact.h"
#include "sluice/flow.h"
#include "sluice/port.h"
#include "sluice/region.h"

#define SAMPLE_PAGE 4096ul
#define SAMPLE_LEN (16u * SAMPLE_PAGE)
#define SAMPLE_LANES 2u
#define SAMPLE_N_MAX 2u	   /* of the exact tables */
#define SAMPLE_ENTRIES 3u  /* likewise */
#define SAMPLE_BUCKETS 2u  /* likewise */
#define SAMPLE_FLOW_BYTE 7 /* the one flow's key is full of it */

/* Their places in the directory; the exact ones first. */
enum {
	SAMPLE_FLOWS,
	SAMPLE_MACS,
	SAMPLE_SWITCH,
	SAMPLE_SETS,
	SAMPLE_STATS,
	SAMPLE_PORTS
};

static inline struct sluice_table_desc *sample_desc(void *mem, uint32_t i)
{
	return (struct sluice_table_desc *)((uint8_t *)mem + SLUICE_DIR_OFF) +
	       i;
}

static inline void *sample_table(void *mem, uint32_t i)
{
	return (uint8_t *)mem + sample_desc(mem, i)->off;
}

/* Gives d, filled but for its place and length, len bytes. */
static inline void sample_add(void *mem, const struct sluice_table_desc *d,
			      uint64_t len)
{
	struct sluice_region *h = mem;
	struct sluice_table_desc *to = sample_desc(mem, h->n_tables++);

	*to = *d;
	to->off = (uint32_t)h->used_len;
	to->len = len;
	h->used_len += (len + 63) / 64 * 64;
}

static inline void sample_add_array(void *mem, const char *name, uint32_t kind,
				    uint32_t n_max, size_t value_len)
{
	struct sluice_table_desc d = {
		.kind = kind,
		.alg = SLUICE_ALG_ARRAY,
		.n_max = n_max,
		.value_len = (uint16_t)value_len,
		.key_layout = 1,
	};

	snprintf(d.name, sizeof(d.name), "%s", name);
	sample_add(mem, &d, n_max * value_len);
}

/* One key, full of SAMPLE_FLOW_BYTE; the first word of its value is 1. */
static inline void sample_put(struct sluice_exact *x)
{
	uint64_t key[SLUICE_KEY_LEN_MAX / 8];
	uint8_t *entry = (uint8_t *)x + x->entries_off + x->entry_len;
	uint64_t *slots = (uint64_t *)((uint8_t *)x + x->buckets_off);
	uint32_t hash;

	for (uint32_t i = 0; i < SLUICE_EXACT_HASH_KEYS; i++)
		x->hash_keys[i] = i * 0x9e3779b97f4a7c15u + 1;
	memset(key, SAMPLE_FLOW_BYTE, sizeof(key));
	hash = sluice_exact_hash(x->hash_keys, key, x->key_len);
	*(uint64_t *)entry = SLUICE_ENTRY_LIVE;
	memcpy(entry + 8, key, x->key_len);
	*(uint64_t *)(entry + 8 + x->key_len) = 1;
	slots[sluice_exact_bucket2(hash, x->n_buckets) * 8 + 3] =
		(uint64_t)hash << 32 | (1 + 1);
	x->n_used = 1;
}

static inline void sample_add_exact(void *mem, const char *name, uint32_t kind,
				    size_t key_len, size_t value_len)
{
	struct sluice_table_desc d = {
		.kind = kind,
		.alg = SLUICE_ALG_CUCKOO8,
		.n_max = SAMPLE_N_MAX,
		.key_len = (uint16_t)key_len,
		.value_len = (uint16_t)value_len,
		.key_layout = SLUICE_KEY_LAYOUT,
	};
	struct sluice_exact *x =
		(struct sluice_exact *)((uint8_t *)mem +
					((struct sluice_region *)mem)
						->used_len);

	snprintf(d.name, sizeof(d.name), "%s", name);
	x->n_buckets = SAMPLE_BUCKETS;
	x->n_entries = SAMPLE_ENTRIES;
	x->entry_len = (uint32_t)(8 + key_len + value_len);
	x->key_len = (uint32_t)key_len;
	x->value_len = (uint32_t)value_len;
	x->buckets_off = sizeof(*x);
	x->entries_off = sizeof(*x) + SAMPLE_BUCKETS * 64ul;
	sample_put(x);
	sample_add(mem, &d,
		   x->entries_off + (uint64_t)SAMPLE_ENTRIES * x->entry_len);
}

/* mem: SAMPLE_LEN zeroed bytes, 64-byte aligned. */
static inline void sample_make(void *mem)
{
	struct sluice_region *h = mem;

	h->magic = SLUICE_MAGIC;
	h->abi = SLUICE_ABI;
	h->backing = SLUICE_BACKING_MEMFD;
	h->len = SAMPLE_LEN;
	strcpy(h->name, "sample");
	h->page_len = SAMPLE_PAGE;
	h->used_len = SLUICE_TABLES_OFF;
	h->generation = 1;
	sample_add_exact(mem, "flows", SLUICE_TABLE_FLOWS,
			 sizeof(struct sluice_key), sizeof(struct sluice_flow));
	sample_add_exact(mem, "macs", SLUICE_TABLE_MACS,
			 sizeof(struct sluice_mac_key),
			 sizeof(struct sluice_mac));
	sample_add_array(mem, "switch", SLUICE_TABLE_SWITCH, 1,
			 sizeof(struct sluice_switch));
	sample_add_array(mem, "sets", SLUICE_TABLE_SETS, SLUICE_SETS_MAX, 8);
	sample_add_array(mem, "stats", SLUICE_TABLE_STATS,
			 SAMPLE_LANES * SLUICE_PORTS_MAX,
			 sizeof(struct sluice_port_stats));
	sample_add_array(mem, "ports", SLUICE_TABLE_PORTS, SLUICE_PORTS_MAX,
			 sizeof(struct sluice_port));
}

/*
 * X(name, errno, words that the refusal contains, what spoils it). h: header,
 * d: directory, x: header of the flows.
 */
#define SAMPLE_SPOILS(X)                                                      \
	X(magic, EINVAL, "no region", h->magic++)                             \
	X(abi, EPROTONOSUPPORT, "ABI version 3", h->abi = 3)                  \
	X(truncated, EINVAL, "truncated", h->len += SAMPLE_PAGE)              \
	X(len_huge, EINVAL, "truncated", h->len = ~0ull)                      \
	X(len_tiny, EINVAL, "whole pages", h->len = 0)                        \
	X(len_odd, EINVAL, "whole pages", h->len -= 64)                       \
	X(page_zero, EINVAL, "pages of 0", h->page_len = 0)                   \
	X(page_odd, EINVAL, "pages of 5000", h->page_len = 5000)              \
	X(backing, EINVAL, "backing is 9", h->backing = 9)                    \
	X(name_none, EINVAL, "name", h->name[0] = 0)                          \
	X(name_path, EINVAL, "name", h->name[0] = '/')                        \
	X(name_open, EINVAL, "name", memset(h->name, 'a', 32))                \
	X(used_more, EINVAL, "are used", h->used_len = h->len + 64)           \
	X(used_none, EINVAL, "are used", h->used_len = 0)                     \
	X(tables, EINVAL, "33 tables", h->n_tables = 33)                      \
	X(tables_max, EINVAL, "no name", h->n_tables = 32)                    \
	X(table_name, EINVAL, "table 0 has no name", d[0].name[0] = 0)        \
	X(table_bell, EINVAL, "table 0 has no name", d[0].name[0] = 7)        \
	X(table_open, EINVAL, "no name", memset(d[0].name, 'a', 32))          \
	X(kind_none, EINVAL, "'macs' is of no kind", d[1].kind = 0)           \
	X(kind_twice, EINVAL, "'flows' and 'macs'", d[1].kind = d[0].kind)    \
	X(alg, ENOTSUP, "'macs' uses algorithm 99", d[1].alg = 99)            \
	X(unaligned, EINVAL, "'macs' is not aligned", d[1].off += 8)          \
	X(outside, EINVAL, "'macs' lies outside", d[1].off = 0x40000000)      \
	X(outside_len, EINVAL, "'macs' lies outside", d[1].len = ~0ull)       \
	X(outside_end, EINVAL, "'ports' lies outside", d[5].len = SAMPLE_LEN) \
	X(in_header, EINVAL, "'flows' lies outside", d[0].off = 1024)         \
	X(overlap, EINVAL, "'macs' overlaps", d[1].off -= 64)                 \
	X(array_key, EINVAL, "'sets' is an array", d[3].key_len = 8)          \
	X(array_none, EINVAL, "'sets' has no records", d[3].n_max = 0)        \
	X(array_void, EINVAL, "'sets' has no records", d[3].value_len = 0)    \
	X(array_short, EINVAL, "'sets' is too short", d[3].n_max++)           \
	X(key_long, EINVAL, "keys of 72", d[0].key_len = 72)                  \
	X(key_odd, EINVAL, "keys of 63", d[0].key_len = 63)                   \
	X(key_none, EINVAL, "keys of 0", d[0].key_len = 0)                    \
	X(value_odd, EINVAL, "values of 57", d[0].value_len = 57)             \
	X(exact_short, EINVAL, "too short for its header", d[0].len = 128)    \
	X(exact_key, EINVAL, "directory says 64", x->key_len = 56)            \
	X(exact_value, EINVAL, "directory says 64 and 56", x->value_len = 0)  \
	X(exact_n, EINVAL, "has 1 entries", x->n_entries = 1)                 \
	X(exact_n_max, EINVAL, "directory says 0", d[0].n_max = 0)            \
	X(entry_short, EINVAL, "entries of 120", x->entry_len -= 8)           \
	X(entry_odd, EINVAL, "entries of 132", x->entry_len += 4)             \
	X(entry_long, EINVAL, "entries of table", x->entry_len = 1u << 31)    \
	X(entries_many, EINVAL, "entries of table", x->n_entries = ~0u)       \
	X(entries_far, EINVAL, "entries of table", x->entries_off = -64ull)   \
	X(entries_odd, EINVAL, "entries of table", x->entries_off -= 8)       \
	X(entries_low, EINVAL, "entries of table", x->entries_off = 0)        \
	X(buckets_none, EINVAL, "buckets of table", x->n_buckets = 0)         \
	X(buckets_many, EINVAL, "buckets of table", x->n_buckets = ~0u)       \
	X(buckets_far, EINVAL, "buckets of table", x->buckets_off = -64u)     \
	X(buckets_odd, EINVAL, "buckets of table", x->buckets_off += 4)       \
	X(buckets_low, EINVAL, "buckets of table", x->buckets_off = 64)       \
	X(buckets_over, EINVAL, "overlap its entries", x->buckets_off += 64)

struct sample_spoil {
	const char *name;
	int err; /* positive */
	const char *says;
	void (*apply)(struct sluice_region *h, struct sluice_table_desc *d,
		      struct sluice_exact *x);
};

#define SAMPLE_SPOIL_FN_(name, err, says, what)                             \
	static inline void sample_spoil_##name(struct sluice_region *h,     \
					       struct sluice_table_desc *d, \
					       struct sluice_exact *x)      \
	{                                                                   \
		(void)h, (void)d, (void)x;                                  \
		what;                                                       \
	}
SAMPLE_SPOILS(SAMPLE_SPOIL_FN_)
#undef SAMPLE_SPOIL_FN_

static const struct sample_spoil sample_spoils[] = {
#define SAMPLE_SPOIL_ROW_(name, err, says, what) \
	{#name, err, says, sample_spoil_##name},
	SAMPLE_SPOILS(SAMPLE_SPOIL_ROW_)
#undef SAMPLE_SPOIL_ROW_
};

#define SAMPLE_N_SPOILS (sizeof(sample_spoils) / sizeof(sample_spoils[0]))

/* Spoils what sample_make() has made. */
static inline void sample_spoil(void *mem, const struct sample_spoil *s)
{
	s->apply(mem, sample_desc(mem, 0), sample_table(mem, SAMPLE_FLOWS));
}

#endif
