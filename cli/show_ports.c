/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "cli/show.h"
#include "cli/text.h"
#include "sluice/atomic.h"

static const struct column columns[] = {
	{"PORT", 4},	  {"NAME", -10},      {"KIND", -6},
	{"DEVICE", -15},  {"STATE", -10},     {"RX PACKETS", 12},
	{"RX BYTES", 14}, {"TX PACKETS", 12}, {"TX BYTES", 14},
	{"MISSED", 8},	  {"DROPPED", 0},
};

#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static json_t *port_json(const struct sluice_port *p, uint32_t no,
			 const struct sluice_port_stats *st)
{
	char name[SLUICE_PORT_NAME_LEN], device[SLUICE_PORT_ARG_LEN];
	char output[SLUICE_PORT_ARG_LEN], mac[TEXT_LEN];
	json_t *o = json_object();

	put_num(o, "port_no", no);
	put_text(o, "name", text_name(p->name, sizeof(name), name));
	put_text(o, "kind", text_port_kind(p->kind));
	put_text(o, "device", text_name(p->device, sizeof(device), device));
	put_text(o, "output", text_name(p->output, sizeof(output), output));
	put_text(o, "state", text_port_state(p->state));
	put_text(o, "xdp_mode", text_xdp_mode(p->xdp_mode));
	put_text(o, "hw_addr", text_mac(p->mac, mac));
	put_num(o, "ifindex", p->ifindex);
	put_num(o, "mtu", p->mtu);
	put_num(o, "rx_packets", st->rx_packets);
	put_num(o, "rx_bytes", st->rx_bytes);
	put_num(o, "tx_packets", st->tx_packets);
	put_num(o, "tx_bytes", st->tx_bytes);
	put_num(o, "copies", st->copies);
	put_num(o, "missed", st->missed);
	put_num(o, "dropped", drops_sum(st));
	put_num(o, "rx_lost", st->rx_lost);
	put_drops(o, "drops", st);
	return o;
}

static void port_text(const struct sluice_port *p, uint32_t no,
		      const struct sluice_port_stats *st)
{
	char name[SLUICE_PORT_NAME_LEN], device[SLUICE_PORT_ARG_LEN];
	char state[TEXT_LEN], n[7][24];
	const uint64_t counts[] = {no,		 st->rx_packets,
				   st->rx_bytes, st->tx_packets,
				   st->tx_bytes, st->missed,
				   drops_sum(st)};
	const char *cells[N_COLUMNS] = {
		n[0],	name,  text_port_kind(p->kind),
		device, state, n[1],
		n[2],	n[3],  n[4],
		n[5],	n[6],
	};

	for (size_t i = 0; i < 7; i++)
		snprintf(n[i], sizeof(n[i]), "%" PRIu64, counts[i]);
	text_name(p->name, sizeof(name), name);
	text_name(p->device, sizeof(device), device);
	if (p->kind == SLUICE_PORT_PCAP && p->output[0])
		text_name(p->output, sizeof(device), device);
	/* Generic mode is slow; native is what one expects. */
	snprintf(state, sizeof(state), "%s%s", text_port_state(p->state),
		 p->xdp_mode == SLUICE_XDP_GENERIC ? ",slow" : "");
	row(stdout, columns, N_COLUMNS, cells);
}

int show_ports(const struct show *s)
{
	struct json_rows rows;

	if (s->is_json)
		json_rows_open(&rows);
	else
		row_titles(stdout, columns, N_COLUMNS);
	for (uint32_t i = 1; i < SLUICE_PORTS_MAX; i++) {
		const struct sluice_port *p = &s->r->ports[i];
		struct sluice_port_stats st;

		/* Stored last: the rest of the record is there. */
		if (!sluice_load32_acquire(&p->kind))
			continue;
		sluice_reader_stats(s->r, i, &st);
		if (s->is_json)
			json_row(&rows, port_json(p, i, &st));
		else
			port_text(p, i, &st);
	}
	return s->is_json ? json_rows_close(&rows) : CLI_OK;
}
