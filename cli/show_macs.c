/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <stdlib.h>

#include "cli/show.h"
#include "cli/text.h"

static const struct column columns[] = {
	{"PORT", 4},  {"NAME", -10}, {"VLAN", 4},
	{"MAC", -17}, {"AGE", 7},    {"MOVES", 0},
};

#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static uint64_t since(uint64_t now_ns, uint64_t then_ns)
{
	return now_ns > then_ns ? now_ns - then_ns : 0;
}

static json_t *mac_json(const struct show *s, const struct sluice_mac_key *key,
			const struct sluice_mac *m)
{
	char mac[TEXT_LEN], name[SLUICE_PORT_NAME_LEN];
	json_t *o = json_object();

	put_num(o, "port_no", m->port);
	put_text(o, "port", port_name(s->r, m->port, name));
	put_num(o, "vlan", key->vlan);
	put_text(o, "mac", text_mac(key->mac, mac));
	put_seconds(o, "age", since(s->now_ns, m->seen_ns));
	put_seconds(o, "duration", since(s->now_ns, m->learned_ns));
	put_num(o, "n_moves", m->n_moves);
	return o;
}

static void mac_text(const struct show *s, const struct sluice_mac_key *key,
		     const struct sluice_mac *m)
{
	char port[24], vlan[24], moves[24], mac[TEXT_LEN], age[TEXT_LEN];
	char name[SLUICE_PORT_NAME_LEN];
	const char *cells[N_COLUMNS] = {port, name, vlan, mac, age, moves};

	snprintf(port, sizeof(port), "%" PRIu64, m->port);
	snprintf(vlan, sizeof(vlan), "%u", key->vlan);
	snprintf(moves, sizeof(moves), "%" PRIu64, m->n_moves);
	port_name(s->r, m->port, name);
	text_mac(key->mac, mac);
	text_duration(since(s->now_ns, m->seen_ns), age);
	row(stdout, columns, N_COLUMNS, cells);
}

int show_macs(const struct show *s)
{
	_Alignas(8) struct sluice_mac_key key;
	struct sluice_mac mac;
	struct json_rows rows;
	uint32_t version = sluice_version(s->r->region);
	uint32_t idx = 0;

	if (s->is_json)
		json_rows_open(&rows);
	else
		row_titles(stdout, columns, N_COLUMNS);
	while (sluice_reader_next(&s->r->macs, version, &idx, &key, &mac)) {
		if (s->is_json)
			json_row(&rows, mac_json(s, &key, &mac));
		else
			mac_text(s, &key, &mac);
	}
	return s->is_json ? json_rows_close(&rows) : CLI_OK;
}
