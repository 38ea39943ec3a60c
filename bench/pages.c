/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the size of pages does to a region.
 *
 *     pages/lookup/N/HOW/PAGES  random keys among N in an exact table that lies
 *                               in pages of 2 MiB or 1 GiB; the peer is the same
 *                               table in pages of 4 KiB. one: sluice_exact_find();
 *                               batch: 32 keys at once; poll: four batches under
 *                               way (sluice/exact_pipe.h)
 *     pages/create/PAGES        to make a region and touch each of its pages, for
 *                               one GiB; in CPU time, the kernel's included
 *
 * 4 KiB and 2 MiB are memfds, as a switch has them; 1 GiB is a file on hugetlbfs,
 * which is mounted for that and has no name afterwards. What a machine does not
 * have has no row.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/must.h"
#include "base/rng.h"
#include "bench/bench.h"
#include "sluice/exact_pipe.h"
#include "table/exact.h"

#define BATCH SLUICE_EXACT_BATCH
#define KEY_WORDS 5u /* 40 bytes: an IPv6 five-tuple */
#define KEY_LEN (KEY_WORDS * 8)
#define N_PICKS (1u << 21)
#define GIB (1ull << 30)

enum pages { SMALL, HUGE, GIANT, N_PAGES };
enum how { ONE, BY_BATCH, POLL, N_HOWS };

static const char *const page_names[] = {"4K", "2M", "1G"};
static const uint32_t page_lens[] = {4096, 2u << 20, 1u << 30};
static const char *const how_names[] = {"one", "batch", "poll"};

struct shape {
	const char *name;
	uint32_t n;
	uint32_t n_rounds;
};

struct side {
	struct region *region; /* NULL: no such pages */
	struct table_exact *table;
	const struct sluice_exact_view *view;
	uint32_t version;
};

struct rig {
	struct side sides[N_PAGES];
	uint32_t *picks; /* [N_PICKS] */
	uint64_t sum;	 /* of what was read, so that it must be read */
};

/* ---- Regions ---- */

static struct region *giant_new(uint64_t len)
{
	char dir[] = "/tmp/sluice-pages-XXXXXX", path[64];
	struct region *r = NULL;
	struct why why = {0};

	if (!mkdtemp(dir))
		return NULL;
	if (mount("none", dir, "hugetlbfs", 0, "pagesize=1G,mode=0700")) {
		bench_say("no 1 GiB pages: hugetlbfs cannot be mounted");
		rmdir(dir);
		return NULL;
	}
	snprintf(path, sizeof(path), "%s/region", dir);
	if (region_new_file(path, "bench", len, &r, &why))
		bench_say("no 1 GiB pages: %s", why.text);
	unlink(path);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
	return r;
}

/* NULL: there are no such pages. */
static struct region *region_of(enum pages pages, uint64_t len)
{
	struct region *r = NULL;

	if (pages == GIANT)
		return giant_new(len);
	must(!region_new_memfd("bench", len, pages == HUGE, &r, NULL));
	if (r->page_len == page_lens[pages])
		return r;
	region_free(r);
	return NULL;
}

/* ---- Look-ups ---- */

static void keys_build(uint64_t *keys, const uint32_t *numbers, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++, keys += KEY_WORDS) {
		keys[0] = numbers[i] * 0x9e3779b97f4a7c15u;
		for (uint32_t w = 1; w < KEY_WORDS; w++)
			keys[w] = numbers[i] + (0x0a000000u << w);
	}
}

static void use(struct rig *r, const struct sluice_exact_answers *a)
{
	must(a->yes == (uint32_t)((1ull << a->n) - 1));
	for (uint32_t i = 0; i < a->n; i++)
		r->sum +=
			*(uint64_t *)sluice_entry_value(a->entries[i], KEY_LEN);
}

static void find_ones(struct rig *r, const struct side *s)
{
	for (uint32_t i = 0; i < N_PICKS; i++) {
		uint64_t key[KEY_WORDS];
		uint8_t *entry;

		keys_build(key, r->picks + i, 1);
		must(sluice_exact_find(s->view, s->version, key, KEY_LEN,
				       &entry) == SLUICE_YES);
		r->sum += *(uint64_t *)sluice_entry_value(entry, KEY_LEN);
	}
}

static void find_batches(struct rig *r, const struct side *s)
{
	for (uint32_t i = 0; i < N_PICKS; i += BATCH) {
		uint64_t keys[BATCH * KEY_WORDS];
		struct sluice_exact_answers a;

		keys_build(keys, r->picks + i, BATCH);
		sluice_exact_find_batch(s->view, s->version, keys, BATCH, &a);
		use(r, &a);
	}
}

static void find_piped(struct rig *r, const struct side *s)
{
	struct sluice_exact_pipe pipe = {.version = s->version};
	uint64_t keys[4][BATCH * KEY_WORDS];
	struct sluice_exact_answers a;

	for (uint32_t i = 0; i < N_PICKS; i += BATCH) {
		uint64_t *mine = keys[i / BATCH % 4];

		keys_build(mine, r->picks + i, BATCH);
		sluice_exact_pipe_push(s->view, &pipe, mine, BATCH, &a);
		use(r, &a);
	}
	for (uint32_t i = 0; i < 3; i++) {
		sluice_exact_pipe_push(s->view, &pipe, NULL, 0, &a);
		use(r, &a);
	}
}

/* In millions per second. */
static double rate(struct rig *r, const struct side *s, enum how how)
{
	static void (*const finds[])(struct rig *,
				     const struct side *) = {find_ones,
							     find_batches,
							     find_piped};
	uint64_t start = clock_cpu_ns();

	finds[how](r, s);
	return N_PICKS * 1e3 / (double)(clock_cpu_ns() - start);
}

static void side_init(struct side *s, enum pages pages, const struct shape *sh)
{
	const struct table_exact_conf conf = {
		.name = "bench",
		.kind = SLUICE_TABLE_FLOWS,
		.n_max = sh->n,
		.key_len = KEY_LEN,
		.value_len = 8,
		.seed = 1, /* the same places on all sides */
	};

	*s = (struct side){0};
	s->region = region_of(pages, table_exact_len(&conf) + (1 << 16));
	if (!s->region)
		return;
	must(!table_exact_new(s->region, &conf, &s->table, NULL));
	s->view = table_exact_view(s->table);
	s->version = sluice_version(s->region->head);
	for (uint32_t i = 0; i < sh->n; i++) {
		uint64_t key[KEY_WORDS], value = i;

		keys_build(key, &i, 1);
		must(!table_exact_set(s->table, key, &value, NULL));
	}
}

static void side_fini(struct side *s)
{
	if (!s->region)
		return;
	table_exact_free(s->table);
	region_free(s->region);
}

static void lookups_measure(const struct bench *b, const struct shape *sh,
			    struct rig *r)
{
	static struct bench_row rows[N_HOWS][N_PAGES];

	memset(rows, 0, sizeof(rows));
	for (uint32_t round = 0; round < sh->n_rounds; round++)
		for (enum how how = 0; how < N_HOWS; how++) {
			double small = rate(r, &r->sides[SMALL], how);

			for (enum pages p = HUGE; p < N_PAGES; p++) {
				if (!r->sides[p].region)
					continue;
				bench_add(&rows[how][p].ours,
					  rate(r, &r->sides[p], how));
				bench_add(&rows[how][p].theirs, small);
			}
		}
	for (enum how how = 0; how < N_HOWS; how++)
		for (enum pages p = HUGE; p < N_PAGES; p++) {
			struct bench_row *row = &rows[how][p];

			snprintf(row->name, sizeof(row->name),
				 "pages/lookup/%s/%s/%s", sh->name,
				 how_names[how], page_names[p]);
			row->unit = "Mops/s";
			row->peer = "4 KiB pages";
			if (row->ours.n && bench_wants(b, row->name))
				bench_emit(row);
		}
}

static void lookups(const struct bench *b, const struct shape *sh)
{
	struct rng rng = rng_of(sh->n);
	char name[64];
	struct rig r;

	snprintf(name, sizeof(name), "pages/lookup/%s", sh->name);
	if (!bench_wants(b, name))
		return;
	bench_say("pages: %s entries", sh->name);
	memset(&r, 0, sizeof(r));
	for (enum pages p = 0; p < N_PAGES; p++)
		side_init(&r.sides[p], p, sh);
	r.picks = bench_alloc(N_PICKS * sizeof(*r.picks));
	for (uint32_t i = 0; i < N_PICKS; i++)
		r.picks[i] = rng_below(&rng, sh->n);
	lookups_measure(b, sh, &r);
	bench_free(r.picks, N_PICKS * sizeof(*r.picks));
	for (enum pages p = 0; p < N_PAGES; p++)
		side_fini(&r.sides[p]);
}

/* ---- Making ---- */

/* Milliseconds for a GiB; 0: no such pages. */
static double create_ms(enum pages pages)
{
	uint64_t start = clock_cpu_ns();
	struct region *r = region_of(pages, GIB);

	if (!r)
		return 0;
	for (uint64_t off = 4096; off < r->len; off += 4096)
		*((volatile uint8_t *)r->head + off) = 0;
	start = clock_cpu_ns() - start;
	region_free(r);
	return (double)start / 1e6;
}

static void creations(const struct bench *b)
{
	struct bench_row rows[N_PAGES] = {0};

	if (!bench_wants(b, "pages/create"))
		return;
	bench_say("pages: making regions of 1 GiB");
	for (uint32_t round = 0; round < 5; round++) {
		double small = create_ms(SMALL);

		bench_add(&rows[SMALL].ours, small);
		for (enum pages p = HUGE; p < N_PAGES; p++) {
			double ms = create_ms(p);

			if (ms == 0)
				continue;
			bench_add(&rows[p].ours, ms);
			bench_add(&rows[p].theirs, small);
		}
	}
	for (enum pages p = 0; p < N_PAGES; p++) {
		snprintf(rows[p].name, sizeof(rows[p].name), "pages/create/%s",
			 page_names[p]);
		rows[p].unit = "ms/GiB";
		rows[p].less_is_better = true;
		rows[p].peer = p == SMALL ? NULL : "4 KiB pages";
		if (rows[p].ours.n && bench_wants(b, rows[p].name))
			bench_emit(&rows[p]);
	}
}

int main(int argc, char **argv)
{
	static const struct shape shapes[] = {
		{"64k", 65536, 15},
		{"1M", 1000000, 9},
		{"10M", 10000000, 7},
	};
	struct bench b;

	bench_init(&b, argc, argv);
	if (!bench_wants(&b, "pages"))
		return 0;
	bench_huge_reserve(5ull << 28);
	bench_giant_reserve(GIB);
	for (uint32_t i = 0; i < ARRAY_LEN(shapes); i++)
		lookups(&b, &shapes[i]);
	creations(&b);
	return 0;
}
