/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/state.h"

#include <errno.h>
#include <string.h>

/*
 * The tables are published one by one, FLOWS last. A region in which one is
 * missing was never forwarded from, so whoever finds it makes a new one.
 */

#define SWITCH_LAYOUT 1u
#define N_LANES_MAX 64u

struct array {
	const char *name;
	uint32_t kind;
	uint32_t n_max;
	uint16_t value_len;
};

enum {
	ARRAY_SWITCH,
	ARRAY_PORTS,
	ARRAY_STATS,
	ARRAY_SETS,
	ARRAY_READERS,
	N_ARRAYS
};

static void arrays_of(uint32_t n_lanes, struct array out[N_ARRAYS])
{
	out[ARRAY_SWITCH] = (struct array){"switch", SLUICE_TABLE_SWITCH, 1,
					   sizeof(struct sluice_switch)};
	out[ARRAY_PORTS] =
		(struct array){"ports", SLUICE_TABLE_PORTS, SLUICE_PORTS_MAX,
			       sizeof(struct sluice_port)};
	out[ARRAY_STATS] = (struct array){"stats", SLUICE_TABLE_STATS,
					  n_lanes * SLUICE_PORTS_MAX,
					  sizeof(struct sluice_port_stats)};
	out[ARRAY_SETS] = (struct array){"sets", SLUICE_TABLE_SETS,
					 SLUICE_SETS_MAX, sizeof(uint64_t)};
	out[ARRAY_READERS] = (struct array){"readers", SLUICE_TABLE_READERS,
					    SLUICE_SECTIONS_N,
					    sizeof(struct sluice_section)};
}

static struct table_exact_conf flows_conf(const struct state_conf *conf)
{
	return (struct table_exact_conf){
		.name = "flows",
		.kind = SLUICE_TABLE_FLOWS,
		.n_max = conf->n_flows,
		.key_len = sizeof(struct sluice_key),
		.value_len = sizeof(struct sluice_flow),
		.key_layout = SLUICE_KEY_LAYOUT,
		.seed = conf->seed,
	};
}

static struct table_exact_conf macs_conf(const struct state_conf *conf)
{
	return (struct table_exact_conf){
		.name = "macs",
		.kind = SLUICE_TABLE_MACS,
		.n_max = conf->n_macs,
		.key_len = sizeof(struct sluice_mac_key),
		.value_len = sizeof(struct sluice_mac),
		.key_layout = 1,
		.seed = ~conf->seed,
	};
}

uint64_t state_region_len(const struct state_conf *conf)
{
	struct table_exact_conf flows = flows_conf(conf);
	struct table_exact_conf macs = macs_conf(conf);
	uint64_t flows_len = table_exact_len(&flows);
	uint64_t macs_len = table_exact_len(&macs);
	uint64_t len = SLUICE_TABLES_OFF;
	struct array arrays[N_ARRAYS];

	if (!flows_len || !macs_len || conf->n_lanes < 1 ||
	    conf->n_lanes > N_LANES_MAX)
		return 0;
	arrays_of(conf->n_lanes, arrays);
	for (uint32_t i = 0; i < N_ARRAYS; i++)
		len += (uint64_t)arrays[i].n_max * arrays[i].value_len;
	/* Each table begins on a cache line. */
	len += flows_len + macs_len + (N_ARRAYS + 2ul) * REGION_TABLE_ALIGN;
	return len > SLUICE_REGION_LEN_MAX ? 0 : len;
}

static int array_new(struct region *r, const struct array *a, struct why *why)
{
	struct sluice_table_desc desc = {
		.kind = a->kind,
		.alg = SLUICE_ALG_ARRAY,
		.n_max = a->n_max,
		.len = (uint64_t)a->n_max * a->value_len,
		.value_len = a->value_len,
		.key_layout = SWITCH_LAYOUT,
	};
	uint32_t off;
	int err;

	strncpy(desc.name, a->name, sizeof(desc.name) - 1);
	err = region_table_add(r, &desc, &off, why);
	if (err)
		return err;
	region_table_publish(r);
	return 0;
}

/* The array of a kind, checked against the shape that we know. */
static int array_find(struct region *r, const struct array *a, void *out,
		      struct why *why)
{
	const struct sluice_table_desc *desc = region_table(r, a->kind);
	uint64_t len = (uint64_t)a->n_max * a->value_len;
	void *at;

	if (!desc)
		return why_say(why, -ENOENT, "the region has no table %s",
			       a->name);
	at = region_at(r, desc->off, len);
	if (!at || desc->alg != SLUICE_ALG_ARRAY || desc->len < len ||
	    desc->n_max != a->n_max || desc->value_len != a->value_len ||
	    desc->key_layout != SWITCH_LAYOUT)
		return why_say(why, -EINVAL, "table %s has another shape",
			       a->name);
	memcpy(out, &at, sizeof(at));
	return 0;
}

static int arrays_find(struct state *s, uint32_t n_lanes, struct why *why)
{
	struct array arrays[N_ARRAYS];
	void *const outs[N_ARRAYS] = {&s->sw, &s->ports, &s->stats, &s->sets,
				      &s->readers};
	int err = 0;

	arrays_of(n_lanes, arrays);
	for (uint32_t i = 0; i < N_ARRAYS && !err; i++)
		err = array_find(s->region, &arrays[i], outs[i], why);
	return err;
}

int state_new(struct region *region, const struct state_conf *conf,
	      struct state *out, struct why *why)
{
	struct table_exact_conf flows = flows_conf(conf);
	struct table_exact_conf macs = macs_conf(conf);
	struct state s = {.region = region};
	struct array arrays[N_ARRAYS];
	int err;

	arrays_of(conf->n_lanes, arrays);
	for (uint32_t i = 0; i < N_ARRAYS; i++) {
		err = array_new(region, &arrays[i], why);
		if (err)
			return err;
	}
	err = arrays_find(&s, conf->n_lanes, why);
	if (err)
		return err;
	s.sw->engine = conf->engine;
	s.sw->n_lanes = conf->n_lanes;
	err = table_exact_new(region, &macs, &s.macs, why);
	if (err)
		return err;
	err = table_exact_new(region, &flows, &s.flows, why);
	if (err) {
		table_exact_free(s.macs);
		return err;
	}
	*out = s;
	return 0;
}

/* How many lanes the directory says there are; 0: it makes no sense. */
static uint32_t lanes_of(const struct region *r)
{
	const struct sluice_table_desc *desc =
		region_table(r, SLUICE_TABLE_STATS);

	if (!desc || desc->n_max % SLUICE_PORTS_MAX ||
	    desc->n_max / SLUICE_PORTS_MAX > N_LANES_MAX)
		return 0;
	return desc->n_max / SLUICE_PORTS_MAX;
}

static int exact_check(const struct region *r, uint32_t kind,
		       const struct table_exact_conf *conf, struct why *why)
{
	const struct sluice_table_desc *desc = region_table(r, kind);

	if (!desc)
		return why_say(why, -ENOENT, "the region has no table %s",
			       conf->name);
	if (desc->key_len != conf->key_len ||
	    desc->value_len != conf->value_len ||
	    desc->key_layout != conf->key_layout)
		return why_say(why, -EINVAL, "table %s has another shape",
			       conf->name);
	return 0;
}

int state_adopt(struct region *region, struct state *out, struct why *why)
{
	struct state_conf any = {0};
	struct table_exact_conf flows = flows_conf(&any);
	struct table_exact_conf macs = macs_conf(&any);
	struct state s = {.region = region};
	uint32_t n_lanes = lanes_of(region);
	int err;

	if (region->is_rebooted)
		return why_say(why, -ESTALE,
			       "the machine has been started anew, and times "
			       "in the tables are since the former start");
	err = arrays_find(&s, n_lanes, why);
	if (err)
		return err;
	if (n_lanes < 1 || s.sw->n_lanes != n_lanes)
		return why_say(why, -EINVAL, "table stats has another shape");
	err = exact_check(region, SLUICE_TABLE_FLOWS, &flows, why);
	if (!err)
		err = exact_check(region, SLUICE_TABLE_MACS, &macs, why);
	if (err)
		return err;
	err = table_exact_adopt(region, SLUICE_TABLE_MACS, &s.macs, why);
	if (err)
		return err;
	err = table_exact_adopt(region, SLUICE_TABLE_FLOWS, &s.flows, why);
	if (err) {
		table_exact_free(s.macs);
		return err;
	}
	state_count(&s.sw->n_restarts, 1);
	*out = s;
	return 0;
}

void state_fini(struct state *s)
{
	table_exact_free(s->flows);
	table_exact_free(s->macs);
	*s = (struct state){0};
}
