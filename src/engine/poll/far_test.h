/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_POLL_FAR_TEST_H
#define ENGINE_POLL_FAR_TEST_H

/* A switch with two memory ports whose engine is sluice-poll, for tests. */

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"
#include "engine/poll/client.h"
#include "engine/poll/lab_test.h"
#include "sluice/parse.h"

#define WAIT_NS 5000000000ull

static const char *binary; /* sluice-poll, from the environment */
static char run_dir[] = "/tmp/sluice-poll-XXXXXX";

/* A switch whose engine is another process. */
struct far {
	struct lab lab; /* without an engine of its own */
	struct engine *engine;
};

static inline void nap(void)
{
	struct timespec t = {.tv_nsec = 1000000};

	nanosleep(&t, NULL);
}

static inline struct engine *open_engine(struct far *f)
{
	struct poll_engine_conf conf = {.region = f->lab.region,
					.binary = binary};
	struct why why = {0};
	struct engine *e = NULL;

	CHECK_EQ(poll_engine_open(&conf, &e, &why), 0);
	if (why.err)
		printf("# %s\n", why.text);
	return e;
}

/* Makes a memory port's record, as the slow path does. */
static inline void record_of(struct far *f, uint32_t no)
{
	struct sluice_port *rec =
		&((struct sluice_port *)(uintptr_t)f->lab.see.ports)[no];

	must(mem_peer_new(4096, LAB_FRAME_MAX, &f->lab.peers[no]) == 0);
	memset(rec, 0, sizeof(*rec));
	snprintf(rec->name, sizeof(rec->name), "m%u", no);
	snprintf(rec->device, sizeof(rec->device), "%s",
		 mem_peer_path(f->lab.peers[no]));
	sluice_store32_release(&rec->kind, SLUICE_PORT_MEM);
}

/* A region with the records of two ports; nothing runs yet. */
static inline void far_new(struct far *f)
{
	memset(f, 0, sizeof(*f));
	lab_region(&f->lab, 4096, false);
	for (uint32_t i = 1; i <= 2; i++)
		record_of(f, i);
}

static inline void far_open(struct far *f)
{
	struct why why = {0};

	far_new(f);
	f->engine = open_engine(f);
	for (uint32_t i = 1; i <= 2 && f->engine; i++) {
		CHECK_EQ(f->engine->ops->port_add(f->engine, i, &why), 0);
		if (why.err)
			printf("# %s\n", why.text);
	}
}

static inline void far_close(struct far *f)
{
	if (f->engine)
		f->engine->ops->close(f->engine, false);
	lab_fini(&f->lab);
}

static inline pid_t poll_pid(const struct far *f)
{
	return (pid_t)sluice_load64_acquire(&f->lab.see.sw->poll_pid);
}

static inline uint32_t state_of(const struct far *f, uint32_t no)
{
	return sluice_load32_acquire(&f->lab.see.ports[no].state);
}

/* Pushes n frames into port in; waits while its ring is full. */
static inline void push(struct far *f, uint32_t in, const uint8_t *frame,
			uint32_t n)
{
	uint64_t end_ns = clock_now_ns() + WAIT_NS;

	while (n > 0 && clock_now_ns() < end_ns) {
		if (mem_peer_push(f->lab.peers[in], frame, 60, NULL))
			n--;
		else
			nap();
	}
	CHECK_EQ(n, 0);
}

/* Takes frames from port out until n have come or it takes too long. */
static inline uint32_t pull(struct far *f, uint32_t out, uint32_t n)
{
	uint64_t end_ns = clock_now_ns() + WAIT_NS;
	uint8_t frame[LAB_FRAME_MAX];
	uint32_t got = 0;

	while (got < n && clock_now_ns() < end_ns) {
		if (mem_peer_pop(f->lab.peers[out], frame, sizeof(frame), NULL))
			got++;
		else
			nap();
	}
	return got;
}

/* The next miss; one of length 0 if none comes. */
static inline struct miss recv_miss(struct far *f)
{
	uint64_t end_ns = clock_now_ns() + WAIT_NS;
	struct miss m = {0};

	while (f->engine->ops->recv(f->engine, &m, 1) == 0) {
		m.len = 0;
		if (clock_now_ns() > end_ns)
			break;
		nap();
	}
	return m;
}

/* A flow from port 1 to port 2, and its frame. */
static inline void one_flow(struct far *f, uint8_t frame[60])
{
	struct lab_udp u = {.from = 1, .to = 2, .len = 60};
	struct sluice_key key;

	lab_frame(&u, frame);
	CHECK_EQ(sluice_parse(frame, frame + 60, 1, &key), SLUICE_DROP_NONE);
	CHECK(lab_flow(&f->lab, &key, sluice_act_of(SLUICE_ACT_OUTPUT, 2)));
}

static inline void settle(struct far *f)
{
	uint64_t end_ns = clock_now_ns() + WAIT_NS;

	while (!lab_adds_up(&f->lab) && clock_now_ns() < end_ns)
		nap();
	CHECK(lab_adds_up(&f->lab));
}

/* Before the first test. False: nothing can be tested. */
static inline bool far_init(void)
{
	binary = getenv("SLUICE_POLL");
	if (!binary || !mkdtemp(run_dir)) {
		printf("Bail out! SLUICE_POLL must name sluice-poll\n");
		return false;
	}
	setenv("SLUICE_RUN_DIR", run_dir, 1);
	return true;
}

static inline int far_done(void)
{
	rmdir(run_dir);
	return test_done();
}

#endif
