/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>

#include "cli/show.h"
#include "cli/text.h"
#include "sluice/atomic.h"
#include "sluice/text.h"

struct stats {
	struct sluice_port_stats sum; /* over all ports */
	uint32_t n_ports;
	uint64_t n_flows, max_flows;
	uint64_t n_macs, max_macs;
	bool slow_lives; /* the slow path */
	bool poll_lives; /* the poll engine */
};

static uint64_t n_max(const struct sluice_reader *r,
		      enum sluice_table_kind kind)
{
	const struct sluice_table_desc *d = sluice_table_find(r->region, kind);

	return d ? d->n_max : 0;
}

static void add(struct sluice_port_stats *sum,
		const struct sluice_port_stats *one)
{
	sum->rx_packets += one->rx_packets;
	sum->rx_bytes += one->rx_bytes;
	sum->tx_packets += one->tx_packets;
	sum->tx_bytes += one->tx_bytes;
	sum->copies += one->copies;
	sum->missed += one->missed;
	sum->taken += one->taken;
	sum->rx_lost += one->rx_lost;
	for (uint32_t i = 0; i < SLUICE_DROP_N; i++)
		sum->drops[i] += one->drops[i];
}

static void stats_take(const struct sluice_reader *r, struct stats *out)
{
	*out = (struct stats){.n_ports = 0};
	/* Port 0 counts what came from no port. */
	for (uint32_t i = 0; i < SLUICE_PORTS_MAX; i++) {
		struct sluice_port_stats st;

		sluice_reader_stats(r, i, &st);
		add(&out->sum, &st);
		out->n_ports += r->ports[i].kind != SLUICE_PORT_NONE;
	}
	out->n_flows = sluice_load64_relaxed(&r->flows.table->n_used);
	out->n_macs = sluice_load64_relaxed(&r->macs.table->n_used);
	out->max_flows = n_max(r, SLUICE_TABLE_FLOWS);
	out->max_macs = n_max(r, SLUICE_TABLE_MACS);
	out->slow_lives = sluice_writer_lives(r->region);
	out->poll_lives = process_lives(r, r->sw->poll_pid, r->sw->poll_start);
}

static json_t *stats_json(const struct show *s, const struct stats *t)
{
	const struct sluice_region *region = s->r->region;
	const struct sluice_switch *sw = s->r->sw;
	char name[SLUICE_NAME_LEN];
	json_t *o = json_object();

	put_text(o, "name", text_name(region->name, sizeof(name), name));
	put_text(o, "engine", text_engine(sw->engine));
	put_text(o, "memory", text_backing(region->backing));
	put_num(o, "memory_bytes", region->len);
	put_num(o, "page_bytes", region->page_len);
	put_bool(o, "slow_path_runs", t->slow_lives);
	put_bool(o, "poll_engine_runs", t->poll_lives);
	put_seconds(o, "duration", s->now_ns - sw->started_ns);
	if (sw->first_packet_ns)
		put_seconds(o, "first_packet_after",
			    sw->first_packet_ns - sw->started_ns);
	else
		json_object_set_new(o, "first_packet_after", json_null());
	put_drops(o, "drops", &t->sum);
	put_num(o, "slow_path_pid", region->writer_pid);
	put_num(o, "n_restarts", sw->n_restarts);
	put_num(o, "n_lanes", s->r->n_lanes);
	put_num(o, "n_ports", t->n_ports);
	put_num(o, "n_flows", t->n_flows);
	put_num(o, "max_flows", t->max_flows);
	put_num(o, "n_flows_added", sw->n_flows_added);
	put_num(o, "n_flows_removed", sw->n_flows_removed);
	put_num(o, "n_flows_refused", sw->n_flows_refused);
	put_num(o, "n_macs", t->n_macs);
	put_num(o, "max_macs", t->max_macs);
	put_num(o, "n_macs_refused", sw->n_macs_refused);
	put_num(o, "rx_packets", t->sum.rx_packets);
	put_num(o, "rx_bytes", t->sum.rx_bytes);
	put_num(o, "tx_packets", t->sum.tx_packets);
	put_num(o, "tx_bytes", t->sum.tx_bytes);
	put_num(o, "copies", t->sum.copies);
	put_num(o, "missed", t->sum.missed);
	put_num(o, "taken", t->sum.taken);
	put_num(o, "rx_lost", t->sum.rx_lost);
	put_num(o, "dropped", drops_sum(&t->sum));
	return o;
}

static void life_text(const struct show *s, const struct stats *t)
{
	const struct sluice_region *region = s->r->region;
	const struct sluice_switch *sw = s->r->sw;
	char name[SLUICE_NAME_LEN], d[TEXT_LEN], mem[TEXT_LEN];

	printf("switch      %s, engine %s, up for %s\n",
	       text_name(region->name, sizeof(name), name),
	       text_engine(sw->engine),
	       text_duration(s->now_ns - sw->started_ns, d));
	printf("memory      %sB, %s with pages of %u KiB\n",
	       text_si((double)region->len, mem), text_backing(region->backing),
	       region->page_len / 1024);
	printf("slow path   %s", t->slow_lives ? "runs" : "does not run");
	if (t->slow_lives)
		printf(", process %" PRIu64, region->writer_pid);
	printf(", taken over %" PRIu64 " times\n", sw->n_restarts);
	if (sw->engine == SLUICE_ENGINE_POLL)
		printf("engine      %s\n",
		       t->poll_lives ? "runs" : "does not run");
	if (sw->first_packet_ns)
		printf("first out   %s after the start\n",
		       text_duration(sw->first_packet_ns - sw->started_ns, d));
}

static void counts_text(const struct show *s, const struct stats *t)
{
	const struct sluice_switch *sw = s->r->sw;
	const struct sluice_port_stats *sum = &t->sum;
	double rx = (double)sum->rx_packets;

	printf("flows       %" PRIu64 " of %" PRIu64 "; added %" PRIu64
	       ", removed %" PRIu64 ", refused %" PRIu64 "\n",
	       t->n_flows, t->max_flows, sw->n_flows_added, sw->n_flows_removed,
	       sw->n_flows_refused);
	printf("macs        %" PRIu64 " of %" PRIu64 "; refused %" PRIu64 "\n",
	       t->n_macs, t->max_macs, sw->n_macs_refused);
	printf("received    %" PRIu64 " packets, %" PRIu64 " bytes\n",
	       sum->rx_packets, sum->rx_bytes);
	printf("sent        %" PRIu64 " packets, %" PRIu64 " bytes; %" PRIu64
	       " of them copies\n",
	       sum->tx_packets, sum->tx_bytes, sum->copies);
	printf("missed      %" PRIu64 " packets", sum->missed);
	if (sum->rx_packets)
		printf(": the engine forwarded %.3f %% alone",
		       100 - 100 * (double)sum->missed / rx);
	printf("\n");
	if (sum->missed != sum->taken)
		printf("            %" PRId64
		       " of them on their way to the slow path, or lost\n",
		       (int64_t)(sum->missed - sum->taken));
	if (sum->rx_lost)
		printf("lost        %" PRIu64 " packets by the devices\n",
		       sum->rx_lost);
	printf("dropped     %" PRIu64 " packets\n", drops_sum(sum));
	for (uint32_t i = 1; i < SLUICE_DROP_N; i++)
		if (sum->drops[i])
			printf("  %10" PRIu64 "  %s: %s\n", sum->drops[i],
			       sluice_drop_name(i), sluice_drop_text(i));
}

int show_stats(const struct show *s)
{
	struct json_rows rows;
	struct stats t;

	stats_take(s->r, &t);
	if (!s->is_json) {
		life_text(s, &t);
		counts_text(s, &t);
		return CLI_OK;
	}
	json_rows_open(&rows);
	json_row(&rows, stats_json(s, &t));
	return json_rows_close(&rows);
}
