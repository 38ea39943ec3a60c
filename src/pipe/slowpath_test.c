/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/test.h"
#include "pipe/lab_fake.h"

/* What the slow path promises, one thing at a time. Ports 1 to 4 are up. */

#define UP 0x1eull
#define AGE_NS (300 * LAB_TICK)
#define IDLE_NS (40 * LAB_TICK)

static const struct lab_conf lab_conf = {
	.n_flows = 100,
	.n_macs = 20,
	.flow_idle_ns = IDLE_NS,
	.mac_age_ns = AGE_NS,
	.seed = 7,
};

static struct lab *open_lab(void)
{
	struct lab *l = malloc(sizeof(*l));

	lab_open(l, &lab_conf);
	lab_set_up(l, UP);
	return l;
}

static void close_lab(struct lab *l)
{
	CHECK_EQ(engine_fake_imbalance(&l->state), 0);
	CHECK(lab_is_consistent(l));
	lab_close(l);
	free(l);
}

/* Lets a frame of a fresh number in; returns the ports it left from. */
static uint64_t rx(struct lab *l, uint32_t port, uint32_t src, uint32_t dst)
{
	struct lab_frame f = {.port = port, .src = src, .dst = dst};

	lab_rx(l, &f);
	return l->out[0];
}

static const struct sluice_flow *flow(struct lab *l, uint32_t port,
				      uint32_t src, uint32_t dst)
{
	struct lab_frame f = {.port = port, .src = src, .dst = dst};

	return lab_flow(l, &f);
}

static uint64_t drops(const struct lab *l, uint32_t port, enum sluice_drop why)
{
	return l->state.stats[port].drops[why] +
	       l->state.stats[SLUICE_PORTS_MAX + port].drops[why];
}

static void the_first_packet_is_counted_and_later_ones_are_not_ours(void)
{
	struct lab *l = open_lab();
	const struct sluice_flow *f;

	CHECK_EQ(rx(l, 1, 1, LAB_ALL), UP & ~2ull);
	CHECK_EQ(l->state.sw->first_packet_ns, l->now_ns);
	CHECK_EQ(rx(l, 2, 2, 1), 2);
	f = flow(l, 2, 2, 1);
	CHECK(f && f->slow_packets == 1 && f->slow_bytes == LAB_FRAME_LEN);
	for (int i = 0; i < 9; i++)
		CHECK_EQ(rx(l, 2, 2, 1), 2);
	CHECK(f && f->slow_packets == 1 && f->n_packets == 9);
	CHECK_EQ(l->fake.n_known, 9);
	CHECK_EQ(l->state.stats[2].taken, 1);
	close_lab(l);
}

static void idle_flows_leave_and_used_ones_stay(void)
{
	struct lab *l = open_lab();

	rx(l, 1, 1, 9);
	rx(l, 2, 2, 9);
	for (int i = 0; i < 10; i++) {
		lab_wait(l, IDLE_NS - LAB_TICK);
		rx(l, 1, 1, 9);
		CHECK(flow(l, 1, 1, 9));
		CHECK_EQ(flow(l, 2, 2, 9) != NULL, i == 0);
	}
	CHECK_EQ(flow(l, 1, 1, 9)->slow_packets, 1);
	lab_wait(l, IDLE_NS);
	CHECK(!flow(l, 1, 1, 9));
	CHECK_EQ(l->state.sw->n_flows_removed, 2);
	close_lab(l);
}

static void an_address_stays_while_its_flows_are_used(void)
{
	struct lab *l = open_lab();
	uint64_t n;

	rx(l, 1, 1, LAB_ALL);
	n = l->state.stats[1].taken;
	/* Only the engine sees it, for three times its age. */
	for (uint64_t t = 0; t < 3 * AGE_NS; t += IDLE_NS / 2) {
		lab_wait(l, IDLE_NS / 2);
		rx(l, 1, 1, LAB_ALL);
		CHECK(lab_mac(l, 1, 0));
	}
	CHECK_EQ(l->state.stats[1].taken, n);
	lab_wait(l, AGE_NS - LAB_TICK);
	CHECK(lab_mac(l, 1, 0));
	lab_wait(l, LAB_TICK);
	CHECK(!lab_mac(l, 1, 0));
	close_lab(l);
}

static void a_station_that_moves_is_followed_at_once(void)
{
	struct lab *l = open_lab();
	const struct sluice_flow *f;

	rx(l, 1, 1, LAB_ALL);
	rx(l, 2, 2, 1);
	CHECK_EQ(rx(l, 2, 2, 1), 1u << 1);
	rx(l, 1, 1, 2);
	f = flow(l, 2, 2, 1);
	/* From 1 to 3: one packet is all it takes. */
	CHECK_EQ(rx(l, 3, 1, 2), 1u << 2);
	CHECK_EQ(rx(l, 2, 2, 1), 1u << 3);
	CHECK(f == flow(l, 2, 2, 1));
	CHECK(f && f->slow_packets == 1 && f->n_packets == 2);
	CHECK(!flow(l, 1, 1, 2));
	/* To its peer's port: between them the wire does it. */
	CHECK_EQ(rx(l, 2, 1, LAB_ALL), UP & ~4ull);
	CHECK_EQ(rx(l, 2, 2, 1), 0);
	CHECK_EQ(drops(l, 2, SLUICE_DROP_POLICY), 1);
	CHECK_EQ(lab_mac(l, 1, 0)->n_moves, 2);
	close_lab(l);
}

static void a_station_that_flaps_rests(void)
{
	struct lab *l = open_lab();

	for (uint32_t i = 0; i < 100; i++)
		CHECK(rx(l, 1 + i % 2, 1, LAB_ALL));
	CHECK_EQ(lab_mac(l, 1, 0)->n_moves, 5);
	lab_wait(l, 1000000000);
	rx(l, 3, 1, LAB_ALL);
	CHECK_EQ(lab_mac(l, 1, 0)->port, 3);
	close_lab(l);
}

static void unknown_addresses_flood_until_they_are_learned(void)
{
	struct lab *l = open_lab();
	const struct sluice_flow *f;

	CHECK_EQ(rx(l, 1, 1, 2), UP & ~2ull);
	CHECK_EQ(rx(l, 1, 1, 2), UP & ~2ull);
	f = flow(l, 1, 1, 2);
	rx(l, 3, 2, LAB_ALL);
	CHECK_EQ(rx(l, 1, 1, 2), 1u << 3);
	CHECK(f == flow(l, 1, 1, 2));
	CHECK(f && f->n_packets + f->slow_packets == 3);
	/* Forgotten: it floods again, and nothing was missed. */
	lab_set_up(l, UP & ~8ull);
	CHECK_EQ(rx(l, 1, 1, 2), UP & ~0xaull);
	CHECK(f && f->n_packets + f->slow_packets == 4);
	close_lab(l);
}

static void reserved_addresses_stay_on_their_link(void)
{
	struct lab *l = open_lab();

	CHECK_EQ(rx(l, 1, 1, LAB_RESERVED), 0);
	CHECK_EQ(drops(l, 1, SLUICE_DROP_RESERVED_MAC), 1);
	/* The engine, which has a flow now, says so too. */
	CHECK_EQ(rx(l, 1, 1, LAB_RESERVED), 0);
	CHECK_EQ(drops(l, 1, SLUICE_DROP_RESERVED_MAC), 2);
	close_lab(l);
}

static void what_goes_with_a_port(void)
{
	struct lab *l = open_lab();

	rx(l, 1, 1, LAB_ALL);
	rx(l, 2, 2, 1);
	lab_set_up(l, UP & ~2ull);
	CHECK(!lab_mac(l, 1, 0));
	CHECK(!flow(l, 1, 1, LAB_ALL));
	CHECK_EQ(rx(l, 2, 2, 1), UP & ~6ull);
	/* A packet that was on its way is forwarded, and teaches nothing. */
	CHECK_EQ(rx(l, 1, 1, LAB_ALL), UP & ~2ull);
	CHECK(!lab_mac(l, 1, 0));
	CHECK(!flow(l, 1, 1, LAB_ALL));
	close_lab(l);
}

static void nobody_else_is_there(void)
{
	struct lab *l = open_lab();

	lab_set_up(l, 2);
	CHECK_EQ(rx(l, 1, 1, LAB_ALL), 0);
	CHECK_EQ(rx(l, 1, 1, LAB_ALL), 0);
	CHECK_EQ(drops(l, 1, SLUICE_DROP_NO_PORT), 2);
	close_lab(l);
}

static void over_the_limit_addresses_are_not_learned_but_served(void)
{
	struct lab *l = open_lab();

	for (uint32_t i = 1; i <= 30; i++)
		CHECK_EQ(rx(l, 1, i, LAB_ALL), UP & ~2ull);
	CHECK_EQ(table_exact_n_used(l->state.macs), 20);
	CHECK_EQ(l->state.sw->n_macs_refused, 10);
	CHECK(!lab_mac(l, 30, 0));
	CHECK_EQ(rx(l, 2, 40, 30), UP & ~4ull);
	/* Room again, and the next packet of its next flow is enough. */
	lab_set_up(l, UP & ~2ull);
	lab_set_up(l, UP);
	rx(l, 1, 30, 5);
	CHECK(lab_mac(l, 30, 0));
	/* The flow from when it was not learned is its own now: it moves. */
	rx(l, 3, 30, 5);
	CHECK(!flow(l, 1, 30, LAB_ALL));
	CHECK_EQ(rx(l, 2, 40, 30), 1u << 3);
	close_lab(l);
}

static void an_unlearned_source_has_another_chance(void)
{
	struct lab *l = open_lab();

	for (uint32_t i = 1; i <= 21; i++)
		rx(l, 1, i, LAB_ALL);
	lab_wait(l, AGE_NS / 2);
	rx(l, 1, 21, LAB_ALL);
	/* Its flow is in use all the time, yet comes up to us now and then. */
	for (uint64_t t = 0; t < AGE_NS; t += IDLE_NS / 4) {
		lab_wait(l, IDLE_NS / 4);
		rx(l, 1, 21, LAB_ALL);
	}
	CHECK(lab_mac(l, 21, 0));
	close_lab(l);
}

static void without_space_the_slow_path_serves(void)
{
	struct lab *l = open_lab();
	struct lab_frame f = {.port = 1, .src = 1, .dst = LAB_ALL};
	uint32_t n_max = table_exact_n_max(l->state.flows);

	for (f.sport = 0; f.sport < n_max + 50; f.sport++) {
		lab_rx(l, &f);
		CHECK_EQ(l->out[0], UP & ~2ull);
	}
	CHECK_EQ(l->state.sw->n_flows_added, n_max);
	CHECK_EQ(l->state.sw->n_flows_refused, 50);
	/* They leave, rest, and their space is used again. */
	lab_wait(l, IDLE_NS);
	CHECK_EQ(table_exact_n_used(l->state.flows), 0);
	for (int i = 0; i < 4; i++)
		lab_wait(l, 4 * LAB_TICK);
	for (f.sport = 0; f.sport < n_max; f.sport++)
		lab_rx(l, &f);
	CHECK_EQ(l->state.sw->n_flows_refused, 50);
	close_lab(l);
}

static void entries_rest_until_no_engine_holds_them(void)
{
	struct lab *l = open_lab();

	l->fake.n_grace_asks = UINT32_MAX;
	rx(l, 1, 1, LAB_ALL);
	lab_wait(l, IDLE_NS);
	for (int i = 0; i < 10; i++)
		lab_wait(l, IDLE_NS);
	CHECK_EQ(table_exact_n_resting(l->state.flows), 1);
	l->fake.n_grace_asks = 0;
	lab_wait(l, IDLE_NS);
	CHECK_EQ(table_exact_n_resting(l->state.flows), 0);
	close_lab(l);
}

static void vlans_learn_by_themselves(void)
{
	struct lab *l = open_lab();
	struct lab_frame f = {.port = 1, .src = 1, .dst = LAB_ALL, .vlan = 5};

	lab_rx(l, &f);
	f = (struct lab_frame){.port = 2, .src = 2, .dst = 1, .vlan = 5};
	lab_rx(l, &f);
	CHECK_EQ(l->out[0], 2);
	f.vlan = 6;
	lab_rx(l, &f);
	CHECK_EQ(l->out[0], UP & ~4ull);
	f.vlan = 0;
	lab_rx(l, &f);
	CHECK_EQ(l->out[0], UP & ~4ull);
	CHECK(lab_mac(l, 2, 5) && lab_mac(l, 2, 6) && lab_mac(l, 2, 0));
	close_lab(l);
}

static void two_switches_in_one_process(void)
{
	struct lab *a = open_lab(), *b = open_lab();

	rx(a, 1, 1, LAB_ALL);
	rx(b, 2, 1, LAB_ALL);
	CHECK_EQ(rx(a, 3, 2, 1), 2);
	CHECK_EQ(rx(b, 3, 2, 1), 4);
	CHECK_EQ(rx(a, 3, 2, 1), 2);
	CHECK_EQ(rx(b, 3, 2, 1), 4);
	close_lab(a);
	CHECK_EQ(rx(b, 4, 3, 2), 8);
	close_lab(b);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(the_first_packet_is_counted_and_later_ones_are_not_ours);
	TEST(idle_flows_leave_and_used_ones_stay);
	TEST(an_address_stays_while_its_flows_are_used);
	TEST(a_station_that_moves_is_followed_at_once);
	TEST(a_station_that_flaps_rests);
	TEST(unknown_addresses_flood_until_they_are_learned);
	TEST(reserved_addresses_stay_on_their_link);
	TEST(what_goes_with_a_port);
	TEST(nobody_else_is_there);
	TEST(over_the_limit_addresses_are_not_learned_but_served);
	TEST(an_unlearned_source_has_another_chance);
	TEST(without_space_the_slow_path_serves);
	TEST(entries_rest_until_no_engine_holds_them);
	TEST(vlans_learn_by_themselves);
	TEST(two_switches_in_one_process);
	return test_done();
}
