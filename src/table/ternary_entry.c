/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/ternary_entry - entries, their names, what is spare
 *
 * An entry's name is a hash of key, mask and priority; names hang in lists of
 * our own memory, so that finding a rule again touches the region only where it
 * lies.
 */
#include "table/ternary_private.h"

#include <string.h>

/* Not secret: the lists grow only by rules, which are the operator's. */
static uint64_t mix(uint64_t h, uint64_t x)
{
	h = (h ^ x) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

static void name(struct ternary_form *f)
{
	uint64_t h = mix(f->priority, f->words);

	for (uint32_t i = 0; i < 2 * f->n_words; i++)
		h = mix(h, f->pairs[i]);
	f->name = (uint32_t)(h >> 32);
}

bool ternary_form(const struct table_ternary *t,
		  const struct table_ternary_rule *rule,
		  struct ternary_form *out)
{
	uint32_t n = t->view.key_len / 8;

	out->key = rule->key;
	out->mask = rule->mask;
	out->priority = rule->priority;
	out->words = 0;
	out->n_words = 0;
	for (uint32_t w = 0; w < n; w++) {
		if (!out->mask[w])
			continue;
		if (out->n_words == t->view.n_words)
			return false;
		out->words |= 1ull << w;
		out->pairs[2ul * out->n_words] = out->mask[w];
		out->pairs[2ul * out->n_words + 1] = out->key[w] & out->mask[w];
		out->n_words++;
	}
	name(out);
	return true;
}

void ternary_form_of(const struct table_ternary *t, uint32_t entry,
		     uint64_t *key, uint64_t *mask, struct ternary_form *out)
{
	struct table_ternary_rule rule = {key, mask, 0};

	table_ternary_get(t, entry, key, mask, &rule.priority);
	/* It has no more words than it has room for. */
	(void)ternary_form(t, &rule, out);
}

static bool is_of(const struct table_ternary *t, uint32_t entry,
		  const struct ternary_form *f)
{
	const struct sluice_rule *r = ternary_rule(t, entry);

	return t->own[entry].name == f->name && r->priority == f->priority &&
	       r->words == f->words &&
	       !memcmp(ternary_pairs(t, entry), f->pairs,
		       2ul * f->n_words * sizeof(f->pairs[0]));
}

static uint32_t named(const struct table_ternary *t,
		      const struct ternary_form *f, bool is_current)
{
	for (uint32_t e = t->names[f->name & (t->n_names - 1)];
	     e != TERNARY_NONE; e = t->own[e].name_next)
		if (is_of(t, e, f) && ternary_is_current(t, e) == is_current)
			return e;
	return TERNARY_NONE;
}

uint32_t ternary_current(const struct table_ternary *t,
			 const struct ternary_form *f)
{
	return named(t, f, true);
}

uint32_t ternary_dying(const struct table_ternary *t,
		       const struct ternary_form *f)
{
	return named(t, f, false);
}

void ternary_name_add(struct table_ternary *t, uint32_t entry, uint32_t name)
{
	uint32_t *head = &t->names[name & (t->n_names - 1)];

	t->own[entry].name = name;
	t->own[entry].name_next = *head;
	*head = entry;
}

void ternary_name_del(struct table_ternary *t, uint32_t entry)
{
	uint32_t *e = &t->names[t->own[entry].name & (t->n_names - 1)];

	while (*e != entry)
		e = &t->own[*e].name_next;
	*e = t->own[entry].name_next;
}

bool ternary_has_spare(const struct table_ternary *t)
{
	return t->spare.taken != t->spare.freed;
}

void ternary_spare_push(struct ternary_spare *s, uint32_t entry)
{
	s->ring[s->rested++ % s->len] = entry;
}

uint32_t ternary_entry_new(struct table_ternary *t,
			   const struct ternary_form *f, const void *value)
{
	uint32_t entry = t->spare.ring[t->spare.taken++ % t->spare.len];
	struct sluice_rule *r = ternary_rule(t, entry);
	uint64_t *to = sluice_rule_value(r);
	const uint64_t *from = value;

	/* [ternary-head] It is dead, of a generation that nobody saw alive. */
	ternary_put32(&r->priority, f->priority);
	ternary_put(&r->words, f->words);
	for (uint32_t i = 0; i < t->view.value_len / 8; i++)
		ternary_put(&to[i], from[i]);
	to = ternary_pairs(t, entry);
	for (uint32_t i = 0; i < 2 * f->n_words; i++)
		ternary_put(&to[i], f->pairs[i]);
	ternary_name_add(t, entry, f->name);
	return entry;
}
