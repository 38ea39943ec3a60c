/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_TOKENS_H
#define SLUICE_TOKENS_H

/*
 * sluice/tokens - one token bucket, shared by the cores of one engine
 *
 * A bucket is one 64-bit word that holds a time, as in the virtual scheduling
 * form of the GCRA (ITU-T I.371, annex A): the moment at which it was empty, as
 * if nothing had been taken since. A bucket of rate r and burst b holds
 *
 *     min(b, r * (now - word))  tokens
 *
 * and taking n tokens moves the word n / r ahead, by an atomic add. So tokens
 * come by themselves, a packet costs a multiplication and no division, and
 * nothing that was granted is forgotten however many cores share the bucket: a
 * core looks and then adds, so each of them may grant one packet too early, but
 * it is paid for. Only a bucket that is full is set by compare-and-swap, to the
 * word that a full one has; who loses looks at what the winner stored, at most
 * SLUICE_TOKENS_TRIES times.
 *
 * Time is counted in units of 1/256 ns modulo 2^64: 2.28 years. A word in the
 * window of the buckets that are not full counts; any other means "full":
 * never used, idle for long, or scribbled upon. (Idle for a multiple of 2.28
 * years, give or take the window, is the only way to be mistaken: packets are
 * then dropped until the window is over, 64 bursts and 4.3 s at most.) A core
 * that was held up for longer than that between its look at the clock and its
 * look at the bucket takes it for full; that may grant a burst too much. The
 * cost of a packet is rounded to half a unit, 1/512 ns: 0.04 % of a 64-byte
 * packet at 100 Gbit/s and less of any slower or larger one.
 *
 * Functions take shared = false where only one core uses the bucket, and are
 * then plain loads and stores. Whatever is written into a bucket by others, they
 * end and touch nothing else.
 */

#include "sluice/atomic.h"
#include "sluice/types.h"

#define SLUICE_TOKENS_NS 256u /* units of time in a nanosecond */
#define SLUICE_TOKENS_TRIES 3u
#define SLUICE_TOKENS_BURST_MAX (1ull << 48) /* units: 18 minutes */
#define SLUICE_TOKENS_SLACK_ (1ull << 40)    /* units: 4.3 s */

/*
 * The word of a bucket never used: full, but when the clock happens to be at
 * 1.14 years.
 */
#define SLUICE_TOKENS_FRESH (1ull << 63)

/* One bucket's configuration. */
struct sluice_tokens_conf {
	uint64_t cost;	/* of a token: units << shift in 63..8, shift in 5..0 */
	uint64_t burst; /* units; at most SLUICE_TOKENS_BURST_MAX */
};

SLUICE_INLINE void sluice_tokens_add_(uint64_t *word, uint64_t n, bool shared)
{
	if (shared)
		sluice_add64_relaxed(word, n);
	else
		sluice_store64_relaxed(word, sluice_load64_relaxed(word) + n);
}

/* Returns what the word was; v is stored if that is old. */
SLUICE_INLINE uint64_t sluice_tokens_cas_(uint64_t *word, uint64_t old,
					  uint64_t v, bool shared)
{
	if (shared)
		return sluice_cas64_relaxed(word, old, v);
	sluice_store64_relaxed(word, v);
	return old;
}

/* How far a word may be ahead of a full bucket's and still be believed. */
SLUICE_INLINE uint64_t sluice_tokens_window_(uint64_t burst)
{
	return (burst << 6) + burst + SLUICE_TOKENS_SLACK_;
}

/* What so many tokens cost, in units. */
SLUICE_INLINE uint64_t sluice_tokens_cost(uint64_t cost, uint64_t tokens)
{
	uint32_t shift = (uint32_t)(cost & 63);

	return ((cost >> 8) * tokens + ((1ull << shift) >> 1)) >> shift;
}

/* What a bucket is asked for. All in units. */
struct sluice_tokens_ask {
	uint64_t now;
	uint64_t burst;
	uint64_t cost;
	uint64_t over; /* on return: what had not fitted into the bucket */
};

/* Takes the cost from a bucket. False: it does not hold as much. */
SLUICE_INLINE bool sluice_tokens_take(uint64_t *word,
				      struct sluice_tokens_ask *a, bool shared)
{
	bool fits = a->cost <= a->burst;
	uint64_t cost = fits ? a->cost : 0;
	uint64_t full = a->now - a->burst;
	uint64_t at = sluice_load64_relaxed(word);

	a->over = 0;
	for (uint32_t i = 0; i < SLUICE_TOKENS_TRIES; i++) {
		uint64_t gone = at - full;
		uint64_t was;

		if (gone <= sluice_tokens_window_(a->burst)) {
			if (gone > a->burst - cost)
				return false;
			if (cost)
				sluice_tokens_add_(word, cost, shared);
			return fits;
		}
		was = sluice_tokens_cas_(word, at, full + cost, shared);
		if (was == at) {
			/* What was ahead of its time has nothing over. */
			if ((int64_t)(full - at) > 0)
				a->over = full - at;
			return fits;
		}
		at = was;
	}
	/* So many others have just found it full. */
	sluice_tokens_add_(word, cost, shared);
	return fits;
}

/*
 * RFC 2697's second bucket, which has no rate: its word is what it lacks. Takes
 * in what the first had over, then the cost is taken from it.
 */
SLUICE_INLINE void sluice_tokens_refill(uint64_t *word, uint64_t over,
					bool shared)
{
	uint64_t lacks = sluice_load64_relaxed(word);
	uint64_t some = over < lacks ? over : lacks;

	if (some)
		sluice_tokens_add_(word, -some, shared);
}

SLUICE_INLINE bool sluice_tokens_take_excess(uint64_t *word, uint64_t burst,
					     uint64_t cost, bool shared)
{
	uint64_t lacks = sluice_load64_relaxed(word);

	if (cost > burst)
		return false;
	if (lacks > sluice_tokens_window_(burst)) {
		/* Below zero by a race, or scribbled upon: full. */
		sluice_tokens_cas_(word, lacks, cost, shared);
		return true;
	}
	if (lacks > burst - cost)
		return false;
	sluice_tokens_add_(word, cost, shared);
	return true;
}

#endif
