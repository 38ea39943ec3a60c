/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PEER_RTE_METER_H
#define BENCH_PEER_RTE_METER_H

/*
 * bench/peer_rte_meter - DPDK's meters as our meters' peer
 *
 * Colour-blind, one core: they are not made to be shared. Their clock is the
 * TSC. peer_start() (bench/peer_rte_hash.h)
 * comes first.
 */

#include <stdbool.h>
#include <stdint.h>

struct peer_meters;

/* n meters, each of rate bytes a second and burst bytes (trTCM: peak double). */
struct peer_meters *peer_meters_new(uint32_t n, uint64_t rate, uint64_t burst);
void peer_meters_free(struct peer_meters *p);

struct peer_meter_run {
	const uint32_t *order; /* [n_packets + ahead] numbers of meters */
	uint32_t n_packets;
	uint32_t ahead; /* packets by which memory is asked for before */
	uint32_t len;	/* bytes of a packet */
};

/* Asks for each packet; adds to the counts of green, yellow and red ones. */
void peer_meters_srtcm(struct peer_meters *p, const struct peer_meter_run *run,
		       uint64_t n[3]);
void peer_meters_trtcm(struct peer_meters *p, const struct peer_meter_run *run,
		       uint64_t n[3]);

#endif
