/* SPDX-License-Identifier: Apache-2.0 */

#include <pthread.h>
#include <unistd.h>

#include "base/must.h"
#include "base/test.h"
#include "engine/xdp/grace.h"

static bool wait_done(struct xdp_grace *g, uint64_t ticket)
{
	for (int i = 0; i < 5000 && !xdp_grace_done(g, ticket); i++)
		usleep(1000);
	return xdp_grace_done(g, ticket);
}

static void a_ticket_is_served_after_it_was_asked_for(void)
{
	struct xdp_grace *g;
	uint64_t ticket;

	must(!xdp_grace_new(&g));
	for (int i = 0; i < 5; i++) {
		ticket = xdp_grace_start(g);
		CHECK(wait_done(g, ticket));
		CHECK(!xdp_grace_done(g, ticket + 1));
	}
	xdp_grace_free(g);
}

static void tickets_share_a_grace_period(void)
{
	struct xdp_grace *g;
	uint64_t first, last = 0;

	must(!xdp_grace_new(&g));
	first = xdp_grace_start(g);
	for (int i = 0; i < 100000; i++)
		last = xdp_grace_start(g);
	CHECK_EQ(last - first, 100000);
	CHECK(wait_done(g, last));
	CHECK(xdp_grace_done(g, first));
	xdp_grace_free(g);
}

static void it_ends_while_one_is_under_way(void)
{
	struct xdp_grace *g;

	for (int i = 0; i < 5; i++) {
		must(!xdp_grace_new(&g));
		xdp_grace_start(g);
		xdp_grace_free(g);
	}
	xdp_grace_free(NULL);
}

static void *ask(void *arg)
{
	struct xdp_grace *g = arg;
	uint64_t last = 0;

	for (int i = 0; i < 2000; i++) {
		uint64_t ticket = xdp_grace_start(g);

		CHECK(ticket > last);
		last = ticket;
	}
	CHECK(wait_done(g, last));
	return NULL;
}

static void two_threads_may_ask(void)
{
	struct xdp_grace *g;
	pthread_t a, b;

	must(!xdp_grace_new(&g));
	must(!pthread_create(&a, NULL, ask, g));
	must(!pthread_create(&b, NULL, ask, g));
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	CHECK(xdp_grace_done(g, 4000));
	CHECK(!xdp_grace_done(g, 4001));
	xdp_grace_free(g);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(a_ticket_is_served_after_it_was_asked_for);
	TEST(tickets_share_a_grace_period);
	TEST(it_ends_while_one_is_under_way);
	TEST(two_threads_may_ask);
	return test_done();
}
