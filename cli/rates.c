/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One pass over the flows per look. The busiest are kept by insertion into a
 * short array that is sorted: of a million flows nearly all are refused by the
 * first comparison with its end.
 */

#include "cli/rates.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/show.h"

struct flow_was {
	uint64_t created_ns; /* tells a new flow in the same entry */
	uint64_t n_packets;
	uint64_t n_bytes;
};

int rates_init(struct rates *s, const struct sluice_reader *r)
{
	memset(s, 0, sizeof(*s));
	s->n_flow_was = r->flows.n_entries;
	s->flow_was = calloc(s->n_flow_was, sizeof(*s->flow_was));
	return s->flow_was ? 0 : -ENOMEM;
}

void rates_fini(struct rates *s)
{
	free(s->flow_was);
}

/* Counters grow; one that did not was made anew. */
static double per_second(const struct rates *s, uint64_t now, uint64_t was)
{
	return s->seconds > 0 && now > was ? (double)(now - was) / s->seconds
					   : 0;
}

static void ports_look(struct rates *s, const struct sluice_reader *r)
{
	memset(&s->sum, 0, sizeof(s->sum));
	for (uint32_t i = 0; i < SLUICE_PORTS_MAX; i++) {
		struct sluice_port_stats *was = &s->port_was[i], now;
		struct port_rate *p = &s->ports[i];

		sluice_reader_stats(r, i, &now);
		p->rx_pps = per_second(s, now.rx_packets, was->rx_packets);
		p->rx_bps = per_second(s, now.rx_bytes, was->rx_bytes) * 8;
		p->tx_pps = per_second(s, now.tx_packets, was->tx_packets);
		p->tx_bps = per_second(s, now.tx_bytes, was->tx_bytes) * 8;
		p->miss_pps = per_second(s, now.missed, was->missed);
		p->drop_pps = per_second(s, drops_sum(&now), drops_sum(was));
		s->sum.rx_pps += p->rx_pps;
		s->sum.rx_bps += p->rx_bps;
		s->sum.tx_pps += p->tx_pps;
		s->sum.tx_bps += p->tx_bps;
		s->sum.miss_pps += p->miss_pps;
		s->sum.drop_pps += p->drop_pps;
		*was = now;
	}
}

static void flow_rank(struct rates *s, const struct flow_rate *f, uint32_t max,
		      enum rates_order order)
{
	uint32_t i = s->n_flows;

	while (i > 0 &&
	       (order == RATES_BY_BYTES ? s->flows[i - 1].bps < f->bps
					: s->flows[i - 1].pps < f->pps))
		i--;
	if (i == max)
		return;
	if (s->n_flows < max)
		s->n_flows++;
	memmove(&s->flows[i + 1], &s->flows[i],
		(s->n_flows - i - 1) * sizeof(s->flows[0]));
	s->flows[i] = *f;
}

static void flows_look(struct rates *s, const struct sluice_reader *r,
		       uint32_t max, enum rates_order order)
{
	struct flow_rate f;
	struct sluice_flow now;
	uint32_t version = sluice_version(r->region);
	uint32_t idx = 0;

	s->n_flows = 0;
	while (sluice_reader_next(&r->flows, version, &idx, &f.key, &now)) {
		struct flow_was *was = &s->flow_was[idx - 1];

		now.n_packets += now.slow_packets;
		now.n_bytes += now.slow_bytes;
		if (was->created_ns != now.created_ns)
			*was = (struct flow_was){.created_ns = now.created_ns};
		f.pps = per_second(s, now.n_packets, was->n_packets);
		f.bps = per_second(s, now.n_bytes, was->n_bytes) * 8;
		f.act = (sluice_act){now.act};
		f.n_packets = now.n_packets;
		was->n_packets = now.n_packets;
		was->n_bytes = now.n_bytes;
		if (f.pps > 0)
			flow_rank(s, &f, max, order);
	}
}

void rates_look(struct rates *s, const struct sluice_reader *r, uint64_t now_ns,
		uint32_t max, enum rates_order order)
{
	uint64_t added = r->sw->n_flows_added;
	uint64_t removed = r->sw->n_flows_removed;

	s->seconds = s->at_ns ? (double)(now_ns - s->at_ns) / 1e9 : 0;
	s->at_ns = now_ns;
	ports_look(s, r);
	flows_look(s, r, max < RATES_FLOWS_MAX ? max : RATES_FLOWS_MAX, order);
	s->flows_added = per_second(s, added, s->added_was);
	s->flows_removed = per_second(s, removed, s->removed_was);
	s->added_was = added;
	s->removed_was = removed;
}
