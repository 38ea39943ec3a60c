/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/ternary_change - rules come and go
 *
 * A rule is written, its tuple is in the order, then it is linked: three
 * releases, each of which a reader may see or not. What replaces a rule is
 * linked before it in the same chain, and then the old one leaves.
 */
#include "table/ternary_private.h"

#include <errno.h>

/* Where a rule goes. */
struct place {
	uint32_t tuple;
	uint32_t hash;
};

/* The place of a new rule or, if there is an old one, beside that. */
static int place_for(struct table_ternary *t, const struct ternary_form *f,
		     uint32_t old, struct place *out)
{
	if (!ternary_has_spare(t))
		return -ENOSPC;
	if (old != TERNARY_NONE) {
		out->tuple = t->own[old].tuple;
		out->hash = t->own[old].hash;
		if (ternary_chain_len(t, out->hash) == SLUICE_TERNARY_CHAIN_MAX)
			return -ENOSPC;
	} else {
		out->tuple = ternary_tuple_for(t, f, &out->hash);
		if (out->tuple == TERNARY_NONE)
			return -ENOSPC;
	}
	if (ternary_tuple_reserve(&t->tuples.at[out->tuple]))
		return 0;
	if (!t->tuples.at[out->tuple].n_rules)
		ternary_tuple_drop(t, out->tuple);
	return -ENOSPC;
}

/* Makes a rule in a place, with that head but its own generation. */
static uint32_t rule_new(struct table_ternary *t, const struct ternary_form *f,
			 const void *value, const struct place *at,
			 uint64_t head)
{
	uint32_t entry = ternary_entry_new(t, f, value);
	struct sluice_rule *r = ternary_rule(t, entry);

	t->own[entry].tuple = at->tuple;
	t->own[entry].hash = at->hash;
	ternary_put32(&r->hash, at->hash);
	ternary_put32(&r->tuple, at->tuple);
	ternary_put(&r->head, sluice_head_to(r->head,
					     (enum sluice_entry_state)
						     sluice_head_state(head),
					     sluice_head_version(head)));
	ternary_tuple_add(t, entry); /* [ternary-order] */
	ternary_tree_add(t, entry, f->key, true);
	ternary_chain_add(t, entry);
	return entry;
}

void ternary_kill(struct table_ternary *t, uint32_t entry)
{
	struct sluice_rule *r = ternary_rule(t, entry);

	(void)ternary_chain_del(t, entry);
	ternary_tree_del(t, entry);
	ternary_tuple_del(t, entry);
	ternary_name_del(t, entry);
	ternary_put(&r->head, sluice_head_dead(r->head)); /* [ternary-head] */
	ternary_spare_push(&t->spare, entry);
}

/* ---- Single operations: true at once, at every version. ---- */

/* A rule of that name which an unsettled set removes goes now. */
static void kill_dying(struct table_ternary *t, const struct ternary_form *f)
{
	uint32_t entry = ternary_dying(t, f);

	if (entry != TERNARY_NONE)
		ternary_kill(t, entry);
}

int table_ternary_set(struct table_ternary *t,
		      const struct table_ternary_rule *rule, const void *value,
		      uint32_t *number)
{
	struct ternary_form f;
	struct place at;
	uint32_t old, entry;
	int err;

	if (!ternary_form(t, rule, &f))
		return -EINVAL;
	old = ternary_current(t, &f);
	if (old == TERNARY_NONE && t->n_used == t->n_max)
		return -ENOSPC;
	err = place_for(t, &f, old, &at);
	if (err)
		return err;
	entry = rule_new(t, &f, value, &at, SLUICE_ENTRY_LIVE);
	if (old != TERNARY_NONE || ternary_dying(t, &f) != TERNARY_NONE)
		ternary_changed(
			t); /* [ternary-change] before the old ones go */
	if (old != TERNARY_NONE)
		ternary_kill(t, old);
	else
		ternary_set_n_used(t, t->n_used + 1);
	kill_dying(t, &f);
	if (number)
		*number = entry;
	return 0;
}

bool table_ternary_del(struct table_ternary *t,
		       const struct table_ternary_rule *rule)
{
	struct ternary_form f;
	uint32_t entry;

	if (!ternary_form(t, rule, &f))
		return false;
	entry = ternary_current(t, &f);
	kill_dying(t, &f);
	if (entry == TERNARY_NONE)
		return false;
	ternary_kill(t, entry);
	ternary_set_n_used(t, t->n_used - 1);
	return true;
}

/* ---- Change sets. ---- */

static struct table_ternary *table_of(struct change_table *c)
{
	return container_of(c, struct table_ternary, change);
}

/* An entry of this generation, for struct change_step; 0: none. */
static uint64_t step_word(const struct table_ternary *t, uint32_t entry)
{
	if (entry == TERNARY_NONE)
		return 0;
	return (ternary_rule(t, entry)->head & SLUICE_ENTRY_GENERATION) << 32 |
	       (entry + 1);
}

/* The entry, if it is of that generation and state still; else NONE. */
static uint32_t step_entry(const struct table_ternary *t, uint64_t word,
			   enum sluice_entry_state state)
{
	uint32_t entry = (uint32_t)word - 1;
	uint64_t head;

	if (!word)
		return TERNARY_NONE;
	head = ternary_rule(t, entry)->head;
	return sluice_head_same(head, word >> 32) &&
			       sluice_head_state(head) == (uint32_t)state
		       ? entry
		       : TERNARY_NONE;
}

static void head_to(struct table_ternary *t, uint32_t entry,
		    enum sluice_entry_state state, uint32_t version)
{
	struct sluice_rule *r = ternary_rule(t, entry);

	ternary_put(&r->head, sluice_head_to(r->head, state, version));
}

/* May a set do this with the rule of that form? */
static int may_change(const struct table_ternary *t,
		      const struct ternary_form *f, enum change_kind kind,
		      uint32_t version, struct why *why)
{
	uint32_t old = ternary_dying(t, f);
	uint64_t head;

	if (old == TERNARY_NONE)
		old = ternary_current(t, f);

	if (old == TERNARY_NONE)
		return kind != CHANGE_DEL
			       ? 0
			       : why_say(why, -ENOENT, "there is no such rule");
	head = ternary_rule(t, old)->head;
	if (sluice_head_state(head) != SLUICE_ENTRY_LIVE)
		return sluice_head_version(head) == version
			       ? why_say(why, -EINVAL,
					 "the set names this rule twice")
			       : why_say(why, -EAGAIN,
					 "a set that is not settled changes "
					 "this rule");
	return kind != CHANGE_ADD
		       ? 0
		       : why_say(why, -EEXIST, "there is such a rule");
}

static int prepare_rule(struct table_ternary *t, const struct ternary_form *f,
			const struct change_item *item, uint32_t version,
			struct change_step *out)
{
	uint32_t old = ternary_current(t, f);
	uint32_t born = TERNARY_NONE;

	if (item->kind != CHANGE_DEL) {
		struct place at;
		int err = old == TERNARY_NONE && t->n_used == t->n_max
				  ? -ENOSPC
				  : place_for(t, f, old, &at);

		if (err)
			return err;
		born = rule_new(t, f, item->value, &at,
				sluice_head_to(0, SLUICE_ENTRY_BORN, version));
	}
	if (old != TERNARY_NONE)
		head_to(t, old, SLUICE_ENTRY_DYING, version);
	if (old == TERNARY_NONE || born == TERNARY_NONE)
		ternary_set_n_used(t, old == TERNARY_NONE ? t->n_used + 1
							  : t->n_used - 1);
	out->old = step_word(t, old);
	out->born = step_word(t, born);
	return 0;
}

static int prepare(struct change_table *c, const struct change_item *item,
		   uint32_t version, struct change_step *out, struct why *why)
{
	struct table_ternary *t = table_of(c);
	struct ternary_form f;
	int err;

	if (!ternary_form(t, item->key, &f))
		return why_say(why, -EINVAL,
			       "the rule looks at more than %u words",
			       t->view.n_words);
	err = may_change(t, &f, item->kind, version, why);
	if (err)
		return err;
	err = prepare_rule(t, &f, item, version, out);
	if (err)
		return why_say(why, err, "no room for a rule among %u of %u",
			       t->n_used, t->n_max);
	return 0;
}

static void undo(struct change_table *c, const struct change_step *s)
{
	struct table_ternary *t = table_of(c);
	uint32_t old = step_entry(t, s->old, SLUICE_ENTRY_DYING);
	uint32_t born = step_entry(t, s->born, SLUICE_ENTRY_BORN);

	if (old != TERNARY_NONE)
		head_to(t, old, SLUICE_ENTRY_LIVE, 0);
	if (born != TERNARY_NONE)
		ternary_kill(t, born);
	if (old == TERNARY_NONE || born == TERNARY_NONE)
		ternary_set_n_used(t, old == TERNARY_NONE ? t->n_used - 1
							  : t->n_used + 1);
}

static void settle(struct change_table *c, const struct change_step *s)
{
	struct table_ternary *t = table_of(c);
	uint32_t old = step_entry(t, s->old, SLUICE_ENTRY_DYING);
	uint32_t born = step_entry(t, s->born, SLUICE_ENTRY_BORN);

	if (born != TERNARY_NONE)
		head_to(t, born, SLUICE_ENTRY_LIVE, 0);
	if (old == TERNARY_NONE)
		return;
	ternary_changed(t); /* [ternary-change] before the old one goes */
	ternary_kill(t, old);
}

const struct change_table_ops ternary_change_ops = {
	.prepare = prepare,
	.undo = undo,
	.settle = settle,
};

struct change_table *table_ternary_change(struct table_ternary *t)
{
	return &t->change;
}
