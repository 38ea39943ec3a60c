/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FLOW_FLOWS_H
#define FLOW_FLOWS_H

/*
 * flow/flows - flows, what each was made from, and when it leaves
 *
 * Writes the table of flows. Beside it, in private memory, each flow is linked
 * to the origins of its answer: the station it comes from and the one it goes
 * to. What an origin is, the program says (pipe/); here it is a number below
 * n_origins. When an origin changes, the flows under it are asked anew:
 * their action is replaced by one store, or they go. Nothing sweeps.
 *
 * A flow is called by its number, the index of its table entry, which stays
 * until the flow goes. One thread, the slow path's. All links can be rebuilt
 * from the tables alone: flows_adopt().
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/annotate.h"
#include "engine/engine.h"
#include "flow/state.h"

#define FLOWS_BATCH 32u
#define FLOW_NONE UINT32_MAX
#define FLOW_NO_ORIGIN UINT32_MAX

enum flow_side { FLOW_SRC, FLOW_DST, FLOW_SIDES };

/* What a program says about all packets of a key. */
struct flow_answer {
	sluice_act act;
	uint32_t from[FLOW_SIDES]; /* origins, or FLOW_NO_ORIGIN */
	bool keep;		   /* a flow may hold it */
	bool brief; /* the flow leaves after the idle time even when in use */
};

struct flow_program {
	/* What it would answer now. Changes nothing. */
	void (*answer)(void *ctx, const struct sluice_key *key,
		       struct flow_answer *out);
	/* A flow of this source, last used then, leaves for idleness. */
	void (*used)(void *ctx, uint32_t origin, uint64_t used_ns);
	void *ctx;
};

struct flows_conf {
	struct state *state; /* not owned; outlives us */
	struct flow_program program;
	uint32_t n_origins;
	uint64_t idle_ns;
};

/* Opaque. */
struct flows;

/* ---- Life. ---- */

/* Returns 0 or -ENOMEM. */
int flows_new(const struct flows_conf *conf, uint64_t now_ns,
	      struct flows **out) MUST_USE;
void flows_free(struct flows *f);

/*
 * Links every flow that the table already holds. One of which the program says
 * something else now is mended or goes, so whatever a dead slow path was in the
 * middle of is finished. Cost: one pass over the table.
 */
void flows_adopt(struct flows *f, uint64_t now_ns);

/* ---- One flow. ---- */

/*
 * Brings near what flows_find() and flows_add() of n keys will touch; at most
 * FLOWS_BATCH. Changes nothing.
 */
void flows_fetch(struct flows *f, const struct sluice_key *keys, uint32_t n);

/* The flow of a key, or FLOW_NONE. */
uint32_t flows_find(struct flows *f, const struct sluice_key *key);

/*
 * Adds a flow that is not there. Engines see it when this returns.
 * Returns its number, or FLOW_NONE when there is no space, which is counted.
 */
uint32_t flows_add(struct flows *f, const struct sluice_key *key,
		   const struct flow_answer *answer, uint64_t now_ns);

const struct sluice_flow *flows_at(const struct flows *f, uint32_t flow);

/* A packet of the flow was sent on, or dropped, by the slow path itself. */
void flows_count(struct flows *f, uint32_t flow, uint32_t len, uint64_t now_ns);

/* ---- The flows of an origin. Cost: in proportion to these flows. ---- */

/* Asks the program about each of them anew. */
void flows_recheck(struct flows *f, enum flow_side side, uint32_t origin);

/* Removes them. */
void flows_drop(struct flows *f, enum flow_side side, uint32_t origin);

/*
 * When the last of the flows from this source was used, 0: none was. Stops at
 * the first use after enough_ns.
 */
uint64_t flows_used_ns(const struct flows *f, uint32_t origin,
		       uint64_t enough_ns);

/* ---- Time. ---- */

/*
 * Removes flows that have been idle, looking at n timers at most. Returns how
 * many it looked at: n means that there may be more.
 */
uint32_t flows_expire(struct flows *f, uint64_t now_ns, uint32_t n);

/*
 * Makes the entries of removed flows free again as soon as no engine can hold
 * them. Cheap when there are none.
 */
void flows_settle(struct flows *f, struct engine *e, uint64_t now_ns);

/* When to call flows_expire() or flows_settle() next; UINT64_MAX: never. */
uint64_t flows_next_ns(const struct flows *f);

#endif
