/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process scribbles over a region with a table of each kind and over one at
 * which the polling engine works. Whoever reads there survives and ends; a
 * second pair of regions beside them is exact throughout. Under AddressSanitizer
 * a look outside of the memory is the end. Usage: scribble_test [SECONDS]
 *
 *     scribbler -> victim zoo, victim switch
 *     this thread: engines of both switches, all look-ups, the deep check and
 *     the readers of both, in turn
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"
#include "engine/poll/lab_test.h"
#include "sluice/fsck.h"
#include "sluice/parse.h"
#include "tests/scribble/scribble.h"
#include "tests/scribble/zoo.h"

#define N_FLOWS 64u
#define N_SLOTS 256u
#define DEEP_EVERY 16u
#define STUCK_S 60u /* a turn that takes longer never ends */

struct side {
	struct zoo zoo;
	struct lab lab;
	uint64_t n_pushed, n_popped;
};

static uint32_t seconds = 10;
static struct side sound, victim;
static uint64_t expected[ZOO_ANSWERS];

/* ---- A switch at work: flow i goes from port 1 to port 2. ---- */

static void switch_make(struct side *s)
{
	lab_init(&s->lab, 2, N_SLOTS);
	for (uint32_t i = 0; i < N_FLOWS; i++) {
		const struct lab_udp u = {1, 2, (uint16_t)i, 64, i};
		struct sluice_key key;
		uint8_t frame[64];

		lab_frame(&u, frame);
		must(sluice_parse(frame, frame + sizeof(frame), 1, &key) ==
		     SLUICE_DROP_NONE);
		must(lab_flow(&s->lab, &key,
			      sluice_act_of(SLUICE_ACT_OUTPUT, 2)));
	}
}

/* One burst through it. Returns whether each frame came out whole, in order. */
static bool switch_turn(struct side *s)
{
	bool is_right = true;
	uint8_t frame[64], got[64];

	for (uint32_t i = 0; i < N_FLOWS; i++) {
		const struct lab_udp u = {1, 2, (uint16_t)i, 64, s->n_pushed};

		lab_frame(&u, frame);
		s->n_pushed += mem_peer_push(s->lab.peers[1], frame,
					     sizeof(frame), NULL);
	}
	for (uint32_t i = 0; i < N_FLOWS / POLL_BUDGET; i++) {
		poll_wait(s->lab.engine, 0);
		poll_round(s->lab.engine, 1);
	}
	while (mem_peer_pop(s->lab.peers[2], got, sizeof(got), NULL)) {
		is_right &= memcmp(got + 42, &s->n_popped, 8) == 0;
		s->n_popped++;
	}
	/* What an engine sends elsewhere by a lie is thrown away. */
	while (mem_peer_pop(s->lab.peers[1], got, sizeof(got), NULL))
		is_right = false;
	return is_right && s->n_popped == s->n_pushed;
}

/* ---- Readers. ---- */

static uint64_t check_deep(const struct region *r, bool *is_whole)
{
	const struct sluice_fsck_conf conf = {.is_deep = true};
	const struct sluice_map map = {r->head, r->len};
	static struct sluice_fsck c;
	int err = sluice_fsck(&map, &conf, &c, NULL);

	*is_whole = !err && !c.n_wrong;
	return err ? 0 : c.n_wrong;
}

/* Everything that a tool shows of a switch. */
static void read_switch(const struct region *r)
{
	struct sluice_port_stats stats;
	struct sluice_flow flow;
	struct sluice_key key;
	struct sluice_reader see;
	uint32_t i = 0;

	if (sluice_reader_open_mem(r->head, r->len, &see, NULL))
		return;
	for (uint32_t p = 0; p < SLUICE_PORTS_MAX; p++)
		sluice_reader_stats(&see, p, &stats);
	while (sluice_reader_next(&see.flows, sluice_version(r->head), &i, &key,
				  &flow))
		;
	sluice_reader_close(&see);
}

/* ---- The test. ---- */

static void make(struct side *s, const char *name)
{
	zoo_make(&s->zoo, name, 1);
	switch_make(s);
}

static pid_t start(void)
{
	pid_t parent = getpid(), pid = fork();

	must(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	/* Both at once: the second by a process of its own. */
	pid = fork();
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (pid)
		scribble((uint8_t *)victim.zoo.region->head,
			 victim.zoo.region->len, seconds, test_seed());
	else
		scribble((uint8_t *)victim.lab.region->head,
			 victim.lab.region->len, seconds, test_seed() + 1);
	if (pid)
		waitpid(pid, NULL, 0);
	_exit(0);
}

/* What was wrong at the sound side, which should be nothing. */
struct wrong {
	uint64_t answers, packets, faults;
};

static void look_at_sound_side(struct wrong *w)
{
	static uint64_t answers[ZOO_ANSWERS];
	bool is_whole;

	zoo_look(&sound.zoo, answers);
	for (uint32_t i = 0; i < ZOO_ANSWERS; i++)
		w->answers += answers[i] != expected[i];
	w->packets += !switch_turn(&sound);
	check_deep(sound.zoo.region, &is_whole);
	w->faults += !is_whole;
	read_switch(sound.lab.region);
}

static void readers_survive_and_the_neighbour_is_exact(void)
{
	static uint64_t answers[ZOO_ANSWERS];
	uint64_t n_turns = 0, n_lies = 0, n_faults = 0;
	struct wrong wrong = {0};
	uint64_t longest_ns = 0;
	pid_t pid;

	make(&sound, "sound");
	make(&victim, "victim");
	zoo_look(&sound.zoo, expected);
	CHECK(switch_turn(&sound));
	CHECK(switch_turn(&victim));
	pid = start();
	while (!waitpid(pid, NULL, WNOHANG)) {
		uint64_t from_ns = clock_now_ns(), took_ns;
		bool is_whole;

		alarm(STUCK_S);
		zoo_look(&victim.zoo, answers);
		for (uint32_t i = 0; i < ZOO_ANSWERS; i++)
			n_lies += answers[i] != expected[i];
		switch_turn(&victim);
		took_ns = clock_now_ns() - from_ns;
		longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
		/* It gives a writer time, so it takes some. */
		if (n_turns % DEEP_EVERY == 0)
			n_faults += check_deep(victim.zoo.region, &is_whole);
		read_switch(victim.lab.region);
		look_at_sound_side(&wrong);
		n_turns++;
	}
	alarm(0);
	printf("# %llu turns in %u s; %llu wrong answers and %llu faults "
	       "found at the victim, its longest turn %.1f ms\n",
	       (unsigned long long)n_turns, seconds, (unsigned long long)n_lies,
	       (unsigned long long)n_faults, (double)longest_ns / 1e6);
	CHECK_EQ(wrong.answers, 0);
	CHECK_EQ(wrong.packets, 0);
	CHECK_EQ(wrong.faults, 0);
	CHECK_EQ(zoo_counted(&sound.zoo), (n_turns + 1) * ZOO_LOOKS);
	CHECK(lab_adds_up(&sound.lab));
	/* Otherwise nothing has been tried. */
	CHECK(n_turns > 10 && n_lies > 0 && n_faults > 0);
}

int main(int argc, char **argv)
{
	if (argc == 2)
		seconds = (uint32_t)strtoul(argv[1], NULL, 0);
	test_init(1, argv);
	TEST(readers_survive_and_the_neighbour_is_exact);
	return test_done();
}
