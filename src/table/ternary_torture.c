/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Torture of the ternary table: readers look up keys whose best lasting rule is
 * known, while a writer lets other rules come and go. No answer is worse than
 * that rule, and none is of a rule that does not match.
 *
 *     ternary_torture [-t] [-s SEED] [LOOKUPS]
 *
 * Readers are processes that map the region read-only, or threads with -t (for
 * ThreadSanitizer). They have no section, so what dies is used again at once.
 * Rules are of a small universe: they collide in chains, tuples are made and
 * given back, the order of tuples changes all the time. Of the rules
 *
 *     half last      set once
 *     a quarter are  replaced again and again, alone and by change sets that
 *                    settle at once
 *     the rest       come and go; they count if they are found, and match
 *
 * Busy is an answer that readers must bear; it is counted, and asked again.
 * Every other reading process is held up for a moment, at whatever instruction
 * it is, some thousand times a second.
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
#include "region/check.h"
#include "table/change.h"
#include "table/ternary.h"

#define KEY_WORDS 2u
#define N_READERS 2u
#define N_KEYS 512u
#define OPS_MIN 4000u
#define BUSY_MAX 10000000u /* in a row, for one key */
#define HOLD_EVERY_US 300
#define HOLD_NS 100000u

struct a_rule {
	uint64_t key[KEY_WORDS];
	uint64_t mask[KEY_WORDS];
	uint32_t priority;
	bool is_in;
};

struct result {
	uint64_t n_lookups;
	uint64_t n_busy;
	uint64_t n_worse;
	uint64_t n_wrong;
};

struct torture {
	/* Constant while readers run. */
	bool threads;
	uint64_t seed;
	struct region *region;
	struct table_ternary *table;
	uint32_t n_rules, n_last, n_always;
	uint64_t (*keys)[KEY_WORDS]; /* [N_KEYS] */
	int64_t *best;		     /* of the lasting ones; -1: none */
	uint64_t n_lookups;	     /* for each reader */
	struct result *results;	     /* [N_READERS], shared with them */
	uint32_t *n_done;	     /* threads at their end */
	uint32_t *enough;	     /* was done by the writer */

	/* The writer's. */
	struct a_rule *rules;
	struct change_log *log;
	struct rng rng;
	uint64_t n_version;
	uint64_t n_ops;
};

struct reader {
	const struct torture *t;
	const struct sluice_region *head;
	struct sluice_ternary_view view;
	struct rng rng;
	struct result r;
	uint32_t no;
};

static bool matches(const struct a_rule *r, const uint64_t *key)
{
	uint64_t diff = 0;

	for (uint32_t w = 0; w < KEY_WORDS; w++)
		diff |= (r->key[w] ^ key[w]) & r->mask[w];
	return !diff;
}

static uint64_t mix(uint64_t number, uint64_t version)
{
	struct rng rng = rng_of(number << 40 ^ version);

	return rng_next(&rng);
}

/* ---- Readers. ---- */

/* True: there is an answer, and it was judged. */
static bool look(struct reader *r, uint32_t k)
{
	const struct torture *t = r->t;
	uint32_t version = sluice_version(r->head);
	const struct a_rule *is;
	uint32_t priority = 0;
	uint64_t value[3] = {0};

	switch (sluice_ternary_get(&r->view, t->keys[k], version, &priority,
				   value)) {
	case SLUICE_BUSY:
		return false;
	case SLUICE_NO:
		if (!sluice_version_holds(r->head, version))
			return false;
		r->r.n_worse += t->best[k] >= 0;
		return true;
	case SLUICE_YES:
		break;
	}
	if (value[0] >= t->n_rules || value[2] != mix(value[0], value[1])) {
		r->r.n_wrong++;
		return true;
	}
	is = &t->rules[value[0]];
	r->r.n_wrong += !matches(is, t->keys[k]) || is->priority != priority;
	r->r.n_worse += (int64_t)priority < t->best[k];
	return true;
}

static void *reader_main(void *arg)
{
	struct reader *r = arg;
	const struct torture *t = r->t;

	while (r->r.n_lookups < t->n_lookups ||
	       !sluice_load32_relaxed(t->enough)) {
		uint32_t k = rng_below(&r->rng, N_KEYS);
		uint32_t n = 0;

		while (!look(r, k) && n++ < BUSY_MAX)
			r->r.n_busy++;
		r->r.n_worse += n >= BUSY_MAX;
		r->r.n_lookups++;
		if (r->r.n_worse + r->r.n_wrong > 1000)
			break;
	}
	t->results[r->no] = r->r;
	__atomic_fetch_add(t->n_done, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* Maps the region read-only and finds the table, as any process may. */
static void view_open(struct reader *r)
{
	const struct region *region = r->t->region;
	struct sluice_region *head =
		mmap(NULL, region->len, PROT_READ, MAP_SHARED, region->fd, 0);
	const struct sluice_table_desc *d;

	must(head != MAP_FAILED);
	must(!sluice_region_check(head, region->len, NULL));
	d = sluice_table_find(head, SLUICE_TABLE_OWN);
	must(d);
	must(!region_check_ternary((const uint8_t *)head, d, &r->view, NULL));
	r->head = head;
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

/* ---- The writer. ---- */

static struct table_ternary_rule named(const struct a_rule *r)
{
	return (struct table_ternary_rule){r->key, r->mask, r->priority};
}

static void value_of(struct torture *t, uint32_t i, uint64_t value[3])
{
	value[0] = i;
	value[1] = t->n_version++;
	value[2] = mix(i, value[1]);
}

static bool set(struct torture *t, uint32_t i)
{
	struct table_ternary_rule rule = named(&t->rules[i]);
	uint64_t value[3];

	value_of(t, i, value);
	return !table_ternary_set(t->table, &rule, value, NULL);
}

static void come_or_go(struct torture *t)
{
	uint32_t i = t->n_always + rng_below(&t->rng, t->n_rules - t->n_always);
	struct table_ternary_rule rule = named(&t->rules[i]);

	if (t->rules[i].is_in)
		must(table_ternary_del(t->table, &rule));
	t->rules[i].is_in = !t->rules[i].is_in && set(t, i);
}

/* Two of those that are replaced, in one step. */
static void replace_two(struct torture *t)
{
	uint32_t i =
		t->n_last + rng_below(&t->rng, t->n_always - t->n_last - 1);
	struct table_ternary_rule rules[2] = {named(&t->rules[i]),
					      named(&t->rules[i + 1])};
	struct change_item items[2];
	uint64_t values[2][3];
	uint32_t bad;

	for (uint32_t j = 0; j < 2; j++) {
		value_of(t, i + j, values[j]);
		items[j] = (struct change_item){
			.table = table_ternary_change(t->table),
			.kind = CHANGE_SET,
			.key = &rules[j],
			.value = values[j],
		};
	}
	must(!change_apply(t->log, items, 2, &bad, NULL));
	must(change_settle(t->log, change_mark(t->log), 2) == 2);
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
		for (uint32_t i = 0; i < 40; i++) {
			switch (rng_below(&t->rng, 4)) {
			case 0:
				must(set(t,
					 t->n_last +
						 rng_below(&t->rng,
							   t->n_always -
								   t->n_last)));
				break;
			case 1:
				replace_two(t);
				break;
			default:
				come_or_go(t);
			}
			if (i % 8 == 0)
				table_ternary_reclaim(t->table,
						      table_ternary_mark(
							      t->table));
			t->n_ops++;
		}
		if (t->n_ops > OPS_MIN)
			sluice_store32_relaxed(t->enough, 1);
		/* Else readers are busy all the time. */
		for (uint64_t until = clock_now_ns() + 20000;
		     clock_now_ns() < until;)
			;
	}
}

/* ---- Setting up. ---- */

static uint64_t some_bits(struct rng *r, uint32_t n)
{
	return rng_next(r) >> 32 << 12 & ((1ull << (12 + n)) - 1);
}

static bool is_known(const struct torture *t, uint32_t i)
{
	const struct a_rule *a = &t->rules[i];

	for (uint32_t j = 0; j < i; j++)
		if (t->rules[j].priority == a->priority &&
		    !memcmp(t->rules[j].mask, a->mask, sizeof(a->mask)) &&
		    matches(a, t->rules[j].key))
			return true;
	return false;
}

static void choose(struct torture *t)
{
	for (uint32_t i = 0; i < t->n_rules;) {
		struct a_rule *a = &t->rules[i];

		for (uint32_t w = 0; w < KEY_WORDS; w++) {
			a->mask[w] = some_bits(&t->rng, 6);
			a->key[w] = some_bits(&t->rng, 6);
		}
		a->priority = rng_below(&t->rng, 200);
		i += !is_known(t, i);
	}
	for (uint32_t k = 0; k < N_KEYS; k++) {
		for (uint32_t w = 0; w < KEY_WORDS; w++)
			t->keys[k][w] = some_bits(&t->rng, 6);
		t->best[k] = -1;
		for (uint32_t i = 0; i < t->n_always; i++)
			if (t->rules[i].priority > t->best[k] &&
			    matches(&t->rules[i], t->keys[k]))
				t->best[k] = t->rules[i].priority;
	}
}

static void torture_init(struct torture *t, uint32_t n_rules)
{
	struct table_ternary_conf conf = {
		.name = "rules",
		.kind = SLUICE_TABLE_OWN,
		.n_max = n_rules,
		.key_len = KEY_WORDS * 8,
		.value_len = 24,
		.n_tuples = 1024,
		.seed = t->seed,
	};

	t->rng = rng_of(t->seed + n_rules);
	t->n_rules = n_rules;
	t->n_last = n_rules / 2;
	t->n_always = n_rules * 3 / 4;
	must(!region_new_memfd("torture", table_ternary_len(&conf) + (1 << 16),
			       false, &t->region, NULL));
	must(!table_ternary_new(t->region, &conf, &t->table, NULL));
	must(!change_log_new(t->region, &t->log));
	t->rules = calloc(n_rules, sizeof(*t->rules));
	t->keys = calloc(N_KEYS, sizeof(*t->keys));
	t->best = calloc(N_KEYS, sizeof(*t->best));
	must(t->rules && t->keys && t->best);
	t->results = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(t->results != MAP_FAILED);
	t->n_done = (uint32_t *)(t->results + N_READERS);
	t->enough = t->n_done + 1;
	choose(t);
	for (uint32_t i = 0; i < t->n_always; i++)
		must(set(t, i));
}

static void torture_fini(struct torture *t)
{
	munmap(t->results, 4096);
	free(t->best);
	free(t->keys);
	free(t->rules);
	change_log_free(t->log);
	table_ternary_free(t->table);
	region_free(t->region);
}

static void run_threads(struct torture *t, struct reader *readers)
{
	pthread_t threads[N_READERS];

	for (uint32_t i = 0; i < N_READERS; i++) {
		readers[i].view = *table_ternary_view(t->table);
		readers[i].head = t->region->head;
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
			view_open(&readers[i]);
			if (i % 2)
				hold_up();
			reader_main(&readers[i]);
			_exit(0);
		}
	}
	writer_run(t);
}

/* One table; returns whether all was well. */
static bool torture_run(struct torture *t, uint32_t n_rules)
{
	struct reader readers[N_READERS] = {0};
	struct result sum = {0};
	uint64_t start = clock_now_ns();
	const struct sluice_ternary *s;

	torture_init(t, n_rules);
	t->n_ops = 0;
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
		sum.n_worse += t->results[i].n_worse;
		sum.n_wrong += t->results[i].n_wrong;
	}
	s = table_ternary_view(t->table)->table;
	printf("# %u rules, %u tuples: %llu lookups, %llu operations, %llu "
	       "orders, %.1f s: %llu worse, %llu wrong, %llu again\n",
	       n_rules, table_ternary_n_tuples(t->table),
	       (unsigned long long)sum.n_lookups, (unsigned long long)t->n_ops,
	       (unsigned long long)s->order,
	       (double)(clock_now_ns() - start) / 1e9,
	       (unsigned long long)sum.n_worse, (unsigned long long)sum.n_wrong,
	       (unsigned long long)sum.n_busy);
	torture_fini(t);
	return !sum.n_worse && !sum.n_wrong;
}

int main(int argc, char **argv)
{
	static const uint32_t sizes[] = {16, 120, 1000};
	struct torture t = {.n_lookups = 20000000};
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
	t.n_lookups /= N_READERS * ARRAY_LEN(sizes);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n# seed %llu\n1..%u\n",
	       (unsigned long long)t.seed, (unsigned)ARRAY_LEN(sizes));
	for (uint32_t i = 0; i < ARRAY_LEN(sizes); i++) {
		bool ok = torture_run(&t, sizes[i]);

		n_bad += !ok;
		printf("%sok %u - no answer is worse than a rule that lasts, "
		       "among %u\n",
		       ok ? "" : "not ", i + 1, sizes[i]);
	}
	return n_bad ? 1 : 0;
}
