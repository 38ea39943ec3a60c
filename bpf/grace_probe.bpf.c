/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */

/*
 * Finds an entry of an exact table in an arena and holds it for long, looking
 * at its value all the time: for a test of grace periods.
 */

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/arena.h"
#include "sluice/exact.h"

const volatile uint64_t table_addr;  /* struct sluice_exact */
const volatile uint64_t region_addr; /* struct sluice_region */

uint64_t is_inside;
uint64_t n_found, n_looks, n_changed;

struct held {
	uint64_t *value;
	uint64_t was;
};

static int look(uint32_t i, void *ctx)
{
	struct held *h = ctx;

	(void)i;
	n_looks++;
	n_changed += *(volatile uint64_t *)h->value != h->was;
	return 0;
}

static int look_long(uint32_t i, void *ctx)
{
	(void)i;
	bpf_loop(1000, look, ctx, 0);
	return 0;
}

/* The first word of the packet: how many thousand looks. */
SEC("xdp")
int hold(struct xdp_md *ctx)
{
	uint32_t *n = (uint32_t *)(long)ctx->data;
	uint64_t key[2] = {1, 2};
	struct sluice_exact_view v;
	struct held h;
	uint8_t *entry;

	ARENA_USE();
	if (n + 1 > (uint32_t *)(long)ctx->data_end)
		return XDP_ABORTED;
	sluice_exact_view_init(&v, arena_at(table_addr));
	if (sluice_exact_find(&v, sluice_version(arena_at(region_addr)), key,
			      sizeof(key), &entry) != SLUICE_YES)
		return XDP_DROP;
	n_found++;
	h.value = sluice_entry_value(entry, sizeof(key));
	h.was = *h.value;
	sluice_store64_release(&is_inside, 1);
	bpf_loop(*n, look_long, &h, 0);
	sluice_store64_release(&is_inside, 0);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
