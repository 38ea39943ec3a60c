/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */

/*
 * Looks addresses up in a table of routes in an arena, again and again, for a
 * torture test. A run looks up as many as its data says, in an order without
 * order.
 */

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/arena.h"
#include "sluice/prefix.h"

const volatile uint64_t region_addr; /* struct sluice_region */
const volatile uint64_t table_addr;  /* struct sluice_prefix */
const volatile uint32_t n_stable;    /* stable routes have these numbers */
const volatile uint32_t is_ip6;

uint64_t turn;
uint64_t n_found, n_missing, n_busy, n_wrong;
uint64_t sum; /* of the numbers of routes found */

static __always_inline uint64_t draw(void)
{
	turn = turn * 6364136223846793005u + 1442695040888963407u;
	return turn >> 32;
}

/* Somewhere in stable route no: a /24 under 10/8, or a /48 under 2001:db8/24. */
static __always_inline struct sluice_addr addr_in(uint32_t no)
{
	struct sluice_addr a;

	if (!is_ip6)
		return sluice_addr_of_ip4(10u << 24 | no << 8 |
					  (uint32_t)(draw() & 255));
	a.hi = 0x20010d0000000000u | (uint64_t)no << 16 | (draw() & 0xffff);
	a.lo = draw() << 32;
	a.lo |= draw();
	return a;
}

static __always_inline uint32_t draw_no(void)
{
	return (uint32_t)(draw() * n_stable >> 32);
}

static __always_inline uint32_t version_now(void)
{
	return sluice_version(arena_at(region_addr));
}

/* All routes in stable route no have the value (no, ~no). */
static int check_copy(uint32_t i, void *ctx)
{
	struct sluice_prefix_view v;
	uint32_t no = draw_no();
	struct sluice_addr a = addr_in(no);
	enum sluice_found found;
	uint64_t value[2];

	(void)i;
	(void)ctx;
	sluice_prefix_view_init(&v, arena_at(table_addr));
	found = sluice_prefix_get(&v, a, version_now(), value, sizeof(value));
	if (found == SLUICE_NO)
		n_missing++;
	else if (found == SLUICE_BUSY)
		n_busy++;
	else if (value[0] != no || value[1] != ~(uint64_t)no)
		n_wrong++;
	else
		n_found++;
	return 0;
}

/* What is found anywhere, to be compared with what the host finds. */
static int add_numbers(uint32_t i, void *ctx)
{
	struct sluice_prefix_view v;
	struct sluice_addr a;

	(void)i;
	(void)ctx;
	sluice_prefix_view_init(&v, arena_at(table_addr));
	a = addr_in(draw_no());
	if (draw() % 4 == 0) /* into no stable route, or another's */
		a.hi ^= draw() << 32;
	sum = sum * 31 + sluice_prefix_find(&v, a, version_now());
	n_found++;
	return 0;
}

/* As often as the first word of the packet says. */
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

PROBE(probe_copy, check_copy)
PROBE(probe_sum, add_numbers)

char LICENSE[] SEC("license") = "GPL";
