/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/exact - shape, life and the writer's look-up
 *
 *     struct sluice_exact | buckets of 64 bytes | entries
 *
 * There are slots for n_max / 0.95 keys; their number need not be a power of
 * two, so a table is never twice as large as it should be. Entries are a little
 * more than n_max, so that a full table can be changed while dead entries rest.
 * An entry of up to 64 bytes never straddles two cache lines.
 *
 * Rejected: a free list inside dead entries (a crash could break the list, and
 * each use would touch a line more), and keys in the buckets themselves (they
 * would have to be copied at every move, and counters could not stay put).
 */
#include "table/exact_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

#define N_MAX (1u << 28)
#define VALUE_LEN_MAX 1024u

static uint32_t entry_len_of(uint32_t key_len, uint32_t value_len)
{
	uint32_t len = 8 + key_len + value_len;
	uint32_t fit = 16;

	if (len > CACHE_LINE)
		return (len + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	while (fit < len)
		fit *= 2;
	return fit;
}

/*
 * One more bucket than 95 % asks for, and two at least: in a table of few
 * buckets it would otherwise happen, once in 30,000, that n_max keys do not fit.
 */
static uint32_t n_buckets_of(uint32_t n_max)
{
	uint64_t n_slots = ((uint64_t)n_max * 20 + 18) / 19;

	return (uint32_t)((n_slots - 1) / SLUICE_BUCKET_SLOTS) + 2;
}

static uint32_t n_entries_of(uint32_t n_max)
{
	return n_max + n_max / 32 + 64;
}

static bool conf_ok(const struct table_exact_conf *c)
{
	return c->n_max >= 1 && c->n_max <= N_MAX && c->key_len >= 8 &&
	       c->key_len <= SLUICE_KEY_LEN_MAX && c->key_len % 8 == 0 &&
	       c->value_len <= VALUE_LEN_MAX && c->value_len % 8 == 0;
}

/* An entry of two lines lies in two that are fetched together. */
static uint64_t entries_off_of(uint32_t n_max)
{
	uint64_t len = sizeof(struct sluice_exact) +
		       (uint64_t)n_buckets_of(n_max) * SLUICE_CACHE_LINE;

	return (len + REGION_TABLE_ALIGN - 1) / REGION_TABLE_ALIGN *
	       REGION_TABLE_ALIGN;
}

uint64_t table_exact_len(const struct table_exact_conf *conf)
{
	if (!conf_ok(conf))
		return 0;
	return entries_off_of(conf->n_max) +
	       (uint64_t)n_entries_of(conf->n_max) *
		       entry_len_of(conf->key_len, conf->value_len);
}

static void shape(struct sluice_exact *s, const struct table_exact_conf *conf)
{
	struct rng rng = rng_of(conf->seed);

	s->n_buckets = n_buckets_of(conf->n_max);
	s->n_entries = n_entries_of(conf->n_max);
	s->entry_len = entry_len_of(conf->key_len, conf->value_len);
	s->key_len = conf->key_len;
	s->value_len = conf->value_len;
	s->buckets_off = sizeof(*s);
	s->entries_off = entries_off_of(conf->n_max);
	for (uint32_t i = 0; i < SLUICE_EXACT_HASH_KEYS; i++)
		s->hash_keys[i] = rng_next(&rng);
}

/* Could we have made a table of this shape for this descriptor? */
static bool shape_ok(const struct sluice_exact *s,
		     const struct sluice_table_desc *d)
{
	return d->alg == SLUICE_ALG_CUCKOO8 && d->n_max >= 1 &&
	       s->n_buckets >= 2 && s->n_entries >= d->n_max &&
	       s->key_len == d->key_len && s->value_len == d->value_len &&
	       s->key_len >= 8 && s->key_len <= SLUICE_KEY_LEN_MAX &&
	       s->key_len % 8 == 0 && s->value_len % 8 == 0 &&
	       s->entry_len % 8 == 0 &&
	       s->entry_len >= 8 + s->key_len + s->value_len &&
	       s->buckets_off >= sizeof(*s) && s->buckets_off % 64 == 0 &&
	       s->buckets_off + (uint64_t)s->n_buckets * 64 <= s->entries_off &&
	       s->entries_off % 8 == 0 && s->entries_off <= d->len &&
	       (uint64_t)s->n_entries * s->entry_len <= d->len - s->entries_off;
}

/* The writer's own part, for a table whose shape is right. */
static int writer_new(struct sluice_exact *s, uint32_t n_max,
		      struct table_exact **out, struct why *why)
{
	struct table_exact *t = calloc(1, sizeof(*t));

	if (!t)
		goto no_memory;
	sluice_exact_view_init(&t->view, s);
	t->change.ops = &exact_change_ops;
	t->shared = s;
	t->buckets = (uint64_t *)((uint8_t *)s + s->buckets_off);
	t->n_max = n_max;
	t->value_len = s->value_len;
	t->n_changes = s->n_changes;
	t->spare.len = s->n_entries;
	t->spare.ring = malloc((uint64_t)s->n_entries * sizeof(uint32_t));
	t->path = exact_path_new(s->n_buckets);
	if (!t->spare.ring || !t->path)
		goto undo_t;
	*out = t;
	return 0;

undo_t:
	table_exact_free(t);
no_memory:
	why_say(why, -ENOMEM, "no memory to write a table of %u entries",
		s->n_entries);
	return -ENOMEM;
}

int table_exact_make(struct sluice_exact *mem,
		     const struct table_exact_conf *conf,
		     struct table_exact **out, struct why *why)
{
	struct table_exact *t;
	int err;

	shape(mem, conf);
	err = writer_new(mem, conf->n_max, &t, why);
	if (err)
		return err;
	for (uint32_t i = 0; i < mem->n_entries; i++)
		t->spare.ring[i] = i;
	t->spare.freed = mem->n_entries;
	t->spare.rested = mem->n_entries;
	*out = t;
	return 0;
}

int table_exact_new(struct region *r, const struct table_exact_conf *conf,
		    struct table_exact **out, struct why *why)
{
	struct sluice_table_desc d = {
		.kind = conf->kind,
		.alg = SLUICE_ALG_CUCKOO8,
		.n_max = conf->n_max,
		.len = table_exact_len(conf),
		.key_len = conf->key_len,
		.value_len = conf->value_len,
		.key_layout = conf->key_layout,
	};
	uint32_t off;
	int err;

	if (!d.len)
		return why_say(why, -EINVAL,
			       "a table of %u entries of %u + %u bytes is out "
			       "of range",
			       conf->n_max, conf->key_len, conf->value_len);
	strncpy(d.name, conf->name, sizeof(d.name) - 1);
	err = region_table_add(r, &d, &off, why);
	if (err)
		return err;
	err = table_exact_make(region_at(r, off, d.len), conf, out, why);
	if (err)
		return err;
	region_table_publish(r);
	return 0;
}

int table_exact_take(struct region *r, const struct sluice_table_desc *d,
		     struct table_exact **out, struct why *why)
{
	struct sluice_exact *s = region_at(r, d->off, d->len);
	struct table_exact *t;
	int err;

	if (!s || d->len < sizeof(*s) || !shape_ok(s, d))
		return why_say(why, -EINVAL,
			       "table %.32s is not of the shape it should be",
			       d->name);
	err = writer_new(s, d->n_max, &t, why);
	if (err)
		return err;
	/* Who reads older versions without a section is told first. */
	region_settling_set(r, r->head->version);
	err = exact_adopt_entries(t, r->head->version, why);
	if (err)
		goto undo_writer;
	*out = t;
	return 0;

undo_writer:
	table_exact_free(t);
	return err;
}

int table_exact_adopt(struct region *r, uint32_t kind, struct table_exact **out,
		      struct why *why)
{
	const struct sluice_table_desc *d = region_table(r, kind);

	if (!d)
		return why_say(why, -ENOENT,
			       "the region has no table of kind %u", kind);
	return table_exact_take(r, d, out, why);
}

void table_exact_free(struct table_exact *t)
{
	if (!t)
		return;
	free(t->path);
	free(t->spare.ring);
	free(t);
}

struct change_table *table_exact_change(struct table_exact *t)
{
	return &t->change;
}

const struct sluice_exact_view *table_exact_view(const struct table_exact *t)
{
	return &t->view;
}

uint32_t table_exact_n_used(const struct table_exact *t)
{
	return t->n_used;
}

uint32_t table_exact_n_max(const struct table_exact *t)
{
	return t->n_max;
}

uint32_t table_exact_n_resting(const struct table_exact *t)
{
	return (uint32_t)(t->spare.rested - t->spare.freed);
}

uint64_t table_exact_mark(const struct table_exact *t)
{
	return t->spare.rested;
}

void table_exact_reclaim(struct table_exact *t, uint64_t mark)
{
	if (mark > t->spare.freed && mark <= t->spare.rested)
		t->spare.freed = mark;
}
