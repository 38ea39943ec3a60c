/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine forwards while a writer deletes flows and uses their entries again
 * for others, as soon as grace periods allow. In the end each packet has been
 * counted in a flow of its own key, or has missed: an entry that was used again
 * too early would count for another key.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/rng.h"
#include "base/test.h"
#include "engine/poll/lab_test.h"
#include "region/grace.h"
#include "sluice/parse.h"

#define N_KEYS 48u
#define RUN_NS 2000000000ull
#define FRAME_LEN 60u

/* A port that makes packets of random keys and takes all that is sent. */
struct source {
	struct port port;
	struct rng rng;
	uint64_t n_made[N_KEYS];
};

struct race {
	struct lab lab;
	struct source source;
	struct port sink;
	struct sluice_key keys[N_KEYS];
	uint64_t n_missed[N_KEYS];
	/* The writer's. */
	bool is_in[N_KEYS];
	uint64_t n_counted[N_KEYS];
	uint64_t n_reused;
	struct region_grace *grace;
	atomic_bool stop;
};

static void frame_of_key(uint32_t i, uint8_t *out)
{
	struct lab_udp u = {.from = (uint8_t)i, .to = 200, .len = FRAME_LEN};

	lab_frame(&u, out);
}

static uint32_t source_recv(struct port *p, struct frame *out, uint32_t n)
{
	struct source *s = container_of(p, struct source, port);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t key = rng_below(&s->rng, N_KEYS);

		s->n_made[key]++;
		out[i].data = out[i].room + FRAME_HEADROOM;
		out[i].len = FRAME_LEN;
		memset(&out[i].vnet, 0, sizeof(out[i].vnet));
		frame_of_key(key, out[i].data);
	}
	return n;
}

static uint32_t sink_recv(struct port *p, struct frame *out, uint32_t n)
{
	(void)p;
	(void)out;
	(void)n;
	return 0;
}

static void take_all(struct port *p, struct frame *const *frames, uint32_t n,
		     uint8_t *lost)
{
	(void)p;
	(void)frames;
	memset(lost, SLUICE_DROP_NONE, n);
}

static void leave(struct port *p)
{
	(void)p;
}

static const struct port_ops source_ops = {
	.kind = "source",
	.recv = source_recv,
	.send = take_all,
	.close = leave,
};
static const struct port_ops sink_ops = {
	.kind = "sink",
	.recv = sink_recv,
	.send = take_all,
	.close = leave,
};

static void count_miss(struct lab *lab, struct frame *f)
{
	struct race *r = container_of(lab, struct race, lab);

	r->n_missed[f->data[11]]++; /* the key's number: see lab_frame() */
}

/* ---- The writer ---- */

static void wait_grace(const struct race *r)
{
	uint64_t ticket = region_grace_start(r->grace, clock_now_ns());

	while (!region_grace_done(r->grace, ticket, clock_now_ns()))
		sched_yield();
}

/* Deletes a flow; once nobody counts in it, adds up what it counted. */
static void remove_flow(struct race *r, uint32_t i)
{
	struct sluice_flow *f = lab_find(&r->lab, &r->keys[i]);
	uint64_t mark;

	must(f && table_exact_del(r->lab.flows, &r->keys[i]));
	mark = table_exact_mark(r->lab.flows);
	wait_grace(r);
	r->n_counted[i] += sluice_load64_relaxed(&f->n_packets);
	CHECK_EQ(sluice_load64_relaxed(&f->n_bytes),
		 sluice_load64_relaxed(&f->n_packets) * FRAME_LEN);
	table_exact_reclaim(r->lab.flows, mark);
	r->n_reused++;
	r->is_in[i] = false;
}

static void *write_flows(void *arg)
{
	struct race *r = arg;
	struct rng rng = rng_of(test_seed() + 1);

	while (!atomic_load_explicit(&r->stop, memory_order_relaxed)) {
		uint32_t i = rng_below(&rng, N_KEYS);

		if (r->is_in[i])
			remove_flow(r, i);
		else
			r->is_in[i] =
				lab_flow(&r->lab, &r->keys[i],
					 sluice_act_of(SLUICE_ACT_OUTPUT, 2));
	}
	return NULL;
}

static void race_init(struct race *r)
{
	struct grace_conf grace = {.n = 0};
	uint8_t frame[FRAME_LEN];

	memset(r, 0, sizeof(*r));
	/* Few entries, so each is used again at once. */
	lab_region(&r->lab, N_KEYS, false);
	lab_engine(&r->lab);
	region_grace_records(r->lab.region, &grace);
	CHECK_EQ(grace.n, SLUICE_SECTIONS_N);
	must(!region_grace_new(&grace, &r->grace));
	r->lab.on_miss = count_miss;
	r->source.port =
		(struct port){.ops = &source_ops, .fd = -1, .mtu = 1500};
	r->source.rng = rng_of(test_seed());
	r->sink = (struct port){.ops = &sink_ops, .fd = -1, .mtu = 1500};
	must(poll_port_give(r->lab.engine, 1, &r->source.port) == 0);
	must(poll_port_give(r->lab.engine, 2, &r->sink) == 0);
	for (uint32_t i = 0; i < N_KEYS; i++) {
		frame_of_key(i, frame);
		must(sluice_parse(frame, frame + FRAME_LEN, 1, &r->keys[i]) ==
		     SLUICE_DROP_NONE);
	}
}

static void each_packet_is_counted_for_its_own_key(void)
{
	static struct race r;
	uint64_t end_ns, n = 0;
	pthread_t writer;

	race_init(&r);
	must(pthread_create(&writer, NULL, write_flows, &r) == 0);
	end_ns = clock_now_ns() + RUN_NS;
	while (clock_now_ns() < end_ns)
		n += poll_round(r.lab.engine, clock_coarse_ns());
	atomic_store_explicit(&r.stop, true, memory_order_relaxed);
	/* The writer may wait for a round to end: it has. */
	pthread_join(writer, NULL);
	for (uint32_t i = 0; i < N_KEYS; i++) {
		if (r.is_in[i])
			remove_flow(&r, i);
		CHECK_EQ(r.n_counted[i] + r.n_missed[i], r.source.n_made[i]);
	}
	printf("# %llu packets, %llu missed, entries used again %llu times\n",
	       (unsigned long long)n, (unsigned long long)r.lab.n_slow,
	       (unsigned long long)r.n_reused);
	CHECK(r.n_reused > 50 && r.lab.n_slow > 50);
	CHECK(lab_adds_up(&r.lab));
	region_grace_free(r.grace);
	lab_fini(&r.lab);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(each_packet_is_counted_for_its_own_key);
	return test_done();
}
