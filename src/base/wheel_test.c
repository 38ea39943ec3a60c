/* SPDX-License-Identifier: Apache-2.0 */
#include "base/wheel.h"

#include "base/rng.h"
#include "base/test.h"

/* The twin: an array of deadlines and a loop. */

#define N 300u

static uint64_t deadlines[N]; /* WHEEL_NEVER: not armed */

static uint64_t random_span(struct rng *r)
{
	return rng_next(r) >> (24 + rng_below(r, 40));
}

static void pop_all(struct wheel *w, uint64_t now)
{
	uint32_t id;

	while ((id = wheel_pop(w, now)) != WHEEL_NONE) {
		CHECK(deadlines[id] <= now);
		deadlines[id] = WHEEL_NEVER;
	}
	for (uint32_t i = 0; i < N; i++)
		CHECK(deadlines[i] > now);
}

static void wheel_agrees_with_an_array(void)
{
	struct rng r = rng_of(test_seed());
	uint64_t now = rng_next(&r) >> rng_below(&r, 64) >> 1;
	struct wheel w;

	CHECK_EQ(wheel_init(&w, N, now), 0);
	for (uint32_t i = 0; i < N; i++)
		deadlines[i] = WHEEL_NEVER;
	for (uint32_t i = 0; i < 200000 && !test_.failed; i++) {
		uint32_t id = rng_below(&r, N);
		uint64_t first = WHEEL_NEVER;

		switch (rng_below(&r, 8)) {
		case 0:
			wheel_disarm(&w, id);
			deadlines[id] = WHEEL_NEVER;
			break;
		case 1:
			now += random_span(&r);
			pop_all(&w, now);
			break;
		default:
			deadlines[id] = now + random_span(&r);
			wheel_arm(&w, id, deadlines[id]);
		}
		for (uint32_t j = 0; j < N; j++)
			if (deadlines[j] < first)
				first = deadlines[j];
		CHECK(wheel_next(&w) <= first);
		CHECK(first == WHEEL_NEVER || wheel_next(&w) >= now);
	}
	wheel_fini(&w);
}

static void one_pop_is_one_timer(void)
{
	struct wheel w;

	CHECK_EQ(wheel_init(&w, 3, 1000), 0);
	wheel_arm(&w, 0, 5); /* in the past: due at once */
	wheel_arm(&w, 1, 1000);
	wheel_arm(&w, 2, 70000);
	CHECK_EQ(wheel_pop(&w, 1000), 0);
	wheel_arm(&w, 0, 1001);
	CHECK_EQ(wheel_pop(&w, 1000), 1);
	CHECK_EQ(wheel_pop(&w, 1000), WHEEL_NONE);
	CHECK_EQ(wheel_pop(&w, 80000), 0);
	CHECK_EQ(wheel_pop(&w, 80000), 2);
	CHECK_EQ(wheel_next(&w), WHEEL_NEVER);
	wheel_fini(&w);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(wheel_agrees_with_an_array);
	TEST(one_pop_is_one_timer);
	return test_done();
}
