/* SPDX-License-Identifier: Apache-2.0 */
/* What the corpus of fuzz_region holds is what its files' names say. */
#include <errno.h>
#include <string.h>

#include "base/test.h"
#include "look.h"
#include "sluice/fsck.h"
#include "tables.h"

static uint8_t mem[TABLES_LEN_MAX] __attribute__((aligned(4096)));

static void tell(void *ctx, const struct sluice_table_desc *table,
		 const char *what)
{
	(void)ctx;
	printf("# %s: %s\n", table->name, what);
}

static void sound_ones_are_accepted_and_whole(void)
{
	const struct sluice_fsck_conf conf = {.is_deep = true, .say = tell};
	static struct sluice_fsck out;

	for (uint32_t i = 0; i < TABLES_N; i++) {
		uint64_t len = tables_make((enum tables_which)i, mem);
		const struct sluice_map map = {mem, len};
		struct sluice_why why = {""};

		printf("# %s: %llu bytes\n", tables_names[i],
		       (unsigned long long)len);
		CHECK_EQ(sluice_region_check(mem, len, &why), 0);
		CHECK_EQ(sluice_fsck(&map, &conf, &out, NULL), 0);
		CHECK_EQ(out.n_wrong, 0);
		CHECK_EQ(out.n_left, 0);
		CHECK(i == TABLES_GROUPS ? out.tables[1].n_live == 6
					 : out.tables[0].n_live >= 3);
		look_at_tables(mem, len, mem, 4096);
	}
}

static void each_way_to_spoil_one_is_refused_with_the_reason(void)
{
	for (uint32_t i = 0; i < tables_n_spoils; i++) {
		const struct tables_spoil *s = &tables_spoils[i];
		uint64_t len = tables_make(s->which, mem);
		struct sluice_why why = {""};
		int err;

		tables_empty(mem);
		CHECK(s->which == TABLES_GROUPS ||
		      sluice_region_check(mem, len, NULL) == 0);
		tables_spoil(mem, s);
		err = sluice_region_check(mem, len, &why);
		CHECK_EQ(sluice_region_check(mem, len, NULL), err);
		if (err == -EINVAL && strstr(why.text, s->says))
			continue;
		printf("# %s %s: %d '%s'\n", tables_names[s->which], s->name,
		       err, why.text);
		CHECK(false);
	}
}

static void lies_are_found_and_lead_nobody_outside(void)
{
	uint64_t n_wrong = 0;

	for (uint64_t seed = 0; seed < 20ul * TABLES_N; seed++) {
		uint64_t len =
			tables_make((enum tables_which)(seed % TABLES_N), mem);

		tables_lie(mem, test_seed() + seed);
		CHECK_EQ(sluice_region_check(mem, len, NULL), 0);
		n_wrong += look_deep(mem, len);
		look_at_tables(mem, len, mem, 4096);
	}
	printf("# %llu faults\n", (unsigned long long)n_wrong);
	CHECK(n_wrong > 100);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(sound_ones_are_accepted_and_whole);
	TEST(each_way_to_spoil_one_is_refused_with_the_reason);
	TEST(lies_are_found_and_lead_nobody_outside);
	return test_done();
}
