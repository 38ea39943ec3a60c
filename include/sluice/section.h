/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_SECTION_H
#define SLUICE_SECTION_H

/*
 * sluice/section - a reader tells the region's writer when it holds nothing
 *
 * Who works in a region with what it found there (counts into entries, acts on
 * them) does so inside a section, so that the writer uses no entry again under
 * it. A reader has a record in SLUICE_TABLE_READERS, one cache line, which it
 * takes once (control path) and then writes as only one: a word that is odd
 * inside a section and even outside, and only grows. One fence per section; no
 * system call, no read-modify-write.
 *
 *     seat_take            once per thread
 *     enter, find, work on what was found while holds() says yes, leave
 *
 * A record belongs to a process, named by pid and start time in one word. The
 * writer (region/grace.h) takes back the record of a process that is gone. A
 * reader that stays inside for longer than the writer's bound, because it was
 * stopped or hangs, is fenced: the writer notes its word in `fence` and waits
 * for it no more. It learns that by holds(); then it drops what it found, as if
 * it had found nothing, leaves, and enters anew.
 *
 * What a fenced reader can still do wrong: holds() is a load, and the reader may
 * be stopped right behind it, in front of its stores. When it goes on it makes
 * those stores, into an entry that is another's by now. So holds() stands in
 * front of each entry's stores, behind the loads that decide (then it never acts
 * on a word of the new owner's), and what is left is one entry's stores, once
 * per stop: with sluice_flow_count() the new flow's counters may become those of
 * the old. It takes a stop of more than the bound between two neighbouring
 * instructions. Where even that is too much, the writer may end the stuck
 * process instead (region_grace_may_kill()); the kernel then says when it is
 * gone, and nothing is left.
 *
 * Who may not write the region (a tool that shows) has no section: it copies and
 * looks again (sluice_exact_get(), sluice_version_holds()). Programs in BPF need
 * no record: see engine/xdp/grace.h.
 *
 * All readers of a region are in the writer's PID namespace. A process whose
 * first thread has ended counts as gone. The child of a fork takes a seat of its
 * own. A process may take a record for another, as a daemon for its child
 * (seat_take with its owner, seat_sit there). Records are taken by compare-and-
 * swap and their owners looked up in /proc, so they are for the writer's host:
 * readers on another one copy, as those without rights.
 */

#include "sluice/atomic.h"
#include "sluice/types.h"

#define SLUICE_SECTIONS_N 64u /* records of a switch */
#define SLUICE_SECTION_NAME_LEN 32u

enum sluice_section_kind {
	SLUICE_SECTION_OTHER = 0,
	SLUICE_SECTION_POLL = 1, /* a thread of the poll engine */
};

/* A record of SLUICE_TABLE_READERS. */
struct sluice_section {
	/* Whoever takes it and whoever takes it back: compare-and-swap. */
	uint64_t owner; /* pid 63..42 | start time 41..0; 0: free */

	/* Its owner writes, anyone reads. */
	uint64_t word; /* odd: inside a section */
	uint32_t kind; /* enum sluice_section_kind */
	uint32_t pad;
	char name[SLUICE_SECTION_NAME_LEN]; /* for people; NUL-terminated */

	/* The region's writer writes. */
	uint64_t fence; /* the word of a section that is not waited for */
};
_Static_assert(sizeof(struct sluice_section) == SLUICE_CACHE_LINE, "ABI");

/* A reader's own side of its record. One thread. */
struct sluice_seat {
	struct sluice_section *record;
	uint64_t owner;
	uint64_t word; /* as last stored */
};

#define SLUICE_OWNER_START_BITS 42u

SLUICE_INLINE uint64_t sluice_owner_pid(uint64_t owner)
{
	return owner >> SLUICE_OWNER_START_BITS;
}

/* Clock ticks since boot, as sluice_process_start(). */
SLUICE_INLINE uint64_t sluice_owner_start(uint64_t owner)
{
	return owner & ((1ull << SLUICE_OWNER_START_BITS) - 1);
}

/* ---- Inside. Fast path; wait-free. ---- */

/*
 * From here on what is found stays what it is. Each side stores and then loads
 * what the other stores, so each needs a full fence between the two (Dekker's
 * pattern; release and acquire do not do): if our loads still see a thing
 * linked, the writer's load sees our odd word.
 */
SLUICE_INLINE void sluice_section_enter(struct sluice_seat *s)
{
	s->word |= 1;
	sluice_store64_release(&s->record->word, s->word);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* [section-in] */
}

/*
 * Has nothing been used again that was loaded in this section before this call?
 * The fence says to the compiler and to weak machines that this load is behind
 * those; on x86-64 it is no instruction.
 */
SLUICE_INLINE bool sluice_section_holds(const struct sluice_seat *s)
{
	/* [section-fence] who has loaded a word of the next owner's sees it */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return sluice_load64_relaxed(&s->record->fence) != s->word;
}

/* We have let go of everything. */
SLUICE_INLINE void sluice_section_leave(struct sluice_seat *s)
{
	s->word = (s->word | 1) + 1;
	/* [section-out] all our loads and stores are over */
	sluice_store64_release(&s->record->word, s->word);
}

/* ---- Taking a record. Control path. ---- */

struct sluice_why;

/*
 * The word for the owner of a record: a process; 0: this one.
 * returns  0 if there is no such process
 */
uint64_t sluice_owner_of(uint64_t pid);

/* Is the process gone? Of an owner 0 too. Reads /proc. */
bool sluice_owner_is_gone(uint64_t owner);

struct sluice_seat_conf {
	uint64_t owner; /* sluice_owner_of() */
	enum sluice_section_kind kind;
	const char *name; /* for people; cut off when too long */
};

/*
 * Takes a free record, or one whose owner is gone, outside of any section.
 *
 * records  [n]; mapped for writing, and as long as the seat is used
 * returns  0
 *          -EUSERS  all records are taken by processes that live
 *          -ESRCH   conf->owner is 0
 */
int sluice_seat_take(struct sluice_section *records, uint32_t n,
		     const struct sluice_seat_conf *conf,
		     struct sluice_seat *out, struct sluice_why *why);

/*
 * Sits down on record number i, which somebody has taken for us.
 * returns  0, -EINVAL (no such number), -EPERM (it is not the owner's)
 */
int sluice_seat_sit(struct sluice_section *records, uint32_t n, uint32_t i,
		    uint64_t owner, struct sluice_seat *out);

/*
 * Ours no more? So it is when somebody took us for dead, who is in another PID
 * namespace. Ask before a section: it would protect nothing; take another.
 */
SLUICE_INLINE bool sluice_seat_is_lost(const struct sluice_seat *s)
{
	return sluice_load64_relaxed(&s->record->owner) != s->owner;
}

/* Leaves the section and gives the record back, unless it is lost. */
void sluice_seat_give(struct sluice_seat *s);

#endif
