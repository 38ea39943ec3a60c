/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/test.h"
#include "pipe/lab_fake.h"

/*
 * The twin: a learning switch as an array. It forgets in a loop over all
 * stations, knows nothing of flows, and must send each frame where the switch
 * sends it, whoever of engine and slow path did that.
 */

#define N_PORTS 6u
#define N_STATIONS 20u
#define N_VLANS 3u
#define N_SPORTS 3u
#define ALL_UP (((1ull << N_PORTS) - 1) << 1)

#define AGE_NS (300 * LAB_TICK)
#define IDLE_NS (40 * LAB_TICK)

struct twin_station {
	uint32_t port; /* 0: not known */
	uint32_t n_moves;
	uint64_t seen_ns;
	uint64_t window_ns;
};

struct twin {
	struct twin_station stations[N_VLANS][N_STATIONS];
	uint32_t homes[N_VLANS][N_STATIONS]; /* where they send from */
	/* Packets of the flow that exists for these, if it does. */
	uint32_t counts[N_PORTS + 1][N_VLANS][N_STATIONS][N_STATIONS + 2]
		       [N_SPORTS];
	uint64_t up;
	uint32_t n_known_max;
};

static const uint16_t vlans[N_VLANS] = {0, 10, 4095};

static const struct lab_conf lab_conf = {
	.n_flows = 4000,
	.n_macs = 200,
	.flow_idle_ns = IDLE_NS,
	.mac_age_ns = AGE_NS,
};

static void twin_learn(struct twin_station *s, uint32_t port, uint64_t now_ns)
{
	if (!s->port) {
		*s = (struct twin_station){port, 0, now_ns, now_ns};
		return;
	}
	if (s->port != port) {
		if (now_ns - s->window_ns >= 1000000000) {
			s->window_ns = now_ns;
			s->n_moves = 0;
		}
		if (s->n_moves == 5)
			return;
		s->n_moves++;
		s->port = port;
	}
	s->seen_ns = now_ns;
}

/* Learns, and says which ports the frame leaves from. */
static uint64_t twin_rx(struct twin *t, const struct lab_frame *f, uint32_t v,
			uint64_t now_ns)
{
	uint64_t others = t->up & ~(1ull << f->port);

	twin_learn(&t->stations[v][f->src], f->port, now_ns);
	if (f->dst == LAB_RESERVED)
		return 0;
	if (f->dst == LAB_ALL || !t->stations[v][f->dst].port)
		return others;
	return 1ull << t->stations[v][f->dst].port & others;
}

static void twin_age(struct twin *t, uint64_t now_ns)
{
	for (uint32_t v = 0; v < N_VLANS; v++)
		for (uint32_t i = 0; i < N_STATIONS; i++)
			if (t->stations[v][i].seen_ns + AGE_NS <= now_ns)
				t->stations[v][i].port = 0;
}

static void twin_set_up(struct twin *t, uint64_t up)
{
	t->up = up;
	for (uint32_t v = 0; v < N_VLANS; v++)
		for (uint32_t i = 0; i < N_STATIONS; i++)
			if (!(up >> t->stations[v][i].port & 1))
				t->stations[v][i].port = 0;
}

static void check_macs(struct lab *l, const struct twin *t)
{
	uint32_t n = 0;

	for (uint32_t v = 0; v < N_VLANS; v++) {
		for (uint32_t i = 0; i < N_STATIONS; i++) {
			const struct sluice_mac *mac = lab_mac(l, i, vlans[v]);

			CHECK_EQ(mac ? mac->port : 0, t->stations[v][i].port);
			n += mac != NULL;
		}
	}
	CHECK_EQ(n, table_exact_n_used(l->state.macs));
}

/* Where a random frame comes from and goes to; port 0: nowhere up. */
static struct lab_frame random_frame(struct twin *t, struct rng *r, uint32_t *v)
{
	struct lab_frame f = {.src = rng_below(r, N_STATIONS),
			      .sport = (uint16_t)rng_below(r, N_SPORTS)};
	uint32_t to = rng_below(r, N_STATIONS + 4);
	uint32_t *home;

	*v = rng_below(r, N_VLANS);
	home = &t->homes[*v][f.src];
	if (rng_below(r, 40) == 0)
		*home = 1 + rng_below(r, N_PORTS);
	f.port = rng_below(r, 200) ? *home : 1 + rng_below(r, N_PORTS);
	f.port = t->up >> f.port & 1 ? f.port : 0;
	f.vlan = vlans[*v];
	f.dst = to < N_STATIONS ? to : to % 2 ? LAB_ALL : LAB_RESERVED;
	return f;
}

static uint32_t *count_of(struct twin *t, const struct lab_frame *f, uint32_t v)
{
	uint32_t dst =
		f->dst < N_STATIONS ? f->dst : N_STATIONS + (f->dst == LAB_ALL);

	return &t->counts[f->port][v][f->src][dst][f->sport];
}

static void one_frame(struct lab *l, struct twin *t, struct rng *r, uint32_t no)
{
	const struct sluice_flow *flow;
	uint32_t v;
	struct lab_frame f = random_frame(t, r, &v);
	uint64_t expected;

	if (!f.port)
		return;
	f.no = no;
	if (!lab_flow(l, &f))
		*count_of(t, &f, v) = 0;
	expected = twin_rx(t, &f, v, l->now_ns);
	lab_rx(l, &f);
	CHECK_EQ(l->out[no % LAB_FRAMES], expected);
	flow = lab_flow(l, &f);
	/* A station that flaps too much has no flow from where it is not. */
	CHECK_EQ(flow != NULL, t->stations[v][f.src].port == f.port);
	if (flow)
		CHECK_EQ(flow->n_packets + flow->slow_packets,
			 ++*count_of(t, &f, v));
}

/*
 * Many frames missed before the slow path came to any: it answers them in
 * order, partly from flows that it wrote just before.
 */
static void many_misses(struct lab *l, struct twin *t, struct rng *r,
			uint32_t no)
{
	uint64_t expected[SLOWPATH_BATCH * 2];
	struct lab_frame frames[SLOWPATH_BATCH * 2];
	uint32_t vs[SLOWPATH_BATCH * 2];
	uint32_t n = 1 + rng_below(r, ARRAY_LEN(expected));

	for (uint32_t i = 0; i < n; i++) {
		uint32_t v;
		struct lab_frame f = random_frame(t, r, &v);
		uint8_t data[LAB_FRAME_LEN];

		expected[i] = 0;
		frames[i].port = 0;
		l->out[(no + i) % LAB_FRAMES] = 0;
		if (!f.port)
			continue;
		f.no = no + i;
		lab_frame(&f, data);
		engine_fake_miss(&l->fake, f.port, data, sizeof(data));
		expected[i] = twin_rx(t, &f, v, l->now_ns);
		vs[i] = v;
		frames[i] = f;
	}
	while (slowpath_round(&l->slow, l->now_ns))
		;
	for (uint32_t i = 0; i < n; i++) {
		const struct sluice_flow *flow;

		CHECK_EQ(l->out[(no + i) % LAB_FRAMES], expected[i]);
		if (!frames[i].port)
			continue;
		/* Flows came and went in between: count on from here. */
		flow = lab_flow(l, &frames[i]);
		if (flow)
			*count_of(t, &frames[i], vs[i]) =
				(uint32_t)(flow->n_packets +
					   flow->slow_packets);
	}
}

static void one_change(struct lab *l, struct twin *t, struct rng *r,
		       uint32_t no)
{
	switch (rng_below(r, 8)) {
	case 0:
		twin_set_up(t, t->up ^ 2ull << rng_below(r, N_PORTS));
		lab_set_up(l, t->up);
		break;
	case 1:
		twin_set_up(t, ALL_UP);
		lab_set_up(l, t->up);
		break;
	case 2:
	case 3:
		many_misses(l, t, r, no);
		break;
	default:
		lab_wait(l,
			 LAB_TICK * rng_below(r, rng_below(r, 6) ? 10 : 350));
		twin_age(t, l->now_ns);
	}
}

static void learning_agrees_with_an_array(void)
{
	struct rng r = rng_of(test_seed());
	struct twin *t = calloc(1, sizeof(*t));
	struct lab *l = malloc(sizeof(*l));
	struct lab_conf conf = lab_conf;
	uint64_t in_flight;

	conf.seed = test_seed();
	lab_open(l, &conf);
	for (uint32_t i = 0; i < N_VLANS * N_STATIONS; i++)
		t->homes[i / N_STATIONS][i % N_STATIONS] =
			1 + rng_below(&r, N_PORTS);
	t->up = ALL_UP;
	lab_set_up(l, t->up);
	for (uint32_t i = 0; i < 60000 && !test_.failed; i++) {
		if (rng_below(&r, 20))
			one_frame(l, t, &r, i);
		else
			one_change(l, t, &r, i);
		if (i % 50 == 0) {
			check_macs(l, t);
			CHECK(lab_is_consistent(l));
		}
	}
	CHECK_EQ(l->n_twice, 0);
	CHECK(engine_fake_is_conserved(&l->state, &in_flight));
	CHECK_EQ(in_flight, 0);
	CHECK(l->fake.n_known > 1000);
	CHECK_EQ(l->state.sw->n_flows_refused, 0);
	CHECK_EQ(l->state.sw->n_flows_added - l->state.sw->n_flows_removed,
		 table_exact_n_used(l->state.flows));
	lab_wait(l, 10 * AGE_NS);
	while (slowpath_next_ns(&l->slow) != UINT64_MAX)
		lab_wait(l, LAB_TICK * 8); /* what is left is a grace period */
	CHECK_EQ(table_exact_n_resting(l->state.flows), 0);
	CHECK_EQ(table_exact_n_used(l->state.macs), 0);
	CHECK_EQ(table_exact_n_used(l->state.flows), 0);
	lab_close(l);
	free(l);
	free(t);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(learning_agrees_with_an_array);
	return test_done();
}
