/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "region/account.h"
#include "region/heap_fake.h"

static uint32_t n_in_page(uint32_t len)
{
	static const uint32_t sizes[][2] = {
#define ROW(block_len, n) {block_len, n},
		SLUICE_HEAP_SIZES(ROW)
#undef ROW
	};
	uint32_t i = 0;

	while (sizes[i][0] < len + 16)
		i++;
	return sizes[i][1];
}

static void every_length_keeps_to_its_share(void)
{
	struct owner o;

	owner_init(&o, 40, 1);
	for (uint32_t len = 1; len <= SLUICE_HEAP_PAYLOAD_MAX; len++) {
		CHECK(heap_share(len) * n_in_page(len) >= SLUICE_HEAP_PAGE);
		CHECK_EQ(hold(&o, 0, len, 0, len), 0);
		CHECK(o.held[0].off % 16 == 0);
		CHECK(is_whole(&o, 0));
		let_go(&o, 0);
		reclaim_all(&o);
		CHECK_EQ(heap_n_pages_used(o.heap), 0);
	}
	CHECK_EQ(hold(&o, 0, 0, 0, 0), -EINVAL);
	CHECK_EQ(hold(&o, 0, SLUICE_HEAP_PAYLOAD_MAX + 1, 0, 0), -EINVAL);
	owner_fini(&o);
}

static void offsets_that_are_lies_are_refused(void)
{
	const struct sluice_heap_view *v;
	struct owner o;

	owner_init(&o, 2, 2);
	v = heap_view(o.heap);
	CHECK_EQ(hold(&o, 0, 100, 0, 7), 0);
	for (uint32_t off = 0; off < 3 * SLUICE_HEAP_PAGE; off++) {
		const uint8_t *p = sluice_heap_at(v, off, 16);

		CHECK(!p || (p == v->pages + off && off % 16 == 0 &&
			     off + 16 <= v->len));
		if (off != o.held[0].off)
			CHECK(!heap_block_free(o.heap, off));
	}
	CHECK(!sluice_heap_at(v, 0, 0));
	CHECK(!sluice_heap_at(v, 16, UINT32_MAX));
	CHECK(!sluice_heap_at(v, UINT32_MAX - 15, 16));
	CHECK(sluice_heap_at(v, 2 * SLUICE_HEAP_PAGE - 16, 16));
	CHECK(!sluice_heap_at(v, 2 * SLUICE_HEAP_PAGE - 16, 17));
	let_go(&o, 0);
	CHECK(!heap_block_free(o.heap, o.held[0].off + 16));
	owner_fini(&o);
}

static void a_freed_block_rests_until_it_is_reclaimed(void)
{
	struct owner o;
	uint64_t mark;
	uint32_t off;

	owner_init(&o, 1, 20);
	for (uint32_t i = 0; i < 4; i++)
		CHECK_EQ(hold(&o, i, 4080, 0, i), 0);
	CHECK_EQ(hold(&o, 4, 4080, 0, 4), -ENOSPC);
	off = o.held[1].off;
	let_go(&o, 1);
	mark = heap_mark(o.heap);
	let_go(&o, 2);
	CHECK_EQ(hold(&o, 4, 4080, 0, 4), -ENOSPC);
	heap_reclaim(o.heap, mark);
	CHECK_EQ(heap_n_resting(o.heap), 1);
	CHECK_EQ(hold(&o, 4, 4080, 0, 4), 0);
	CHECK_EQ(o.held[4].off, off);
	CHECK_EQ(hold(&o, 5, 4080, 0, 4), -ENOSPC);
	reclaim_all(&o);
	CHECK_EQ(hold(&o, 5, 4080, 0, 5), 0);
	CHECK(is_whole(&o, 0) && is_whole(&o, 3) && is_whole(&o, 5));
	owner_fini(&o);
}

static void a_page_serves_any_class(void)
{
	struct owner o;

	owner_init(&o, 1, 512);
	for (uint32_t len = 4000; len > 16; len = len * 3 / 4) {
		uint32_t n = 0;

		while (n < o.n && !hold(&o, n, len, 0, n))
			n++;
		CHECK_EQ(n, n_in_page(len));
		while (n > 0)
			let_go(&o, --n);
		reclaim_all(&o);
		CHECK_EQ(heap_n_pages_used(o.heap), 0);
	}
	owner_fini(&o);
}

/* Fills the heap with blocks of len and leaves one in each page. */
static uint32_t pin_every_page(struct owner *o, uint32_t len)
{
	uint32_t last_page = UINT32_MAX;
	uint32_t n = 0;

	while (!hold(o, n, len, 0, n))
		n++;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t page = o->held[i].off / SLUICE_HEAP_PAGE;

		if (page == last_page)
			let_go(o, i);
		last_page = page;
	}
	reclaim_all(o);
	return n;
}

static void tidying_empties_pinned_pages(void)
{
	const uint32_t n_pages = 64;
	struct owner o;
	uint32_t n;

	owner_init(&o, n_pages, n_pages * 512);
	n = pin_every_page(&o, 100);
	CHECK_EQ(heap_n_pages_used(o.heap), n_pages);
	CHECK_EQ(hold(&o, n, 200, 0, 0), -ENOSPC);
	tidy_all(&o);
	CHECK_EQ(heap_n_pages_used(o.heap), 1);
	CHECK(o.n_moved >= n_pages - 1 && o.n_moved < 2ul * n_pages);
	CHECK(waste_is_bounded(&o));
	for (uint32_t i = 0; i < n; i++)
		CHECK(!o.held[i].off || is_whole(&o, i));
	CHECK_EQ(hold(&o, n, 200, 0, 0), 0);
	owner_fini(&o);
}

static void what_an_owner_will_not_move_stays(void)
{
	const uint32_t n_pages = 20;
	struct owner o;
	uint32_t n;

	owner_init(&o, n_pages, n_pages * 512);
	n = pin_every_page(&o, 100);
	o.refuses = true;
	tidy_all(&o);
	CHECK_EQ(heap_n_pages_used(o.heap), n_pages);
	for (uint32_t i = 0; i < n; i++)
		CHECK(!o.held[i].off || is_whole(&o, i));
	/* They are filled first, and can be emptied when one has been freed. */
	o.refuses = false;
	for (uint32_t i = 0; i < n; i++) {
		if (!o.held[i].off)
			continue;
		CHECK_EQ(hold(&o, n, 100, 0, n), 0);
		let_go(&o, n);
	}
	tidy_all(&o);
	CHECK(heap_n_pages_used(o.heap) < n_pages);
	owner_fini(&o);
}

static void adoption_keeps_a_block_once_and_rests_the_others(void)
{
	struct heap_owner who = {OWNER_KIND, 0, 0};
	struct owner o;

	owner_init(&o, 1, 8);
	for (uint32_t i = 0; i < 4; i++)
		CHECK_EQ(hold(&o, i, 4080, 0, i), 0);
	heap_free(o.heap);
	must(!heap_adopt(o.region, &o.heap, NULL));
	CHECK(heap_keep(o.heap, o.held[0].off, 4080, &who));
	CHECK(!heap_keep(o.heap, o.held[0].off, 4080, &who));
	CHECK(!heap_keep(o.heap, o.held[1].off + 16, 16, &who));
	CHECK(!heap_keep(o.heap, o.held[1].off, 4081, &who));
	CHECK(!heap_keep(o.heap, SLUICE_HEAP_PAGE + 16, 16, &who));
	heap_adopted(o.heap);
	CHECK_EQ(heap_n_resting(o.heap), 3);
	CHECK_EQ(hold(&o, 5, 4080, 0, 5), -ENOSPC);
	reclaim_all(&o);
	for (uint32_t i = 5; i < 8; i++)
		CHECK_EQ(hold(&o, i, 4080, 0, i), 0);
	CHECK(is_whole(&o, 0) && is_whole(&o, 7));
	owner_fini(&o);
}

/* ---- Accounts. ---- */

static uint64_t all_accounts(const struct owner *o)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < 8; i++)
		sum += account_used(o->region, i);
	return sum;
}

static void blocks_are_charged_within_limits(void)
{
	struct why why = {0};
	struct heap_owner who = {OWNER_KIND, 0, 3};
	struct owner o;
	uint64_t all;
	uint32_t off;

	owner_init(&o, 8, 100);
	all = all_accounts(&o);
	CHECK(!account_set(o.region, 3, "red", 2500, NULL));
	CHECK_EQ(hold(&o, 0, 1000, 3, 0), 0);
	CHECK_EQ(account_used(o.region, 3), 1024);
	CHECK_EQ(hold(&o, 1, 1000, 3, 1), 0);
	CHECK_EQ(all_accounts(&o), all);
	CHECK_EQ(heap_block_new(o.heap, 1000, &who, &off, &why), -EDQUOT);
	CHECK(strstr(why.text, "'red'") && strstr(why.text, "2500") &&
	      strstr(why.text, "2048") && strstr(why.text, "1024"));
	CHECK_EQ(hold(&o, 2, 300, 3, 2), 0);
	CHECK_EQ(hold(&o, 3, 1000, 4, 3), 0);
	/* A block is paid for as long as it rests. */
	let_go(&o, 0);
	CHECK_EQ(hold(&o, 4, 1000, 3, 4), -EDQUOT);
	reclaim_all(&o);
	CHECK_EQ(hold(&o, 4, 1000, 3, 4), 0);
	CHECK_EQ(hold(&o, 5, 1000, 8, 5), -EINVAL);
	/* Who comes next counts anew and finds the same. */
	owner_adopt(&o);
	CHECK_EQ(account_used(o.region, 3), 2 * 1024 + 320);
	CHECK_EQ(account_used(o.region, 4), 1024);
	for (uint32_t i = 1; i < 5; i++)
		let_go(&o, i);
	reclaim_all(&o);
	CHECK_EQ(account_used(o.region, 3), 0);
	CHECK_EQ(all_accounts(&o), all);
	owner_fini(&o);
}

/* ---- The twin. ---- */

static uint32_t some_len(struct rng *rng)
{
	uint32_t max = 16u << rng_below(rng, 9);

	return 1 + rng_below(rng, max < SLUICE_HEAP_PAYLOAD_MAX
					  ? max
					  : SLUICE_HEAP_PAYLOAD_MAX);
}

/* What a tool counts is what is held. */
static void usage_agrees(const struct owner *o)
{
	struct sluice_heap_usage u;
	struct sluice_block block;
	uint64_t n = 0, len = 0, at = 0;
	uint32_t off;

	for (uint32_t i = 0; i < o->n; i++) {
		n += o->held[i].off != 0;
		len += o->held[i].off ? o->held[i].len : 0;
	}
	sluice_heap_usage(heap_view(o->heap), &u);
	CHECK_EQ(u.n_live, n);
	CHECK_EQ(u.live_len, len);
	CHECK_EQ(u.n_pages, heap_n_pages_used(o->heap));
	CHECK_EQ(u.n_pages * SLUICE_HEAP_PAGE,
		 u.live_len + u.resting_len + u.waste_len);
	for (; sluice_heap_next(heap_view(o->heap), &at, &off, &block); n--) {
		uint32_t i = (uint32_t)block.owner;

		CHECK(i < o->n && o->held[i].off == off &&
		      o->held[i].len == sluice_block_len(block.what) &&
		      o->held[i].account == sluice_block_account(block.what));
	}
	CHECK_EQ(n, 0);
}

static void step(struct owner *o, struct rng *rng)
{
	uint32_t i = rng_below(rng, o->n);
	bool had = o->held[i].off;

	if (had) {
		CHECK(is_whole(o, i));
		let_go(o, i);
	}
	if (!had || rng_below(rng, 8) == 0)
		(void)!hold(o, i, some_len(rng), (uint16_t)rng_below(rng, 8),
			    rng_next(rng));
	switch (rng_below(rng, 1000)) {
	case 0:
		owner_adopt(o);
		break;
	case 1:
		usage_agrees(o);
		break;
	case 2:
	case 3:
		tidy_all(o);
		CHECK(waste_is_bounded(o));
		break;
	default:
		if (rng_below(rng, 20) == 0)
			heap_reclaim(o->heap, heap_mark(o->heap));
	}
}

static void blocks_stay_what_they_are(void)
{
	struct rng rng = rng_of(test_seed());
	struct owner o;

	owner_init(&o, 100, 4000);
	for (uint32_t i = 0; i < 300000; i++)
		step(&o, &rng);
	for (uint32_t i = 0; i < o.n; i++)
		if (o.held[i].off) {
			CHECK(is_whole(&o, i));
			let_go(&o, i);
		}
	reclaim_all(&o);
	CHECK_EQ(heap_n_pages_used(o.heap), 0);
	CHECK_EQ(o.share, 0);
	owner_fini(&o);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(every_length_keeps_to_its_share);
	TEST(offsets_that_are_lies_are_refused);
	TEST(a_freed_block_rests_until_it_is_reclaimed);
	TEST(a_page_serves_any_class);
	TEST(tidying_empties_pinned_pages);
	TEST(what_an_owner_will_not_move_stays);
	TEST(adoption_keeps_a_block_once_and_rests_the_others);
	TEST(blocks_are_charged_within_limits);
	TEST(blocks_stay_what_they_are);
	return test_done();
}
