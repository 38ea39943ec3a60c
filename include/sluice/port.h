/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_PORT_H
#define SLUICE_PORT_H

/*
 * sluice/port - ports, their counters, and why a packet was lost
 *
 * Counters lie in lanes: one lane for each core that forwards, and lane 0 for
 * the slow path. A lane has one writer, so it counts with plain stores; a
 * reader sums the lanes. At rest, over all ports and lanes:
 *
 *     rx + copies = tx + sum of drops + (missed - taken)
 *
 * taken counts the misses that the slow path received; missed - taken are on
 * their way, or were lost with a slow path that died.
 */

#include "sluice/types.h"

#define SLUICE_PORTS_MAX 64u /* numbers 1 to 63; 0 is no port */
#define SLUICE_PORT_NAME_LEN 32u
#define SLUICE_PORT_ARG_LEN 128u

/* One list makes the numbers, the names and the sentences. */
#define SLUICE_DROPS(X)                                                        \
	X(SHORT_ETH, "short-eth", "the frame ends inside its Ethernet header") \
	X(SHORT_VLAN, "short-vlan", "the frame ends inside a VLAN tag")        \
	X(SHORT_ARP, "short-arp", "the frame ends inside its ARP message")     \
	X(SHORT_IP, "short-ip", "the frame ends inside its IP header")         \
	X(BAD_IP, "bad-ip", "IP version, header or total length is a lie")     \
	X(SHORT_L4, "short-l4", "the packet ends inside its transport header") \
	X(BAD_ETH_SRC, "bad-eth-src", "the sender's address is a group's")     \
	X(POLICY, "policy", "the flow's action is to drop")                    \
	X(NO_PORT, "no-port", "there is no port to send it to")                \
	X(TOO_LONG, "too-long", "the frame is larger than the port can send")  \
	X(TX_FULL, "tx-full", "the port did not take it")                      \
	X(NO_SLOW_PATH, "no-slow-path", "missed while no slow path listened")  \
	X(MISS_FULL, "miss-full", "the slow path was too busy for this miss")  \
	X(RESERVED_MAC, "reserved-mac", "addressed to 01:80:c2:00:00:0x")

enum sluice_drop {
	SLUICE_DROP_NONE, /* not dropped */
#define SLUICE_DROP_ENUM_(name, text, why) SLUICE_DROP_##name,
	SLUICE_DROPS(SLUICE_DROP_ENUM_)
#undef SLUICE_DROP_ENUM_
		SLUICE_DROP_N
};

enum sluice_port_kind {
	SLUICE_PORT_NONE = 0, /* the record is free */
	SLUICE_PORT_XDP,      /* netdev, forwarded in the kernel */
	SLUICE_PORT_XSK,      /* netdev through AF_XDP, user space */
	SLUICE_PORT_PACKET,   /* netdev through AF_PACKET */
	SLUICE_PORT_TAP,      /* a TAP made or opened by name */
	SLUICE_PORT_PCAP,     /* files: read from one, write to another */
	SLUICE_PORT_MEM,      /* rings in memory, for tests */
};

enum sluice_port_state {
	SLUICE_PORT_DOWN = 0,
	SLUICE_PORT_UP = 1,
	SLUICE_PORT_FAILED = 2, /* the engine could not open it */
};

enum sluice_xdp_mode {
	SLUICE_XDP_NONE = 0,
	SLUICE_XDP_NATIVE,
	SLUICE_XDP_GENERIC,
};

/* A record of SLUICE_TABLE_PORTS; its index is the port's number. */
struct sluice_port {
	/* Control writes, engines read. */
	char name[SLUICE_PORT_NAME_LEN];
	char device[SLUICE_PORT_ARG_LEN]; /* netdev, or the file read from */
	char output[SLUICE_PORT_ARG_LEN]; /* pcap: the file written to */
	uint32_t kind;	  /* enum sluice_port_kind; stored last: [port-kind] */
	uint32_t ifindex; /* 0 where there is none */
	uint8_t mac[6];
	uint16_t mtu; /* bytes of L3 */

	/* The engine's control side writes, anyone reads. */
	uint32_t state __attribute__((aligned(64))); /* sluice_port_state */
	uint32_t xdp_mode;			     /* sluice_xdp_mode */
};
_Static_assert(sizeof(struct sluice_port) == 384, "ABI");

/* One lane's counters of one port. SLUICE_TABLE_STATS: [lane][port]. */
struct sluice_port_stats {
	uint64_t rx_packets; /* frames taken from the port */
	uint64_t rx_bytes;   /* without FCS */
	uint64_t tx_packets; /* frames given to the port's device */
	uint64_t tx_bytes;
	uint64_t copies; /* received here, sent more than once: the surplus */
	uint64_t missed; /* received here, given to the slow path */
	uint64_t taken;	 /* lane 0: misses of this port that arrived */
	uint64_t drops[SLUICE_DROP_N]; /* by reason, at the port it came from */
	uint64_t rx_lost; /* lost by the device before they were taken */
	uint64_t pad[24 - 8 - SLUICE_DROP_N];
};
_Static_assert(sizeof(struct sluice_port_stats) == 192, "ABI");

#define SLUICE_LANE_SLOW 0u

enum sluice_engine_kind {
	SLUICE_ENGINE_XDP = 1,
	SLUICE_ENGINE_POLL = 2,
};

/* The one record of SLUICE_TABLE_SWITCH. */
struct sluice_switch {
	/* Constant after init. */
	uint32_t engine; /* enum sluice_engine_kind */
	uint32_t n_lanes;

	/* The slow path writes, anyone reads. */
	uint64_t started_ns __attribute__((aligned(64))); /* CLOCK_MONOTONIC */
	uint64_t first_packet_ns; /* first packet forwarded; 0: none yet */
	uint64_t n_restarts;	  /* slow paths that adopted this region */
	uint64_t flow_idle_ns;	  /* as configured */
	uint64_t mac_age_ns;
	uint64_t n_flows_added;
	uint64_t n_flows_removed;
	uint64_t n_flows_refused; /* no space: served by the slow path */
	uint64_t n_macs_refused;  /* over the limit: not learned */

	/* The poll engine writes. */
	uint64_t poll_pid __attribute__((aligned(64)));
	uint64_t poll_start; /* clock ticks since boot; tells a reused pid */
};

#endif
