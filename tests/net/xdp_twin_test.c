/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The XDP program against its twin: random frames, whole and damaged, through
 * random flows (BPF_PROG_TEST_RUN). Verdict and every counter must agree after
 * each. The twin has an array for a table and shares no code with the program.
 */

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/must.h"
#include "base/test.h"
#include "packet/twin.h"
#include "rig.h"
#include "sluice/capture.h"

enum {
	N_HOSTS = 3,
	N_FLOWS = 64,
	N_FRAMES = 32,
	N_STEPS = 40000,
	IN_PORT = 1,
	LEN_MIN = 14, /* of a frame, for the kernel to run it */
	LEN_MAX = 3400,
	L2_LEN = 18,
};

struct twin_flow {
	struct sluice_key key;
	sluice_act act;
	uint64_t n_packets, n_bytes;
};

struct twin {
	struct twin_flow flows[N_FLOWS];
	uint32_t n_flows;
	uint64_t sets[SLUICE_SETS_MAX];
	uint32_t mtus[SLUICE_PORTS_MAX]; /* 0: no such port */
	struct sluice_port_stats stats[SLUICE_PORTS_MAX];
};

struct frame {
	uint32_t len;
	uint8_t data[TWIN_FRAME_MAX];
};

struct lab {
	struct rig rig;
	struct rig_switch sw;
	int prog_fd;
	struct rng rng;
	struct twin twin;
	struct frame frames[N_FRAMES];
};

static struct twin_flow *twin_find(struct twin *t, const struct sluice_key *key)
{
	for (uint32_t i = 0; i < t->n_flows; i++)
		if (!memcmp(&t->flows[i].key, key, sizeof(*key)))
			return &t->flows[i];
	return NULL;
}

static uint32_t twin_lose(struct twin *t, enum sluice_drop why)
{
	t->stats[IN_PORT].drops[why]++;
	return XDP_DROP;
}

static void twin_tx(struct twin *t, uint32_t port, uint32_t len)
{
	t->stats[port].tx_packets++;
	t->stats[port].tx_bytes += len;
}

static uint32_t twin_output(struct twin *t, uint32_t port, uint32_t len)
{
	if (port == IN_PORT || port >= SLUICE_PORTS_MAX || !t->mtus[port])
		return twin_lose(t, SLUICE_DROP_NO_PORT);
	if (len > t->mtus[port] + L2_LEN)
		return twin_lose(t, SLUICE_DROP_TOO_LONG);
	twin_tx(t, port, len);
	return XDP_REDIRECT;
}

static uint32_t twin_output_set(struct twin *t, uint32_t set, uint32_t len)
{
	uint32_t n = 0;

	for (uint32_t i = 0; set < SLUICE_SETS_MAX && i < 64; i++) {
		if (i == IN_PORT || !(t->sets[set] & 1ull << i))
			continue;
		n++;
		if (len > t->mtus[i] + L2_LEN)
			twin_lose(t, SLUICE_DROP_TOO_LONG);
		else
			twin_tx(t, i, len);
	}
	if (!n)
		return twin_lose(t, SLUICE_DROP_NO_PORT);
	t->stats[IN_PORT].copies += n - 1;
	return XDP_REDIRECT;
}

static uint32_t twin_run(struct twin *t, const struct frame *f)
{
	struct sluice_key key;
	enum sluice_drop drop;
	struct twin_flow *flow;

	t->stats[IN_PORT].rx_packets++;
	t->stats[IN_PORT].rx_bytes += f->len;
	drop = twin_parse(f->data, f->len, IN_PORT, &key);
	if (drop)
		return twin_lose(t, drop);
	flow = twin_find(t, &key);
	if (!flow || flow->act.w >> 56 == SLUICE_ACT_SLOW) {
		t->stats[IN_PORT].missed++;
		return XDP_REDIRECT;
	}
	flow->n_packets++;
	flow->n_bytes += f->len;
	if (flow->act.w >> 56 == SLUICE_ACT_OUTPUT)
		return twin_output(t, (uint32_t)flow->act.w, f->len);
	if (flow->act.w >> 56 == SLUICE_ACT_SET)
		return twin_output_set(t, (uint32_t)flow->act.w, f->len);
	return twin_lose(t, sluice_act_arg(flow->act) - 1 < SLUICE_DROP_N - 1
				    ? (enum sluice_drop)flow->act.w
				    : SLUICE_DROP_POLICY);
}

static sluice_act some_act(struct rng *r)
{
	static const uint32_t args[] = {0, 1, 2, 2, 2, 3, 3, 4, 63, 64, ~0u};
	uint32_t arg = args[rng_below(r, (uint32_t)ARRAY_LEN(args))];

	return sluice_act_of((enum sluice_act_kind)rng_below(r, 4), arg);
}

/* Adds, replaces or removes the flow of a frame, on both sides. */
static void change_flow(struct lab *lab, const struct frame *f)
{
	struct twin *t = &lab->twin;
	struct twin_flow *flow;
	struct sluice_key key;

	if (twin_parse(f->data, f->len, IN_PORT, &key))
		return;
	flow = twin_find(t, &key);
	if (flow && rng_below(&lab->rng, 2)) {
		CHECK(table_exact_del(lab->sw.flows, &key));
		*flow = t->flows[--t->n_flows];
		return;
	}
	if (!flow && t->n_flows == N_FLOWS)
		return;
	if (!flow)
		flow = &t->flows[t->n_flows++];
	*flow = (struct twin_flow){.key = key, .act = some_act(&lab->rng)};
	rig_flow_set(&lab->sw, f->data, f->len, IN_PORT, flow->act);
}

static void change_set(struct lab *lab)
{
	uint32_t set = rng_below(&lab->rng, 5);
	uint64_t ports = rng_next(&lab->rng);

	CHECK(!lab->sw.engine->ops->set_ports(lab->sw.engine, set, ports,
					      NULL));
	lab->twin.sets[set] = ports & 0xe; /* those that there are */
}

static void check_counters(struct lab *lab)
{
	struct twin *t = &lab->twin;

	for (uint32_t port = 1; port < SLUICE_PORTS_MAX; port++) {
		struct sluice_port_stats s = rig_stats(&lab->sw, port);

		CHECK(!memcmp(&s, &t->stats[port], sizeof(s)));
	}
	for (uint32_t i = 0; i < t->n_flows; i++) {
		uint8_t *e = table_exact_find(lab->sw.flows, &t->flows[i].key);
		struct sluice_flow *f = sluice_entry_value(e, 64);

		CHECK_EQ(f->n_packets, t->flows[i].n_packets);
		CHECK_EQ(f->n_bytes, t->flows[i].n_bytes);
	}
}

static void step(struct lab *lab)
{
	struct frame *f = &lab->frames[rng_below(&lab->rng, N_FRAMES)];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->data, .repeat = 1);

	while (rng_below(&lab->rng, 16) == 0 || f->len < LEN_MIN ||
	       f->len > LEN_MAX)
		f->len = twin_frame(&lab->rng, f->data);
	if (rng_below(&lab->rng, 8) == 0)
		change_flow(lab, f);
	if (rng_below(&lab->rng, 256) == 0)
		change_set(lab);
	if (rng_below(&lab->rng, 64) == 0)
		table_exact_reclaim(lab->sw.flows,
				    table_exact_mark(lab->sw.flows));
	opts.data_size_in = f->len;
	CHECK(!bpf_prog_test_run_opts(lab->prog_fd, &opts));
	CHECK_EQ(opts.retval, twin_run(&lab->twin, f));
	check_counters(lab);
}

static void lab_up(struct lab *lab)
{
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);
	char path[128];
	int fd;

	lab->rng = rng_of(test_seed());
	CHECK(!rig_switch_new(&lab->rig, &lab->sw, false));
	CHECK(!rig_ports_add(&lab->rig, &lab->sw));
	CHECK(rig_wait_up(&lab->rig, &lab->sw));
	snprintf(path, sizeof(path), SLUICE_BPF_DIR "/%s/port-%u",
		 lab->rig.name, (uint32_t)IN_PORT);
	fd = bpf_obj_get(path);
	must(fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len));
	close(fd);
	lab->prog_fd = bpf_prog_get_fd_by_id(info.prog_id);
	must(lab->prog_fd >= 0);
	for (uint32_t i = 1; i <= N_HOSTS; i++) {
		lab->sw.ports[i].mtu = i == 3 ? 60 : 1500;
		lab->twin.mtus[i] = lab->sw.ports[i].mtu;
	}
}

static void the_program_agrees_with_its_twin(void)
{
	static struct lab lab;
	const char *cannot = rig_init(&lab.rig, N_HOSTS, 1);
	uint64_t n_flow_packets = 0;

	if (cannot)
		return test_skip(cannot);
	lab_up(&lab);
	for (uint32_t i = 0; i < N_STEPS && !test_.failed; i++)
		step(&lab);
	for (uint32_t i = 0; i < lab.twin.n_flows; i++)
		n_flow_packets += lab.twin.flows[i].n_packets;
	CHECK(test_.failed || n_flow_packets > 0);
	for (uint32_t port = 1; port <= N_HOSTS; port++)
		CHECK(lab.twin.stats[port].tx_packets > 0 || port == IN_PORT);
	for (uint32_t why = 1; why < SLUICE_DROP_N; why++)
		printf("# drop %u: %lu\n", why,
		       (unsigned long)lab.twin.stats[IN_PORT].drops[why]);
	rig_switch_free(&lab.sw, false);
	rig_fini(&lab.rig);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(the_program_agrees_with_its_twin);
	return test_done();
}
