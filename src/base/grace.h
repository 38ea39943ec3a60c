/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_GRACE_H
#define BASE_GRACE_H

/*
 * base/grace - one reader tells one writer when it holds nothing
 *
 * A word in shared memory: odd while the reader is inside a section, even
 * outside. The reader alone writes it, it only grows, and it may lie in another
 * process. The writer unlinks something, takes a ticket, and once the ticket is
 * done the reader has let go of it. The writer must find out by itself that a
 * reader has died inside.
 *
 * Each side stores and then loads what the other stores, so each needs a full
 * fence between the two (Dekker's pattern; release and acquire do not do): if
 * the reader's loads still saw the thing linked, then the writer's load sees
 * the odd number. [grace-in] ThreadSanitizer does not know fences, but what is
 * shared here are single words, touched by atomic functions only.
 */

#include "sluice/atomic.h"

/* Reader: from here on it may hold what it finds. */
static inline void grace_enter(uint64_t *word)
{
	sluice_store64_relaxed(word, sluice_load64_relaxed(word) | 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* [grace-in] */
}

/* Reader: it has let go of everything. */
static inline void grace_leave(uint64_t *word)
{
	/* [grace-out] all its loads and stores are over */
	sluice_store64_release(word, (sluice_load64_relaxed(word) | 1) + 1);
}

/* Writer: after unlinking. */
static inline uint64_t grace_ticket(const uint64_t *word)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* [grace-in] */
	return sluice_load64_acquire(word);	 /* [grace-out] */
}

/* Writer: has the reader let go of all that was unlinked before the ticket? */
static inline bool grace_done(const uint64_t *word, uint64_t ticket)
{
	/* [grace-out] */
	return ticket % 2 == 0 || sluice_load64_acquire(word) != ticket;
}

#endif
