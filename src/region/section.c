/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record changes hands by one compare-and-swap of its owner, so it never has
 * two, and whoever is killed on the way leaves either the old owner, who is gone
 * or nobody, or the new one, who is then gone too. A new owner may find the word
 * odd, as the old one left it: it leaves that section first. Until then the
 * writer waits for a section in which nobody is, which is harmless.
 *
 * An owner that is gone does not come back: a pid that is given out again has
 * another start time. So a compare-and-swap cannot hit the wrong one.
 */
#include "sluice/section.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/crash.h"
#include "region/check.h"
#include "sluice/reader.h"

#define START_MASK ((1ull << SLUICE_OWNER_START_BITS) - 1)

uint64_t sluice_owner_of(uint64_t pid)
{
	uint64_t start;

	pid = pid ? pid : (uint64_t)getpid();
	start = sluice_process_start(pid);
	return start ? pid << SLUICE_OWNER_START_BITS | (start & START_MASK)
		     : 0;
}

bool sluice_owner_is_gone(uint64_t owner)
{
	return !owner || sluice_owner_of(sluice_owner_pid(owner)) != owner;
}

/* One step of taking: was it `from`, and is it ours now? */
static bool take_from(struct sluice_section *r, uint64_t from, uint64_t owner)
{
	crash_point();
	return __atomic_compare_exchange_n(&r->owner, &from, owner, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static struct sluice_section *take_any(struct sluice_section *records,
				       uint32_t n, uint64_t owner)
{
	for (uint32_t i = 0; i < n; i++)
		if (!sluice_load64_relaxed(&records[i].owner) &&
		    take_from(&records[i], 0, owner))
			return &records[i];
	for (uint32_t i = 0; i < n; i++) {
		uint64_t old = sluice_load64_relaxed(&records[i].owner);

		if (sluice_owner_is_gone(old) &&
		    take_from(&records[i], old, owner))
			return &records[i];
	}
	return NULL;
}

/* What people read of it; nobody else believes it. */
static void sign(struct sluice_section *r, const struct sluice_seat_conf *conf)
{
	uint64_t words[SLUICE_SECTION_NAME_LEN / 8] = {0};
	uint64_t *to = (uint64_t *)(void *)r->name;

	strncpy((char *)words, conf->name ? conf->name : "", sizeof(words) - 1);
	for (size_t i = 0; i < sizeof(words) / 8; i++) {
		crash_point();
		sluice_store64_relaxed(&to[i], words[i]);
	}
	crash_point();
	sluice_store32_relaxed(&r->kind, conf->kind);
}

static struct sluice_seat sit(struct sluice_section *r, uint64_t owner)
{
	struct sluice_seat s = {.record = r, .owner = owner};

	s.word = sluice_load64_relaxed(&r->word);
	crash_point();
	if (s.word & 1)
		sluice_section_leave(&s);
	return s;
}

int sluice_seat_take(struct sluice_section *records, uint32_t n,
		     const struct sluice_seat_conf *conf,
		     struct sluice_seat *out, struct sluice_why *why)
{
	struct sluice_section *r;

	if (!conf->owner)
		return region_say(why, -ESRCH,
				  "no process that could own a reader record");
	r = take_any(records, n, conf->owner);
	if (!r)
		return region_say(why, -EUSERS,
				  "all %u reader records of the region are "
				  "taken by processes that live",
				  n);
	*out = sit(r, conf->owner);
	sign(r, conf);
	return 0;
}

int sluice_seat_sit(struct sluice_section *records, uint32_t n, uint32_t i,
		    uint64_t owner, struct sluice_seat *out)
{
	if (i >= n || !owner)
		return -EINVAL;
	if (sluice_load64_relaxed(&records[i].owner) != owner)
		return -EPERM;
	*out = sit(&records[i], owner);
	return 0;
}

void sluice_seat_give(struct sluice_seat *s)
{
	if (!s->record)
		return;
	crash_point();
	if (!sluice_seat_is_lost(s)) {
		sluice_section_leave(s);
		(void)take_from(s->record, s->owner, 0);
	}
	*s = (struct sluice_seat){0};
}
