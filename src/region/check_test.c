/* SPDX-License-Identifier: Apache-2.0 */
/* What is no sound region is refused, and the sentence says what is wrong. */
#include <pthread.h>

#include "base/rng.h"
#include "base/test.h"
#include "region/check.h"
#include "region/sample_fake.h"
#include "sluice/atomic.h"

static uint8_t mem[SAMPLE_LEN] __attribute__((aligned(4096)));

static void make(void)
{
	memset(mem, 0, sizeof(mem));
	sample_make(mem);
}

static void a_sound_region_is_accepted(void)
{
	struct sluice_why why = {""};

	make();
	CHECK_EQ(sluice_region_check(mem, sizeof(mem), &why), 0);
	CHECK_EQ(sluice_region_check(mem, sizeof(mem), NULL), 0);
	CHECK(!why.text[0]);
}

static void the_directory_is_searched_by_kind(void)
{
	const struct sluice_region *r = (void *)mem;

	make();
	CHECK(sluice_table_find(r, SLUICE_TABLE_MACS) == sample_desc(mem, 1));
	sample_desc(mem, 1)->kind = 77;
	CHECK(sluice_table_find(r, SLUICE_TABLE_MACS) == NULL);
	CHECK_EQ(sluice_region_check(mem, sizeof(mem), NULL), 0);
}

static void each_way_to_spoil_it_is_refused_with_the_reason(void)
{
	for (size_t i = 0; i < SAMPLE_N_SPOILS; i++) {
		const struct sample_spoil *s = &sample_spoils[i];
		struct sluice_why why = {""};
		int err;

		make();
		sample_spoil(mem, s);
		err = sluice_region_check(mem, sizeof(mem), &why);
		CHECK_EQ(sluice_region_check(mem, sizeof(mem), NULL), err);
		if (err == -s->err && strstr(why.text, s->says))
			continue;
		printf("# %s: %d '%s'\n", s->name, err, why.text);
		CHECK(false);
	}
}

static void too_little_memory_is_refused(void)
{
	struct sluice_why why = {""};

	make();
	CHECK_EQ(sluice_region_check(NULL, 0, &why), -EINVAL);
	CHECK_EQ(sluice_region_check(mem, 0, &why), -EINVAL);
	CHECK_EQ(sluice_region_check(mem, 8, &why), -EINVAL);
	CHECK(strstr(why.text, "no region: 8 bytes are too few"));
	CHECK_EQ(sluice_region_check(mem, 4095, &why), -EINVAL);
	CHECK_EQ(sluice_region_check(mem, SAMPLE_LEN - 64, &why), -EINVAL);
	CHECK(strstr(why.text, "truncated: the region says 65536 bytes, there "
			       "are 65472"));
	CHECK_EQ(sluice_region_check(mem + 8, 8192, &why), -EINVAL);
	CHECK(strstr(why.text, "not aligned"));
	memset(mem, 0, sizeof(mem));
	CHECK_EQ(sluice_region_check(mem, sizeof(mem), &why), -EINVAL);
	CHECK(strstr(why.text, "no region"));
}

static void names_are_good_for_paths(void)
{
	static const char *const good[] = {"a", "A-0_z",
					   "1234567890123456789012345678901"};
	static const char *const bad[] =
		{"",	".",   "..",	   "a/b",
		 "a.b", "a b", "\xc3\xa4", "12345678901234567890123456789012"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK(region_name_is_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!region_name_is_valid(bad[i]));
}

static bool is_inside(const void *at, uint64_t len)
{
	uintptr_t off = (uintptr_t)at - (uintptr_t)mem;

	return off <= sizeof(mem) && len <= sizeof(mem) - off;
}

/* The twin of the check: all that a reader may touch lies in the memory. */
static bool is_sound(const struct region_shape *s)
{
	for (uint32_t i = 0; i < s->n_tables; i++) {
		const struct sluice_table_desc *d = &s->tables[i];
		const struct sluice_exact_view *v = &s->views[i];

		if (!is_inside(mem + d->off, d->len))
			return false;
		if (d->alg == SLUICE_ALG_ARRAY &&
		    !is_inside(mem + d->off, (uint64_t)d->n_max * d->value_len))
			return false;
		if (d->alg != SLUICE_ALG_CUCKOO8)
			continue;
		if (!is_inside(v->buckets, v->n_buckets * 64ull) ||
		    !is_inside(v->entries,
			       (uint64_t)v->n_entries * v->entry_len) ||
		    !is_inside(v->table, sizeof(*v->table)) ||
		    v->entry_len < 8 + v->key_len + d->value_len)
			return false;
	}
	return true;
}

/* Where it hurts: the header, the directory, the header of a table. */
static uint64_t *some_word(struct rng *r)
{
	static const uint32_t places[] = {0, SLUICE_DIR_OFF, SLUICE_TABLES_OFF};
	uint32_t at = places[rng_below(r, 3)] + rng_below(r, 6 * 64) / 8 * 8;

	return (uint64_t *)(mem + at);
}

/* A word that is nearly right, or not at all. */
static uint64_t some_value(struct rng *r, uint64_t old)
{
	switch (rng_below(r, 4)) {
	case 0:
		return old ^ 1ull << rng_below(r, 64);
	case 1:
		return old + (rng_next(r) & 0xfff) - 0x800;
	case 2:
		return rng_next(r) >> rng_below(r, 64);
	}
	return old << 32 | old >> 32;
}

static void what_is_accepted_lies_inside(void)
{
	struct rng r = rng_of(test_seed());
	uint32_t n_accepted = 0;

	for (uint32_t i = 0; i < 200000; i++) {
		static struct region_shape shape;
		uint32_t n = 1 + rng_below(&r, 3);

		if (i % 64 == 0)
			make();
		for (uint32_t j = 0; j < n; j++) {
			uint64_t *w = some_word(&r), old = *w;

			*w = some_value(&r, old);
			if (region_shape_check(mem, sizeof(mem), &shape, NULL))
				*w = old;
			else if (is_sound(&shape))
				n_accepted++;
			else
				CHECK(false);
		}
	}
	printf("# %u of the spoiled ones are sound\n", n_accepted);
	CHECK(n_accepted > 1000);
}

struct scribbler {
	pthread_t thread;
	uint64_t seed;
	uint32_t stop;
};

/* For so long that it is seen. */
static void linger(uint32_t n)
{
	for (volatile uint32_t i = 0; i < n; i++)
		continue;
}

static void *scribble(void *arg)
{
	struct scribbler *s = arg;
	struct rng r = rng_of(s->seed);

	while (!sluice_load32_relaxed(&s->stop)) {
		uint64_t *w = some_word(&r);
		uint64_t old = sluice_load64_relaxed(w);

		sluice_store64_relaxed(w, some_value(&r, old));
		linger(rng_below(&r, 500));
		sluice_store64_relaxed(w, old);
		linger(rng_below(&r, 500));
	}
	return NULL;
}

static void memory_that_changes_meanwhile_does_not_fool_the_check(void)
{
	struct scribbler s = {.seed = test_seed()};
	uint32_t n_accepted = 0, n_refused = 0;

	make();
	if (pthread_create(&s.thread, NULL, scribble, &s)) {
		CHECK(false);
		return;
	}
	for (uint32_t i = 0; i < 300000; i++) {
		static struct region_shape shape;

		if (region_shape_check(mem, sizeof(mem), &shape, NULL)) {
			n_refused++;
			continue;
		}
		n_accepted++;
		CHECK(is_sound(&shape));
	}
	sluice_store32_relaxed(&s.stop, 1);
	pthread_join(s.thread, NULL);
	printf("# accepted %u times, refused %u times\n", n_accepted,
	       n_refused);
	CHECK(n_accepted > 0);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(a_sound_region_is_accepted);
	TEST(the_directory_is_searched_by_kind);
	TEST(each_way_to_spoil_it_is_refused_with_the_reason);
	TEST(too_little_memory_is_refused);
	TEST(names_are_good_for_paths);
	TEST(what_is_accepted_lies_inside);
	TEST(memory_that_changes_meanwhile_does_not_fool_the_check);
	return test_done();
}
