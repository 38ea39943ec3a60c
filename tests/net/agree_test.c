/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What becomes of a frame: the XDP engine's program in the kernel, the
 * user-space engine, and a twin that parses byte by byte and keeps its flows in
 * an array must say the same, frame by frame, on one region. The frames are
 * those of tests/corpus/packets, all of packet/cases, and random ones, whole and
 * malformed; flows come up while they pass.
 *
 * The kernel is asked by BPF_PROG_TEST_RUN, which sends nothing: what the
 * program decided is read from the counters.
 */

#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <unistd.h>

#include "base/must.h"
#include "base/test.h"
#include "engine/poll/poll.h"
#include "packet/cases.h"
#include "packet/twin.h"
#include "rig.h"
#include "sluice/text.h"

enum { N_HOSTS = 3, IN = 1, N_RANDOM = 4000, N_FLOWS_MAX = 6000 };

#define RUN_LEN_MAX 3400u /* what the kernel takes in one piece */

/* What becomes of one frame. */
struct outcome {
	enum sluice_drop drop;
	uint64_t ports;	    /* it is sent by these */
	bool is_slow;	    /* the slow path gets it */
	uint64_t n_counted; /* in its flow */
};

struct twin_flow {
	struct sluice_key key;
	sluice_act act;
};

static const char *cannot; /* why nothing can be tested here */
static struct rig rig;
static struct rig_switch sw;
static int prog_fd;
static struct poll_tables tables;
static uint32_t n_frames;
static struct rng rng;

static struct {
	uint32_t n;
	struct twin_flow flows[N_FLOWS_MAX];
} twin;

static struct twin_flow *twin_find(const struct sluice_key *key)
{
	for (uint32_t i = 0; i < twin.n; i++)
		if (memcmp(&twin.flows[i].key, key, sizeof(*key)) == 0)
			return &twin.flows[i];
	return NULL;
}

/* Ports 1 to N_HOSTS are up, set 0 has them all, the others are empty. */
static struct outcome twin_outcome(const uint8_t *frame, uint32_t len)
{
	struct outcome o = {0};
	struct sluice_key key;
	struct twin_flow *f;
	uint32_t arg;

	o.drop = twin_parse(frame, len, IN, &key);
	if (o.drop)
		return o;
	f = twin_find(&key);
	/* An action that an engine does not know is the slow path's. */
	if (!f || sluice_act_kind(f->act) >= SLUICE_ACT_SLOW) {
		o.is_slow = true;
		return o;
	}
	o.n_counted = 1;
	arg = sluice_act_arg(f->act);
	if (sluice_act_kind(f->act) == SLUICE_ACT_DROP)
		o.drop = arg ? SLUICE_DROP_RESERVED_MAC : SLUICE_DROP_POLICY;
	else if (sluice_act_kind(f->act) == SLUICE_ACT_SET && arg == 0)
		o.ports = 1u << 2 | 1u << 3;
	else if (sluice_act_kind(f->act) == SLUICE_ACT_OUTPUT &&
		 (arg == 2 || arg == 3))
		o.ports = 1u << arg;
	else
		o.drop = SLUICE_DROP_NO_PORT;
	return o;
}

static struct outcome poll_outcome(uint8_t *frame, uint32_t len)
{
	const struct frame f = {.data = frame, .len = len, .in_port = IN};
	struct poll_verdict v;

	poll_verdict(&tables, &f, 1u << 1 | 1u << 2 | 1u << 3, &v);
	return (struct outcome){v.drop, v.ports, v.is_slow, v.flow != NULL};
}

/* A device does not take more than its MTU and 18 bytes. */
static void cut_too_long(struct outcome *o, uint32_t len)
{
	if (!o->ports || len <= sw.ports[2].mtu + 18u)
		return;
	o->ports = 0;
	o->drop = SLUICE_DROP_TOO_LONG;
}

static uint64_t sum_flows(void)
{
	uint64_t n = 0, value[sizeof(struct sluice_flow) / 8];
	struct sluice_key key;
	uint32_t idx = 0;

	while (sluice_reader_next(&tables.flows, sluice_version(tables.region),
				  &idx, &key, value))
		n += value[offsetof(struct sluice_flow, n_packets) / 8];
	return n;
}

static struct outcome xdp_outcome(const uint8_t *frame, uint32_t len)
{
	struct xdp_md ctx = {.data_end = len, .ingress_ifindex = 0};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame,
		    .data_size_in = len, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx));
	struct sluice_port_stats before[N_HOSTS + 1], now;
	uint64_t counted = sum_flows();
	struct outcome o = {0};

	ctx.ingress_ifindex = if_nametoindex(rig.hosts[IN].outer);
	for (uint32_t no = 1; no <= N_HOSTS; no++)
		before[no] = rig_stats(&sw, no);
	CHECK_EQ(bpf_prog_test_run_opts(prog_fd, &run), 0);

	o.n_counted = sum_flows() - counted;
	for (uint32_t no = 1; no <= N_HOSTS; no++) {
		now = rig_stats(&sw, no);
		if (now.tx_packets != before[no].tx_packets)
			o.ports |= 1u << no;
	}
	now = rig_stats(&sw, IN);
	CHECK_EQ(now.rx_packets - before[IN].rx_packets, 1);
	CHECK_EQ(now.rx_bytes - before[IN].rx_bytes, len);
	o.is_slow = now.missed != before[IN].missed;
	for (uint32_t d = 0; d < SLUICE_DROP_N; d++)
		if (now.drops[d] != before[IN].drops[d])
			o.drop = (enum sluice_drop)d;
	if (o.ports || o.is_slow)
		CHECK_EQ(run.retval, XDP_REDIRECT);
	else if (o.drop != SLUICE_DROP_TOO_LONG)
		CHECK_EQ(run.retval, XDP_DROP);
	return o;
}

static void check_same(const char *who, const struct outcome *a,
		       const struct outcome *b)
{
	if (a->drop == b->drop && a->ports == b->ports &&
	    a->is_slow == b->is_slow && a->n_counted == b->n_counted)
		return;
	printf("# %s: %s, ports %llx, slow %d, counted %llu; twin: %s, ports "
	       "%llx, slow %d, counted %llu\n",
	       who, sluice_drop_name(a->drop), (unsigned long long)a->ports,
	       a->is_slow, (unsigned long long)a->n_counted,
	       sluice_drop_name(b->drop), (unsigned long long)b->ports,
	       b->is_slow, (unsigned long long)b->n_counted);
	test_.failed = true;
}

/* Gives most frames that have a key a flow of some kind. */
static void some_flow(const uint8_t *frame, uint32_t len)
{
	const sluice_act acts[] = {
		sluice_act_of(SLUICE_ACT_OUTPUT, 2),
		sluice_act_of(SLUICE_ACT_OUTPUT, 3),
		sluice_act_of(SLUICE_ACT_OUTPUT, IN),
		sluice_act_of(SLUICE_ACT_OUTPUT, 9),
		sluice_act_of(SLUICE_ACT_OUTPUT, UINT32_MAX),
		sluice_act_of(SLUICE_ACT_SET, SLUICE_SET_ALL),
		sluice_act_of(SLUICE_ACT_SET, 5),
		sluice_act_of(SLUICE_ACT_SET, SLUICE_SETS_MAX),
		sluice_act_of(SLUICE_ACT_DROP, 0),
		sluice_act_of(SLUICE_ACT_DROP, SLUICE_DROP_RESERVED_MAC),
		sluice_act_of(SLUICE_ACT_SLOW, 0),
		sluice_act_of((enum sluice_act_kind)77, 2),
	};
	uint32_t which = rng_below(&rng, ARRAY_LEN(acts) + 3);
	struct twin_flow *f;
	struct sluice_key key;

	if (which >= ARRAY_LEN(acts) || twin_parse(frame, len, IN, &key))
		return;
	f = twin_find(&key);
	if (!f && twin.n < N_FLOWS_MAX)
		f = &twin.flows[twin.n++];
	must(f);
	f->key = key;
	f->act = acts[which];
	rig_flow_set(&sw, frame, len, IN, acts[which]);
}

static void each_says(const char *name, uint8_t *frame, uint32_t len)
{
	struct outcome expected, poll, xdp;

	if (test_.failed || !len)
		return;
	some_flow(frame, len);
	expected = twin_outcome(frame, len);
	poll = poll_outcome(frame, len);
	check_same("poll", &poll, &expected);
	if (len >= 14 && len <= RUN_LEN_MAX) {
		cut_too_long(&expected, len);
		xdp = xdp_outcome(frame, len);
		check_same("xdp", &xdp, &expected);
	}
	n_frames++;
	if (test_.failed) {
		printf("#   %s, %u bytes:", name, len);
		for (uint32_t i = 0; i < len && i < 128; i++)
			printf("%s%02x", i % 2 ? "" : " ", frame[i]);
		printf("\n");
	}
}

static void capture_says(const char *name)
{
	static uint8_t frame[65536];
	uint32_t head[6];
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.pcap", CORPUS, name);
	f = fopen(path, "rb");
	CHECK(f && fread(head, 24, 1, f) == 1);
	/* Of a record's head the third word is the length. */
	while (f && fread(head, 16, 1, f) == 1 && head[2] <= sizeof(frame) &&
	       fread(frame, 1, head[2], f) == head[2])
		each_says(name, frame, head[2]);
	if (f)
		fclose(f);
}

static void frames_of_the_captures(void)
{
	if (cannot) {
		test_skip(cannot);
		return;
	}
	capture_says("talk");
	capture_says("cases");
	capture_says("random");
	printf("# %u frames\n", n_frames);
	CHECK(n_frames > 1000);
}

static void frames_at_random(void)
{
	static uint8_t frame[TWIN_FRAME_MAX];

	if (cannot) {
		test_skip(cannot);
		return;
	}
	for (uint32_t i = 0; i < N_RANDOM && !test_.failed; i++)
		each_says("random", frame, twin_frame(&rng, frame));
}

static const char *up(void)
{
	struct bpf_link_info info = {0};
	const char *reason = rig_init(&rig, N_HOSTS, 1);
	uint32_t len = sizeof(info);
	char path[128];
	int link_fd;

	if (reason)
		return reason;
	must(!rig_switch_new(&rig, &sw, false));
	must(!rig_ports_add(&rig, &sw));
	must(rig_wait_up(&rig, &sw));
	must(!sw.engine->ops->set_ports(sw.engine, SLUICE_SET_ALL, ~0ull,
					NULL));
	tables.region = sw.region->head;
	tables.flows = *table_exact_view(sw.flows);
	tables.sets = sw.sets;

	snprintf(path, sizeof(path), "/sys/fs/bpf/sluice/%s/port-%u", rig.name,
		 IN);
	link_fd = bpf_obj_get(path);
	must(link_fd >= 0 && !bpf_obj_get_info_by_fd(link_fd, &info, &len));
	prog_fd = bpf_prog_get_fd_by_id(info.prog_id);
	must(prog_fd >= 0);
	close(link_fd);
	return NULL;
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	rng = rng_of(test_seed());
	cannot = up();
	TEST(frames_of_the_captures);
	TEST(frames_at_random);
	if (!cannot) {
		close(prog_fd);
		rig_switch_free(&sw, false);
	}
	rig_fini(&rig);
	return test_done();
}
