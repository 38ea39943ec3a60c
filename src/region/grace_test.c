/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time is an argument, so a second passes at once; but the readers that die, are
 * stopped and wake up are processes, and their records lie in memory that we
 * share with them.
 */
#include "region/grace.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/must.h"
#include "base/rng.h"
#include "base/test.h"
#include "sluice/reader.h"

#define STUCK_NS 1000u
#define N 8u

/* Records, and a word by which a child says how far it is. */
struct shared {
	struct sluice_section records[SLUICE_SECTIONS_N];
	uint32_t step;
	uint32_t told;
};

static struct shared *shared_new(void)
{
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	must(s != MAP_FAILED);
	return s;
}

static void shared_free(struct shared *s)
{
	munmap(s, sizeof(*s));
}

static struct region_grace *grace_of(struct shared *s, uint32_t n)
{
	const struct grace_conf conf = {.records = s->records,
					.n = n,
					.stuck_ns = STUCK_NS};
	struct region_grace *g;

	must(!region_grace_new(&conf, &g));
	return g;
}

static struct grace_counts counts_of(const struct region_grace *g)
{
	struct grace_counts c;

	region_grace_counts(g, &c);
	return c;
}

static struct sluice_seat seat_of(struct shared *s, uint32_t n)
{
	const struct sluice_seat_conf conf = {.owner = sluice_owner_of(0),
					      .name = "test"};
	struct sluice_seat seat;

	must(!sluice_seat_take(s->records, n, &conf, &seat, NULL));
	return seat;
}

static void wait_step(const struct shared *s, uint32_t step)
{
	for (uint32_t i = 0; i < 5000; i++) {
		if (sluice_load32_acquire(&s->step) == step)
			return;
		usleep(1000);
	}
	CHECK_EQ(sluice_load32_acquire(&s->step), step);
}

static void say_step(struct shared *s, uint32_t step)
{
	sluice_store32_release(&s->step, step);
}

/* A child that is inside a section and waits there. */
static pid_t fork_inside(struct shared *s, uint32_t n)
{
	uint32_t step = sluice_load32_acquire(&s->step);
	pid_t pid = fork();

	must(pid >= 0);
	if (pid == 0) {
		struct sluice_seat seat = seat_of(s, n);

		sluice_section_enter(&seat);
		say_step(s, step + 1);
		for (;;)
			pause();
	}
	wait_step(s, step + 1);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	must(waitpid(pid, NULL, 0) == pid);
}

/* Returns when the process is stopped or a zombie. */
static void wait_state(pid_t pid, int options)
{
	siginfo_t info;

	must(!waitid(P_PID, (id_t)pid, &info,
		     options | WNOWAIT | (options & WSTOPPED)));
}

/* ---- One process. ---- */

static void a_ticket_waits_for_who_is_inside(void)
{
	struct shared *s = shared_new();
	struct region_grace *g = grace_of(s, N);
	struct sluice_seat a = seat_of(s, N), b = seat_of(s, N);
	uint64_t t;

	CHECK(a.record != b.record);
	t = region_grace_start(g, 0);
	CHECK(region_grace_done(g, t, 0));
	sluice_section_enter(&a);
	sluice_section_enter(&b);
	t = region_grace_start(g, 1);
	CHECK(!region_grace_done(g, t, 1));
	sluice_section_leave(&a);
	CHECK(!region_grace_done(g, t, 2));
	/* Who enters after the ticket is not waited for. */
	sluice_section_enter(&a);
	sluice_section_leave(&b);
	CHECK(region_grace_done(g, t, 3));
	CHECK(sluice_section_holds(&a));
	t = region_grace_start(g, 4);
	CHECK(!region_grace_done(g, t, 4));
	/* To leave and to enter again is to have left. */
	sluice_section_leave(&a);
	sluice_section_enter(&a);
	CHECK(region_grace_done(g, t, 5));
	CHECK_EQ(counts_of(g).n_fenced, 0);
	sluice_seat_give(&a);
	sluice_seat_give(&b);
	CHECK_EQ(s->records[0].owner, 0);
	CHECK_EQ(s->records[0].word % 2, 0);
	region_grace_free(g);
	region_grace_free(NULL);
	shared_free(s);
}

static void tickets_share_rounds(void)
{
	struct shared *s = shared_new();
	struct region_grace *g = grace_of(s, N);
	struct sluice_seat a = seat_of(s, N);
	uint64_t first, t = 0;

	sluice_section_enter(&a);
	first = region_grace_start(g, 0);
	sluice_section_leave(&a);
	sluice_section_enter(&a);
	/* These begin after a's second section, which the first does not see. */
	for (uint32_t i = 0; i < 1000; i++)
		t = region_grace_start(g, 0);
	CHECK(region_grace_done(g, first, 1));
	CHECK(!region_grace_done(g, t, 1));
	CHECK(!region_grace_done(g, first + 1, 1));
	sluice_section_leave(&a);
	CHECK(region_grace_done(g, t, 2));
	CHECK(region_grace_done(g, first + 1, 2));
	CHECK(!region_grace_done(g, t + 1, 2));
	CHECK_EQ(counts_of(g).n_rounds, 2);
	region_grace_free(g);
	shared_free(s);
}

static void without_records_all_is_over_at_once(void)
{
	const struct grace_conf conf = {.n = 0};
	struct region_grace *g;

	must(!region_grace_new(&conf, &g));
	CHECK(region_grace_done(g, region_grace_start(g, 0), 0));
	region_grace_free(g);
}

static void records_run_out_with_a_sentence(void)
{
	struct shared *s = shared_new();
	const struct sluice_seat_conf nobody = {.owner = 0};
	struct sluice_seat_conf conf = {.owner = sluice_owner_of(0),
					.kind = SLUICE_SECTION_POLL,
					.name = "a name that is longer than 31 "
						"characters"};
	struct sluice_seat seats[SLUICE_SECTIONS_N], more;
	struct sluice_why why = {""};
	uint32_t n = SLUICE_SECTIONS_N;

	for (uint32_t i = 0; i < n; i++) {
		seats[i] = seat_of(s, n);
		CHECK(seats[i].record == &s->records[i]);
	}
	CHECK_EQ(sluice_seat_take(s->records, n, &conf, &more, &why), -EUSERS);
	CHECK(strstr(why.text, "64 reader records") != NULL);
	CHECK_EQ(sluice_seat_take(s->records, n, &nobody, &more, &why), -ESRCH);
	sluice_seat_give(&seats[40]);
	sluice_seat_give(&seats[40]); /* nothing happens */
	CHECK_EQ(sluice_seat_take(s->records, n, &conf, &more, NULL), 0);
	CHECK(more.record == &s->records[40]);
	CHECK_EQ(more.record->kind, SLUICE_SECTION_POLL);
	CHECK(strcmp(more.record->name, "a name that is longer than 31 c") ==
	      0);
	region_grace_reset(s->records, n);
	CHECK(sluice_seat_is_lost(&more));
	CHECK_EQ(sluice_seat_take(s->records, n, &conf, &seats[0], NULL), 0);
	CHECK(seats[0].record == &s->records[0]);
	/* Who lost it takes nothing from the next one. */
	more.record = &s->records[0];
	more.owner++;
	sluice_seat_give(&more);
	CHECK(!sluice_seat_is_lost(&seats[0]));
	shared_free(s);
}

static void a_pid_of_another_start_time_is_gone(void)
{
	struct shared *s = shared_new();
	struct region_grace *g = grace_of(s, 1);
	uint64_t owner = sluice_owner_of(0), t;
	struct sluice_seat a;

	CHECK_EQ(sluice_owner_pid(owner), getpid());
	CHECK_EQ(sluice_owner_start(owner),
		 sluice_process_start((uint64_t)getpid()));
	CHECK(!sluice_owner_is_gone(owner));
	CHECK(sluice_owner_is_gone(owner - 1));
	CHECK(sluice_owner_is_gone(0));
	/* An earlier process of our number died inside. */
	s->records[0] = (struct sluice_section){.owner = owner - 1, .word = 7};
	t = region_grace_start(g, 0);
	CHECK(region_grace_done(g, t, 0));
	CHECK_EQ(s->records[0].owner, 0);
	CHECK_EQ(counts_of(g).n_gone, 1);
	s->records[0] = (struct sluice_section){.owner = owner - 1, .word = 7};
	a = seat_of(s, 1);
	CHECK_EQ(s->records[0].owner, owner);
	CHECK_EQ(s->records[0].word, 8);
	sluice_section_enter(&a);
	CHECK_EQ(s->records[0].word, 9);
	region_grace_free(g);
	shared_free(s);
}

/* ---- Somebody else's grace periods. ---- */

struct other {
	uint64_t n_started;
	uint64_t n_done;
};

static uint64_t other_start(void *arg)
{
	return ++((struct other *)arg)->n_started;
}

static bool other_done(void *arg, uint64_t ticket)
{
	return ((struct other *)arg)->n_done >= ticket;
}

static void a_round_ends_with_both(void)
{
	struct shared *s = shared_new();
	struct other other = {0};
	const struct grace_conf conf = {
		.records = s->records,
		.n = N,
		.stuck_ns = STUCK_NS,
		.also = {.arg = &other,
			 .start = other_start,
			 .done = other_done},
	};
	struct sluice_seat a = seat_of(s, N);
	struct region_grace *g;
	uint64_t t;

	must(!region_grace_new(&conf, &g));
	sluice_section_enter(&a);
	t = region_grace_start(g, 0);
	CHECK_EQ(other.n_started, 1);
	other.n_done = 1;
	CHECK(!region_grace_done(g, t, 1));
	sluice_section_leave(&a);
	CHECK(region_grace_done(g, t, 2));
	t = region_grace_start(g, 3);
	CHECK_EQ(other.n_started, 2);
	/* No bound of ours ends theirs: the kernel's readers do not hang. */
	CHECK(!region_grace_done(g, t, 3 + 10 * STUCK_NS));
	other.n_done = 2;
	CHECK(region_grace_done(g, t, 4 + 10 * STUCK_NS));
	region_grace_free(g);
	shared_free(s);
}

/* ---- Other processes. ---- */

static void who_dies_inside_is_not_waited_for(void)
{
	struct shared *s = shared_new();
	struct region_grace *g = grace_of(s, N);
	pid_t pid = fork_inside(s, N);
	uint64_t t = region_grace_start(g, 0);

	CHECK(!region_grace_done(g, t, 0));
	kill(pid, SIGKILL);
	wait_state(pid, WEXITED); /* a zombie */
	/* Not at once again: it takes reading a file. */
	CHECK(!region_grace_done(g, t, 1));
	region_grace_free(g);
	g = grace_of(s, N);
	t = region_grace_start(g, 0);
	CHECK(region_grace_done(g, t, 0));
	CHECK_EQ(s->records[0].owner, 0);
	CHECK_EQ(s->records[0].word % 2, 1);
	CHECK_EQ(counts_of(g).n_gone, 1);
	CHECK_EQ(counts_of(g).n_fenced, 0);
	/* Nobody's record is waited for by nobody. */
	t = region_grace_start(g, 1);
	CHECK(region_grace_done(g, t, 1));
	must(waitpid(pid, NULL, 0) == pid);
	region_grace_free(g);
	shared_free(s);
}

/* Waits until it is told; then it says what it sees, and goes on. */
static void reader_that_is_stopped(struct shared *s)
{
	struct sluice_seat seat = seat_of(s, N);

	sluice_section_enter(&seat);
	if (!sluice_section_holds(&seat))
		_exit(1);
	say_step(s, 1);
	while (!sluice_load32_acquire(&s->told))
		usleep(100);
	if (sluice_section_holds(&seat))
		_exit(2);
	sluice_section_leave(&seat);
	sluice_section_enter(&seat);
	if (!sluice_section_holds(&seat))
		_exit(3);
	say_step(s, 2);
	for (;;)
		pause();
}

static void who_is_stopped_inside_delays_for_a_bounded_time(void)
{
	struct shared *s = shared_new();
	struct region_grace *g = grace_of(s, N);
	pid_t pid = fork();
	uint64_t t;

	must(pid >= 0);
	if (pid == 0)
		reader_that_is_stopped(s);
	wait_step(s, 1);
	kill(pid, SIGSTOP);
	wait_state(pid, WSTOPPED);
	t = region_grace_start(g, 50);
	CHECK(!region_grace_done(g, t, 50));
	CHECK(!region_grace_done(g, t, 50 + STUCK_NS - 1));
	CHECK_EQ(s->records[0].fence, 0);
	CHECK(region_grace_done(g, t, 50 + STUCK_NS));
	CHECK_EQ(s->records[0].fence, s->records[0].word);
	CHECK_EQ(counts_of(g).n_fenced, 1);
	/* It delays nobody a second time, and no second writer. */
	CHECK(region_grace_done(g, region_grace_start(g, 3000), 3000));
	region_grace_free(g);
	g = grace_of(s, N);
	CHECK(region_grace_done(g, region_grace_start(g, 3000), 3000));
	CHECK(!sluice_owner_is_gone(s->records[0].owner));
	/* It wakes, notices, and is waited for in its new section. */
	sluice_store32_release(&s->told, 1);
	kill(pid, SIGCONT);
	wait_step(s, 2);
	t = region_grace_start(g, 4000);
	CHECK(!region_grace_done(g, t, 4000));
	CHECK_EQ(s->records[0].word % 2, 1);
	end(pid);
	region_grace_free(g);
	shared_free(s);
}

static void who_may_be_killed_is(void)
{
	struct shared *s = shared_new();
	struct region_grace *g = grace_of(s, N);
	pid_t pid = fork_inside(s, N), other;
	uint64_t t;

	region_grace_may_kill(g, sluice_owner_of((uint64_t)pid));
	t = region_grace_start(g, 0);
	CHECK(!region_grace_done(g, t, STUCK_NS - 1));
	CHECK(!region_grace_done(g, t, STUCK_NS));
	wait_state(pid, WEXITED);
	CHECK(region_grace_done(g, t, STUCK_NS + GRACE_LOOK_NS));
	CHECK_EQ(counts_of(g).n_killed, 1);
	CHECK_EQ(counts_of(g).n_fenced, 0);
	must(waitpid(pid, NULL, 0) == pid);
	/* Another, whose pid the record lies about, is only fenced. */
	other = fork_inside(s, N);
	region_grace_may_kill(g, sluice_owner_of((uint64_t)other) + 1);
	s->records[0].owner++;
	t = region_grace_start(g, 0);
	s->records[0].owner--;
	CHECK(region_grace_done(g, t, 2ul * STUCK_NS));
	CHECK_EQ(waitpid(other, NULL, WNOHANG), 0);
	CHECK_EQ(counts_of(g).n_killed, 1);
	CHECK_EQ(counts_of(g).n_fenced, 1);
	end(other);
	region_grace_free(g);
	shared_free(s);
}

static void a_record_is_given_to_another_process(void)
{
	struct shared *s = shared_new();
	struct sluice_seat given, theirs;
	int status;
	pid_t pid = fork();

	must(pid >= 0);
	if (pid == 0) {
		wait_step(s, 1);
		if (sluice_seat_sit(s->records, N, 3, sluice_owner_of(0),
				    &theirs) != -EPERM ||
		    sluice_seat_sit(s->records, N, N, sluice_owner_of(0),
				    &theirs) != -EINVAL)
			_exit(1);
		_exit(sluice_seat_sit(s->records, N, s->told,
				      sluice_owner_of(0), &theirs)
			      ? 2
			      : 0);
	}
	must(!sluice_seat_take(s->records, N,
			       &(struct sluice_seat_conf){
				       .owner = sluice_owner_of((uint64_t)pid)},
			       &given, NULL));
	s->told = (uint32_t)(given.record - s->records);
	say_step(s, 1);
	must(waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
	shared_free(s);
}

static void many_readers_come_and_go(void)
{
	enum { CHILDREN = 40, ROUNDS = 200 };
	struct shared *s = shared_new();
	struct region_grace *g = grace_of(s, SLUICE_SECTIONS_N);
	pid_t pids[CHILDREN];
	uint64_t now_ns = 0, t, n_waits = 0;

	for (uint32_t i = 0; i < CHILDREN; i++) {
		pids[i] = fork();
		must(pids[i] >= 0);
		if (pids[i] == 0) {
			struct rng rng = rng_of(test_seed() + i);
			struct sluice_seat seat = seat_of(s, SLUICE_SECTIONS_N);

			for (;;) {
				sluice_section_enter(&seat);
				usleep(rng_below(&rng, 300));
				sluice_section_leave(&seat);
				usleep(rng_below(&rng, 100));
			}
		}
	}
	for (uint32_t i = 0; i < ROUNDS; i++) {
		t = region_grace_start(g, now_ns);
		while (!region_grace_done(g, t, now_ns)) {
			n_waits++;
			usleep(50);
		}
		/* Every tenth is killed, wherever it is. */
		if (i % 10 == 0 && i / 10 < CHILDREN)
			end(pids[i / 10]);
		now_ns += GRACE_LOOK_NS;
	}
	printf("# waited %lu times, %lu gone inside\n", (unsigned long)n_waits,
	       (unsigned long)counts_of(g).n_gone);
	CHECK(n_waits > ROUNDS / 4);
	CHECK_EQ(counts_of(g).n_fenced, 0);
	for (uint32_t i = ROUNDS / 10; i < CHILDREN; i++)
		end(pids[i]);
	t = region_grace_start(g, now_ns);
	CHECK(region_grace_done(g, t, now_ns));
	region_grace_free(g);
	shared_free(s);
}

/* ---- Hostile records. ---- */

static void whatever_the_records_say_it_ends(void)
{
	struct rng rng = rng_of(test_seed());
	struct shared *s = shared_new();
	struct region_grace *g = grace_of(s, N);
	uint64_t *words = (uint64_t *)(void *)s->records;
	uint64_t now_ns = 0;

	for (uint32_t i = 0; i < 20000; i++) {
		uint64_t t;

		for (uint32_t k = 0; k < 8; k++)
			words[rng_below(&rng, N * 8)] = rng_next(&rng);
		/* Ours, which is alive, inside. */
		s->records[rng_below(&rng, N)] =
			(struct sluice_section){.owner = sluice_owner_of(0),
						.word = i | 1};
		t = region_grace_start(g, now_ns);
		words[rng_below(&rng, N * 8)] = rng_next(&rng);
		now_ns += STUCK_NS;
		if (!region_grace_done(g, t, now_ns))
			CHECK(false);
	}
	region_grace_free(g);
	shared_free(s);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(a_ticket_waits_for_who_is_inside);
	TEST(tickets_share_rounds);
	TEST(without_records_all_is_over_at_once);
	TEST(records_run_out_with_a_sentence);
	TEST(a_pid_of_another_start_time_is_gone);
	TEST(a_round_ends_with_both);
	TEST(who_dies_inside_is_not_waited_for);
	TEST(who_is_stopped_inside_delays_for_a_bounded_time);
	TEST(who_may_be_killed_is);
	TEST(a_record_is_given_to_another_process);
	TEST(many_readers_come_and_go);
	TEST(whatever_the_records_say_it_ends);
	return test_done();
}
