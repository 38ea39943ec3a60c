/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sluice-poll as a process, driven through the daemon's end of the link, over
 * memory ports: who dies, what goes on, and who finds what again.
 */
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "engine/poll/far_test.h"

static void it_forwards_what_is_known_and_asks_for_the_rest(void)
{
	struct lab_udp u = {.from = 9, .to = 8, .len = 60};
	struct sluice_port_stats s;
	struct miss m;
	uint8_t frame[60];
	struct far f;

	far_open(&f);
	if (!f.engine)
		return;
	one_flow(&f, frame);
	push(&f, 1, frame, 1000);
	CHECK_EQ(pull(&f, 2, 1000), 1000);
	lab_frame(&u, frame);
	push(&f, 2, frame, 1);
	m = recv_miss(&f);
	CHECK(m.in_port == 2 && m.len == 60 && !memcmp(m.data, frame, m.len));
	CHECK_EQ(f.engine->ops->send(f.engine, 1, m.data, m.len),
		 SLUICE_DROP_NONE);
	CHECK_EQ(f.engine->ops->send(f.engine, 3, m.data, m.len),
		 SLUICE_DROP_NO_PORT);
	f.engine->ops->flush(f.engine);
	f.engine->ops->give(f.engine, &m, 1);
	CHECK_EQ(pull(&f, 1, 1), 1);
	sluice_reader_stats(&f.lab.see, 2, &s);
	CHECK(s.missed == 1 && s.tx_packets == 1000);
	CHECK_EQ(f.lab.see.stats[1].tx_packets, 1); /* lane 0, port 1 */
	far_close(&f);
}

static void it_ends_in_order_when_told_so(void)
{
	char path[64];
	struct far f;
	pid_t pid;

	far_open(&f);
	if (!f.engine)
		return;
	pid = poll_pid(&f);
	CHECK(pid > 0 && kill(pid, 0) == 0);
	CHECK_EQ(getsid(pid), pid);
	CHECK_EQ(state_of(&f, 1), SLUICE_PORT_UP);
	f.engine->ops->close(f.engine, false);
	f.engine = NULL;
	CHECK(kill(pid, 0) != 0 && errno == ESRCH);
	CHECK_EQ(poll_pid(&f), 0);
	CHECK_EQ(state_of(&f, 1), SLUICE_PORT_DOWN);
	snprintf(path, sizeof(path), "%s/lab", run_dir);
	CHECK(access(path, F_OK) != 0);
	far_close(&f);
}

static void the_region_is_found_without_the_daemon(void)
{
	struct sluice_reader r;
	struct far f;

	far_open(&f);
	if (!f.engine)
		return;
	CHECK_EQ(sluice_reader_open("lab", &r, NULL), 0);
	CHECK_EQ(r.ports[2].kind, SLUICE_PORT_MEM);
	sluice_reader_close(&r);
	far_close(&f);
}

/* The daemon's life in a process of its own: opens, says so, is killed. */
static pid_t fork_daemon(struct far *f)
{
	int pipe_fd[2];
	char byte;
	pid_t pid;

	must(pipe(pipe_fd) == 0);
	pid = fork();
	if (pid == 0) {
		f->engine = open_engine(f);
		for (uint32_t i = 1; i <= 2; i++)
			if (!f->engine ||
			    f->engine->ops->port_add(f->engine, i, NULL))
				_exit(1);
		(void)!write(pipe_fd[1], "x", 1);
		for (;;)
			pause();
	}
	close(pipe_fd[1]);
	CHECK(read(pipe_fd[0], &byte, 1) == 1);
	close(pipe_fd[0]);
	return pid;
}

static void known_flows_survive_the_daemon(void)
{
	struct sluice_port_stats s;
	uint8_t frame[60];
	uint32_t n = 0;
	pid_t daemon, engine;
	struct far f;

	far_new(&f);
	one_flow(&f, frame);
	daemon = fork_daemon(&f);
	engine = poll_pid(&f);
	for (uint32_t i = 0; i < 200; i++) {
		if (i == 100) {
			kill(daemon, SIGKILL);
			waitpid(daemon, NULL, 0);
		}
		push(&f, 1, frame, 500);
		n += pull(&f, 2, 500);
	}
	CHECK_EQ(n, 100000);
	/* Nobody answers for the others now, and that is counted. */
	frame[41] ^= 1;
	frame[37] ^= 1;
	push(&f, 1, frame, 1);
	settle(&f);
	f.engine = open_engine(&f);
	CHECK_EQ(poll_pid(&f), engine);
	CHECK_EQ(f.engine->ops->port_add(f.engine, 1, NULL), 0);
	frame[41] ^= 1;
	frame[37] ^= 1;
	push(&f, 1, frame, 10);
	CHECK_EQ(pull(&f, 2, 10), 10);
	sluice_reader_stats(&f.lab.see, 1, &s);
	CHECK_EQ(s.rx_packets, 100011);
	CHECK_EQ(s.drops[SLUICE_DROP_NO_SLOW_PATH], 1);
	far_close(&f);
}

/* Lets the client notice and mend; it must be called for that. */
static void wait_restart(struct far *f, pid_t old)
{
	uint64_t end_ns = clock_now_ns() + WAIT_NS;
	struct miss m;

	while (clock_now_ns() < end_ns &&
	       (poll_pid(f) == old || poll_pid(f) == 0 ||
		state_of(f, 2) != SLUICE_PORT_UP)) {
		struct epoll_event ev;

		CHECK(epoll_wait(f->engine->ops->fd(f->engine), &ev, 1, 1000) >=
		      0);
		CHECK_EQ(f->engine->ops->recv(f->engine, &m, 1), 0);
	}
	CHECK(poll_pid(f) != old && poll_pid(f) != 0);
}

/* Waits for a grace period; how long it took, in ms. */
static uint64_t grace_ms(struct far *f, uint64_t ticket)
{
	uint64_t start_ns = clock_now_ns();

	while (!f->engine->ops->grace_done(f->engine, ticket) &&
	       clock_now_ns() < start_ns + WAIT_NS)
		nap();
	return (clock_now_ns() - start_ns) / 1000000;
}

static void a_killed_engine_comes_back_to_its_flows(void)
{
	struct sluice_port_stats s;
	uint32_t n_pushed = 0, n_missed = 0;
	uint64_t ticket;
	uint8_t frame[60];
	struct miss m;
	struct far f;
	pid_t old;

	far_open(&f);
	if (!f.engine)
		return;
	one_flow(&f, frame);
	push(&f, 1, frame, 100);
	CHECK_EQ(pull(&f, 2, 100), 100);
	old = poll_pid(&f);
	ticket = f.engine->ops->grace_start(f.engine);
	kill(old, SIGKILL);
	wait_restart(&f, old);
	CHECK(grace_ms(&f, ticket) < 100);
	push(&f, 1, frame, 100);
	CHECK_EQ(pull(&f, 2, 100), 100);
	settle(&f);
	sluice_reader_stats(&f.lab.see, 2, &s);
	CHECK_EQ(s.tx_packets, 200);
	/* The first of these may come before the daemon has said hello. */
	frame[37] ^= 1;
	while (!n_missed && n_pushed++ < 1000) {
		push(&f, 1, frame, 1);
		nap();
		n_missed = f.engine->ops->recv(f.engine, &m, 1);
		f.engine->ops->give(f.engine, &m, n_missed);
	}
	CHECK_EQ(n_missed, 1);
	far_close(&f);
}

/* sluice-poll's record; it is the only one. */
static struct sluice_section *record_of_poll(const struct far *f)
{
	struct sluice_section *s =
		(struct sluice_section *)(uintptr_t)f->lab.see.sections;

	CHECK_EQ(s->owner, sluice_owner_of((uint64_t)poll_pid(f)));
	CHECK_EQ(s->kind, SLUICE_SECTION_POLL);
	return s;
}

static void a_grace_period_ends_when_its_reader_is_dead(void)
{
	struct sluice_section *s;
	uint64_t ticket;
	struct far f;
	pid_t pid;

	far_open(&f);
	if (!f.engine)
		return;
	s = record_of_poll(&f);
	pid = poll_pid(&f);
	kill(pid, SIGSTOP);
	/* As if it had been stopped inside a round. */
	s->word |= 1;
	ticket = f.engine->ops->grace_start(f.engine);
	CHECK(!f.engine->ops->grace_done(f.engine, ticket));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK(grace_ms(&f, ticket) < 100);
	CHECK_EQ(s->owner, 0);
	wait_restart(&f, pid);
	CHECK_EQ(record_of_poll(&f)->word & 1, 0);
	far_close(&f);
}

static void one_that_is_stopped_delays_a_grace_period_for_a_second(void)
{
	struct sluice_section *s;
	uint8_t frame[60];
	uint64_t ms;
	struct far f;
	pid_t pid;

	far_open(&f);
	if (!f.engine)
		return;
	s = record_of_poll(&f);
	pid = poll_pid(&f);
	kill(pid, SIGSTOP);
	s->word |= 1;
	ms = grace_ms(&f, f.engine->ops->grace_start(f.engine));
	printf("# %u ms\n", (uint32_t)ms);
	CHECK(ms >= 990 && ms < 1500);
	CHECK_EQ(s->fence, s->word);
	/* The next need not wait for it. */
	CHECK(grace_ms(&f, f.engine->ops->grace_start(f.engine)) < 100);
	kill(pid, SIGCONT);
	one_flow(&f, frame);
	push(&f, 1, frame, 1000);
	CHECK_EQ(pull(&f, 2, 1000), 1000);
	far_close(&f);
}

static void another_region_of_that_name_replaces_it(void)
{
	struct far a, b;
	pid_t old;

	far_open(&a);
	if (!a.engine)
		return;
	old = poll_pid(&a);
	a.engine->ops->close(a.engine, true);
	a.engine = NULL;
	CHECK(kill(old, 0) == 0);
	far_open(&b);
	CHECK(b.engine);
	waitpid(old, NULL, 0);
	CHECK(kill(old, 0) != 0);
	CHECK(poll_pid(&b) > 0 && poll_pid(&b) != old);
	far_close(&b);
	far_close(&a);
}

static void a_port_that_cannot_be_opened_says_why(void)
{
	struct sluice_port *rec;
	struct why why = {0};
	uint8_t frame[60];
	struct far f;

	far_open(&f);
	if (!f.engine)
		return;
	rec = (struct sluice_port *)(uintptr_t)&f.lab.see.ports[3];
	snprintf(rec->name, sizeof(rec->name), "bad");
	snprintf(rec->device, sizeof(rec->device), "nosuchdev");
	sluice_store32_release(&rec->kind, SLUICE_PORT_PACKET);
	CHECK_EQ(f.engine->ops->port_add(f.engine, 3, &why), -ENODEV);
	CHECK(strstr(why.text, "bad") && strstr(why.text, "nosuchdev"));
	CHECK_EQ(state_of(&f, 3), SLUICE_PORT_FAILED);
	/* The others do not mind; a port goes, and comes by its record alone. */
	f.engine->ops->port_del(f.engine, 2);
	CHECK_EQ(state_of(&f, 2), SLUICE_PORT_DOWN);
	CHECK_EQ(f.engine->ops->port_add(f.engine, 2, NULL), 0);
	sluice_store32_release(&rec->kind, SLUICE_PORT_NONE);
	record_of(&f, 4);
	for (uint32_t i = 0; i < 3000 && state_of(&f, 4) != SLUICE_PORT_UP; i++)
		nap();
	CHECK_EQ(state_of(&f, 4), SLUICE_PORT_UP);
	one_flow(&f, frame);
	push(&f, 1, frame, 10);
	CHECK_EQ(pull(&f, 2, 10), 10);
	far_close(&f);
}

static void a_slow_daemon_loses_misses_that_are_counted(void)
{
	struct sluice_port_stats s;
	struct lab_udp u = {.from = 1, .to = 2, .len = 60};
	uint64_t n_got = 0;
	uint8_t frame[60];
	struct miss m;
	struct far f;

	far_open(&f);
	if (!f.engine)
		return;
	lab_frame(&u, frame);
	push(&f, 1, frame, 60000);
	do {
		nap();
		sluice_reader_stats(&f.lab.see, 1, &s);
	} while (s.rx_packets < 60000);
	CHECK(s.drops[SLUICE_DROP_MISS_FULL] > 0);
	CHECK_EQ(s.missed + s.drops[SLUICE_DROP_MISS_FULL], 60000);
	while (f.engine->ops->recv(f.engine, &m, 1)) {
		f.engine->ops->give(f.engine, &m, 1);
		n_got++;
	}
	CHECK_EQ(n_got, s.missed);
	far_close(&f);
}

static void an_idle_process_sleeps(void)
{
	struct timespec t = {.tv_nsec = 500000000};
	struct far f;
	clockid_t clock;
	uint64_t ns;

	far_new(&f);
	for (uint32_t i = 1; i <= 2; i++)
		((struct sluice_port *)(uintptr_t)f.lab.see.ports)[i].kind = 0;
	f.engine = open_engine(&f);
	if (!f.engine)
		return;
	must(clock_getcpuclockid(poll_pid(&f), &clock) == 0);
	ns = clock_ns_of(clock);
	nanosleep(&t, NULL);
	ns = clock_ns_of(clock) - ns;
	printf("# %u us of CPU in 500 ms\n", (uint32_t)(ns / 1000));
	CHECK(ns < 25000000);
	far_close(&f);
}

static void there_must_be_a_program_to_start(void)
{
	struct poll_engine_conf conf = {.binary = "/nonexistent/sluice-poll"};
	struct why why = {0};
	struct engine *e;
	struct far f;

	far_new(&f);
	conf.region = f.lab.region;
	CHECK_EQ(poll_engine_open(&conf, &e, &why), -ENOENT);
	CHECK(strstr(why.text, "/nonexistent/sluice-poll"));
	far_close(&f);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	if (!far_init())
		return 1;
	TEST(it_forwards_what_is_known_and_asks_for_the_rest);
	TEST(it_ends_in_order_when_told_so);
	TEST(the_region_is_found_without_the_daemon);
	TEST(known_flows_survive_the_daemon);
	TEST(a_killed_engine_comes_back_to_its_flows);
	TEST(a_grace_period_ends_when_its_reader_is_dead);
	TEST(one_that_is_stopped_delays_a_grace_period_for_a_second);
	TEST(another_region_of_that_name_replaces_it);
	TEST(a_port_that_cannot_be_opened_says_why);
	TEST(a_slow_daemon_loses_misses_that_are_counted);
	TEST(an_idle_process_sleeps);
	TEST(there_must_be_a_program_to_start);
	return far_done();
}
