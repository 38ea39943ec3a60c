/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_RATES_H
#define CLI_RATES_H

/*
 * cli/rates - what changed between two looks at a region
 *
 * Keeps the former counters of each port and of each flow, the latter by the
 * number of their entry: 24 bytes for each that was ever in use. A flow that is
 * new in its entry counts from 0. One thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "sluice/reader.h"

#define RATES_FLOWS_MAX 128u

/* Per second. */
struct port_rate {
	double rx_pps, rx_bps; /* bits */
	double tx_pps, tx_bps;
	double miss_pps, drop_pps;
};

struct flow_rate {
	struct sluice_key key;
	sluice_act act;
	uint64_t n_packets; /* since it was made */
	double pps, bps;
};

enum rates_order { RATES_BY_BYTES, RATES_BY_PACKETS };

struct rates {
	/* What the last two looks have shown. */
	double seconds; /* between them; 0 after the first */
	struct port_rate ports[SLUICE_PORTS_MAX];
	struct port_rate sum;
	double flows_added, flows_removed;	 /* per second */
	struct flow_rate flows[RATES_FLOWS_MAX]; /* busiest first */
	uint32_t n_flows;			 /* only such as had packets */

	/* The last look. */
	uint64_t at_ns;
	struct sluice_port_stats port_was[SLUICE_PORTS_MAX];
	uint64_t added_was, removed_was;
	struct flow_was *flow_was;
	uint32_t n_flow_was;
};

/* Returns 0 or -ENOMEM. */
int rates_init(struct rates *s, const struct sluice_reader *r);
void rates_fini(struct rates *s);

/* Looks now; max is the number of flows wanted, at most RATES_FLOWS_MAX. */
void rates_look(struct rates *s, const struct sluice_reader *r, uint64_t now_ns,
		uint32_t max, enum rates_order order);

#endif
