/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Torture of groups and their heap: readers look while a writer replaces groups,
 * alone and in sets, removes some, moves their bodies about, and uses all memory
 * again as soon as it may.
 *
 *     group_torture [-n LOOKS] [-s SEED]
 *
 * Every word of a body follows from its group's id and a number, so a reader
 * that holds a body which changes hands sees it. Of the groups
 *
 *     0 to 3    are always there, replaced one at a time
 *     4 to 7    are always there, replaced all together in a change set: a reader
 *               at one version sees one number in all four
 *     8 to 11   come and go
 *
 * Readers are threads, each in sections of its own; ThreadSanitizer may look on.
 * A reader that was held up so long that the writer waits for it no more counts
 * nothing of what it saw.
 */
#include <pthread.h>
#include <unistd.h>

#include "base/annotate.h"
#include "base/clock.h"
#include "region/grace.h"
#include "table/group_fake.h"

#define N_READERS 2u
#define N_SINGLE 4u
#define N_IDS 12u
#define FIRST_SET 4u
#define FIRST_LOOSE 8u
#define BUCKETS 24u

/* One reader. */
struct reader {
	const struct torture *t;
	struct sluice_seat seat;
	struct rng rng;
	uint64_t n_looks;
	uint64_t n_busy;
	uint64_t n_missing;
	uint64_t n_wrong;
	uint64_t n_mixed; /* sets of which a part was seen */
	uint64_t n_fenced;
};

struct torture {
	/* Constant while readers run. */
	struct fixture f;
	uint64_t n_looks;

	/* The writer. */
	struct rng rng;
	uint32_t number;
	struct region_grace *grace;
	uint64_t ticket;
	bool has_ticket;
	uint64_t group_mark, heap_mark, change_mark;
	uint64_t n_moved;
	uint64_t n_changes;

	/* Each reader writes its own. */
	struct sluice_section records[N_READERS] __attribute__((aligned(64)));
	uint32_t n_done;
};

/* ---- What a group is. ---- */

static uint32_t n_buckets_of(uint32_t number)
{
	return 1 + number % BUCKETS;
}

static struct group_conf conf_for(uint32_t id, uint32_t number,
				  struct group_bucket *b)
{
	struct group_conf conf =
		conf_of(id % 4 ? SLUICE_GROUP_SELECT : SLUICE_GROUP_FF, b,
			n_buckets_of(number));

	for (uint32_t i = 0; i < conf.n_buckets; i++) {
		b[i] = bucket_to(1 + id, 1 + i % 3);
		b[i].watch_port = 1 + id;
		b[i].counter = number;
	}
	conf.counter = number;
	return conf;
}

/* ---- Readers. ---- */

static uint32_t number_of(const struct sluice_group_at *g)
{
	return sluice_load32_relaxed(&g->body->counter);
}

/* Is this group all that it was made as? */
static bool is_whole(const struct sluice_group_at *g, uint32_t id)
{
	uint32_t number = number_of(g);

	if (g->id != id || g->n_buckets != n_buckets_of(number))
		return false;
	for (uint32_t i = 0; i < g->n_buckets; i++)
		if (sluice_load64_relaxed(&g->buckets[i].act) !=
			    sluice_act_of(SLUICE_ACT_OUTPUT, 1 + id).w ||
		    sluice_load64_relaxed(&g->buckets[i].live) !=
			    1ull << (1 + id) ||
		    sluice_load32_relaxed(&g->buckets[i].counter) != number)
			return false;
	return true;
}

/* Looks at one group; its number, 0: not there or busy. */
static uint32_t look(struct reader *r, uint32_t id, uint32_t version)
{
	const struct sluice_groups_view *v = table_group_view(r->t->f.groups);
	struct sluice_key key = random_key(&r->rng);
	struct sluice_group_packet p = {&key, ~0ull, version};
	struct sluice_group_at g = {0};
	uint32_t bucket = 0;
	uint32_t number;

	r->n_looks++;
	switch (sluice_group_find(v, version, id, &g)) {
	case SLUICE_NO:
		r->n_missing += id < FIRST_LOOSE;
		return 0;
	case SLUICE_BUSY:
		r->n_busy++;
		return 0;
	case SLUICE_YES:
		break;
	}
	number = number_of(&g);
	if (sluice_group_pick(v, &g, &p, &bucket) != SLUICE_YES ||
	    bucket >= g.n_buckets ||
	    sluice_act_arg(sluice_group_act(&g, bucket)) != 1 + id ||
	    !is_whole(&g, id) || number_of(&g) != number)
		r->n_wrong++;
	return number;
}

static void look_around(struct reader *r)
{
	struct reader before = *r;
	uint32_t version;
	uint32_t first;

	sluice_section_enter(&r->seat);
	version = sluice_version(r->t->f.region->head);
	first = look(r, FIRST_SET, version);
	for (uint32_t id = FIRST_SET + 1; id < FIRST_LOOSE; id++) {
		uint32_t number = look(r, id, version);

		r->n_mixed += first && number && number != first;
	}
	look(r, rng_below(&r->rng, N_SINGLE), version);
	look(r, FIRST_LOOSE + rng_below(&r->rng, N_IDS - FIRST_LOOSE), version);
	if (!sluice_section_holds(&r->seat)) {
		before.seat = r->seat;
		before.n_fenced++;
		*r = before;
	}
	sluice_section_leave(&r->seat);
}

static void *reader_main(void *arg)
{
	struct reader *r = arg;

	while (r->n_looks < r->t->n_looks &&
	       r->n_missing + r->n_wrong + r->n_mixed < 1000)
		look_around(r);
	__atomic_fetch_add((uint32_t *)(uintptr_t)&r->t->n_done, 1,
			   __ATOMIC_RELEASE);
	return NULL;
}

/* ---- The writer. ---- */

static void set_one(struct torture *t, uint32_t id)
{
	struct group_bucket b[BUCKETS];
	struct group_conf conf = conf_for(id, ++t->number, b);

	/* When all that is free rests there is no room: next time. */
	t->n_changes += !table_group_set(t->f.groups, id, &conf, NULL);
}

static void set_together(struct torture *t)
{
	struct change_item items[FIRST_LOOSE - FIRST_SET];
	struct sluice_group_key keys[ARRAY_LEN(items)];
	struct group_conf confs[ARRAY_LEN(items)];
	struct group_bucket b[ARRAY_LEN(items)][BUCKETS];
	uint32_t bad;

	++t->number;
	for (uint32_t i = 0; i < ARRAY_LEN(items); i++) {
		keys[i] = (struct sluice_group_key){.id = FIRST_SET + i};
		confs[i] = conf_for(FIRST_SET + i, t->number, b[i]);
		items[i] = (struct change_item){
			.table = table_group_change(t->f.groups),
			.kind = CHANGE_SET,
			.key = &keys[i],
			.value = &confs[i],
		};
	}
	t->n_changes +=
		!change_apply(t->f.log, items, ARRAY_LEN(items), &bad, NULL);
}

/* Goes on with the grace period under way. */
static void grace(struct torture *t)
{
	uint64_t now_ns = clock_now_ns();

	if (t->has_ticket && !region_grace_done(t->grace, t->ticket, now_ns))
		return;
	if (t->has_ticket) {
		table_group_reclaim(t->f.groups, t->group_mark);
		heap_reclaim(t->f.heap, t->heap_mark);
		change_settle(t->f.log, t->change_mark, UINT64_MAX);
	}
	t->group_mark = table_group_mark(t->f.groups);
	t->heap_mark = heap_mark(t->f.heap);
	t->change_mark = change_mark(t->f.log);
	t->ticket = region_grace_start(t->grace, now_ns);
	t->has_ticket = true;
}

static void writer_step(struct torture *t)
{
	uint32_t loose = FIRST_LOOSE + rng_below(&t->rng, N_IDS - FIRST_LOOSE);

	set_one(t, rng_below(&t->rng, N_SINGLE));
	set_together(t);
	if (rng_below(&t->rng, 2))
		set_one(t, loose);
	else
		t->n_changes += !table_group_del(t->f.groups, loose, NULL);
	if (rng_below(&t->rng, 4) == 0)
		t->n_moved += heap_tidy(t->f.heap, 4, fixture_move, &t->f);
	grace(t);
}

static void readers_see_whole_groups(uint64_t n_looks)
{
	static struct torture t;
	const struct sluice_seat_conf seat = {.owner = sluice_owner_of(0),
					      .name = "torture"};
	const struct grace_conf conf = {.records = t.records, .n = N_READERS};
	struct reader readers[N_READERS] = {0};
	struct reader sum = {0};
	pthread_t threads[N_READERS];
	uint64_t start = clock_now_ns();

	t.n_looks = n_looks / N_READERS;
	t.rng = rng_of(test_seed());
	fixture_init(&t.f, 64, 32);
	for (uint32_t id = 0; id < N_IDS; id++)
		set_one(&t, id);
	set_together(&t);
	must(!region_grace_new(&conf, &t.grace));
	for (uint32_t i = 0; i < N_READERS; i++) {
		readers[i] = (struct reader){.t = &t,
					     .rng = rng_of(test_seed() + i)};
		must(!sluice_seat_take(t.records, N_READERS, &seat,
				       &readers[i].seat, NULL));
		must(!pthread_create(&threads[i], NULL, reader_main,
				     &readers[i]));
	}
	while (__atomic_load_n(&t.n_done, __ATOMIC_ACQUIRE) < N_READERS)
		writer_step(&t);
	for (uint32_t i = 0; i < N_READERS; i++) {
		pthread_join(threads[i], NULL);
		sum.n_looks += readers[i].n_looks;
		sum.n_busy += readers[i].n_busy;
		sum.n_missing += readers[i].n_missing;
		sum.n_wrong += readers[i].n_wrong;
		sum.n_mixed += readers[i].n_mixed;
	}
	printf("# %llu looks, %llu changes, %llu moves, %.1f s: %llu missing, "
	       "%llu wrong, %llu mixed, %llu busy\n",
	       (unsigned long long)sum.n_looks, (unsigned long long)t.n_changes,
	       (unsigned long long)t.n_moved,
	       (double)(clock_now_ns() - start) / 1e9,
	       (unsigned long long)sum.n_missing,
	       (unsigned long long)sum.n_wrong, (unsigned long long)sum.n_mixed,
	       (unsigned long long)sum.n_busy);
	CHECK_EQ(sum.n_missing + sum.n_wrong + sum.n_mixed, 0);
	CHECK(t.n_changes > 100);
	CHECK(t.n_moved > 0);
	region_grace_free(t.grace);
	fixture_fini(&t.f);
}

static uint64_t n_looks = 50000000;

static void groups_are_whole_throughout(void)
{
	readers_see_whole_groups(n_looks);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "-n")) {
		n_looks = strtoull(argv[2], NULL, 10);
		argc -= 2;
		argv += 2;
	}
	test_init(argc, argv);
	TEST(groups_are_whole_throughout);
	return test_done();
}
