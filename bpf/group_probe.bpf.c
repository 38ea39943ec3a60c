/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */

/*
 * Sends packets through groups in an arena, for a test: one that the test run's
 * data says, or as many as its first word says, of random keys.
 */

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/arena.h"
#include "sluice/group_pick.h"
#include "sluice/version.h"

const volatile uint64_t region_addr; /* struct sluice_region */
const volatile uint64_t table_addr;  /* struct sluice_exact */
const volatile uint64_t heap_addr;   /* struct sluice_heap */
const volatile uint32_t n_ids;	     /* ids 0 to n_ids - 1 */

/* What the data says. */
struct ask {
	uint64_t up;
	uint32_t id;
	uint32_t pad;
	struct sluice_key key;
};

/* What became of it. */
uint64_t act;
uint32_t found;

uint64_t turn;
uint64_t n_acts, n_none;

static __always_inline enum sluice_found
resolve(uint32_t id, const struct sluice_key *key, uint64_t up,
	struct sluice_group_choice *out)
{
	struct sluice_groups_view v;
	struct sluice_group_packet p = {
		.key = key,
		.up = up,
		.version = sluice_version(arena_at(region_addr)),
	};

	sluice_exact_view_init(&v.table, arena_at(table_addr));
	sluice_heap_view_init(&v.heap, arena_at(heap_addr));
	return sluice_group_resolve(&v, id, &p, out);
}

SEC("xdp")
int probe_one(struct xdp_md *ctx)
{
	const struct ask *a = (const struct ask *)(long)ctx->data;
	struct sluice_group_choice choice = {0};
	struct sluice_key key;

	ARENA_USE();
	if (a + 1 > (const struct ask *)(long)ctx->data_end)
		return XDP_ABORTED;
	__builtin_memcpy(&key, &a->key, sizeof(key));
	found = resolve(a->id, &key, a->up, &choice);
	act = choice.act.w;
	return XDP_DROP;
}

static int pick(uint32_t i, void *ctx)
{
	struct sluice_group_choice choice = {0};
	struct sluice_key key = {0};

	(void)i;
	(void)ctx;
	turn = turn * 6364136223846793005u + 1442695040888963407u;
	key.in_port = (uint32_t)(turn >> 32);
	if (resolve(key.in_port % n_ids, &key, ~0ull, &choice) == SLUICE_YES)
		n_acts++;
	else
		n_none++;
	return 0;
}

#define PROBE(name, what)                                    \
	SEC("xdp")                                           \
	int name(struct xdp_md *ctx)                         \
	{                                                    \
		uint32_t *n = (uint32_t *)(long)ctx->data;   \
                                                             \
		ARENA_USE();                                 \
		if (n + 1 > (uint32_t *)(long)ctx->data_end) \
			return XDP_ABORTED;                  \
		bpf_loop(*n, what, NULL, 0);                 \
		return XDP_DROP;                             \
	}

PROBE(probe_pick, pick)

char LICENSE[] SEC("license") = "GPL";
