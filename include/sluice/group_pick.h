/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_GROUP_PICK_H
#define SLUICE_GROUP_PICK_H

/*
 * sluice/group_pick - choosing a bucket of a group that was found
 *
 * What is promised, and why it is so: sluice/group.h.
 */

#include "sluice/group.h"

/* What is to be known of a packet. */
struct sluice_group_packet {
	const struct sluice_key *key;
	uint64_t up;	  /* ports that are up, bit 1 for port 1 */
	uint32_t version; /* sluice_version() */
};

/* The ports that are up, from their records. */
SLUICE_INLINE uint64_t sluice_ports_up(const struct sluice_port *ports)
{
	uint64_t up = 0;

	for (uint32_t i = 1; i < SLUICE_PORTS_MAX; i++)
		if (sluice_load32_relaxed(&ports[i].state) == SLUICE_PORT_UP)
			up |= 1ull << i;
	return up;
}

SLUICE_INLINE void sluice_order_(uint64_t *a, uint64_t *b)
{
	uint64_t lo = *a < *b ? *a : *b;

	*b = *a < *b ? *b : *a;
	*a = lo;
}

/* Puts the lesser of each pair of fields in front. */
SLUICE_INLINE void sluice_group_symmetric_(uint64_t w[8])
{
	/* in_port 4 bytes, eth_dst 6, eth_src 6; tp_src 2, tp_dst 2 */
	uint64_t dst = w[0] >> 32 | (w[1] & 0xffff) << 32;
	uint64_t src = w[1] >> 16;
	uint64_t tp_src = w[7] & 0xffff;
	uint64_t tp_dst = w[7] >> 16 & 0xffff;

	sluice_order_(&dst, &src);
	sluice_order_(&tp_src, &tp_dst);
	sluice_order_(&w[3], &w[5]);
	sluice_order_(&w[4], &w[6]);
	w[0] = (w[0] & 0xffffffff) | dst << 32;
	w[1] = dst >> 32 | src << 16;
	w[7] = (w[7] & ~0xffffffffull) | tp_dst << 16 | tp_src;
}
_Static_assert(offsetof(struct sluice_key, eth_dst) == 4 &&
		       offsetof(struct sluice_key, eth_src) == 10 &&
		       offsetof(struct sluice_key, ip_src) == 24 &&
		       offsetof(struct sluice_key, ip_dst) == 40 &&
		       offsetof(struct sluice_key, tp_src) == 56 &&
		       offsetof(struct sluice_key, tp_dst) == 58,
	       "a key's fields are not where the symmetric hash takes them");

/* A permutation of 32 bits (Appleby's, of MurmurHash3). */
SLUICE_INLINE uint32_t sluice_group_mix_(uint32_t h)
{
	h ^= h >> 16;
	h *= 0x85ebca6bu;
	h ^= h >> 13;
	h *= 0xc2b2ae35u;
	return h ^ h >> 16;
}

/* What decides the choice: the hash of the fields that the group looks at. */
SLUICE_INLINE uint32_t sluice_group_hash(const struct sluice_groups_view *v,
					 const struct sluice_group_at *g,
					 const struct sluice_key *key)
{
	const uint64_t *words = (const uint64_t *)key;
	uint64_t w[8];

#pragma GCC unroll 8
	for (uint32_t i = 0; i < 8; i++)
		w[i] = words[i] & sluice_load64_relaxed(&g->body->mask[i]);
	if (g->flags & SLUICE_GROUP_SYMMETRIC)
		sluice_group_symmetric_(w);
	return sluice_group_mix_(
		sluice_exact_hash(v->table.table->hash_keys, w, sizeof(w)) +
		g->id * 0x9e3779b1u);
}

SLUICE_INLINE bool sluice_group_is_live(const struct sluice_group_at *g,
					uint32_t i, uint64_t up)
{
	return sluice_load64_relaxed(&g->buckets[i].live) & (up | 1);
}

/* The bucket that a hash names; may be n_buckets or more where one lied. */
SLUICE_INLINE uint32_t sluice_group_slot_(const struct sluice_group_at *g,
					  uint32_t hash)
{
	uint32_t slot = (uint32_t)((uint64_t)hash * SLUICE_GROUP_SLOTS >> 32);
	uint64_t word = sluice_load64_relaxed(&g->slots[slot / 8]);

	return (uint32_t)(word >> (slot % 8 * 8) & 0xff);
}

#ifdef __bpf__

/* As below, as a loop that the kernel runs: its verifier looks at one turn. */
struct sluice_group_look_ {
	const struct sluice_group_bucket *buckets;
	uint64_t up;
	uint32_t n_buckets;
	uint32_t from;
	uint32_t is_select;
	uint32_t bucket;
};

__attribute__((unused)) static int sluice_group_turn_(uint32_t i, void *ctx)
{
	struct sluice_group_look_ *l = ctx;
	uint32_t b = l->from + i;

	if (b >= l->n_buckets)
		b -= l->n_buckets;
	if (b >= l->n_buckets)
		return 1;
	if (!(sluice_load64_relaxed(&l->buckets[b].live) & l->up) ||
	    (l->is_select && !sluice_load32_relaxed(&l->buckets[b].weight)))
		return 0;
	l->bucket = b;
	return 1;
}

SLUICE_INLINE enum sluice_found
sluice_group_first_(const struct sluice_group_at *g, uint32_t from, uint64_t up,
		    uint32_t *bucket)
{
	/* Its helper of that number, as bpf_helpers.h has it. */
	static long (*const loop)(uint32_t, void *, void *, uint64_t) =
		(void *)181;
	struct sluice_group_look_ l = {
		.buckets = g->buckets,
		.up = up | 1,
		.n_buckets = g->n_buckets,
		.from = from,
		.is_select = g->type == SLUICE_GROUP_SELECT,
		.bucket = SLUICE_GROUP_BUCKETS_MAX,
	};

	loop(g->n_buckets, (void *)sluice_group_turn_, &l, 0);
	*bucket = l.bucket;
	return l.bucket < g->n_buckets ? SLUICE_YES : SLUICE_NO;
}

#else

/* The first live bucket from one on, around; SLUICE_NO: there is none. */
SLUICE_INLINE enum sluice_found
sluice_group_first_(const struct sluice_group_at *g, uint32_t from, uint64_t up,
		    uint32_t *bucket)
{
	for (uint32_t i = 0; i < SLUICE_GROUP_BUCKETS_MAX; i++) {
		uint32_t b = from + i;

		if (i >= g->n_buckets)
			break;
		if (b >= g->n_buckets)
			b -= g->n_buckets;
		/* A bucket of weight 0 is no select group's choice. */
		if (sluice_group_is_live(g, b, up) &&
		    (g->type != SLUICE_GROUP_SELECT ||
		     sluice_load32_relaxed(&g->buckets[b].weight))) {
			*bucket = b;
			return SLUICE_YES;
		}
	}
	return SLUICE_NO;
}

#endif

/* The same for the hash of a packet; select only. */
SLUICE_INLINE enum sluice_found
sluice_group_pick_hash(const struct sluice_group_at *g, uint32_t hash,
		       uint64_t up, uint32_t *bucket)
{
	uint32_t from = (uint32_t)((uint64_t)hash * g->n_buckets >> 32);

	for (uint32_t i = 0; i < SLUICE_GROUP_TRIES; i++) {
		uint32_t b = sluice_group_slot_(g, hash);

		if (b < g->n_buckets && sluice_group_is_live(g, b, up)) {
			*bucket = b;
			return SLUICE_YES;
		}
		hash = sluice_group_mix_(hash + 0x9e3779b1u);
	}
	return sluice_group_first_(g, from, up, bucket);
}

/*
 * Chooses a bucket of a group of type select, indirect or fast failover.
 *
 * bucket   its number, below g->n_buckets, on SLUICE_YES
 * returns  SLUICE_NO: none is live (OpenFlow drops the packet), or the group is
 *          of type all, whose buckets are all to be done
 */
SLUICE_INLINE enum sluice_found
sluice_group_pick(const struct sluice_groups_view *v,
		  const struct sluice_group_at *g,
		  const struct sluice_group_packet *p, uint32_t *bucket)
{
	*bucket = 0;
	if (g->type == SLUICE_GROUP_SELECT)
		return sluice_group_pick_hash(g,
					      sluice_group_hash(v, g, p->key),
					      p->up, bucket);
	if (g->type == SLUICE_GROUP_FF)
		return sluice_group_first_(g, 0, p->up, bucket);
	return g->type == SLUICE_GROUP_INDIRECT && g->n_buckets ? SLUICE_YES
								: SLUICE_NO;
}

SLUICE_INLINE sluice_act sluice_group_act(const struct sluice_group_at *g,
					  uint32_t i)
{
	return (sluice_act){sluice_load64_relaxed(&g->buckets[i].act)};
}

/* What a chain of groups comes to. */
struct sluice_group_choice {
	struct sluice_group_at group; /* the last one */
	uint32_t bucket;	      /* of that; type all: of no meaning */
	sluice_act act;		      /* of the bucket; type all: this group */
};

/*
 * Follows an action SLUICE_ACT_GROUP through groups that name groups, at most
 * SLUICE_GROUP_DEPTH, to an action of another kind or to a group of type all.
 *
 * returns  SLUICE_NO: an unknown group, none live, or too deep: drop
 */
SLUICE_INLINE enum sluice_found
sluice_group_resolve(const struct sluice_groups_view *v, uint32_t id,
		     const struct sluice_group_packet *p,
		     struct sluice_group_choice *out)
{
	for (uint32_t i = 0; i < SLUICE_GROUP_DEPTH; i++) {
		enum sluice_found f =
			sluice_group_find(v, p->version, id, &out->group);

		if (f != SLUICE_YES)
			return f;
		out->act = sluice_act_of(SLUICE_ACT_GROUP, id);
		if (out->group.type == SLUICE_GROUP_ALL)
			return SLUICE_YES;
		f = sluice_group_pick(v, &out->group, p, &out->bucket);
		if (f != SLUICE_YES)
			return f;
		out->act = sluice_group_act(&out->group, out->bucket);
		if (sluice_act_kind(out->act) != SLUICE_ACT_GROUP)
			return SLUICE_YES;
		id = sluice_act_arg(out->act);
	}
	return SLUICE_NO;
}

#endif
