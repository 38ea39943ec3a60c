/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Torture of the table of routes: threads look addresses up while a writer
 * changes routes around and below them, singly and in sets.
 *
 *     prefix_torture [-s SEED] [LOOKUPS]
 *
 * Some routes are stable, the default route among them; others come, go and are
 * replaced all the time. Whatever a reader finds must be a route around the
 * address, not shorter than the longest stable one, with a value that is its
 * own. Two routes are only ever changed together, by sets: a reader who looks at
 * both at one version finds the same number in both. Readers with sections look
 * one by one and in batches; one without copies (sluice_prefix_get).
 */
#include <pthread.h>
#include <string.h>

#include "base/annotate.h"
#include "base/clock.h"
#include "region/grace.h"
#include "table/prefix_twin_fake.h"

#define N_READERS 3u /* the last has no section */
#define N_STABLE 60u
#define N_MAX 600u

static uint64_t n_lookups = 3000000;

struct reader {
	struct torture *t;
	struct sluice_seat seat;
	struct rng rng;
	uint64_t n; /* look-ups done */
	uint64_t n_wrong;
	uint64_t n_busy;
	uint64_t n_torn; /* sets of which half was seen */
	bool has_section;
	pthread_t thread;
};

struct torture {
	struct fixture f;
	struct twin stable;
	struct sluice_prefix_key pair[2];
	struct change_log *log;
	struct region_grace *grace;
	struct sluice_section records[N_READERS];
	struct rng rng;
	uint32_t n_done;
	struct reader readers[N_READERS];
};

/* What a route of this prefix has as its first word, without its last byte. */
static uint64_t name_of(const struct sluice_prefix_key *k)
{
	struct rng r = rng_of(k->addr.hi ^ k->addr.lo * 3 ^ k->len);

	return rng_next(&r) & ~255ull;
}

/* ---- Readers. ---- */

/* The prefix of a route as it is now; it may be in use again. */
static struct sluice_prefix_key key_at(const struct sluice_prefix_view *v,
				       uint32_t n)
{
	const struct sluice_route *r = sluice_prefix_route(v, n);
	struct sluice_prefix_key k = {
		.addr.hi = sluice_load64_acquire(&r->addr.hi),
		.len = sluice_load32_acquire(&r->len),
	};

	if (v->key_bits > 64)
		k.addr.lo = sluice_load64_acquire(&r->addr.lo);
	return k;
}

static uint32_t stable_len(const struct torture *t, struct sluice_addr a)
{
	uint32_t len = 0;

	for (uint32_t i = 0; i < t->stable.n; i++)
		if (twin_covers(&t->stable.routes[i].key, a) &&
		    t->stable.routes[i].key.len > len)
			len = t->stable.routes[i].key.len;
	return len;
}

static void judge(struct reader *r, struct sluice_addr a, uint32_t n)
{
	const struct sluice_prefix_view *v = table_prefix_view(r->t->f.table);
	struct sluice_prefix_key k = key_at(v, n);
	const uint64_t *value = sluice_prefix_value(v, n);
	uint64_t first = sluice_load64_acquire(&value[0]);
	uint64_t second = sluice_load64_acquire(&value[1]);

	r->n++;
	r->n_wrong += !n || !twin_covers(&k, a) ||
		      k.len < stable_len(r->t, a) ||
		      (first & ~255ull) != name_of(&k) || first != ~second;
}

static void look_one(struct reader *r, uint32_t version)
{
	struct sluice_addr a =
		probe_addr(&r->rng, r->t->f.conf.key_bits, &r->t->stable);

	judge(r, a,
	      sluice_prefix_find(table_prefix_view(r->t->f.table), a, version));
}

static void look_batch(struct reader *r, uint32_t version)
{
	struct sluice_addr addrs[SLUICE_PREFIX_BATCH];
	uint32_t found[SLUICE_PREFIX_BATCH];

	for (uint32_t i = 0; i < SLUICE_PREFIX_BATCH; i++)
		addrs[i] = probe_addr(&r->rng, r->t->f.conf.key_bits,
				      &r->t->stable);
	sluice_prefix_find_batch(table_prefix_view(r->t->f.table), addrs,
				 SLUICE_PREFIX_BATCH, version, found);
	for (uint32_t i = 0; i < SLUICE_PREFIX_BATCH; i++)
		judge(r, addrs[i], found[i]);
}

/* The last byte of their values is the set's. */
static void look_pair(struct reader *r, uint32_t version)
{
	const struct sluice_prefix_view *v = table_prefix_view(r->t->f.table);
	uint64_t set[2];

	for (uint32_t i = 0; i < 2; i++) {
		uint32_t n = sluice_prefix_find(v, r->t->pair[i].addr, version);
		const uint64_t *value = sluice_prefix_value(v, n);
		struct sluice_prefix_key k = key_at(v, n);

		/* 256: another route, for the set has taken it out. */
		set[i] = k.len == r->t->pair[i].len
				 ? sluice_load64_acquire(value) & 255
				 : 256;
	}
	r->n++;
	r->n_torn += set[0] != set[1];
}

/* What it copies is some route's whole value; the default is always there. */
static void look_copy(struct reader *r)
{
	struct sluice_addr a =
		probe_addr(&r->rng, r->t->f.conf.key_bits, &r->t->stable);
	uint64_t value[2];

	switch (sluice_prefix_get(table_prefix_view(r->t->f.table), a,
				  sluice_version(r->t->f.region->head), value,
				  sizeof(value))) {
	case SLUICE_YES:
		r->n++;
		r->n_wrong += value[0] != ~value[1];
		break;
	case SLUICE_BUSY:
		r->n_busy++;
		break;
	case SLUICE_NO:
		r->n_wrong++;
	}
}

static void *reader_run(void *arg)
{
	struct reader *r = arg;

	while (r->n + r->n_busy < n_lookups && r->n_wrong + r->n_torn < 1000) {
		uint32_t version;

		if (!r->has_section) {
			look_copy(r);
			continue;
		}
		sluice_section_enter(&r->seat);
		version = sluice_version(r->t->f.region->head);
		look_pair(r, version);
		look_batch(r, version);
		for (uint32_t i = 0; i < 8; i++)
			look_one(r, version);
		look_pair(r, version);
		sluice_section_leave(&r->seat);
	}
	__atomic_fetch_add(&r->t->n_done, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* ---- The writer. ---- */

static int put(struct torture *t, const struct sluice_prefix_key *k)
{
	return set(&t->f, k, name_of(k) | rng_below(&t->rng, 256));
}

static bool is_ours(const struct torture *t, const struct sluice_prefix_key *k)
{
	for (uint32_t i = 0; i < 2; i++)
		if (k->len == t->pair[i].len &&
		    twin_covers(&t->pair[i], k->addr))
			return false;
	return k->len > 1;
}

/* Some route that is not stable goes; not if we hit none. */
static void remove_one(struct torture *t)
{
	const struct sluice_prefix_view *v = table_prefix_view(t->f.table);
	struct sluice_prefix_key k =
		key_at(v, 1 + rng_below(&t->rng, v->n_routes));

	if (is_ours(t, &k) && !twin_exact(&t->stable, &k))
		(void)!table_prefix_del(t->f.table, &k);
}

static void change_one(struct torture *t)
{
	struct sluice_prefix_key k = random_key(&t->rng, t->f.conf.key_bits);

	if (rng_below(&t->rng, 4) == 0) /* a stable one, replaced */
		k = t->stable.routes[rng_below(&t->rng, t->stable.n)].key;
	else if (table_prefix_n_used(t->f.table) > N_MAX / 2 ||
		 rng_below(&t->rng, 2))
		return remove_one(t);
	if (is_ours(t, &k) || k.len == 0)
		(void)!put(t, &k);
}

/* The two, and others, stable ones replaced among them. */
static bool change_set(struct torture *t)
{
	struct change_table *ct = table_prefix_change(t->f.table);
	uint64_t no = rng_below(&t->rng, 255), values[8][2];
	bool goes = rng_below(&t->rng, 4) == 0;
	struct sluice_prefix_key keys[8];
	struct change_item items[8];
	uint32_t bad;

	for (uint32_t i = 0; i < 8; i++) {
		keys[i] = i < 2	  ? t->pair[i]
			  : i < 4 ? t->stable
					    .routes[rng_below(&t->rng,
							      t->stable.n)]
					    .key
				  : random_key(&t->rng, t->f.conf.key_bits);
		if (i >= 2 && !is_ours(t, &keys[i]))
			keys[i] = t->stable.routes[i].key;
		values[i][0] = name_of(&keys[i]) | no;
		values[i][1] = ~values[i][0];
		items[i] = (struct change_item){ct, CHANGE_SET, &keys[i],
						values[i]};
		if (i < 2 && goes)
			items[i].kind = CHANGE_DEL;
	}
	return !change_apply(t->log, items, 8, &bad, NULL);
}

/* Works on while readers are waited for. */
static void writer_run(struct torture *t)
{
	uint64_t n_changes = 0, n_sets = 0, n_rounds = 0;

	while (__atomic_load_n(&t->n_done, __ATOMIC_ACQUIRE) < N_READERS) {
		uint64_t sets, mark, ticket;

		n_sets += change_set(t);
		sets = change_mark(t->log);
		mark = table_prefix_mark(t->f.table);
		ticket = region_grace_start(t->grace, clock_now_ns());
		do {
			for (uint32_t i = 0; i < 30; i++, n_changes++)
				change_one(t);
			sched_yield();
		} while (!region_grace_done(t->grace, ticket, clock_now_ns()));
		change_settle(t->log, sets, UINT64_MAX);
		table_prefix_reclaim(t->f.table, mark);
		n_rounds++;
	}
	printf("# %llu changes, %llu sets, %llu rounds\n",
	       (unsigned long long)n_changes, (unsigned long long)n_sets,
	       (unsigned long long)n_rounds);
	CHECK(n_rounds > 10);
}

static void torture_init(struct torture *t, uint32_t key_bits)
{
	const struct grace_conf conf = {.records = t->records,
					.n = N_READERS,
					.stuck_ns = 100 * GRACE_STUCK_NS};
	struct sluice_prefix_key all = {.len = 0};

	memset(t, 0, sizeof(*t));
	t->rng = rng_of(test_seed() + key_bits);
	fixture_init(&t->f, key_bits, 8, N_MAX);
	must(!change_log_new(t->f.region, &t->log));
	for (uint32_t i = 0; i < N_READERS; i++)
		t->records[i].owner = sluice_owner_of(0);
	must(!region_grace_new(&conf, &t->grace));
	/* Far from each other and from what random_key() likes. */
	t->pair[0] = key_of((struct sluice_addr){0x3333ull << 48, 0}, 20);
	t->pair[1] = key_of((struct sluice_addr){0xcccc3333ull << 32, 0}, 32);
	twin_set(&t->stable, &all, 1);
	while (t->stable.n < N_STABLE) {
		struct sluice_prefix_key k = random_key(&t->rng, key_bits);

		if (is_ours(t, &k))
			twin_set(&t->stable, &k, 1);
	}
	for (uint32_t i = 0; i < t->stable.n; i++)
		must(!put(t, &t->stable.routes[i].key));
}

static void torture(uint32_t key_bits)
{
	static struct torture t;

	torture_init(&t, key_bits);
	for (uint32_t i = 0; i < N_READERS; i++) {
		struct reader *r = &t.readers[i];

		r->t = &t;
		r->rng = rng_of(test_seed() + i);
		r->has_section = i + 1 < N_READERS;
		r->seat = (struct sluice_seat){.record = &t.records[i],
					       .owner = t.records[i].owner};
		must(!pthread_create(&r->thread, NULL, reader_run, r));
	}
	writer_run(&t);
	for (uint32_t i = 0; i < N_READERS; i++) {
		const struct reader *r = &t.readers[i];

		pthread_join(r->thread, NULL);
		printf("# %llu look-ups, %llu busy\n", (unsigned long long)r->n,
		       (unsigned long long)r->n_busy);
		CHECK_EQ(r->n_wrong, 0);
		CHECK_EQ(r->n_torn, 0);
		CHECK(r->n > r->n_busy);
	}
	change_settle(t.log, change_mark(t.log), UINT64_MAX);
	CHECK_EQ(change_n_unsettled(t.log), 0);
	CHECK_EQ(n_faults(&t.f), 0);
	region_grace_free(t.grace);
	change_log_free(t.log);
	fixture_fini(&t.f);
}

static void readers_of_ip4_find_a_right_route(void)
{
	torture(32);
}

static void readers_of_ip6_find_a_right_route(void)
{
	torture(128);
}

int main(int argc, char **argv)
{
	if (argc > 1 && argv[argc - 1][0] >= '0' && argv[argc - 1][0] <= '9' &&
	    strcmp(argv[argc - 2], "-s") != 0)
		n_lookups = strtoull(argv[--argc], NULL, 10);
	test_init(argc, argv);
	TEST(readers_of_ip4_find_a_right_route);
	TEST(readers_of_ip6_find_a_right_route);
	return test_done();
}
