/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PEER_RTE_ROUTE_H
#define BENCH_PEER_RTE_ROUTE_H

/*
 * bench/peer_rte_route - DPDK's tables of routes as our table's peers
 *
 * rte_lpm and rte_fib (DIR24_8) for IPv4, rte_lpm6 and rte_fib6 (TRIE) for IPv6,
 * with next hops of 32 bits and the look-up functions that they choose by
 * themselves. After peer_start() (bench/peer_rte_hash.h).
 */

#include <stdbool.h>
#include <stdint.h>

enum peer_route_kind { PEER_LPM, PEER_FIB, PEER_LPM6, PEER_FIB6 };

struct peer_route;

/* n_tbl8: nodes of 256 entries behind the first 24 bits. NULL: no memory. */
struct peer_route *peer_route_new(enum peer_route_kind kind, uint32_t n,
				  uint32_t n_tbl8);
void peer_route_free(struct peer_route *p);

/* addr in network order, 4 or 16 bytes; the hop is below 2^21, as lpm6 asks. */
bool peer_route_add(struct peer_route *p, const uint8_t *addr, uint8_t len,
		    uint32_t hop);
bool peer_route_del(struct peer_route *p, const uint8_t *addr, uint8_t len);

#define PEER_ROUTE_MAX 64u /* addresses at once at most */
#define PEER_ROUTE_NONE 0x1fffffu

/* IPv4 addresses in host order, IPv6 in network order. */
void peer_route_find(struct peer_route *p, const void *addrs, uint32_t n,
		     uint32_t *hops);

/* Bytes that DPDK has given out of its heap. */
uint64_t peer_heap_len(void);

#endif
