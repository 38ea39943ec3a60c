/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers that are not in use lie in a ring, as dead entries of table/exact
 * do: those that may be used, then those that rest.
 *
 *     [ free ... | resting ... | (in use) ]
 *       taken      freed         rested      counts since the start
 *
 * Nothing that engines write is ever written here, and nothing is believed of
 * what lies in the region but the counts themselves, and at adoption whether a
 * number was live. A killed writer leaves numbers that are live and have no
 * owner (it was about to say so, or to give them back), and numbers that are
 * dead and half made ready; the latter are made ready again when they are
 * given out.
 *
 * Rejected: words that engines clear on request (a request must be waited for,
 * and engines die), and a base that readers subtract (a lane more to read and
 * to store: lane 0 has the same writer, so it can be both).
 */
#include "table/counter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"

#define N_MAX (1u << 26)
#define N_LANES_MAX 1024u

struct table_counter {
	/* Constant after init. */
	struct sluice_counter_view view;
	struct sluice_counter *lane0;
	uint32_t n_max;

	/* Numbers that are not in use. */
	uint32_t *ring; /* [n_max] */
	uint64_t taken;
	uint64_t freed;
	uint64_t rested;
	uint64_t *in_use; /* a bit for each number */
	uint32_t n_used;
	bool settled; /* false: adopted, and owners are taking */
};

/* Every store that readers can see. */
static void put(uint64_t *p, uint64_t v)
{
	crash_point();
	sluice_store64_release(p, v);
}

static uint64_t lane_len_of(uint32_t n_max)
{
	uint64_t len = ((uint64_t)n_max + 1) * sizeof(struct sluice_counter);

	return (len + REGION_TABLE_ALIGN - 1) / REGION_TABLE_ALIGN *
	       REGION_TABLE_ALIGN;
}

uint64_t table_counter_len(const struct table_counter_conf *conf)
{
	if (conf->n_max < 1 || conf->n_max > N_MAX || conf->n_lanes < 1 ||
	    conf->n_lanes > N_LANES_MAX)
		return 0;
	return REGION_TABLE_ALIGN + conf->n_lanes * lane_len_of(conf->n_max);
}

/* Could we have made a table of this shape for this descriptor? */
static bool shape_ok(const struct sluice_counters *s,
		     const struct sluice_table_desc *d)
{
	const struct table_counter_conf conf = {
		.n_max = d->n_max,
		.n_lanes = s->n_lanes,
	};
	uint64_t len = table_counter_len(&conf);

	return d->alg == SLUICE_ALG_COUNTER && len && len <= d->len &&
	       d->value_len == sizeof(struct sluice_counter) &&
	       s->n_counters == d->n_max + 1 &&
	       s->lanes_off == REGION_TABLE_ALIGN &&
	       s->lane_len == lane_len_of(d->n_max);
}

/* The writer's own part, no number in use and none free. */
static int writer_new(struct sluice_counters *s, uint32_t n_max,
		      struct table_counter **out, struct why *why)
{
	struct table_counter *t = calloc(1, sizeof(*t));

	if (!t)
		goto no_memory;
	sluice_counter_view_init(&t->view, s);
	t->lane0 = sluice_counter_lane(&t->view, 0).records;
	t->n_max = n_max;
	t->ring = malloc((uint64_t)n_max * sizeof(*t->ring));
	t->in_use = calloc(n_max / 64 + 1, sizeof(*t->in_use));
	if (!t->ring || !t->in_use)
		goto undo_t;
	*out = t;
	return 0;

undo_t:
	table_counter_free(t);
no_memory:
	return why_say(why, -ENOMEM, "no memory to write %u counters", n_max);
}

static void rest(struct table_counter *t, uint32_t no)
{
	t->ring[t->rested++ % t->n_max] = no;
}

int table_counter_new(struct region *r, const struct table_counter_conf *conf,
		      struct table_counter **out, struct why *why)
{
	struct sluice_table_desc d = {
		.kind = conf->kind,
		.alg = SLUICE_ALG_COUNTER,
		.n_max = conf->n_max,
		.len = table_counter_len(conf),
		.value_len = sizeof(struct sluice_counter),
	};
	struct sluice_counters *s;
	struct table_counter *t = NULL;
	uint32_t off;
	int err;

	if (!d.len)
		return why_say(why, -EINVAL,
			       "%u counters in %u lanes are out of range",
			       conf->n_max, conf->n_lanes);
	strncpy(d.name, conf->name, sizeof(d.name) - 1);
	err = region_table_add(r, &d, &off, why);
	if (err)
		return err;
	s = region_at(r, off, d.len);
	s->n_counters = conf->n_max + 1;
	s->n_lanes = conf->n_lanes;
	s->lanes_off = REGION_TABLE_ALIGN;
	s->lane_len = lane_len_of(conf->n_max);
	err = writer_new(s, conf->n_max, &t, why);
	if (err)
		return err;
	for (uint32_t no = 1; no <= conf->n_max; no++)
		rest(t, no);
	t->freed = t->rested;
	t->settled = true;
	region_table_publish(r);
	*out = t;
	return 0;
}

int table_counter_adopt(struct region *r, uint32_t kind,
			struct table_counter **out, struct why *why)
{
	const struct sluice_table_desc *d = region_table(r, kind);
	struct sluice_counters *s;

	if (!d)
		return why_say(why, -ENOENT,
			       "the region has no table of kind %u", kind);
	s = region_at(r, d->off, d->len);
	if (!s || d->len < sizeof(*s) || !shape_ok(s, d))
		return why_say(why, -EINVAL,
			       "table %.32s is not of the shape it should be",
			       d->name);
	return writer_new(s, d->n_max, out, why);
}

void table_counter_free(struct table_counter *t)
{
	if (!t)
		return;
	free(t->in_use);
	free(t->ring);
	free(t);
}

/* ---- Numbers. ---- */

static bool is_used(const struct table_counter *t, uint32_t no)
{
	return t->in_use[no / 64] >> (no % 64) & 1;
}

static void set_used(struct table_counter *t, uint32_t no)
{
	t->in_use[no / 64] |= 1ull << (no % 64);
	t->n_used++;
}

static bool is_number(const struct table_counter *t, uint32_t no)
{
	return no >= 1 && no <= t->n_max;
}

int table_counter_take(struct table_counter *t, uint32_t no)
{
	if (!is_number(t, no))
		return -EINVAL;
	if (is_used(t, no))
		return -EEXIST;
	if (sluice_head_state(t->lane0[no].head) != SLUICE_ENTRY_LIVE)
		return -ENOENT;
	set_used(t, no);
	return 0;
}

/* A head of 0 is that of a number that was never in use. */
static void die(struct table_counter *t, uint32_t no)
{
	uint64_t head = sluice_head_dead(t->lane0[no].head);

	if (!head)
		head = sluice_head_dead(head);
	put(&t->lane0[no].head, head);
}

void table_counter_settle(struct table_counter *t)
{
	for (uint32_t no = 1; no <= t->n_max; no++)
		if (!is_used(t, no) && !t->lane0[no].head)
			rest(t, no);
	t->freed = t->rested;
	for (uint32_t no = 1; no <= t->n_max; no++) {
		if (is_used(t, no) || !t->lane0[no].head)
			continue;
		if (sluice_head_state(t->lane0[no].head) != SLUICE_ENTRY_DEAD)
			die(t, no);
		rest(t, no);
	}
	t->settled = true;
}

const struct sluice_counter_view *
table_counter_view(const struct table_counter *t)
{
	return &t->view;
}

uint32_t table_counter_n_used(const struct table_counter *t)
{
	return t->n_used;
}

/* Lane 0 is made to be what the other lanes lack to zero. */
static void start_anew(struct table_counter *t, uint32_t no)
{
	struct sluice_counter_sum sum = {0};

	for (uint32_t lane = 1; lane < t->view.n_lanes; lane++)
		sluice_counter_sum_(&sum,
				    sluice_counter_at_(&t->view, lane, no));
	put(&t->lane0[no].packets, -sum.packets);
	put(&t->lane0[no].bytes, -sum.bytes);
}

int table_counter_alloc(struct table_counter *t, uint64_t now_ns, uint32_t *no)
{
	struct sluice_counter *c;
	uint64_t head;

	if (t->taken == t->freed)
		return -ENOSPC;
	*no = t->ring[t->taken++ % t->n_max];
	c = &t->lane0[*no];
	head = c->head;
	if (head)
		start_anew(t, *no);
	put(&c->used_ns, now_ns);
	/* [counter-head] */
	put(&c->head, sluice_head_to(head, SLUICE_ENTRY_LIVE, 0));
	set_used(t, *no);
	return 0;
}

bool table_counter_release(struct table_counter *t, uint32_t no)
{
	if (!is_number(t, no) || !is_used(t, no))
		return false;
	t->in_use[no / 64] &= ~(1ull << (no % 64));
	t->n_used--;
	if (!t->settled)
		return true; /* as if nobody had taken it */
	die(t, no);	     /* [counter-head] */
	rest(t, no);
	return true;
}

/* ---- Reuse. ---- */

uint32_t table_counter_n_resting(const struct table_counter *t)
{
	return (uint32_t)(t->rested - t->freed);
}

uint64_t table_counter_mark(const struct table_counter *t)
{
	return t->rested;
}

void table_counter_reclaim(struct table_counter *t, uint64_t mark)
{
	if (mark > t->freed && mark <= t->rested)
		t->freed = mark;
}
