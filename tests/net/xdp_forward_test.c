/* SPDX-License-Identifier: Apache-2.0 */

/* The XDP engine forwards, floods, drops, misses and counts, on real veths. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/must.h"
#include "base/test.h"
#include "rig.h"
#include "sluice/parse.h"
#include "table/change.h"

static const char *cannot; /* why nothing can be tested here */
static struct rig rig;

enum { N_HOSTS = 3, MS = 1000 };

/* A switch with its ports, all of them in set 0. */
static bool switch_up(struct rig_switch *sw, bool generic)
{
	uint8_t old[2048];

	for (uint32_t i = 1; i <= N_HOSTS; i++)
		while (rig_recv(&rig, i, old, 0))
			;
	CHECK(!rig_switch_new(&rig, sw, generic));
	CHECK(!rig_ports_add(&rig, sw));
	CHECK(!sw->engine->ops->set_ports(sw->engine, SLUICE_SET_ALL, ~0ull,
					  NULL));
	CHECK(rig_wait_up(&rig, sw));
	return !test_.failed;
}

/* Waits until port has received n packets: they are counted first of all. */
static void wait_rx(const struct rig_switch *sw, uint32_t port, uint64_t n)
{
	for (int i = 0; i < MS && rig_stats(sw, port).rx_packets < n; i++)
		usleep(1000);
	usleep(20000);
}

static void known_flow(bool generic)
{
	enum { N = 1000 };
	struct rig_switch sw;
	struct sluice_flow *f;
	struct miss m;
	uint8_t frame[64], got[2048];
	uint32_t len = rig_frame(frame, 1, 2, 7);
	uint64_t before = rig_host_packets(&rig, 2);

	if (!switch_up(&sw, generic))
		return;
	CHECK_EQ(sw.ports[1].xdp_mode,
		 generic ? SLUICE_XDP_GENERIC : SLUICE_XDP_NATIVE);
	f = rig_flow_set(&sw, frame, len, 1,
			 sluice_act_of(SLUICE_ACT_OUTPUT, 2));
	for (uint32_t i = 0; i < N; i++)
		rig_send(&rig, 1, frame, len);
	wait_rx(&sw, 1, N);
	CHECK_EQ(rig_recv(&rig, 2, got, MS), len);
	CHECK(!memcmp(got, frame, len));
	CHECK_EQ(rig_host_packets(&rig, 2) - before, N);
	CHECK_EQ(f->n_packets, N);
	CHECK_EQ(f->n_bytes, N * len);
	CHECK(f->used_ns > 0);
	CHECK_EQ(rig_stats(&sw, 1).rx_packets, N);
	CHECK_EQ(rig_stats(&sw, 1).rx_bytes, N * len);
	CHECK_EQ(rig_stats(&sw, 2).tx_packets, N);
	CHECK_EQ(rig_stats(&sw, 2).tx_bytes, N * len);
	CHECK_EQ(rig_stats(&sw, 1).missed, 0);
	CHECK_EQ(rig_misses(&sw, &m, 1, 0), 0);
	CHECK_EQ(rig_imbalance(&sw), 0);
	rig_switch_free(&sw, false);
}

static void a_known_flow_is_forwarded_natively(void)
{
	if (cannot)
		test_skip(cannot);
	else
		known_flow(false);
}

static void a_known_flow_is_forwarded_in_generic_mode(void)
{
	if (cannot)
		test_skip(cannot);
	else
		known_flow(true);
}

/* A packet of each of n flows leaves host 1; how many reach hosts 2 and 3. */
static void count_outputs(struct rig_switch *sw, uint8_t (*frames)[64],
			  uint32_t n, uint64_t out[N_HOSTS + 1])
{
	uint64_t rx = rig_stats(sw, 1).rx_packets;

	for (uint32_t port = 2; port <= N_HOSTS; port++)
		out[port] = rig_host_packets(&rig, port);
	for (uint32_t i = 0; i < n; i++)
		rig_send(&rig, 1, frames[i], 64);
	wait_rx(sw, 1, rx + n);
	for (uint32_t port = 2; port <= N_HOSTS; port++)
		out[port] = rig_host_packets(&rig, port) - out[port];
}

static void a_change_set_holds_from_its_version(void)
{
	enum { N = 16 };
	struct sluice_flow to_3 = {
		.act = sluice_act_of(SLUICE_ACT_OUTPUT, 3).w};
	struct change_item items[N + 1];
	struct sluice_key keys[N];
	uint64_t out[N_HOSTS + 1];
	uint8_t frames[N][64];
	struct change_log *log;
	struct rig_switch sw;
	uint32_t bad;

	if (cannot || !switch_up(&sw, false))
		return test_skip(cannot);
	must(!change_log_new(sw.region, &log));
	for (uint32_t i = 0; i < N; i++) {
		uint32_t len = rig_frame(frames[i], 1, 2, i);

		must(len <= 64 &&
		     !sluice_parse(frames[i], frames[i] + len, 1, &keys[i]));
		rig_flow_set(&sw, frames[i], len, 1,
			     sluice_act_of(SLUICE_ACT_OUTPUT, 2));
		items[i] = (struct change_item){table_exact_change(sw.flows),
						CHANGE_SET, &keys[i], &to_3};
	}
	/* One item cannot be done: none is. */
	items[N] = items[0];
	CHECK_EQ(change_apply(log, items, N + 1, &bad, NULL), -EINVAL);
	count_outputs(&sw, frames, N, out);
	CHECK(out[2] == N && out[3] == 0);
	CHECK_EQ(change_apply(log, items, N, &bad, NULL), 0);
	count_outputs(&sw, frames, N, out);
	CHECK(out[2] == 0 && out[3] == N);
	CHECK_EQ(change_settle(log, change_mark(log), UINT64_MAX), N);
	count_outputs(&sw, frames, N, out);
	CHECK(out[2] == 0 && out[3] == N);
	CHECK_EQ(rig_imbalance(&sw), 0);
	change_log_free(log);
	rig_switch_free(&sw, false);
}

static void a_set_goes_to_all_but_the_sender(void)
{
	const uint64_t N = 100;
	uint64_t before[N_HOSTS + 1];
	struct rig_switch sw;
	uint8_t frame[64];
	uint32_t len = rig_frame(frame, 1, 255, 1);

	if (cannot || !switch_up(&sw, false))
		return test_skip(cannot);
	for (uint32_t i = 1; i <= N_HOSTS; i++)
		before[i] = rig_host_packets(&rig, i);
	rig_flow_set(&sw, frame, len, 1, sluice_act_of(SLUICE_ACT_SET, 0));
	for (uint32_t i = 0; i < N; i++)
		rig_send(&rig, 1, frame, len);
	wait_rx(&sw, 1, N);
	CHECK_EQ(rig_host_packets(&rig, 1) - before[1], 0);
	CHECK_EQ(rig_host_packets(&rig, 2) - before[2], N);
	CHECK_EQ(rig_host_packets(&rig, 3) - before[3], N);
	CHECK_EQ(rig_stats(&sw, 1).copies, N);
	CHECK_EQ(rig_stats(&sw, 2).tx_packets, N);
	CHECK_EQ(rig_stats(&sw, 3).tx_packets, N);
	CHECK_EQ(rig_imbalance(&sw), 0);

	/* Without port 3, and then without any. */
	CHECK(!sw.engine->ops->set_ports(sw.engine, 0, 1 << 1 | 1 << 2, NULL));
	for (uint32_t i = 0; i < N; i++)
		rig_send(&rig, 1, frame, len);
	wait_rx(&sw, 1, 2 * N);
	CHECK_EQ(rig_host_packets(&rig, 2) - before[2], 2 * N);
	CHECK_EQ(rig_host_packets(&rig, 3) - before[3], N);
	CHECK(!sw.engine->ops->set_ports(sw.engine, 0, 1 << 1, NULL));
	rig_send(&rig, 1, frame, len);
	wait_rx(&sw, 1, 2 * N + 1);
	CHECK_EQ(rig_stats(&sw, 1).drops[SLUICE_DROP_NO_PORT], 1);
	CHECK_EQ(rig_imbalance(&sw), 0);
	rig_switch_free(&sw, false);
}

/* One frame from host 1 under an action; how many drops of a kind there were. */
static uint64_t drops_of(struct rig_switch *sw, sluice_act act,
			 enum sluice_drop why)
{
	uint64_t n = rig_stats(sw, 1).rx_packets;
	uint64_t before = rig_stats(sw, 1).drops[why];
	uint8_t frame[64];
	uint32_t len = rig_frame(frame, 1, 2, 3);

	rig_flow_set(sw, frame, len, 1, act);
	rig_send(&rig, 1, frame, len);
	wait_rx(sw, 1, n + 1);
	CHECK_EQ(rig_imbalance(sw), 0);
	return rig_stats(sw, 1).drops[why] - before;
}

static void drops_have_their_reason(void)
{
	struct rig_switch sw;
	const enum sluice_drop no_port = SLUICE_DROP_NO_PORT;
	sluice_act out2 = sluice_act_of(SLUICE_ACT_OUTPUT, 2);
	uint64_t before;

	if (cannot || !switch_up(&sw, false))
		return test_skip(cannot);
	before = rig_host_packets(&rig, 2);
	CHECK_EQ(drops_of(&sw, sluice_act_of(SLUICE_ACT_DROP, 0),
			  SLUICE_DROP_POLICY),
		 1);
	CHECK_EQ(drops_of(&sw, sluice_act_of(SLUICE_ACT_OUTPUT, 1), no_port),
		 1); /* back to the sender */
	CHECK_EQ(drops_of(&sw, sluice_act_of(SLUICE_ACT_OUTPUT, 9), no_port),
		 1);
	CHECK_EQ(drops_of(&sw, sluice_act_of(SLUICE_ACT_OUTPUT, ~0u), no_port),
		 1);
	CHECK_EQ(drops_of(&sw, sluice_act_of(SLUICE_ACT_SET, 5), no_port), 1);
	CHECK_EQ(drops_of(&sw, sluice_act_of(SLUICE_ACT_SET, ~0u), no_port), 1);
	/* A record says what fits: the frame is 60 bytes. */
	sw.ports[2].mtu = 41;
	CHECK_EQ(drops_of(&sw, out2, SLUICE_DROP_TOO_LONG), 1);
	CHECK_EQ(drops_of(&sw, sluice_act_of(SLUICE_ACT_SET, 0),
			  SLUICE_DROP_TOO_LONG),
		 1);
	sw.ports[2].mtu = 42;
	CHECK_EQ(drops_of(&sw, out2, SLUICE_DROP_TOO_LONG), 0);
	CHECK_EQ(rig_host_packets(&rig, 2) - before, 2);
	rig_switch_free(&sw, false);
}

static void a_miss_comes_up_and_can_be_sent_on(void)
{
	struct rig_switch sw;
	uint8_t frame[64], got[2048];
	uint32_t len = rig_frame(frame, 1, 2, 1);
	const struct engine_ops *ops;
	struct miss m[4];

	if (cannot || !switch_up(&sw, false))
		return test_skip(cannot);
	ops = sw.engine->ops;
	rig_send(&rig, 1, frame, len);
	CHECK_EQ(rig_misses(&sw, m, 4, MS), 1);
	CHECK_EQ(m[0].in_port, 1);
	CHECK_EQ(m[0].len, len);
	CHECK(!memcmp(m[0].data, frame, len));
	CHECK_EQ(ops->send(sw.engine, 2, m[0].data, m[0].len), 0);
	CHECK_EQ(ops->send(sw.engine, 9, m[0].data, m[0].len),
		 SLUICE_DROP_NO_PORT);
	CHECK_EQ(ops->send(sw.engine, 2, m[0].data, 1519),
		 SLUICE_DROP_TOO_LONG);
	ops->give(sw.engine, m, 1);
	ops->flush(sw.engine);
	CHECK_EQ(rig_recv(&rig, 2, got, MS), len);
	CHECK(!memcmp(got, frame, len));
	CHECK_EQ(rig_stats(&sw, 1).missed, 1);
	CHECK_EQ(sw.stats[2].tx_packets, 1);

	/* The action "slow path" is no different, and is not the flow's count. */
	CHECK_EQ(rig_flow_set(&sw, frame, len, 1,
			      sluice_act_of(SLUICE_ACT_SLOW, 0))
			 ->n_packets,
		 0);
	rig_send(&rig, 1, frame, len);
	CHECK_EQ(rig_misses(&sw, m, 4, MS), 1);
	ops->give(sw.engine, m, 1);
	CHECK_EQ(rig_stats(&sw, 1).missed, 2);
	rig_switch_free(&sw, false);
}

static void misses_beyond_the_ring_are_counted(void)
{
	enum { N = 3000 };
	struct rig_switch sw;
	uint8_t frame[64];
	uint32_t len = rig_frame(frame, 1, 2, 1), n = 0, got;
	struct sluice_port_stats st;
	struct miss m[64];

	if (cannot || !switch_up(&sw, false))
		return test_skip(cannot);
	for (uint32_t i = 0; i < N; i++)
		rig_send(&rig, 1, frame, len);
	wait_rx(&sw, 1, N);
	while ((got = rig_misses(&sw, m, 64, 50))) {
		n += got;
		sw.stats[1].taken += got;
		sw.stats[1].drops[SLUICE_DROP_POLICY] += got;
		sw.engine->ops->give(sw.engine, m, got);
	}
	st = rig_stats(&sw, 1);
	CHECK_EQ(st.missed, N);
	CHECK_EQ(n + st.drops[SLUICE_DROP_MISS_FULL], N);
	CHECK(n >= 1024 && n < N);
	CHECK_EQ(rig_imbalance(&sw), 0);

	/* And afterwards all is well. */
	rig_send(&rig, 1, frame, len);
	CHECK_EQ(rig_misses(&sw, m, 64, MS), 1);
	sw.engine->ops->give(sw.engine, m, 1);
	rig_switch_free(&sw, false);
}

static void without_a_slow_path_misses_are_dropped(void)
{
	struct rig_switch sw, again;
	uint8_t frame[64];
	uint32_t len = rig_frame(frame, 1, 2, 1);

	if (cannot || !switch_up(&sw, false))
		return test_skip(cannot);
	rig_switch_free(&sw, true);
	rig_send(&rig, 1, frame, len);
	usleep(20000);
	CHECK(!rig_switch_adopt(&rig, &again));
	CHECK_EQ(rig_stats(&again, 1).drops[SLUICE_DROP_NO_SLOW_PATH], 1);
	CHECK_EQ(rig_imbalance(&again), 0);
	rig_switch_free(&again, false);
}

static void malformed_frames_are_dropped_as_the_parser_says(void)
{
	struct rig_switch sw;
	uint8_t frame[64];
	uint32_t len = rig_frame(frame, 1, 2, 1);

	if (cannot || !switch_up(&sw, false))
		return test_skip(cannot);
	frame[6] = 1; /* from a group */
	rig_send(&rig, 1, frame, len);
	wait_rx(&sw, 1, 1);
	CHECK_EQ(rig_stats(&sw, 1).drops[SLUICE_DROP_BAD_ETH_SRC], 1);
	len = rig_frame(frame, 1, 2, 1);
	frame[17] = 200; /* longer than the frame */
	rig_send(&rig, 1, frame, len);
	wait_rx(&sw, 1, 2);
	CHECK_EQ(rig_stats(&sw, 1).drops[SLUICE_DROP_BAD_IP], 1);
	CHECK_EQ(rig_imbalance(&sw), 0);
	rig_switch_free(&sw, false);
}

/* A bridge as a port: its driver knows no XDP, nor takes redirected frames. */
static void one_device_without_native_xdp_makes_all_generic(void)
{
	struct rig_switch sw;
	uint8_t frame[64], got[2048];
	uint32_t len = rig_frame(frame, 1, 2, 7);

	if (cannot || !switch_up(&sw, false))
		return test_skip(cannot);
	if (system("ip link add br9 type bridge && ip link set br9 up")) {
		rig_switch_free(&sw, false);
		return test_skip("needs bridges");
	}
	strcpy(sw.ports[4].device, "br9");
	sw.ports[4].kind = SLUICE_PORT_XDP;
	CHECK(!sw.engine->ops->port_add(sw.engine, 4, NULL));
	for (uint32_t i = 1; i <= 4; i++)
		CHECK_EQ(sw.ports[i].xdp_mode, SLUICE_XDP_GENERIC);
	CHECK(rig_wait_up(&rig, &sw));
	rig_flow_set(&sw, frame, len, 1, sluice_act_of(SLUICE_ACT_OUTPUT, 2));
	rig_send(&rig, 1, frame, len);
	CHECK_EQ(rig_recv(&rig, 2, got, MS), len);
	rig_flow_set(&sw, frame, len, 1, sluice_act_of(SLUICE_ACT_OUTPUT, 4));
	rig_send(&rig, 1, frame, len);
	wait_rx(&sw, 1, 2);
	CHECK_EQ(rig_stats(&sw, 4).tx_packets, 1);
	CHECK_EQ(rig_imbalance(&sw), 0);
	rig_switch_free(&sw, false);
	CHECK(!system("ip link del br9"));
}

static void grace_periods_end(void)
{
	struct rig_switch sw;
	uint64_t a, b;

	if (cannot || !switch_up(&sw, false))
		return test_skip(cannot);
	a = sw.engine->ops->grace_start(sw.engine);
	CHECK(!sw.engine->ops->grace_done(sw.engine, a));
	b = sw.engine->ops->grace_start(sw.engine);
	for (int i = 0; i < MS && !sw.engine->ops->grace_done(sw.engine, b);
	     i++)
		usleep(1000);
	CHECK(sw.engine->ops->grace_done(sw.engine, b));
	CHECK(sw.engine->ops->grace_done(sw.engine, a));
	rig_switch_free(&sw, false);
}

static void misses_of_every_queue_come_up(void)
{
	enum { N = 256, QUEUES = 4 };
	struct rig_switch sw;
	uint8_t frame[64];
	uint32_t queues = 0, n = 0;
	struct miss m;

	if (cannot)
		return test_skip(cannot);
	rig_fini(&rig);
	cannot = rig_init(&rig, N_HOSTS, QUEUES);
	if (cannot || !switch_up(&sw, false))
		return test_skip(cannot);
	for (uint32_t i = 0; i < N; i++)
		rig_send(&rig, 1, frame, rig_frame(frame, 1, 2, i));
	while (rig_misses(&sw, &m, 1, 100)) {
		n++;
		CHECK_EQ(m.in_port, 1);
		queues |= 1u << (m.cookie >> 32 & 0xffff);
		sw.engine->ops->give(sw.engine, &m, 1);
	}
	CHECK_EQ(n, N);
	CHECK_EQ(queues, (1u << QUEUES) - 1);
	rig_switch_free(&sw, false);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	cannot = rig_init(&rig, N_HOSTS, 1);
	TEST(a_known_flow_is_forwarded_natively);
	TEST(a_known_flow_is_forwarded_in_generic_mode);
	TEST(a_change_set_holds_from_its_version);
	TEST(a_set_goes_to_all_but_the_sender);
	TEST(drops_have_their_reason);
	TEST(a_miss_comes_up_and_can_be_sent_on);
	TEST(misses_beyond_the_ring_are_counted);
	TEST(without_a_slow_path_misses_are_dropped);
	TEST(malformed_frames_are_dropped_as_the_parser_says);
	TEST(one_device_without_native_xdp_makes_all_generic);
	TEST(grace_periods_end);
	TEST(misses_of_every_queue_come_up);
	rig_fini(&rig);
	return test_done();
}
