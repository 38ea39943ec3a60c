/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */

/*
 * Looks keys up in an exact table in an arena, again and again, for a torture
 * test and a benchmark; the latter's peer and zero, too. A run looks up as many
 * keys as its data says (struct probe), in an order without order.
 */

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/arena.h"
#include "sluice/exact.h"

/* A key and its value follow from the key's number. */
struct probe_key {
	uint64_t a, b;
};

const volatile uint64_t table_addr;  /* struct sluice_exact */
const volatile uint64_t region_addr; /* struct sluice_region */
const volatile uint32_t n_keys;	     /* numbers 0 to n_keys - 1 are stored */

uint64_t turn;
uint64_t n_found, n_missing, n_busy, n_wrong;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct probe_key);
	__type(value, struct probe_key);
} peer SEC(".maps");

static __always_inline uint32_t next_key(struct probe_key *key)
{
	uint32_t no;

	turn = turn * 6364136223846793005u + 1442695040888963407u;
	no = (uint32_t)((turn >> 32) * n_keys >> 32);
	key->a = no * 0x9e3779b97f4a7c15u;
	key->b = no;
	return no;
}

static int look_none(uint32_t i, void *ctx)
{
	struct probe_key key;

	(void)i;
	(void)ctx;
	next_key(&key);
	n_found += key.a != 1;
	return 0;
}

static int look_peer(uint32_t i, void *ctx)
{
	struct probe_key key, *value;

	(void)i;
	(void)ctx;
	next_key(&key);
	value = bpf_map_lookup_elem(&peer, &key);
	if (!value)
		n_missing++;
	else
		n_found += value->a != 1;
	return 0;
}

static int look_table(uint32_t i, void *ctx)
{
	struct sluice_exact_view v;
	struct probe_key key, *value;
	enum sluice_found found;
	uint8_t *entry;

	(void)i;
	(void)ctx;
	next_key(&key);
	sluice_exact_view_init(&v, arena_at(table_addr));
	found = sluice_exact_find(&v, sluice_version(arena_at(region_addr)),
				  &key, sizeof(key), &entry);
	if (found == SLUICE_YES) {
		value = sluice_entry_value(entry, sizeof(key));
		n_found += value->a != 1;
	} else {
		n_missing++;
	}
	return 0;
}

/* The same, and looks closely: number and complement are the value. */
static int check_table(uint32_t i, void *ctx)
{
	struct sluice_exact_view v;
	struct probe_key key, value;
	enum sluice_found found;
	uint32_t no;

	(void)i;
	(void)ctx;
	no = next_key(&key);
	sluice_exact_view_init(&v, arena_at(table_addr));
	v.value_len = sizeof(value);
	found = sluice_exact_get(&v, sluice_version(arena_at(region_addr)),
				 &key, sizeof(key), (uint64_t *)&value);
	if (found == SLUICE_NO)
		n_missing++;
	else if (found == SLUICE_BUSY)
		n_busy++;
	else if (value.a != no || value.b != ~(uint64_t)no)
		n_wrong++;
	else
		n_found++;
	return 0;
}

/* Looks up as often as the first word of the packet says. */
#define PROBE(name, look)                                    \
	SEC("xdp")                                           \
	int name(struct xdp_md *ctx)                         \
	{                                                    \
		uint32_t *n = (uint32_t *)(long)ctx->data;   \
                                                             \
		ARENA_USE();                                 \
		if (n + 1 > (uint32_t *)(long)ctx->data_end) \
			return XDP_ABORTED;                  \
		bpf_loop(*n, look, NULL, 0);                 \
		return XDP_DROP;                             \
	}

PROBE(probe_none, look_none)
PROBE(probe_peer, look_peer)
PROBE(probe_table, look_table)
PROBE(probe_check, check_table)

char LICENSE[] SEC("license") = "GPL";
