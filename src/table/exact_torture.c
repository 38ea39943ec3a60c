/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Torture of the exact table: readers look up keys that are always there, while
 * a writer moves them about. No miss, no wrong value.
 *
 *     exact_torture [-t] [-s SEED] [LOOKUPS]
 *
 * Readers are processes that map the region read-only and find the table by its
 * directory; with -t they are threads (for ThreadSanitizer). All keys belong
 * into nine tenths of the buckets and fill these to 98 %, so that every few
 * inserts a key has to move. Of the keys that are stored
 *
 *     half are stable     set once; every way of looking must find them, and
 *                         their entry holds their value
 *     a quarter replaced  again and again; always found, and a copy of the value
 *                         is one that was set
 *     a quarter come and go; a copy, if there is one, is one that was set
 *
 * Busy is an answer that readers must bear; it is counted, and asked again.
 *
 * Every other reading process is held up for a moment, at whatever instruction
 * it is, some thousand times a second: long enough for the writer to use again
 * what the reader is looking at.
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
#include "sluice/atomic.h"
#include "sluice/exact_pipe.h"
#include "sluice/reader.h"
#include "table/exact.h"

#define KEY_LEN 16u
#define KEY_WORDS (KEY_LEN / 8)
#define VALUE_WORDS 3u /* number, version, both mixed */
#define N_READERS 2u
#define BUSY_MAX 1000000u /* in a row, for one key */
#define HOLD_EVERY_US 300
#define HOLD_NS 100000u

/* What one reader found. */
struct result {
	uint64_t n_lookups; /* of keys that are always there */
	uint64_t n_busy;
	uint64_t n_missing;
	uint64_t n_wrong;
};

struct torture {
	/* Constant while readers run. */
	bool threads;
	uint64_t seed;
	struct region *region;
	struct table_exact *table;
	uint64_t (*keys)[KEY_WORDS]; /* [n_keys] */
	uint32_t n_keys;
	uint32_t n_stable;	/* keys 0 .. */
	uint32_t n_always;	/* and from there on those that are replaced */
	uint64_t n_lookups;	/* for each reader */
	struct result *results; /* [N_READERS], shared with them */
	uint32_t *n_done;	/* threads at their end */

	/* The writer's. */
	struct rng rng;
	uint32_t *order; /* keys that come and go: first those that are in */
	uint32_t n_in;
	uint64_t n_version;
	uint64_t n_changes;
};

struct reader {
	const struct torture *t;
	struct sluice_exact_view view;
	struct rng rng;
	struct result r;
	uint32_t no;
};

static uint64_t mix(uint64_t number, uint64_t version)
{
	struct rng rng = rng_of(number << 40 ^ version);

	return rng_next(&rng);
}

/* ---- Readers. ---- */

static bool value_ok(const uint64_t *v, uint64_t number)
{
	return v[0] == number && v[2] == mix(number, v[1]);
}

/* What was found for key i, which is always there. */
static void judge(struct reader *r, uint32_t i, const uint8_t *entry)
{
	const uint64_t *words = (const uint64_t *)(entry + 8 + KEY_LEN);
	uint64_t value[VALUE_WORDS];

	r->r.n_lookups++;
	/* The entries of other keys may be used again while we look. */
	if (i >= r->t->n_stable)
		return;
	for (uint32_t w = 0; w < VALUE_WORDS; w++)
		value[w] = sluice_load64_acquire(&words[w]);
	r->r.n_wrong += !value_ok(value, i);
}

/* Looks for a key that is always there until the answer is not busy. */
static void look_find(struct reader *r, uint32_t i)
{
	for (uint32_t n = 0; n < BUSY_MAX; n++) {
		uint8_t *entry;

		switch (sluice_exact_find(&r->view, 1, r->t->keys[i], KEY_LEN,
					  &entry)) {
		case SLUICE_YES:
			judge(r, i, entry);
			return;
		case SLUICE_NO:
			r->r.n_missing++;
			return;
		case SLUICE_BUSY:
			r->r.n_busy++;
		}
	}
	r->r.n_missing++;
}

/* The same with a copy of the value; of any key. */
static void look_get(struct reader *r, uint32_t i)
{
	for (uint32_t n = 0; n < BUSY_MAX; n++) {
		uint64_t value[VALUE_WORDS];

		switch (sluice_exact_get(&r->view, 1, r->t->keys[i], KEY_LEN,
					 value)) {
		case SLUICE_YES:
			r->r.n_lookups += i < r->t->n_always;
			r->r.n_wrong += !value_ok(value, i);
			return;
		case SLUICE_NO:
			r->r.n_missing += i < r->t->n_always;
			return;
		case SLUICE_BUSY:
			r->r.n_busy++;
		}
	}
	r->r.n_missing++;
}

struct batch {
	uint32_t numbers[SLUICE_EXACT_BATCH];
	uint64_t keys[SLUICE_EXACT_BATCH][KEY_WORDS];
};

static void batch_draw(struct reader *r, struct batch *b)
{
	for (uint32_t i = 0; i < SLUICE_EXACT_BATCH; i++) {
		b->numbers[i] = rng_below(&r->rng, r->t->n_always);
		memcpy(b->keys[i], r->t->keys[b->numbers[i]], KEY_LEN);
	}
}

static void judge_batch(struct reader *r, const struct batch *b,
			const struct sluice_exact_answers *a)
{
	for (uint32_t i = 0; i < a->n; i++) {
		if (a->yes >> i & 1) {
			judge(r, b->numbers[i], a->entries[i]);
		} else if (a->busy >> i & 1) {
			r->r.n_busy++;
			look_find(r, b->numbers[i]);
		} else {
			r->r.n_missing++;
		}
	}
}

static void look_batch(struct reader *r)
{
	struct sluice_exact_answers a;
	struct batch b;

	batch_draw(r, &b);
	sluice_exact_find_batch(&r->view, 1, b.keys[0], SLUICE_EXACT_BATCH, &a);
	judge_batch(r, &b, &a);
}

static void look_pipe(struct reader *r)
{
	struct sluice_exact_pipe pipe = {0};
	struct sluice_exact_answers a;
	struct batch b[4];

	for (uint32_t i = 0; i < 64 + 3; i++) {
		if (i < 64)
			batch_draw(r, &b[i % 4]);
		sluice_exact_pipe_push(&r->view, &pipe, b[i % 4].keys,
				       i < 64 ? SLUICE_EXACT_BATCH : 0, &a);
		judge_batch(r, &b[(i + 1) % 4], &a);
	}
}

static void reader_run(struct reader *r)
{
	const struct torture *t = r->t;

	while (r->r.n_lookups < t->n_lookups) {
		for (uint32_t i = 0; i < 200; i++) {
			look_batch(r);
			look_find(r, rng_below(&r->rng, t->n_always));
			for (uint32_t j = 0; j < 8; j++)
				look_get(r, rng_below(&r->rng, t->n_keys));
		}
		look_pipe(r);
		look_pipe(r);
		if (r->r.n_missing + r->r.n_wrong > 1000)
			break;
	}
	t->results[r->no] = r->r;
}

/* Maps the region read-only and finds the table, as any process may. */
static void view_open(const struct torture *t, struct sluice_exact_view *view)
{
	struct sluice_region *head = mmap(NULL, t->region->len, PROT_READ,
					  MAP_SHARED, t->region->fd, 0);
	const struct sluice_table_desc *d;

	must(head != MAP_FAILED);
	must(!sluice_region_check(head, t->region->len, NULL));
	d = sluice_table_find(head, SLUICE_TABLE_FLOWS);
	must(d);
	sluice_exact_view_init(view, (void *)((uint8_t *)head + d->off));
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

	reader_run(r);
	__atomic_fetch_add(r->t->n_done, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* ---- The writer. ---- */

static int set(struct torture *t, uint32_t i)
{
	uint64_t value[VALUE_WORDS] = {i, t->n_version++};

	value[2] = mix(i, value[1]);
	return table_exact_set(t->table, t->keys[i], value, NULL);
}

static void swap(uint32_t *a, uint32_t *b)
{
	uint32_t was = *a;

	*a = *b;
	*b = was;
}

/* One key goes, one comes; the latter not if there is no way to place it. */
static void come_and_go(struct torture *t)
{
	uint32_t n = t->n_keys - t->n_always;
	uint32_t *in = &t->order[rng_below(&t->rng, t->n_in)];
	uint32_t *out;

	must(table_exact_del(t->table, t->keys[*in]));
	swap(in, &t->order[--t->n_in]);
	out = &t->order[t->n_in + rng_below(&t->rng, n - t->n_in)];
	if (!set(t, *out))
		swap(out, &t->order[t->n_in++]);
}

/* How many readers have come to their end since the last time? */
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
	uint32_t n_replaced = t->n_always - t->n_stable;
	uint32_t n_full = t->n_in;

	for (uint32_t n_left = N_READERS; n_left; n_left -= n_ended(t)) {
		for (uint32_t i = 0; i < 100; i++) {
			must(!set(t, t->n_stable +
					     rng_below(&t->rng, n_replaced)));
			come_and_go(t);
			/* Readers that keep entries need grace; these do not. */
			table_exact_reclaim(t->table,
					    table_exact_mark(t->table));
		}
		for (uint32_t i = 0; t->n_in < n_full && i < 100; i++) {
			uint32_t *out = &t->order[t->n_in];

			if (!set(t, *out))
				t->n_in++;
		}
	}
}

/* ---- Setting up. ---- */

/* Keys whose two buckets are both among the first n. */
static void choose_keys(struct torture *t, uint32_t n)
{
	const struct sluice_exact_view *v = table_exact_view(t->table);

	for (uint32_t i = 0; i < t->n_keys;) {
		uint64_t *key = t->keys[i];
		uint32_t hash;

		key[0] = rng_next(&t->rng);
		key[1] = rng_next(&t->rng);
		hash = sluice_exact_hash(v->table->hash_keys, key, KEY_LEN);
		i += sluice_exact_bucket1(hash, v->n_buckets) < n &&
		     sluice_exact_bucket2(hash, v->n_buckets) < n;
	}
}

static void fill(struct torture *t, uint32_t n)
{
	for (uint32_t i = 0; i < t->n_always; i++)
		must(!set(t, i));
	for (uint32_t i = 0; i < t->n_keys - t->n_always; i++)
		t->order[i] = t->n_always + i;
	for (uint32_t i = t->n_always; i < n; i++)
		t->n_in += !set(t, t->order[t->n_in]);
}

static void torture_init(struct torture *t, uint32_t n_max)
{
	struct table_exact_conf conf = {
		.name = "flows",
		.kind = SLUICE_TABLE_FLOWS,
		.n_max = n_max,
		.key_len = KEY_LEN,
		.value_len = VALUE_WORDS * 8,
		.seed = t->seed,
	};
	uint32_t n_crowded;
	uint32_t n;

	t->rng = rng_of(t->seed + n_max);
	must(!region_new_memfd("torture", table_exact_len(&conf) + (1 << 16),
			       false, &t->region, NULL));
	must(!table_exact_new(t->region, &conf, &t->table, NULL));
	n_crowded = table_exact_view(t->table)->n_buckets * 9 / 10;
	n = n_crowded * SLUICE_BUCKET_SLOTS * 98 / 100;
	t->n_stable = n / 2;
	t->n_always = n * 3 / 4;
	t->n_keys = n * 2;
	t->n_in = 0;
	t->keys = calloc(t->n_keys, sizeof(*t->keys));
	t->order = calloc(t->n_keys, sizeof(*t->order));
	must(t->keys && t->order);
	t->results = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(t->results != MAP_FAILED);
	t->n_done = (uint32_t *)(t->results + N_READERS);
	choose_keys(t, n_crowded);
	fill(t, n);
}

static void torture_fini(struct torture *t)
{
	munmap(t->results, 4096);
	free(t->order);
	free(t->keys);
	table_exact_free(t->table);
	region_free(t->region);
}

static void run_threads(struct torture *t, struct reader *readers)
{
	pthread_t threads[N_READERS];

	for (uint32_t i = 0; i < N_READERS; i++) {
		readers[i].view = *table_exact_view(t->table);
		must(!pthread_create(&threads[i], NULL, reader_main,
				     &readers[i]));
	}
	writer_run(t);
	for (uint32_t i = 0; i < N_READERS; i++)
		pthread_join(threads[i], NULL);
}

static void run_processes(struct torture *t, struct reader *readers)
{
	for (uint32_t i = 0; i < N_READERS; i++) {
		pid_t pid = fork();

		must(pid >= 0);
		if (pid == 0) {
			view_open(t, &readers[i].view);
			if (i % 2)
				hold_up();
			reader_main(&readers[i]);
			_exit(0);
		}
	}
	writer_run(t);
}

/* One table; returns whether all was well. */
static bool torture_run(struct torture *t, uint32_t n_max)
{
	struct reader readers[N_READERS] = {0};
	struct result sum = {0};
	uint64_t start = clock_now_ns();
	uint64_t changes;

	torture_init(t, n_max);
	changes = table_exact_view(t->table)->table->n_changes;
	for (uint32_t i = 0; i < N_READERS; i++) {
		readers[i].t = t;
		readers[i].no = i;
		readers[i].rng = rng_of(t->seed * 3 + i);
	}
	if (t->threads)
		run_threads(t, readers);
	else
		run_processes(t, readers);
	for (uint32_t i = 0; i < N_READERS; i++) {
		sum.n_lookups += t->results[i].n_lookups;
		sum.n_busy += t->results[i].n_busy;
		sum.n_missing += t->results[i].n_missing;
		sum.n_wrong += t->results[i].n_wrong;
	}
	changes = table_exact_view(t->table)->table->n_changes - changes;
	printf("# n_max %u: %llu lookups, %llu changes, %.1f s: %llu missing, "
	       "%llu wrong, %llu busy\n",
	       n_max, (unsigned long long)sum.n_lookups,
	       (unsigned long long)changes,
	       (double)(clock_now_ns() - start) / 1e9,
	       (unsigned long long)sum.n_missing,
	       (unsigned long long)sum.n_wrong, (unsigned long long)sum.n_busy);
	torture_fini(t);
	return !sum.n_missing && !sum.n_wrong && changes > 1000;
}

int main(int argc, char **argv)
{
	static const uint32_t n_maxes[] = {100, 2000, 100000};
	struct torture t = {.n_lookups = 100000000};
	uint32_t n_bad = 0;
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
	t.n_lookups /= N_READERS * ARRAY_LEN(n_maxes);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n# seed %llu\n1..%u\n",
	       (unsigned long long)t.seed, (unsigned)ARRAY_LEN(n_maxes));
	for (uint32_t i = 0; i < ARRAY_LEN(n_maxes); i++) {
		bool ok = torture_run(&t, n_maxes[i]);

		n_bad += !ok;
		printf("%sok %u - keys are there throughout, among %u\n",
		       ok ? "" : "not ", i + 1, n_maxes[i]);
	}
	return n_bad ? 1 : 0;
}
