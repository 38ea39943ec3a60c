/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "cli/show.h"
#include "cli/text.h"
#include "sluice/text.h"

static const struct column columns[] = {
	{"PACKETS", 10}, {"BYTES", 13},	   {"SLOW", 6}, {"AGE", 7},
	{"IDLE", 7},	 {"ACTIONS", -11}, {"FLOW", 0},
};

#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))
#define ACT_LEN 256u /* output: and 63 numbers */

static uint64_t since(uint64_t now_ns, uint64_t then_ns)
{
	return now_ns > then_ns ? now_ns - then_ns : 0;
}

/* Unused flows are idle since they were made. */
static uint64_t idle_ns(const struct show *s, const struct sluice_flow *f)
{
	return since(s->now_ns,
		     f->used_ns > f->created_ns ? f->used_ns : f->created_ns);
}

static bool is_wanted(const struct show *s, const struct sluice_key *key,
		      const struct sluice_flow *f)
{
	if (s->port && key->in_port != s->port &&
	    !(act_ports(s->r, key->in_port, (sluice_act){f->act}) >> s->port &
	      1))
		return false;
	return !s->mac || memcmp(s->mac, key->eth_src, 6) == 0 ||
	       memcmp(s->mac, key->eth_dst, 6) == 0;
}

static void json_key(json_t *o, const struct sluice_key *key)
{
	struct sluice_field field;
	uint32_t i = 0;

	while (sluice_key_next(key, &i, &field))
		json_object_set_new(o, field.name,
				    field.is_number ? json_integer(field.number)
						    : json_string(field.text));
}

static json_t *flow_json(const struct show *s, const struct sluice_key *key,
			 const struct sluice_flow *f)
{
	uint64_t ports = act_ports(s->r, key->in_port, (sluice_act){f->act});
	char act[ACT_LEN];
	json_t *out = json_array();
	json_t *o = json_object();

	for (uint32_t p = 0; p < SLUICE_PORTS_MAX; p++)
		if (ports >> p & 1)
			json_array_append_new(out, json_integer(p));
	put_num(o, "n_packets", f->n_packets + f->slow_packets);
	put_num(o, "n_bytes", f->n_bytes + f->slow_bytes);
	put_num(o, "slow_packets", f->slow_packets);
	put_num(o, "slow_bytes", f->slow_bytes);
	put_seconds(o, "duration", since(s->now_ns, f->created_ns));
	put_seconds(o, "idle_age", idle_ns(s, f));
	put_text(o, "actions",
		 text_act(s->r, key->in_port, (sluice_act){f->act}, act,
			  sizeof(act)));
	json_object_set_new(o, "out_ports", out);
	json_key(o, key);
	return o;
}

static void flow_text(const struct show *s, const struct sluice_key *key,
		      const struct sluice_flow *f)
{
	char n[3][24], age[TEXT_LEN], idle[TEXT_LEN], act[ACT_LEN];
	char match[SLUICE_KEY_TEXT_LEN];
	const char *cells[N_COLUMNS] = {n[0], n[1], n[2], age,
					idle, act,  match};

	snprintf(n[0], sizeof(n[0]), "%" PRIu64,
		 f->n_packets + f->slow_packets);
	snprintf(n[1], sizeof(n[1]), "%" PRIu64, f->n_bytes + f->slow_bytes);
	snprintf(n[2], sizeof(n[2]), "%" PRIu64, f->slow_packets);
	text_duration(since(s->now_ns, f->created_ns), age);
	text_duration(idle_ns(s, f), idle);
	text_act(s->r, key->in_port, (sluice_act){f->act}, act, sizeof(act));
	sluice_key_text(key, match, sizeof(match));
	row(stdout, columns, N_COLUMNS, cells);
}

int show_flows(const struct show *s)
{
	_Alignas(8) struct sluice_key key;
	struct sluice_flow flow;
	struct json_rows rows;
	uint32_t version = sluice_version(s->r->region);
	uint32_t idx = 0;

	if (s->is_json)
		json_rows_open(&rows);
	else
		row_titles(stdout, columns, N_COLUMNS);
	while (sluice_reader_next(&s->r->flows, version, &idx, &key, &flow)) {
		if (!is_wanted(s, &key, &flow))
			continue;
		if (s->is_json)
			json_row(&rows, flow_json(s, &key, &flow));
		else
			flow_text(s, &key, &flow);
	}
	return s->is_json ? json_rows_close(&rows) : CLI_OK;
}
