/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user-space engine between two ports in memory, on one core, packets of
 * 64 bytes (60 without FCS).
 *
 *     forward/poll/FLOWS      random flows among so many
 *
 * One port is a source that writes each frame anew, as a device does; the other
 * copies what it is sent. So the limit, the same ports in a loop that does
 * nothing but receive and send, has the price of both in it.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "bench/bench.h"
#include "engine/poll/lab_test.h"
#include "sluice/parse.h"

#define N_ROUNDS 21u
#define N_PACKETS (1u << 20) /* a round */
#define FRAME_LEN 60u
#define SINK_FRAMES 1024u

struct source {
	struct port port;
	struct rng rng;
	uint32_t n_flows;
	uint8_t frame[FRAME_LEN];
};

struct sink {
	struct port port;
	uint64_t n;
	uint8_t frames[SINK_FRAMES][64];
};

/* Flow i comes from address 10.i. */
static void set_flow(uint8_t *frame, uint32_t i)
{
	frame[27] = (uint8_t)(i >> 16);
	frame[28] = (uint8_t)(i >> 8);
	frame[29] = (uint8_t)i;
}

static uint32_t source_recv(struct port *p, struct frame *out, uint32_t n)
{
	struct source *s = container_of(p, struct source, port);

	for (uint32_t i = 0; i < n; i++) {
		out[i].data = out[i].room + FRAME_HEADROOM;
		out[i].len = FRAME_LEN;
		memset(&out[i].vnet, 0, sizeof(out[i].vnet));
		memcpy(out[i].data, s->frame, FRAME_LEN);
		set_flow(out[i].data, rng_below(&s->rng, s->n_flows));
	}
	return n;
}

static void sink_send(struct port *p, struct frame *const *frames, uint32_t n,
		      uint8_t *lost)
{
	struct sink *s = container_of(p, struct sink, port);

	for (uint32_t i = 0; i < n; i++) {
		memcpy(s->frames[s->n++ % SINK_FRAMES], frames[i]->data,
		       FRAME_LEN);
		lost[i] = SLUICE_DROP_NONE;
	}
}

static void source_send(struct port *p, struct frame *const *frames, uint32_t n,
			uint8_t *lost)
{
	(void)p;
	(void)frames;
	memset(lost, SLUICE_DROP_TX_FULL, n);
}

static uint32_t sink_recv(struct port *p, struct frame *out, uint32_t n)
{
	(void)p;
	(void)out;
	(void)n;
	return 0;
}

/* Both lie in the program, so there is nothing to close. */
static void leave(struct port *p)
{
	(void)p;
}

static const struct port_ops source_ops = {
	.kind = "source",
	.recv = source_recv,
	.send = source_send,
	.close = leave,
};
static const struct port_ops sink_ops = {
	.kind = "sink",
	.recv = sink_recv,
	.send = sink_send,
	.close = leave,
};

struct rig {
	struct lab lab;
	struct source source;
	struct sink sink;
	/* The limit's own frames. */
	struct frame frames[PORT_BURST];
	uint8_t *rooms;
};

static void fill(struct rig *r, uint32_t n_flows)
{
	struct lab_udp u = {.from = 1, .to = 2, .len = FRAME_LEN};
	struct sluice_key key;

	lab_frame(&u, r->source.frame);
	for (uint32_t i = 0; i < n_flows; i++) {
		uint8_t *frame = r->source.frame;

		set_flow(frame, i);
		must(sluice_parse(frame, frame + FRAME_LEN, 1, &key) ==
		     SLUICE_DROP_NONE);
		must(lab_flow(&r->lab, &key,
			      sluice_act_of(SLUICE_ACT_OUTPUT, 2)));
	}
}

static void rig_init(struct rig *r, uint32_t n_flows)
{
	memset(r, 0, sizeof(*r));
	r->source = (struct source){
		.port = {.ops = &source_ops, .fd = -1, .mtu = 1500},
		.rng = rng_of(7),
		.n_flows = n_flows,
	};
	r->sink.port = (struct port){.ops = &sink_ops, .fd = -1, .mtu = 1500};
	lab_region(&r->lab, n_flows, true);
	lab_engine(&r->lab);
	fill(r, n_flows);
	must(poll_port_give(r->lab.engine, 1, &r->source.port) == 0);
	must(poll_port_give(r->lab.engine, 2, &r->sink.port) == 0);
	r->rooms = aligned_alloc(64, (size_t)PORT_BURST * FRAME_ROOM);
	must(r->rooms);
	for (uint32_t i = 0; i < PORT_BURST; i++)
		r->frames[i].room = r->rooms + (size_t)i * FRAME_ROOM;
}

static void rig_fini(struct rig *r)
{
	struct sluice_port_stats s;

	sluice_reader_stats(&r->lab.see, 1, &s);
	must(lab_adds_up(&r->lab) && s.missed == 0);
	lab_fini(&r->lab);
	free(r->rooms);
}

/* Both return millions of packets per second of CPU. */
static double forward(struct rig *r)
{
	uint64_t start_ns = clock_cpu_ns(), n = 0;

	while (n < N_PACKETS)
		n += poll_round(r->lab.engine, clock_coarse_ns());
	return (double)n * 1e3 / (double)(clock_cpu_ns() - start_ns);
}

static double only_ports(struct rig *r)
{
	uint64_t start_ns = clock_cpu_ns(), n = 0;
	struct frame *frames[PORT_BURST];
	uint8_t lost[PORT_BURST];

	for (uint32_t i = 0; i < PORT_BURST; i++)
		frames[i] = &r->frames[i];
	while (n < N_PACKETS) {
		uint32_t got =
			source_recv(&r->source.port, r->frames, PORT_BURST);

		sink_send(&r->sink.port, frames, got, lost);
		n += got;
	}
	return (double)n * 1e3 / (double)(clock_cpu_ns() - start_ns);
}

static void measure(const struct bench *b, const char *flows, uint32_t n_flows)
{
	static struct rig rig;
	struct bench_row row = {.unit = "Mpps"};

	snprintf(row.name, sizeof(row.name), "forward/poll/%s", flows);
	if (!bench_wants(b, row.name))
		return;
	rig_init(&rig, n_flows);
	bench_say("%s: pages of %u bytes", row.name, rig.lab.region->page_len);
	forward(&rig);
	for (uint32_t i = 0; i < N_ROUNDS; i++) {
		bench_add(&row.ours, forward(&rig));
		bench_add(&row.limit, only_ports(&rig));
	}
	rig_fini(&rig);
	bench_emit(&row);
}

int main(int argc, char **argv)
{
	struct bench b;

	bench_init(&b, argc, argv);
	if (bench_wants(&b, "forward/poll/1M"))
		bench_huge_reserve(200u << 20);
	measure(&b, "1", 1);
	measure(&b, "4096", 4096);
	measure(&b, "1M", 1u << 20);
	return 0;
}
