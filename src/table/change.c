/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/change - applying and settling change sets
 *
 * The log is a list of steps, those of the oldest set first, that are true and
 * not settled. A set's steps are appended while it is prepared and become part
 * of the log when the version is stored; a set that is refused is cut off again.
 * What the log knows is lost with its process: adoption needs none of it.
 *
 * Versions are compared by their distance. They never come too far apart: each
 * unsettled one has an entry here, and 2^31 of these are more than there is
 * memory.
 */
#include "table/change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	struct change_table *table;
	struct change_step step;
	uint32_t version;
};

struct change_log {
	struct region *region;
	struct entry *entries; /* [n_room]; from first on, n are unsettled */
	uint64_t first;
	uint64_t n;
	uint64_t n_room;
	uint64_t n_settled; /* since the start; marks count on from it */
	uint32_t version;   /* the region's; we alone store it */
	uint32_t settling;
};

int change_log_new(struct region *r, struct change_log **out)
{
	struct change_log *log = calloc(1, sizeof(*log));

	if (!log)
		return -ENOMEM;
	log->region = r;
	log->version = r->head->version;
	log->settling = r->head->settling;
	*out = log;
	return 0;
}

void change_log_free(struct change_log *log)
{
	if (!log)
		return;
	free(log->entries);
	free(log);
}

/* Room for n more entries behind those that are there. */
static int reserve(struct change_log *log, uint64_t n)
{
	uint64_t n_room = log->n_room;
	struct entry *entries;

	if (log->first + log->n + n <= n_room)
		return 0;
	if (log->first) {
		memmove(log->entries, log->entries + log->first,
			log->n * sizeof(*entries));
		log->first = 0;
	}
	if (log->n + n <= n_room)
		return 0;
	n_room = 2 * (log->n + n);
	entries = realloc(log->entries, n_room * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	log->entries = entries;
	log->n_room = n_room;
	return 0;
}

/* Items from one round of fetching to the next, and to being prepared. */
#define AHEAD 6u

static void fetch(const struct change_item *items, uint32_t n, uint32_t at,
		  uint32_t round)
{
	const struct change_item *item = items + at;

	if (at < n && item->table->ops->fetch)
		item->table->ops->fetch(item->table, item, round);
}

static void take_back(struct entry *set, uint32_t n)
{
	while (n--)
		change_undo(set[n].table, &set[n].step);
}

int change_apply(struct change_log *log, const struct change_item *items,
		 uint32_t n, uint32_t *bad, struct why *why)
{
	uint32_t version = log->version + 1;
	struct entry *set;
	int err;

	*bad = n;
	if (n == 0)
		return 0;
	if (reserve(log, n))
		return why_say(why, -ENOMEM, "no memory for a set of %u items",
			       n);
	set = log->entries + log->first + log->n;
	for (uint32_t i = 0; i < n; i++) {
		fetch(items, n, i + 2 * AHEAD, 0);
		fetch(items, n, i + AHEAD, 1);
		set[i] = (struct entry){items[i].table, {0}, version};
		err = change_prepare(&items[i], version, &set[i].step, why);
		if (err) {
			take_back(set, i);
			*bad = i;
			return err;
		}
	}
	region_version_set(log->region, version);
	log->version = version;
	log->n += n;
	return 0;
}

uint64_t change_n_unsettled(const struct change_log *log)
{
	return log->n;
}

uint64_t change_mark(const struct change_log *log)
{
	return log->n_settled + log->n;
}

uint64_t change_settle(struct change_log *log, uint64_t mark, uint64_t n_max)
{
	uint64_t n = 0;

	while (log->n && log->n_settled < mark && n < n_max) {
		struct entry *e = &log->entries[log->first];

		if (log->settling != e->version) {
			region_settling_set(log->region, e->version);
			log->settling = e->version;
		}
		change_settle_step(e->table, &e->step);
		log->first++;
		log->n--;
		log->n_settled++;
		n++;
	}
	return n;
}
