/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of the bits looked at: a key that equals another one in all of them has
 * the same rule; and there are no more of them than need be.
 */
#include "table/ternary_fake.h"

/* The number of the best rule, or NONE, and the bits looked at. */
static uint32_t look(const struct fixture *f, const uint64_t *key,
		     uint64_t *bits)
{
	uint32_t rule = TABLE_TERNARY_NONE;
	enum sluice_found found =
		table_ternary_find_bits(f->table, key, 1, &rule, bits);

	must(found == SLUICE_YES || rule == TABLE_TERNARY_NONE);
	return rule;
}

static uint32_t n_set(const uint64_t *bits, uint32_t key_len)
{
	uint32_t n = 0;

	for (uint32_t w = 0; w < key_len / 8; w++)
		n += (uint32_t)__builtin_popcountll(bits[w]);
	return n;
}

/* Another key of the universe that equals this one in bits. */
static void key_vary(const struct fixture *f, struct rng *r, uint64_t *key,
		     const uint64_t *bits)
{
	uint64_t other[KEY_WORDS_MAX];

	key_draw(f, r, other);
	/* Few changes are as likely to mislead as many. */
	if (rng_below(r, 2)) {
		uint32_t bit = f->bits[rng_below(r, f->n_bits)];

		for (uint32_t w = 0; w < f->conf.key_len / 8u; w++)
			other[w] = key[w];
		bit_put(other, bit, rng_below(r, 2));
	}
	for (uint32_t w = 0; w < f->conf.key_len / 8u; w++)
		key[w] = (key[w] & bits[w]) | (other[w] & ~bits[w]);
}

/* Keys that differ outside of the bits get the same rule. */
static void is_sound(const struct fixture *f, struct rng *r, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t key[KEY_WORDS_MAX];
		uint64_t bits[KEY_WORDS_MAX] = {0};
		uint32_t rule;

		key_draw(f, r, key);
		/* Sometimes another table has looked at some already. */
		if (rng_below(r, 4) == 0)
			key_draw(f, r, bits);
		rule = look(f, key, bits);
		if (rng_below(r, 4) == 0)
			table_ternary_round(f->table, bits);
		for (uint32_t j = 0; j < 30; j++) {
			uint64_t other[KEY_WORDS_MAX] = {0};
			uint64_t unused[KEY_WORDS_MAX] = {0};

			memcpy(other, key, f->conf.key_len);
			key_vary(f, r, other, bits);
			if (look(f, other, unused) == rule)
				continue;
			CHECK_EQ(look(f, other, unused), rule);
			return;
		}
	}
}

static void keys_equal_in_the_bits_have_the_same_rule(void)
{
	struct rng r = rng_of(test_seed());

	for (uint32_t i = 0; i < 200 && !test_.failed; i++) {
		static const uint16_t lens[] = {8, 16, 64};
		struct fixture f;

		fixture_conf(&f, 600, lens[i % ARRAY_LEN(lens)]);
		f.n_bits = 3 + rng_below(&r, 26);
		f.n_priorities = i % 3 ? 1 + rng_below(&r, 8) : 100000;
		f.prefixes = i % 2;
		fixture_init(&f, &r);
		for (uint32_t j = 0; j < 900; j++) {
			struct twin_rule rule;

			rule_draw(&f, &r, &rule);
			if (rng_below(&r, 3) || !f.n_rules)
				(void)!fixture_set(&f, &rule);
			else
				fixture_del(&f,
					    &f.rules[rng_below(&r, f.n_rules)]);
			if (j % 8 == 0)
				is_sound(&f, &r, 2);
		}
		fixture_adopt(&f);
		is_sound(&f, &r, 100);
		fixture_fini(&f);
	}
}

/* ---- No more than need be. ---- */

static void add(struct fixture *f, uint64_t first, uint32_t n_bits,
		uint32_t priority)
{
	struct twin_rule rule = {.priority = priority};

	for (uint32_t i = 0; i < n_bits; i++) {
		bit_put(rule.mask, i, 1);
		bit_put(rule.key, i, first >> (31 - i) & 1);
	}
	must(!fixture_set(f, &rule));
}

static uint32_t n_looked(const struct fixture *f, uint64_t first)
{
	uint64_t key[KEY_WORDS_MAX] = {0};
	uint64_t bits[KEY_WORDS_MAX] = {0};

	for (uint32_t i = 0; i < 32; i++)
		bit_put(key, i, first >> (31 - i) & 1);
	(void)look(f, key, bits);
	return n_set(bits, f->conf.key_len);
}

static void few_bits_are_looked_at(void)
{
	struct rng r = rng_of(test_seed());
	struct fixture f;

	fixture_conf(&f, 100, 16);
	fixture_init(&f, &r);
	CHECK_EQ(n_looked(&f, 0x0a000001), 0);
	add(&f, 0x0a000000, 8, 5);
	/* One bit tells that it is not 10.0.0.0/8; all eight that it is. */
	CHECK_EQ(n_looked(&f, 0x8a000001), 1);
	CHECK_EQ(n_looked(&f, 0x0a000001), 8);
	/* A rule that cannot win adds nothing. */
	add(&f, 0x0a010000, 16, 4);
	CHECK_EQ(n_looked(&f, 0x0a000001), 8);
	/* One that could adds the bit in which it differs. */
	add(&f, 0x0a020000, 16, 6);
	CHECK_EQ(n_looked(&f, 0x0a800001), 9);
	CHECK_EQ(n_looked(&f, 0x0a020001), 16);
	/* What differs in a bit that is looked at anyway adds none. */
	add(&f, 0x14000000, 24, 7);
	CHECK_EQ(n_looked(&f, 0x0a800001), 9);
	fixture_fini(&f);
}

static void rounding_makes_prefixes(void)
{
	uint64_t bits[2] = {0};
	struct rng r = rng_of(test_seed());
	struct fixture f;

	fixture_conf(&f, 100, 16);
	fixture_init(&f, &r);
	bit_put(bits, 7, 1);
	bit_put(bits, 64, 1);
	bit_put(bits, 100, 1);
	table_ternary_round(f.table, bits);
	CHECK_EQ(bits[0], 0xff);
	CHECK_EQ(n_set(bits, 16), 8 + 1 + 1);
	fixture_fini(&f);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(keys_equal_in_the_bits_have_the_same_rule);
	TEST(few_bits_are_looked_at);
	TEST(rounding_makes_prefixes);
	return test_done();
}
