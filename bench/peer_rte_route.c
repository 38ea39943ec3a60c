/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/peer_rte_route.h"

#include <stdlib.h>
#include <string.h>

#include <rte_fib.h>
#include <rte_fib6.h>
#include <rte_lpm.h>
#include <rte_lpm6.h>
#include <rte_malloc.h>

struct peer_route {
	enum peer_route_kind kind;
	union {
		struct rte_lpm *lpm;
		struct rte_fib *fib;
		struct rte_lpm6 *lpm6;
		struct rte_fib6 *fib6;
		void *any;
	};
};

static void *table_new(enum peer_route_kind kind, uint32_t n, uint32_t n_tbl8)
{
	struct rte_lpm_config lpm = {.max_rules = n, .number_tbl8s = n_tbl8};
	struct rte_lpm6_config lpm6 = {.max_rules = n, .number_tbl8s = n_tbl8};
	struct rte_fib_conf fib = {
		.type = RTE_FIB_DIR24_8,
		.default_nh = PEER_ROUTE_NONE,
		.max_routes = (int)n,
		.dir24_8 = {.nh_sz = RTE_FIB_DIR24_8_4B, .num_tbl8 = n_tbl8},
	};
	struct rte_fib6_conf fib6 = {
		.type = RTE_FIB6_TRIE,
		.default_nh = PEER_ROUTE_NONE,
		.max_routes = (int)n,
		.trie = {.nh_sz = RTE_FIB6_TRIE_4B, .num_tbl8 = n_tbl8},
	};

	switch (kind) {
	case PEER_LPM:
		return rte_lpm_create("lpm", SOCKET_ID_ANY, &lpm);
	case PEER_FIB:
		return rte_fib_create("fib", SOCKET_ID_ANY, &fib);
	case PEER_LPM6:
		return rte_lpm6_create("lpm6", SOCKET_ID_ANY, &lpm6);
	case PEER_FIB6:
		return rte_fib6_create("fib6", SOCKET_ID_ANY, &fib6);
	}
	return NULL;
}

struct peer_route *peer_route_new(enum peer_route_kind kind, uint32_t n,
				  uint32_t n_tbl8)
{
	struct peer_route *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->kind = kind;
	p->any = table_new(kind, n, n_tbl8);
	if (!p->any) {
		free(p);
		return NULL;
	}
	return p;
}

void peer_route_free(struct peer_route *p)
{
	if (!p)
		return;
	switch (p->kind) {
	case PEER_LPM:
		rte_lpm_free(p->lpm);
		break;
	case PEER_FIB:
		rte_fib_free(p->fib);
		break;
	case PEER_LPM6:
		rte_lpm6_free(p->lpm6);
		break;
	case PEER_FIB6:
		rte_fib6_free(p->fib6);
		break;
	}
	free(p);
}

static uint32_t host_order(const uint8_t *addr)
{
	uint32_t be;

	memcpy(&be, addr, sizeof(be));
	return __builtin_bswap32(be);
}

bool peer_route_add(struct peer_route *p, const uint8_t *addr, uint8_t len,
		    uint32_t hop)
{
	switch (p->kind) {
	case PEER_LPM:
		return !rte_lpm_add(p->lpm, host_order(addr), len, hop);
	case PEER_FIB:
		return !rte_fib_add(p->fib, host_order(addr), len, hop);
	case PEER_LPM6:
		return !rte_lpm6_add(p->lpm6, addr, len, hop);
	case PEER_FIB6:
		return !rte_fib6_add(p->fib6, addr, len, hop);
	}
	return false;
}

bool peer_route_del(struct peer_route *p, const uint8_t *addr, uint8_t len)
{
	switch (p->kind) {
	case PEER_LPM:
		return !rte_lpm_delete(p->lpm, host_order(addr), len);
	case PEER_FIB:
		return !rte_fib_delete(p->fib, host_order(addr), len);
	case PEER_LPM6:
		return !rte_lpm6_delete(p->lpm6, addr, len);
	case PEER_FIB6:
		return !rte_fib6_delete(p->fib6, addr, len);
	}
	return false;
}

void peer_route_find(struct peer_route *p, const void *addrs, uint32_t n,
		     uint32_t *hops)
{
	uint64_t wide[PEER_ROUTE_MAX];
	uint8_t(*ip6)[16] = (uint8_t(*)[16])(uintptr_t)addrs;

	switch (p->kind) {
	case PEER_LPM:
		rte_lpm_lookup_bulk(p->lpm, addrs, hops, n);
		for (uint32_t i = 0; i < n; i++)
			hops[i] = hops[i] & RTE_LPM_LOOKUP_SUCCESS
					  ? hops[i] & 0xffffff
					  : PEER_ROUTE_NONE;
		return;
	case PEER_LPM6:
		rte_lpm6_lookup_bulk_func(p->lpm6, ip6, (int32_t *)hops, n);
		return;
	case PEER_FIB:
		rte_fib_lookup_bulk(p->fib, (uint32_t *)(uintptr_t)addrs, wide,
				    (int)n);
		break;
	case PEER_FIB6:
		rte_fib6_lookup_bulk(p->fib6, ip6, wide, (int)n);
		break;
	}
	for (uint32_t i = 0; i < n; i++)
		hops[i] = (uint32_t)wide[i];
}

uint64_t peer_heap_len(void)
{
	struct rte_malloc_socket_stats s;

	if (rte_malloc_get_socket_stats(0, &s))
		return 0;
	return s.heap_allocsz_bytes;
}
