/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of table/masked against a list of flows that is searched from end to
 * end.
 */
#include "table/masked_fake.h"

#include <errno.h>

#include "sluice/fsck.h"

struct twin {
	struct fixture f;
	struct list list;
	struct list before; /* the last change set */
	struct rng rng;
	struct change_log *log;
	uint32_t n_refused; /* for want of masks */
	uint32_t n_hits;
};

static uint32_t version_of(const struct twin *t)
{
	return sluice_version(t->f.region->head);
}

/* ---- Looking. ---- */

/* A key that a stored flow answers for, or, now and then, any. */
static void key_to_look(struct twin *t, uint64_t *key)
{
	uint32_t last = n_words(&t->f) - 1;

	key_draw(&t->f, &t->rng, key);
	if (t->list.n && rng_below(&t->rng, 4)) {
		const struct flow *flow =
			&t->list.flows[rng_below(&t->rng, t->list.n)];

		for (uint32_t w = 0; w <= last; w++)
			key[w] = flow->key[w] | (key[w] & ~flow->mask[w]);
	}
	/* Not looked at, whatever it is. */
	key[last] &= SLUICE_MASKED_KEY_BITS;
	key[last] |= rng_next(&t->rng) << SLUICE_MASKED_TAG_SHIFT;
}

/* n batches of keys, in each way of looking, at a version. */
static void agrees_with(struct twin *t, const struct list *l, uint32_t version,
			uint32_t n)
{
	const struct fixture *f = &t->f;
	uint64_t keys[SLUICE_EXACT_BATCH * WORDS_MAX];
	struct sluice_exact_answers a;
	uint32_t n_wrong = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t n_keys = rng_below(&t->rng, SLUICE_EXACT_BATCH + 1);

		for (uint32_t j = 0; j < n_keys; j++) {
			uint64_t key[WORDS_MAX];

			key_to_look(t, key);
			memcpy(keys + (size_t)j * n_words(f), key,
			       f->conf.key_len);
		}
		sluice_masked_find_batch(table_masked_view(f->table), version,
					 keys, n_keys, &a);
		n_wrong += a.n != n_keys;
		for (uint32_t j = 0; j < n_keys; j++) {
			uint64_t key[WORDS_MAX] = {0};

			memcpy(key, keys + (size_t)j * n_words(f),
			       f->conf.key_len);
			n_wrong += !list_allows(f, l, key,
						seen_by_batch(f, &a, j));
			n_wrong += !list_allows(f, l, key,
						seen_by_get(f, version, key));
			n_wrong += !list_allows(f, l, key,
						seen_by_find(f, version, key));
			t->n_hits += a.yes >> j & 1;
		}
	}
	CHECK_EQ(n_wrong, 0);
}

static void settle(struct twin *t)
{
	change_settle(t->log, change_mark(t->log), UINT64_MAX);
	CHECK_EQ(change_n_unsettled(t->log), 0);
	reclaim_all(&t->f);
}

/* Broken invariants that a deep check finds. */
static uint64_t n_wrong_deep(const struct fixture *f)
{
	const struct sluice_map map = {f->region->head, f->region->len};
	const struct sluice_fsck_conf conf = {.is_deep = true};
	static struct sluice_fsck out;

	must(!sluice_fsck(&map, &conf, &out, NULL));
	return out.n_wrong + out.n_left;
}

/* Every stored flow is there, under its mask; the masks are those of the list. */
static void agrees_whole(struct twin *t)
{
	struct table_masked_mask mask;
	uint32_t n_masks = 0;
	uint64_t n_flows = 0;

	CHECK_EQ(n_wrong_deep(&t->f), 0);
	settle(t);
	for (uint32_t i = 0; i < t->list.n; i++) {
		const struct flow *flow = &t->list.flows[i];
		const struct table_masked_key key = {flow->key, flow->mask};
		uint8_t *e = table_masked_find(t->f.table, &key);

		CHECK(e &&
		      value_seen(sluice_entry_value(e, t->f.conf.key_len)) ==
			      flow->value);
	}
	for (uint32_t i = 0; i < table_masked_view(t->f.table)->n_masks; i++) {
		if (!table_masked_mask(t->f.table, i, &mask) || !mask.n_flows)
			continue;
		n_flows += mask.n_flows;
		n_masks += i != SLUICE_MASK_EXACT;
		CHECK(list_has_mask(&t->list, mask.words));
	}
	CHECK_EQ(n_flows, t->list.n);
	CHECK_EQ(n_masks, list_n_masks(&t->f, &t->list));
	CHECK_EQ(table_masked_n_used(t->f.table), t->list.n);
	agrees_with(t, &t->list, version_of(t), 20);
}

/* ---- Changing. ---- */

static void flow_to_change(struct twin *t, struct flow *out)
{
	if (t->list.n && rng_below(&t->rng, 2))
		*out = t->list.flows[rng_below(&t->rng, t->list.n)];
	else
		flow_draw(&t->f, &t->rng, rng_below(&t->rng, t->f.n_masks),
			  out);
	out->value = rng_next(&t->rng) | 2;
}

/* Is there room for a flow under its mask? */
static bool mask_fits(const struct twin *t, const struct flow *flow)
{
	return list_has_mask(&t->list, flow->mask) ||
	       !memcmp(flow->mask, t->f.masks[0], sizeof(flow->mask)) ||
	       list_n_masks(&t->f, &t->list) < t->f.conf.n_masks_max;
}

static void step_set(struct twin *t)
{
	struct flow flow;
	bool is_new;
	int err;

	flow_to_change(t, &flow);
	is_new = !list_find(&t->list, &flow);
	err = set(&t->f, &flow);
	if (err && change_n_unsettled(t->log)) {
		settle(t); /* what goes has its place until then */
	} else if (!mask_fits(t, &flow)) {
		CHECK_EQ(err, -EMFILE);
		t->n_refused++;
	} else if (err) {
		CHECK_EQ(err, -ENOSPC);
		CHECK((is_new && t->list.n == t->f.conf.n_max) ||
		      table_masked_n_resting(t->f.table) >= 64);
		reclaim_all(&t->f);
	} else {
		list_set(&t->list, &flow);
	}
}

static void step_del(struct twin *t)
{
	struct flow flow;

	flow_to_change(t, &flow);
	CHECK_EQ(del(&t->f, &flow), list_del(&t->list, &flow));
}

static struct flow set_flows[16];

/* A change set of flows that are all different; true, or nothing changed. */
static void step_change(struct twin *t)
{
	struct change_item items[ARRAY_LEN(set_flows)];
	struct table_masked_key keys[ARRAY_LEN(set_flows)];
	uint64_t values[ARRAY_LEN(set_flows)][VALUE_WORDS];
	uint32_t old = version_of(t);
	uint32_t n = 0, bad;

	settle(t);
	t->before = t->list;
	for (uint32_t i = 0; i < ARRAY_LEN(set_flows); i++) {
		struct flow *flow = &set_flows[n];
		bool twice = false;
		uint32_t j;

		flow_to_change(t, flow);
		for (j = 0; j < n && !twice; j++)
			twice = !memcmp(flow, &set_flows[j],
					offsetof(struct flow, value));
		if (twice)
			continue;
		keys[n] = (struct table_masked_key){flow->key, flow->mask};
		value_of(values[n], flow->value);
		items[n] = (struct change_item){
			.table = table_masked_change(t->f.table),
			.kind = rng_below(&t->rng, 3) ? CHANGE_SET : CHANGE_DEL,
			.key = &keys[n],
			.value = values[n],
		};
		/* Deleting what is not there fails: a few of those. */
		if (items[n].kind == CHANGE_DEL && !list_find(&t->list, flow) &&
		    rng_below(&t->rng, 20))
			items[n].kind = CHANGE_SET;
		n++;
	}
	if (change_apply(t->log, items, n, &bad, NULL)) {
		CHECK_EQ(version_of(t), old);
		agrees_whole(t);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (items[i].kind == CHANGE_SET)
			list_set(&t->list, &set_flows[i]);
		else
			CHECK(list_del(&t->list, &set_flows[i]));
	}
	agrees_with(t, &t->before, old, 4);
	agrees_with(t, &t->list, version_of(t), 4);
	if (rng_below(&t->rng, 2))
		settle(t);
	agrees_with(t, &t->list, version_of(t), 4);
}

static void step(struct twin *t)
{
	uint32_t what = rng_below(&t->rng, 1000);

	if (what < 560)
		step_set(t);
	else if (what < 960)
		step_del(t);
	else if (what < 980)
		reclaim_all(&t->f);
	else if (what < 990)
		table_masked_reorder(t->f.table);
	else
		step_change(t);
}

static void adopt(struct twin *t)
{
	change_log_free(t->log);
	fixture_adopt(&t->f);
	must(!change_log_new(t->f.region, &t->log));
}

static uint32_t n_refused;

static void twin_run(const struct table_masked_conf *conf, uint32_t n_masks,
		     uint32_t n_steps)
{
	static struct twin t;

	t.rng = rng_of(test_seed() + conf->n_max + conf->key_len);
	t.list.n = t.n_refused = t.n_hits = 0;
	fixture_init(&t.f, conf, n_masks);
	must(sluice_masked_count_in((struct sluice_masked_view *)(uintptr_t)
					    table_masked_view(t.f.table),
				    rng_below(&t.rng, conf->n_lanes)));
	must(!change_log_new(t.f.region, &t.log));
	for (uint32_t i = 0; i < n_steps; i++) {
		step(&t);
		if (i % 64 == 0)
			agrees_with(&t, &t.list, version_of(&t), 2);
		if (i % (n_steps / 8) == 0)
			agrees_whole(&t);
		if (i % (n_steps / 4) == 1)
			adopt(&t);
	}
	agrees_whole(&t);
	CHECK(t.n_hits > n_steps / 10);
	CHECK(!t.n_refused || n_masks > conf->n_masks_max + 1);
	n_refused += t.n_refused;
	change_log_free(t.log);
	fixture_fini(&t.f);
}

static void random_operations_agree_with_a_list(void)
{
	for (uint16_t key_len = 8; key_len <= 64; key_len += 8) {
		const struct table_masked_conf conf = {
			.n_max = 200,
			.n_masks_max = 24,
			.n_lanes = 1,
			.key_len = key_len,
		};

		twin_run(&conf, 40, 6000);
	}
	CHECK(n_refused > 1000);
}

static void random_operations_with_few_masks_agree(void)
{
	for (uint32_t n = 1; n <= 20; n++) {
		const struct table_masked_conf conf = {
			.n_max = 20 + n,
			.n_masks_max = n,
			.n_lanes = n,
			.key_len = 24,
		};

		twin_run(&conf, n + 1, 2000);
		twin_run(&conf, 3 * n + 1, 2000);
	}
}

static void random_operations_with_many_masks_agree(void)
{
	const struct table_masked_conf conf = {
		.n_max = 2500,
		.n_masks_max = SLUICE_MASKS_MAX,
		.n_lanes = 2,
		.key_len = 64,
	};

	twin_run(&conf, POOL_MASKS_MAX, 10000);
}

static void damage_is_seen(void)
{
	const struct table_masked_conf conf = {
		.n_max = 100,
		.n_masks_max = 20,
		.n_lanes = 1,
		.key_len = 16,
	};
	struct rng r = rng_of(test_seed());
	struct sluice_masked *m;
	struct fixture f;
	uint64_t *words, was;
	uint32_t n_seen = 0;

	fixture_init(&f, &conf, 20);
	for (uint32_t i = 0; i < 60; i++) {
		struct flow flow;

		flow_draw(&f, &r, i % f.n_masks, &flow);
		must(!set(&f, &flow));
	}
	m = region_at(f.region, region_table(f.region, f.conf.kind)->off,
		      sizeof(*m));
	must(m);
	CHECK_EQ(n_wrong_deep(&f), 0);
	/* A filter that forgets. */
	words = (uint64_t *)((uint8_t *)m + m->filter_off);
	for (uint32_t i = 0; i < m->n_filter; i++) {
		was = words[i];
		words[i] = 0;
		/* Not if it only knew groups that are too small to serve. */
		if (was)
			n_seen += n_wrong_deep(&f) > 0;
		words[i] = was;
	}
	CHECK(n_seen > 15);
	/* An order without its last step, and one that says a step twice. */
	words = (uint64_t *)((uint8_t *)m + m->orders_off) +
		(m->order & 1) *
			sluice_masked_order_len(m->n_masks + m->n_groups);
	words[0]--;
	CHECK(n_wrong_deep(&f) > 0);
	words[0]++;
	was = words[2];
	words[2] = words[1];
	CHECK(n_wrong_deep(&f) > 0);
	words[2] = was;
	/* A mask that has lost its bits. */
	words = (uint64_t *)((uint8_t *)m + m->records_off);
	was = words[1];
	words[1] = words[0] = 0;
	CHECK(n_wrong_deep(&f) > 0);
	words[1] = was;
	words[0] = ~0ull;
	CHECK_EQ(n_wrong_deep(&f), 0);
	fixture_fini(&f);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(random_operations_agree_with_a_list);
	TEST(random_operations_with_few_masks_agree);
	TEST(random_operations_with_many_masks_agree);
	TEST(damage_is_seen);
	return test_done();
}
