/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_PREFIX_TWIN_FAKE_H
#define TABLE_PREFIX_TWIN_FAKE_H

/*
 * table/prefix_twin_fake - the twin of a table of routes: an array that is
 * searched from end to end; and random prefixes for both
 */

#include "table/prefix_fake.h"

#define TWIN_MAX 400u

struct twin_route {
	struct sluice_prefix_key key;
	uint64_t value;
};

/* What should be stored. */
struct twin {
	struct twin_route routes[TWIN_MAX];
	uint32_t n;
};

/* ---- The twin. ---- */

static inline bool twin_covers(const struct sluice_prefix_key *p,
			       struct sluice_addr a)
{
	struct sluice_prefix_key other = key_of(a, p->len);

	return other.addr.hi == p->addr.hi && other.addr.lo == p->addr.lo;
}

static inline uint64_t twin_find(const struct twin *t, struct sluice_addr a)
{
	const struct twin_route *best = NULL;

	for (uint32_t i = 0; i < t->n; i++)
		if (twin_covers(&t->routes[i].key, a) &&
		    (!best || t->routes[i].key.len > best->key.len))
			best = &t->routes[i];
	return best ? best->value : 0;
}

static inline struct twin_route *twin_exact(struct twin *t,
					    const struct sluice_prefix_key *key)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->routes[i].key.len == key->len &&
		    t->routes[i].key.addr.hi == key->addr.hi &&
		    t->routes[i].key.addr.lo == key->addr.lo)
			return &t->routes[i];
	return NULL;
}

static inline void twin_set(struct twin *t, const struct sluice_prefix_key *key,
			    uint64_t value)
{
	struct twin_route *r = twin_exact(t, key);

	must(r || t->n < TWIN_MAX);
	if (!r)
		r = &t->routes[t->n++];
	*r = (struct twin_route){*key, value};
}

static inline bool twin_del(struct twin *t, const struct sluice_prefix_key *key)
{
	struct twin_route *r = twin_exact(t, key);

	if (r)
		*r = t->routes[--t->n];
	return r;
}

/* ---- Random prefixes and addresses. ---- */

/*
 * Of few different ones, so that they lie within and beside each other; the
 * lengths near each other, so that there are many of some.
 */
static inline struct sluice_addr random_addr(struct rng *r, uint32_t key_bits)
{
	static const uint8_t nibbles[4] = {0, 15, 0, 5};
	struct sluice_addr a = {0, 0};
	uint32_t n_random = rng_below(r, 8);

	for (uint32_t i = 0; i < n_random; i++) {
		uint64_t nibble = nibbles[rng_below(r, 4)];
		uint32_t at = 4 * rng_below(r, key_bits / 4);

		if (at < 64)
			a.hi |= nibble << (60 - at);
		else
			a.lo |= nibble << (124 - at);
	}
	if (rng_below(r, 4) == 0)
		a.hi |= rng_next(r) & (key_bits == 32 ? ~0ull << 32 : ~0ull);
	return a;
}

static inline struct sluice_prefix_key random_key(struct rng *r,
						  uint32_t key_bits)
{
	uint32_t len = rng_below(r, 3) ? key_bits - rng_below(r, key_bits / 2)
				       : rng_below(r, key_bits + 1);

	return key_of(random_addr(r, key_bits), len);
}

/* One at the edge of a route of the twin, or any. */
static inline struct sluice_addr probe_addr(struct rng *r, uint32_t key_bits,
					    const struct twin *t)
{
	const struct sluice_prefix_key *key;
	struct sluice_addr a, tail;

	if (!t->n || rng_below(r, 4) == 0)
		return random_addr(r, key_bits);
	key = &t->routes[rng_below(r, t->n)].key;
	a = key->addr;
	tail = tail_of(key->len);
	switch (rng_below(r, 4)) {
	case 0: /* its last */
		a.hi |= tail.hi;
		a.lo |= tail.lo;
		break;
	case 1: /* the one before it */
		a.hi -= key_bits == 32 ? 1ull << 32 : !a.lo;
		a.lo -= key_bits == 128;
		break;
	case 2: /* within it */
		a.hi |= rng_next(r) & tail.hi;
		a.lo |= rng_next(r) & tail.lo;
		break;
	default: /* its first */
		break;
	}
	if (key_bits == 32) {
		a.hi &= ~0ull << 32;
		a.lo = 0;
	}
	return a;
}

/*
 * How many of n addresses have another answer than the twin's, by any way of
 * looking at that version?
 */
static inline uint32_t n_wrong_at(const struct fixture *f, const struct twin *t,
				  struct rng *r, uint32_t n, uint32_t version)
{
	const struct sluice_prefix_view *v = table_prefix_view(f->table);
	struct sluice_addr addrs[SLUICE_PREFIX_BATCH];
	uint32_t ip4s[SLUICE_PREFIX_BATCH];
	uint32_t found[2][SLUICE_PREFIX_BATCH];
	uint32_t n_wrong = 0;

	for (uint32_t i = 0; i < n; i += SLUICE_PREFIX_BATCH) {
		for (uint32_t j = 0; j < SLUICE_PREFIX_BATCH; j++) {
			addrs[j] = probe_addr(r, f->conf.key_bits, t);
			ip4s[j] = (uint32_t)(addrs[j].hi >> 32);
		}
		sluice_prefix_find_batch(v, addrs, SLUICE_PREFIX_BATCH, version,
					 found[0]);
		memcpy(found[1], found[0], sizeof(found[0]));
		if (f->conf.key_bits == 32)
			sluice_prefix_find4_batch(v, ip4s, SLUICE_PREFIX_BATCH,
						  version, found[1]);
		for (uint32_t j = 0; j < SLUICE_PREFIX_BATCH; j++) {
			uint64_t want = twin_find(t, addrs[j]);
			uint64_t value[2] = {0};

			n_wrong += value_at(f, found[0][j]) != want;
			n_wrong += value_at(f, found[1][j]) != want;
			n_wrong += find_at(f, addrs[j], version) != want;
			n_wrong += sluice_prefix_get(v, addrs[j], version,
						     value, 16) !=
				   (want ? SLUICE_YES : SLUICE_NO);
			n_wrong += want && value[0] != want;
		}
	}
	return n_wrong;
}

static inline uint32_t n_wrong(const struct fixture *f, const struct twin *t,
			       struct rng *r, uint32_t n)
{
	return n_wrong_at(f, t, r, n, f->region->head->version);
}

#endif
