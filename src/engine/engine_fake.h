/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_ENGINE_FAKE_H
#define ENGINE_ENGINE_FAKE_H

/*
 * engine/engine_fake - an engine in memory, for tests and benchmarks
 *
 * Forwards as the others do, by the shortest code there is: a frame given to
 * engine_fake_rx() is parsed, looked up, counted in lane 1 and handed to the
 * sink, or queued as a miss. Time, too, comes from the test.
 */

#include "engine/engine.h"
#include "flow/state.h"

#define FAKE_QUEUE 256u	    /* misses; a power of two */
#define FAKE_FRAME_MAX 256u /* bytes */

struct engine_fake {
	struct engine engine;
	struct state *state; /* not owned */
	uint64_t now_ns;     /* stamps flows */

	/* Takes what leaves a port; by_slow: the slow path sent it. */
	void (*sink)(void *ctx, uint32_t port, const uint8_t *data,
		     uint32_t len, bool by_slow);
	void *ctx;

	/* A grace period is done when it was asked for so many times. */
	uint32_t n_grace_asks;
	uint32_t n_asked;

	uint64_t n_known; /* frames that found a flow */
	uint32_t head;	  /* misses in the queue: head to tail - 1 */
	uint32_t tail;
	uint32_t n_lent;
	struct miss queue[FAKE_QUEUE];
	uint8_t frames[FAKE_QUEUE][FAKE_FRAME_MAX];
};

void engine_fake_init(struct engine_fake *e, struct state *state);

/* A frame of at most FAKE_FRAME_MAX bytes comes in; it is copied. */
void engine_fake_rx(struct engine_fake *e, uint32_t port, const uint8_t *data,
		    uint32_t len);

/* Queues a frame as a miss, as if it had come before its flow was written. */
void engine_fake_miss(struct engine_fake *e, uint32_t port, const uint8_t *data,
		      uint32_t len);

/*
 * Packets that came in, or were copied, and that no counter of any port accounts
 * for: misses on their way to the slow path count as such.
 */
int64_t engine_fake_imbalance(const struct state *s);

#endif
