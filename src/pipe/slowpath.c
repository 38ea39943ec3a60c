/* SPDX-License-Identifier: Apache-2.0 */
#include "pipe/slowpath.h"

#include <string.h>

#include "sluice/parse.h"

/*
 * Flows are written one at a time, though the table takes batches: the answer
 * to one miss may change the flow that the miss before it made (its source is
 * learned, its flow is pointed to it), so that flow must be there already.
 *
 * A flow in the table is asked for before the program is: the engine hands up
 * whatever missed before the flow was written, and those are only sent on.
 */

#define TIMERS_BATCH (2 * SLOWPATH_BATCH)

int slowpath_init(struct slowpath *s, const struct learn_conf *conf,
		  struct engine *engine, uint64_t now_ns)
{
	*s = (struct slowpath){.state = conf->state, .engine = engine};
	s->has_forwarded = conf->state->sw->first_packet_ns != 0;
	return learn_new(conf, now_ns, &s->learn);
}

void slowpath_fini(struct slowpath *s)
{
	learn_free(s->learn);
	s->learn = NULL;
}

int slowpath_set_up(struct slowpath *s, uint64_t up, struct why *why)
{
	int err = s->engine->ops->set_ports(s->engine, SLUICE_SET_ALL, up, why);

	learn_set_up(s->learn, up);
	return err;
}

void slowpath_adopt(struct slowpath *s, uint64_t now_ns)
{
	learn_adopt(s->learn, now_ns);
	/* What was free rests: an engine may hold what died with the other. */
	flows_settle(learn_flows(s->learn), s->engine, now_ns);
}

/* ---- One packet. ---- */

static void drop(struct slowpath *s, const struct miss *m,
		 enum sluice_drop reason)
{
	state_count(&state_stats(s->state, m->in_port)->drops[reason], 1);
}

static void send(struct slowpath *s, const struct miss *m, uint32_t port)
{
	enum sluice_drop reason =
		s->engine->ops->send(s->engine, port, m->data, m->len);

	if (reason == SLUICE_DROP_NONE)
		s->has_forwarded = true;
	else
		drop(s, m, reason);
}

static void send_set(struct slowpath *s, const struct miss *m, uint32_t set)
{
	uint64_t ports = 0;
	uint32_t n;

	if (set < SLUICE_SETS_MAX)
		ports = sluice_load64_relaxed(&s->state->sets[set]);
	ports &= ~(1ull << m->in_port);
	n = (uint32_t)__builtin_popcountll(ports);
	if (n == 0) {
		drop(s, m, SLUICE_DROP_NO_PORT);
		return;
	}
	state_count(&state_stats(s->state, m->in_port)->copies, n - 1);
	while (ports) {
		send(s, m, (uint32_t)__builtin_ctzll(ports));
		ports &= ports - 1;
	}
}

static void act(struct slowpath *s, const struct miss *m, sluice_act a)
{
	switch (sluice_act_kind(a)) {
	case SLUICE_ACT_OUTPUT:
		send(s, m, sluice_act_arg(a));
		break;
	case SLUICE_ACT_SET:
		send_set(s, m, sluice_act_arg(a));
		break;
	default:
		drop(s, m, sluice_act_reason(a));
	}
}

static void take(struct slowpath *s, const struct miss *m,
		 const struct sluice_key *key, uint64_t now_ns)
{
	struct flows *flows = learn_flows(s->learn);
	struct flow_answer answer;
	uint32_t flow = flows_find(flows, key);

	if (flow != FLOW_NONE) {
		answer.act.w = flows_at(flows, flow)->act;
	} else {
		learn_packet(s->learn, key, now_ns, &answer);
		if (answer.keep)
			flow = flows_add(flows, key, &answer, now_ns);
	}
	if (flow != FLOW_NONE)
		flows_count(flows, flow, m->len, now_ns);
	act(s, m, answer.act);
}

/* ---- Rounds. ---- */

/*
 * Parses n misses. The bad ones are dropped; the others move to the front, with
 * their keys. Returns how many these are.
 */
static uint32_t parse(struct slowpath *s, struct miss *m,
		      struct sluice_key *keys, uint32_t n)
{
	uint32_t n_good = 0;

	for (uint32_t i = 0; i < n; i++) {
		enum sluice_drop bad;

		if (m[i].in_port >= SLUICE_PORTS_MAX)
			continue;
		state_count(&state_stats(s->state, m[i].in_port)->taken, 1);
		bad = sluice_parse(m[i].data, m[i].data + m[i].len,
				   m[i].in_port, &keys[n_good]);
		if (bad == SLUICE_DROP_NONE)
			m[n_good++] = m[i];
		else
			drop(s, &m[i], bad);
	}
	return n_good;
}

uint32_t slowpath_round(struct slowpath *s, uint64_t now_ns)
{
	const struct engine_ops *ops = s->engine->ops;
	bool was_idle = !s->has_forwarded;
	struct sluice_key keys[SLOWPATH_BATCH];
	struct miss misses[SLOWPATH_BATCH], good[SLOWPATH_BATCH];
	uint32_t n = ops->recv(s->engine, misses, SLOWPATH_BATCH);
	uint32_t n_good;

	if (n == 0)
		return 0;
	memcpy(good, misses, sizeof(*good) * n);
	n_good = parse(s, good, keys, n);
	flows_fetch(learn_flows(s->learn), keys, n_good);
	for (uint32_t i = 0; i < n_good; i++)
		take(s, &good[i], &keys[i], now_ns);
	ops->flush(s->engine);
	ops->give(s->engine, misses, n);
	if (was_idle && s->has_forwarded)
		state_store(&s->state->sw->first_packet_ns, now_ns);
	return n;
}

bool slowpath_timers(struct slowpath *s, uint64_t now_ns)
{
	bool more = learn_expire(s->learn, now_ns, TIMERS_BATCH);

	flows_settle(learn_flows(s->learn), s->engine, now_ns);
	return more;
}

uint64_t slowpath_next_ns(const struct slowpath *s)
{
	return learn_next_ns(s->learn);
}
