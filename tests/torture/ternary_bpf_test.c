/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A BPF program finds the same rules in an arena as readers in user space, among
 * some hundred tuples.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/clock.h"
#include "table/ternary_fake.h"
#include "ternary_probe.skel.h"

#define KEYS_MAX 1024u

struct lab {
	struct fixture f;
	struct ternary_probe_bpf *skel;
};

static const char *lab_init(struct lab *lab, struct rng *r)
{
	struct ternary_probe_bpf *s;
	struct region *region;

	fixture_conf(&lab->f, 2000, 64);
	lab->f.n_bits = 20;
	lab->f.n_priorities = 1000;
	if (region_new_arena("ternary", table_ternary_len(&lab->f.conf) + 8192,
			     &region, NULL))
		return "needs root and BPF arenas (Linux 6.9)";
	lab->f.region = region;
	must(!table_ternary_new(region, &lab->f.conf, &lab->f.table, NULL));
	lab->f.rules = calloc(TWIN_MAX, sizeof(*lab->f.rules));
	must(lab->f.rules);
	fixture_universe(&lab->f, r);
	s = lab->skel = ternary_probe_bpf__open();
	must(s);
	s->rodata->region_addr = region->head->base_addr;
	s->rodata->table_addr = region->head->base_addr +
				region_table(region, lab->f.conf.kind)->off;
	must(!bpf_map__reuse_fd(s->maps.arena, region->fd));
	CHECK_EQ(ternary_probe_bpf__load(s), 0);
	return NULL;
}

static void lab_fini(struct lab *lab)
{
	ternary_probe_bpf__destroy(lab->skel);
	fixture_fini(&lab->f);
}

static void agrees(struct lab *lab, struct rng *r)
{
	uint32_t data[16] = {0}, n_wrong = 0, n_yes = 0;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data,
		    .data_size_in = sizeof(data), .repeat = 1);
	uint64_t began;

	for (uint32_t i = 0; i < KEYS_MAX; i++)
		key_draw(&lab->f, r, lab->skel->bss->keys[i]);
	lab->skel->bss->n_keys = KEYS_MAX;
	began = clock_cpu_ns();
	CHECK_EQ(bpf_prog_test_run_opts(bpf_program__fd(lab->skel->progs.probe),
					&opts),
		 0);
	began = clock_cpu_ns() - began;
	for (uint32_t i = 0; i < KEYS_MAX; i++) {
		int64_t best = twin_best(&lab->f, lab->skel->bss->keys[i]);
		uint32_t said = lab->skel->bss->answers[i];

		n_yes += said == SLUICE_YES;
		n_wrong += best < 0 ? said != SLUICE_NO
				    : said != SLUICE_YES ||
					      lab->skel->bss->priorities[i] !=
						      best;
	}
	CHECK_EQ(n_wrong, 0);
	printf("# %u rules, %u tuples: %u of %u found, %llu ns each\n",
	       lab->f.n_rules, table_ternary_n_tuples(lab->f.table), n_yes,
	       KEYS_MAX, (unsigned long long)(began / KEYS_MAX));
}

static void a_program_in_the_kernel_finds_the_same_rules(void)
{
	struct rng r = rng_of(test_seed());
	struct lab lab = {.skel = NULL};
	const char *cannot = lab_init(&lab, &r);

	if (cannot)
		return test_skip(cannot);
	for (uint32_t n = 1; n <= 1000 && !test_.failed; n *= 10) {
		while (lab.f.n_rules < n) {
			struct twin_rule rule;

			rule_draw(&lab.f, &r, &rule);
			must(!fixture_set(&lab.f, &rule));
		}
		agrees(&lab, &r);
	}
	lab_fini(&lab);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(a_program_in_the_kernel_finds_the_same_rules);
	return test_done();
}
