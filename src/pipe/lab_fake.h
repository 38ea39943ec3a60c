/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PIPE_LAB_FAKE_H
#define PIPE_LAB_FAKE_H

/*
 * pipe/lab_fake - one switch with a fake engine, for tests
 *
 * Stations and groups are called by small numbers; a frame carries a number by
 * which its way through the switch is found again. Virtual time.
 */

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine_fake.h"
#include "pipe/slowpath.h"

#define LAB_TICK (1ull << 20) /* ns; what timers are exact to */
#define LAB_FRAME_LEN 64u
#define LAB_FRAMES 512u

/* Numbers for destinations beyond those of stations. */
#define LAB_ALL 1000u	   /* broadcast */
#define LAB_RESERVED 1001u /* 01:80:c2:00:00:0e */

struct lab {
	struct region *region;
	struct state state;
	struct engine_fake fake;
	struct slowpath slow;
	struct learn_conf conf;
	uint64_t now_ns;
	uint64_t up;

	/* By the frame's number modulo LAB_FRAMES: the ports it left from. */
	uint64_t out[LAB_FRAMES];
	uint32_t n_twice; /* frames that left a port twice */
};

struct lab_conf {
	uint32_t n_flows;
	uint32_t n_macs;
	uint64_t flow_idle_ns;
	uint64_t mac_age_ns;
	uint64_t seed;
};

struct lab_frame {
	uint32_t no;
	uint32_t port;
	uint32_t src;
	uint32_t dst;
	uint16_t vlan; /* 0: no tag */
	uint16_t sport;
};

/* A new switch in a new region, no port up. */
void lab_open(struct lab *l, const struct lab_conf *conf);

/*
 * The same on what another switch left in a region, at l->now_ns. The region
 * is adopted already.
 */
void lab_adopt(struct lab *l, const struct lab_conf *conf,
	       struct region *region, uint64_t up);
void lab_close(struct lab *l);

void lab_set_up(struct lab *l, uint64_t up);

/* Writes LAB_FRAME_LEN bytes. */
void lab_frame(const struct lab_frame *f, uint8_t *data);

/* Lets a frame come in; returns after the slow path has rested. */
void lab_rx(struct lab *l, const struct lab_frame *f);

/* Time goes on, and timers with it. */
void lab_wait(struct lab *l, uint64_t ns);

/* The flow of a frame, or NULL. */
const struct sluice_flow *lab_flow(struct lab *l, const struct lab_frame *f);

/* The learned address, or NULL. */
const struct sluice_mac *lab_mac(struct lab *l, uint32_t station,
				 uint16_t vlan);

/* Says every flow in the table what the program would say now? */
bool lab_is_consistent(struct lab *l);

#endif
