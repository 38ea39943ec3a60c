/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's promises, one by one; see twin_test.c for all of them at once. */
#include "engine/poll/poll.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/test.h"
#include "engine/poll/lab_test.h"
#include "sluice/parse.h"
#include "table/change.h"

/* A flow from port in, host 1 to host 2; its frame. */
static void one_flow(struct lab *lab, uint32_t in, sluice_act act,
		     uint8_t frame[60])
{
	struct lab_udp u = {.from = 1, .to = 2, .len = 60};
	struct sluice_key key;

	lab_frame(&u, frame);
	CHECK_EQ(sluice_parse(frame, frame + 60, in, &key), SLUICE_DROP_NONE);
	CHECK(lab_flow(lab, &key, act));
}

static void a_verdict_is_what_a_round_does(void)
{
	struct poll_verdict v;
	struct frame f = {.in_port = 1, .len = 60};
	uint8_t frame[60];
	struct lab lab;
	uint64_t up = 0xe;

	lab_init(&lab, 3, 64);
	one_flow(&lab, 1, sluice_act_of(SLUICE_ACT_SET, 7), frame);
	f.data = frame;
	lab_set(&lab, 7, ~0ull);
	poll_verdict(poll_tables(lab.engine), &f, up, &v);
	CHECK(v.ports == 0xc && !v.is_slow && !v.drop && v.flow);
	lab_set(&lab, 7, 2);
	poll_verdict(poll_tables(lab.engine), &f, up, &v);
	CHECK(!v.ports && v.drop == SLUICE_DROP_NO_PORT && v.flow);
	f.in_port = 2;
	poll_verdict(poll_tables(lab.engine), &f, up, &v);
	CHECK(!v.ports && v.is_slow && !v.drop && !v.flow);
	f.len = 13;
	poll_verdict(poll_tables(lab.engine), &f, up, &v);
	CHECK(!v.is_slow && v.drop == SLUICE_DROP_SHORT_ETH);
	f.len = 60;
	f.in_port = 1;
	v.flow = NULL;
	poll_verdict(poll_tables(lab.engine), &f, up, &v);
	CHECK(v.flow && v.flow->n_packets == 0);
	lab_fini(&lab);
}

/* One frame of each of n flows goes in; how many come out by ports 2 and 3. */
static void count_outputs(struct lab *lab, uint8_t (*frames)[60], uint32_t n,
			  uint32_t out[4])
{
	uint8_t got[60];

	for (uint32_t i = 0; i < n; i++)
		CHECK(mem_peer_push(lab->peers[1], frames[i], 60, NULL));
	CHECK_EQ(poll_round(lab->engine, 1), n);
	for (uint32_t port = 2; port <= 3; port++)
		for (out[port] = 0;
		     mem_peer_pop(lab->peers[port], got, sizeof(got), NULL);)
			out[port]++;
}

static void a_change_set_holds_from_its_version(void)
{
	enum { N = 16 };
	struct sluice_flow to_3 = {
		.act = sluice_act_of(SLUICE_ACT_OUTPUT, 3).w};
	struct change_item items[N + 1];
	struct sluice_key keys[N];
	uint8_t frames[N][60];
	struct change_log *log;
	struct lab lab;
	uint32_t out[4], bad;

	lab_init(&lab, 3, 64);
	must(!change_log_new(lab.region, &log));
	for (uint32_t i = 0; i < N; i++) {
		struct lab_udp u = {1, 2, (uint16_t)i, 60, i};

		lab_frame(&u, frames[i]);
		CHECK_EQ(sluice_parse(frames[i], frames[i] + 60, 1, &keys[i]),
			 SLUICE_DROP_NONE);
		CHECK(lab_flow(&lab, &keys[i],
			       sluice_act_of(SLUICE_ACT_OUTPUT, 2)));
		items[i] = (struct change_item){table_exact_change(lab.flows),
						CHANGE_SET, &keys[i], &to_3};
	}
	/* One item cannot be done: none is. */
	items[N] = items[0];
	CHECK_EQ(change_apply(log, items, N + 1, &bad, NULL), -EINVAL);
	CHECK_EQ(bad, N);
	count_outputs(&lab, frames, N, out);
	CHECK(out[2] == N && out[3] == 0);
	CHECK_EQ(change_apply(log, items, N, &bad, NULL), 0);
	count_outputs(&lab, frames, N, out);
	CHECK(out[2] == 0 && out[3] == N);
	CHECK_EQ(change_settle(log, change_mark(log), UINT64_MAX), N);
	count_outputs(&lab, frames, N, out);
	CHECK(out[2] == 0 && out[3] == N);
	for (uint32_t i = 0; i < N; i++)
		items[i].kind = CHANGE_DEL;
	CHECK_EQ(change_apply(log, items, N, &bad, NULL), 0);
	count_outputs(&lab, frames, N, out);
	CHECK(out[2] == 0 && out[3] == 0 && lab.n_slow == N);
	CHECK(lab_adds_up(&lab));
	change_log_free(log);
	lab_fini(&lab);
}

static void a_full_port_loses_what_is_counted(void)
{
	struct sluice_port_stats s;
	uint8_t frame[60];
	struct lab lab;

	lab_init(&lab, 2, 8);
	one_flow(&lab, 1, sluice_act_of(SLUICE_ACT_OUTPUT, 2), frame);
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 4; i++)
			CHECK(mem_peer_push(lab.peers[1], frame, 60, NULL));
		CHECK_EQ(poll_round(lab.engine, 1), 4);
	}
	sluice_reader_stats(&lab.see, 1, &s);
	CHECK_EQ(s.rx_packets, 12);
	CHECK_EQ(s.drops[SLUICE_DROP_TX_FULL], 4);
	sluice_reader_stats(&lab.see, 2, &s);
	CHECK_EQ(s.tx_packets, 8);
	CHECK(lab_adds_up(&lab));
	lab_fini(&lab);
}

static void a_slow_path_that_is_full_or_gone_is_counted(void)
{
	struct sluice_port_stats s;
	uint8_t frame[60];
	struct lab lab;

	lab_init(&lab, 2, 64);
	one_flow(&lab, 1, sluice_act_of(SLUICE_ACT_SLOW, 0), frame);
	for (uint32_t i = 0; i < 3; i++) {
		static const uint8_t says[] = {SLUICE_DROP_NONE,
					       SLUICE_DROP_MISS_FULL,
					       SLUICE_DROP_NO_SLOW_PATH};

		lab.slow_says = says[i];
		CHECK(mem_peer_push(lab.peers[1], frame, 60, NULL));
		CHECK_EQ(poll_round(lab.engine, 1), 1);
	}
	sluice_reader_stats(&lab.see, 1, &s);
	CHECK_EQ(s.missed, 1);
	CHECK_EQ(s.drops[SLUICE_DROP_MISS_FULL], 1);
	CHECK_EQ(s.drops[SLUICE_DROP_NO_SLOW_PATH], 1);
	CHECK_EQ(lab.n_slow, 1);
	CHECK(lab.slow_len == 60 && memcmp(lab.slow_frame, frame, 60) == 0);
	CHECK(lab_adds_up(&lab));
	lab_fini(&lab);
}

static void a_busy_port_does_not_starve_another(void)
{
	uint8_t noisy[60], quiet[60];
	struct sluice_port_stats s;
	struct lab lab;

	lab_init(&lab, 3, 4096);
	one_flow(&lab, 1, sluice_act_of(SLUICE_ACT_DROP, 0), noisy);
	one_flow(&lab, 3, sluice_act_of(SLUICE_ACT_OUTPUT, 2), quiet);
	while (mem_peer_push(lab.peers[1], noisy, 60, NULL))
		;
	CHECK(mem_peer_push(lab.peers[3], quiet, 60, NULL));
	CHECK_EQ(poll_round(lab.engine, 1), POLL_BUDGET + 1);
	sluice_reader_stats(&lab.see, 2, &s);
	CHECK_EQ(s.tx_packets, 1);
	lab_fini(&lab);
}

/* Two senders to one port that takes 16 a round: each gets its share. */
static void senders_share_a_port_that_is_too_slow(void)
{
	struct sluice_port_stats s;
	uint64_t n_sent[3], total;
	uint8_t frame[60];
	struct lab lab;

	lab_init(&lab, 2, 128);
	lab_port(&lab, 3, 16);
	one_flow(&lab, 1, sluice_act_of(SLUICE_ACT_OUTPUT, 3), frame);
	one_flow(&lab, 2, sluice_act_of(SLUICE_ACT_OUTPUT, 3), frame);
	for (uint32_t round = 0; round < 6400; round++) {
		for (uint32_t i = 1; i <= 2; i++)
			while (mem_peer_push(lab.peers[i], frame, 60, NULL))
				;
		poll_round(lab.engine, 1);
		mem_peer_forget(lab.peers[3]);
	}
	for (uint32_t i = 1; i <= 2; i++) {
		sluice_reader_stats(&lab.see, i, &s);
		n_sent[i] = s.rx_packets - s.drops[SLUICE_DROP_TX_FULL];
	}
	total = n_sent[1] + n_sent[2];
	CHECK_EQ(total, 6400 * 16);
	CHECK(n_sent[1] > total / 3 && n_sent[2] > total / 3);
	lab_fini(&lab);
}

static void a_frame_beyond_the_mtu_is_dropped_unless_it_is_segments(void)
{
	struct virtio_net_hdr gso = {.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
				     .gso_size = 1000};
	struct lab_udp u = {.from = 1, .to = 2, .len = 1600};
	struct virtio_net_hdr vnet;
	struct sluice_port_stats s;
	uint8_t frame[1600];
	struct lab lab;

	lab_init(&lab, 2, 16);
	one_flow(&lab, 1, sluice_act_of(SLUICE_ACT_OUTPUT, 2), frame);
	lab_frame(&u, frame);
	CHECK(mem_peer_push(lab.peers[1], frame, 1600, NULL));
	CHECK(mem_peer_push(lab.peers[1], frame, 1600, &gso));
	CHECK_EQ(poll_round(lab.engine, 1), 2);
	sluice_reader_stats(&lab.see, 1, &s);
	CHECK_EQ(s.drops[SLUICE_DROP_TOO_LONG], 1);
	CHECK_EQ(mem_peer_pop(lab.peers[2], frame, sizeof(frame), &vnet), 1600);
	CHECK(memcmp(&vnet, &gso, sizeof(gso)) == 0);
	CHECK_EQ(mem_peer_pop(lab.peers[2], frame, sizeof(frame), &vnet), 0);
	CHECK(lab_adds_up(&lab));
	lab_fini(&lab);
}

static void what_the_slow_path_sends_is_sent_or_taken_back(void)
{
	struct sluice_port_stats s;
	struct lab_udp u = {.len = 60};
	uint8_t frame[60], got[60];
	struct frame f = {.data = frame, .len = 60, .in_port = 1};
	struct lab lab;

	lab_init(&lab, 2, 16);
	lab_frame(&u, frame);
	poll_send(lab.engine, 2, &f);
	poll_send(lab.engine, 3, &f);
	CHECK_EQ(mem_peer_pop(lab.peers[2], got, 60, NULL), 60);
	CHECK_EQ(mem_peer_pop(lab.peers[2], got, 60, NULL), 0);
	/* Only what was lost is counted here, as not sent after all. */
	sluice_reader_stats(&lab.see, 2, &s);
	CHECK(s.tx_packets == 0 && s.tx_bytes == 0);
	sluice_reader_stats(&lab.see, 3, &s);
	CHECK(s.tx_packets == -1ull && s.tx_bytes == -60ull);
	sluice_reader_stats(&lab.see, 1, &s);
	CHECK_EQ(s.drops[SLUICE_DROP_NO_PORT], 1);
	lab_fini(&lab);
}

static void a_port_leaves_and_another_comes(void)
{
	struct sluice_port_stats s;
	uint8_t frame[60];
	struct lab lab;

	lab_init(&lab, 2, 16);
	one_flow(&lab, 1, sluice_act_of(SLUICE_ACT_OUTPUT, 2), frame);
	CHECK_EQ(poll_ports(lab.engine), 6);
	poll_port_close(lab.engine, 2);
	poll_port_close(lab.engine, 2);
	CHECK_EQ(poll_ports(lab.engine), 2);
	CHECK(mem_peer_push(lab.peers[1], frame, 60, NULL));
	poll_round(lab.engine, 1);
	sluice_reader_stats(&lab.see, 1, &s);
	CHECK_EQ(s.drops[SLUICE_DROP_NO_PORT], 1);
	mem_peer_free(lab.peers[2]);
	lab_port(&lab, 2, 16);
	CHECK(mem_peer_push(lab.peers[1], frame, 60, NULL));
	poll_round(lab.engine, 1);
	sluice_reader_stats(&lab.see, 2, &s);
	CHECK_EQ(s.tx_packets, 1);
	CHECK_EQ(poll_port_give(lab.engine, 2, poll_port(lab.engine, 1)),
		 -EEXIST);
	CHECK_EQ(poll_port_give(lab.engine, 0, poll_port(lab.engine, 1)),
		 -EINVAL);
	CHECK_EQ(poll_port_give(lab.engine, 64, poll_port(lab.engine, 1)),
		 -EINVAL);
	lab_fini(&lab);
}

static void counters_and_rounds_go_on_in_a_new_engine(void)
{
	struct sluice_port_stats s;
	uint8_t frame[60];
	uint64_t round;
	struct sluice_section *records;
	struct lab lab;

	lab_init(&lab, 2, 16);
	one_flow(&lab, 1, sluice_act_of(SLUICE_ACT_OUTPUT, 2), frame);
	CHECK(mem_peer_push(lab.peers[1], frame, 60, NULL));
	poll_round(lab.engine, 1);
	poll_free(lab.engine);
	/* As if it had been killed inside a round, and so had 63 others. */
	records = (struct sluice_section *)(uintptr_t)lab.see.sections;
	round = ++records[0].word;
	CHECK(round % 2 == 1);
	for (uint32_t i = 0; i < SLUICE_SECTIONS_N; i++)
		records[i].owner = ~0ull;
	lab_engine(&lab);
	CHECK(records[0].owner == sluice_owner_of(0));
	CHECK(records[0].word % 2 == 0);
	CHECK(records[0].word > round);
	for (uint32_t i = 1; i <= 2; i++) {
		mem_peer_free(lab.peers[i]);
		lab_port(&lab, i, 16);
	}
	CHECK(mem_peer_push(lab.peers[1], frame, 60, NULL));
	poll_round(lab.engine, 1);
	sluice_reader_stats(&lab.see, 2, &s);
	CHECK_EQ(s.tx_packets, 2);
	lab_fini(&lab);
}

static uint64_t tx_of(const struct lab *lab, uint32_t port)
{
	struct sluice_port_stats s;

	sluice_reader_stats(&lab->see, port, &s);
	return s.tx_packets;
}

static void a_fenced_engine_begins_anew_and_a_lost_record_is_taken_again(void)
{
	struct sluice_section *record;
	struct sluice_key key;
	uint8_t frame[60];
	struct lab lab;

	lab_init(&lab, 2, 16);
	one_flow(&lab, 1, sluice_act_of(SLUICE_ACT_OUTPUT, 2), frame);
	CHECK_EQ(sluice_parse(frame, frame + 60, 1, &key), SLUICE_DROP_NONE);
	record = (struct sluice_section *)(uintptr_t)lab.see.sections;
	CHECK_EQ(record->owner, sluice_owner_of(0));
	/* The section of the next round is fenced as soon as it begins. */
	record->fence = record->word + 1;
	CHECK(mem_peer_push(lab.peers[1], frame, 60, NULL));
	poll_round(lab.engine, 1);
	CHECK_EQ(record->word, record->fence + 3);
	CHECK_EQ(tx_of(&lab, 2), 1);
	/* Somebody has taken the record from us. */
	record->owner++;
	CHECK(mem_peer_push(lab.peers[1], frame, 60, NULL));
	CHECK_EQ(poll_round(lab.engine, 1), 0);
	CHECK_EQ(record->word % 2, 0);
	CHECK_EQ(lab_find(&lab, &key)->n_packets, 1);
	poll_sit(lab.engine);
	CHECK_EQ(record[1].owner, sluice_owner_of(0));
	CHECK(mem_peer_push(lab.peers[1], frame, 60, NULL));
	poll_round(lab.engine, 1);
	CHECK_EQ(tx_of(&lab, 2), 3);
	CHECK_EQ(lab_find(&lab, &key)->n_packets, 3);
	CHECK(lab_adds_up(&lab));
	lab_fini(&lab);
}

/* The first touch of the table of flows in a round, and what happens at it. */
static struct {
	void *mem;
	size_t len;
	struct sluice_section *record;
} trap;

static void on_touch(int sig)
{
	(void)sig;
	trap.record->fence = trap.record->word;
	mprotect(trap.mem, trap.len, PROT_READ | PROT_WRITE);
}

/* It has a burst and has begun to look for its flows: what it finds is void. */
static void who_is_fenced_amid_a_burst_counts_nothing(void)
{
	const struct sigaction on = {.sa_handler = on_touch};
	struct sigaction off;
	struct sluice_key key;
	uint8_t frame[60];
	struct lab lab;

	lab_init(&lab, 2, 16);
	one_flow(&lab, 1, sluice_act_of(SLUICE_ACT_OUTPUT, 2), frame);
	CHECK_EQ(sluice_parse(frame, frame + 60, 1, &key), SLUICE_DROP_NONE);
	for (uint32_t i = 0; i < 3; i++)
		CHECK(mem_peer_push(lab.peers[1], frame, 60, NULL));
	trap.record = (struct sluice_section *)(uintptr_t)lab.see.sections;
	/* The page of the flow's entry, in which no record lies. */
	trap.mem = (void *)((uintptr_t)lab_find(&lab, &key) & ~4095ull);
	trap.len = 4096;
	CHECK((uintptr_t)trap.record / 4096 != (uintptr_t)trap.mem / 4096);
	must(!sigaction(SIGSEGV, &on, &off));
	must(!mprotect(trap.mem, trap.len, PROT_NONE));
	poll_round(lab.engine, 1);
	must(!sigaction(SIGSEGV, &off, NULL));
	CHECK_EQ(trap.record->fence + 1, trap.record->word);
	CHECK_EQ(lab.n_slow, 3);
	CHECK_EQ(tx_of(&lab, 2), 0);
	CHECK_EQ(lab_find(&lab, &key)->n_packets, 0);
	CHECK(mem_peer_push(lab.peers[1], frame, 60, NULL));
	poll_round(lab.engine, 1);
	CHECK_EQ(tx_of(&lab, 2), 1);
	CHECK(lab_adds_up(&lab));
	lab_fini(&lab);
}

static void two_engines_share_nothing(void)
{
	uint8_t frame[60], got[60];
	struct sluice_port_stats s;
	struct lab a, b;

	lab_init(&a, 2, 16);
	lab_init(&b, 2, 16);
	one_flow(&a, 1, sluice_act_of(SLUICE_ACT_OUTPUT, 2), frame);
	CHECK(mem_peer_push(a.peers[1], frame, 60, NULL));
	CHECK(mem_peer_push(b.peers[1], frame, 60, NULL));
	CHECK_EQ(poll_round(a.engine, 1), 1);
	CHECK_EQ(poll_round(b.engine, 1), 1);
	CHECK_EQ(mem_peer_pop(a.peers[2], got, 60, NULL), 60);
	CHECK_EQ(mem_peer_pop(b.peers[2], got, 60, NULL), 0);
	CHECK_EQ(b.n_slow, 1);
	sluice_reader_stats(&b.see, 1, &s);
	CHECK(s.rx_packets == 1 && s.missed == 1);
	lab_fini(&a);
	lab_fini(&b);
}

/* CPU time of this process over 0.5 s in which nothing arrives. */
static uint64_t idle_cpu_ns(struct lab *lab)
{
	uint64_t end = clock_now_ns() + 500000000;
	uint64_t cpu = clock_cpu_ns();

	while (clock_now_ns() < end) {
		poll_wait(lab->engine, 100);
		poll_round(lab->engine, clock_coarse_ns());
	}
	return clock_cpu_ns() - cpu;
}

static void an_idle_engine_sleeps(void)
{
	struct lab lab;
	uint64_t ns;

	lab_init(&lab, 0, 16);
	ns = idle_cpu_ns(&lab);
	printf("# without ports: %u us of CPU in 500 ms\n",
	       (uint32_t)(ns / 1000));
	CHECK(ns < 50000000);
	lab_fini(&lab);
	lab_init(&lab, 2, 16);
	ns = idle_cpu_ns(&lab);
	printf("# with memory ports: %u us of CPU in 500 ms\n",
	       (uint32_t)(ns / 1000));
	CHECK(ns < 100000000);
	lab_fini(&lab);
}

static void a_region_that_is_none_is_refused(void)
{
	struct poll_slow slow = {0};
	struct why why = {0};
	struct poll *e;
	void *mem = aligned_alloc(4096, 65536);

	memset(mem, 0x5a, 65536);
	CHECK_EQ(poll_new(mem, 65536, &slow, &e, &why), -EINVAL);
	CHECK(why.text[0]);
	free(mem);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(a_verdict_is_what_a_round_does);
	TEST(a_change_set_holds_from_its_version);
	TEST(a_full_port_loses_what_is_counted);
	TEST(a_slow_path_that_is_full_or_gone_is_counted);
	TEST(a_busy_port_does_not_starve_another);
	TEST(senders_share_a_port_that_is_too_slow);
	TEST(a_frame_beyond_the_mtu_is_dropped_unless_it_is_segments);
	TEST(what_the_slow_path_sends_is_sent_or_taken_back);
	TEST(a_port_leaves_and_another_comes);
	TEST(counters_and_rounds_go_on_in_a_new_engine);
	TEST(a_fenced_engine_begins_anew_and_a_lost_record_is_taken_again);
	TEST(who_is_fenced_amid_a_burst_counts_nothing);
	TEST(two_engines_share_nothing);
	TEST(an_idle_engine_sleeps);
	TEST(a_region_that_is_none_is_refused);
	return test_done();
}
