/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows under masks in a BPF arena beside a hash map of the kernel for each
 * mask.
 *
 *     bpf/lookup/N   random keys of 100,000 flows under N masks, by a BPF program;
 *                    the drawing of keys is measured alone and taken off both.
 *                    The peer's masks lie in an array map, its hash maps in a map
 *                    of maps; both try masks in turn until one has the flow
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/must.h"
#include "bench/bench.h"
#include "bpf/masked_probe.h"
#include "masked_probe.skel.h"
#include "table/masked.h"

enum { N_ROUNDS = 5, LOOKS = 1000, N_FLOWS = 100000 };

struct lab {
	uint32_t n_masks;
	struct region *region;
	struct table_masked *table;
	struct masked_probe_bpf *skel;
};

static void under(uint64_t *key, const struct probe_words *mask)
{
	for (uint32_t w = 0; w < PROBE_KEY_WORDS; w++)
		key[w] &= mask->w[w];
}

/* False: this machine does not let us. */
static bool table_init(struct lab *lab)
{
	const struct table_masked_conf conf = {
		.name = "bench",
		.kind = SLUICE_TABLE_FLOWS,
		.n_max = N_FLOWS,
		.n_masks_max = lab->n_masks < 64 ? 64 : lab->n_masks,
		.n_lanes = 2,
		.key_len = sizeof(struct probe_words),
		.value_len = sizeof(struct probe_words) - 8,
		.seed = 1,
	};
	uint64_t len = table_masked_len(&conf) + 8192;
	struct why why = {0};

	if (region_new_arena("bench", len, &lab->region, &why)) {
		bench_say("masked tables in BPF are not measured: %s",
			  why.text);
		return false;
	}
	must(!table_masked_new(lab->region, &conf, &lab->table, &why));
	for (uint32_t i = 0; i < N_FLOWS; i++) {
		uint64_t value[7] = {i, ~(uint64_t)i};
		struct probe_words key, mask;
		const struct table_masked_key flow = {&key, &mask};

		probe_key(&key, i);
		probe_mask(&mask, i % lab->n_masks);
		must(!table_masked_set(lab->table, &flow, value, NULL));
	}
	table_masked_reorder(lab->table);
	return true;
}

static void skel_init(struct lab *lab)
{
	struct masked_probe_bpf *s = lab->skel = masked_probe_bpf__open();
	uint64_t at = lab->region->head->base_addr;

	must(s);
	s->rodata->region_addr = at;
	s->rodata->table_addr =
		at + region_table(lab->region, SLUICE_TABLE_FLOWS)->off;
	s->rodata->n_flows = N_FLOWS;
	s->rodata->n_masks = lab->n_masks;
	must(!bpf_map__reuse_fd(s->maps.arena, lab->region->fd));
	must(!masked_probe_bpf__load(s));
}

static void peers_init(struct lab *lab)
{
	const uint32_t len = sizeof(struct probe_words);
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = 0);

	for (uint32_t m = 0; m < lab->n_masks; m++) {
		int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "peer", len, len,
					N_FLOWS / lab->n_masks + 1, &opts);
		struct probe_words mask;

		must(fd >= 0);
		probe_mask(&mask, m);
		must(!bpf_map_update_elem(bpf_map__fd(lab->skel->maps.masks),
					  &m, &mask, 0));
		for (uint32_t i = m; i < N_FLOWS; i += lab->n_masks) {
			struct probe_words key;

			probe_key(&key, i);
			under(key.w, &mask);
			must(!bpf_map_update_elem(fd, &key, &key, 0));
		}
		must(!bpf_map_update_elem(bpf_map__fd(lab->skel->maps.peers),
					  &m, &fd, 0));
		close(fd);
	}
}

/* ns for each turn of a program. */
static double probe(const struct bpf_program *prog, uint32_t n)
{
	uint32_t data[16] = {LOOKS};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data,
		    .data_size_in = sizeof(data), .repeat = (int)(n / LOOKS));
	uint64_t began = clock_cpu_ns();

	must(!bpf_prog_test_run_opts(bpf_program__fd(prog), &opts));
	return (double)(clock_cpu_ns() - began) / n;
}

static void measure(const struct bench *b, uint32_t n_masks)
{
	struct bench_row row = {.unit = "Mops/s",
				.peer = "BPF_MAP_TYPE_HASH per mask"};
	struct lab lab = {.n_masks = n_masks};
	uint32_t n = 2000000 / n_masks / LOOKS * LOOKS;

	snprintf(row.name, sizeof(row.name), "table/masked/bpf/lookup/%u",
		 n_masks);
	if (!bench_wants(b, row.name) || !table_init(&lab))
		return;
	skel_init(&lab);
	peers_init(&lab);
	for (uint32_t i = 0; i < N_ROUNDS; i++) {
		double none = probe(lab.skel->progs.probe_none, 1000000);

		bench_add(&row.ours,
			  1e3 / (probe(lab.skel->progs.probe_table, n) - none));
		bench_add(&row.theirs,
			  1e3 / (probe(lab.skel->progs.probe_peer, n) - none));
	}
	must(lab.skel->bss->n_missing == 0 && lab.skel->bss->n_wrong == 0);
	bench_emit(&row);
	masked_probe_bpf__destroy(lab.skel);
	table_masked_free(lab.table);
	region_free(lab.region);
}

int main(int argc, char **argv)
{
	struct bench b;

	bench_init(&b, argc, argv);
	measure(&b, 1);
	measure(&b, 10);
	measure(&b, 100);
	return 0;
}
