/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_CHANGE_PAIRS_FAKE_H
#define TABLE_CHANGE_PAIRS_FAKE_H

/*
 * table/change_pairs_fake - a writer whose sets keep two tables alike
 *
 * Keys come in groups of eight, in both tables. A set gives all values of a
 * group, in both, its version's number. The last key of a group lies in the
 * first table while the number is odd, in the second while it is even. So at
 * any version all numbers of a group are the same, and the set can be told from
 * it. One set in eight is refused at its last item.
 *
 * In between, other keys come and go by single operations, so that keys move.
 * Sets are settled and entries used again after grace periods, as early as may
 * be. One thread.
 */

#include <errno.h>
#include <sched.h>

#include "base/clock.h"
#include "base/must.h"
#include "base/rng.h"
#include "region/grace.h"
#include "sluice/version.h"
#include "table/change.h"
#include "table/exact.h"

#define PAIRS_GROUPS 48u
#define PAIRS_KEYS 8u /* of a group */
#define PAIRS_N_MAX 6000u
#define PAIRS_REST_MAX 220u /* wait rather than let more entries rest */
#define PAIRS_FILL_MAX (PAIRS_N_MAX - PAIRS_GROUPS * PAIRS_KEYS)
#define PAIRS_KIND(table) (SLUICE_TABLE_OWN + (table))

struct pairs_words {
	uint64_t a, b;
};

struct pairs {
	struct region *region;
	struct change_log *log;
	struct table_exact *tables[2];
	struct region_grace *grace; /* the caller's */
	struct rng rng;
	uint64_t numbers[PAIRS_GROUPS];
	uint64_t *last; /* [PAIRS_GROUPS] the same, for readers */
	uint64_t fill_from, fill_to;

	/* The grace period that runs. */
	uint64_t ticket;
	uint64_t log_mark;
	uint64_t table_marks[2];

	uint64_t n_sets;
	uint64_t n_refused;
	uint64_t n_full; /* sets and keys for which there was no room */
	uint64_t n_settled;
	uint64_t n_rounds;
};

static inline struct pairs_words pairs_key(uint64_t no)
{
	return (struct pairs_words){no, ~no};
}

static inline uint64_t pairs_mix(uint64_t no, uint64_t number)
{
	return number * 0x9e3779b97f4a7c15u ^ no;
}

static inline bool pairs_is_there(uint32_t table, uint32_t k, uint64_t number)
{
	return k < PAIRS_KEYS - 1 || number % 2 != table;
}

/* The last items of a set, for key k of a group. */
static inline uint32_t pairs_items(struct pairs *p, uint64_t no,
				   struct change_item *out,
				   const struct pairs_words *key,
				   const struct pairs_words *value)
{
	uint32_t group = (uint32_t)(no / PAIRS_KEYS);
	uint32_t k = no % PAIRS_KEYS, n = 0;

	for (uint32_t table = 0; table < 2; table++) {
		bool was = pairs_is_there(table, k, p->numbers[group]) &&
			   p->numbers[group];
		bool is = pairs_is_there(table, k, value->a);

		if (!was && !is)
			continue;
		out[n++] = (struct change_item){
			.table = table_exact_change(p->tables[table]),
			.kind = !is   ? CHANGE_DEL
				: was ? CHANGE_SET
				      : CHANGE_ADD,
			.key = key,
			.value = is ? value : NULL,
		};
	}
	return n;
}

/* A new number for a group; or, with spoil, not. */
static inline void pairs_apply(struct pairs *p, uint32_t group, bool spoil)
{
	struct pairs_words keys[PAIRS_KEYS], values[PAIRS_KEYS];
	struct change_item items[2 * PAIRS_KEYS + 1];
	uint64_t number = p->region->head->version + 1;
	uint32_t n = 0, bad;
	int err;

	for (uint32_t k = 0; k < PAIRS_KEYS; k++) {
		uint64_t no = group * PAIRS_KEYS + k;

		keys[k] = pairs_key(no);
		values[k] = (struct pairs_words){number, pairs_mix(no, number)};
		n += pairs_items(p, no, items + n, &keys[k], &values[k]);
	}
	items[n] = items[0];
	err = change_apply(p->log, items, n + spoil, &bad, NULL);
	p->n_refused += err == -EINVAL;
	p->n_full += err == -ENOSPC;
	if (err)
		must(err == -ENOSPC || err == -EAGAIN ||
		     (spoil && err == -EINVAL && bad == n));
	else
		p->n_sets++;
	if (err)
		return;
	p->numbers[group] = number;
	sluice_store64_release(&p->last[group], number); /* [pairs-last] */
}

static inline void pairs_fill(struct pairs *p)
{
	if (p->fill_to - p->fill_from > PAIRS_FILL_MAX - 20) {
		struct pairs_words key = pairs_key(p->fill_from++);

		for (uint32_t table = 0; table < 2; table++)
			table_exact_del(p->tables[table], &key);
	} else {
		struct pairs_words key = pairs_key(p->fill_to++);

		for (uint32_t table = 0; table < 2; table++)
			if (table_exact_set(p->tables[table], &key, &key, NULL))
				p->n_full++;
	}
}

/* If a grace period is over: what rested is free, what was true is settled. */
static inline void pairs_grace(struct pairs *p)
{
	uint64_t now_ns = clock_now_ns();

	if (!region_grace_done(p->grace, p->ticket, now_ns))
		return;
	for (uint32_t i = 0; i < 2; i++)
		table_exact_reclaim(p->tables[i], p->table_marks[i]);
	p->n_settled += change_settle(p->log, p->log_mark, UINT64_MAX);
	for (uint32_t i = 0; i < 2; i++)
		p->table_marks[i] = table_exact_mark(p->tables[i]);
	p->log_mark = change_mark(p->log);
	p->ticket = region_grace_start(p->grace, now_ns);
	p->n_rounds++;
}

static inline void pairs_step(struct pairs *p)
{
	pairs_grace(p);
	if (table_exact_n_resting(p->tables[0]) +
		    change_n_unsettled(p->log) / 2 >
	    PAIRS_REST_MAX) {
		sched_yield();
		return;
	}
	pairs_apply(p, rng_below(&p->rng, PAIRS_GROUPS),
		    rng_below(&p->rng, 8) == 0);
	for (uint32_t i = 0; i < 4; i++)
		pairs_fill(p);
}

/* In a region of 1 MiB, which stays the caller's; so do grace and last. */
static inline void pairs_init(struct pairs *p, struct region *region,
			      struct region_grace *grace, uint64_t *last,
			      uint64_t seed)
{
	*p = (struct pairs){
		.region = region,
		.grace = grace,
		.rng = rng_of(seed),
		.last = last,
		.fill_from = 1u << 20,
		.fill_to = 1u << 20,
	};
	for (uint32_t i = 0; i < 2; i++) {
		struct table_exact_conf conf = {
			.name = "pair",
			.kind = PAIRS_KIND(i),
			.n_max = PAIRS_N_MAX,
			.key_len = sizeof(struct pairs_words),
			.value_len = sizeof(struct pairs_words),
			.seed = seed + i,
		};

		must(!table_exact_new(region, &conf, &p->tables[i], NULL));
	}
	must(!change_log_new(region, &p->log));
	for (uint32_t group = 0; group < PAIRS_GROUPS; group++)
		pairs_apply(p, group, false);
	must(p->n_sets == PAIRS_GROUPS);
	for (uint32_t i = 0; i < PAIRS_FILL_MAX; i++)
		pairs_fill(p);
	p->ticket = region_grace_start(grace, clock_now_ns());
}

static inline void pairs_fini(struct pairs *p)
{
	change_log_free(p->log);
	for (uint32_t i = 0; i < 2; i++)
		table_exact_free(p->tables[i]);
}

#endif
