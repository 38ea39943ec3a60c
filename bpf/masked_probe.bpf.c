/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */

/*
 * Looks flows up in a masked table in an arena, again and again, for a test and
 * a benchmark; the latter's peer, a hash map for each mask, too. A run looks up
 * as many keys as its data says, in an order without order.
 */

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/arena.h"
#include "bpf/masked_probe.h"
#include "sluice/masked_find.h"

enum { MASKS_MAX = 1024 };

const volatile uint64_t region_addr; /* struct sluice_region */
const volatile uint64_t table_addr;  /* struct sluice_masked */
const volatile uint32_t n_flows;     /* numbers 0 to n_flows - 1 are stored */
const volatile uint32_t n_masks;     /* flow i under mask i % n_masks */

uint64_t turn;
uint64_t n_found, n_missing, n_busy, n_wrong;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MASKS_MAX);
	__type(key, uint32_t);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_HASH);
			__uint(max_entries, 1);
			__uint(key_size, sizeof(struct probe_words));
			__uint(value_size, sizeof(struct probe_words));
		});
} peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MASKS_MAX);
	__type(key, uint32_t);
	__type(value, struct probe_words);
} masks SEC(".maps");

static __always_inline uint32_t next_key(struct probe_words *key)
{
	uint32_t number;

	turn = turn * 6364136223846793005u + 1442695040888963407u;
	number = (uint32_t)((turn >> 32) * n_flows >> 32);
	probe_key(key, number);
	return number;
}

static int look_none(uint32_t i, void *ctx)
{
	struct probe_words key;

	(void)i;
	(void)ctx;
	next_key(&key);
	n_found += key.w[4] != 1;
	return 0;
}

struct peer_walk {
	struct probe_words *key;
	uint32_t found;
};

static int peer_step(uint32_t i, void *ctx)
{
	struct peer_walk *walk = ctx;
	struct probe_words *mask, *value, under;
	void *peer;

	mask = bpf_map_lookup_elem(&masks, &i);
	peer = bpf_map_lookup_elem(&peers, &i);
	if (!mask || !peer)
		return 1;
	for (int w = 0; w < PROBE_KEY_WORDS; w++)
		under.w[w] = walk->key->w[w] & mask->w[w];
	value = bpf_map_lookup_elem(peer, &under);
	walk->found = value != NULL;
	return value != NULL;
}

static int look_peer(uint32_t i, void *ctx)
{
	struct probe_words key;
	struct peer_walk walk = {&key, 0};

	(void)i;
	(void)ctx;
	next_key(&key);
	bpf_loop(n_masks, peer_step, &walk, 0);
	n_found += walk.found;
	n_missing += !walk.found;
	return 0;
}

static int look_table(uint32_t i, void *ctx)
{
	struct sluice_masked_view v;
	struct probe_words key;
	enum sluice_found found;
	uint64_t *value;
	uint8_t *entry;
	uint32_t number;

	(void)i;
	(void)ctx;
	number = next_key(&key);
	sluice_masked_view_init(&v, arena_at(table_addr));
	sluice_masked_count_in(&v, 1);
	found = sluice_masked_find(&v, sluice_version(arena_at(region_addr)),
				   &key, sizeof(key), &entry);
	if (found == SLUICE_NO) {
		n_missing++;
	} else if (found == SLUICE_BUSY) {
		n_busy++;
	} else {
		value = sluice_entry_value(entry, sizeof(key));
		if (value[0] == number && value[1] == ~(uint64_t)number)
			n_found++;
		else
			n_wrong++;
	}
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

char LICENSE[] SEC("license") = "GPL";
