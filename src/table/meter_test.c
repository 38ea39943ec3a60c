/* SPDX-License-Identifier: Apache-2.0 */
/* Meters one by one: what is set is what engines see, and what is refused. */
#include <errno.h>

#include "base/rng.h"
#include "table/meter_fake.h"

#define SECOND 1000000000ull
#define MONTH (30ull * 24 * 3600 * SECOND)

/* A drop band: packets a second. */
static struct table_meter_spec packets_of(uint64_t per_second, uint64_t burst)
{
	return (struct table_meter_spec){
		.packets = true,
		.committed = {.per_second = per_second, .burst = burst},
		.red = {.act = SLUICE_METER_DROP},
	};
}

static struct sluice_meter *set(struct fixture *f, uint64_t id,
				const struct table_meter_spec *spec)
{
	struct why why = {0};

	CHECK_EQ(table_meter_set(f->table, id, spec, &why), 0);
	return meter_of_engine(f, id, 0);
}

static int refused(const struct fixture *f, const struct table_meter_spec *spec)
{
	return table_meter_set(f->table, 1, spec, NULL);
}

static void a_bucket_gives_its_burst_and_then_its_rate(void)
{
	struct table_meter_spec spec = packets_of(100, 10);
	uint64_t now = 5 * SECOND;
	struct sluice_meter *m;
	struct fixture f;

	fixture_init(&f, 1, 0);
	m = set(&f, 7, &spec);
	CHECK(!meter_of_engine(&f, 8, 0));
	CHECK_EQ(pass(m, now, 100, 1500), 10);
	CHECK_EQ(pass(m, now + SECOND / 100 - 1, 5, 1500), 0);
	CHECK_EQ(pass(m, now + SECOND / 100, 5, 1500), 1);
	CHECK_EQ(pass(m, now + SECOND / 20, 50, 1500), 4);
	/* Full again, and not more than full. */
	CHECK_EQ(pass(m, now + SECOND, 50, 1500), 10);
	CHECK_EQ(pass(m, now + 7 * MONTH, 50, 1500), 10);
	CHECK_EQ(pass(m, now + 7 * MONTH, 50, 1500), 0);
	/* A clock that lags behind another core's is no harm. */
	CHECK_EQ(pass(m, now + 7 * MONTH - 1000000, 50, 1500), 0);
	CHECK_EQ(pass(m, now + 7 * MONTH + SECOND / 50, 50, 1500), 2);
	fixture_fini(&f);
}

/* However costs are rounded, a full bucket holds its burst and no more. */
static void a_burst_is_a_burst_at_any_rate(void)
{
	struct rng r = rng_of(test_seed());
	struct fixture f;

	fixture_init(&f, 1, 0);
	for (uint32_t i = 0; i < 300; i++) {
		uint64_t rate = 1000000 + rng_below(&r, 148000000);
		struct table_meter_spec spec = packets_of(rate, 100);

		CHECK_EQ(pass(set(&f, i % 90, &spec), i * SECOND + SECOND, 110,
			      64),
			 100);
		table_meter_reclaim(f.table, table_meter_mark(f.table));
	}
	fixture_fini(&f);
}

/* A day of a meter by the coarsest of clocks is a day's worth. */
static void a_coarse_clock_gives_the_same_rate(void)
{
	struct table_meter_spec spec = packets_of(1000000, 0);
	uint64_t n = 0, now = 77 * SECOND;
	struct sluice_meter *m;
	struct fixture f;

	fixture_init(&f, 1, 10000000);
	m = set(&f, 1, &spec);
	n = pass(m, now, 1000000, 64); /* what it is full of */
	CHECK_EQ(n, 50000);
	n = 0;
	for (uint32_t i = 1; i <= 1000; i++)
		n += pass(m, now + i * 10000000ull, 12000, 64);
	CHECK(n >= 9999000 && n <= 10001000);
	spec.committed.burst = 9999;
	CHECK_EQ(refused(&f, &spec), -EINVAL);
	spec.committed.burst = 10000;
	CHECK_EQ(refused(&f, &spec), 0);
	fixture_fini(&f);
}

static void a_batch_is_granted_as_one(void)
{
	struct table_meter_spec spec = packets_of(1000, 32);
	struct sluice_meter_load load = {.packets = 20, .bytes = 20 * 64};
	struct sluice_meter *m;
	struct fixture f;

	fixture_init(&f, 1, 0);
	m = set(&f, 1, &spec);
	CHECK_EQ(sluice_meter_police(m, SECOND, &load), SLUICE_GREEN);
	CHECK_EQ(sluice_meter_police(m, SECOND, &load), SLUICE_RED);
	load.packets = 12;
	CHECK_EQ(sluice_meter_police(m, SECOND, &load), SLUICE_GREEN);
	load.packets = 33; /* never */
	CHECK_EQ(sluice_meter_police(m, 9 * SECOND, &load), SLUICE_RED);
	fixture_fini(&f);
}

/* OpenFlow's two bands: remark above one rate, drop above another. */
static void bands_say_what_becomes_of_a_packet(void)
{
	const struct table_meter_spec spec = {
		.kind = SLUICE_METER_TRTCM,
		.committed = {.per_second = 100000, .burst = 3000},
		.more = {.per_second = 200000, .burst = 6000},
		.yellow = {.act = SLUICE_METER_REMARK, .level = 2},
		.red = {.act = SLUICE_METER_DROP},
		.counters = {5, 6, 7},
	};
	const struct sluice_meter_load load = {.packets = 1, .bytes = 1500};
	static const enum sluice_colour want[] = {SLUICE_GREEN, SLUICE_GREEN,
						  SLUICE_YELLOW, SLUICE_YELLOW,
						  SLUICE_RED};
	struct sluice_meter *m;
	struct fixture f;
	uint32_t level;

	fixture_init(&f, 1, 0);
	m = set(&f, 1, &spec);
	for (uint32_t i = 0; i < ARRAY_LEN(want); i++)
		CHECK_EQ(sluice_meter_police(m, SECOND, &load), want[i]);
	CHECK_EQ(sluice_meter_act(m, SLUICE_GREEN, &level), SLUICE_METER_PASS);
	CHECK_EQ(sluice_meter_act(m, SLUICE_YELLOW, &level),
		 SLUICE_METER_REMARK);
	CHECK_EQ(level, 2);
	CHECK_EQ(sluice_meter_act(m, SLUICE_RED, &level), SLUICE_METER_DROP);
	for (uint32_t c = 0; c < 3; c++)
		CHECK_EQ(sluice_meter_counter(m, (enum sluice_colour)c), 5 + c);
	fixture_fini(&f);
}

static void remarking_raises_the_drop_precedence(void)
{
	CHECK_EQ(sluice_meter_remark(10, 1), 12); /* AF11 to AF12 */
	CHECK_EQ(sluice_meter_remark(10, 2), 14);
	CHECK_EQ(sluice_meter_remark(10, 3), 14);
	CHECK_EQ(sluice_meter_remark(36, 1), 38); /* AF42 to AF43 */
	CHECK_EQ(sluice_meter_remark(38, 1), 38);
	CHECK_EQ(sluice_meter_remark(46, 1), 46); /* EF */
	CHECK_EQ(sluice_meter_remark(0, 1), 0);
	CHECK_EQ(sluice_meter_remark(8, 1), 8);	  /* CS1 */
	CHECK_EQ(sluice_meter_remark(11, 1), 11); /* no class */
	CHECK_EQ(sluice_meter_remark(42, 1), 42);
}

static void shares_make_up_the_whole(void)
{
	struct table_meter_spec spec = packets_of(3000, 300);
	uint32_t n[3];
	struct fixture f;

	fixture_init(&f, 3, 0);
	CHECK_EQ(table_meter_set(f.table, 1, &spec, NULL), 0);
	for (uint32_t e = 0; e < 3; e++) {
		struct sluice_meter *m = meter_of_engine(&f, 1, e);

		CHECK_EQ(pass(m, SECOND, 1000, 64), 100);
		CHECK_EQ(pass(m, SECOND + SECOND / 20, 1000, 64), 50);
	}
	spec.share[0] = 1;
	spec.share[2] = 5;
	CHECK_EQ(table_meter_set(f.table, 2, &spec, NULL), 0);
	for (uint32_t e = 0; e < 3; e++)
		n[e] = pass(meter_of_engine(&f, 2, e), SECOND, 1000, 64);
	CHECK_EQ(n[0], 50);
	CHECK_EQ(n[1], 0);
	CHECK_EQ(n[2], 250);
	fixture_fini(&f);
}

static void engines_that_are_not_there_have_no_view(void)
{
	struct sluice_meter_view v;
	struct fixture f;

	fixture_init(&f, 8, 0);
	CHECK(sluice_meter_view_init(&v, table_meter_view(f.table), 7));
	CHECK(!sluice_meter_view_init(&v, table_meter_view(f.table), 8));
	fixture_fini(&f);
	fixture_init(&f, 1, 0);
	CHECK(!sluice_meter_view_init(&v, table_meter_view(f.table), 1));
	fixture_fini(&f);
}

/* ---- Change. ---- */

static void a_new_rate_does_not_fill_the_bucket(void)
{
	struct table_meter_spec spec = packets_of(100, 50);
	struct sluice_meter *m;
	struct fixture f;

	fixture_init(&f, 1, 0);
	m = set(&f, 1, &spec);
	CHECK_EQ(pass(m, SECOND, 50, 64), 50);
	spec.committed.per_second = 1000;
	m = set(&f, 1, &spec);
	CHECK_EQ(pass(m, SECOND, 50, 64), 0);
	CHECK_EQ(pass(m, SECOND + SECOND / 100, 50, 64), 10);
	/* Of another kind: the peak's bucket is new, the other goes on. */
	spec.kind = SLUICE_METER_TRTCM;
	spec.more = spec.committed;
	m = set(&f, 1, &spec);
	CHECK_EQ(pass(m, SECOND + SECOND / 100, 60, 64), 50);
	CHECK(table_meter_del(f.table, 1));
	CHECK(!table_meter_del(f.table, 1));
	CHECK(!meter_of_engine(&f, 1, 0));
	fixture_fini(&f);
}

static void a_change_set_changes_meters(void)
{
	struct table_meter_spec spec = packets_of(100, 50);
	const uint64_t ids[] = {1, 2, 3};
	struct change_item items[3];
	struct change_log *log;
	struct sluice_meter *m;
	struct fixture f;
	uint32_t bad;

	fixture_init(&f, 1, 0);
	must(!change_log_new(f.region, &log));
	m = set(&f, 1, &spec);
	set(&f, 2, &spec);
	CHECK_EQ(pass(m, SECOND, 20, 64), 20);
	for (uint32_t i = 0; i < 3; i++)
		items[i] = (struct change_item){
			.table = table_meter_change(f.table),
			.kind = CHANGE_SET,
			.key = &ids[i],
			.value = &spec,
		};
	items[1].kind = CHANGE_DEL;
	spec.committed.per_second = 0;
	CHECK_EQ(change_apply(log, items, 3, &bad, NULL), -EINVAL);
	CHECK_EQ(bad, 0);
	CHECK(meter_of_engine(&f, 2, 0) && !meter_of_engine(&f, 3, 0));
	spec.committed = (struct table_meter_rate){100, 60};
	CHECK_EQ(change_apply(log, items, 3, &bad, NULL), 0);
	m = meter_of_engine(&f, 1, 0);
	CHECK(m && !meter_of_engine(&f, 2, 0) && meter_of_engine(&f, 3, 0));
	CHECK_EQ(pass(m, SECOND, 50, 64), 30);
	CHECK_EQ(pass(m, SECOND + SECOND / 10, 50, 64), 10);
	CHECK_EQ(pass(m, 3 * SECOND, 99, 64), 60);
	CHECK_EQ(change_settle(log, change_mark(log), 10), 3);
	CHECK_EQ(table_meter_n_used(f.table), 2);
	change_log_free(log);
	fixture_fini(&f);
}

static void an_heir_finds_meters_and_their_counters(void)
{
	struct table_counter_conf conf = {"counters", SLUICE_TABLE_COUNTERS, 10,
					  1};
	struct table_meter_spec spec = packets_of(100, 50);
	struct table_counter *counters;
	struct region *r;
	struct fixture f;

	fixture_init(&f, 2, 0);
	must(!region_new_memfd("c", table_counter_len(&conf) + (1 << 16), false,
			       &r, NULL));
	must(!table_counter_new(r, &conf, &counters, NULL));
	for (uint32_t c = 0; c < 3; c++)
		CHECK_EQ(table_counter_alloc(counters, 1, &spec.counters[c]),
			 0);
	set(&f, 1, &spec);
	spec.counters[0] = 0;
	set(&f, 2, &spec); /* shares two of them, has one not */
	table_counter_free(counters);
	table_meter_free(f.table);
	must(!table_meter_adopt(f.region, 0, &f.table, NULL));
	must(!table_counter_adopt(r, conf.kind, &counters, NULL));
	CHECK_EQ(table_meter_take_counters(f.table, counters), 3);
	table_counter_settle(counters);
	CHECK_EQ(table_counter_n_used(counters), 3);
	CHECK_EQ(pass(meter_of_engine(&f, 1, 1), SECOND, 50, 64), 25);
	table_counter_free(counters);
	region_free(r);
	fixture_fini(&f);
}

/* ---- What is refused. ---- */

static void specs_out_of_range_are_refused(void)
{
	struct table_meter_spec s;
	struct fixture f;

	fixture_init(&f, 2, 0);
	s = packets_of(0, 10);
	CHECK_EQ(refused(&f, &s), -EINVAL);
	s = packets_of(1000000001, 10);
	CHECK_EQ(refused(&f, &s), -EINVAL);
	s = packets_of(1, 2000); /* half an hour */
	CHECK_EQ(refused(&f, &s), -EINVAL);
	s = packets_of(1, UINT64_MAX);
	CHECK_EQ(refused(&f, &s), -EINVAL);
	s = packets_of(1, 1);
	CHECK_EQ(refused(&f, &s), 0);
	s.share[0] = 1;
	s.share[1] = 65535; /* a packet in 18 hours */
	CHECK_EQ(refused(&f, &s), -EINVAL);
	s = packets_of(10, 1);
	s.share[2] = 1;
	CHECK_EQ(refused(&f, &s), -EINVAL);
	s = packets_of(10, 1);
	s.kind = 3;
	CHECK_EQ(refused(&f, &s), -EINVAL);
	s = packets_of(10, 1);
	s.colour_aware = true;
	CHECK_EQ(refused(&f, &s), -EINVAL);
	s = packets_of(10, 1);
	s.red.level = 1;
	CHECK_EQ(refused(&f, &s), -EINVAL);
	s.red = (struct table_meter_band){SLUICE_METER_REMARK, 4};
	CHECK_EQ(refused(&f, &s), -EINVAL);
	s = packets_of(10, 1);
	s.kind = SLUICE_METER_TRTCM;
	CHECK_EQ(refused(&f, &s), -EINVAL);
	s.more.per_second = 9;
	CHECK_EQ(refused(&f, &s), -EINVAL);
	s.more.per_second = 10;
	CHECK_EQ(refused(&f, &s), 0);
	fixture_fini(&f);
}

/* Any words in a meter: it answers with a colour, and the rest is untouched. */
static void scribbles_do_no_harm(void)
{
	const struct table_meter_spec spec = packets_of(100, 10);
	struct rng r = rng_of(test_seed());
	uint32_t n[3] = {0};
	struct fixture f;

	fixture_init(&f, 1, 0);
	set(&f, 1, &spec);
	for (uint32_t i = 0; i < 1000000; i++) {
		uint64_t words[sizeof(struct sluice_meter) / 8 + 2];
		struct sluice_meter *m = (struct sluice_meter *)&words[1];
		struct sluice_meter_load load = {
			.packets = (uint32_t)rng_next(&r) >> rng_below(&r, 32),
			.bytes = (uint32_t)rng_next(&r) >> rng_below(&r, 32),
			.came = (enum sluice_colour)rng_below(&r, 3),
		};
		uint32_t level;
		enum sluice_colour c;

		for (uint32_t w = 0; w < ARRAY_LEN(words); w++)
			words[w] = rng_below(&r, 4)
					   ? rng_next(&r) >> rng_below(&r, 64)
					   : 0 - (uint64_t)rng_below(&r, 2);
		words[0] = words[ARRAY_LEN(words) - 1] = 0x5555;
		c = i % 2 ? sluice_meter_police(m, rng_next(&r), &load)
			  : sluice_meter_police_shared(m, rng_next(&r), &load);
		CHECK(c <= SLUICE_RED);
		CHECK(sluice_meter_act(m, c, &level) <= SLUICE_METER_REMARK);
		CHECK(level <= 3);
		n[c]++;
		CHECK(words[0] == 0x5555 &&
		      words[ARRAY_LEN(words) - 1] == 0x5555);
	}
	CHECK(n[0] && n[1] && n[2]);
	fixture_fini(&f);
}

/* Whatever stands in its word, a meter comes right again in bounded time. */
static void a_spoilt_word_does_not_last(void)
{
	const struct table_meter_spec spec = packets_of(100, 10);
	struct rng r = rng_of(test_seed());
	struct sluice_meter *m;
	uint64_t now = SECOND;
	struct fixture f;

	fixture_init(&f, 1, 0);
	m = set(&f, 1, &spec);
	for (uint32_t i = 0; i < 10000; i++) {
		m->at = rng_next(&r);
		if (rng_below(&r, 2)) /* near the window */
			m->at = now * 256 + (rng_next(&r) >> 20);
		pass(m, now, 20, 64);
		now += 11 * SECOND;
		CHECK_EQ(pass(m, now, 20, 64), 10);
	}
	fixture_fini(&f);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(a_bucket_gives_its_burst_and_then_its_rate);
	TEST(a_burst_is_a_burst_at_any_rate);
	TEST(a_coarse_clock_gives_the_same_rate);
	TEST(a_batch_is_granted_as_one);
	TEST(bands_say_what_becomes_of_a_packet);
	TEST(remarking_raises_the_drop_precedence);
	TEST(shares_make_up_the_whole);
	TEST(engines_that_are_not_there_have_no_view);
	TEST(a_new_rate_does_not_fill_the_bucket);
	TEST(a_change_set_changes_meters);
	TEST(an_heir_finds_meters_and_their_counters);
	TEST(specs_out_of_range_are_refused);
	TEST(scribbles_do_no_harm);
	TEST(a_spoilt_word_does_not_last);
	return test_done();
}
