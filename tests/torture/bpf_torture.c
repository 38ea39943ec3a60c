/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A writer in user space keeps an exact table in an arena at 95 %, moving
 * entries about, while BPF programs look up keys that are always there: none
 * may be missing, and none have another's value.
 *
 * In a small table each key is moved often; a large one does not fit into the
 * caches. -n MILLIONS of lookups in each; 50 without it.
 */

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/must.h"
#include "base/rng.h"
#include "base/test.h"
#include "sluice/atomic.h"
#include "table/exact.h"
#include "table_probe.skel.h"

enum { LOOKS = 1000 }; /* in one run of the program */

static uint32_t n_millions = 50;

struct probe_key {
	uint64_t a, b;
};

struct torture {
	uint32_t n_max;
	uint32_t n_stable;
	struct region *region;
	struct table_exact *table;
	struct table_probe_bpf *skel;
	pthread_t thread;
	uint32_t done; /* the reader writes */
	int err;
};

static struct probe_key key_of(uint64_t no)
{
	return (struct probe_key){no * 0x9e3779b97f4a7c15u, no};
}

static int set(struct torture *t, uint64_t no)
{
	struct probe_key key = key_of(no), value = {no, ~no};

	return table_exact_set(t->table, &key, &value, NULL);
}

/* Looks up n_millions million keys, in the kernel. */
static void *look(void *arg)
{
	struct torture *t = arg;
	uint32_t data[16] = {LOOKS};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data,
		    .data_size_in = sizeof(data), .repeat = 1000);
	int fd = bpf_program__fd(t->skel->progs.probe_check);

	for (uint32_t i = 0; i < n_millions && !t->err; i++)
		t->err = bpf_prog_test_run_opts(fd, &opts);
	sluice_store32_relaxed(&t->done, 1);
	return NULL;
}

static const char *torture_init(struct torture *t)
{
	const struct table_exact_conf conf = {
		.name = "torture",
		.kind = SLUICE_TABLE_FLOWS,
		.n_max = t->n_max,
		.key_len = 16,
		.value_len = 16,
		.seed = test_seed(),
	};
	struct table_probe_bpf *s;
	struct why why = {0};

	if (region_new_arena("torture", 64 << 20, &t->region, &why))
		return "needs root and BPF arenas (Linux 6.9)";
	CHECK(!table_exact_new(t->region, &conf, &t->table, &why));
	for (uint64_t no = 0; no < t->n_stable; no++)
		CHECK(!set(t, no));
	s = t->skel = table_probe_bpf__open();
	must(s);
	s->rodata->table_addr =
		t->region->head->base_addr +
		region_table(t->region, SLUICE_TABLE_FLOWS)->off;
	s->rodata->region_addr = t->region->head->base_addr;
	s->rodata->n_keys = t->n_stable;
	s->bss->turn = test_seed();
	CHECK(!bpf_map__reuse_fd(s->maps.arena, t->region->fd));
	CHECK(!table_probe_bpf__load(s));
	return NULL;
}

/*
 * Fills the table with other keys, and then replaces one of them at a time,
 * until the reader is done. Entries are reused at once: readers that copy, as
 * this one, need no grace period. Returns the changes made.
 */
static uint64_t write_until_done(struct torture *t)
{
	struct rng rng = rng_of(test_seed());
	uint64_t first = t->n_stable, last = t->n_stable, n = 0;

	while (!sluice_load32_relaxed(&t->done)) {
		struct probe_key key = key_of(first);

		while (table_exact_n_used(t->table) < t->n_max && !set(t, last))
			last++;
		CHECK(table_exact_del(t->table, &key));
		first++;
		/* And a stable one in a new entry, now and then. */
		if (rng_below(&rng, 16) == 0)
			CHECK(!set(t, rng_below(&rng, t->n_stable)));
		table_exact_reclaim(t->table, table_exact_mark(t->table));
		n++;
	}
	return n;
}

static void torture(uint32_t n_max)
{
	struct torture t = {.n_max = n_max, .n_stable = n_max / 2};
	const char *cannot = torture_init(&t);
	uint64_t n;

	if (cannot)
		return test_skip(cannot);
	must(!pthread_create(&t.thread, NULL, look, &t));
	n = write_until_done(&t);
	pthread_join(t.thread, NULL);
	CHECK_EQ(t.err, 0);
	printf("# %lu lookups, %lu changes, %lu busy\n",
	       (unsigned long)t.skel->bss->n_found, (unsigned long)n,
	       (unsigned long)t.skel->bss->n_busy);
	CHECK(n > 1000);
	CHECK_EQ(t.skel->bss->n_missing, 0);
	CHECK_EQ(t.skel->bss->n_wrong, 0);
	CHECK_EQ(t.skel->bss->n_found + t.skel->bss->n_busy,
		 (uint64_t)n_millions * 1000000);
	/* Busy is an honest answer, but a rare one. */
	CHECK(t.skel->bss->n_busy * 1000 < t.skel->bss->n_found);
	table_probe_bpf__destroy(t.skel);
	table_exact_free(t.table);
	region_free(t.region);
}

static void stable_keys_are_never_missing_in_a_small_table(void)
{
	torture(1 << 9);
}

static void stable_keys_are_never_missing_in_a_large_table(void)
{
	torture(1 << 17);
}

/*
 * Among so many keys some pairs have one hash, and thus the same buckets, which
 * are half empty here. Nobody writes.
 */
static void keys_that_share_a_hash_are_found(void)
{
	struct torture t = {.n_max = 1 << 19, .n_stable = 1 << 18};
	const char *cannot = torture_init(&t);

	if (cannot)
		return test_skip(cannot);
	look(&t);
	CHECK_EQ(t.err, 0);
	CHECK_EQ(t.skel->bss->n_found, (uint64_t)n_millions * 1000000);
	table_probe_bpf__destroy(t.skel);
	table_exact_free(t.table);
	region_free(t.region);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "-n")) {
		n_millions = (uint32_t)strtoul(argv[2], NULL, 10);
		argc -= 2;
		argv += 2;
	}
	test_init(argc, argv);
	TEST(keys_that_share_a_hash_are_found);
	TEST(stable_keys_are_never_missing_in_a_small_table);
	TEST(stable_keys_are_never_missing_in_a_large_table);
	return test_done();
}
