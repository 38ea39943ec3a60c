/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region/fsck_heap - is a heap whole, and are the groups whose bodies it holds?
 *
 * A page word names a class and no more blocks than it has; a block is free,
 * live or rests; a live one is no longer than its class allows, and if it says
 * that it is a group's, that group refers to it.
 *
 * A group that readers see has a body of its own inside the heap, a block that is
 * live and says whose it is, and every group that it names is there.
 *
 * A writer at work fills a block before it is referred to, and lets go before it
 * says so: what looks wrong is looked at again. One that was killed there leaves
 * a block that nobody refers to, or one that does not know its owner.
 */
#include "region/fsck.h"

#include "sluice/group.h"
#include "sluice/heap.h"
#include "sluice/version.h"

static const uint32_t sizes[SLUICE_HEAP_CLASSES] = {
#define SIZE_ROW(len, n) len,
	SLUICE_HEAP_SIZES(SIZE_ROW)
#undef SIZE_ROW
};

/* The table of groups, if there is one; else n_entries is 0. */
static struct sluice_exact_view groups_of(const struct fsck *f)
{
	const struct region_shape *s = f->shape;

	for (uint32_t i = 0; i < s->n_tables; i++)
		if (s->tables[i].kind == SLUICE_TABLE_GROUPS &&
		    s->tables[i].alg == SLUICE_ALG_CUCKOO8 &&
		    s->tables[i].key_len == sizeof(struct sluice_group_key) &&
		    s->tables[i].value_len == sizeof(struct sluice_group))
			return s->views[i];
	return (struct sluice_exact_view){0};
}

static uint64_t head_of(const struct sluice_exact_view *v, uint32_t idx)
{
	/* [exact-head] */
	return sluice_load64_acquire((uint64_t *)sluice_exact_entry(v, idx));
}

static uint64_t body_of(const struct sluice_exact_view *v, uint32_t idx)
{
	/* [group-body] */
	return sluice_load64_acquire((
		uint64_t *)sluice_entry_value(sluice_exact_entry(v, idx),
					      sizeof(struct sluice_group_key)));
}

/* ---- Blocks. ---- */

struct heap_check {
	struct fsck *f;
	const struct sluice_heap_view *v;
	struct sluice_exact_view groups;
};

static bool is_lost(const struct heap_check *c, uint64_t owner, uint32_t off)
{
	uint32_t idx = (uint32_t)owner;

	if (owner >> 32 != SLUICE_TABLE_GROUPS || !c->groups.n_entries)
		return false;
	return idx >= c->groups.n_entries ||
	       sluice_head_state(head_of(&c->groups, idx)) ==
		       SLUICE_ENTRY_DEAD ||
	       (uint32_t)body_of(&c->groups, idx) != off;
}

static const char *block_fault(const struct heap_check *c,
			       const struct sluice_block *b, uint32_t room,
			       bool *may_be_left)
{
	uint64_t what = sluice_load64_relaxed(&b->what);
	uint32_t off = (uint32_t)((const uint8_t *)(b + 1) - c->v->pages);
	uint32_t len = sluice_block_len(what);

	*may_be_left = false;
	if (sluice_block_state(what) > SLUICE_BLOCK_RESTS)
		return "is in a state that is none";
	if (sluice_block_state(what) != SLUICE_BLOCK_LIVE)
		return NULL;
	if (len == 0 || len + sizeof(*b) > room)
		return "is of a length that its page has not";
	*may_be_left = true;
	if (is_lost(c, sluice_load64_relaxed(&b->owner), off))
		return "belongs to a group that does not refer to it";
	return NULL;
}

static void check_block(struct heap_check *c, uint64_t off, uint32_t room)
{
	const struct sluice_block *b =
		(const struct sluice_block *)(c->v->pages + off);
	bool may_be_left = false;
	const char *fault = NULL;

	for (uint32_t try = 0; try <= FSCK_TRIES; try++) {
		fault = block_fault(c, b, room, &may_be_left);
		if (!fault)
			break;
		fsck_wait(c->f, try);
	}
	if (fault && may_be_left)
		fsck_left(c->f, "the block at %#llx %s",
			  (unsigned long long)off, fault);
	else if (fault)
		fsck_wrong(c->f, "the block at %#llx %s",
			   (unsigned long long)off, fault);
	else if (sluice_block_state(sluice_load64_relaxed(&b->what)) ==
		 SLUICE_BLOCK_LIVE)
		c->f->out->n_live++;
}

int region_fsck_heap(struct fsck *f)
{
	struct heap_check c = {f, &f->shape->heap, groups_of(f)};

	if (fsck_desc(f)->kind != SLUICE_TABLE_HEAP)
		return 0;
	for (uint32_t i = 0; i < c.v->n_pages; i++) {
		uint64_t word = sluice_load64_relaxed(&c.v->words[i]);
		uint32_t class_no = (uint32_t)(word & 0xff) - 1;
		uint64_t n_used = word >> 8;

		if (!word)
			continue;
		if (class_no >= SLUICE_HEAP_CLASSES ||
		    n_used > SLUICE_HEAP_PAGE / sizes[class_no]) {
			fsck_wrong(f, "page %u says %#llx", i,
				   (unsigned long long)word);
			continue;
		}
		f->out->used_len += SLUICE_HEAP_PAGE;
		for (uint32_t b = 0; b < n_used; b++)
			check_block(&c,
				    (uint64_t)i * SLUICE_HEAP_PAGE +
					    (uint64_t)b * sizes[class_no],
				    sizes[class_no]);
	}
	return 0;
}

/* ---- Groups. ---- */

struct group_check {
	struct fsck *f;
	const struct sluice_exact_view *v;
	uint32_t version;
	uint32_t other; /* the group that is named and not there */
};

/* Is a group that is named there? Busy is as good. */
static bool is_there(struct group_check *c, uint32_t id)
{
	uint64_t key = id;
	uint8_t *entry;

	c->other = id;
	return sluice_exact_find(c->v, c->version, &key, sizeof(key), &entry) !=
	       SLUICE_NO;
}

static const char *bucket_fault(struct group_check *c,
				const struct sluice_group_at *g)
{
	for (uint32_t i = 0; i < g->n_buckets; i++) {
		const struct sluice_group_bucket *b = &g->buckets[i];
		sluice_act act = {sluice_load64_relaxed(&b->act)};
		uint32_t watch = sluice_load32_relaxed(&b->watch_group);

		if (watch != SLUICE_GROUP_NONE && !is_there(c, watch))
			return "watches a group that is not there";
		if (sluice_act_kind(act) == SLUICE_ACT_GROUP &&
		    !is_there(c, sluice_act_arg(act)))
			return "goes on to a group that is not there";
	}
	return NULL;
}

static const char *group_fault(struct group_check *c, uint32_t idx,
			       bool *may_be_left)
{
	uint64_t id = sluice_load64_acquire(
		sluice_entry_key(sluice_exact_entry(c->v, idx)));
	uint64_t word = body_of(c->v, idx);
	const struct sluice_block *block;
	struct sluice_group_at g;

	*may_be_left = false;
	if (!sluice_group_open(&c->f->shape->heap, word, &g))
		return "has no body that makes sense";
	if (g.id != id)
		return "has another group's body";
	block = (const struct sluice_block *)g.body - 1;
	if (sluice_block_state(sluice_load64_relaxed(&block->what)) !=
	    SLUICE_BLOCK_LIVE)
		return "has a body that is not live";
	if (bucket_fault(c, &g))
		return bucket_fault(c, &g);
	*may_be_left = true;
	if (sluice_load64_relaxed(&block->owner) !=
	    ((uint64_t)SLUICE_TABLE_GROUPS << 32 | idx))
		return "has a body that does not know it";
	return NULL;
}

static void check_group(struct group_check *c, uint32_t idx)
{
	bool may_be_left = false;
	const char *fault = NULL;
	uint64_t head;
	uint64_t id;

	for (uint32_t try = 0; try <= FSCK_TRIES; try++) {
		head = head_of(c->v, idx);
		if (!sluice_head_visible(head, c->version))
			return;
		fault = group_fault(c, idx, &may_be_left);
		if (!fault)
			return;
		fsck_wait(c->f, try);
		c->version = sluice_version((const void *)c->f->mem);
	}
	if (!sluice_head_same(head_of(c->v, idx), head))
		return;
	id = *sluice_entry_key(sluice_exact_entry(c->v, idx));
	if (may_be_left)
		fsck_left(c->f, "group %llu %s", (unsigned long long)id, fault);
	else
		fsck_wrong(c->f, "group %llu %s", (unsigned long long)id,
			   fault);
}

void region_fsck_groups(struct fsck *f)
{
	struct group_check c = {
		.f = f,
		.v = &f->shape->views[f->table],
		.version = sluice_version((const void *)f->mem),
	};

	if (fsck_desc(f)->alg != SLUICE_ALG_CUCKOO8 ||
	    c.v->key_len != sizeof(struct sluice_group_key) ||
	    c.v->value_len != sizeof(struct sluice_group)) {
		fsck_wrong(f, "groups are of another shape");
		return;
	}
	for (uint32_t i = 0; i < c.v->n_entries; i++)
		check_group(&c, i);
}
