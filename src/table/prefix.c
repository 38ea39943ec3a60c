/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/prefix - shape, life and the writer's look-up
 *
 *     struct sluice_prefix | root words | nodes of 64 bytes | routes
 *
 * Routes are an array of their own and not an exact table: who looks for the
 * route of a given prefix looks its first address up and follows the parents, so
 * no second index is needed.
 *
 * Rejected: a root of fewer bits with larger nodes (strides of 8, as rte_lpm and
 * rte_fib have them: 1 KiB for a single longer prefix), and trees of single bits
 * (as many dependent loads as a prefix has bits).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "table/prefix_private.h"

#define N_MAX (1u << 26)
#define VALUE_LEN_MAX 1024u

static uint32_t n_routes_of(uint32_t n_max)
{
	return n_max + n_max / 32 + 64;
}

static uint32_t route_len_of(uint32_t key_bits, uint32_t value_len)
{
	return sluice_route_value_off(key_bits) + value_len;
}

static bool conf_ok(const struct table_prefix_conf *c)
{
	return c->n_max >= 1 && c->n_max <= N_MAX && c->n_nodes >= 1 &&
	       c->n_nodes <= N_MAX &&
	       (c->key_bits == 32 || c->key_bits == 128) && c->root_bits >= 8 &&
	       c->root_bits <= 24 && c->root_bits % SLUICE_NODE_BITS == 0 &&
	       c->value_len <= VALUE_LEN_MAX && c->value_len % 8 == 0;
}

static void shape(struct sluice_prefix *s, const struct table_prefix_conf *c)
{
	s->key_bits = c->key_bits;
	s->root_bits = c->root_bits;
	s->n_nodes = c->n_nodes;
	s->n_routes = n_routes_of(c->n_max);
	s->value_len = c->value_len;
	s->route_len = route_len_of(c->key_bits, c->value_len);
	s->root_off = sizeof(*s);
	s->nodes_off = s->root_off + (4ull << c->root_bits);
	s->routes_off = s->nodes_off + (uint64_t)c->n_nodes * SLUICE_CACHE_LINE;
}

uint64_t table_prefix_len(const struct table_prefix_conf *conf)
{
	struct sluice_prefix s;

	if (!conf_ok(conf))
		return 0;
	shape(&s, conf);
	return s.routes_off + (uint64_t)(s.n_routes + 1) * s.route_len;
}

/* Could we have made a table of this shape for this descriptor? */
static bool shape_ok(const struct sluice_prefix *s,
		     const struct sluice_table_desc *d)
{
	struct table_prefix_conf conf = {
		.n_max = d->n_max,
		.n_nodes = s->n_nodes,
		.key_bits = s->key_bits,
		.root_bits = s->root_bits,
		.value_len = d->value_len,
	};
	struct sluice_prefix want;

	if (d->alg != SLUICE_ALG_PREFIX || !conf_ok(&conf) ||
	    d->key_len * 8u != s->key_bits || table_prefix_len(&conf) != d->len)
		return false;
	shape(&want, &conf);
	return s->n_routes == want.n_routes && s->route_len == want.route_len &&
	       s->value_len == want.value_len && s->root_off == want.root_off &&
	       s->nodes_off == want.nodes_off &&
	       s->routes_off == want.routes_off;
}

/* The writer's own part, for a table whose shape is right. */
static int writer_new(const struct region *r, struct sluice_prefix *s,
		      uint32_t n_max, struct table_prefix **out)
{
	struct table_prefix *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	sluice_prefix_view_init(&t->view, s);
	t->shared = s;
	t->region = r;
	t->change.ops = &prefix_change_ops;
	t->root = (uint32_t *)((uint8_t *)s + s->root_off);
	t->nodes = (uint32_t *)((uint8_t *)s + s->nodes_off);
	t->root_bits = s->root_bits;
	t->n_max = n_max;
	t->value_len = s->value_len;
	t->n_changes = s->n_changes & ~1ull;
	t->n_reused = s->n_reused;
	if (prefix_pieces_init(t)) {
		free(t);
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

int table_prefix_new(struct region *r, const struct table_prefix_conf *conf,
		     struct table_prefix **out, struct why *why)
{
	struct sluice_table_desc d = {
		.kind = conf->kind,
		.alg = SLUICE_ALG_PREFIX,
		.n_max = conf->n_max,
		.len = table_prefix_len(conf),
		.key_len = (uint16_t)(conf->key_bits / 8),
		.value_len = conf->value_len,
	};
	struct sluice_prefix *s;
	struct table_prefix *t;
	uint32_t off;
	int err;

	if (!d.len)
		return why_say(why, -EINVAL,
			       "a table of %u routes of %u bits with %u nodes "
			       "behind %u bits is out of range",
			       conf->n_max, conf->key_bits, conf->n_nodes,
			       conf->root_bits);
	strncpy(d.name, conf->name, sizeof(d.name) - 1);
	err = region_table_add(r, &d, &off, why);
	if (err)
		return err;
	s = region_at(r, off, d.len);
	shape(s, conf);
	err = writer_new(r, s, conf->n_max, &t);
	if (err)
		return why_say(why, err, "no memory to write %u routes",
			       conf->n_max);
	/* Downwards, so that the first comes first. */
	for (uint32_t i = s->n_nodes; i-- > 0;)
		prefix_node_is_free(t, i);
	for (uint32_t i = s->n_routes; i > 0; i--)
		prefix_route_is_free(t, i);
	region_table_publish(r);
	*out = t;
	return 0;
}

int table_prefix_adopt(struct region *r, uint32_t kind,
		       struct table_prefix **out, struct why *why)
{
	const struct sluice_table_desc *d = region_table(r, kind);
	struct sluice_prefix *s;
	struct table_prefix *t;
	int err;

	if (!d)
		return why_say(why, -ENOENT,
			       "the region has no table of kind %u", kind);
	s = region_at(r, d->off, d->len);
	if (!s || d->len < sizeof(*s) || !shape_ok(s, d))
		return why_say(why, -EINVAL,
			       "table %.32s is not of the shape it should be",
			       d->name);
	err = writer_new(r, s, d->n_max, &t);
	if (err)
		return why_say(why, err, "no memory to write %u routes",
			       d->n_max);
	err = prefix_adopt_all(t, why);
	if (err)
		goto undo_writer;
	*out = t;
	return 0;

undo_writer:
	table_prefix_free(t);
	return err;
}

void table_prefix_free(struct table_prefix *t)
{
	if (!t)
		return;
	prefix_pieces_fini(t);
	free(t);
}

const struct sluice_prefix_view *table_prefix_view(const struct table_prefix *t)
{
	return &t->view;
}

uint32_t table_prefix_n_used(const struct table_prefix *t)
{
	return t->n_used;
}

uint32_t table_prefix_n_max(const struct table_prefix *t)
{
	return t->n_max;
}

uint32_t table_prefix_n_nodes_used(const struct table_prefix *t)
{
	return t->n_nodes_used;
}

static bool is_seen(const struct table_prefix *t, uint32_t n)
{
	return sluice_head_visible(prefix_route(t, n)->head,
				   t->region->head->version);
}

uint32_t table_prefix_find(const struct table_prefix *t,
			   const struct sluice_prefix_key *key)
{
	uint32_t around;
	uint32_t n = prefix_exact(t, key, &around);

	/* One of the same prefix may lie below it: the old one. */
	for (uint32_t i = 0; n && i < 2; i++) {
		if (prefix_route(t, n)->len != key->len)
			return 0;
		if (is_seen(t, n))
			return n;
		n = prefix_number(t, prefix_route(t, n)->parent);
	}
	return 0;
}

void table_prefix_each(const struct table_prefix *t,
		       bool (*fn)(void *ctx, uint32_t route), void *ctx)
{
	for (uint32_t n = 1; n <= t->view.n_routes; n++)
		if (is_seen(t, n) && !fn(ctx, n))
			return;
}
