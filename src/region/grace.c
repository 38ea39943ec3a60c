/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A round notes the word of each record whose owner is inside, and is over when
 * each of them is another word now, or is waited for no more. It serves all
 * tickets that were taken before it began; one array and three numbers do for
 * any number of tickets, at the price that a ticket may wait for the round
 * before its own.
 *
 * A reader that is fenced stays so until it leaves: its word is the fence, and
 * the next rounds do not note it. The next writer finds the same in the region.
 *
 * Rejected: membarrier() instead of the readers' fence (the writer would have
 * to know the readers' processes, and readers need not run under a kernel that
 * has it); one shared epoch that readers copy (a reader that idles must then be
 * told apart from one that hangs).
 */
#include "region/grace.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/crash.h"
#include "sluice/reader.h"

struct region_grace {
	struct grace_conf conf;
	struct grace_counts counts;
	uint64_t n_asked; /* the last ticket */
	uint64_t n_done;
	uint64_t may_kill;

	/* The round under way. */
	bool is_round;
	bool is_also_done;
	bool is_killed;	 /* may_kill */
	uint64_t serves; /* tickets up to this one */
	uint64_t also;
	uint64_t since_ns;
	uint64_t look_ns; /* when to look again who is gone */
	uint64_t words[]; /* of those that are waited for; 0: not */
};

void region_grace_records(const struct region *r, struct grace_conf *conf)
{
	const struct sluice_table_desc *d =
		region_table(r, SLUICE_TABLE_READERS);

	conf->n = 0;
	conf->records = NULL;
	if (!d || d->alg != SLUICE_ALG_ARRAY ||
	    d->value_len != sizeof(struct sluice_section) ||
	    d->len / sizeof(struct sluice_section) < d->n_max)
		return;
	conf->records = region_at(r, d->off, d->len);
	conf->n = conf->records ? d->n_max : 0;
}

int region_grace_new(const struct grace_conf *conf, struct region_grace **out)
{
	struct region_grace *g =
		calloc(1, sizeof(*g) + conf->n * sizeof(g->words[0]));

	if (!g)
		return -ENOMEM;
	g->conf = *conf;
	if (!g->conf.stuck_ns)
		g->conf.stuck_ns = GRACE_STUCK_NS;
	*out = g;
	return 0;
}

void region_grace_free(struct region_grace *g)
{
	free(g);
}

void region_grace_may_kill(struct region_grace *g, uint64_t owner)
{
	g->may_kill = owner;
}

void region_grace_counts(const struct region_grace *g, struct grace_counts *out)
{
	*out = g->counts;
}

/* ---- A round ---- */

/* The word of a reader that is inside and not fenced, else 0. */
static uint64_t word_inside(const struct sluice_section *r)
{
	uint64_t word = sluice_load64_acquire(&r->word); /* [section-out] */

	if (!(word & 1) || word == sluice_load64_relaxed(&r->fence) ||
	    !sluice_load64_relaxed(&r->owner))
		return 0;
	return word;
}

static void round_begin(struct region_grace *g, uint64_t now_ns)
{
	/* [section-in] what was unlinked is so for whoever enters from now on */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < g->conf.n; i++)
		g->words[i] = word_inside(&g->conf.records[i]);
	g->is_also_done = !g->conf.also.start;
	if (!g->is_also_done)
		g->also = g->conf.also.start(g->conf.also.arg);
	g->serves = g->n_asked;
	g->since_ns = g->look_ns = now_ns;
	g->is_killed = false;
	g->is_round = true;
	g->counts.n_rounds++;
}

/* The record of a process that is gone becomes free. */
static bool take_back(struct sluice_section *r)
{
	uint64_t owner = sluice_load64_relaxed(&r->owner);

	if (!sluice_owner_is_gone(owner))
		return false;
	crash_point();
	/* Fails when somebody has taken it over, who has left, or will. */
	return __atomic_compare_exchange_n(&r->owner, &owner, 0, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* Ends the process that we may, and no other that has got its pid. */
static void kill_owner(uint64_t owner)
{
	pid_t pid = (pid_t)sluice_owner_pid(owner);
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		return;
	if (!sluice_owner_is_gone(owner))
		syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
	close(fd);
}

/* A reader is inside for stuck_ns. Is it waited for no more? */
static bool give_up(struct region_grace *g, struct sluice_section *r,
		    uint64_t word, uint64_t now_ns)
{
	uint64_t owner = sluice_load64_relaxed(&r->owner);

	if (owner && owner == g->may_kill) {
		if (!g->is_killed) {
			kill_owner(owner);
			g->is_killed = true;
			g->counts.n_killed++;
		}
		if (now_ns - g->since_ns < 2 * g->conf.stuck_ns)
			return false;
	}
	crash_point();
	sluice_store64_release(&r->fence, word);
	/* [section-fence] before anything is written into what it holds */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	g->counts.n_fenced++;
	return true;
}

/* Has record i let go? */
static bool has_left(struct region_grace *g, uint32_t i, bool look,
		     uint64_t now_ns)
{
	struct sluice_section *r = &g->conf.records[i];
	uint64_t word = g->words[i];

	if (sluice_load64_acquire(&r->word) != word) /* [section-out] */
		return true;
	if (look && take_back(r)) {
		g->counts.n_gone++;
		return true;
	}
	return now_ns - g->since_ns >= g->conf.stuck_ns &&
	       give_up(g, r, word, now_ns);
}

static bool round_is_over(struct region_grace *g, uint64_t now_ns)
{
	bool look = now_ns >= g->look_ns, over = true;

	if (look)
		g->look_ns = now_ns + GRACE_LOOK_NS;
	for (uint32_t i = 0; i < g->conf.n; i++) {
		if (g->words[i] && has_left(g, i, look, now_ns))
			g->words[i] = 0;
		over = over && !g->words[i];
	}
	if (!g->is_also_done)
		g->is_also_done = g->conf.also.done(g->conf.also.arg, g->also);
	return over && g->is_also_done;
}

/* ---- Tickets ---- */

uint64_t region_grace_start(struct region_grace *g, uint64_t now_ns)
{
	g->n_asked++;
	if (!g->is_round)
		round_begin(g, now_ns);
	return g->n_asked;
}

bool region_grace_done(struct region_grace *g, uint64_t ticket, uint64_t now_ns)
{
	/* The round under way may be an earlier one's. */
	for (uint32_t i = 0; i < 2 && g->n_done < ticket && g->is_round; i++) {
		if (!round_is_over(g, now_ns))
			break;
		g->is_round = false;
		g->n_done = g->serves;
		if (g->n_done < g->n_asked)
			round_begin(g, now_ns);
	}
	return g->n_done >= ticket;
}

void region_grace_reset(struct sluice_section *records, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		crash_point();
		sluice_store64_release(&records[i].owner, 0);
	}
}
