/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever others write into a table of rules, a reader touches nothing outside
 * of it and ends, a deep check too. The region is copied to a block of exactly
 * its length, so that AddressSanitizer sees each byte that is read beyond; what
 * the header says of the shape is checked once, before the scribbles.
 */
#include "region/check.h"
#include "sluice/fsck.h"
#include "table/ternary_fake.h"

#define N_RULES 200u
#define N_ROUNDS 1500u

struct hostile {
	struct fixture f;
	uint64_t len;
	uint8_t *whole; /* the region as it was */
	uint8_t *mem;	/* what is scribbled upon */
	struct sluice_ternary_view view;
};

static void hostile_init(struct hostile *h, struct rng *r, uint16_t key_len)
{
	const struct sluice_table_desc *d;

	fixture_conf(&h->f, 300, key_len);
	h->f.conf.n_tuples = 64;
	fixture_init(&h->f, r);
	for (uint32_t i = 0; i < N_RULES; i++) {
		struct twin_rule rule;

		rule_draw(&h->f, r, &rule);
		must(!fixture_set(&h->f, &rule));
	}
	h->len = h->f.region->len;
	h->whole = aligned_alloc(64, h->len);
	h->mem = aligned_alloc(64, h->len);
	must(h->whole && h->mem);
	memcpy(h->whole, h->f.region->head, h->len);
	memcpy(h->mem, h->whole, h->len);
	d = sluice_table_find((struct sluice_region *)h->mem, h->f.conf.kind);
	must(d && !region_check_ternary(h->mem, d, &h->view, NULL));
}

static void hostile_fini(struct hostile *h)
{
	free(h->mem);
	free(h->whole);
	fixture_fini(&h->f);
}

/* Words that are likely to do harm, and any. */
static uint64_t bad_word(struct rng *r)
{
	switch (rng_below(r, 6)) {
	case 0:
		return ~0ull;
	case 1:
		return 0;
	case 2:
		return rng_next(r) << 32 | rng_below(r, 500);
	case 3:
		return 1ull << rng_below(r, 64);
	case 4:
		return rng_below(r, 1000);
	default:
		return rng_next(r);
	}
}

/* Anywhere behind the directory, and often where it hurts. */
static void scribble(struct hostile *h, struct rng *r)
{
	uint64_t *words = (uint64_t *)h->mem;
	uint32_t n_words = (uint32_t)(h->len / 8);
	uint32_t n = 1u << rng_below(r, 12);

	memcpy(h->mem, h->whole, h->len);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t rule = rng_below(r, h->view.n_entries);

		words[512 + rng_below(r, n_words - 512)] = bad_word(r);
		sluice_ternary_rule(&h->view, rule)->next =
			rng_below(r, h->view.n_entries + 10);
		sluice_ternary_rule(&h->view, rule)->words = bad_word(r);
	}
}

static uint64_t use(const struct hostile *h, struct sluice_rule *rule)
{
	const uint64_t *value = sluice_rule_value(rule);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < h->view.value_len / 8; i++)
		sum += value[i];
	return sum;
}

static uint64_t look(struct hostile *h, struct rng *r)
{
	/* Of exactly its length, for what is read beyond. */
	uint64_t *key = malloc(h->view.key_len);
	uint64_t value[2], sum = 0;
	struct sluice_rule *rule;
	uint32_t priority;

	must(key);
	for (uint32_t i = 0; i < 32; i++) {
		key_draw(&h->f, r, key);
		if (sluice_ternary_find(&h->view, key, 1, &rule) == SLUICE_YES)
			sum += use(h, rule);
		sum += sluice_ternary_get(&h->view, key, 1, &priority, value);
	}
	free(key);
	return sum;
}

static void scribbles_lead_no_reader_outside(void)
{
	static const uint16_t lens[] = {8, 24, 64, 512};
	struct rng r = rng_of(test_seed());
	uint64_t sum = 0;

	for (uint32_t l = 0; l < ARRAY_LEN(lens); l++) {
		struct sluice_fsck_conf conf = {.is_deep = true};
		static struct sluice_fsck out;
		struct sluice_map map;
		struct hostile h;

		hostile_init(&h, &r, lens[l]);
		map = (struct sluice_map){h.mem, h.len};
		for (uint32_t i = 0; i < N_ROUNDS; i++) {
			scribble(&h, &r);
			sum += look(&h, &r);
			((struct sluice_region *)h.mem)->writer_pid = 0;
			if (i % 16 == 0)
				(void)!sluice_fsck(&map, &conf, &out, NULL);
		}
		hostile_fini(&h);
	}
	CHECK(sum != 0);
}

/* The writer meets them too: what it stores is wrong then, but it lives. */
static void the_writer_survives_scribbles(void)
{
	struct rng r = rng_of(test_seed());

	for (uint32_t n = 0; n < 30; n++) {
		struct sluice_ternary_view v;
		struct fixture f;

		fixture_conf(&f, 300, 16);
		fixture_init(&f, &r);
		v = *table_ternary_view(f.table);
		for (uint32_t i = 0; i < 2000; i++) {
			struct twin_rule rule;
			struct table_ternary_rule key = {rule.key, rule.mask,
							 0};
			uint64_t value[2] = {i}, bits[2] = {0};
			uint32_t no = rng_below(&r, v.n_entries);

			rule_draw(&f, &r, &rule);
			key.priority = rule.priority;
			if (rng_below(&r, 2))
				(void)!table_ternary_set(f.table, &key, value,
							 NULL);
			else
				(void)table_ternary_del(f.table, &key);
			(void)table_ternary_find_bits(f.table, rule.key, 1, &no,
						      bits);
			(void)table_ternary_overlap(f.table, &key);
			no = rng_below(&r, v.n_entries);
			memset((uint8_t *)sluice_ternary_rule(&v, no) + 8,
			       (int)rng_below(&r, 256),
			       8 + rng_below(&r, v.entry_len - 16));
			((uint64_t *)(uintptr_t)
				 v.buckets)[rng_below(&r, 8 * v.n_buckets)] ^=
				bad_word(&r);
			if (i % 64 == 0)
				table_ternary_reclaim(f.table,
						      table_ternary_mark(
							      f.table));
		}
		fixture_fini(&f);
	}
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(scribbles_lead_no_reader_outside);
	TEST(the_writer_survives_scribbles);
	return test_done();
}
