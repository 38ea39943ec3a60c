/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_RULES_PEER_H
#define BENCH_RULES_PEER_H

/*
 * bench/rules_peer - Open vSwitch's classifier as bench/rules.c's peer
 *
 * It runs as a process of its own (bench/rules_ovs.c, built by devtools/peer-ovs
 * where Debian's openvswitch-source is installed), makes the same rules and
 * packets from the same seed, and measures when asked to, so that the rounds of
 * both sides take turns.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "table/rules_fake.h"

#define RULES_PEER "build/peers/ovs/rules_ovs"
#define RULES_PEER_NAME "ovs classifier"

/* Sums of winners fit into a double. */
#define RULES_WINNERS_MASK 0xfffffffffffffull

/* How many insertions at the beginning, in the middle, at the end are timed. */
static inline uint32_t rules_window(uint32_t n)
{
	return n / 10 < 1000 ? n / 10 : 1000;
}

struct rules_peer {
	pid_t pid;
	FILE *ask, *answer;
};

/* False: there is none; run from the repository's root. */
bool rules_peer_start(struct rules_peer *p, enum rules_kind kind, uint32_t n,
		      uint64_t seed, uint32_t n_keys);
void rules_peer_stop(struct rules_peer *p);

/* Has it do a command of bench/rules_ovs.c and reads n numbers. */
void rules_peer_ask(struct rules_peer *p, const char *command, double *out,
		    uint32_t n);

#endif
