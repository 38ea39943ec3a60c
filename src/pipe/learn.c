/* SPDX-License-Identifier: Apache-2.0 */
#include "pipe/learn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "base/rng.h"
#include "base/wheel.h"

/*
 * Origins of flows: a known station is the index of its entry in the table of
 * addresses; all stations that are not known are the buckets behind, by a
 * secret hash of their address. A packet to an unknown address gets a flow that
 * floods, too: a silent receiver of a fast stream would else keep the slow path
 * busy for ever. When the address is learned, its bucket has the flows that
 * must change.
 *
 * Order of stores, so that learn_adopt() can end what was begun: a station is
 * stored, then the flows that depend on it are asked anew; before a station
 * goes, the flows from it go.
 *
 * A flow whose source could not be learned is brief: it leaves at its first
 * timer even when in use, so that the source has another chance.
 */

#define TICK_SHIFT 20u /* a tick is 1.05 ms */

/* A station moves at most so often in so long; then it rests where it is. */
#define MOVES_MAX 5u
#define MOVES_NS 1000000000u

struct station {
	uint32_t next;	  /* the stations of a port; doubly linked */
	uint32_t prev;	  /* FLOW_NONE: the first */
	uint32_t port;	  /* 0: there is no such station */
	uint32_t n_moves; /* in the window that began then */
	uint64_t window_ns;
};

struct learn {
	struct learn_conf conf;
	struct flows *flows;
	struct table_exact *macs;
	const struct sluice_exact_view *view;
	struct station *stations;	  /* [entries] */
	uint32_t heads[SLUICE_PORTS_MAX]; /* first station of a port */
	struct wheel wheel;		  /* over the entries */
	uint32_t bucket_mask;
	uint64_t hash_keys[3];
	uint64_t up; /* bit n: port n */
};

/* ---- Stations. ---- */

static struct sluice_mac_key mac_key(const uint8_t mac[6], sluice_be16 tci)
{
	struct sluice_mac_key k;

	memcpy(k.mac, mac, sizeof(k.mac));
	/* Without the flag there is no tag; tag 0 is only a priority. */
	k.vlan = sluice_from_be16(tci) & SLUICE_VLAN_VID;
	return k;
}

static struct sluice_mac *mac_of(const struct learn *l, uint32_t st)
{
	return sluice_entry_value(sluice_exact_entry(l->view, st),
				  sizeof(struct sluice_mac_key));
}

static uint32_t station_find(const struct learn *l,
			     const struct sluice_mac_key *k)
{
	uint64_t word;
	const uint8_t *entry;

	memcpy(&word, k, sizeof(word));
	entry = table_exact_find(l->macs, &word);
	if (!entry)
		return FLOW_NONE;
	return (uint32_t)((uint64_t)(entry - l->view->entries) /
			  l->view->entry_len);
}

/* Where flows of an unknown station are kept. */
static uint32_t bucket_of(const struct learn *l, const struct sluice_mac_key *k)
{
	uint64_t word, h;

	memcpy(&word, k, sizeof(word));
	h = l->hash_keys[2] + (l->hash_keys[0] + (uint32_t)word) *
				      (l->hash_keys[1] + (word >> 32));
	return l->view->n_entries + ((uint32_t)(h >> 32) & l->bucket_mask);
}

static void station_link(struct learn *l, uint32_t st, uint32_t port)
{
	struct station *s = &l->stations[st];

	s->port = port;
	s->prev = FLOW_NONE;
	s->next = l->heads[port];
	if (s->next != FLOW_NONE)
		l->stations[s->next].prev = st;
	l->heads[port] = st;
}

static void station_unlink(struct learn *l, uint32_t st)
{
	struct station *s = &l->stations[st];

	if (s->next != FLOW_NONE)
		l->stations[s->next].prev = s->prev;
	if (s->prev != FLOW_NONE)
		l->stations[s->prev].next = s->next;
	else
		l->heads[s->port] = s->next;
	s->port = 0;
}

static void arm(struct learn *l, uint32_t st, uint64_t seen_ns)
{
	uint64_t deadline = seen_ns + l->conf.mac_age_ns;

	wheel_arm(&l->wheel, st,
		  (deadline + (1u << TICK_SHIFT) - 1) >> TICK_SHIFT);
}

/* Everything that floods to it, or came from it unlearned, belongs to it now. */
static void bucket_recheck(struct learn *l, uint32_t bucket)
{
	flows_recheck(l->flows, FLOW_SRC, bucket);
	flows_recheck(l->flows, FLOW_DST, bucket);
}

static void station_add(struct learn *l, const struct sluice_mac_key *k,
			uint32_t port, uint64_t now_ns)
{
	struct sluice_mac mac = {.port = port,
				 .seen_ns = now_ns,
				 .learned_ns = now_ns};
	uint8_t *entry;
	uint64_t word;
	uint32_t st;

	memcpy(&word, k, sizeof(word));
	if (table_exact_set(l->macs, &word, &mac, &entry)) {
		state_count(&l->conf.state->sw->n_macs_refused, 1);
		return;
	}
	st = (uint32_t)((uint64_t)(entry - l->view->entries) /
			l->view->entry_len);
	l->stations[st] = (struct station){.window_ns = now_ns};
	station_link(l, st, port);
	arm(l, st, now_ns);
	bucket_recheck(l, bucket_of(l, k));
}

/* Readers of addresses copy, they never hold an entry. */
static void macs_reclaim(struct learn *l)
{
	table_exact_reclaim(l->macs, table_exact_mark(l->macs));
}

/* Forgets a station; flows to it flood from now on. */
static void station_del(struct learn *l, uint32_t st)
{
	uint64_t word = *sluice_entry_key(sluice_exact_entry(l->view, st));

	flows_drop(l->flows, FLOW_SRC, st);
	wheel_disarm(&l->wheel, st);
	station_unlink(l, st);
	must(table_exact_del(l->macs, &word));
	macs_reclaim(l);
	flows_recheck(l->flows, FLOW_DST, st);
}

static void station_move(struct learn *l, uint32_t st, uint32_t port,
			 uint64_t now_ns)
{
	struct station *s = &l->stations[st];
	struct sluice_mac *mac = mac_of(l, st);

	if (now_ns - s->window_ns >= MOVES_NS) {
		s->window_ns = now_ns;
		s->n_moves = 0;
	}
	if (s->n_moves == MOVES_MAX)
		return;
	s->n_moves++;
	station_unlink(l, st);
	station_link(l, st, port);
	state_store(&mac->port, port);
	state_store(&mac->seen_ns, now_ns);
	state_count(&mac->n_moves, 1);
	flows_recheck(l->flows, FLOW_SRC, st);
	flows_recheck(l->flows, FLOW_DST, st);
}

/* ---- Packets. ---- */

static bool is_up(const struct learn *l, uint32_t port)
{
	return port < SLUICE_PORTS_MAX && l->up >> port & 1;
}

static bool is_group(const uint8_t mac[6])
{
	return mac[0] & 1;
}

/* 01:80:c2:00:00:00 to 0f: for the bridge at the other end only. */
static bool is_reserved(const uint8_t mac[6])
{
	static const uint8_t reserved[5] = {0x01, 0x80, 0xc2, 0x00, 0x00};

	return memcmp(mac, reserved, 5) == 0 && mac[5] < 0x10;
}

static void learn_source(struct learn *l, const struct sluice_key *key,
			 uint64_t now_ns)
{
	struct sluice_mac_key k = mac_key(key->eth_src, key->vlan_tci);
	uint32_t st;

	if (!is_up(l, key->in_port) || is_group(key->eth_src))
		return;
	st = station_find(l, &k);
	if (st == FLOW_NONE)
		station_add(l, &k, key->in_port, now_ns);
	else if (l->stations[st].port != key->in_port)
		station_move(l, st, key->in_port, now_ns);
	else
		state_store(&mac_of(l, st)->seen_ns, now_ns);
}

static void answer_unicast(const struct learn *l, const struct sluice_key *key,
			   struct flow_answer *out)
{
	struct sluice_mac_key k = mac_key(key->eth_dst, key->vlan_tci);
	uint32_t st = station_find(l, &k);

	if (st == FLOW_NONE) {
		out->act = sluice_act_of(SLUICE_ACT_SET, SLUICE_SET_ALL);
		out->from[FLOW_DST] = bucket_of(l, &k);
		return;
	}
	out->from[FLOW_DST] = st;
	if (l->stations[st].port != key->in_port)
		out->act =
			sluice_act_of(SLUICE_ACT_OUTPUT, l->stations[st].port);
}

void learn_answer(const struct learn *l, const struct sluice_key *key,
		  struct flow_answer *out)
{
	struct sluice_mac_key k = mac_key(key->eth_src, key->vlan_tci);
	uint32_t st = station_find(l, &k);

	*out = (struct flow_answer){
		.act = sluice_act_of(SLUICE_ACT_DROP, SLUICE_DROP_POLICY),
		.from = {FLOW_NO_ORIGIN, FLOW_NO_ORIGIN},
	};
	out->brief = st == FLOW_NONE;
	/* From a port that is not up: on its way while that came or went. */
	out->keep = is_up(l, key->in_port) &&
		    (out->brief || l->stations[st].port == key->in_port);
	out->from[FLOW_SRC] = out->brief ? bucket_of(l, &k) : st;
	if (is_reserved(key->eth_dst))
		out->act = sluice_act_of(SLUICE_ACT_DROP,
					 SLUICE_DROP_RESERVED_MAC);
	else if (is_group(key->eth_dst))
		out->act = sluice_act_of(SLUICE_ACT_SET, SLUICE_SET_ALL);
	else
		answer_unicast(l, key, out);
}

void learn_packet(struct learn *l, const struct sluice_key *key,
		  uint64_t now_ns, struct flow_answer *out)
{
	learn_source(l, key, now_ns);
	learn_answer(l, key, out);
}

/* ---- Ports and time. ---- */

void learn_set_up(struct learn *l, uint64_t up)
{
	uint64_t gone = l->up & ~up;

	l->up = up & ~1ull;
	while (gone) {
		uint32_t port = (uint32_t)__builtin_ctzll(gone);

		gone &= gone - 1;
		while (l->heads[port] != FLOW_NONE)
			station_del(l, l->heads[port]);
	}
}

/* A station's timer fired: was it, or a flow from it, used since? */
static void station_expire(struct learn *l, uint32_t st, uint64_t now_ns)
{
	uint64_t *seen_ns = &mac_of(l, st)->seen_ns;
	uint64_t age_ns = l->conf.mac_age_ns;
	uint64_t enough_ns = now_ns > age_ns / 2 ? now_ns - age_ns / 2 : 0;
	uint64_t used_ns = flows_used_ns(l->flows, st, enough_ns);

	if (used_ns > now_ns)
		used_ns = now_ns;
	if (used_ns > sluice_load64_relaxed(seen_ns))
		state_store(seen_ns, used_ns);
	if (sluice_load64_relaxed(seen_ns) + age_ns > now_ns)
		arm(l, st, sluice_load64_relaxed(seen_ns));
	else
		station_del(l, st);
}

bool learn_expire(struct learn *l, uint64_t now_ns, uint32_t n)
{
	bool more = flows_expire(l->flows, now_ns, n) == n;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t st = wheel_pop(&l->wheel, now_ns >> TICK_SHIFT);

		if (st == WHEEL_NONE)
			return more;
		station_expire(l, st, now_ns);
	}
	return true;
}

uint64_t learn_next_ns(const struct learn *l)
{
	uint64_t flows_ns = flows_next_ns(l->flows);
	uint64_t tick = wheel_next(&l->wheel);
	uint64_t at = tick == WHEEL_NEVER ? UINT64_MAX : tick << TICK_SHIFT;

	return flows_ns < at ? flows_ns : at;
}

/* ---- Life, and what flows ask. ---- */

static void program_answer(void *ctx, const struct sluice_key *key,
			   struct flow_answer *out)
{
	learn_answer(ctx, key, out);
}

static void program_used(void *ctx, uint32_t origin, uint64_t used_ns)
{
	const struct learn *l = ctx;
	uint64_t *seen_ns;

	if (origin >= l->view->n_entries)
		return; /* an unknown station */
	seen_ns = &mac_of(l, origin)->seen_ns;
	if (used_ns > sluice_load64_relaxed(seen_ns))
		state_store(seen_ns, used_ns);
}

/* A power of two that keeps the lists short at full table. */
static uint32_t buckets_for(uint32_t n_flows)
{
	uint32_t n = 64;

	while (n < n_flows / 2)
		n *= 2;
	return n;
}

int learn_new(const struct learn_conf *conf, uint64_t now_ns,
	      struct learn **out)
{
	struct learn *l = calloc(1, sizeof(*l));
	struct rng rng = rng_of(conf->seed);
	struct flows_conf flows = {
		.state = conf->state,
		.program = {program_answer, program_used, l},
		.idle_ns = conf->flow_idle_ns,
	};
	int err = -ENOMEM;

	if (!l)
		return -ENOMEM;
	l->conf = *conf;
	l->macs = conf->state->macs;
	l->view = table_exact_view(l->macs);
	for (uint32_t i = 0; i < SLUICE_PORTS_MAX; i++)
		l->heads[i] = FLOW_NONE;
	for (uint32_t i = 0; i < ARRAY_LEN(l->hash_keys); i++)
		l->hash_keys[i] = rng_next(&rng);
	l->bucket_mask = buckets_for(table_exact_n_max(conf->state->flows)) - 1;
	flows.n_origins = l->view->n_entries + l->bucket_mask + 1;
	l->stations = calloc(l->view->n_entries, sizeof(*l->stations));
	if (!l->stations)
		goto undo;
	err = wheel_init(&l->wheel, l->view->n_entries, now_ns >> TICK_SHIFT);
	if (!err)
		err = flows_new(&flows, now_ns, &l->flows);
	if (err)
		goto undo;
	*out = l;
	return 0;

undo:
	learn_free(l);
	return err;
}

void learn_free(struct learn *l)
{
	if (!l)
		return;
	flows_free(l->flows);
	wheel_fini(&l->wheel);
	free(l->stations);
	free(l);
}

struct flows *learn_flows(struct learn *l)
{
	return l->flows;
}

void learn_adopt(struct learn *l, uint64_t now_ns)
{
	macs_reclaim(l);
	for (uint32_t st = 0; st < l->view->n_entries; st++) {
		const uint64_t *head =
			(const uint64_t *)sluice_exact_entry(l->view, st);
		const struct sluice_mac *mac = mac_of(l, st);
		uint64_t seen_ns = mac->seen_ns;

		if (sluice_head_state(sluice_load64_relaxed(head)) !=
		    SLUICE_ENTRY_LIVE)
			continue;
		l->stations[st] = (struct station){.window_ns = now_ns};
		/* One of a port that is gone waits on port 0 for its end. */
		station_link(l, st,
			     is_up(l, (uint32_t)mac->port) ? (uint32_t)mac->port
							   : 0);
		arm(l, st, seen_ns < now_ns ? seen_ns : now_ns);
	}
	while (l->heads[0] != FLOW_NONE)
		station_del(l, l->heads[0]);
	flows_adopt(l->flows, now_ns);
}
