/* SPDX-License-Identifier: Apache-2.0 */
/* The table of counters against an array and a loop, and what it refuses. */
#include <errno.h>

#include "base/must.h"
#include "base/rng.h"
#include "base/test.h"
#include "region/check.h"
#include "sluice/fsck.h"
#include "table/counter.h"

#define N_MAX 100u
#define N_LANES 4u
#define N_STEPS 200000u

struct fixture {
	struct region *region;
	struct table_counter *table;
	const struct sluice_counter_view *view;
	struct sluice_counter_lane lanes[N_LANES];
};

static const struct table_counter_conf conf = {
	.name = "counters",
	.kind = SLUICE_TABLE_COUNTERS,
	.n_max = N_MAX,
	.n_lanes = N_LANES,
};

static void look_anew(struct fixture *f)
{
	f->view = table_counter_view(f->table);
	for (uint32_t i = 0; i < N_LANES; i++)
		f->lanes[i] = sluice_counter_lane(f->view, i);
}

static void fixture_init(struct fixture *f)
{
	must(!region_new_memfd("test", table_counter_len(&conf) + (1 << 16),
			       false, &f->region, NULL));
	must(!table_counter_new(f->region, &conf, &f->table, NULL));
	look_anew(f);
}

static void fixture_fini(struct fixture *f)
{
	table_counter_free(f->table);
	region_free(f->region);
}

static uint32_t alloc(struct fixture *f, uint64_t now_ns)
{
	uint32_t no = 0;

	CHECK_EQ(table_counter_alloc(f->table, now_ns, &no), 0);
	return no;
}

static void adopt(struct fixture *f)
{
	table_counter_free(f->table);
	f->table = NULL;
	must(!table_counter_adopt(f->region, conf.kind, &f->table, NULL));
	look_anew(f);
}

static void reclaim_all(struct fixture *f)
{
	table_counter_reclaim(f->table, table_counter_mark(f->table));
}

static void lanes_are_summed(void)
{
	struct sluice_counter_sum sum;
	struct fixture f;
	uint32_t no;

	fixture_init(&f);
	no = alloc(&f, 5);
	CHECK(sluice_counter_get(f.view, no, &sum));
	CHECK_EQ(sum.packets, 0);
	CHECK_EQ(sum.bytes, 0);
	CHECK_EQ(sum.used_ns, 5);
	sluice_counter_add(&f.lanes[0], no, 1, 60, 10);
	sluice_counter_add(&f.lanes[1], no, 2, 3000, 30);
	sluice_counter_add_shared(&f.lanes[2], no, 4, 400, 20);
	CHECK(sluice_counter_get(f.view, no, &sum));
	CHECK_EQ(sum.packets, 7);
	CHECK_EQ(sum.bytes, 3460);
	CHECK_EQ(sum.used_ns, 30);
	fixture_fini(&f);
}

static void what_is_no_number_is_ignored(void)
{
	struct sluice_counter_lane none;
	struct sluice_counter_sum sum[3];
	struct fixture f;

	fixture_init(&f);
	none = sluice_counter_lane(f.view, N_LANES);
	CHECK_EQ(none.n, 0);
	sluice_counter_add(&none, 0, 1, 1, 1);
	sluice_counter_add_shared(&none, 0, 1, 1, 1);
	for (uint64_t no = N_MAX + 1; no < 1ull << 32; no = no * 3) {
		sluice_counter_add(&f.lanes[N_LANES - 1], (uint32_t)no, 1, 1,
				   1);
		sluice_counter_add_shared(&f.lanes[N_LANES - 1], (uint32_t)no,
					  1, 1, 1);
		CHECK(!sluice_counter_get(f.view, (uint32_t)no, sum));
	}
	/* Anybody may count under number 0, and nobody reads it. */
	sluice_counter_add(&f.lanes[1], 0, 1, 1, 1);
	CHECK(!sluice_counter_get(f.view, 0, sum));
	CHECK_EQ(sum[0].packets, 0);
	/* A range ends where the table does. */
	CHECK_EQ(sluice_counter_read(f.view, N_MAX - 1, 3, sum), 2);
	CHECK_EQ(sluice_counter_read(f.view, N_MAX + 1, 3, sum), 0);
	CHECK_EQ(sluice_counter_read(f.view, UINT32_MAX, UINT32_MAX, sum), 0);
	CHECK(!table_counter_release(f.table, 0));
	CHECK(!table_counter_release(f.table, 1));
	CHECK(!table_counter_release(f.table, N_MAX + 1));
	fixture_fini(&f);
}

static void a_number_rests_and_starts_at_zero(void)
{
	struct sluice_counter_sum before, sum;
	struct fixture f;
	uint64_t mark;
	uint32_t no;

	fixture_init(&f);
	no = alloc(&f, 1);
	sluice_counter_add(&f.lanes[0], no, 1, 100, 2);
	sluice_counter_add(&f.lanes[3], no, 1, 100, 3);
	CHECK(sluice_counter_get(f.view, no, &before));
	CHECK(table_counter_release(f.table, no));
	CHECK(!table_counter_release(f.table, no));
	CHECK(!sluice_counter_get(f.view, no, &sum));
	CHECK_EQ(sum.packets, 0);
	CHECK_EQ(table_counter_n_resting(f.table), 1);
	mark = table_counter_mark(f.table);
	/* Somebody may still count under it; that comes not to the next. */
	sluice_counter_add(&f.lanes[3], no, 1, 100, 4);
	for (uint32_t i = 1; i < N_MAX; i++)
		CHECK(alloc(&f, 1) != no);
	CHECK_EQ(table_counter_alloc(f.table, 1, &no), -ENOSPC);
	table_counter_reclaim(f.table, mark);
	CHECK_EQ(alloc(&f, 9), no);
	CHECK(sluice_counter_get(f.view, no, &sum));
	CHECK_EQ(sum.packets, 0);
	CHECK_EQ(sum.bytes, 0);
	CHECK_EQ(sum.used_ns, 9);
	CHECK(sum.head != before.head);
	sluice_counter_add(&f.lanes[2], no, 1, 50, 10);
	CHECK(sluice_counter_get(f.view, no, &sum));
	CHECK_EQ(sum.packets, 1);
	CHECK_EQ(sum.bytes, 50);
	CHECK_EQ(table_counter_n_used(f.table), N_MAX);
	/* Marks that are past, or not yet, change nothing. */
	CHECK(table_counter_release(f.table, no));
	reclaim_all(&f);
	table_counter_reclaim(f.table, mark);
	CHECK_EQ(table_counter_n_resting(f.table), 0);
	table_counter_reclaim(f.table, table_counter_mark(f.table) + 1);
	CHECK_EQ(alloc(&f, 1), no);
	CHECK_EQ(table_counter_alloc(f.table, 1, &no), -ENOSPC);
	fixture_fini(&f);
}

/* Its generation comes round to the beginning: it still was in use before. */
static void a_number_used_a_billion_times_starts_at_zero(void)
{
	struct sluice_counter_sum sum;
	struct fixture f;
	uint32_t no = 0;

	fixture_init(&f);
	for (uint32_t i = 0; i < N_MAX; i++)
		no = alloc(&f, 1);
	f.lanes[0].records[no].head = 0xfffffffcu | SLUICE_ENTRY_LIVE;
	sluice_counter_add(&f.lanes[1], no, 1, 1, 1);
	CHECK(table_counter_release(f.table, no));
	reclaim_all(&f);
	CHECK_EQ(alloc(&f, 1), no);
	CHECK(sluice_counter_get(f.view, no, &sum));
	CHECK_EQ(sum.packets, 0);
	fixture_fini(&f);
}

static void an_heir_keeps_what_its_owners_take(void)
{
	struct sluice_counter_sum sum;
	struct fixture f;
	uint32_t mine, lost, freed, no;

	fixture_init(&f);
	mine = alloc(&f, 1);
	lost = alloc(&f, 1);
	freed = alloc(&f, 1);
	for (uint32_t lane = 0; lane < N_LANES; lane++) {
		sluice_counter_add(&f.lanes[lane], mine, 1, 10, lane);
		sluice_counter_add(&f.lanes[lane], lost, 1, 10, lane);
	}
	CHECK(table_counter_release(f.table, freed));
	adopt(&f);
	CHECK_EQ(table_counter_alloc(f.table, 1, &no), -ENOSPC);
	CHECK_EQ(table_counter_take(f.table, mine), 0);
	CHECK_EQ(table_counter_take(f.table, mine), -EEXIST);
	CHECK_EQ(table_counter_take(f.table, freed), -ENOENT);
	CHECK_EQ(table_counter_take(f.table, N_MAX), -ENOENT);
	CHECK_EQ(table_counter_take(f.table, 0), -EINVAL);
	CHECK_EQ(table_counter_take(f.table, N_MAX + 1), -EINVAL);
	/* An owner may think better of it. */
	CHECK_EQ(table_counter_take(f.table, lost), 0);
	CHECK(table_counter_release(f.table, lost));
	table_counter_settle(f.table);
	CHECK_EQ(table_counter_n_used(f.table), 1);
	CHECK_EQ(table_counter_n_resting(f.table), 2);
	CHECK(sluice_counter_get(f.view, mine, &sum));
	CHECK_EQ(sum.packets, N_LANES);
	CHECK_EQ(sum.bytes, 10 * N_LANES);
	CHECK(!sluice_counter_get(f.view, lost, &sum));
	for (uint32_t i = 3; i < N_MAX; i++) {
		no = alloc(&f, 1);
		CHECK(no != lost && no != mine && no != freed);
	}
	reclaim_all(&f);
	CHECK(alloc(&f, 1) != mine);
	CHECK(alloc(&f, 1) != mine);
	CHECK_EQ(table_counter_alloc(f.table, 1, &no), -ENOSPC);
	CHECK(sluice_counter_get(f.view, lost, &sum));
	CHECK_EQ(sum.packets, 0);
	fixture_fini(&f);
}

/* ---- The twin. ---- */

struct twin {
	bool in_use[N_MAX + 1];
	struct sluice_counter_sum sum[N_MAX + 1];
	uint64_t now_ns;
};

static void twin_compare(const struct fixture *f, const struct twin *w,
			 uint32_t first, uint32_t n)
{
	struct sluice_counter_sum sum[N_MAX + 1];

	n = sluice_counter_read(f->view, first, n, sum);
	for (uint32_t i = 0; i < n; i++) {
		const struct sluice_counter_sum *is = &sum[i];
		const struct sluice_counter_sum *be = &w->sum[first + i];

		CHECK_EQ(is->head != 0, w->in_use[first + i]);
		CHECK_EQ(is->packets, be->packets);
		CHECK_EQ(is->bytes, be->bytes);
		CHECK_EQ(is->used_ns, be->used_ns);
	}
}

static void twin_count(struct fixture *f, struct twin *w, struct rng *r)
{
	const struct sluice_counter_lane *l = &f->lanes[rng_below(r, N_LANES)];
	uint32_t no = rng_below(r, N_MAX + 1);
	uint64_t bytes = rng_below(r, 10) ? rng_below(r, 9000) : rng_next(r);

	/* Engines count under numbers that they find in entries. */
	if (!w->in_use[no])
		return;
	if (rng_below(r, 2))
		sluice_counter_add(l, no, 1, bytes, w->now_ns);
	else
		sluice_counter_add_shared(l, no, 1, bytes, w->now_ns);
	w->sum[no].packets++;
	w->sum[no].bytes += bytes;
	w->sum[no].used_ns = w->now_ns;
}

static void twin_alloc(struct fixture *f, struct twin *w)
{
	uint32_t no;

	if (table_counter_alloc(f->table, w->now_ns, &no))
		return;
	CHECK(!w->in_use[no] && no >= 1 && no <= N_MAX);
	w->in_use[no] = true;
	w->sum[no] = (struct sluice_counter_sum){.used_ns = w->now_ns};
}

static void twin_adopt(struct fixture *f, const struct twin *w)
{
	adopt(f);
	for (uint32_t no = 1; no <= N_MAX; no++)
		if (w->in_use[no])
			CHECK_EQ(table_counter_take(f->table, no), 0);
	table_counter_settle(f->table);
}

static void twin_step(struct fixture *f, struct twin *w, struct rng *r)
{
	uint32_t no = rng_below(r, N_MAX + 1);

	w->now_ns++;
	switch (rng_below(r, 16)) {
	case 0:
	case 1:
		twin_alloc(f, w);
		break;
	case 2:
		CHECK_EQ(table_counter_release(f->table, no), w->in_use[no]);
		w->in_use[no] = false;
		w->sum[no] = (struct sluice_counter_sum){0};
		break;
	case 3:
		if (rng_below(r, 20) == 0)
			reclaim_all(f);
		break;
	case 4:
		if (rng_below(r, 100) == 0)
			twin_adopt(f, w);
		break;
	case 5:
		twin_compare(f, w, no, 1 + rng_below(r, N_MAX));
		break;
	default:
		twin_count(f, w, r);
	}
}

static void random_ops_agree_with_an_array(void)
{
	struct rng r = rng_of(test_seed());
	static struct twin w;
	struct fixture f;
	uint32_t n = 0;

	fixture_init(&f);
	for (uint32_t i = 0; i < N_STEPS; i++)
		twin_step(&f, &w, &r);
	for (uint32_t no = 1; no <= N_MAX; no++)
		n += w.in_use[no];
	CHECK_EQ(table_counter_n_used(f.table), n);
	twin_compare(&f, &w, 0, N_MAX + 1);
	fixture_fini(&f);
}

/* ---- What is refused. ---- */

static void shapes_out_of_range_are_refused(void)
{
	const struct table_counter_conf bad[] = {
		{.n_max = 0, .n_lanes = 1},
		{.n_max = 1, .n_lanes = 0},
		{.n_max = (1 << 26) + 1, .n_lanes = 1},
		{.n_max = 1, .n_lanes = 1025},
	};
	struct table_counter *t;
	struct fixture f;

	fixture_init(&f);
	for (uint32_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct table_counter_conf c = bad[i];

		c.name = "bad";
		c.kind = SLUICE_TABLE_OWN;
		CHECK_EQ(table_counter_len(&c), 0);
		CHECK_EQ(table_counter_new(f.region, &c, &t, NULL), -EINVAL);
	}
	CHECK_EQ(table_counter_new(f.region, &conf, &t, NULL), -EEXIST);
	CHECK_EQ(table_counter_adopt(f.region, SLUICE_TABLE_OWN, &t, NULL),
		 -ENOENT);
	fixture_fini(&f);
}

/* Each word of the table's header, spoilt: no view, no writer. */
static void a_spoilt_header_is_refused(void)
{
	const uint64_t bad[] = {0, 1, 63, ~0ull, 1ull << 63, 1ull << 40};
	const struct sluice_table_desc *d;
	struct sluice_counter_view v;
	struct table_counter *t;
	struct fixture f;
	uint64_t *words;

	fixture_init(&f);
	d = region_table(f.region, conf.kind);
	words = region_at(f.region, d->off, d->len);
	CHECK_EQ(sluice_region_check(f.region->head, f.region->len, NULL), 0);
	for (uint32_t w = 0; w < 3; w++) {
		uint64_t good = words[w];

		for (uint32_t i = 0; i < ARRAY_LEN(bad); i++) {
			struct sluice_why why = {""};

			words[w] = bad[i];
			CHECK_EQ(sluice_region_check(f.region->head,
						     f.region->len, &why),
				 -EINVAL);
			CHECK(strstr(why.text, "'counters'"));
			CHECK_EQ(table_counter_adopt(f.region, conf.kind, &t,
						     NULL),
				 -EINVAL);
		}
		words[w] = good;
	}
	CHECK_EQ(region_check_counter((void *)f.region->head, d, &v, NULL), 0);
	CHECK(v.lanes == f.view->lanes);
	fixture_fini(&f);
}

/*
 * Whatever is written over the table, who reads and who counts stays inside of
 * it, and the writer gives no number to two owners. In a block of exactly the
 * table's length, for AddressSanitizer.
 */
static void scribbles_lead_nobody_outside(void)
{
	struct rng r = rng_of(test_seed());
	uint64_t len = table_counter_len(&conf);
	static struct sluice_counter_sum sums[N_MAX + 1];
	bool given[N_MAX + 1] = {false};
	struct sluice_counter_view v;
	uint64_t *mem, *shared;
	struct fixture f;
	uint32_t no;

	fixture_init(&f);
	shared = region_at(f.region, region_table(f.region, conf.kind)->off,
			   len);
	mem = aligned_alloc(64, len);
	must(mem && shared);
	memcpy(mem, shared, len);
	sluice_counter_view_init(&v, (struct sluice_counters *)mem);
	for (uint32_t i = 0; i < 20000; i++) {
		struct sluice_counter_lane l =
			sluice_counter_lane(&v, rng_below(&r, N_LANES + 2));

		mem[rng_below(&r, (uint32_t)(len / 8))] = rng_next(&r);
		shared[8 + rng_below(&r, (uint32_t)(len / 8) - 8)] =
			rng_next(&r);
		no = (uint32_t)rng_next(&r) >> rng_below(&r, 32);
		sluice_counter_add(&l, no, 1, rng_next(&r), i);
		sluice_counter_add_shared(&l, no, 1, rng_next(&r), i);
		CHECK(sluice_counter_read(&v, no, N_MAX + 1, sums) <=
		      N_MAX + 1);
		if (!table_counter_alloc(f.table, i, &no)) {
			CHECK(no >= 1 && no <= N_MAX && !given[no]);
			given[no] = true;
		}
		no = rng_below(&r, N_MAX + 1);
		CHECK_EQ(table_counter_release(f.table, no), given[no]);
		given[no] = false;
		reclaim_all(&f);
	}
	free(mem);
	fixture_fini(&f);
}

static uint64_t n_wrong(const struct fixture *f)
{
	const struct sluice_map m = {f->region->head, f->region->len};
	const struct sluice_fsck_conf deep = {.is_deep = true};
	static struct sluice_fsck out;

	CHECK_EQ(sluice_fsck(&m, &deep, &out, NULL), 0);
	CHECK_EQ(out.n_tables, 1);
	return out.n_wrong;
}

/* The deep check sees what nobody can have stored in order. */
static void what_is_broken_is_found(void)
{
	struct fixture f;
	uint32_t no;

	fixture_init(&f);
	no = alloc(&f, 1);
	sluice_counter_add(&f.lanes[2], no, 1, 1, 1);
	sluice_counter_add(&f.lanes[2], 0, 1, 1, 1);
	CHECK_EQ(n_wrong(&f), 0);
	CHECK(table_counter_release(f.table, no));
	CHECK_EQ(n_wrong(&f), 0);
	sluice_counter_add(&f.lanes[2], no + 1, 1, 1, 1);
	CHECK_EQ(n_wrong(&f), 1);
	f.lanes[1].records[no].head = 1;
	CHECK_EQ(n_wrong(&f), 2);
	f.lanes[0].records[0].head = SLUICE_ENTRY_LIVE;
	CHECK_EQ(n_wrong(&f), 3);
	f.lanes[0].records[no + 2].head = SLUICE_ENTRY_BORN;
	CHECK_EQ(n_wrong(&f), 4);
	f.lanes[0].records[no + 3].head = 1ull << 32 | SLUICE_ENTRY_LIVE;
	CHECK_EQ(n_wrong(&f), 5);
	fixture_fini(&f);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(lanes_are_summed);
	TEST(what_is_no_number_is_ignored);
	TEST(a_number_rests_and_starts_at_zero);
	TEST(a_number_used_a_billion_times_starts_at_zero);
	TEST(an_heir_keeps_what_its_owners_take);
	TEST(random_ops_agree_with_an_array);
	TEST(shapes_out_of_range_are_refused);
	TEST(a_spoilt_header_is_refused);
	TEST(scribbles_lead_nobody_outside);
	TEST(what_is_broken_is_found);
	return test_done();
}
