/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever others write into heap and groups, readers touch nothing outside of
 * them and end, and so do the writer, the one who adopts, and the check. Readers
 * look at blocks of memory of exactly the tables' lengths, so that
 * AddressSanitizer sees each byte that is read beyond.
 */
#include "sluice/fsck.h"
#include "table/group_fake.h"

#define N_IDS 24u
#define N_PAGES 20u
#define N_ROUNDS 50000u

/* Groups of all types, some of which name others. */
static void fill(struct fixture *f, struct rng *rng)
{
	struct group_bucket b[SLUICE_GROUP_BUCKETS_MAX];

	for (uint32_t id = 0; id < N_IDS; id++) {
		uint32_t n = 1 + rng_below(rng, id % 5 ? 4 : 60);
		struct group_conf conf;

		for (uint32_t i = 0; i < n; i++) {
			b[i] = bucket_watching(1 + rng_below(rng, 63));
			if (id > 6 && rng_below(rng, 2))
				b[i].act = sluice_act_of(SLUICE_ACT_GROUP,
							 rng_below(rng, 5));
			if (id > 6 && rng_below(rng, 2))
				b[i].watch_group = rng_below(rng, 5);
		}
		conf = conf_of((enum sluice_group_type)(id % 4), b,
			       id % 4 == SLUICE_GROUP_INDIRECT ? 1 : n);
		conf.is_symmetric = id % 2;
		must(!table_group_set(f->groups, id, &conf, NULL));
	}
}

/* A word that may be nonsense, or nearly right. */
static uint64_t bad_word(struct rng *rng, uint64_t was)
{
	switch (rng_below(rng, 5)) {
	case 0:
		return rng_next(rng);
	case 1:
		return was ^ 1ull << rng_below(rng, 64);
	case 2:
		return was + rng_below(rng, 64) - 32;
	case 3:
		return ~0ull >> rng_below(rng, 64);
	default:
		return (uint64_t)rng_below(rng, 8192) << 32 |
		       rng_below(rng, N_PAGES * SLUICE_HEAP_PAGE + 64);
	}
}

static void scribble(struct rng *rng, void *mem, uint64_t from, uint64_t to)
{
	uint64_t *words = mem;
	uint32_t n = 1 + rng_below(rng, 30);

	while (n--) {
		uint64_t i =
			from / 8 + rng_below(rng, (uint32_t)((to - from) / 8));

		words[i] = bad_word(rng, words[i]);
	}
}

/* ---- Readers. ---- */

/*
 * Where it hurts: what an entry says of its body, which may then end with the
 * heap, and what the body says of itself.
 */
static void aim(struct rng *rng, const struct sluice_groups_view *v)
{
	uint8_t *entry = sluice_exact_entry(&v->table,
					    rng_below(rng, v->table.n_entries));
	uint64_t *word = sluice_entry_value(entry, v->table.key_len);
	uint32_t room = 16 * (1 + rng_below(rng, 256));
	uint64_t *body = sluice_heap_at(&v->heap, (uint32_t)*word, 96);

	if (body && rng_below(rng, 2)) {
		uint32_t type = rng_below(rng, 5);

		body[0] = (uint64_t)type << 48 |
			  (uint64_t)rng_below(rng, 300) << 32 | (uint32_t)*body;
		return;
	}
	if (!sluice_head_state(*(uint64_t *)entry))
		return;
	*word = (uint64_t)(rng_below(rng, 2) ? room : rng_below(rng, 8192))
			<< 32 |
		(uint32_t)(v->heap.len - room);
	body = sluice_heap_at(&v->heap, (uint32_t)*word, 16);
	if (body)
		body[0] = (uint64_t)SLUICE_GROUP_SELECT << 48 |
			  (uint64_t)rng_below(rng, 300) << 32;
}

/* A table in memory of its own. */
struct copy {
	uint64_t *mem;
	uint8_t *whole;
	uint64_t len;
};

static struct copy copy_of(const struct region *r, uint32_t kind)
{
	const struct sluice_table_desc *d = region_table(r, kind);
	struct copy c = {.len = d->len};
	const void *from = region_at(r, d->off, d->len);

	must(from);
	must(!posix_memalign((void **)&c.mem, 128, d->len));
	c.whole = malloc(d->len);
	must(c.mem && c.whole);
	memcpy(c.whole, from, d->len);
	memcpy(c.mem, from, d->len);
	return c;
}

static void copy_free(struct copy *c)
{
	free(c->mem);
	free(c->whole);
}

static void read_all(const struct sluice_groups_view *v, struct rng *rng)
{
	struct sluice_heap_usage usage;
	struct sluice_block block;
	uint64_t at = 0, n = 0;
	uint32_t off;

	for (uint32_t id = 0; id < N_IDS; id++) {
		struct sluice_key key = random_key(rng);
		struct sluice_group_packet p = {&key, rng_next(rng), 1};
		struct sluice_group_choice c;

		if (sluice_group_resolve(v, id, &p, &c) == SLUICE_YES &&
		    c.group.type != SLUICE_GROUP_ALL)
			CHECK(c.bucket < c.group.n_buckets &&
			      c.group.n_buckets <= SLUICE_GROUP_BUCKETS_MAX);
	}
	sluice_heap_usage(&v->heap, &usage);
	while (sluice_heap_next(&v->heap, &at, &off, &block))
		n++;
	CHECK(n <= N_PAGES * 512ull);
	CHECK(usage.n_live == n);
}

static void readers_stay_inside(void)
{
	struct rng rng = rng_of(test_seed());
	struct sluice_groups_view v;
	struct copy heap, table;
	struct fixture f;

	fixture_init(&f, N_IDS, N_PAGES);
	fill(&f, &rng);
	heap = copy_of(f.region, SLUICE_TABLE_HEAP);
	table = copy_of(f.region, SLUICE_TABLE_GROUPS);
	sluice_heap_view_init(&v.heap, (struct sluice_heap *)heap.mem);
	sluice_exact_view_init(&v.table, (struct sluice_exact *)table.mem);
	for (uint32_t i = 0; i < N_ROUNDS; i++) {
		if (i % 50 == 0) {
			memcpy(heap.mem, heap.whole, heap.len);
			memcpy(table.mem, table.whole, table.len);
		}
		/* Mostly where words mean something: few pages are in use. */
		scribble(&rng, heap.mem, 0, i % 2 ? 4096 : heap.len);
		if (i % 3)
			scribble(&rng, table.mem, 0, table.len);
		for (uint32_t n = 0; n < 8; n++)
			aim(&rng, &v);
		read_all(&v, &rng);
	}
	copy_free(&heap);
	copy_free(&table);
	fixture_fini(&f);
}

/* ---- Writers. ---- */

static void change_all(struct fixture *f, struct rng *rng)
{
	struct group_bucket b[4];

	for (uint32_t i = 0; i < 4; i++) {
		b[i] = bucket_watching(1 + rng_below(rng, 63));
		b[i].watch_group = rng_below(rng, 4) ? SLUICE_GROUP_NONE
						     : rng_below(rng, 5);
	}
	for (uint32_t i = 0; i < 6; i++) {
		uint32_t id = rng_below(rng, N_IDS);
		struct group_conf conf =
			conf_of((enum sluice_group_type)(id % 2), b,
				1 + rng_below(rng, 4));

		if (rng_below(rng, 2))
			(void)!table_group_set(f->groups, id, &conf, NULL);
		else
			(void)table_group_del(f->groups, id, NULL);
	}
	heap_tidy(f->heap, 10, fixture_move, f);
	fixture_reclaim(f);
}

static void check_all(const struct fixture *f)
{
	const struct sluice_map map = {f->region->head, f->region->len};
	const struct sluice_fsck_conf conf = {.is_deep = true};
	static struct sluice_fsck out;
	uint64_t writer = f->region->head->writer_pid;

	/* It gives a writer time; there is none. */
	f->region->head->writer_pid = 0;
	(void)!sluice_fsck(&map, &conf, &out, NULL);
	f->region->head->writer_pid = writer;
}

/* The table's shape, which adoption checks, is left alone. */
static void scribble_region(struct fixture *f, struct rng *rng)
{
	const struct sluice_table_desc *h =
		region_table(f->region, SLUICE_TABLE_HEAP);
	const struct sluice_table_desc *g =
		region_table(f->region, SLUICE_TABLE_GROUPS);
	const struct sluice_exact_view *v = &table_group_view(f->groups)->table;
	uint64_t entries =
		(uint64_t)(v->entries - (const uint8_t *)f->region->head);

	scribble(rng, f->region->head, h->off + 64, h->off + h->len);
	scribble(rng, f->region->head, h->off + 64, h->off + 8192);
	scribble(rng, f->region->head, entries, g->off + g->len);
}

static void writers_end(void)
{
	struct rng rng = rng_of(test_seed());
	struct fixture f;

	fixture_init(&f, N_IDS, N_PAGES);
	fill(&f, &rng);
	for (uint32_t i = 0; i < N_ROUNDS / 5; i++) {
		scribble_region(&f, &rng);
		change_all(&f, &rng);
		check_all(&f);
		if (rng_below(&rng, 8) == 0) {
			fixture_leave(&f);
			fixture_come(&f);
			fixture_reclaim(&f);
		}
	}
	/* Who adopts finds a way to go on. */
	fixture_leave(&f);
	fixture_come(&f);
	for (uint32_t id = 0; id < N_IDS; id++)
		for (uint32_t i = 0; i < N_IDS; i++)
			(void)table_group_del(f.groups, i, NULL);
	fixture_reclaim(&f);
	fixture_fini(&f);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(readers_stay_inside);
	TEST(writers_end);
	return test_done();
}
