/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_GROUP_FAKE_H
#define TABLE_GROUP_FAKE_H

/*
 * table/group_fake - groups and their heap in a region of their own, for tests of
 * table/group
 */

#include "base/must.h"
#include "base/rng.h"
#include "base/test.h"
#include "region/account.h"
#include "sluice/group_pick.h"
#include "sluice/version.h"
#include "table/group.h"

#define N_ACCOUNTS 4u

struct fixture {
	struct region *region;
	struct heap *heap;
	struct table_group *groups;
	struct change_log *log;
};

static inline void fixture_init(struct fixture *f, uint32_t n_max,
				uint32_t n_pages)
{
	uint64_t len = table_group_len(n_max) + heap_len(n_pages) + (1 << 16);
	struct table_group_conf conf = {.n_max = n_max, .seed = test_seed()};

	must(!region_new_memfd("groups", len, false, &f->region, NULL));
	must(!account_table_new(f->region, N_ACCOUNTS, NULL));
	must(!heap_new(f->region, n_pages, 0, &f->heap, NULL));
	conf.heap = f->heap;
	must(!table_group_new(f->region, &conf, &f->groups, NULL));
	must(!change_log_new(f->region, &f->log));
}

static inline void fixture_leave(struct fixture *f)
{
	change_log_free(f->log);
	table_group_free(f->groups);
	heap_free(f->heap);
	f->groups = NULL;
	f->heap = NULL;
}

static inline void fixture_fini(struct fixture *f)
{
	fixture_leave(f);
	region_free(f->region);
}

static inline void fixture_come(struct fixture *f)
{
	must(!heap_adopt(f->region, &f->heap, NULL));
	must(!table_group_adopt(f->region, f->heap, &f->groups, NULL));
	heap_adopted(f->heap);
	must(!change_log_new(f->region, &f->log));
}

/* What rests may be used again; nobody reads. */
static inline void fixture_reclaim(struct fixture *f)
{
	table_group_reclaim(f->groups, table_group_mark(f->groups));
	heap_reclaim(f->heap, heap_mark(f->heap));
}

static inline bool fixture_move(void *ctx, const struct heap_owner *owner,
				uint32_t from, uint32_t to)
{
	struct fixture *f = ctx;

	return table_group_move(f->groups, owner, from, to);
}

static inline struct group_bucket bucket_to(uint32_t port, uint32_t weight)
{
	return (struct group_bucket){
		.act = sluice_act_of(SLUICE_ACT_OUTPUT, port),
		.watch_group = SLUICE_GROUP_NONE,
		.weight = weight,
	};
}

static inline struct group_bucket bucket_watching(uint32_t port)
{
	struct group_bucket b = bucket_to(port, 1);

	b.watch_port = port;
	return b;
}

static inline struct group_bucket bucket_on(uint32_t id)
{
	return (struct group_bucket){
		.act = sluice_act_of(SLUICE_ACT_GROUP, id),
		.watch_group = SLUICE_GROUP_NONE,
		.weight = 1,
	};
}

/* A group that hashes all of the key. */
static inline struct group_conf conf_of(enum sluice_group_type type,
					const struct group_bucket *buckets,
					uint32_t n)
{
	struct group_conf conf = {
		.type = type,
		.n_buckets = n,
		.buckets = buckets,
	};

	memset(&conf.mask, 0xff, sizeof(conf.mask));
	return conf;
}

static inline int set(struct fixture *f, uint32_t id,
		      enum sluice_group_type type,
		      const struct group_bucket *buckets, uint32_t n)
{
	struct group_conf conf = conf_of(type, buckets, n);

	return table_group_set(f->groups, id, &conf, NULL);
}

static inline struct sluice_key random_key(struct rng *rng)
{
	struct sluice_key key;
	uint64_t *words = (uint64_t *)&key;

	for (uint32_t i = 0; i < sizeof(key) / 8; i++)
		words[i] = rng_next(rng);
	return key;
}

/* Where a packet of that key goes: the port of an output; 0: nowhere. */
static inline uint32_t goes_to(const struct fixture *f, uint32_t id,
			       const struct sluice_key *key, uint64_t up)
{
	struct sluice_group_packet p = {
		.key = key,
		.up = up,
		.version = sluice_version(f->region->head),
	};
	struct sluice_group_choice choice = {0};
	enum sluice_found found =
		sluice_group_resolve(table_group_view(f->groups), id, &p,
				     &choice);

	CHECK(found != SLUICE_BUSY);
	return found == SLUICE_YES &&
			       sluice_act_kind(choice.act) == SLUICE_ACT_OUTPUT
		       ? sluice_act_arg(choice.act)
		       : 0;
}

#endif
