/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/prefix_change - routes come, go, and take part in change sets
 *
 * Every function here is a sequence of single stores. What a writer that is
 * killed between two of them had begun is finished by who adopts the table, so a
 * route's head comes first: live before the words name it, dead before they
 * cease to. A route that replaces another is marked in its head until the other is
 * dead, which tells the newer of the two; and the other gets it as its parent,
 * for readers who have come to the other from a longer route (with unsettled
 * sets only) and find it dead.
 *
 *     prepare  born route's words and head | dying route's head, then its words
 *              become unsettled: readers of older versions pass through the
 *              former to its parent, and still see the latter
 *     settle   born route's head is live, then its words become settled | dying
 *              route's words fall to the one around, then its head is dead
 */
#include <errno.h>

#include "base/annotate.h"
#include "table/prefix_private.h"

void prefix_begin(struct table_prefix *t)
{
	prefix_put64(&t->shared->n_changes, ++t->n_changes);
}

void prefix_end(struct table_prefix *t)
{
	prefix_put(&t->shared->n_used, t->n_used);
	prefix_put(&t->shared->n_nodes_used, t->n_nodes_used);
	prefix_put64(&t->shared->n_changes, ++t->n_changes);
}

bool prefix_key_ok(const struct table_prefix *t,
		   const struct sluice_prefix_key *key)
{
	uint64_t hi = key->len >= 64 ? 0 : ~0ull >> key->len;
	uint64_t lo = key->len <= 64	? ~0ull
		      : key->len == 128 ? 0
					: ~0ull >> (key->len - 64);

	return key->len <= t->view.key_bits && !(key->addr.hi & hi) &&
	       !(key->addr.lo & lo);
}

static uint32_t state_of(const struct table_prefix *t, uint32_t n)
{
	return sluice_head_state(prefix_route(t, n)->head);
}

/* The word that names a route now. */
static uint32_t word_of(const struct table_prefix *t, uint32_t n)
{
	if (n && state_of(t, n) != SLUICE_ENTRY_LIVE)
		n |= SLUICE_PREFIX_UNSETTLED;
	return n;
}

static void head_put(const struct table_prefix *t, uint32_t n,
		     enum sluice_entry_state state, uint32_t version)
{
	uint64_t *head = &prefix_route(t, n)->head;

	prefix_put64(head, sluice_head_to(*head, state, version));
}

static void kill_route(struct table_prefix *t, uint32_t n)
{
	uint64_t *head = &prefix_route(t, n)->head;

	prefix_put64(head, sluice_head_dead(*head));
}

/* What a change begins with. */
struct change {
	const struct sluice_prefix_key *key;
	uint32_t exact;	 /* the route of this prefix, or 0 */
	uint32_t around; /* the next shorter one, or 0 */
};

static void look(const struct table_prefix *t,
		 const struct sluice_prefix_key *key, struct change *c)
{
	c->key = key;
	c->exact = prefix_exact(t, key, &c->around);
}

/* Is there room for one more route? */
static int room(const struct table_prefix *t, const struct change *c,
		struct why *why)
{
	if (!c->exact && t->n_used >= t->n_max)
		return why_say(why, -ENOSPC, "all %u routes are in use",
			       t->n_max);
	if (!t->pieces.n_routes_free)
		return why_say(why, -ENOSPC, "too many routes rest");
	if (prefix_nodes_missing(t, c->key) > t->pieces.n_nodes_free)
		return why_say(why, -ENOSPC, "no nodes are left, of %u",
			       t->view.n_nodes);
	return 0;
}

/* Takes a route and fills it; nobody finds it yet. */
static uint32_t route_new(struct table_prefix *t, const struct change *c,
			  uint32_t parent, const uint64_t *value)
{
	uint32_t n = prefix_route_take(t);
	struct sluice_route *r = prefix_route(t, n);
	uint64_t *words = sluice_prefix_value(&t->view, n);

	/* [prefix-reuse] */
	prefix_put(&r->parent, parent);
	prefix_put(&r->len, c->key->len);
	prefix_put64(&r->addr.hi, c->key->addr.hi);
	if (t->view.key_bits > 64)
		prefix_put64(&r->addr.lo, c->key->addr.lo);
	for (uint32_t i = 0; i < t->value_len / 8; i++)
		prefix_put64(&words[i], value[i]);
	return n;
}

/* Puts a route that has its head into the words, for the one that they have. */
static void route_link(struct table_prefix *t, const struct change *c,
		       uint32_t n)
{
	const struct prefix_swap s = {
		.from = c->exact ? c->exact : c->around,
		.to = word_of(t, n),
		.reparent = true,
	};

	prefix_deepen(t, c->key);
	prefix_swap(t, c->key, &s);
}

/* Takes a route out of the words, for another or none. */
static void route_unlink(struct table_prefix *t,
			 const struct sluice_prefix_key *key, uint32_t n,
			 uint32_t other)
{
	const struct prefix_swap s = {
		.from = n,
		.to = word_of(t, other),
		.reparent = true,
	};

	prefix_swap(t, key, &s);
}

/* Makes the words of a route say whether it is settled. */
static void route_restate(struct table_prefix *t,
			  const struct sluice_prefix_key *key, uint32_t n)
{
	const struct prefix_swap s = {.from = n, .to = word_of(t, n)};

	prefix_swap(t, key, &s);
}

int table_prefix_set(struct table_prefix *t,
		     const struct sluice_prefix_key *key, const void *value,
		     uint32_t *route)
{
	struct change c;
	uint32_t n;
	int err;

	if (!prefix_key_ok(t, key))
		return -EINVAL;
	look(t, key, &c);
	if (c.exact && state_of(t, c.exact) != SLUICE_ENTRY_LIVE)
		return -EAGAIN;
	err = room(t, &c, NULL);
	if (err)
		return err;
	prefix_begin(t);
	n = route_new(t, &c, c.around, value);
	head_put(t, n, SLUICE_ENTRY_LIVE, c.exact ? PREFIX_NEWER : 0);
	route_link(t, &c, n);
	if (c.exact) {
		/* [prefix-word] before it is dead */
		prefix_put(&prefix_route(t, c.exact)->parent, n);
		kill_route(t, c.exact);
		head_put(t, n, SLUICE_ENTRY_LIVE, 0);
		prefix_route_rest(t, c.exact);
	}
	prefix_end(t);
	if (route)
		*route = n;
	return 0;
}

int table_prefix_del(struct table_prefix *t,
		     const struct sluice_prefix_key *key)
{
	struct change c;

	if (!prefix_key_ok(t, key))
		return -ENOENT;
	look(t, key, &c);
	if (!c.exact)
		return -ENOENT;
	if (state_of(t, c.exact) != SLUICE_ENTRY_LIVE)
		return -EAGAIN;
	prefix_begin(t);
	kill_route(t, c.exact);
	route_unlink(t, key, c.exact, c.around);
	prefix_route_rest(t, c.exact);
	prefix_end(t);
	return 0;
}

/* ---- Change sets. ---- */

static struct table_prefix *of_change(struct change_table *ct)
{
	return container_of(ct, struct table_prefix, change);
}

struct change_table *table_prefix_change(struct table_prefix *t)
{
	return &t->change;
}

/* May an item do this to the route that is there, or to none? */
static int may(const struct table_prefix *t, const struct change *c,
	       enum change_kind kind, uint32_t version, struct why *why)
{
	uint64_t head;

	if (!c->exact)
		return kind != CHANGE_DEL
			       ? 0
			       : why_say(why, -ENOENT, "no route of /%u there",
					 c->key->len);
	head = prefix_route(t, c->exact)->head;
	if (sluice_head_state(head) == SLUICE_ENTRY_LIVE)
		return kind != CHANGE_ADD ? 0
					  : why_say(why, -EEXIST,
						    "a route of /%u is there",
						    c->key->len);
	if (sluice_head_version(head) == version)
		return why_say(why, -EINVAL,
			       "the set names a prefix of /%u twice",
			       c->key->len);
	return why_say(why, -EAGAIN, "a set that is not settled has it");
}

static int prepare(struct change_table *ct, const struct change_item *item,
		   uint32_t version, struct change_step *out, struct why *why)
{
	struct table_prefix *t = of_change(ct);
	uint32_t born = 0;
	struct change c;
	int err;

	if (!prefix_key_ok(t, item->key))
		return why_say(why, -EINVAL, "not a prefix");
	look(t, item->key, &c);
	err = may(t, &c, item->kind, version, why);
	if (!err && item->kind != CHANGE_DEL)
		err = room(t, &c, why);
	if (err)
		return err;
	prefix_begin(t);
	if (item->kind != CHANGE_DEL) {
		born = route_new(t, &c, c.exact ? c.exact : c.around,
				 item->value);
		head_put(t, born, SLUICE_ENTRY_BORN, version);
	}
	if (c.exact)
		head_put(t, c.exact, SLUICE_ENTRY_DYING, version);
	if (born)
		route_link(t, &c, born);
	else
		route_restate(t, c.key, c.exact);
	prefix_end(t);
	*out = (struct change_step){.old = c.exact, .born = born};
	return 0;
}

/* The routes of a step as they are now; 0 where it is not what it was. */
static void step_routes(const struct table_prefix *t,
			const struct change_step *s, uint32_t *old,
			uint32_t *born)
{
	*old = (uint32_t)s->old;
	*born = (uint32_t)s->born;
	if (*old && state_of(t, *old) != SLUICE_ENTRY_DYING)
		*old = 0;
	if (*born && state_of(t, *born) != SLUICE_ENTRY_BORN)
		*born = 0;
}

static void undo(struct change_table *ct, const struct change_step *s)
{
	struct table_prefix *t = of_change(ct);
	struct sluice_prefix_key key;
	uint32_t old, born, around;

	step_routes(t, s, &old, &born);
	if (!old && !born)
		return;
	prefix_begin(t);
	key = prefix_key(t, born ? born : old);
	prefix_exact(t, &key, &around);
	if (old)
		head_put(t, old, SLUICE_ENTRY_LIVE, 0);
	if (born) {
		route_unlink(t, &key, born, old ? old : around);
		kill_route(t, born);
		prefix_route_rest(t, born);
	} else {
		route_restate(t, &key, old);
	}
	prefix_end(t);
}

static void settle(struct change_table *ct, const struct change_step *s)
{
	struct table_prefix *t = of_change(ct);
	struct sluice_prefix_key key;
	uint32_t old, born, around;

	step_routes(t, s, &old, &born);
	if (!old && !born)
		return;
	prefix_begin(t);
	key = prefix_key(t, born ? born : old);
	prefix_exact(t, &key, &around);
	if (born) {
		head_put(t, born, SLUICE_ENTRY_LIVE, 0);
		route_restate(t, &key, born);
	} else {
		route_unlink(t, &key, old, around);
	}
	if (old) {
		kill_route(t, old);
		if (born)
			prefix_put(&prefix_route(t, born)->parent, around);
		prefix_route_rest(t, old);
	}
	prefix_end(t);
}

const struct change_table_ops prefix_change_ops = {
	.prepare = prepare,
	.undo = undo,
	.settle = settle,
};
