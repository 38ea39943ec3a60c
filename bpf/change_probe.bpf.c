/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */

/*
 * Looks at two tables in an arena that change sets keep alike, for a torture
 * test: src/table/change_pairs_fake.h says what is in them. A look is one version
 * and all keys of a group in both tables.
 */

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/arena.h"
#include "sluice/exact.h"
#include "sluice/version.h"

enum { GROUPS = 48, KEYS = 8 };

struct words {
	uint64_t a, b;
};

const volatile uint64_t region_addr; /* struct sluice_region */
const volatile uint64_t table_addrs[2];
const volatile uint32_t at_version_0; /* looks wrongly, to see that it shows */

uint64_t last[GROUPS]; /* user space writes */
uint64_t turn;
uint64_t n_looks, n_busy, n_missing, n_mixed, n_stale;

/* One look. */
struct look {
	uint32_t group;
	uint32_t version;
	uint64_t number; /* of the first key; 0: not there */
	bool is_busy, is_missing, is_mixed;
};

static bool is_there(uint32_t table, uint32_t k, uint64_t number)
{
	return k < KEYS - 1 || number % 2 != table;
}

/* Key i / 2 of the group in table i % 2. */
static int look_key(uint32_t i, struct look *l)
{
	uint32_t k = i / 2 % KEYS, table = i % 2;
	struct sluice_exact_view v;
	enum sluice_found found;
	struct words key, *value;
	bool wanted;
	uint8_t *entry;

	key.a = l->group * KEYS + k;
	key.b = ~key.a;
	sluice_exact_view_init(&v, arena_at(table_addrs[table]));
	found = sluice_exact_find(&v, l->version, &key, sizeof(key), &entry);
	l->is_busy |= found == SLUICE_BUSY;
	if (found != SLUICE_YES) {
		l->is_missing |= is_there(table, k, l->number);
		return 0;
	}
	value = sluice_entry_value(entry, sizeof(key));
	if (i == 0)
		l->number = value->a;
	wanted = is_there(table, k, l->number);
	l->is_mixed |= !wanted || value->a != l->number ||
		       value->b != (value->a * 0x9e3779b97f4a7c15u ^ key.a);
	return 0;
}

static int look_group(uint32_t i, void *ctx)
{
	const struct sluice_region *region = arena_at(region_addr);
	struct look l = {0};
	uint64_t low;

	(void)i;
	(void)ctx;
	turn = turn * 6364136223846793005u + 1442695040888963407u;
	l.group = (uint32_t)((turn >> 32) * GROUPS >> 32);
	if (l.group >= GROUPS)
		return 0;
	low = sluice_load64_acquire(&last[l.group]); /* [pairs-last] */
	l.version = sluice_version(region);
	if (at_version_0)
		l.version = 0;
	bpf_loop(2 * KEYS, look_key, &l, 0);
	if (l.is_busy) {
		n_busy++;
		return 0;
	}
	n_looks++;
	n_missing += l.is_missing;
	n_mixed += l.is_mixed;
	n_stale += l.number < low || l.number > l.version;
	return 0;
}

/* Looks as often as the first word of the packet says. */
SEC("xdp")
int probe_pairs(struct xdp_md *ctx)
{
	uint32_t *n = (uint32_t *)(long)ctx->data;

	ARENA_USE();
	if (n + 1 > (uint32_t *)(long)ctx->data_end)
		return XDP_ABORTED;
	bpf_loop(*n, look_group, NULL, 0);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
