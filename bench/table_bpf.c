/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact table in a BPF arena beside the kernel's hash map.
 *
 *     lookup/N/16B         random keys among N, by a BPF program; the drawing of
 *                          keys is measured alone and taken off both
 *     update/N/16B/call    new keys from user space, beside one call for each
 *     update/N/16B/batch   in batches of 32, beside calls with 512 each
 *
 * Both hold N keys at the lookups; ours is made for N, so it is 95 % full.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/must.h"
#include "bench/bench.h"
#include "table/exact.h"
#include "table_probe.skel.h"

enum { N_ROUNDS = 7, LOOKS = 1000, N_LOOKUPS = 2000000, PEER_BATCH = 512 };

struct words {
	uint64_t a, b;
};

struct shape {
	const char *name;
	uint32_t n;
};

struct lab {
	const struct shape *shape;
	struct region *region;
	struct table_exact *table;
	struct table_probe_bpf *skel;
	int peer_fd;
	struct words *keys; /* [n] */
};

static struct table_exact_conf conf_of(const struct lab *lab)
{
	return (struct table_exact_conf){
		.name = "bench",
		.kind = SLUICE_TABLE_FLOWS,
		.n_max = lab->shape->n,
		.key_len = 16,
		.value_len = 16,
		.seed = 1,
	};
}

static int peer_new(const struct lab *lab)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "peer", 16, 16,
				lab->shape->n, NULL);

	must(fd >= 0);
	return fd;
}

/* False: this machine does not let us. */
static bool lab_init(struct lab *lab, const struct shape *shape)
{
	struct table_exact_conf conf;
	struct why why = {0};
	uint64_t len;

	lab->shape = shape;
	conf = conf_of(lab);
	len = table_exact_len(&conf) + 8192;
	if (region_new_arena("bench", len, &lab->region, &why)) {
		bench_say("tables in BPF are not measured: %s", why.text);
		return false;
	}
	must(!table_exact_new(lab->region, &conf, &lab->table, &why));
	lab->peer_fd = peer_new(lab);
	lab->keys = calloc(shape->n, sizeof(*lab->keys));
	must(lab->keys);
	for (uint32_t i = 0; i < shape->n; i++)
		lab->keys[i] = (struct words){i * 0x9e3779b97f4a7c15u, i};
	return true;
}

static void lab_fini(struct lab *lab)
{
	table_probe_bpf__destroy(lab->skel);
	close(lab->peer_fd);
	table_exact_free(lab->table);
	region_free(lab->region);
	free(lab->keys);
}

static void skel_init(struct lab *lab)
{
	struct table_probe_bpf *s = lab->skel = table_probe_bpf__open();

	must(s);
	s->rodata->table_addr =
		lab->region->head->base_addr +
		region_table(lab->region, SLUICE_TABLE_FLOWS)->off;
	s->rodata->region_addr = lab->region->head->base_addr;
	s->rodata->n_keys = lab->shape->n;
	must(!bpf_map__reuse_fd(s->maps.arena, lab->region->fd));
	must(!bpf_map__reuse_fd(s->maps.peer, lab->peer_fd));
	must(!table_probe_bpf__load(s));
}

/* ---- Updates. Each fills an empty table; Mops/s. ---- */

static double rate(const struct lab *lab, uint64_t began)
{
	return (double)lab->shape->n * 1e3 / (double)(clock_cpu_ns() - began);
}

static void ours_empty(struct lab *lab)
{
	for (uint32_t i = 0; i < lab->shape->n; i++)
		must(table_exact_del(lab->table, &lab->keys[i]));
	table_exact_reclaim(lab->table, table_exact_mark(lab->table));
}

static double ours_call(struct lab *lab)
{
	uint64_t began = clock_cpu_ns();

	for (uint32_t i = 0; i < lab->shape->n; i++)
		must(!table_exact_set(lab->table, &lab->keys[i], &lab->keys[i],
				      NULL));
	return rate(lab, began);
}

static double ours_batch(struct lab *lab)
{
	uint64_t began = clock_cpu_ns();

	for (uint32_t i = 0; i < lab->shape->n; i += TABLE_EXACT_BATCH) {
		uint32_t n = lab->shape->n - i;

		if (n > TABLE_EXACT_BATCH)
			n = TABLE_EXACT_BATCH;
		must(table_exact_set_batch(lab->table, &lab->keys[i],
					   &lab->keys[i], n) == n);
	}
	return rate(lab, began);
}

static double peer_call(struct lab *lab)
{
	uint64_t began = clock_cpu_ns();

	for (uint32_t i = 0; i < lab->shape->n; i++)
		must(!bpf_map_update_elem(lab->peer_fd, &lab->keys[i],
					  &lab->keys[i], BPF_ANY));
	return rate(lab, began);
}

static double peer_batch(struct lab *lab)
{
	uint64_t began = clock_cpu_ns();

	for (uint32_t i = 0; i < lab->shape->n; i += PEER_BATCH) {
		uint32_t n = lab->shape->n - i;

		if (n > PEER_BATCH)
			n = PEER_BATCH;
		must(!bpf_map_update_batch(lab->peer_fd, &lab->keys[i],
					   &lab->keys[i], &n, NULL));
	}
	return rate(lab, began);
}

static void peer_empty(struct lab *lab)
{
	close(lab->peer_fd);
	lab->peer_fd = peer_new(lab);
}

static void row_init(struct bench_row *row, const struct lab *lab,
		     const char *what, const char *how, const char *peer)
{
	*row = (struct bench_row){.unit = "Mops/s", .peer = peer};
	snprintf(row->name, sizeof(row->name), "table/bpf/%s/%s/16B%s", what,
		 lab->shape->name, how);
}

static void updates(struct lab *lab)
{
	struct bench_row call, batch;

	row_init(&call, lab, "update", "/call", "bpf_map_update_elem");
	row_init(&batch, lab, "update", "/batch", "BPF_MAP_UPDATE_BATCH");
	for (int i = 0; i < N_ROUNDS; i++) {
		bench_add(&call.ours, ours_call(lab));
		ours_empty(lab);
		bench_add(&call.theirs, peer_call(lab));
		peer_empty(lab);
		bench_add(&batch.ours, ours_batch(lab));
		ours_empty(lab);
		bench_add(&batch.theirs, peer_batch(lab));
		peer_empty(lab);
	}
	bench_emit(&call);
	bench_emit(&batch);
}

/* ---- Lookups. ---- */

/* ns for each turn of a program. */
static double probe(const struct bpf_program *prog)
{
	uint32_t data[16] = {LOOKS};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data,
		    .data_size_in = sizeof(data), .repeat = N_LOOKUPS / LOOKS);
	uint64_t began = clock_cpu_ns();

	must(!bpf_prog_test_run_opts(bpf_program__fd(prog), &opts));
	return (double)(clock_cpu_ns() - began) / N_LOOKUPS;
}

static void lookups(struct lab *lab)
{
	struct bench_row row;

	ours_batch(lab);
	peer_batch(lab);
	skel_init(lab);
	row_init(&row, lab, "lookup", "", "BPF_MAP_TYPE_HASH");
	for (int i = 0; i < N_ROUNDS; i++) {
		double none = probe(lab->skel->progs.probe_none);

		bench_add(&row.ours,
			  1e3 / (probe(lab->skel->progs.probe_table) - none));
		bench_add(&row.theirs,
			  1e3 / (probe(lab->skel->progs.probe_peer) - none));
	}
	must(lab->skel->bss->n_missing == 0);
	bench_emit(&row);
}

int main(int argc, char **argv)
{
	static const struct shape shapes[] = {{"1k", 1000},
					      {"1M", 1000000},
					      {"6M", 6000000}};
	struct bench b;

	bench_init(&b, argc, argv);
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		struct lab lab = {0};
		char name[64];
		bool wants_lookup, wants_update;

		snprintf(name, sizeof(name), "table/bpf/lookup/%s",
			 shapes[i].name);
		wants_lookup = bench_wants(&b, name);
		snprintf(name, sizeof(name), "table/bpf/update/%s",
			 shapes[i].name);
		/* Six million calls take the kernel six seconds. */
		wants_update = bench_wants(&b, name) && shapes[i].n < 6000000;
		if (!wants_lookup && !wants_update)
			continue;
		if (!lab_init(&lab, &shapes[i]))
			return 0;
		if (wants_update)
			updates(&lab);
		if (wants_lookup)
			lookups(&lab);
		lab_fini(&lab);
	}
	return 0;
}
