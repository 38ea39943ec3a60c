/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_PREFIX_H
#define TABLE_PREFIX_H

/*
 * table/prefix - writing a table of routes
 *
 * The writer's side of sluice/prefix.h, which has the layout, the readers'
 * functions and what readers may rely on. A map of fixed capacity from a prefix
 * (an address and a length) of IPv4 or IPv6 to a value of value_len bytes, with
 * look-up by the longest prefix. It does not grow and does not know what its
 * values mean.
 *
 * One writer: one thread of one process. What only the writer needs (which nodes
 * and routes are free) lies in its own memory and is found again by
 * table_prefix_adopt().
 *
 * Routes and nodes that were taken out rest until table_prefix_reclaim(). Call
 * that after a grace period. There are n_max / 32 + 64 routes more than n_max,
 * so that a full table can be changed while some rest.
 *
 * A change costs a store for each word that it changes, one at a time: a route
 * of root_bits or longer has one to 16 of them and at most (length - root_bits)
 * / 4 new nodes; a shorter one has up to 2^(root_bits - length) and also visits
 * the nodes below. The default route is one store.
 */

#include <stdint.h>

#include "base/annotate.h"
#include "base/why.h"
#include "region/region.h"
#include "sluice/prefix.h"
#include "table/change.h"

struct table_prefix_conf {
	const char *name;
	uint32_t kind;
	uint32_t n_max;	  /* routes that fit for sure; 1 to 2^26 */
	uint32_t n_nodes; /* of 64 bytes; 1 to 2^26. See table_prefix_nodes() */
	uint32_t key_bits;  /* 32: IPv4; 128: IPv6 */
	uint32_t root_bits; /* 8 to 24, a multiple of 4; memory 2^(2 + this) */
	uint16_t value_len; /* bytes; a multiple of 8, at most 1024 */
};

/* Opaque; lies in the writer's own memory. */
struct table_prefix;

/* ---- Life. ---- */

/* Bytes that such a table takes in a region; 0: conf is out of range. */
uint64_t table_prefix_len(const struct table_prefix_conf *conf);

/*
 * Makes an empty table in a region and puts it into the directory.
 * returns  0, -EINVAL, -ENOMEM, -ENOSPC (the region is full)
 */
int table_prefix_new(struct region *r, const struct table_prefix_conf *conf,
		     struct table_prefix **out, struct why *why) MUST_USE;

/*
 * Takes over the table that a former writer left, at whatever store it was
 * killed, after a grace period. A change that had begun is finished or has not
 * happened; change sets are settled as the region's version says. Readers may
 * look on meanwhile. Cost: sorts the routes, and one pass over the table.
 *
 * returns  0, -ENOENT (no table of that kind), -ENOMEM,
 *          -EINVAL (not of the shape that the directory says),
 *          -ENOSPC (nodes are missing for its routes: it was scribbled upon)
 */
int table_prefix_adopt(struct region *r, uint32_t kind,
		       struct table_prefix **out, struct why *why) MUST_USE;

/* Frees the writer's own memory; the table stays. NULL is fine. */
void table_prefix_free(struct table_prefix *t);

/* ---- Look-up. The writer; others use sluice/prefix.h. ---- */

const struct sluice_prefix_view *
table_prefix_view(const struct table_prefix *t);
uint32_t table_prefix_n_used(const struct table_prefix *t);
uint32_t table_prefix_n_max(const struct table_prefix *t);
uint32_t table_prefix_n_nodes_used(const struct table_prefix *t);

/* Bytes of the writer's own memory. */
uint64_t table_prefix_own_len(const struct table_prefix *t);

/*
 * The number of the route of exactly this prefix that readers of the region's
 * version see; 0: none.
 */
uint32_t table_prefix_find(const struct table_prefix *t,
			   const struct sluice_prefix_key *key);

/* Calls fn with the number of each such route, in no order, until it says false. */
void table_prefix_each(const struct table_prefix *t,
		       bool (*fn)(void *ctx, uint32_t route), void *ctx);

/* ---- Change. ---- */

/*
 * Adds a route, or replaces its value by another route of the same prefix. True
 * at once, address by address.
 *
 * value    copied; 8-byte aligned
 * route    if not NULL, set to the route's number
 * returns  0
 *          -EINVAL  the prefix is longer than addresses are, or has bits set
 *                   behind its length
 *          -EAGAIN  an unsettled change set holds a route of this prefix
 *          -ENOSPC  n_max routes are in, or routes or nodes are not free (too
 *                   many may rest)
 *          and nothing has changed
 */
int table_prefix_set(struct table_prefix *t,
		     const struct sluice_prefix_key *key, const void *value,
		     uint32_t *route) MUST_USE;

/*
 * Removes a route; its addresses fall to the next shorter one.
 * returns  0, -ENOENT, or -EAGAIN as table_prefix_set()
 */
int table_prefix_del(struct table_prefix *t,
		     const struct sluice_prefix_key *key) MUST_USE;

/* As part of change sets: keys are struct sluice_prefix_key. */
struct change_table *table_prefix_change(struct table_prefix *t);

/* ---- Reuse. ---- */

/* Nodes and routes that were taken out and rest. */
uint32_t table_prefix_n_resting(const struct table_prefix *t);

/*
 * Notes what rests now; the mark goes to table_prefix_reclaim() after a grace
 * period that began after this call.
 */
uint64_t table_prefix_mark(const struct table_prefix *t);

/* Makes what rested at the mark free again. */
void table_prefix_reclaim(struct table_prefix *t, uint64_t mark);

#endif
