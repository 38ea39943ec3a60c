/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_POLL_LAB_TEST_H
#define ENGINE_POLL_LAB_TEST_H

/*
 * A switch for tests and benchmarks of this folder: a region with all tables,
 * an engine on it, memory ports 1 to n, and a slow path that keeps what it got.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "engine/poll/poll.h"
#include "port/mem.h"
#include "region/region.h"
#include "table/exact.h"

#define LAB_PORTS_MAX 8u
#define LAB_FRAME_MAX 2048u

struct lab {
	struct region *region;
	struct table_exact *flows, *macs;
	struct sluice_reader see; /* the region, as anyone sees it */
	struct poll *engine;
	uint32_t n_ports;
	struct mem_peer *peers[LAB_PORTS_MAX + 1];

	/* The slow path: says this for each miss, and remembers the last. */
	uint8_t slow_says;
	uint64_t n_slow;
	uint8_t slow_frame[LAB_FRAME_MAX];
	uint32_t slow_len;
	void (*on_miss)(struct lab *lab, struct frame *f); /* may be NULL */
};

static inline void lab_miss(void *arg, struct frame *const *frames, uint32_t n,
			    uint8_t *lost)
{
	struct lab *lab = arg;

	for (uint32_t i = 0; i < n; i++) {
		lost[i] = lab->slow_says;
		if (lab->slow_says)
			continue;
		lab->n_slow++;
		lab->slow_len = frames[i]->len;
		if (frames[i]->len <= LAB_FRAME_MAX)
			memcpy(lab->slow_frame, frames[i]->data,
			       frames[i]->len);
		if (lab->on_miss)
			lab->on_miss(lab, frames[i]);
	}
}

static inline void lab_array(struct lab *lab, uint32_t kind, const char *name,
			     uint32_t n, size_t len)
{
	struct sluice_table_desc d = {
		.kind = kind,
		.alg = SLUICE_ALG_ARRAY,
		.n_max = n,
		.len = n * len,
		.value_len = (uint16_t)len,
	};
	uint32_t off;

	snprintf(d.name, sizeof(d.name), "%s", name);
	must(region_table_add(lab->region, &d, &off, NULL) == 0);
	region_table_publish(lab->region);
}

/* A region with the tables of a switch. */
static inline void lab_region(struct lab *lab, uint32_t n_flows, bool want_huge)
{
	struct table_exact_conf flows = {
		.name = "flows",
		.kind = SLUICE_TABLE_FLOWS,
		.n_max = n_flows,
		.key_len = sizeof(struct sluice_key),
		.value_len = sizeof(struct sluice_flow),
		.key_layout = SLUICE_KEY_LAYOUT,
		.seed = 1,
	};
	struct table_exact_conf macs = {
		.name = "macs",
		.kind = SLUICE_TABLE_MACS,
		.n_max = 16,
		.key_len = sizeof(struct sluice_mac_key),
		.value_len = sizeof(struct sluice_mac),
		.seed = 1,
	};
	uint64_t len =
		table_exact_len(&flows) + table_exact_len(&macs) + (1 << 18);

	must(region_new_memfd("lab", len, want_huge, &lab->region, NULL) == 0);
	lab_array(lab, SLUICE_TABLE_SWITCH, "switch", 1,
		  sizeof(struct sluice_switch));
	lab_array(lab, SLUICE_TABLE_PORTS, "ports", SLUICE_PORTS_MAX,
		  sizeof(struct sluice_port));
	lab_array(lab, SLUICE_TABLE_STATS, "stats", 2 * SLUICE_PORTS_MAX,
		  sizeof(struct sluice_port_stats));
	lab_array(lab, SLUICE_TABLE_SETS, "sets", SLUICE_SETS_MAX,
		  sizeof(uint64_t));
	lab_array(lab, SLUICE_TABLE_READERS, "readers", SLUICE_SECTIONS_N,
		  sizeof(struct sluice_section));
	must(table_exact_new(lab->region, &flows, &lab->flows, NULL) == 0);
	must(table_exact_new(lab->region, &macs, &lab->macs, NULL) == 0);
	must(sluice_reader_open_mem(lab->region->head, lab->region->len,
				    &lab->see, NULL) == 0);
}

/* Memory port no, with rings of n_slots frames. */
static inline void lab_port(struct lab *lab, uint32_t no, uint32_t n_slots)
{
	struct sluice_port rec = {.kind = SLUICE_PORT_MEM};
	struct port *p;

	must(mem_peer_new(n_slots, LAB_FRAME_MAX, &lab->peers[no]) == 0);
	snprintf(rec.name, sizeof(rec.name), "m%u", no);
	snprintf(rec.device, sizeof(rec.device), "%s",
		 mem_peer_path(lab->peers[no]));
	must(port_open(&rec, &p, NULL) == 0);
	must(poll_port_give(lab->engine, no, p) == 0);
}

static inline void lab_engine(struct lab *lab)
{
	struct poll_slow slow = {.arg = lab, .miss = lab_miss};

	must(poll_new(lab->region->head, lab->region->len, &slow, &lab->engine,
		      NULL) == 0);
}

static inline void lab_init(struct lab *lab, uint32_t n_ports, uint32_t n_slots)
{
	memset(lab, 0, sizeof(*lab));
	lab_region(lab, 4096, false);
	lab_engine(lab);
	lab->n_ports = n_ports;
	for (uint32_t i = 1; i <= n_ports; i++)
		lab_port(lab, i, n_slots);
}

static inline void lab_fini(struct lab *lab)
{
	poll_free(lab->engine);
	for (uint32_t i = 1; i <= LAB_PORTS_MAX; i++)
		mem_peer_free(lab->peers[i]);
	sluice_reader_close(&lab->see);
	table_exact_free(lab->flows);
	table_exact_free(lab->macs);
	region_free(lab->region);
}

/* Sets a port set; the slow path's engine would. */
static inline void lab_set(struct lab *lab, uint32_t set, uint64_t ports)
{
	((uint64_t *)(uintptr_t)lab->see.sets)[set] = ports;
}

/*
 * A UDP frame between two of 256 hosts, len bytes in all (60 at least), whose
 * payload is filled with tag.
 */
struct lab_udp {
	uint8_t from, to;
	uint16_t port;
	uint32_t len;
	uint64_t tag;
};

static inline void lab_frame(const struct lab_udp *u, uint8_t *out)
{
	static const uint8_t head[42] = {
		2,    0, 0, 0, 0,  0, 2, 0, 0,	  0,  0, 0, 8, 0, /* Ethernet */
		0x45, 0, 0, 0, 0,  0, 0, 0, 64,	  17, 0, 0,	  /* IPv4 */
		10,   0, 0, 0, 10, 0, 0, 0, 0x10, 0,  0, 0, 0, 0, 0, 0,
	};

	memset(out, 0, u->len);
	memcpy(out, head, sizeof(head));
	out[5] = out[33] = u->to;
	out[11] = out[29] = u->from;
	out[16] = (uint8_t)((u->len - 14) >> 8);
	out[17] = (uint8_t)(u->len - 14);
	out[36] = (uint8_t)(u->port >> 8);
	out[37] = (uint8_t)u->port;
	out[38] = (uint8_t)((u->len - 34) >> 8);
	out[39] = (uint8_t)(u->len - 34);
	memcpy(out + 42, &u->tag, sizeof(u->tag));
}

/* Writes a flow, as the slow path does. */
static inline bool lab_flow(struct lab *lab, const struct sluice_key *key,
			    sluice_act act)
{
	struct sluice_flow f = {.act = act.w};

	return table_exact_set(lab->flows, key, &f, NULL) == 0;
}

/* The flow of a key, or NULL. */
static inline struct sluice_flow *lab_find(struct lab *lab,
					   const struct sluice_key *key)
{
	uint8_t *e = table_exact_find(lab->flows, key);

	return e ? sluice_entry_value(e, sizeof(*key)) : NULL;
}

/* Is every packet accounted for, over all ports and lanes? */
static inline bool lab_adds_up(const struct lab *lab)
{
	uint64_t in = 0, out = 0;

	for (uint32_t i = 0; i < SLUICE_PORTS_MAX; i++) {
		struct sluice_port_stats s;

		sluice_reader_stats(&lab->see, i, &s);
		in += s.rx_packets + s.copies;
		out += s.tx_packets + s.missed - s.taken;
		for (uint32_t d = 1; d < SLUICE_DROP_N; d++)
			out += s.drops[d];
	}
	return in == out;
}

#endif
