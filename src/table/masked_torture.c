/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Torture of the masked table: readers look up keys of flows that are always
 * there, while a writer makes masks come and go, orders them anew, moves and
 * replaces flows and applies change sets. No miss, no wrong answer.
 *
 *     masked_torture [-t] [-s SEED] [LOOKUPS]
 *
 * Readers are processes, every other one held up for a moment, at whatever
 * instruction it is, some thousand times a second; with -t they are threads (for
 * ThreadSanitizer). A key's first word is the number of its flow, and every mask
 * has it whole; so a key has one flow at most. The second word is random, and
 * masks differ in it. A flow's value names the mask that it lies under: a hit
 * under a mixture of two masks shows, since readers also look for keys that
 * differ from the flow's in random bits of the second word.
 *
 *     half are stable      under masks of their own, set once
 *     a quarter replaced   again and again, singly or in change sets
 *     a quarter come and go, each time under another mask
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/annotate.h"
#include "base/clock.h"
#include "base/must.h"
#include "base/rng.h"
#include "sluice/masked_batch.h"
#include "table/masked.h"

#define KEY_LEN 16u
#define KEY_WORDS 2u
#define VALUE_WORDS 3u /* number, mask, both mixed */
#define N_MAX 2000u
#define N_KEYS 3000u
#define N_STABLE 800u
#define N_ALWAYS 1200u /* and from the stable ones on those replaced */
#define N_POOL 60u     /* masks; the first are for those always there */
#define N_MASKS 32u    /* at once */
#define N_KEPT 12u
#define N_READERS 2u
#define HOLD_EVERY_US 300
#define HOLD_NS 100000u

struct result {
	uint64_t n_lookups; /* of keys that are always there */
	uint64_t n_busy;
	uint64_t n_missing;
	uint64_t n_wrong;
};

struct torture {
	bool threads;
	uint64_t seed;
	struct region *region;
	struct table_masked *table;
	uint64_t keys[N_KEYS][KEY_WORDS];
	uint64_t masks[N_POOL][KEY_WORDS];
	uint64_t n_lookups;	/* for each reader */
	struct result *results; /* [N_READERS], shared with them */
	uint32_t *n_done;

	/* The writer's. */
	struct rng rng;
	uint32_t under[N_KEYS]; /* masks of those that come and go, or N_POOL */
	struct change_log *log;
	uint64_t n_numbers; /* times that a mask got a number */
};

struct reader {
	const struct torture *t;
	struct sluice_masked_view view;
	struct rng rng;
	struct result r;
	uint32_t no;
};

static uint64_t mix(uint64_t a, uint64_t b)
{
	struct rng rng = rng_of(a << 32 ^ b);

	return rng_next(&rng);
}

/* ---- Readers. ---- */

/* Is this value one for the key, which is key i but for some bits? */
static bool value_ok(const struct torture *t, const uint64_t *v, uint32_t i,
		     const uint64_t *key)
{
	return v[0] == i && v[1] < N_POOL && v[2] == mix(i, v[1]) &&
	       !((key[1] ^ t->keys[i][1]) & t->masks[v[1]][1]);
}

static bool entry_ok(const struct torture *t, const uint8_t *entry, uint32_t i,
		     const uint64_t *key)
{
	const uint64_t *words = (const uint64_t *)(entry + 8 + KEY_LEN);
	uint64_t value[VALUE_WORDS];

	for (uint32_t w = 0; w < VALUE_WORDS; w++)
		value[w] = sluice_load64_acquire(&words[w]);
	return value_ok(t, value, i, key);
}

static void judge(struct reader *r, enum sluice_found f, uint32_t i)
{
	r->r.n_lookups += f == SLUICE_YES && i < N_ALWAYS;
	r->r.n_busy += f == SLUICE_BUSY;
	r->r.n_missing += f == SLUICE_NO && i < N_ALWAYS;
}

static uint32_t version_of(const struct reader *r)
{
	return sluice_version(r->t->region->head);
}

static void look_batch(struct reader *r)
{
	uint64_t keys[SLUICE_EXACT_BATCH][KEY_WORDS];
	uint32_t numbers[SLUICE_EXACT_BATCH];
	struct sluice_exact_answers a;

	for (uint32_t j = 0; j < SLUICE_EXACT_BATCH; j++) {
		numbers[j] = rng_below(&r->rng, N_ALWAYS);
		memcpy(keys[j], r->t->keys[numbers[j]], KEY_LEN);
	}
	sluice_masked_find_batch(&r->view, version_of(r), keys,
				 SLUICE_EXACT_BATCH, &a);
	for (uint32_t j = 0; j < SLUICE_EXACT_BATCH; j++) {
		bool yes = a.yes >> j & 1;

		judge(r,
		      yes		? SLUICE_YES
		      : a.busy >> j & 1 ? SLUICE_BUSY
					: SLUICE_NO,
		      numbers[j]);
		/* The entries of others may be used again while we look. */
		if (yes && numbers[j] < N_STABLE)
			r->r.n_wrong += !entry_ok(r->t, a.entries[j],
						  numbers[j], keys[j]);
	}
}

static void look_find(struct reader *r)
{
	uint32_t i = rng_below(&r->rng, N_ALWAYS);
	const uint64_t *key = r->t->keys[i];
	uint8_t *entry;
	enum sluice_found f = sluice_masked_find(&r->view, version_of(r), key,
						 KEY_LEN, &entry);

	judge(r, f, i);
	if (f == SLUICE_YES && i < N_STABLE)
		r->r.n_wrong += !entry_ok(r->t, entry, i, key);
}

/* Any key, and keys near to it. */
static void look_get(struct reader *r)
{
	uint32_t i = rng_below(&r->rng, N_KEYS);
	uint64_t key[KEY_WORDS] = {r->t->keys[i][0], r->t->keys[i][1]};
	uint64_t value[VALUE_WORDS] = {0};
	enum sluice_found f;

	if (rng_below(&r->rng, 2))
		key[1] ^= 1ull << rng_below(&r->rng, 48);
	f = sluice_masked_get(&r->view, version_of(r), key, KEY_LEN, value);
	judge(r, f, key[1] == r->t->keys[i][1] ? i : N_KEYS);
	if (f == SLUICE_YES)
		r->r.n_wrong += !value_ok(r->t, value, i, key);
}

static void hold(int sig)
{
	uint64_t until = clock_now_ns() + HOLD_NS;

	(void)sig;
	while (clock_now_ns() < until)
		;
}

static void hold_up(void)
{
	struct itimerval every = {{0, HOLD_EVERY_US}, {0, HOLD_EVERY_US}};

	signal(SIGALRM, hold);
	setitimer(ITIMER_REAL, &every, NULL);
}

static void *reader_main(void *arg)
{
	struct reader *r = arg;

	while (r->r.n_lookups < r->t->n_lookups &&
	       r->r.n_missing + r->r.n_wrong < 1000) {
		look_batch(r);
		for (uint32_t i = 0; i < 8; i++) {
			look_find(r);
			look_get(r);
		}
	}
	must(r->t->results);
	r->t->results[r->no] = r->r;
	__atomic_fetch_add(r->t->n_done, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* ---- The writer. ---- */

static uint32_t mask_kept(uint32_t i)
{
	return i % N_KEPT;
}

static void value_of(uint64_t *value, uint32_t i, uint32_t mask)
{
	value[0] = i;
	value[1] = mask;
	value[2] = mix(i, mask);
}

static int set(struct torture *t, uint32_t i, uint32_t mask)
{
	const struct table_masked_key key = {t->keys[i], t->masks[mask]};
	uint64_t value[VALUE_WORDS];

	value_of(value, i, mask);
	return table_masked_set(t->table, &key, value, NULL);
}

/* One that comes and goes, goes, and comes under another mask if it may. */
static void come_and_go(struct torture *t)
{
	uint32_t i = N_ALWAYS + rng_below(&t->rng, N_KEYS - N_ALWAYS);
	uint32_t mask = N_KEPT + rng_below(&t->rng, N_POOL - N_KEPT);
	const struct table_masked_key old = {t->keys[i],
					     t->masks[t->under[i] % N_POOL]};

	if (t->under[i] < N_POOL)
		must(table_masked_del(t->table, &old));
	t->under[i] = set(t, i, mask) ? N_POOL : mask;
}

/* All flows of one mask go, so that its number is free. */
static void mask_go(struct torture *t)
{
	uint32_t mask = N_KEPT + rng_below(&t->rng, N_POOL - N_KEPT);

	for (uint32_t i = N_ALWAYS; i < N_KEYS; i++) {
		const struct table_masked_key key = {t->keys[i],
						     t->masks[mask]};

		if (t->under[i] != mask)
			continue;
		must(table_masked_del(t->table, &key));
		t->under[i] = N_POOL;
	}
	t->n_numbers++;
}

static void change(struct torture *t)
{
	struct change_item items[8];
	struct table_masked_key keys[8];
	uint64_t values[8][VALUE_WORDS];
	uint32_t bad;

	for (uint32_t j = 0; j < 8; j++) {
		uint32_t i = N_STABLE + 8 * rng_below(&t->rng, 50) + j;

		keys[j] = (struct table_masked_key){t->keys[i],
						    t->masks[mask_kept(i)]};
		value_of(values[j], i, mask_kept(i));
		items[j] = (struct change_item){
			.table = table_masked_change(t->table),
			.kind = CHANGE_SET,
			.key = &keys[j],
			.value = values[j],
		};
	}
	must(!change_apply(t->log, items, 8, &bad, NULL));
	/* Readers without a section bear it: they find the one or the other. */
	change_settle(t->log, change_mark(t->log), UINT64_MAX);
}

static uint32_t n_ended(struct torture *t)
{
	int status;

	if (t->threads)
		return __atomic_exchange_n(t->n_done, 0, __ATOMIC_ACQUIRE);
	if (waitpid(-1, &status, WNOHANG) <= 0)
		return 0;
	must(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return 1;
}

static void writer_run(struct torture *t)
{
	for (uint32_t n_left = N_READERS; n_left; n_left -= n_ended(t)) {
		for (uint32_t i = 0; i < 60; i++) {
			uint32_t j = N_STABLE +
				     rng_below(&t->rng, N_ALWAYS - N_STABLE);

			must(!set(t, j, mask_kept(j)));
			come_and_go(t);
			table_masked_reclaim(t->table,
					     table_masked_mark(t->table));
		}
		mask_go(t);
		change(t);
		table_masked_reclaim(t->table, table_masked_mark(t->table));
		if (rng_below(&t->rng, 4) == 0)
			table_masked_reorder(t->table);
	}
}

/* ---- Setting up. ---- */

static void torture_init(struct torture *t)
{
	const struct table_masked_conf conf = {
		.name = "flows",
		.kind = SLUICE_TABLE_FLOWS,
		.n_max = N_MAX,
		.n_masks_max = N_MASKS,
		.n_lanes = N_READERS + 1,
		.key_len = KEY_LEN,
		.value_len = VALUE_WORDS * 8,
		.seed = t->seed,
	};

	t->rng = rng_of(t->seed);
	must(!region_new_memfd("torture", table_masked_len(&conf) + (1 << 16),
			       false, &t->region, NULL));
	must(!table_masked_new(t->region, &conf, &t->table, NULL));
	must(!change_log_new(t->region, &t->log));
	t->results = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(t->results && t->results != MAP_FAILED);
	t->n_done = (uint32_t *)(t->results + N_READERS);
	for (uint32_t i = 0; i < N_KEYS; i++) {
		t->keys[i][0] = i;
		t->keys[i][1] = rng_next(&t->rng) >> 16;
		t->under[i] = N_POOL;
	}
	for (uint32_t i = 0; i < N_POOL; i++) {
		t->masks[i][0] = ~0ull;
		/* Some are of one group, others of none. */
		t->masks[i][1] = i % 2 ? rng_next(&t->rng) >> 16
				       : 0xffull << 40 | i << 8;
	}
	for (uint32_t i = 0; i < N_ALWAYS; i++)
		must(!set(t, i, mask_kept(i)));
}

static void run_readers(struct torture *t, struct reader *readers)
{
	pthread_t threads[N_READERS] = {0};

	for (uint32_t i = 0; i < N_READERS; i++) {
		struct reader *r = &readers[i];

		r->t = t;
		r->no = i;
		r->rng = rng_of(t->seed * 3 + i);
		r->view = *table_masked_view(t->table);
		must(sluice_masked_count_in(&r->view, i + 1));
		if (t->threads) {
			must(!pthread_create(&threads[i], NULL, reader_main,
					     r));
		} else if (fork() == 0) {
			if (i % 2)
				hold_up();
			reader_main(r);
			_exit(0);
		}
	}
	writer_run(t);
	for (uint32_t i = 0; t->threads && i < N_READERS; i++)
		pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
	static struct torture t = {.n_lookups = 20000000};
	static struct reader readers[N_READERS];
	struct result sum = {0};
	bool ok;
	int opt;

	t.seed = rng_secret() % 1000000000;
	while ((opt = getopt(argc, argv, "ts:")) != -1) {
		if (opt == 't')
			t.threads = true;
		else if (opt == 's')
			t.seed = strtoull(optarg, NULL, 0);
		else
			return 2;
	}
	if (optind < argc)
		t.n_lookups = strtoull(argv[optind], NULL, 0);
	t.n_lookups /= N_READERS;
	printf("TAP version 13\n# seed %llu\n1..1\n",
	       (unsigned long long)t.seed);
	fflush(stdout);
	torture_init(&t);
	must(t.results);
	run_readers(&t, readers);
	for (uint32_t i = 0; i < N_READERS; i++) {
		sum.n_lookups += t.results[i].n_lookups;
		sum.n_busy += t.results[i].n_busy;
		sum.n_missing += t.results[i].n_missing;
		sum.n_wrong += t.results[i].n_wrong;
	}
	printf("# %llu lookups, %llu orders, %llu masks gone: %llu missing, "
	       "%llu wrong, %llu busy\n",
	       (unsigned long long)sum.n_lookups,
	       (unsigned long long)table_masked_view(t.table)->table->order,
	       (unsigned long long)t.n_numbers,
	       (unsigned long long)sum.n_missing,
	       (unsigned long long)sum.n_wrong, (unsigned long long)sum.n_busy);
	ok = !sum.n_missing && !sum.n_wrong && t.n_numbers > 20 &&
	     sum.n_busy < sum.n_lookups / 2;
	printf("%sok 1 - flows are there throughout\n", ok ? "" : "not ");
	return ok ? 0 : 1;
}
