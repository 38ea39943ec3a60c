/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "base/wheel.h"
#include "sluice/exact_batch.h"

/*
 * Entries of the table never move, so an entry's index names its flow, and all
 * that is private to us lies in arrays over that index: no second look-up. The
 * lists are doubly linked by index; a flow is in one list for each side.
 *
 * The timer of a flow is not touched when a packet comes. When it fires, the
 * flow's own stamps say whether it was used since, and it is set again from
 * there: one look at a flow per idle time.
 *
 * A removed flow's counters need folding nowhere: ports count in their own
 * lanes, and of the flow only its last use matters, to its source.
 */

#define TICK_SHIFT 20u	   /* a tick is 1.05 ms */
#define SETTLE_NS 4000000u /* between two looks at a grace period */
#define NO_TICKET UINT64_MAX

struct link {
	uint32_t next[FLOW_SIDES];
	uint32_t prev[FLOW_SIDES]; /* FLOW_NONE: first of its list */
	uint32_t from[FLOW_SIDES];
	uint32_t slow_ticks; /* creation to the last packet sent from here */
	bool brief;
};

struct flows {
	struct flows_conf conf;
	struct table_exact *table;
	const struct sluice_exact_view *view;
	struct link *links;	     /* [entries] */
	uint32_t *heads[FLOW_SIDES]; /* [n_origins] */
	struct wheel wheel;	     /* over the entries */

	/* The grace period that runs. */
	bool has_ticket;
	uint64_t ticket;
	uint64_t mark;
	uint64_t settle_ns; /* when to look at it */
};

/* ---- Life. ---- */

static uint32_t *heads_new(uint32_t n)
{
	uint32_t *heads = malloc(sizeof(*heads) * n);

	for (uint32_t i = 0; heads && i < n; i++)
		heads[i] = FLOW_NONE;
	return heads;
}

int flows_new(const struct flows_conf *conf, uint64_t now_ns,
	      struct flows **out)
{
	struct flows *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	f->conf = *conf;
	f->table = conf->state->flows;
	f->view = table_exact_view(f->table);
	err = wheel_init(&f->wheel, f->view->n_entries, now_ns >> TICK_SHIFT);
	if (err)
		goto undo;
	f->links = calloc(f->view->n_entries, sizeof(*f->links));
	f->heads[FLOW_SRC] = heads_new(conf->n_origins);
	f->heads[FLOW_DST] = heads_new(conf->n_origins);
	if (!f->links || !f->heads[FLOW_SRC] || !f->heads[FLOW_DST]) {
		err = -ENOMEM;
		goto undo;
	}
	*out = f;
	return 0;

undo:
	flows_free(f);
	return err;
}

void flows_free(struct flows *f)
{
	if (!f)
		return;
	free(f->heads[FLOW_SRC]);
	free(f->heads[FLOW_DST]);
	free(f->links);
	wheel_fini(&f->wheel);
	free(f);
}

/* ---- Entries. ---- */

static uint8_t *entry_of(const struct flows *f, uint32_t flow)
{
	return sluice_exact_entry(f->view, flow);
}

static uint32_t number_of(const struct flows *f, const uint8_t *entry)
{
	return (uint32_t)((uint64_t)(entry - f->view->entries) /
			  f->view->entry_len);
}

static struct sluice_flow *value_of(const struct flows *f, uint32_t flow)
{
	return sluice_entry_value(entry_of(f, flow), sizeof(struct sluice_key));
}

static struct sluice_key key_of(const struct flows *f, uint32_t flow)
{
	struct sluice_key key;

	memcpy(&key, sluice_entry_key(entry_of(f, flow)), sizeof(key));
	return key;
}

const struct sluice_flow *flows_at(const struct flows *f, uint32_t flow)
{
	return value_of(f, flow);
}

/* The newest of a flow's three stamps. */
static uint64_t used_ns(const struct flows *f, uint32_t flow)
{
	const struct sluice_flow *value = value_of(f, flow);
	uint64_t used = sluice_load64_relaxed(&value->used_ns);
	uint64_t created = sluice_load64_relaxed(&value->created_ns);
	uint64_t slow = (uint64_t)f->links[flow].slow_ticks << TICK_SHIFT;

	return used < created + slow ? created + slow : used;
}

/* ---- Links and timers. ---- */

static void side_link(struct flows *f, uint32_t flow, enum flow_side side,
		      uint32_t origin)
{
	struct link *l = &f->links[flow];
	uint32_t *head;

	l->from[side] = origin;
	if (origin == FLOW_NO_ORIGIN)
		return;
	must(origin < f->conf.n_origins);
	head = &f->heads[side][origin];
	l->next[side] = *head;
	l->prev[side] = FLOW_NONE;
	if (*head != FLOW_NONE)
		f->links[*head].prev[side] = flow;
	*head = flow;
}

static void side_unlink(struct flows *f, uint32_t flow, enum flow_side side)
{
	const struct link *l = &f->links[flow];

	if (l->from[side] == FLOW_NO_ORIGIN)
		return;
	if (l->next[side] != FLOW_NONE)
		f->links[l->next[side]].prev[side] = l->prev[side];
	if (l->prev[side] != FLOW_NONE)
		f->links[l->prev[side]].next[side] = l->next[side];
	else
		f->heads[side][l->from[side]] = l->next[side];
}

/* Arms the timer for idle_ns after a use, never before that. */
static void arm(struct flows *f, uint32_t flow, uint64_t last_ns)
{
	uint64_t deadline = last_ns + f->conf.idle_ns;

	wheel_arm(&f->wheel, flow,
		  (deadline + (1u << TICK_SHIFT) - 1) >> TICK_SHIFT);
}

static void link_new(struct flows *f, uint32_t flow,
		     const struct flow_answer *answer, uint64_t last_ns)
{
	side_link(f, flow, FLOW_SRC, answer->from[FLOW_SRC]);
	side_link(f, flow, FLOW_DST, answer->from[FLOW_DST]);
	f->links[flow].slow_ticks = 0;
	f->links[flow].brief = answer->brief;
	arm(f, flow, last_ns);
}

static void remove_flow(struct flows *f, uint32_t flow)
{
	struct sluice_key key = key_of(f, flow);

	side_unlink(f, flow, FLOW_SRC);
	side_unlink(f, flow, FLOW_DST);
	wheel_disarm(&f->wheel, flow);
	must(table_exact_del(f->table, &key));
	state_count(&f->conf.state->sw->n_flows_removed, 1);
}

/* ---- One flow. ---- */

void flows_fetch(struct flows *f, const struct sluice_key *keys, uint32_t n)
{
	struct sluice_exact_answers answers;

	must(n <= FLOWS_BATCH);
	/* The answers are old as soon as the first flow is written. */
	sluice_exact_find_batch(f->view, 0, keys, n, &answers);
}

uint32_t flows_find(struct flows *f, const struct sluice_key *key)
{
	uint8_t *entry = table_exact_find(f->table, key);

	return entry ? number_of(f, entry) : FLOW_NONE;
}

uint32_t flows_add(struct flows *f, const struct sluice_key *key,
		   const struct flow_answer *answer, uint64_t now_ns)
{
	struct sluice_flow value = {.act = answer->act.w, .created_ns = now_ns};
	struct sluice_switch *sw = f->conf.state->sw;
	uint8_t *entry;
	uint32_t flow;

	if (table_exact_set(f->table, key, &value, &entry)) {
		state_count(&sw->n_flows_refused, 1);
		return FLOW_NONE;
	}
	flow = number_of(f, entry);
	link_new(f, flow, answer, now_ns);
	state_count(&sw->n_flows_added, 1);
	return flow;
}

void flows_count(struct flows *f, uint32_t flow, uint32_t len, uint64_t now_ns)
{
	struct sluice_flow *value = value_of(f, flow);

	state_count(&value->slow_packets, 1);
	state_count(&value->slow_bytes, len);
	f->links[flow].slow_ticks =
		(uint32_t)((now_ns - value->created_ns) >> TICK_SHIFT);
}

/* ---- The flows of an origin. ---- */

/* Makes a flow say what the program says now, or removes it. */
static void recheck(struct flows *f, uint32_t flow)
{
	struct sluice_key key = key_of(f, flow);
	struct sluice_flow *value = value_of(f, flow);
	struct link *l = &f->links[flow];
	struct flow_answer now;

	f->conf.program.answer(f->conf.program.ctx, &key, &now);
	if (!now.keep) {
		remove_flow(f, flow);
		return;
	}
	if (value->act != now.act.w)
		state_store(&value->act, now.act.w);
	l->brief = now.brief;
	for (enum flow_side side = 0; side < FLOW_SIDES; side++) {
		if (l->from[side] == now.from[side])
			continue;
		side_unlink(f, flow, side);
		side_link(f, flow, side, now.from[side]);
	}
}

void flows_recheck(struct flows *f, enum flow_side side, uint32_t origin)
{
	uint32_t flow = f->heads[side][origin];

	while (flow != FLOW_NONE) {
		uint32_t next = f->links[flow].next[side];

		recheck(f, flow);
		flow = next;
	}
}

void flows_drop(struct flows *f, enum flow_side side, uint32_t origin)
{
	while (f->heads[side][origin] != FLOW_NONE)
		remove_flow(f, f->heads[side][origin]);
}

uint64_t flows_used_ns(const struct flows *f, uint32_t origin,
		       uint64_t enough_ns)
{
	uint32_t flow = f->heads[FLOW_SRC][origin];
	uint64_t last = 0;

	while (flow != FLOW_NONE && last <= enough_ns) {
		uint64_t used = used_ns(f, flow);

		last = used > last ? used : last;
		flow = f->links[flow].next[FLOW_SRC];
	}
	return last;
}

void flows_adopt(struct flows *f, uint64_t now_ns)
{
	for (uint32_t flow = 0; flow < f->view->n_entries; flow++) {
		const uint64_t *head = (const uint64_t *)entry_of(f, flow);
		const struct flow_answer none = {
			.from = {FLOW_NO_ORIGIN, FLOW_NO_ORIGIN}};
		uint64_t last;

		if (sluice_head_state(sluice_load64_relaxed(head)) !=
		    SLUICE_ENTRY_LIVE)
			continue;
		last = used_ns(f, flow);
		link_new(f, flow, &none, last < now_ns ? last : now_ns);
		recheck(f, flow);
	}
}

/* ---- Time. ---- */

static void expire_one(struct flows *f, uint32_t flow, uint64_t now_ns)
{
	const struct link *l = &f->links[flow];
	uint64_t last = used_ns(f, flow);

	/* An engine's stamp from the future would never let it go. */
	if (last > now_ns)
		last = now_ns;
	if (!l->brief && last + f->conf.idle_ns > now_ns) {
		arm(f, flow, last);
		return;
	}
	if (l->from[FLOW_SRC] != FLOW_NO_ORIGIN)
		f->conf.program.used(f->conf.program.ctx, l->from[FLOW_SRC],
				     last);
	remove_flow(f, flow);
}

uint32_t flows_expire(struct flows *f, uint64_t now_ns, uint32_t n)
{
	uint32_t i = 0;

	while (i < n) {
		uint32_t flow = wheel_pop(&f->wheel, now_ns >> TICK_SHIFT);

		if (flow == WHEEL_NONE)
			break;
		expire_one(f, flow, now_ns);
		i++;
	}
	return i;
}

void flows_settle(struct flows *f, struct engine *e, uint64_t now_ns)
{
	if (f->has_ticket) {
		if (now_ns < f->settle_ns)
			return;
		if (!e->ops->grace_done(e, f->ticket)) {
			f->settle_ns = now_ns + SETTLE_NS;
			return;
		}
		table_exact_reclaim(f->table, f->mark);
		f->has_ticket = false;
	}
	if (!table_exact_n_resting(f->table))
		return;
	f->mark = table_exact_mark(f->table);
	f->ticket = e->ops->grace_start(e);
	f->settle_ns = now_ns + SETTLE_NS;
	f->has_ticket = true;
}

uint64_t flows_next_ns(const struct flows *f)
{
	uint64_t tick = wheel_next(&f->wheel);
	uint64_t at = tick == WHEEL_NEVER ? UINT64_MAX : tick << TICK_SHIFT;

	return f->has_ticket && f->settle_ns < at ? f->settle_ns : at;
}
