/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PEER_RTE_HASH_H
#define BENCH_PEER_RTE_HASH_H

/*
 * bench/peer_rte_hash - DPDK's hash table as our table's peer
 *
 * In its lock-free mode (RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF), its default
 * hash function, its memory in the same kind of pages as ours. In a file of its
 * own because DPDK brings compiler flags of its own.
 */

#include <stdbool.h>
#include <stdint.h>

struct peer;

/* Starts DPDK's environment; once. False: it would not. */
bool peer_start(bool huge);

/* Capacity n; NULL when there is no memory. */
struct peer *peer_new(uint32_t n, uint32_t key_len);
void peer_free(struct peer *p);

#define PEER_BULK_MAX 64u /* keys that it looks up at once at most */

/*
 * Keys lie one behind the other, at most PEER_BULK_MAX. Return how many went
 * well.
 */
uint32_t peer_add(struct peer *p, const void *keys, uint32_t n);
uint32_t peer_find(struct peer *p, const void *keys, uint32_t n, uint64_t *sum);

/* As peer_find(); bit i: key i was found. */
uint64_t peer_find_bits(struct peer *p, const void *keys, uint32_t n,
			uint64_t *sum);
uint32_t peer_del(struct peer *p, const void *keys, uint32_t n);

#endif
