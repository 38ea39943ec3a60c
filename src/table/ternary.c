/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/ternary - shape, life and the writer's look-up
 *
 *     struct sluice_ternary | orders | tuples | buckets | entries
 *
 * Why tuple space search with merged tuples, and not a decision tree or learned
 * indexes: a change is a few stores whatever the rules are, readers are loops
 * with bounds, in BPF too, and which bits were looked at is known. See
 * docs/classifiers.md.
 */
#include "table/ternary_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "region/check.h"

#define N_MAX (1u << 24)
#define VALUE_LEN_MAX 1024u
#define N_TUPLES 512u
#define FIELD_BITS_MAX 128u

static uint32_t n_entries_of(const struct table_ternary_conf *c)
{
	return c->n_max + c->n_max / 32 + 64;
}

/* Half full, when every entry is a chain of its own. */
static uint32_t n_buckets_of(const struct table_ternary_conf *c)
{
	return n_entries_of(c) / (SLUICE_BUCKET_SLOTS / 2) + 8;
}

static uint32_t n_tuples_of(const struct table_ternary_conf *c)
{
	return c->n_tuples ? c->n_tuples : N_TUPLES;
}

static uint32_t n_words_of(const struct table_ternary_conf *c)
{
	uint32_t n = c->key_len / 8u;

	return c->n_words && c->n_words < n ? c->n_words : n;
}

static uint32_t entry_len_of(const struct table_ternary_conf *c)
{
	uint32_t len = (uint32_t)sizeof(struct sluice_rule) + c->value_len +
		       16 * n_words_of(c);

	return (len + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

static uint32_t tuple_len_of(const struct table_ternary_conf *c)
{
	uint32_t len = 8 + 8 * n_words_of(c);

	return (len + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

static bool fields_ok(const struct sluice_ternary_field *f, uint32_t n,
		      uint32_t key_len)
{
	if (n > SLUICE_TERNARY_FIELDS_MAX)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (f[i].n_bits < 1 || f[i].n_bits > FIELD_BITS_MAX ||
		    (uint32_t)f[i].bit + f[i].n_bits > 8 * key_len)
			return false;
	return true;
}

static bool conf_ok(const struct table_ternary_conf *c)
{
	return c->n_max >= 1 && c->n_max <= N_MAX && c->key_len >= 8 &&
	       c->key_len <= SLUICE_TERNARY_KEY_LEN_MAX &&
	       c->key_len % 8 == 0 && c->value_len <= VALUE_LEN_MAX &&
	       c->value_len % 8 == 0 && n_tuples_of(c) >= 16 &&
	       n_tuples_of(c) <= SLUICE_TERNARY_TUPLES_MAX &&
	       fields_ok(c->fields, c->n_fields, c->key_len);
}

static uint64_t line_up(uint64_t off)
{
	return (off + REGION_TABLE_ALIGN - 1) / REGION_TABLE_ALIGN *
	       REGION_TABLE_ALIGN;
}

/* The shape of a table of that conf, with all that is constant but hash keys. */
static uint64_t shape(struct sluice_ternary *s,
		      const struct table_ternary_conf *c)
{
	s->n_buckets = n_buckets_of(c);
	s->n_entries = n_entries_of(c);
	s->entry_len = entry_len_of(c);
	s->n_tuples = n_tuples_of(c);
	s->tuple_len = tuple_len_of(c);
	s->key_len = c->key_len;
	s->value_len = c->value_len;
	s->n_words = n_words_of(c);
	s->orders_off = line_up(sizeof(*s));
	s->tuples_off = line_up(s->orders_off + (uint64_t)s->n_tuples * 8 *
							SLUICE_TERNARY_ORDERS);
	s->buckets_off =
		line_up(s->tuples_off + (uint64_t)s->n_tuples * s->tuple_len);
	s->entries_off = line_up(s->buckets_off + (uint64_t)s->n_buckets * 64);
	s->n_fields = c->n_fields;
	for (uint32_t i = 0; i < c->n_fields; i++)
		s->fields[i] = c->fields[i];
	return s->entries_off + (uint64_t)s->n_entries * s->entry_len;
}

uint64_t table_ternary_len(const struct table_ternary_conf *conf)
{
	struct sluice_ternary s = {0};

	return conf_ok(conf) ? shape(&s, conf) : 0;
}

static int tuples_new(struct ternary_tuples *s, uint32_t n, uint32_t n_words)
{
	s->at = calloc(n, sizeof(*s->at));
	s->order = calloc(n, sizeof(*s->order));
	s->fine = calloc(n, sizeof(*s->fine));
	s->free = calloc(n, sizeof(*s->free));
	s->masks = calloc((size_t)n * n_words, sizeof(*s->masks));
	if (!s->at || !s->order || !s->fine || !s->free || !s->masks)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		s->at[i].mask = s->masks + (size_t)i * n_words;
		s->at[i].root = TERNARY_NONE;
		s->free[n - 1 - i] = i;
	}
	return 0;
}

static int trees_new(struct ternary_trees *s, uint32_t n)
{
	s->nodes = malloc(n * sizeof(*s->nodes));
	s->leaves = malloc(n * sizeof(*s->leaves));
	s->free_node = s->free_leaf = TERNARY_NONE;
	return s->nodes && s->leaves ? 0 : -ENOMEM;
}

static int lists_new(struct table_ternary *t)
{
	uint32_t n = t->view.n_entries;

	for (t->n_names = 16; t->n_names < n;)
		t->n_names *= 2;
	t->names = malloc(t->n_names * sizeof(*t->names));
	t->own = calloc(n, sizeof(*t->own));
	t->over = calloc(t->view.n_buckets, sizeof(*t->over));
	t->spare.len = n;
	t->spare.ring = malloc(n * sizeof(*t->spare.ring));
	if (!t->names || !t->own || !t->over || !t->spare.ring)
		return -ENOMEM;
	memset(t->names, 0xff, t->n_names * sizeof(*t->names));
	return 0;
}

/* The writer's own part, for a table whose shape is right. */
static int writer_new(struct sluice_ternary *s, uint32_t n_max,
		      struct table_ternary **out, struct why *why)
{
	struct table_ternary *t = calloc(1, sizeof(*t));

	if (!t)
		goto no_memory;
	sluice_ternary_view_init(&t->view, s);
	t->shared = s;
	t->buckets = (uint64_t *)((uint8_t *)s + s->buckets_off);
	t->orders = (uint64_t *)((uint8_t *)s + s->orders_off);
	t->n_max = n_max;
	t->n_changes = s->n_changes;
	t->tuples.order_no = s->order;
	t->change.ops = &ternary_change_ops;
	t->n_fields = s->n_fields;
	memcpy(t->fields, s->fields, sizeof(t->fields));
	if (lists_new(t) || tuples_new(&t->tuples, s->n_tuples, s->n_words) ||
	    trees_new(&t->trees, s->n_entries))
		goto undo_t;
	ternary_wide_init(t);
	*out = t;
	return 0;

undo_t:
	table_ternary_free(t);
no_memory:
	return why_say(why, -ENOMEM, "no memory to write a table of %u rules",
		       n_max);
}

int table_ternary_new(struct region *r, const struct table_ternary_conf *conf,
		      struct table_ternary **out, struct why *why)
{
	struct sluice_table_desc d = {
		.kind = conf->kind,
		.alg = SLUICE_ALG_TERNARY,
		.n_max = conf->n_max,
		.len = table_ternary_len(conf),
		.key_len = conf->key_len,
		.value_len = conf->value_len,
		.key_layout = conf->key_layout,
	};
	struct rng rng = rng_of(conf->seed);
	struct sluice_ternary *s;
	struct table_ternary *t;
	uint32_t off;
	int err;

	if (!d.len)
		return why_say(why, -EINVAL,
			       "a table of %u rules of %u + %u bytes is out of "
			       "range",
			       conf->n_max, conf->key_len, conf->value_len);
	strncpy(d.name, conf->name, sizeof(d.name) - 1);
	err = region_table_add(r, &d, &off, why);
	if (err)
		return err;
	s = region_at(r, off, d.len);
	shape(s, conf);
	for (uint32_t i = 0; i < SLUICE_TERNARY_HASH_KEYS; i++)
		s->hash_keys[i] = rng_next(&rng);
	err = writer_new(s, conf->n_max, &t, why);
	if (err)
		return err;
	for (uint32_t i = 0; i < s->n_entries; i++)
		ternary_spare_push(&t->spare, i);
	t->spare.freed = t->spare.rested;
	region_table_publish(r);
	*out = t;
	return 0;
}

int table_ternary_adopt(struct region *r, uint32_t kind,
			struct table_ternary **out, struct why *why)
{
	const struct sluice_table_desc *d = region_table(r, kind);
	struct sluice_ternary_view view;
	struct sluice_ternary *s;
	struct table_ternary *t;
	int err;

	if (!d)
		return why_say(why, -ENOENT,
			       "the region has no table of kind %u", kind);
	s = region_at(r, d->off, d->len);
	if (!s || d->alg != SLUICE_ALG_TERNARY ||
	    region_check_ternary((const uint8_t *)r->head, d, &view, NULL))
		return why_say(why, -EINVAL,
			       "table %.32s is not of the shape it should be",
			       d->name);
	err = writer_new(s, d->n_max, &t, why);
	if (err)
		return err;
	err = ternary_adopt_rules(t, r->head->version, why);
	if (err)
		goto undo_writer;
	*out = t;
	return 0;

undo_writer:
	table_ternary_free(t);
	return err;
}

void table_ternary_free(struct table_ternary *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; t->tuples.at && i < t->view.n_tuples; i++)
		free(t->tuples.at[i].heap);
	free(t->tuples.at);
	free(t->tuples.order);
	free(t->tuples.fine);
	free(t->tuples.free);
	free(t->tuples.masks);
	free(t->trees.nodes);
	free(t->trees.leaves);
	free(t->spare.ring);
	free(t->over);
	free(t->own);
	free(t->names);
	free(t);
}

const struct sluice_ternary_view *
table_ternary_view(const struct table_ternary *t)
{
	return &t->view;
}

uint32_t table_ternary_n_used(const struct table_ternary *t)
{
	return t->n_used;
}

uint32_t table_ternary_n_max(const struct table_ternary *t)
{
	return t->n_max;
}

uint32_t table_ternary_n_tuples(const struct table_ternary *t)
{
	return t->tuples.n;
}
