/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_POLL_POLL_PRIVATE_H
#define ENGINE_POLL_POLL_PRIVATE_H

/* engine/poll - what its files share */

#include "engine/poll/poll.h"
#include "sluice/exact_batch.h"

_Static_assert(POLL_BUDGET == SLUICE_EXACT_BATCH, "one find per burst");

/* Beyond its MTU a device sends an Ethernet header and one VLAN tag. */
#define POLL_L2_LEN 18u

struct poll_queue {
	uint32_t n;
	struct frame *frames[POLL_BUDGET];
};

struct poll_port {
	struct port *port;
	struct sluice_port_stats *stats; /* our lane's */
};

/* Where the region's tables are that it writes. */
struct poll_memory {
	struct sluice_switch *sw;
	struct sluice_port *records;
	struct sluice_section *sections; /* [n_sections] */
	uint32_t n_sections;
};

/* The worker only. */
struct poll {
	struct poll_tables tables;
	struct poll_memory memory;
	struct sluice_seat seat;
	uint64_t up;	/* bit n: port n is open */
	uint64_t ready; /* bit n: port n may have frames */
	uint64_t blind; /* bit n: port n has nothing to wait on */
	uint64_t busy;	/* bit n: port n had frames in the last round */
	uint32_t first; /* the port that the next round begins with */
	int epfd;
	struct poll_slow slow;
	struct poll_port ports[SLUICE_PORTS_MAX];

	/* One burst. */
	struct frame frames[POLL_BUDGET];
	struct sluice_key keys[POLL_BUDGET];
	uint8_t frame_of[POLL_BUDGET]; /* of each key */
	struct sluice_exact_answers answers;
	uint8_t lost[POLL_BUDGET];
	uint64_t queued; /* bit n: queue n is not empty */
	struct poll_queue queues[SLUICE_PORTS_MAX];
	struct poll_queue misses;

	uint8_t *rooms;
};

/* A word of our lane: we write, anyone reads. */
static inline void poll_count(uint64_t *word, uint64_t n)
{
	sluice_store64_relaxed(word, sluice_load64_relaxed(word) + n);
}

#endif
