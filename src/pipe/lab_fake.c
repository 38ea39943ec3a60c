/* SPDX-License-Identifier: Apache-2.0 */
#include "pipe/lab_fake.h"

#include <string.h>

#include "base/must.h"
#include "sluice/parse.h"

static void sink(void *ctx, uint32_t port, const uint8_t *data, uint32_t len,
		 bool by_slow)
{
	struct lab *l = ctx;
	uint32_t no;

	(void)by_slow;
	memcpy(&no, data + len - sizeof(no), sizeof(no));
	l->n_twice += (uint32_t)(l->out[no % LAB_FRAMES] >> port & 1);
	l->out[no % LAB_FRAMES] |= 1ull << port;
}

static void start(struct lab *l, const struct lab_conf *conf)
{
	engine_fake_init(&l->fake, &l->state);
	l->fake.sink = sink;
	l->fake.ctx = l;
	l->fake.n_grace_asks = 2;
	l->fake.now_ns = l->now_ns;
	l->conf = (struct learn_conf){.state = &l->state,
				      .flow_idle_ns = conf->flow_idle_ns,
				      .mac_age_ns = conf->mac_age_ns,
				      .seed = conf->seed};
	must(!slowpath_init(&l->slow, &l->conf, &l->fake.engine, l->now_ns));
}

void lab_open(struct lab *l, const struct lab_conf *conf)
{
	struct state_conf sc = {
		.engine = SLUICE_ENGINE_POLL,
		.n_lanes = 2,
		.n_flows = conf->n_flows,
		.n_macs = conf->n_macs,
		.seed = conf->seed,
	};
	uint64_t len = state_region_len(&sc);

	memset(l, 0, sizeof(*l));
	must(len);
	must(!region_new_memfd("lab", len, false, &l->region, NULL));
	must(!state_new(l->region, &sc, &l->state, NULL));
	l->now_ns = 1000 * LAB_TICK;
	start(l, conf);
}

void lab_adopt(struct lab *l, const struct lab_conf *conf,
	       struct region *region, uint64_t up)
{
	uint64_t now_ns = l->now_ns;

	memset(l, 0, sizeof(*l));
	l->now_ns = now_ns;
	l->region = region;
	must(!state_adopt(l->region, &l->state, NULL));
	start(l, conf);
	lab_set_up(l, up);
	slowpath_adopt(&l->slow, now_ns);
}

void lab_close(struct lab *l)
{
	slowpath_fini(&l->slow);
	state_fini(&l->state);
	region_free(l->region);
}

void lab_set_up(struct lab *l, uint64_t up)
{
	for (uint32_t i = 1; i < SLUICE_PORTS_MAX; i++) {
		if (up >> i & 1)
			must(!l->fake.engine.ops->port_add(&l->fake.engine, i,
							   NULL));
		else
			l->fake.engine.ops->port_del(&l->fake.engine, i);
	}
	l->up = up;
	must(!slowpath_set_up(&l->slow, up, NULL));
}

static void put_mac(uint8_t *to, uint32_t station)
{
	static const uint8_t reserved[6] = {1, 0x80, 0xc2, 0, 0, 0x0e};
	const uint8_t mac[6] =
		{2, 0, 0, 0, (uint8_t)(station >> 8), (uint8_t)station};

	if (station == LAB_ALL)
		memset(to, 0xff, 6);
	else if (station == LAB_RESERVED)
		memcpy(to, reserved, 6);
	else
		memcpy(to, mac, 6);
}

void lab_frame(const struct lab_frame *f, uint8_t *data)
{
	/* IPv4, UDP: 46 bytes and no payload but the number at the end. */
	static const uint8_t ip[20] = {0x45, 0, 0,  28, 0, 0, 0,  0, 64, 17,
				       0,    0, 10, 0,	0, 1, 10, 0, 0,	 2};
	uint8_t *at = data + 12;

	memset(data, 0, LAB_FRAME_LEN);
	put_mac(data, f->dst);
	put_mac(data + 6, f->src);
	if (f->vlan) {
		*at++ = 0x81;
		*at++ = 0;
		*at++ = (uint8_t)(f->vlan >> 8);
		*at++ = (uint8_t)f->vlan;
	}
	*at++ = 8;
	*at++ = 0;
	memcpy(at, ip, sizeof(ip));
	at += sizeof(ip);
	at[0] = (uint8_t)(f->sport >> 8);
	at[1] = (uint8_t)f->sport;
	at[5] = 8;
	memcpy(data + LAB_FRAME_LEN - sizeof(f->no), &f->no, sizeof(f->no));
}

void lab_rx(struct lab *l, const struct lab_frame *f)
{
	uint8_t data[LAB_FRAME_LEN];

	lab_frame(f, data);
	l->out[f->no % LAB_FRAMES] = 0;
	engine_fake_rx(&l->fake, f->port, data, sizeof(data));
	while (slowpath_round(&l->slow, l->now_ns))
		;
}

void lab_wait(struct lab *l, uint64_t ns)
{
	l->now_ns += ns;
	l->fake.now_ns = l->now_ns;
	while (slowpath_timers(&l->slow, l->now_ns))
		;
}

const struct sluice_flow *lab_flow(struct lab *l, const struct lab_frame *f)
{
	struct flows *flows = learn_flows(l->slow.learn);
	uint8_t data[LAB_FRAME_LEN];
	struct sluice_key key;
	uint32_t flow;

	lab_frame(f, data);
	must(!sluice_parse(data, data + sizeof(data), f->port, &key));
	flow = flows_find(flows, &key);
	return flow == FLOW_NONE ? NULL : flows_at(flows, flow);
}

const struct sluice_mac *lab_mac(struct lab *l, uint32_t station, uint16_t vlan)
{
	struct sluice_mac_key k = {.vlan = vlan};
	uint64_t word;
	uint8_t *entry;

	put_mac(k.mac, station);
	memcpy(&word, &k, sizeof(word));
	entry = table_exact_find(l->state.macs, &word);
	return entry ? sluice_entry_value(entry, sizeof(word)) : NULL;
}

bool lab_is_consistent(struct lab *l)
{
	const struct sluice_exact_view *v = table_exact_view(l->state.flows);

	for (uint32_t i = 0; i < v->n_entries; i++) {
		uint8_t *e = sluice_exact_entry(v, i);
		const struct sluice_flow *f =
			sluice_entry_value(e, sizeof(struct sluice_key));
		struct flow_answer now;
		struct sluice_key key;

		if (sluice_head_state(*(const uint64_t *)(const void *)e) !=
		    SLUICE_ENTRY_LIVE)
			continue;
		memcpy(&key, sluice_entry_key(e), sizeof(key));
		learn_answer(l->slow.learn, &key, &now);
		if (!now.keep || now.act.w != f->act)
			return false;
	}
	return true;
}
