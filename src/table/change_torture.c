/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Torture of change sets: a writer applies and settles sets over two tables
 * that it keeps alike (change_pairs_fake.h), and readers look.
 *
 *     change_torture [-t] [-s SEED] [LOOKS]
 *
 * A look is one version and all keys of a group in both tables, twice: they are
 * there or not, and of one number, as one set has left them; the number is not
 * newer than the version, and not older than what was true before. Half of the
 * looks are in sections (sluice/section.h) and use what they find where it lies,
 * singly or as a batch; the others copy and ask sluice_version_holds().
 *
 * Readers are processes that map the region read-only, one of them held up at
 * any instruction; with -t they are threads (for ThreadSanitizer).
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/annotate.h"
#include "sluice/exact_batch.h"
#include "sluice/reader.h"
#include "sluice/section.h"
#include "table/change_pairs_fake.h"

#define N_READERS 2u
#define N_RECORDS 4u
#define HOLD_EVERY_US 400
#define HOLD_NS 100000u

struct result {
	uint64_t n_looks; /* that count */
	uint64_t n_lost;  /* another version, or fenced: looked again */
	uint64_t n_busy;
	uint64_t n_missing;
	uint64_t n_mixed;
	uint64_t n_stale; /* older than what was true, or from the future */
};

/* Shared by processes. */
struct board {
	struct sluice_section records[N_RECORDS];
	uint64_t last[PAIRS_GROUPS];
	struct result results[N_READERS];
	uint32_t enough; /* sets were applied */
	uint32_t n_done;
};

struct reader {
	struct board *board;
	const struct sluice_region *region;
	struct sluice_exact_view views[2];
	struct sluice_seat seat;
	struct rng rng;
	struct result r;
	uint64_t n_looks; /* how many there are to be */
	uint32_t no;
};

/* What is in a group at one version, in both tables; number 0: not there. */
struct found {
	struct pairs_words values[2][PAIRS_KEYS];
	bool is_busy;
};

/* ---- Three ways of looking. ---- */

static struct pairs_words value_at(uint8_t *entry)
{
	const uint64_t *words =
		sluice_entry_value(entry, sizeof(struct pairs_words));

	return (struct pairs_words){sluice_load64_acquire(&words[0]),
				    sluice_load64_acquire(&words[1])};
}

static void look_find(const struct reader *r, uint32_t version, uint32_t group,
		      struct found *out)
{
	for (uint32_t i = 0; i < 2 * PAIRS_KEYS; i++) {
		struct pairs_words key =
			pairs_key(group * PAIRS_KEYS + i % PAIRS_KEYS);
		uint8_t *entry;
		enum sluice_found f =
			sluice_exact_find(&r->views[i / PAIRS_KEYS], version,
					  &key, sizeof(key), &entry);

		if (f == SLUICE_YES)
			out->values[i / PAIRS_KEYS][i % PAIRS_KEYS] =
				value_at(entry);
		out->is_busy |= f == SLUICE_BUSY;
	}
}

static void look_batch(const struct reader *r, uint32_t version, uint32_t group,
		       struct found *out)
{
	struct pairs_words keys[PAIRS_KEYS];
	struct sluice_exact_answers a;

	for (uint32_t k = 0; k < PAIRS_KEYS; k++)
		keys[k] = pairs_key(group * PAIRS_KEYS + k);
	for (uint32_t table = 0; table < 2; table++) {
		struct sluice_exact_view v = r->views[table];

		v.key_len = sizeof(keys[0]);
		sluice_exact_find_batch(&v, version, keys, PAIRS_KEYS, &a);
		out->is_busy |= a.busy != 0;
		for (uint32_t k = 0; k < PAIRS_KEYS; k++)
			if (a.yes >> k & 1)
				out->values[table][k] = value_at(a.entries[k]);
	}
}

static void look_get(const struct reader *r, uint32_t version, uint32_t group,
		     struct found *out)
{
	for (uint32_t i = 0; i < 2 * PAIRS_KEYS; i++) {
		struct pairs_words key =
			pairs_key(group * PAIRS_KEYS + i % PAIRS_KEYS);
		struct pairs_words value;
		enum sluice_found f =
			sluice_exact_get(&r->views[i / PAIRS_KEYS], version,
					 &key, sizeof(key), (uint64_t *)&value);

		if (f == SLUICE_YES)
			out->values[i / PAIRS_KEYS][i % PAIRS_KEYS] = value;
		out->is_busy |= f == SLUICE_BUSY;
	}
}

/* ---- What is right. ---- */

static void judge(struct reader *r, uint32_t group, const struct found *f,
		  uint64_t number)
{
	bool is_missing = false, is_mixed = false;

	for (uint32_t i = 0; i < 2 * PAIRS_KEYS; i++) {
		uint32_t table = i / PAIRS_KEYS, k = i % PAIRS_KEYS;
		const struct pairs_words *v = &f->values[table][k];
		bool is_there = pairs_is_there(table, k, number);

		is_missing |= is_there && !v->a;
		is_mixed |= v->a && (!is_there || v->a != number);
		is_mixed |=
			v->a && v->b != pairs_mix(group * PAIRS_KEYS + k, v->a);
	}
	r->r.n_missing += is_missing;
	r->r.n_mixed += is_mixed;
}

/* One version of one group, looked at twice. */
static void look(struct reader *r, bool in_section)
{
	uint32_t group = rng_below(&r->rng, PAIRS_GROUPS);
	bool by_batch = rng_below(&r->rng, 2);
	uint64_t low, number = 0;
	uint32_t version;

	if (in_section)
		sluice_section_enter(&r->seat);
	low = sluice_load64_acquire(&r->board->last[group]); /* [pairs-last] */
	version = sluice_version(r->region);
	for (uint32_t i = 0; i < 2; i++) {
		struct found f = {0};

		if (!in_section)
			look_get(r, version, group, &f);
		else if (by_batch)
			look_batch(r, version, group, &f);
		else
			look_find(r, version, group, &f);
		if (f.is_busy) {
			r->r.n_busy++;
			break;
		}
		if (in_section ? !sluice_section_holds(&r->seat)
			       : !sluice_version_holds(r->region, version)) {
			r->r.n_lost++;
			break;
		}
		if (!number)
			number = f.values[0][0].a;
		judge(r, group, &f, number);
		r->r.n_stale += number < low || number > version;
		r->r.n_looks++;
	}
	if (in_section)
		sluice_section_leave(&r->seat);
}

static void reader_run(struct reader *r)
{
	while ((r->r.n_looks < r->n_looks ||
		!sluice_load32_relaxed(&r->board->enough)) &&
	       r->r.n_missing + r->r.n_mixed + r->r.n_stale < 1000)
		for (uint32_t i = 0; i < 64; i++)
			look(r, i % 2);
	r->board->results[r->no] = r->r;
	sluice_seat_give(&r->seat);
	__atomic_fetch_add(&r->board->n_done, 1, __ATOMIC_RELEASE);
}

/* ---- Setting up. ---- */

static void seat_take(struct reader *r)
{
	const struct sluice_seat_conf conf = {sluice_owner_of(0),
					      SLUICE_SECTION_OTHER, "torture"};

	must(!sluice_seat_take(r->board->records, N_RECORDS, &conf, &r->seat,
			       NULL));
}

static void views_open(struct reader *r, const struct sluice_region *head)
{
	r->region = head;
	for (uint32_t i = 0; i < 2; i++) {
		const struct sluice_table_desc *d =
			sluice_table_find(head, PAIRS_KIND(i));

		must(d);
		sluice_exact_view_init(&r->views[i],
				       (void *)((uintptr_t)head + d->off));
	}
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

static void *thread_main(void *arg)
{
	reader_run(arg);
	return NULL;
}

static void process_start(struct reader *r, struct region *region)
{
	pid_t pid = fork();
	void *head;

	must(pid >= 0);
	if (pid)
		return;
	head = mmap(NULL, region->len, PROT_READ, MAP_SHARED, region->fd, 0);
	must(head != MAP_FAILED);
	views_open(r, head);
	seat_take(r);
	if (r->no % 2)
		hold_up();
	reader_run(r);
	_exit(0);
}

static void run(struct pairs *p, struct reader *readers, bool threads)
{
	struct board *board = readers[0].board;
	pthread_t ids[N_READERS];

	for (uint32_t i = 0; i < N_READERS; i++) {
		if (!threads) {
			process_start(&readers[i], p->region);
			continue;
		}
		views_open(&readers[i], p->region->head);
		seat_take(&readers[i]);
		must(!pthread_create(&ids[i], NULL, thread_main, &readers[i]));
	}
	while (__atomic_load_n(&board->n_done, __ATOMIC_ACQUIRE) < N_READERS) {
		pairs_step(p);
		if (p->n_sets > 2000)
			sluice_store32_relaxed(&board->enough, 1);
	}
	for (uint32_t i = 0; i < N_READERS; i++)
		must(threads ? !pthread_join(ids[i], NULL) : wait(NULL) > 0);
}

static bool tell(const struct pairs *p, const struct board *board)
{
	struct result sum = {0};

	for (uint32_t i = 0; i < N_READERS; i++) {
		sum.n_looks += board->results[i].n_looks;
		sum.n_lost += board->results[i].n_lost;
		sum.n_busy += board->results[i].n_busy;
		sum.n_missing += board->results[i].n_missing;
		sum.n_mixed += board->results[i].n_mixed;
		sum.n_stale += board->results[i].n_stale;
	}
	printf("# %llu sets, %llu refused, %llu not for want of room; %llu "
	       "steps settled in %llu grace periods\n",
	       (unsigned long long)p->n_sets, (unsigned long long)p->n_refused,
	       (unsigned long long)p->n_full, (unsigned long long)p->n_settled,
	       (unsigned long long)p->n_rounds);
	printf("# %llu looks, %llu again, %llu busy: %llu missing, %llu mixed, "
	       "%llu stale\n",
	       (unsigned long long)sum.n_looks, (unsigned long long)sum.n_lost,
	       (unsigned long long)sum.n_busy,
	       (unsigned long long)sum.n_missing,
	       (unsigned long long)sum.n_mixed,
	       (unsigned long long)sum.n_stale);
	return !sum.n_missing && !sum.n_mixed && !sum.n_stale &&
	       p->n_sets > 1000 && p->n_refused > 100 && p->n_rounds > 20;
}

static bool torture(uint64_t seed, uint64_t n_looks, bool threads)
{
	struct reader readers[N_READERS] = {0};
	struct grace_conf conf = {.n = N_RECORDS};
	struct region_grace *grace;
	struct region *region;
	struct board *board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct pairs p;
	bool ok;

	must(board != MAP_FAILED);
	conf.records = board->records;
	must(!region_grace_new(&conf, &grace));
	must(!region_new_memfd("torture", 1 << 20, false, &region, NULL));
	pairs_init(&p, region, grace, board->last, seed);
	for (uint32_t i = 0; i < N_READERS; i++) {
		readers[i].board = board;
		readers[i].no = i;
		readers[i].rng = rng_of(seed * 3 + i);
		readers[i].n_looks = n_looks / N_READERS;
	}
	run(&p, readers, threads);
	ok = tell(&p, board);
	pairs_fini(&p);
	region_grace_free(grace);
	region_free(region);
	munmap(board, sizeof(*board));
	return ok;
}

/* ---- A state that changes under the reader's hands. ---- */

enum { N_FLIP_LOOKS = 200000, N_FLIP_COMPARED = 100 };

struct flip {
	struct region *region;
	struct table_exact *table;
	uint64_t *head;
	uint32_t stop;
};

/* At version 1 the entry is there in each of these states. */
static void *flip_run(void *arg)
{
	struct flip *f = arg;
	uint64_t live = *f->head;
	uint64_t born = sluice_head_to(live, SLUICE_ENTRY_BORN, 1);
	uint64_t dying = sluice_head_to(live, SLUICE_ENTRY_DYING, 2);

	while (!sluice_load32_relaxed(&f->stop)) {
		sluice_store64_release(f->head, born);	/* [exact-head] */
		sluice_store64_release(f->head, live);	/* [exact-head] */
		sluice_store64_release(f->head, dying); /* [exact-head] */
	}
	return NULL;
}

/* The same entry is found and copied whatever becomes of its state. */
static bool flips_hide_nothing(uint64_t seed)
{
	struct table_exact_conf conf = {
		.name = "flip",
		.kind = SLUICE_TABLE_OWN,
		.n_max = 10,
		.key_len = SLUICE_KEY_LEN_MAX,
		.value_len = 8,
		.seed = seed,
	};
	uint64_t key[SLUICE_KEY_LEN_MAX / 8] = {1}, value = 5, n_hidden = 0;
	struct flip f = {0};
	pthread_t thread;
	uint8_t *entry;

	must(!region_new_memfd("flip", 1 << 16, false, &f.region, NULL));
	must(!table_exact_new(f.region, &conf, &f.table, NULL));
	must(!table_exact_set(f.table, key, &value, &entry));
	f.head = (uint64_t *)entry;
	must(!pthread_create(&thread, NULL, flip_run, &f));
	for (uint32_t i = 0; i < N_FLIP_LOOKS; i++) {
		const struct sluice_exact_view *v = table_exact_view(f.table);
		struct sluice_exact_answers a;

		/* What find does at each slot, without a second try. */
		for (uint32_t j = 0; j < N_FLIP_COMPARED; j++)
			n_hidden += !sluice_entry_is((uint8_t *)f.head, 1, key,
						     sizeof(key));
		n_hidden += sluice_exact_find(v, 1, key, sizeof(key), &entry) !=
			    SLUICE_YES;
		n_hidden += sluice_exact_get(v, 1, key, sizeof(key), &value) !=
			    SLUICE_YES;
		sluice_exact_find_batch(v, 1, key, 1, &a);
		n_hidden += a.yes != 1;
	}
	sluice_store32_relaxed(&f.stop, 1);
	pthread_join(thread, NULL);
	printf("# hidden %llu times\n", (unsigned long long)n_hidden);
	table_exact_free(f.table);
	region_free(f.region);
	return n_hidden == 0;
}

int main(int argc, char **argv)
{
	uint64_t seed = rng_secret() % 1000000000, n_looks = 3000000;
	bool threads = false, ok, flips_ok;
	int opt;

	while ((opt = getopt(argc, argv, "ts:")) != -1) {
		if (opt == 't')
			threads = true;
		else if (opt == 's')
			seed = strtoull(optarg, NULL, 0);
		else
			return 2;
	}
	if (optind < argc)
		n_looks = strtoull(argv[optind], NULL, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n# seed %llu\n1..2\n", (unsigned long long)seed);
	ok = torture(seed, n_looks, threads);
	printf("%sok 1 - readers see all of a set or nothing\n",
	       ok ? "" : "not ");
	flips_ok = flips_hide_nothing(seed);
	printf("%sok 2 - an entry is found while its state changes\n",
	       flips_ok ? "" : "not ");
	return !ok || !flips_ok;
}
