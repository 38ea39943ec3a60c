/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGION_GRACE_H
#define REGION_GRACE_H

/*
 * region/grace - the writer's side of sections: when has everybody let go?
 *
 * The writer unlinks something, takes a ticket, and when that is done no reader
 * that was inside a section (sluice/section.h) at that time is inside it any
 * more: what was unlinked may be used again. Nothing here waits; ask again.
 *
 * Whom it does not wait for:
 *   - a reader whose process is gone: noticed when asked, at most every
 *     GRACE_LOOK_NS; its record becomes free
 *   - a reader that stays inside for stuck_ns (1 s unless configured): it is
 *     fenced. What it can still do wrong: sluice/section.h
 * So a ticket is done at the latest stuck_ns after its round began, if it is
 * asked for; rounds follow each other, so within twice that.
 *
 * Who cannot be seen by records, as the programs in the kernel, takes part by
 * `also`: its own grace period begins with each round and the round ends with
 * both. Tickets that are taken while a round is under way share the next one,
 * so any number of tables and change sets may use one object.
 *
 * One thread, the region's writer's; one object per region. Whatever is written
 * into the records by others, functions end and kill nobody; at worst entries
 * of that region are used again too early.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/annotate.h"
#include "region/region.h"
#include "sluice/section.h"

#define GRACE_STUCK_NS 1000000000ull
#define GRACE_LOOK_NS 10000000ull

/* Somebody else's grace periods. */
struct grace_also {
	void *arg;
	uint64_t (*start)(void *arg); /* NULL: there is nobody */
	bool (*done)(void *arg, uint64_t ticket);
};

struct grace_conf {
	struct sluice_section *records; /* [n]; not owned */
	uint32_t n;			/* 0: nobody has sections */
	uint64_t stuck_ns;		/* 0: GRACE_STUCK_NS */
	struct grace_also also;
};

/* Opaque. */
struct region_grace;

/* The records of a region, or n 0: it has no such table. Fills these two. */
void region_grace_records(const struct region *r, struct grace_conf *conf);

/* Returns 0 or -ENOMEM. */
int region_grace_new(const struct grace_conf *conf, struct region_grace **out)
	MUST_USE;
void region_grace_free(struct region_grace *g); /* NULL is fine */

/*
 * Asks for a grace period that begins after this call.
 * now_ns   CLOCK_MONOTONIC, as everywhere here
 * returns  a ticket; they grow
 */
uint64_t region_grace_start(struct region_grace *g, uint64_t now_ns);

/* Is it over? Goes on with what is under way. */
bool region_grace_done(struct region_grace *g, uint64_t ticket,
		       uint64_t now_ns);

/*
 * Instead of fencing a reader of this owner, ends its process by SIGKILL and
 * waits until it is gone; fences it only if that takes stuck_ns again. For a
 * child of ours; the owner must not come out of the region. 0: nobody.
 */
void region_grace_may_kill(struct region_grace *g, uint64_t owner);

/*
 * Frees all records, whoever has them: of a region from before the machine was
 * started, whose pids mean nothing. Only while nobody reads.
 */
void region_grace_reset(struct sluice_section *records, uint32_t n);

/* How often since it was made; readers that came to be gone inside, or stuck. */
struct grace_counts {
	uint64_t n_rounds;
	uint64_t n_gone;
	uint64_t n_fenced;
	uint64_t n_killed;
};
void region_grace_counts(const struct region_grace *g,
			 struct grace_counts *out);

#endif
