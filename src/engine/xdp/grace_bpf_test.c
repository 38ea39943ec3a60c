/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program in the kernel finds an entry and holds it for a quarter of a second
 * or so. The writer deletes the entry and uses it again after a grace period:
 * that ends after the program, which never sees another's value. The same
 * without a grace period shows that the program would see it.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/must.h"
#include "base/test.h"
#include "engine/xdp/grace.h"
#include "grace_probe.skel.h"
#include "region/grace.h"
#include "sluice/atomic.h"
#include "table/exact.h"

#define N_TURNS 4u
#define LOOKS 60000u /* thousands */

struct rig {
	struct region *region;
	struct table_exact *table;
	struct grace_probe_bpf *skel;
	struct xdp_grace *kernel;
	struct region_grace *all;
	pthread_t thread;
	int err;
};

static const uint64_t held_key[2] = {1, 2}, other_key[2] = {3, 4};

static uint64_t kernel_start(void *arg)
{
	return xdp_grace_start(arg);
}

static bool kernel_done(void *arg, uint64_t ticket)
{
	return xdp_grace_done(arg, ticket);
}

static void put(struct rig *r, const uint64_t *key, uint64_t number)
{
	uint64_t value[2] = {number, ~number};

	must(!table_exact_set(r->table, key, value, NULL));
}

static void load(struct rig *r)
{
	struct grace_probe_bpf *s = grace_probe_bpf__open();

	must(s);
	r->skel = s;
	s->rodata->region_addr = r->region->head->base_addr;
	s->rodata->table_addr =
		r->region->head->base_addr +
		region_table(r->region, SLUICE_TABLE_FLOWS)->off;
	must(!bpf_map__reuse_fd(s->maps.arena, r->region->fd));
	must(!grace_probe_bpf__load(s));
}

/*
 * Puts this thread onto the nth processor that we have. The program lets nobody
 * else have its own meanwhile.
 */
static bool pin(uint32_t nth)
{
	static cpu_set_t all;
	cpu_set_t one;

	if (!CPU_COUNT(&all))
		must(!sched_getaffinity(0, sizeof(all), &all));
	CPU_ZERO(&one);
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all) && nth-- == 0) {
			CPU_SET(cpu, &one);
			return !pthread_setaffinity_np(pthread_self(),
						       sizeof(one), &one);
		}
	return false;
}

static bool rig_init(struct rig *r)
{
	const struct table_exact_conf conf = {
		.name = "flows",
		.kind = SLUICE_TABLE_FLOWS,
		.n_max =
			1, /* and two entries, so the next key gets the other */
		.key_len = 16,
		.value_len = 16,
		.seed = test_seed(),
	};
	struct grace_conf grace = {
		.also = {.start = kernel_start, .done = kernel_done}};

	memset(r, 0, sizeof(*r));
	if (!pin(0) || !pin(1) || !pin(0)) {
		test_skip("needs two processors");
		return false;
	}
	if (region_new_arena("grace", 1 << 20, &r->region, NULL)) {
		test_skip("needs root and BPF arenas (Linux 6.9)");
		return false;
	}
	must(!table_exact_new(r->region, &conf, &r->table, NULL));
	load(r);
	must(!xdp_grace_new(&r->kernel));
	grace.also.arg = r->kernel;
	must(!region_grace_new(&grace, &r->all));
	return true;
}

static void rig_fini(struct rig *r)
{
	region_grace_free(r->all);
	xdp_grace_free(r->kernel);
	grace_probe_bpf__destroy(r->skel);
	table_exact_free(r->table);
	region_free(r->region);
}

static void *run(void *arg)
{
	struct rig *r = arg;
	uint32_t data[16] = {LOOKS};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data,
		    .data_size_in = sizeof(data));

	must(pin(1));
	r->err = bpf_prog_test_run_opts(bpf_program__fd(r->skel->progs.hold),
					&opts);
	return NULL;
}

static bool is_inside(const struct rig *r)
{
	return sluice_load64_acquire(&r->skel->bss->is_inside);
}

/* The program holds the entry of held_key when this returns. */
static void begin(struct rig *r, uint64_t number)
{
	uint64_t end_ns = clock_now_ns() + 5000000000ull;

	put(r, held_key, number);
	must(!pthread_create(&r->thread, NULL, run, r));
	while (!is_inside(r) && clock_now_ns() < end_ns)
		usleep(100);
	CHECK(is_inside(r));
}

/* Deletes it; the entries rest until the mark is reclaimed. */
static void use_again(struct rig *r, uint64_t mark)
{
	const uint64_t value[2] = {1000, 1001};

	table_exact_reclaim(r->table, mark);
	/* All entries get another's, one after the other. */
	while (!table_exact_set(r->table, other_key, value, NULL))
		must(table_exact_del(r->table, other_key));
	table_exact_reclaim(r->table, table_exact_mark(r->table));
}

static void an_entry_is_not_used_again_under_a_program(void)
{
	struct rig r;
	uint64_t ticket, mark, n_asked = 0, ns;

	if (!rig_init(&r))
		return;
	for (uint64_t i = 0; i < N_TURNS; i++) {
		begin(&r, i);
		must(table_exact_del(r.table, held_key));
		mark = table_exact_mark(r.table);
		ns = clock_now_ns();
		ticket = region_grace_start(r.all, ns);
		while (!region_grace_done(r.all, ticket, clock_now_ns())) {
			n_asked++;
			usleep(500);
		}
		/* It has left: that is what we waited for. */
		CHECK(!is_inside(&r));
		ns = clock_now_ns() - ns;
		use_again(&r, mark);
		pthread_join(r.thread, NULL);
		CHECK_EQ(r.err, 0);
	}
	printf("# waited %u ms for the last; %lu looks\n",
	       (uint32_t)(ns / 1000000), (unsigned long)r.skel->bss->n_looks);
	CHECK(n_asked > 10ul * N_TURNS);
	CHECK_EQ(r.skel->bss->n_found, N_TURNS);
	CHECK_EQ(r.skel->bss->n_looks, 1000ull * N_TURNS * LOOKS);
	CHECK_EQ(r.skel->bss->n_changed, 0);
	rig_fini(&r);
}

/* So the test above can fail. */
static void without_a_grace_period_it_would_be_seen(void)
{
	struct rig r;

	if (!rig_init(&r))
		return;
	begin(&r, 7);
	must(table_exact_del(r.table, held_key));
	use_again(&r, table_exact_mark(r.table));
	CHECK(is_inside(&r));
	pthread_join(r.thread, NULL);
	CHECK(r.skel->bss->n_changed > 0);
	rig_fini(&r);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(an_entry_is_not_used_again_under_a_program);
	TEST(without_a_grace_period_it_would_be_seen);
	return test_done();
}
