/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_VERSION_H
#define SLUICE_VERSION_H

/*
 * sluice/version - which entries a reader sees
 *
 * A region has a version number. A change set (table/change.h) writes what it
 * adds as born at the next version and marks what it removes as dying at it;
 * so far nobody sees a difference. One release store of the number makes all
 * of it true at once, in every table [region-version]. When no reader works
 * with an older number any more, the writer settles the entries: born ones are
 * live, dying ones are gone. Multi-version concurrency with one writer, as
 * PostgreSQL's tuples (xmin, xmax) and Open vSwitch's classifier have it.
 *
 * A reader takes the number once for a packet or a batch, inside its section
 * (sluice/section.h; an XDP program is in one as long as it runs), and asks every
 * entry that it finds. Entries outside of change sets are live or dead: for
 * them the question is one comparison of a word that was loaded anyway.
 *
 *     head   63..32 version | 31..2 generation | 1..0 state
 *
 * The generation grows when the entry dies, so a reader who sees it unchanged
 * knows that the entry's words have not changed hands meanwhile; the state may
 * have. Numbers wrap at 2^32 and are compared by their distance: no set stays
 * unsettled for 2^31 versions.
 *
 * Who has no section (a tool that copies) takes the number, reads, and asks
 * sluice_version_holds(): if not, what it read is of more than one version.
 */

#include "sluice/atomic.h"
#include "sluice/region.h"
#include "sluice/types.h"

enum sluice_entry_state {
	SLUICE_ENTRY_DEAD = 0,
	SLUICE_ENTRY_LIVE = 1,
	SLUICE_ENTRY_BORN = 2,	/* there from version on */
	SLUICE_ENTRY_DYING = 3, /* there before version */
};

#define SLUICE_ENTRY_STATE 3ull
#define SLUICE_ENTRY_GENERATION 0xfffffffcull

SLUICE_INLINE uint32_t sluice_head_state(uint64_t head)
{
	return (uint32_t)(head & SLUICE_ENTRY_STATE);
}

SLUICE_INLINE uint32_t sluice_head_version(uint64_t head)
{
	return (uint32_t)(head >> 32);
}

/* The same entry, its words not yet written again? */
SLUICE_INLINE bool sluice_head_same(uint64_t a, uint64_t b)
{
	return !((a ^ b) & SLUICE_ENTRY_GENERATION);
}

/* The same generation in another state; version matters to BORN and DYING. */
SLUICE_INLINE uint64_t sluice_head_to(uint64_t head,
				      enum sluice_entry_state state,
				      uint32_t version)
{
	return (uint64_t)version << 32 | (head & SLUICE_ENTRY_GENERATION) |
	       (uint64_t)state;
}

/* Dead, and of the next generation. */
SLUICE_INLINE uint64_t sluice_head_dead(uint64_t head)
{
	return ((head & SLUICE_ENTRY_GENERATION) + 4) & SLUICE_ENTRY_GENERATION;
}

SLUICE_INLINE bool sluice_version_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/*
 * Is an entry with this head there, for a reader at that version? Without a
 * branch: BPF's verifier would follow both ways at each look.
 */
SLUICE_INLINE bool sluice_head_visible(uint64_t head, uint32_t version)
{
	uint32_t before = (version - sluice_head_version(head)) >> 31;
	uint32_t in_set = (uint32_t)head >> 1 & 1;

	/* Live or dead; or else dying and before, or born and not before. */
	return ((uint32_t)head & 1) ^ (in_set & ~before);
}

/* The version that a reader works with from here on. */
SLUICE_INLINE uint32_t sluice_version(const struct sluice_region *r)
{
	return sluice_load32_acquire(&r->version); /* [region-version] */
}

/*
 * Is what was read since sluice_version() gave this number all of that version?
 * For readers without a section, after their last load.
 */
SLUICE_INLINE bool sluice_version_holds(const struct sluice_region *r,
					uint32_t version)
{
	/* [region-settling] */
	return !sluice_version_before(version,
				      sluice_load32_acquire(&r->settling));
}

#endif
