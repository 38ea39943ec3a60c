/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region/fsck_masked - is a table of flows under masks whole?
 *
 * Its exact table is checked as such. Then every flow must lie under a mask that
 * the order in force names, have no bit that the mask clears, and be let
 * through by the filter, under its group too if the mask is in one; and the order
 * names every record once at most.
 *
 * A writer at work publishes orders and kills flows: what looks wrong is looked
 * at again, with the order that is in force then.
 */
#include "region/fsck.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/masked.h"

#define NOT_LISTED UINT32_MAX
#define IN_NO_GROUP (UINT32_MAX - 1)

struct masked_check {
	struct fsck *f;
	struct sluice_masked_view v;
	uint32_t *groups; /* [n_records] of a listed one, as above */
};

/* Reads the order in force; what is wrong with it, or NULL. */
static const char *read_order(struct masked_check *c)
{
	const struct sluice_masked_view *v = &c->v;
	uint32_t n, group = IN_NO_GROUP, end = 0;
	const char *fault = NULL;
	uint64_t order;
	const uint64_t *steps = sluice_masked_steps(v, &order, &n);

	for (uint32_t i = 0; i < v->n_records; i++)
		c->groups[i] = NOT_LISTED;
	for (uint32_t i = 0; i < n; i++) {
		/* [masked-begun] */
		uint64_t step = sluice_load64_acquire(&steps[i]);
		uint32_t number = (uint32_t)step;

		if (i >= end)
			group = IN_NO_GROUP;
		if (number >= v->n_records) {
			fault = "the order names a record that is not there";
			continue;
		}
		if (c->groups[number] != NOT_LISTED)
			fault = "the order names a record twice";
		c->groups[number] = group;
		if (number < v->n_masks)
			continue;
		if (i < end || step >> 32 >= n - i)
			fault = "a group of the order is no group";
		group = number;
		end = i + 1 + (uint32_t)(step >> 32);
	}
	return sluice_masked_held(v, order) ? fault : NULL;
}

static bool let_through(const struct masked_check *c, uint32_t number,
			const uint64_t *key)
{
	const struct sluice_masked_view *v = &c->v;

	return sluice_filter_has(v,
				 sluice_filter_hash(v->table->filter_keys,
						    &v->records[number], number,
						    key, v->exact.key_len));
}

/* What is wrong with a flow; NULL: nothing, or it is dead. */
static const char *flow_fault(const struct masked_check *c, const uint8_t *e)
{
	const struct sluice_masked_view *v = &c->v;
	uint32_t last = v->exact.key_len / 8 - 1;
	uint64_t key[SLUICE_KEY_LEN_MAX / 8], masked[SLUICE_KEY_LEN_MAX / 8];
	/* [exact-head] */
	uint64_t head = sluice_load64_acquire((const uint64_t *)e);
	const char *fault = NULL;
	uint32_t number;

	for (uint32_t i = 0; i <= last; i++)
		/* [exact-head] */
		key[i] = sluice_load64_acquire(&sluice_entry_key(e)[i]);
	number = (uint32_t)(key[last] >> SLUICE_MASKED_TAG_SHIFT) - 1;
	if (number >= v->n_masks) {
		fault = "is under a mask that is not there";
	} else if (c->groups[number] == NOT_LISTED) {
		fault = "is under a mask that nobody tries";
	} else {
		sluice_masked_key(&v->records[number], number, key,
				  v->exact.key_len, masked);
		if (memcmp(masked, key, v->exact.key_len) != 0)
			fault = "has bits that its mask has not";
		else if (!let_through(c, number, key))
			fault = "is not let through by the filter";
		else if (c->groups[number] != IN_NO_GROUP &&
			 !let_through(c, c->groups[number], key))
			fault = "is not let into its mask's group";
	}
	if (sluice_head_state(head) == SLUICE_ENTRY_DEAD ||
	    !sluice_head_same(head, sluice_load64_relaxed((const uint64_t *)e)))
		return NULL;
	return fault;
}

static void check_flow(struct masked_check *c, uint32_t idx)
{
	const uint8_t *e = sluice_exact_entry(&c->v.exact, idx);
	const char *fault = flow_fault(c, e);

	for (uint32_t try = 0; fault && try < FSCK_TRIES; try++) {
		fsck_wait(c->f, try);
		(void)read_order(c);
		fault = flow_fault(c, e);
	}
	if (fault)
		fsck_wrong(c->f, "flow %u %s", idx, fault);
}

int region_fsck_masked(struct fsck *f)
{
	struct masked_check c = {.f = f};
	const char *fault;
	int err = region_fsck_exact(f);

	if (err)
		return err;
	if (region_check_masked(f->mem, fsck_desc(f), &c.v, NULL)) {
		fsck_wrong(f, "its shape has changed");
		return 0;
	}
	c.groups = calloc(c.v.n_records, sizeof(*c.groups));
	if (!c.groups)
		return -ENOMEM;
	fault = read_order(&c);
	for (uint32_t try = 0; fault && try < FSCK_TRIES; try++) {
		fsck_wait(f, try);
		fault = read_order(&c);
	}
	if (fault)
		fsck_wrong(f, "%s", fault);
	for (uint32_t i = 0; i < c.v.exact.n_entries; i++)
		check_flow(&c, i);
	f->out->used_len += (uint64_t)((const uint8_t *)c.v.exact.table -
				       (const uint8_t *)c.v.table);
	free(c.groups);
	return 0;
}
