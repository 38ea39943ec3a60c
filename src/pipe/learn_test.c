/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/must.h"
#include "base/rng.h"
#include "base/test.h"
#include "pipe/lab_fake.h"

/*
 * Learning against a twin, and what a successor finds after a kill.
 *
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
	uint64_t lately; /* bit n: was on port n in the change at hand */
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
		s->port = port;
		s->n_moves = 0;
		s->window_ns = now_ns;
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
	s->lately |= 1ull << s->port;
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

	for (uint32_t i = 0; i < N_VLANS * N_STATIONS; i++) {
		uint32_t v = i / N_STATIONS, st = i % N_STATIONS;
		const struct sluice_mac *mac = lab_mac(l, st, vlans[v]);

		CHECK_EQ(mac ? mac->port : 0, t->stations[v][st].port);
		n += mac != NULL;
	}
	CHECK_EQ(n, table_exact_n_used(l->state.macs));
	CHECK(lab_is_consistent(l));
}

static void twin_init(struct twin *t, struct rng *r)
{
	for (uint32_t i = 0; i < N_VLANS * N_STATIONS; i++)
		t->homes[i / N_STATIONS][i % N_STATIONS] =
			1 + rng_below(r, N_PORTS);
	t->up = ALL_UP;
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

static void one_step(struct lab *l, struct twin *t, struct rng *r, uint32_t no)
{
	if (rng_below(r, 20))
		one_frame(l, t, r, no);
	else
		one_change(l, t, r, no);
}

static void learning_agrees_with_an_array(void)
{
	struct rng r = rng_of(test_seed());
	struct twin *t = calloc(1, sizeof(*t));
	struct lab *l = malloc(sizeof(*l));
	struct lab_conf conf = lab_conf;

	conf.seed = test_seed();
	lab_open(l, &conf);
	twin_init(t, &r);
	lab_set_up(l, t->up);
	for (uint32_t i = 0; i < 60000 && !test_.failed; i++) {
		one_step(l, t, &r, i);
		if (i % 50 == 0)
			check_macs(l, t);
	}
	CHECK_EQ(l->n_twice, 0);
	CHECK_EQ(engine_fake_imbalance(&l->state), 0);
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

/* ---- A slow path is killed, and another takes its tables over. ---- */

/* Shared with the one that is killed. */
struct heir {
	struct lab lab;
	struct twin twin;
	bool at_rest; /* not in the middle of a change */
	bool go;      /* we hold the region as well */
};

static uint64_t crash_in; /* stores to go; 0: never */

void crash_point(void)
{
	if (crash_in && --crash_in == 0)
		kill(getpid(), SIGKILL);
}

/* The child: works until it is killed. */
static void live(struct heir *h, uint64_t seed, int to_parent)
{
	struct rng r = rng_of(seed);
	struct lab_conf conf = lab_conf;
	uint32_t n = 200 + rng_below(&r, 3000);
	uint32_t kill_at = rng_below(&r, 4) ? 1 + rng_below(&r, 20000) : 0;

	conf.seed = seed;
	lab_open(&h->lab, &conf);
	twin_init(&h->twin, &r);
	lab_set_up(&h->lab, ALL_UP);
	must(write(to_parent, &h->lab.region->fd, sizeof(int)) == sizeof(int));
	while (!*(volatile bool *)&h->go)
		usleep(100);
	crash_in = kill_at;
	for (uint32_t i = 0; i < n; i++) {
		h->at_rest = false;
		for (uint32_t st = 0; st < N_VLANS * N_STATIONS; st++) {
			struct twin_station *s =
				&h->twin.stations[st / N_STATIONS]
						 [st % N_STATIONS];

			s->lately = 1ull << s->port | 1;
		}
		one_step(&h->lab, &h->twin, &r, i);
		h->at_rest = true;
	}
	kill(getpid(), SIGKILL);
}

/* Lets a child live and die; returns the region that it left. */
static struct region *inherit(struct heir *h, uint64_t seed)
{
	struct region *region;
	char path[64];
	int fds[2], fd, status;
	pid_t pid;

	must(!pipe(fds));
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		live(h, seed, fds[1]);
		_exit(1);
	}
	must(read(fds[0], &fd, sizeof(fd)) == sizeof(fd));
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	must(fd >= 0);
	h->go = true;
	must(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status));
	close(fds[0]);
	close(fds[1]);
	must(!region_adopt(fd, &region, NULL));
	return region;
}

struct found_flow {
	struct sluice_key key;
	struct sluice_flow value;
};

/* What a reader finds of the flows now. */
static uint32_t find_flows(struct region *region, struct found_flow *out)
{
	const struct sluice_table_desc *d =
		region_table(region, SLUICE_TABLE_FLOWS);
	struct sluice_exact_view v;
	uint32_t n = 0;

	sluice_exact_view_init(&v, region_at(region, d->off, d->len));
	for (uint32_t i = 0; i < v.n_entries; i++) {
		uint8_t *e = sluice_exact_entry(&v, i);
		uint8_t *at;

		memcpy(&out[n].key, sluice_entry_key(e), sizeof(out[n].key));
		if (sluice_exact_find(&v, sluice_version(region->head),
				      &out[n].key, sizeof(out[n].key),
				      &at) != SLUICE_YES ||
		    at != e)
			continue;
		memcpy(&out[n].value, sluice_entry_value(e, sizeof(out[n].key)),
		       sizeof(out[n].value));
		n++;
	}
	return n;
}

/* Is it as it was? In the middle of a change, it may be mended, or have gone. */
static bool is_as_it_was(struct lab *l, const struct found_flow *was,
			 bool at_rest)
{
	struct flows *flows = learn_flows(l->slow.learn);
	uint32_t no = flows_find(flows, &was->key);
	struct flow_answer answer;
	struct sluice_flow now;

	if (no == FLOW_NONE) {
		learn_answer(l->slow.learn, &was->key, &answer);
		return !at_rest && !answer.keep;
	}
	now = *flows_at(flows, no);
	if (!at_rest)
		now.act = was->value.act;
	return memcmp(&now, &was->value, sizeof(now)) == 0;
}

static void check_flows(struct lab *l, const struct found_flow *was, uint32_t n,
			bool at_rest)
{
	for (uint32_t i = 0; i < n; i++)
		CHECK(is_as_it_was(l, &was[i], at_rest));
	CHECK(!at_rest || n == table_exact_n_used(l->state.flows));
}

/* Each station is as it was before the last change, in it, or after it. */
static void check_stations(struct heir *h, struct lab *l)
{
	for (uint32_t i = 0; i < N_VLANS * N_STATIONS; i++) {
		uint32_t v = i / N_STATIONS, st = i % N_STATIONS;
		const struct sluice_mac *mac = lab_mac(l, st, vlans[v]);
		struct twin_station *s = &h->twin.stations[v][st];
		uint64_t port = mac ? mac->port : 0;

		CHECK(h->at_rest ? port == s->port : s->lately >> port & 1);
		*s = (struct twin_station){
			.port = (uint32_t)port,
			.seen_ns = mac ? mac->seen_ns : 0,
			.window_ns = l->now_ns,
		};
	}
}

/* What the table says of each flow's use, a station was seen then. */
static void twin_adopt(struct twin *t, const struct found_flow *was, uint32_t n)
{
	memset(t->counts, 0, sizeof(t->counts));
	for (uint32_t i = 0; i < n; i++) {
		const struct sluice_flow *f = &was[i].value;
		uint64_t used =
			f->used_ns > f->created_ns ? f->used_ns : f->created_ns;
		uint16_t tci = sluice_from_be16(was[i].key.vlan_tci) & 0xfff;
		uint32_t v = tci == 0 ? 0 : tci == vlans[1] ? 1 : 2;
		struct twin_station *s = &t->stations[v][was[i].key.eth_src[5]];

		if (s->port == was[i].key.in_port && s->seen_ns < used)
			s->seen_ns = used;
	}
}

/* From here on count what the flows say. */
static void counts_adopt(struct lab *l, struct twin *t)
{
	for (uint32_t i = 0; i < sizeof(t->counts) / sizeof(uint32_t); i++) {
		uint32_t v =
			i / N_SPORTS / (N_STATIONS + 2) / N_STATIONS % N_VLANS;
		uint32_t dst = i / N_SPORTS % (N_STATIONS + 2);
		struct lab_frame f = {
			.port = i / N_SPORTS / (N_STATIONS + 2) / N_STATIONS /
				N_VLANS,
			.src = i / N_SPORTS / (N_STATIONS + 2) % N_STATIONS,
			.dst = dst < N_STATIONS	   ? dst
			       : dst == N_STATIONS ? LAB_RESERVED
						   : LAB_ALL,
			.vlan = vlans[v],
			.sport = (uint16_t)(i % N_SPORTS),
		};
		const struct sluice_flow *flow = lab_flow(l, &f);

		*count_of(t, &f, v) =
			flow ? (uint32_t)(flow->n_packets + flow->slow_packets)
			     : 0;
	}
}

static void one_life(struct heir *h, uint64_t seed)
{
	struct found_flow *flows =
		calloc(2ul * lab_conf.n_flows, sizeof(*flows));
	struct lab *l = calloc(1, sizeof(*l));
	struct rng r = rng_of(~seed);
	struct region *region = inherit(h, seed);
	uint32_t n = find_flows(region, flows);
	int64_t lost;

	l->now_ns = h->lab.now_ns;
	lab_adopt(l, &lab_conf, region, h->twin.up);
	CHECK_EQ(l->state.sw->n_restarts, 1);
	CHECK(lab_is_consistent(l));
	check_flows(l, flows, n, h->at_rest);
	check_stations(h, l);
	twin_adopt(&h->twin, flows, n);
	counts_adopt(l, &h->twin);
	lost = engine_fake_imbalance(&l->state);
	CHECK(!h->at_rest || lost == 0);
	while (table_exact_n_resting(l->state.flows))
		lab_wait(l, 4 * LAB_TICK);
	twin_age(&h->twin, l->now_ns);
	for (uint32_t i = 0; i < 300 && !test_.failed; i++)
		one_step(l, &h->twin, &r, i);
	check_macs(l, &h->twin);
	CHECK_EQ(engine_fake_imbalance(&l->state), lost);
	lab_close(l);
	free(l);
	free(flows);
}

static void a_successor_goes_on_after_a_kill(void)
{
	for (uint32_t i = 0; i < 60 && !test_.failed; i++) {
		struct heir *h = mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

		must(h != MAP_FAILED);
		one_life(h, test_seed() + i);
		if (test_.failed)
			printf("# life %u, %s\n", i,
			       h->at_rest ? "at rest" : "in a change");
		munmap(h, sizeof(*h));
	}
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(learning_agrees_with_an_array);
	TEST(a_successor_goes_on_after_a_kill);
	return test_done();
}
