/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_METER_H
#define SLUICE_METER_H

/*
 * sluice/meter - token buckets
 *
 * A meter is the value of an exact table, its id the key: one token bucket or two
 * (sluice/tokens.h) and what becomes of packets by the colour that they give.
 *
 * The clock: any that all cores of the engine share. While it stands still, no
 * token comes, so burst / rate must cover a tick of it, or the rate is not
 * reached: bpf_ktime_get_ns() and CLOCK_MONOTONIC (20 ns a call) suit any
 * burst, one call a batch or the coarse clocks (1 to 10 ms) larger ones only.
 * The writer is told the tick and refuses shorter bursts (table/meter.h).
 *
 * Kinds
 *   SINGLE  one bucket: green, or red. OpenFlow's meter with one band.
 *   SRTCM   RFC 2697: one rate; what overflows the committed bucket fills the
 *           excess bucket. Green, yellow, red.
 *   TRTCM   RFC 2698: committed and peak rate. OpenFlow's meter with two bands.
 * Colour-blind, or colour-aware as the RFCs have it: a packet leaves no better
 * than it came.
 *
 * Between engines nothing is shared by read-modify-write: a table is made for a
 * number of engines, and each has a meter of its own under each id, with its
 * share of the rate and the burst as the writer set it. Together they grant at
 * most what is promised; what one does not use is not the others'.
 *
 * Whatever is written into a meter by others, these functions end and touch
 * nothing else.
 */

#include "sluice/exact.h"
#include "sluice/tokens.h"
#include "sluice/types.h"

#define SLUICE_METER_ENGINES_MAX 8u
#define SLUICE_METER_STRIDE 128u /* bytes from one engine's to the next's */

enum sluice_meter_kind {
	SLUICE_METER_SINGLE = 0,
	SLUICE_METER_SRTCM = 1,
	SLUICE_METER_TRTCM = 2,
};

enum sluice_colour {
	SLUICE_GREEN = 0,
	SLUICE_YELLOW = 1,
	SLUICE_RED = 2,
};

/* What becomes of a packet of a colour. */
enum sluice_meter_act {
	SLUICE_METER_PASS = 0,
	SLUICE_METER_DROP = 1,
	SLUICE_METER_REMARK = 2, /* DSCP: a higher drop precedence */
};

/* Flags: kind in bits 1..0, then these, then acts from bit 8 * colour on. */
#define SLUICE_METER_KIND_ 3u
#define SLUICE_METER_PACKETS 4u /* tokens are packets, else bytes */
#define SLUICE_METER_AWARE 8u

/*
 * One engine's meter. Its first 48 bytes share a cache line with the entry's
 * head and key; what packets change has the next to itself.
 */
struct sluice_meter {
	/* Control writes before the entry is published, engines read. */
	struct sluice_tokens_conf committed;
	struct sluice_tokens_conf more; /* SRTCM: burst: excess; TRTCM: peak */
	uint32_t flags;
	uint32_t counters[3]; /* by colour: numbers of sluice/counter.h, or 0 */

	/* The engine writes, by atomic operations if its cores share it. */
	uint64_t at;	  /* the committed bucket's word */
	uint64_t more_at; /* TRTCM: the peak bucket's; SRTCM: units missing */
	uint64_t pad[6];
};
_Static_assert(sizeof(struct sluice_meter) == 112, "ABI");
_Static_assert(offsetof(struct sluice_meter, at) == 48, "ABI");

/* The table as one engine sees it. */
struct sluice_meter_view {
	struct sluice_exact_view table;
	uint32_t off; /* of this engine's meter in a value */
};

/* Bytes of a value for so many engines. */
#define SLUICE_METER_VALUE_LEN(n_engines)        \
	(((n_engines)-1) * SLUICE_METER_STRIDE + \
	 (uint32_t)sizeof(struct sluice_meter))

/* The table is made for engines 0 to n - 1; false: not for this one. */
SLUICE_INLINE bool sluice_meter_view_init(struct sluice_meter_view *v,
					  const struct sluice_exact_view *table,
					  uint32_t engine)
{
	v->table = *table;
	v->off = engine * SLUICE_METER_STRIDE;
	return engine < SLUICE_METER_ENGINES_MAX && table->key_len == 8 &&
	       8u + 8u + v->off + sizeof(struct sluice_meter) <=
		       table->entry_len;
}

/* ---- Colours. ---- */

SLUICE_INLINE enum sluice_colour
sluice_meter_srtcm_(struct sluice_meter *m, struct sluice_tokens_ask *a,
		    enum sluice_colour came, bool shared)
{
	uint64_t burst = sluice_load64_relaxed(&m->more.burst);
	uint64_t cost = a->cost;
	bool green;

	if (came == SLUICE_YELLOW)
		a->cost = 0;
	green = sluice_tokens_take(&m->at, a, shared);
	if (a->over)
		sluice_tokens_refill(&m->more_at, a->over, shared);
	if (green && came == SLUICE_GREEN)
		return SLUICE_GREEN;
	return sluice_tokens_take_excess(&m->more_at, burst, cost, shared)
		       ? SLUICE_YELLOW
		       : SLUICE_RED;
}

SLUICE_INLINE enum sluice_colour
sluice_meter_trtcm_(struct sluice_meter *m, struct sluice_tokens_ask *a,
		    uint64_t tokens, enum sluice_colour came, bool shared)
{
	struct sluice_tokens_ask peak = {
		.now = a->now,
		.burst = sluice_load64_relaxed(&m->more.burst),
		.cost = sluice_tokens_cost(sluice_load64_relaxed(&m->more.cost),
					   tokens),
	};

	if (!sluice_tokens_take(&m->more_at, &peak, shared))
		return SLUICE_RED;
	if (came == SLUICE_YELLOW || !sluice_tokens_take(&m->at, a, shared))
		return SLUICE_YELLOW;
	return SLUICE_GREEN;
}

/* What of a batch the meter looks at. */
struct sluice_meter_load {
	uint32_t packets;
	uint32_t bytes;
	enum sluice_colour came; /* as it came; for colour-aware meters */
};

SLUICE_INLINE enum sluice_colour
sluice_meter_police_(struct sluice_meter *m, uint64_t now_ns,
		     const struct sluice_meter_load *load, bool shared)
{
	uint32_t flags = sluice_load32_relaxed(&m->flags);
	uint64_t tokens =
		flags & SLUICE_METER_PACKETS ? load->packets : load->bytes;
	enum sluice_colour came =
		flags & SLUICE_METER_AWARE ? load->came : SLUICE_GREEN;
	struct sluice_tokens_ask a = {
		.now = now_ns * SLUICE_TOKENS_NS,
		.burst = sluice_load64_relaxed(&m->committed.burst),
		.cost = sluice_tokens_cost(sluice_load64_relaxed(
						   &m->committed.cost),
					   tokens),
	};

	if (came == SLUICE_RED)
		return SLUICE_RED;
	switch (flags & SLUICE_METER_KIND_) {
	case SLUICE_METER_SRTCM:
		return sluice_meter_srtcm_(m, &a, came, shared);
	case SLUICE_METER_TRTCM:
		return sluice_meter_trtcm_(m, &a, tokens, came, shared);
	default:
		return sluice_tokens_take(&m->at, &a, shared) ? SLUICE_GREEN
							      : SLUICE_RED;
	}
}

/* ---- Engines. ---- */

/*
 * Finds this engine's meter; SLUICE_NO when there is none of that id. It may be
 * used until the reader's next quiescent state.
 */
SLUICE_INLINE enum sluice_found
sluice_meter_find(const struct sluice_meter_view *v, uint32_t version,
		  uint64_t id, struct sluice_meter **out)
{
	uint8_t *entry;
	enum sluice_found found =
		sluice_exact_find(&v->table, version, &id, sizeof(id), &entry);

	if (found == SLUICE_YES)
		*out = (struct sluice_meter *)(entry + 16 + v->off);
	return found;
}

/*
 * Asks for the memory of a meter that is going to be asked, some packets ahead;
 * host only. Not of one that is being asked right now: other cores may share
 * it, and its line would come and go twice.
 */
#ifndef __bpf__
SLUICE_INLINE void sluice_meter_fetch(const struct sluice_meter *m)
{
	__builtin_prefetch(m);
	/* Not for writing: other cores may be about to. */
	__builtin_prefetch(&m->at);
}
#endif

/*
 * The colour of a packet, or of a batch that is treated as one: it takes the
 * tokens for all of it or none. For an engine of which one core uses meters.
 */
SLUICE_INLINE enum sluice_colour
sluice_meter_police(struct sluice_meter *m, uint64_t now_ns,
		    const struct sluice_meter_load *load)
{
	return sluice_meter_police_(m, now_ns, load, false);
}

/* The same where cores of one engine share the meter. Wait-free. */
SLUICE_INLINE enum sluice_colour
sluice_meter_police_shared(struct sluice_meter *m, uint64_t now_ns,
			   const struct sluice_meter_load *load)
{
	return sluice_meter_police_(m, now_ns, load, true);
}

/* What becomes of a packet of this colour, and by how much it is remarked. */
SLUICE_INLINE enum sluice_meter_act
sluice_meter_act(const struct sluice_meter *m, enum sluice_colour colour,
		 uint32_t *level)
{
	uint32_t act = sluice_load32_relaxed(&m->flags) >> (8 * colour);

	*level = act >> 4 & 3;
	/* Green packets pass; their bits hold the kind. */
	if (colour == SLUICE_GREEN || (act & 3) > SLUICE_METER_REMARK)
		return SLUICE_METER_PASS;
	return (enum sluice_meter_act)(act & 3);
}

/* The counter of a colour, 0: none. Each packet counts under one. */
SLUICE_INLINE uint32_t sluice_meter_counter(const struct sluice_meter *m,
					    enum sluice_colour colour)
{
	return sluice_load32_relaxed(&m->counters[colour]);
}

/*
 * A DSCP with its drop precedence raised by level, as OpenFlow's dscp_remark
 * band: of the classes AF11 to AF43 (RFC 2597); others stay as they are.
 */
SLUICE_INLINE uint32_t sluice_meter_remark(uint32_t dscp, uint32_t level)
{
	uint32_t class = dscp >> 3;
	uint32_t drop = dscp >> 1 & 3;

	if (dscp & 1 || class < 1 || class > 4 || drop == 0)
		return dscp;
	drop = drop + level < 3 ? drop + level : 3;
	return class << 3 | drop << 1;
}

#endif
