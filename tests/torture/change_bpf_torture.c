/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer in user space applies and settles change sets over two tables in an
 * arena that it keeps alike, while BPF programs look at groups of keys in both:
 * never a mixture of sets, never a missing key. Settled after the grace periods
 * of the XDP engine.
 *
 * -n SECONDS; 5 without it.
 */

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <pthread.h>

#include "base/test.h"
#include "change_probe.skel.h"
#include "engine/xdp/grace.h"
#include "table/change_pairs_fake.h"

enum { LOOKS = 500 }; /* in one run of the program */

static uint32_t n_seconds = 5;

struct torture {
	struct pairs pairs;
	struct region *region;
	struct region_grace *grace;
	struct xdp_grace *xdp;
	struct change_probe_bpf *skel;
	pthread_t thread;
	uint32_t done; /* the writer writes */
	int err;
};

static uint64_t also_start(void *arg)
{
	return xdp_grace_start(arg);
}

static bool also_done(void *arg, uint64_t ticket)
{
	return xdp_grace_done(arg, ticket);
}

static void *look(void *arg)
{
	struct torture *t = arg;
	uint32_t data[16] = {LOOKS};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data,
		    .data_size_in = sizeof(data), .repeat = 10);
	int fd = bpf_program__fd(t->skel->progs.probe_pairs);

	while (!sluice_load32_relaxed(&t->done) && !t->err)
		t->err = bpf_prog_test_run_opts(fd, &opts);
	return NULL;
}

static const char *torture_init(struct torture *t, bool wrongly)
{
	struct grace_conf conf = {.also = {NULL, also_start, also_done}};
	struct change_probe_bpf *s;
	uint64_t base;

	if (region_new_arena("torture", 1 << 21, &t->region, NULL))
		return "needs root and BPF arenas (Linux 6.9)";
	must(!xdp_grace_new(&t->xdp));
	conf.also.arg = t->xdp;
	must(!region_grace_new(&conf, &t->grace));
	s = t->skel = change_probe_bpf__open();
	must(s);
	base = t->region->head->base_addr;
	CHECK(!bpf_map__reuse_fd(s->maps.arena, t->region->fd));
	pairs_init(&t->pairs, t->region, t->grace, s->bss->last, test_seed());
	s->rodata->region_addr = base;
	s->rodata->at_version_0 = wrongly;
	for (uint32_t i = 0; i < 2; i++)
		s->rodata->table_addrs[i] =
			base + region_table(t->region, PAIRS_KIND(i))->off;
	s->bss->turn = test_seed();
	CHECK(!change_probe_bpf__load(s));
	t->pairs.last = s->bss->last;
	return NULL;
}

static void torture_fini(struct torture *t)
{
	change_probe_bpf__destroy(t->skel);
	pairs_fini(&t->pairs);
	region_grace_free(t->grace);
	xdp_grace_free(t->xdp);
	region_free(t->region);
}

static void write_for(struct torture *t, uint64_t ns)
{
	uint64_t until = clock_now_ns() + ns;

	while (clock_now_ns() < until && !t->err)
		for (uint32_t i = 0; i < 100; i++)
			pairs_step(&t->pairs);
	sluice_store32_relaxed(&t->done, 1);
}

static void a_program_sees_all_of_a_set_or_nothing(void)
{
	struct torture t = {0};
	const char *cannot = torture_init(&t, false);

	if (cannot)
		return test_skip(cannot);
	must(!pthread_create(&t.thread, NULL, look, &t));
	write_for(&t, n_seconds * 1000000000ull);
	pthread_join(t.thread, NULL);
	CHECK_EQ(t.err, 0);
	printf("# %lu looks, %lu sets, %lu refused, %lu steps settled in %lu "
	       "grace periods, %lu busy\n",
	       (unsigned long)t.skel->bss->n_looks,
	       (unsigned long)t.pairs.n_sets, (unsigned long)t.pairs.n_refused,
	       (unsigned long)t.pairs.n_settled,
	       (unsigned long)t.pairs.n_rounds,
	       (unsigned long)t.skel->bss->n_busy);
	CHECK_EQ(t.skel->bss->n_missing, 0);
	CHECK_EQ(t.skel->bss->n_mixed, 0);
	CHECK_EQ(t.skel->bss->n_stale, 0);
	CHECK(t.skel->bss->n_looks > 10000);
	CHECK(t.skel->bss->n_busy * 1000 < t.skel->bss->n_looks);
	CHECK(t.pairs.n_sets > 500 && t.pairs.n_rounds > 20);
	torture_fini(&t);
}

/* The probe would notice: at a version before the sets nothing is right. */
static void the_probe_sees_what_is_wrong(void)
{
	struct torture t = {0};
	const char *cannot = torture_init(&t, true);

	if (cannot)
		return test_skip(cannot);
	must(!pthread_create(&t.thread, NULL, look, &t));
	write_for(&t, 200000000);
	pthread_join(t.thread, NULL);
	CHECK_EQ(t.err, 0);
	CHECK(t.skel->bss->n_missing + t.skel->bss->n_mixed > 0);
	CHECK(t.skel->bss->n_stale > 0);
	torture_fini(&t);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "-n")) {
		n_seconds = (uint32_t)strtoul(argv[2], NULL, 10);
		argc -= 2;
		argv += 2;
	}
	test_init(argc, argv);
	TEST(the_probe_sees_what_is_wrong);
	TEST(a_program_sees_all_of_a_set_or_nothing);
	return test_done();
}
