/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/masked - shape, life and the writer's look-up
 *
 * Rejected: an exact table for each mask. Each would have to be sized before
 * its flows come, or grow, by a rehash under the readers; a region gives out
 * memory once, so masks that come and go would leave holes; and a look-up would
 * follow another header for each mask. With one table for all, the mask costs
 * two bytes of the key, which struct sluice_key has to spare.
 */
#include "table/masked_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

#define FILTER_BITS 8u	/* for a flow under its mask, and again for its group */
#define GROUPS_FROM 16u /* n_masks_max below which groups save nothing */

/* A table's parts, in bytes from its start. */
struct layout {
	uint32_t n_groups;
	uint32_t n_filter;
	uint64_t orders_off;
	uint64_t hits_off;
	uint64_t filter_off;
	uint64_t exact_off;
	uint64_t exact_len;
};

static struct table_exact_conf exact_conf(const struct table_masked_conf *c)
{
	return (struct table_exact_conf){
		.name = c->name,
		.kind = c->kind,
		.n_max = c->n_max,
		.key_len = c->key_len,
		.value_len = c->value_len,
		.key_layout = c->key_layout,
		.seed = c->seed,
	};
}

static uint64_t up_to(uint64_t len, uint64_t to)
{
	return (len + to - 1) / to * to;
}

static void layout_of(const struct table_masked_conf *c, struct layout *l)
{
	const struct table_exact_conf exact = exact_conf(c);
	uint32_t n_masks = c->n_masks_max + 1;
	uint32_t n_records;
	uint64_t bits = FILTER_BITS;

	l->n_groups = c->n_masks_max < GROUPS_FROM ? 0 : c->n_masks_max;
	n_records = n_masks + l->n_groups;
	if (l->n_groups)
		bits *= 2;
	l->n_filter = (uint32_t)(c->n_max * bits / 64 + 8);
	l->orders_off = up_to(sizeof(struct sluice_masked), 64) +
			(uint64_t)n_records * sizeof(struct sluice_mask);
	l->hits_off =
		l->orders_off + 16ull * sluice_masked_order_len(n_records);
	l->filter_off = l->hits_off +
			8ull * c->n_lanes * sluice_masked_lane_len(n_masks);
	l->exact_off =
		up_to(l->filter_off + 8ull * l->n_filter, REGION_TABLE_ALIGN);
	l->exact_len = table_exact_len(&exact);
}

static bool conf_ok(const struct table_masked_conf *c)
{
	const struct table_exact_conf exact = exact_conf(c);

	return table_exact_len(&exact) && c->n_masks_max >= 1 &&
	       c->n_masks_max <= SLUICE_MASKS_MAX && c->n_lanes >= 1 &&
	       c->n_lanes <= SLUICE_MASKED_LANES_MAX;
}

uint64_t table_masked_len(const struct table_masked_conf *conf)
{
	struct layout l;

	if (!conf_ok(conf))
		return 0;
	layout_of(conf, &l);
	return l.exact_off + l.exact_len;
}

static void shape(struct sluice_masked *s, const struct table_masked_conf *c)
{
	struct rng rng = rng_of(c->seed ^ 0x6d61736b6564ull);
	struct layout l;

	layout_of(c, &l);
	s->n_masks = c->n_masks_max + 1;
	s->n_groups = l.n_groups;
	s->n_lanes = c->n_lanes;
	s->n_filter = l.n_filter;
	s->records_off = (uint32_t)up_to(sizeof(*s), 64);
	s->orders_off = (uint32_t)l.orders_off;
	s->hits_off = (uint32_t)l.hits_off;
	s->filter_off = (uint32_t)l.filter_off;
	s->exact_off = l.exact_off;
	s->exact_len = l.exact_len;
	for (uint32_t i = 0; i < SLUICE_KEY_LEN_MAX / 8; i++)
		s->filter_keys[i] = rng_next(&rng) | 1;
}

/* Could we have made a table of this shape for this descriptor? */
static bool shape_ok(const struct sluice_masked *s,
		     const struct sluice_table_desc *d)
{
	const struct table_masked_conf c = {
		.name = d->name,
		.kind = d->kind,
		.n_max = d->n_max,
		.n_masks_max = s->n_masks - 1,
		.n_lanes = s->n_lanes,
		.key_len = d->key_len,
		.value_len = d->value_len,
	};
	struct sluice_masked want = {0};

	if (d->alg != SLUICE_ALG_MASKED || table_masked_len(&c) != d->len ||
	    !d->len)
		return false;
	shape(&want, &c);
	return !memcmp(&want, s, offsetof(struct sluice_masked, filter_keys));
}

/* The writer's own part; exact is there already and goes with it. */
static int writer_new(struct sluice_masked *s, struct table_exact *exact,
		      struct table_masked **out, struct why *why)
{
	struct table_masked *t = calloc(1, sizeof(*t));
	const struct sluice_masked_view *v;

	if (!t) {
		table_exact_free(exact);
		return why_say(why, -ENOMEM, "no memory to write a table");
	}
	v = &t->view;
	sluice_masked_view_init(&t->view, s);
	t->change.ops = &masked_change_ops;
	t->shared = s;
	t->shared_records =
		(struct sluice_mask *)((uint8_t *)s + s->records_off);
	t->orders = (uint64_t *)((uint8_t *)s + s->orders_off);
	t->exact = exact;
	t->n_masks_max = v->n_masks - 1;
	t->key_len = v->exact.key_len;
	t->order = s->order;
	t->records = calloc(v->n_records, sizeof(*t->records));
	t->steps = calloc(v->n_records, sizeof(*t->steps));
	t->ranks = calloc(v->n_masks, sizeof(*t->ranks));
	for (uint32_t i = 0; i < MASKED_BUCKETS; i++)
		t->buckets[i] = MASKED_NONE;
	if (masked_filter_init(&t->filter,
			       (uint64_t *)((uint8_t *)s + s->filter_off),
			       s->n_filter, v->exact.n_entries) ||
	    !t->records || !t->steps || !t->ranks) {
		why_say(why, -ENOMEM,
			"no memory to write a table of %u entries",
			v->exact.n_entries);
		table_masked_free(t);
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

/* The one mask that is always there. */
void masked_take_exact(struct table_masked *t)
{
	uint64_t words[MASKED_WORDS] = {0};
	uint32_t last = t->key_len / 8 - 1;

	for (uint32_t i = 0; i <= last; i++)
		words[i] = ~0ull;
	words[last] &= SLUICE_MASKED_KEY_BITS;
	masked_take(t, SLUICE_MASK_EXACT, words);
	t->records[SLUICE_MASK_EXACT].group = MASKED_NONE;
	masked_record_write(t, SLUICE_MASK_EXACT);
}

int table_masked_new(struct region *r, const struct table_masked_conf *conf,
		     struct table_masked **out, struct why *why)
{
	const struct table_exact_conf exact = exact_conf(conf);
	struct sluice_table_desc d = {
		.kind = conf->kind,
		.alg = SLUICE_ALG_MASKED,
		.n_max = conf->n_max,
		.len = table_masked_len(conf),
		.key_len = conf->key_len,
		.value_len = conf->value_len,
		.key_layout = conf->key_layout,
	};
	struct sluice_masked *s;
	struct table_exact *x;
	uint32_t off;
	int err;

	if (!d.len)
		return why_say(why, -EINVAL,
			       "a table of %u flows of %u + %u bytes under %u "
			       "masks is out of range",
			       conf->n_max, conf->key_len, conf->value_len,
			       conf->n_masks_max);
	strncpy(d.name, conf->name, sizeof(d.name) - 1);
	err = region_table_add(r, &d, &off, why);
	if (err)
		return err;
	s = region_at(r, off, d.len);
	shape(s, conf);
	err = table_exact_make((struct sluice_exact *)((uint8_t *)s +
						       s->exact_off),
			       &exact, &x, why);
	if (err)
		return err;
	err = writer_new(s, x, out, why);
	if (err)
		return err;
	masked_take_exact(*out);
	region_table_publish(r);
	return 0;
}

int table_masked_adopt(struct region *r, uint32_t kind,
		       struct table_masked **out, struct why *why)
{
	const struct sluice_table_desc *d = region_table(r, kind);
	struct sluice_table_desc inner;
	struct sluice_masked *s;
	struct table_masked *t;
	struct table_exact *x;
	int err;

	if (!d)
		return why_say(why, -ENOENT,
			       "the region has no table of kind %u", kind);
	s = region_at(r, d->off, d->len);
	if (!s || d->len < sizeof(*s) || !shape_ok(s, d))
		return why_say(why, -EINVAL,
			       "table %.32s is not of the shape it should be",
			       d->name);
	inner = *d;
	inner.alg = SLUICE_ALG_CUCKOO8;
	inner.off = d->off + (uint32_t)s->exact_off;
	inner.len = s->exact_len;
	err = table_exact_take(r, &inner, &x, why);
	if (err)
		return err;
	err = writer_new(s, x, &t, why);
	if (err)
		return err;
	masked_adopt_flows(t);
	*out = t;
	return 0;
}

void table_masked_free(struct table_masked *t)
{
	if (!t)
		return;
	masked_filter_fini(&t->filter);
	table_exact_free(t->exact);
	free(t->ranks);
	free(t->steps);
	free(t->records);
	free(t);
}

const struct sluice_masked_view *table_masked_view(const struct table_masked *t)
{
	return &t->view;
}

uint32_t table_masked_n_used(const struct table_masked *t)
{
	return table_exact_n_used(t->exact);
}

uint32_t table_masked_n_masks(const struct table_masked *t)
{
	return t->n_masks;
}

uint64_t table_masked_own_len(const struct table_masked *t)
{
	const struct sluice_exact_view *x = &t->view.exact;

	return sizeof(*t) + t->view.n_records * sizeof(*t->records) +
	       t->view.n_records * sizeof(*t->steps) +
	       t->view.n_masks * sizeof(*t->ranks) + t->filter.n * 64ull +
	       t->filter.n_heavy * sizeof(*t->filter.heavy) +
	       /* Of the exact table: spare entries, and buckets visited. */
	       x->n_entries * sizeof(uint32_t) + x->n_buckets / 8;
}

bool table_masked_mask(const struct table_masked *t, uint32_t number,
		       struct table_masked_mask *out)
{
	const struct masked_mask *m;

	if (number >= t->view.n_masks || !t->records[number].taken)
		return false;
	m = &t->records[number];
	memcpy(out->words, m->words, sizeof(out->words));
	out->n_flows = m->n;
	out->n_hits = masked_hits(t, number) - m->first;
	return true;
}

struct change_table *table_masked_change(struct table_masked *t)
{
	return &t->change;
}

uint32_t table_masked_n_resting(const struct table_masked *t)
{
	return table_exact_n_resting(t->exact);
}

uint64_t table_masked_mark(const struct table_masked *t)
{
	return table_exact_mark(t->exact);
}

void table_masked_reclaim(struct table_masked *t, uint64_t mark)
{
	table_exact_reclaim(t->exact, mark);
}
