/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BPF programs find flows under 64 and 1,000 masks in an arena while a writer in
 * user space makes other masks come and go: none is missing, none is wrong.
 *
 * -n LOOKUPS in thousands for each; 300 without it.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <pthread.h>
#include <string.h>

#include "base/must.h"
#include "base/rng.h"
#include "base/test.h"
#include "bpf/masked_probe.h"
#include "masked_probe.skel.h"
#include "sluice/atomic.h"
#include "table/masked.h"

enum { LOOKS = 1000 }; /* in one run of the program */

static uint32_t n_thousand = 300;

struct torture {
	uint32_t n_masks; /* of the flows that are looked up */
	uint32_t n_flows;
	struct region *region;
	struct table_masked *table;
	struct masked_probe_bpf *skel;
	uint32_t done; /* the reader writes */
	int err;
};

static int set(struct torture *t, uint32_t number, uint32_t mask)
{
	uint64_t value[2] = {number, ~(uint64_t)number};
	struct probe_words key, under;
	const struct table_masked_key flow = {&key, &under};

	probe_key(&key, number);
	probe_mask(&under, mask);
	return table_masked_set(t->table, &flow, value, NULL);
}

static bool del(struct torture *t, uint32_t number, uint32_t mask)
{
	struct probe_words key, under;
	const struct table_masked_key flow = {&key, &under};

	probe_key(&key, number);
	probe_mask(&under, mask);
	return table_masked_del(t->table, &flow);
}

static int run(const struct bpf_program *prog, uint32_t repeat)
{
	uint32_t data[16] = {LOOKS};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data,
		    .data_size_in = sizeof(data), .repeat = (int)repeat);

	return bpf_prog_test_run_opts(bpf_program__fd(prog), &opts);
}

static void *look(void *arg)
{
	struct torture *t = arg;

	t->err = run(t->skel->progs.probe_table, n_thousand);
	sluice_store32_relaxed(&t->done, 1);
	return NULL;
}

static const char *torture_init(struct torture *t)
{
	const struct table_masked_conf conf = {
		.name = "torture",
		.kind = SLUICE_TABLE_FLOWS,
		.n_max = 2 * t->n_flows,
		.n_masks_max = t->n_masks + 8,
		.n_lanes = 2,
		.key_len = sizeof(struct probe_words),
		.value_len = 16,
		.seed = test_seed(),
	};
	struct masked_probe_bpf *s;
	uint64_t at;

	if (region_new_arena("torture", table_masked_len(&conf) + 8192,
			     &t->region, NULL))
		return "needs root and BPF arenas (Linux 6.9)";
	must(!table_masked_new(t->region, &conf, &t->table, NULL));
	for (uint32_t i = 0; i < t->n_flows; i++)
		must(!set(t, i, i % t->n_masks));
	at = t->region->head->base_addr;
	s = t->skel = masked_probe_bpf__open();
	must(s);
	s->rodata->region_addr = at;
	s->rodata->table_addr =
		at + region_table(t->region, SLUICE_TABLE_FLOWS)->off;
	s->rodata->n_flows = t->n_flows;
	s->rodata->n_masks = t->n_masks;
	s->bss->turn = test_seed();
	must(!bpf_map__reuse_fd(s->maps.arena, t->region->fd));
	CHECK(!masked_probe_bpf__load(s));
	return NULL;
}

/* Flows under masks that nobody looks for, a few masks at a time. */
static uint64_t write_until_done(struct torture *t)
{
	struct rng rng = rng_of(test_seed());
	uint64_t n = 0;

	while (!sluice_load32_relaxed(&t->done)) {
		uint32_t mask = 1000 + rng_below(&rng, 24);
		uint32_t first = t->n_flows + rng_below(&rng, t->n_flows / 2);
		uint32_t n_in = 0;

		while (n_in < 20 && !set(t, first + n_in, mask))
			n_in++;
		while (n_in > 0)
			must(del(t, first + --n_in, mask));
		table_masked_reclaim(t->table, table_masked_mark(t->table));
		if (rng_below(&rng, 4) == 0)
			table_masked_reorder(t->table);
		n++;
	}
	return n;
}

static void torture(uint32_t n_masks)
{
	struct torture t = {.n_masks = n_masks, .n_flows = 20000};
	const char *cannot = torture_init(&t);
	const uint64_t n_looks = 1000ull * n_thousand;
	uint64_t order, n, n_hits = 0;
	struct masked_probe_bpf__bss *found;
	pthread_t thread;

	if (cannot)
		return test_skip(cannot);
	found = t.skel->bss;
	must(!pthread_create(&thread, NULL, look, &t));
	n = write_until_done(&t);
	pthread_join(thread, NULL);
	order = table_masked_view(t.table)->table->order;
	printf("# %lu lookups, %lu rounds, %lu orders, %lu busy\n",
	       (unsigned long)found->n_found, (unsigned long)n,
	       (unsigned long)order, (unsigned long)found->n_busy);
	CHECK_EQ(t.err, 0);
	CHECK(n > 20);
	CHECK_EQ(found->n_missing, 0);
	CHECK_EQ(found->n_wrong, 0);
	CHECK_EQ(found->n_found + found->n_busy, n_looks);
	CHECK(found->n_busy * 100 < found->n_found);
	for (uint32_t i = 0; i < table_masked_view(t.table)->n_masks; i++) {
		struct table_masked_mask mask;

		if (table_masked_mask(t.table, i, &mask))
			n_hits += mask.n_hits;
	}
	CHECK_EQ(n_hits, found->n_found);
	masked_probe_bpf__destroy(t.skel);
	table_masked_free(t.table);
	region_free(t.region);
}

static void flows_under_64_masks_are_never_missing(void)
{
	torture(64);
}

static void flows_under_1000_masks_are_never_missing(void)
{
	torture(1000);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "-n")) {
		n_thousand = (uint32_t)strtoul(argv[2], NULL, 10);
		argc -= 2;
		argv += 2;
	}
	test_init(argc, argv);
	TEST(flows_under_64_masks_are_never_missing);
	TEST(flows_under_1000_masks_are_never_missing);
	return test_done();
}
