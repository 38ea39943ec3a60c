/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program in the kernel sends packets through groups as we do: the same
 * actions for the same keys and ports, while the writer replaces groups, moves
 * their bodies and takes ports down in between.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "group_probe.skel.h"
#include "table/group_fake.h"

#define N_IDS 16u
#define N_PAGES 40u
#define N_ASKS 20000u

/* As the program has it. */
struct ask {
	uint64_t up;
	uint32_t id;
	uint32_t pad;
	struct sluice_key key;
};

struct rig {
	struct fixture f;
	struct group_probe_bpf *skel;
	struct rng rng;
};

/* A random group; those from 8 on name those below. */
static void set_random(struct rig *r, uint32_t id)
{
	struct group_bucket b[SLUICE_GROUP_BUCKETS_MAX];
	enum sluice_group_type type =
		(enum sluice_group_type)rng_below(&r->rng, 4);
	uint32_t n = type == SLUICE_GROUP_INDIRECT
			     ? 1
			     : 1 + rng_below(&r->rng, SLUICE_GROUP_BUCKETS_MAX);
	struct group_conf conf = conf_of(type, b, n);

	for (uint32_t i = 0; i < n; i++) {
		b[i] = bucket_watching(1 + rng_below(&r->rng, 63));
		b[i].weight = 1 + rng_below(&r->rng, 10);
		if (id >= 8 && rng_below(&r->rng, 3) == 0)
			b[i].act = sluice_act_of(SLUICE_ACT_GROUP,
						 rng_below(&r->rng, 8));
		if (id >= 8 && rng_below(&r->rng, 3) == 0)
			b[i].watch_group = rng_below(&r->rng, 8);
	}
	conf.is_symmetric = rng_below(&r->rng, 2);
	must(!table_group_set(r->f.groups, id, &conf, NULL));
}

static uint64_t addr_of(const struct region *r, uint32_t kind)
{
	return r->head->base_addr + region_table(r, kind)->off;
}

static const char *rig_init(struct rig *r)
{
	struct table_group_conf conf = {.n_max = 100, .seed = test_seed()};
	struct group_probe_bpf *s;

	memset(r, 0, sizeof(*r));
	r->rng = rng_of(test_seed());
	if (region_new_arena("groups", 2 << 20, &r->f.region, NULL))
		return "needs root and BPF arenas (Linux 6.9)";
	must(!heap_new(r->f.region, N_PAGES, 0, &r->f.heap, NULL));
	conf.heap = r->f.heap;
	must(!table_group_new(r->f.region, &conf, &r->f.groups, NULL));
	must(!change_log_new(r->f.region, &r->f.log));
	s = r->skel = group_probe_bpf__open();
	must(s);
	s->rodata->region_addr = r->f.region->head->base_addr;
	s->rodata->table_addr = addr_of(r->f.region, SLUICE_TABLE_GROUPS);
	s->rodata->heap_addr = addr_of(r->f.region, SLUICE_TABLE_HEAP);
	s->rodata->n_ids = N_IDS;
	must(!bpf_map__reuse_fd(s->maps.arena, r->f.region->fd));
	must(!group_probe_bpf__load(s));
	for (uint32_t id = 0; id < N_IDS; id++)
		set_random(r, id);
	return NULL;
}

static void rig_fini(struct rig *r)
{
	group_probe_bpf__destroy(r->skel);
	fixture_fini(&r->f);
}

static bool agrees(struct rig *r)
{
	uint64_t up = rng_next(&r->rng);
	struct ask ask = {
		.up = up & rng_next(&r->rng),
		.id = rng_below(&r->rng, N_IDS + 1),
		.key = random_key(&r->rng),
	};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &ask,
		    .data_size_in = sizeof(ask), .repeat = 1);
	struct sluice_group_packet p = {
		.key = &ask.key,
		.up = ask.up,
		.version = sluice_version(r->f.region->head),
	};
	struct sluice_group_choice c = {0};
	enum sluice_found found =
		sluice_group_resolve(table_group_view(r->f.groups), ask.id, &p,
				     &c);

	must(!bpf_prog_test_run_opts(bpf_program__fd(r->skel->progs.probe_one),
				     &opts));
	return r->skel->bss->found == (uint32_t)found &&
	       (found != SLUICE_YES || r->skel->bss->act == c.act.w);
}

static void the_kernel_chooses_as_we_do(void)
{
	uint64_t n_differ = 0;
	struct rig r;
	const char *cannot = rig_init(&r);

	if (cannot)
		return test_skip(cannot);
	for (uint32_t i = 0; i < N_ASKS; i++) {
		if (i % 20 == 0)
			set_random(&r, rng_below(&r.rng, N_IDS));
		if (i % 100 == 0)
			heap_tidy(r.f.heap, 4, fixture_move, &r.f);
		if (i % 10 == 0)
			fixture_reclaim(&r.f);
		n_differ += !agrees(&r);
	}
	CHECK_EQ(n_differ, 0);
	rig_fini(&r);
}

/* A program ends, and stays inside the arena, whatever is written there. */
static void a_scribbled_region_ends(void)
{
	struct rig r;
	const char *cannot = rig_init(&r);
	uint32_t data[16] = {100};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data,
		    .data_size_in = sizeof(data), .repeat = 1);
	const struct sluice_table_desc *d;
	uint64_t *words;

	if (cannot)
		return test_skip(cannot);
	words = (uint64_t *)r.f.region->head;
	d = region_table(r.f.region, SLUICE_TABLE_GROUPS);
	for (uint32_t i = 0; i < 3000; i++) {
		uint64_t from = 8192;
		uint64_t at = rng_below(&r.rng,
					(uint32_t)(d->off + d->len - from) / 8);

		words[from / 8 + at] = rng_below(&r.rng, 2)
					       ? rng_next(&r.rng)
					       : rng_below(&r.rng, 1000000);
		if (i % 10 == 0)
			must(!bpf_prog_test_run_opts(
				bpf_program__fd(r.skel->progs.probe_pick),
				&opts));
	}
	CHECK_EQ(r.skel->bss->n_acts + r.skel->bss->n_none, 30000);
	rig_fini(&r);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(the_kernel_chooses_as_we_do);
	TEST(a_scribbled_region_ends);
	return test_done();
}
