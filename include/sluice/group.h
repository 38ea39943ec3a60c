/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_GROUP_H
#define SLUICE_GROUP_H

/*
 * sluice/group - reading OpenFlow groups and choosing one of their buckets
 *
 * A group is an entry of an exact table, by its id; behind it lies a body, a
 * block of the heap, with all else:
 *
 *     entry   head | id | struct sluice_group: where the body is, one word
 *     body    struct sluice_group_body | buckets | select: 1024 slots, a byte
 *             each, that name a bucket
 *
 * A body is written once; to change a group is to publish another entry. Two
 * things change in place, each by one store: where the body is (when the heap is
 * tidied) and a bucket's `live` word (when a group that it watches changes).
 *
 * select   takes a slot by the hash of the chosen key fields, keyed by the table's
 *          secret and by the group's id, so groups that follow each other do
 *          not choose alike. A bucket has its weight's share of the slots, rounded
 *          so that no share is wrong by 1/1024 or more; a share below that may
 *          be none. Where the writer gets the slots from, and that few packets
 *          change their bucket when one comes or goes: table/group.h.
 * live     A bucket that watches a port is passed over as soon as the reader
 *          knows the port to be down: no writer is needed. Each bucket says in
 *          one word on which ports it depends, any of which keeps it live: its
 *          watch_port, and all on which its watch_group depends, however deep.
 *          Bit 0 is set in those that watch nothing.
 * up       The reader brings the ports that are up, as a bitmap, taken once for a
 *          packet or a batch: sluice_ports_up(), or what it knows better.
 *
 * A reader is in a section (sluice/section.h) from find to its last use of a bucket;
 * an XDP program is as long as it runs. One writer (table/group.h).
 *
 * Promises, with sluice/group_pick.h
 *   1. find is as sluice_exact_find(). pick is wait-free: select looks at
 *      SLUICE_GROUP_TRIES slots, then at each bucket once at most; fast failover
 *      at each bucket once.
 *   2. A packet whose bucket is live keeps it when others go up or down. Those
 *      of a bucket that is down are spread by the others' weights.
 *   3. Whatever is written into table or heap by others, a reader touches
 *      nothing outside of them and ends.
 */

#include "sluice/exact.h"
#include "sluice/flow.h"
#include "sluice/heap.h"
#include "sluice/key.h"
#include "sluice/port.h"
#include "sluice/types.h"

#define SLUICE_GROUP_SLOTS 1024u
#define SLUICE_GROUP_TRIES 8u
#define SLUICE_GROUP_DEPTH 4u		/* groups in a chain */
#define SLUICE_GROUP_ID_MAX 0xffffff00u /* OFPG_MAX */
#define SLUICE_GROUP_NONE 0xffffffffu	/* OFPG_ANY */

/* OpenFlow's numbers. */
enum sluice_group_type {
	SLUICE_GROUP_ALL = 0,	   /* every bucket; the engine's business */
	SLUICE_GROUP_SELECT = 1,   /* one, by weight and hash */
	SLUICE_GROUP_INDIRECT = 2, /* the only one */
	SLUICE_GROUP_FF = 3,	   /* the first that is live */
};

/* Flags of a group. */
enum {
	/* Both directions of a conversation hash alike: eth, ip, tp swapped. */
	SLUICE_GROUP_SYMMETRIC = 1,
};

/* Key of SLUICE_TABLE_GROUPS. */
struct sluice_group_key {
	uint32_t id;
	uint32_t zero;
};
_Static_assert(sizeof(struct sluice_group_key) == 8, "ABI");

/* Value of SLUICE_TABLE_GROUPS. */
struct sluice_group {
	uint64_t body; /* bytes 63..32 | offset in the heap 31..0 */
};
_Static_assert(sizeof(struct sluice_group) == 8, "ABI");

struct sluice_group_bucket {
	uint64_t act;	      /* sluice_act; SLUICE_ACT_GROUP goes on */
	uint64_t live;	      /* any of these ports up; bit 0: always */
	uint32_t watch_port;  /* 0: none */
	uint32_t watch_group; /* SLUICE_GROUP_NONE: none */
	uint32_t weight;      /* select; 0 to 65535 */
	uint32_t counter;     /* its number among the counters, or 0 */
};
_Static_assert(sizeof(struct sluice_group_bucket) == 32, "ABI");

struct sluice_group_body {
	uint64_t what;	  /* flags 63..56 | type 55..48 | buckets 47..32 | id */
	uint32_t counter; /* of the group, or 0 */
	uint32_t pad;
	uint64_t mask[8]; /* select: bits of struct sluice_key to be hashed */
};
_Static_assert(sizeof(struct sluice_group_body) == 80, "ABI");

/* What fits a block beside the slots. */
#define SLUICE_GROUP_BUCKETS_MAX                                             \
	((SLUICE_HEAP_PAYLOAD_MAX -                                          \
	  (uint32_t)sizeof(struct sluice_group_body) - SLUICE_GROUP_SLOTS) / \
	 (uint32_t)sizeof(struct sluice_group_bucket))
_Static_assert(SLUICE_GROUP_BUCKETS_MAX == 93, "as the documents say");

SLUICE_INLINE uint32_t sluice_group_body_len(uint32_t type, uint32_t n_buckets)
{
	return (uint32_t)sizeof(struct sluice_group_body) +
	       n_buckets * (uint32_t)sizeof(struct sluice_group_bucket) +
	       (type == SLUICE_GROUP_SELECT ? SLUICE_GROUP_SLOTS : 0);
}

/* The table and the heap as one reader sees them. */
struct sluice_groups_view {
	struct sluice_exact_view table;
	struct sluice_heap_view heap;
};

/* A group that was found: its shape copied once, after it was checked. */
struct sluice_group_at {
	const struct sluice_group_body *body;
	const struct sluice_group_bucket *buckets; /* [n_buckets] */
	const uint64_t *slots;			   /* select: 8 in a word */
	uint32_t n_buckets;
	uint32_t id;
	uint32_t type; /* enum sluice_group_type */
	uint32_t flags;
};

/* Opens the body that a word names; false: there is none that makes sense. */
SLUICE_INLINE bool sluice_group_open(const struct sluice_heap_view *heap,
				     uint64_t word, struct sluice_group_at *g)
{
	uint32_t len = (uint32_t)(word >> 32);
	const struct sluice_group_body *body =
		(const struct sluice_group_body *)sluice_heap_at(heap,
								 (uint32_t)word,
								 len);
	uint64_t what;

	if (!body || len < sizeof(*body))
		return false;
	what = sluice_load64_relaxed(&body->what);
	g->body = body;
	g->buckets = (const struct sluice_group_bucket *)(body + 1);
	g->id = (uint32_t)what;
	g->n_buckets = (uint32_t)(what >> 32 & 0xffff);
	g->type = (uint32_t)(what >> 48 & 0xff);
	g->flags = (uint32_t)(what >> 56);
	if (g->n_buckets > SLUICE_GROUP_BUCKETS_MAX ||
	    sluice_group_body_len(g->type, g->n_buckets) > len)
		return false;
	g->slots = (const uint64_t *)(g->buckets + g->n_buckets);
	return true;
}

/* Finds a group. Busy goes to the slow path and is never taken for "no". */
SLUICE_INLINE enum sluice_found
sluice_group_find(const struct sluice_groups_view *v, uint32_t version,
		  uint32_t id, struct sluice_group_at *g)
{
	uint64_t key = id;
	uint8_t *entry;
	enum sluice_found f = sluice_exact_find(&v->table, version, &key,
						sizeof(key), &entry);
	const uint64_t *word;

	if (f != SLUICE_YES)
		return f;
	word = (const uint64_t *)sluice_entry_value(entry, sizeof(key));
	/* [group-body] the body was filled before its place was told */
	return sluice_group_open(&v->heap, sluice_load64_acquire(word), g)
		       ? SLUICE_YES
		       : SLUICE_NO;
}

#endif
