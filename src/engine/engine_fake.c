/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine_fake.h"

#include <string.h>

#include "base/must.h"
#include "sluice/parse.h"

#define LANE 1u

static struct engine_fake *fake_of(struct engine *e)
{
	return container_of(e, struct engine_fake, engine);
}

static struct sluice_port_stats *stats_of(struct engine_fake *e, uint32_t lane,
					  uint32_t port)
{
	return &e->state->stats[lane * SLUICE_PORTS_MAX + port];
}

static void out(struct engine_fake *e, uint32_t lane, uint32_t port,
		const uint8_t *data, uint32_t len)
{
	state_count(&stats_of(e, lane, port)->tx_packets, 1);
	state_count(&stats_of(e, lane, port)->tx_bytes, len);
	if (e->sink)
		e->sink(e->ctx, port, data, len, lane == SLUICE_LANE_SLOW);
}

static bool can_send(const struct engine_fake *e, uint32_t port)
{
	return port < SLUICE_PORTS_MAX &&
	       e->state->ports[port].state == SLUICE_PORT_UP;
}

/* ---- What comes in. ---- */

static void miss(struct engine_fake *e, uint32_t port, const uint8_t *data,
		 uint32_t len)
{
	struct sluice_port_stats *st = stats_of(e, LANE, port);
	uint32_t slot = e->tail % FAKE_QUEUE;

	if (e->tail - e->head == FAKE_QUEUE) {
		state_count(&st->drops[SLUICE_DROP_MISS_FULL], 1);
		return;
	}
	state_count(&st->missed, 1);
	memcpy(e->frames[slot], data, len);
	e->queue[slot] = (struct miss){.data = e->frames[slot],
				       .len = len,
				       .in_port = port};
	e->tail++;
}

static void flood(struct engine_fake *e, uint32_t port, uint32_t set,
		  const uint8_t *data, uint32_t len)
{
	uint64_t ports = e->state->sets[set] & ~(1ull << port);
	uint32_t n = (uint32_t)__builtin_popcountll(ports);

	if (n == 0) {
		state_count(&stats_of(e, LANE, port)
				     ->drops[SLUICE_DROP_NO_PORT],
			    1);
		return;
	}
	state_count(&stats_of(e, LANE, port)->copies, n - 1);
	for (; ports; ports &= ports - 1)
		out(e, LANE, (uint32_t)__builtin_ctzll(ports), data, len);
}

static void known(struct engine_fake *e, uint32_t port, struct sluice_flow *f,
		  const uint8_t *data, uint32_t len)
{
	struct sluice_port_stats *st = stats_of(e, LANE, port);
	sluice_act a = {f->act};

	e->n_known++;
	sluice_flow_count(f, len, e->now_ns);
	switch (sluice_act_kind(a)) {
	case SLUICE_ACT_OUTPUT:
		if (can_send(e, sluice_act_arg(a)))
			out(e, LANE, sluice_act_arg(a), data, len);
		else
			state_count(&st->drops[SLUICE_DROP_NO_PORT], 1);
		break;
	case SLUICE_ACT_SET:
		flood(e, port, sluice_act_arg(a), data, len);
		break;
	default:
		state_count(&st->drops[sluice_act_reason(a)], 1);
	}
}

static void count_rx(struct engine_fake *e, uint32_t port, uint32_t len)
{
	must(len <= FAKE_FRAME_MAX);
	state_count(&stats_of(e, LANE, port)->rx_packets, 1);
	state_count(&stats_of(e, LANE, port)->rx_bytes, len);
}

void engine_fake_miss(struct engine_fake *e, uint32_t port, const uint8_t *data,
		      uint32_t len)
{
	count_rx(e, port, len);
	miss(e, port, data, len);
}

void engine_fake_rx(struct engine_fake *e, uint32_t port, const uint8_t *data,
		    uint32_t len)
{
	const struct sluice_exact_view *view =
		table_exact_view(e->state->flows);
	struct sluice_port_stats *st = stats_of(e, LANE, port);
	enum sluice_drop bad;
	struct sluice_key key;
	uint8_t *entry;

	count_rx(e, port, len);
	bad = sluice_parse(data, data + len, port, &key);
	if (bad != SLUICE_DROP_NONE)
		state_count(&st->drops[bad], 1);
	else if (sluice_exact_find(view, sluice_version(e->state->region->head),
				   &key, sizeof(key), &entry) == SLUICE_YES)
		known(e, port, sluice_entry_value(entry, sizeof(key)), data,
		      len);
	else
		miss(e, port, data, len);
}

/* ---- engine_ops ---- */

static int fake_port_add(struct engine *base, uint32_t no, struct why *why)
{
	(void)why;
	fake_of(base)->state->ports[no].state = SLUICE_PORT_UP;
	return 0;
}

static void fake_port_del(struct engine *base, uint32_t no)
{
	fake_of(base)->state->ports[no].state = SLUICE_PORT_DOWN;
}

static int fake_set_ports(struct engine *base, uint32_t set, uint64_t ports,
			  struct why *why)
{
	(void)why;
	fake_of(base)->state->sets[set] = ports;
	return 0;
}

static int fake_fd(struct engine *base)
{
	(void)base;
	return -1;
}

static uint32_t fake_recv(struct engine *base, struct miss *to, uint32_t n)
{
	struct engine_fake *e = fake_of(base);

	must(e->n_lent == 0);
	if (n > e->tail - e->head)
		n = e->tail - e->head;
	for (uint32_t i = 0; i < n; i++)
		to[i] = e->queue[(e->head + i) % FAKE_QUEUE];
	e->n_lent = n;
	return n;
}

static void fake_give(struct engine *base, const struct miss *m, uint32_t n)
{
	struct engine_fake *e = fake_of(base);

	(void)m;
	must(n <= e->n_lent);
	e->n_lent -= n;
	e->head += n;
}

static enum sluice_drop fake_send(struct engine *base, uint32_t port,
				  const uint8_t *data, uint32_t len)
{
	struct engine_fake *e = fake_of(base);

	if (!can_send(e, port))
		return SLUICE_DROP_NO_PORT;
	out(e, SLUICE_LANE_SLOW, port, data, len);
	return SLUICE_DROP_NONE;
}

static void fake_flush(struct engine *base)
{
	(void)base;
}

static uint64_t fake_grace_start(struct engine *base)
{
	fake_of(base)->n_asked = 0;
	return 1;
}

static bool fake_grace_done(struct engine *base, uint64_t ticket)
{
	struct engine_fake *e = fake_of(base);

	return ticket == 1 && e->n_asked++ >= e->n_grace_asks;
}

static void fake_close(struct engine *base, bool keep)
{
	(void)base;
	(void)keep;
}

void engine_fake_init(struct engine_fake *e, struct state *state)
{
	static const struct engine_ops ops = {
		.name = "fake",
		.port_add = fake_port_add,
		.port_del = fake_port_del,
		.set_ports = fake_set_ports,
		.fd = fake_fd,
		.recv = fake_recv,
		.give = fake_give,
		.send = fake_send,
		.flush = fake_flush,
		.grace_start = fake_grace_start,
		.grace_done = fake_grace_done,
		.close = fake_close,
	};

	memset(e, 0, sizeof(*e));
	e->engine.ops = &ops;
	e->state = state;
}

int64_t engine_fake_imbalance(const struct state *s)
{
	uint64_t in = 0, out = 0;

	for (uint32_t i = 0; i < s->sw->n_lanes * SLUICE_PORTS_MAX; i++) {
		const struct sluice_port_stats *st = &s->stats[i];

		in += st->rx_packets + st->copies;
		out += st->tx_packets + st->missed - st->taken;
		for (uint32_t d = 0; d < SLUICE_DROP_N; d++)
			out += st->drops[d];
	}
	return (int64_t)(in - out);
}
