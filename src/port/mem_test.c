/* SPDX-License-Identifier: Apache-2.0 */
/* Memory ports: the rings against a counter, with both sides at work. */
#include "port/mem.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/must.h"
#include "base/rng.h"
#include "base/test.h"
#include "port/port.h"

#define N_FRAMES 200000u
#define LEN_MAX 200u

static struct port *open_port(const struct mem_peer *m)
{
	struct sluice_port rec = {.name = "m", .kind = SLUICE_PORT_MEM};
	struct port *p = NULL;

	snprintf(rec.device, sizeof(rec.device), "%s", mem_peer_path(m));
	CHECK_EQ(port_open(&rec, &p, NULL), 0);
	return p;
}

/* Frame i: its number, then its low byte up to a length that follows. */
static uint32_t frame_of(uint64_t i, uint8_t out[LEN_MAX])
{
	uint32_t len = 8 + (uint32_t)(i * 7919 % (LEN_MAX - 8));

	memcpy(out, &i, 8);
	memset(out + 8, (int)(i & 0xff), len - 8);
	return len;
}

static bool is_frame(uint64_t i, const uint8_t *data, uint32_t len)
{
	uint8_t want[LEN_MAX];

	return frame_of(i, want) == len && memcmp(data, want, len) == 0;
}

/* Sends all back that comes; bursts of changing size. */
static void *echo(void *arg)
{
	struct port *p = arg;
	static uint8_t rooms[PORT_BURST][FRAME_ROOM];
	struct frame frames[PORT_BURST], *list[PORT_BURST];
	uint8_t lost[PORT_BURST];
	uint64_t n = 0, round = 0;

	for (uint32_t i = 0; i < PORT_BURST; i++)
		frames[i].room = rooms[i];
	while (n < N_FRAMES) {
		uint32_t want = 1 + (uint32_t)(round++ % PORT_BURST);
		uint32_t got = p->ops->recv(p, frames, want);
		uint32_t done = 0;

		if (got == 0)
			sched_yield();
		for (uint32_t i = 0; i < got; i++)
			list[i] = &frames[i];
		while (done < got) {
			uint32_t i = 0;

			p->ops->send(p, list + done, got - done, lost);
			while (i < got - done && !lost[i])
				i++;
			done += i;
			n += i;
			if (done < got)
				sched_yield();
		}
	}
	return NULL;
}

/* Pushes and pops by turns; returns how many came back as they should. */
static uint64_t feed(struct mem_peer *m)
{
	uint64_t n_in = 0, n_out = 0, n_wrong = 0;
	uint8_t data[LEN_MAX];

	while (n_out < N_FRAMES) {
		uint32_t len = frame_of(n_in, data);

		if (n_in < N_FRAMES && mem_peer_push(m, data, len, NULL)) {
			n_in++;
			continue;
		}
		len = mem_peer_pop(m, data, sizeof(data), NULL);
		if (len == 0)
			sched_yield();
		else
			n_wrong += !is_frame(n_out++, data, len);
	}
	return n_out - n_wrong;
}

static void nothing_is_lost_or_torn_between_threads(void)
{
	struct mem_peer *m;
	struct port *p;
	pthread_t thread;

	must(mem_peer_new(64, LEN_MAX, &m) == 0);
	p = open_port(m);
	must(pthread_create(&thread, NULL, echo, p) == 0);
	CHECK_EQ(feed(m), N_FRAMES);
	pthread_join(thread, NULL);
	port_close(p);
	mem_peer_free(m);
}

static void a_full_ring_refuses(void)
{
	uint8_t data[LEN_MAX + 100] = {0}, lost[4];
	struct frame f[4], *list[4];
	struct mem_peer *m;
	struct port *p;

	must(mem_peer_new(2, 100, &m) == 0);
	p = open_port(m);
	CHECK(mem_peer_push(m, data, 60, NULL));
	CHECK(mem_peer_push(m, data, 60, NULL));
	CHECK(!mem_peer_push(m, data, 60, NULL));
	CHECK(!mem_peer_push(m, data, 300, NULL));
	for (uint32_t i = 0; i < 4; i++) {
		f[i] = (struct frame){.data = data, .len = i == 1 ? 300 : 60};
		list[i] = &f[i];
	}
	p->ops->send(p, list, 4, lost);
	CHECK(lost[0] == SLUICE_DROP_NONE && lost[1] == SLUICE_DROP_TOO_LONG);
	CHECK(lost[2] == SLUICE_DROP_NONE && lost[3] == SLUICE_DROP_TX_FULL);
	port_close(p);
	mem_peer_free(m);
}

/* What the peer writes is not believed. */
static void a_lying_peer_does_no_harm(void)
{
	struct rng r = rng_of(test_seed());
	static uint8_t room[FRAME_ROOM];
	uint8_t data[100] = {0}, lost;
	struct frame f, *one = &f;
	struct mem_peer *m;
	struct port *p;
	uint8_t *mem;
	FILE *file;

	must(mem_peer_new(4, 100, &m) == 0);
	p = open_port(m);
	file = fopen(mem_peer_path(m), "r+");
	must(file);
	mem = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file),
		   0);
	must(mem != MAP_FAILED);
	for (uint32_t i = 0; i < 20000; i++) {
		/* Anywhere, so also heads, tails and lengths. */
		mem[rng_below(&r, 4096 + 8 * 128)] = (uint8_t)rng_next(&r);
		f.room = room;
		if (p->ops->recv(p, &f, 1) == 1)
			for (uint32_t j = 0; j < f.len; j++)
				room[0] ^= f.data[j];
		f = (struct frame){.data = data, .len = rng_below(&r, 100)};
		p->ops->send(p, &one, 1, &lost);
	}
	munmap(mem, 8192);
	fclose(file);
	port_close(p);
	mem_peer_free(m);
}

static void unfit_memory_is_refused(void)
{
	struct sluice_port rec = {.name = "m", .kind = SLUICE_PORT_MEM};
	struct mem_peer *m;
	struct port *p;

	CHECK_EQ(mem_peer_new(3, 100, &m), -EINVAL);
	CHECK_EQ(mem_peer_new(1, 100, &m), -EINVAL);
	CHECK_EQ(mem_peer_new(4, 1 << 20, &m), -EINVAL);
	snprintf(rec.device, sizeof(rec.device), "/nonexistent");
	CHECK_EQ(port_open(&rec, &p, NULL), -ENOENT);
	snprintf(rec.device, sizeof(rec.device), "/proc/self/exe");
	CHECK(port_open(&rec, &p, NULL) < 0);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(nothing_is_lost_or_torn_between_threads);
	TEST(a_full_ring_refuses);
	TEST(a_lying_peer_does_no_harm);
	TEST(unfit_memory_is_refused);
	return test_done();
}
