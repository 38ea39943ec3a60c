/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NET_RIG_H
#define TESTS_NET_RIG_H

/*
 * tests/net/rig - hosts on veths around an XDP engine
 *
 *     host 1 (own netns)  h1 ---- s1 \
 *     host 2 (own netns)  h2 ---- s2  > the test's netns: the engine
 *     ...                            /
 *
 * Namespaces have no names and end with the process; so do the devices. Hosts
 * send and receive raw frames.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "engine/xdp/xdp.h"
#include "sluice/flow.h"
#include "table/exact.h"

#define RIG_HOSTS_MAX 8u

struct rig_host {
	int netns_fd;
	int sock;
	char inner[16]; /* h1: in the host's namespace */
	char outer[16]; /* s1: in the switch's */
};

struct rig {
	char name[SLUICE_NAME_LEN];
	struct log log;
	uint32_t n_hosts;
	struct rig_host hosts[RIG_HOSTS_MAX + 1]; /* from 1; host n on port n */
};

/* A switch: region, table of flows, engine. */
struct rig_switch {
	struct region *region;
	struct sluice_port *ports;
	struct sluice_port_stats *stats;
	uint64_t *sets;
	uint32_t n_lanes;
	struct table_exact *flows;
	struct engine *engine;
};

/*
 * A new network namespace for this process, and n hosts on veths with so many
 * queues. NULL, or why the test cannot run here.
 */
const char *rig_init(struct rig *rig, uint32_t n_hosts, uint32_t n_queues);
void rig_fini(struct rig *rig);

/* Makes a region with its tables, and opens the engine; adds no ports. */
int rig_switch_new(struct rig *rig, struct rig_switch *sw, bool generic);

/* The same with the region that is pinned. */
int rig_switch_adopt(struct rig *rig, struct rig_switch *sw);
void rig_switch_free(struct rig_switch *sw, bool keep);

/* Adds the ports of all hosts. Returns 0 or negative errno. */
int rig_ports_add(struct rig *rig, struct rig_switch *sw);

/* Waits until all ports are up: a new veth's link takes a moment. */
bool rig_wait_up(struct rig *rig, struct rig_switch *sw);

/* Sum over lanes. */
struct sluice_port_stats rig_stats(const struct rig_switch *sw, uint32_t port);

/* rx + copies - tx - drops - missed + taken over all ports: 0 at rest. */
int64_t rig_imbalance(const struct rig_switch *sw);

/* An UDP packet of flow number n from host a to host b; returns its length. */
uint32_t rig_frame(uint8_t *out, uint32_t a, uint32_t b, uint32_t n);

/* The flow of such a frame. Aborts when the table is full. */
struct sluice_flow *rig_flow_set(struct rig_switch *sw, const uint8_t *frame,
				 uint32_t len, uint32_t in_port,
				 sluice_act act);

void rig_send(struct rig *rig, uint32_t host, const uint8_t *frame,
	      uint32_t len);

/* A frame that arrived at a host, or 0 after timeout_ms. */
uint32_t rig_recv(struct rig *rig, uint32_t host, uint8_t *out, int timeout_ms);

/* Takes misses, waiting at most timeout_ms for the first. */
uint32_t rig_misses(struct rig_switch *sw, struct miss *out, uint32_t n,
		    int timeout_ms);

/* This thread goes into a host's namespace; leave with what enter returned. */
int rig_enter(const struct rig *rig, uint32_t host);
void rig_leave(int back);

/* Redirected frames reach a veth whose peer has GRO. Returns 0 or -errno. */
int rig_gro_on(const char *device);

/* Packets that a host's device has received, by its own count. */
uint64_t rig_host_packets(struct rig *rig, uint32_t host);

#endif
