/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_FLOW_H
#define SLUICE_FLOW_H

/*
 * sluice/flow - the values of the tables of flows and of learned addresses
 *
 * A flow's action is one word, so the slow path changes it in place by one
 * store and no packet sees half of it. Counters have one writing engine each;
 * the cores of one engine share its words by atomic adds.
 */

#include "sluice/atomic.h"
#include "sluice/key.h"
#include "sluice/port.h"
#include "sluice/types.h"

#define SLUICE_SETS_MAX 64u
#define SLUICE_SET_ALL 0u /* every port that is up */

enum sluice_act_kind {
	SLUICE_ACT_DROP = 0,   /* arg: enum sluice_drop, the reason */
	SLUICE_ACT_OUTPUT = 1, /* arg: port number */
	SLUICE_ACT_SET = 2,    /* arg: port set; never to in_port */
	SLUICE_ACT_SLOW = 3,   /* to the slow path */
	SLUICE_ACT_GROUP = 4,  /* arg: group id; who knows no groups: slow */
};

/* An action word: kind in bits 63..56, arg in bits 31..0. */
typedef struct {
	uint64_t w;
} sluice_act;

SLUICE_INLINE sluice_act sluice_act_of(enum sluice_act_kind kind, uint32_t arg)
{
	return (sluice_act){(uint64_t)kind << 56 | arg};
}

SLUICE_INLINE uint32_t sluice_act_kind(sluice_act a)
{
	return (uint32_t)(a.w >> 56);
}

SLUICE_INLINE uint32_t sluice_act_arg(sluice_act a)
{
	return (uint32_t)a.w;
}

/* Under which reason a dropping action counts: POLICY unless it names one. */
SLUICE_INLINE enum sluice_drop sluice_act_reason(sluice_act a)
{
	uint32_t arg = sluice_act_arg(a);

	return arg > SLUICE_DROP_NONE && arg < SLUICE_DROP_N
		       ? (enum sluice_drop)arg
		       : SLUICE_DROP_POLICY;
}

/* Value of SLUICE_TABLE_FLOWS; its key is struct sluice_key. */
struct sluice_flow {
	/* Control writes, engines read. */
	uint64_t act; /* sluice_act */

	/* The engine writes (relaxed, atomic adds), anyone reads. */
	uint64_t n_packets;
	uint64_t n_bytes; /* frames without FCS */
	uint64_t
		used_ns; /* CLOCK_MONOTONIC_COARSE; 0 before the first packet */

	/* The slow path writes, anyone reads: packets that it sent on itself. */
	uint64_t slow_packets;
	uint64_t slow_bytes;
	uint64_t created_ns; /* CLOCK_MONOTONIC */
};
_Static_assert(sizeof(struct sluice_flow) == 56, "ABI");

/* Counts one packet of a flow. Engines only; any core of one engine. */
SLUICE_INLINE void sluice_flow_count(struct sluice_flow *f, uint32_t frame_len,
				     uint64_t now_ns)
{
	sluice_add64_relaxed(&f->n_packets, 1);
	sluice_add64_relaxed(&f->n_bytes, frame_len);
	/* Always: its line is ours already, and a look costs a guess. */
	sluice_store64_relaxed(&f->used_ns, now_ns);
}

/* Key of SLUICE_TABLE_MACS. */
struct sluice_mac_key {
	uint8_t mac[6];
	uint16_t vlan; /* VLAN id, host order; 0: untagged */
};
_Static_assert(sizeof(struct sluice_mac_key) == 8, "ABI");

/* Value of SLUICE_TABLE_MACS. The slow path writes, anyone reads. */
struct sluice_mac {
	uint64_t port;	     /* where it was last seen */
	uint64_t seen_ns;    /* last packet the slow path saw or folded in */
	uint64_t learned_ns; /* CLOCK_MONOTONIC */
	uint64_t n_moves;    /* times it changed its port */
};
_Static_assert(sizeof(struct sluice_mac) == 32, "ABI");

#endif
