/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_COUNTER_H
#define SLUICE_COUNTER_H

/*
 * sluice/counter - packets, bytes and last use, counted in lanes
 *
 * A counter is a number; who has one (a rule, a band of a meter, a group's
 * bucket) keeps it in its own entry. A lane is an array with a record for each
 * number, and every word of it has one writer: lane 0 is the region's writer's
 * (the slow path, which also gives out the numbers), then comes one lane for
 * each core that forwards, or for each engine whose cores share one.
 *
 *     struct sluice_counters | lane 0: record [n_counters] | lane 1 | ...
 *
 * A count is the sum over the lanes, modulo 2^64, on demand: nothing runs in
 * the background, and the words are the truth whoever dies. Readers only load,
 * so a read-only mapping does, and writers never notice them.
 *
 * A number that is used again starts at zero although nobody clears the words
 * that engines write: when it is given out, after a grace period, the region's
 * writer stores the negated sum of the other lanes into its own, lane 0.
 *
 * Lane 0 has the number's head (sluice/version.h; dead or live): whoever sees
 * it live and the same before and after has read one owner's counts
 * [counter-head]. It goes dead before the words of lane 0 are made to start
 * anew, and live after.
 *
 * What a reader may see while engines count, of one counter: each lane at some
 * moment during the read; in a lane with one writer never the bytes of a packet
 * that is not among the packets [counter-pair], while the last packets' bytes
 * may still be missing. In a lane that is shared by cores also the reverse, by
 * one packet a core. At rest both are exact.
 *
 * Number 0 is never given out: an entry without a counter may name it, and what
 * is counted there nobody reads.
 */

#include "sluice/atomic.h"
#include "sluice/types.h"
#include "sluice/version.h"

/*
 * 32 bytes: a record and its head lie in one cache line. (With 24, and the heads
 * elsewhere, counting is as fast, reading a million about a tenth faster. The
 * lanes' records of one number side by side are read slower, and two cores
 * would write to one line: rows table/counter/layout.)
 */
struct sluice_counter {
	/* The lane's writer writes, anyone reads. */
	uint64_t packets;
	uint64_t bytes;
	uint64_t used_ns; /* last packet; lane 0: or when it was given out */
	uint64_t head;	  /* lane 0 only, else 0 */
};
_Static_assert(sizeof(struct sluice_counter) == 32, "ABI");

/* Lies in the region. Constant after init. Offsets are from its start. */
struct sluice_counters {
	uint32_t n_counters; /* records of a lane, number 0 among them */
	uint32_t n_lanes;
	uint64_t lanes_off; /* multiple of 64 */
	uint64_t lane_len;  /* bytes from one lane to the next, likewise */
	uint64_t pad[5];
};
_Static_assert(sizeof(struct sluice_counters) == 64, "ABI");

/* The table as a reader sees it: its shape copied once, after it was checked. */
struct sluice_counter_view {
	const uint8_t *lanes;
	uint64_t lane_len;
	uint32_t n_counters;
	uint32_t n_lanes;
};

/* One lane as its writer sees it. */
struct sluice_counter_lane {
	struct sluice_counter *records;
	uint32_t n; /* 0: there is no such lane */
};

/* What was counted under one number. */
struct sluice_counter_sum {
	uint64_t packets;
	uint64_t bytes;
	uint64_t used_ns; /* the latest of all lanes */
	uint64_t head; /* tells one owner from the next; 0: nobody's number */
};

/* Takes the shape of t, which the caller has checked or made itself. */
SLUICE_INLINE void sluice_counter_view_init(struct sluice_counter_view *v,
					    const struct sluice_counters *t)
{
	v->lanes = (const uint8_t *)t + t->lanes_off;
	v->lane_len = t->lane_len;
	v->n_counters = t->n_counters;
	v->n_lanes = t->n_lanes;
}

/* ---- Counting. Engines: once per packet, or per batch of a flow. ---- */

/* The lane of that number, for its writer, who has the table mapped writable. */
SLUICE_INLINE struct sluice_counter_lane
sluice_counter_lane(const struct sluice_counter_view *v, uint32_t lane)
{
	bool is = lane < v->n_lanes;
	struct sluice_counter_lane l = {
		.records =
			(struct sluice_counter
				 *)(uintptr_t)(v->lanes +
					       (is ? lane * v->lane_len : 0)),
		.n = is ? v->n_counters : 0,
	};

	return l;
}

/*
 * Counts in a lane that only the caller writes: two loads and three stores, no
 * locked instruction. A number that is none is ignored.
 *
 * now_ns   CLOCK_MONOTONIC_COARSE does
 */
SLUICE_INLINE void sluice_counter_add(const struct sluice_counter_lane *l,
				      uint32_t no, uint64_t packets,
				      uint64_t bytes, uint64_t now_ns)
{
	struct sluice_counter *c;

	if (no >= l->n)
		return;
	c = l->records + no;
	packets += sluice_load64_relaxed(&c->packets);
	bytes += sluice_load64_relaxed(&c->bytes);
	sluice_store64_relaxed(&c->packets, packets);
	/* [counter-pair] the packet is counted before its bytes */
	sluice_store64_release(&c->bytes, bytes);
	sluice_store64_relaxed(&c->used_ns, now_ns);
}

/* The same in a lane that cores of one engine share, by atomic adds. */
SLUICE_INLINE void
sluice_counter_add_shared(const struct sluice_counter_lane *l, uint32_t no,
			  uint64_t packets, uint64_t bytes, uint64_t now_ns)
{
	struct sluice_counter *c;

	if (no >= l->n)
		return;
	c = l->records + no;
	sluice_add64_relaxed(&c->packets, packets);
	sluice_add64_relaxed(&c->bytes, bytes);
	sluice_store64_relaxed(&c->used_ns, now_ns);
}

/* ---- Reading. Any process; wait-free. ---- */

SLUICE_INLINE const struct sluice_counter *
sluice_counter_at_(const struct sluice_counter_view *v, uint32_t lane,
		   uint32_t no)
{
	return (const struct sluice_counter *)(v->lanes + lane * v->lane_len) +
	       no;
}

/* Adds a lane's record to a sum. */
SLUICE_INLINE void sluice_counter_sum_(struct sluice_counter_sum *s,
				       const struct sluice_counter *c)
{
	/* [counter-head] [counter-pair] */
	uint64_t bytes = sluice_load64_acquire(&c->bytes);
	uint64_t packets = sluice_load64_acquire(&c->packets);
	uint64_t used_ns = sluice_load64_acquire(&c->used_ns);

	s->bytes += bytes;
	s->packets += packets;
	s->used_ns = used_ns > s->used_ns ? used_ns : s->used_ns;
}

#define SLUICE_COUNTER_BLOCK_ 64u

/* At most SLUICE_COUNTER_BLOCK_ counters, lane by lane. */
SLUICE_INLINE void sluice_counter_block_(const struct sluice_counter_view *v,
					 uint32_t first, uint32_t n,
					 struct sluice_counter_sum *out)
{
	const struct sluice_counter *c = sluice_counter_at_(v, 0, first);

	for (uint32_t i = 0; i < n; i++) {
		out[i] = (struct sluice_counter_sum){0};
		/* [counter-head] */
		out[i].head = sluice_load64_acquire(&c[i].head);
		sluice_counter_sum_(&out[i], &c[i]);
	}
	for (uint32_t lane = 1; lane < v->n_lanes; lane++) {
		c = sluice_counter_at_(v, lane, first);
		for (uint32_t i = 0; i < n; i++)
			sluice_counter_sum_(&out[i], &c[i]);
	}
	c = sluice_counter_at_(v, 0, first);
	for (uint32_t i = 0; i < n; i++)
		/* [counter-head] If it changed, it was nobody's meanwhile. */
		if (sluice_head_state(out[i].head) != SLUICE_ENTRY_LIVE ||
		    sluice_load64_relaxed(&c[i].head) != out[i].head)
			out[i] = (struct sluice_counter_sum){0};
}

/*
 * The sums of the numbers first to first + n - 1; all 0 for a number that is
 * nobody's, or changed hands meanwhile.
 *
 * returns  how many of the n there are in the table; out[] has as many
 */
SLUICE_INLINE uint32_t sluice_counter_read(const struct sluice_counter_view *v,
					   uint32_t first, uint32_t n,
					   struct sluice_counter_sum *out)
{
	uint32_t done = 0;

	if (first >= v->n_counters)
		return 0;
	if (n > v->n_counters - first)
		n = v->n_counters - first;
	while (done < n) {
		uint32_t some = n - done < SLUICE_COUNTER_BLOCK_
					? n - done
					: SLUICE_COUNTER_BLOCK_;

		sluice_counter_block_(v, first + done, some, out + done);
		done += some;
	}
	return n;
}

/* One counter. False when the number is nobody's; out is then all 0. */
SLUICE_INLINE bool sluice_counter_get(const struct sluice_counter_view *v,
				      uint32_t no,
				      struct sluice_counter_sum *out)
{
	*out = (struct sluice_counter_sum){0};
	return sluice_counter_read(v, no, 1, out) && out->head;
}

#endif
