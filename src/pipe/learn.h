/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PIPE_LEARN_H
#define PIPE_LEARN_H

/*
 * pipe/learn - the learning switch, the program of a slice that has no other
 *
 * Learns on which port a station (VLAN id and address) is from the packets it
 * sends, and answers where packets go: to the port of a known station, to all
 * ports for a group's or an unknown address, nowhere for one on the port it
 * came from and for the addresses that 802.1D keeps on the link. VLANs learn
 * independently by their outer tag. Never back out of in_port.
 *
 * Writes the table of addresses, and keeps the flows that were made from it
 * (flow/flows.h) in step at once: one that says anything else than learn_answer
 * would say now exists only inside a call.
 *
 * Owns its struct flows. One thread, the slow path's. Time is an argument.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/annotate.h"
#include "flow/flows.h"

/* Opaque. */
struct learn;

struct learn_conf {
	struct state *state; /* not owned; outlives us */
	uint64_t flow_idle_ns;
	uint64_t mac_age_ns;
	uint64_t seed; /* rng_secret() but in tests */
};

/* ---- Life. ---- */

/* With empty tables, or before learn_adopt(). Returns 0 or -ENOMEM. */
int learn_new(const struct learn_conf *conf, uint64_t now_ns,
	      struct learn **out) MUST_USE;
void learn_free(struct learn *l);

/*
 * Takes over the stations and flows that lie in the tables, and ends what a
 * dead slow path was in the middle of. Once, after learn_set_up().
 */
void learn_adopt(struct learn *l, uint64_t now_ns);

struct flows *learn_flows(struct learn *l);

/* ---- Packets. ---- */

/*
 * A packet of this key came without a flow: learns its source, then answers.
 * A source that cannot be learned (no space, it flaps, its port is not known to
 * be up) is forwarded all the same.
 */
void learn_packet(struct learn *l, const struct sluice_key *key,
		  uint64_t now_ns, struct flow_answer *out);

/* The same without learning; changes nothing. */
void learn_answer(const struct learn *l, const struct sluice_key *key,
		  struct flow_answer *out);

/* ---- Ports and time. ---- */

/*
 * Which ports are up; bit n: port n. The stations of one that went down are
 * forgotten with their flows, now.
 */
void learn_set_up(struct learn *l, uint64_t up);

/*
 * Removes flows and stations whose time has come, looking at n timers of each
 * kind at most. True if there may be more.
 */
bool learn_expire(struct learn *l, uint64_t now_ns, uint32_t n);

/* When to call learn_expire() next; UINT64_MAX: never. */
uint64_t learn_next_ns(const struct learn *l);

#endif
