/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks through a table while its writer works at it. Some keys stay: they are
 * moved about by the insertion of others, and every walk must meet each of them
 * exactly once. The others come, go and change: a walk may or may not meet
 * them, but what it meets is a value that was stored under that key, whole.
 *
 * The reader is another process, or, for ThreadSanitizer, another thread.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "base/rng.h"
#include "region/check.h"
#include "region/region_fake.h"
#include "table/exact.h"

#define N_MAX 4000u
#define N_STAY 1000u /* keys 0 to N_STAY - 1 stay, from the beginning */
#define N_KEYS 5000u /* that there are: with all of them it would be full */
#define KEY_WORDS 2u
#define VALUE_WORDS 6u
#define N_WALKS 2000u

struct torture {
	struct region *region;
	struct table_exact *table;
	uint32_t *done; /* shared by both: the reader has seen enough */
	uint64_t seed;
};

/* A key says its number twice, a value its key and, over and over, a version. */
static void make_key(uint32_t n, uint64_t key[KEY_WORDS])
{
	key[0] = n;
	key[1] = ~(uint64_t)n;
}

static void make_value(uint32_t n, uint64_t version,
		       uint64_t value[VALUE_WORDS])
{
	value[0] = n;
	for (uint32_t i = 1; i < VALUE_WORDS; i++)
		value[i] = version;
}

static bool is_whole(const uint64_t *key, const uint64_t *value)
{
	if (key[0] >= N_KEYS || key[1] != ~key[0] || value[0] != key[0])
		return false;
	for (uint32_t i = 2; i < VALUE_WORDS; i++)
		if (value[i] != value[1])
			return false;
	return true;
}

/* ---- The writer ---- */

static int set(struct torture *t, uint32_t n, uint64_t version)
{
	uint64_t key[KEY_WORDS], value[VALUE_WORDS];

	make_key(n, key);
	make_value(n, version, value);
	return table_exact_set(t->table, key, value, NULL);
}

static void *write_until_done(void *arg)
{
	struct torture *t = arg;
	struct rng r = rng_of(t->seed);
	uint64_t n_ops = 0;

	while (!sluice_load32_relaxed(t->done)) {
		uint32_t n = N_STAY + rng_below(&r, N_KEYS - N_STAY);
		uint64_t key[KEY_WORDS];

		/* One of three goes: full most of the time. */
		make_key(n, key);
		if (rng_below(&r, 3) == 0)
			(void)table_exact_del(t->table, key);
		else
			(void)set(t, n, rng_next(&r));
		/* Who only copies needs no grace period. */
		table_exact_reclaim(t->table, table_exact_mark(t->table));
		n_ops++;
	}
	printf("# %llu changes, %u of %u entries at last\n",
	       (unsigned long long)n_ops, table_exact_n_used(t->table), N_MAX);
	CHECK(table_exact_n_used(t->table) > N_MAX * 8 / 10);
	return NULL;
}

/* ---- The reader ---- */

static void walk(const struct sluice_exact_view *v, uint64_t *n_met)
{
	static uint8_t met[N_KEYS];
	uint64_t key[KEY_WORDS], value[VALUE_WORDS];
	uint32_t idx = 0;

	memset(met, 0, sizeof(met));
	while (sluice_reader_next(v, 1, &idx, key, value)) {
		++*n_met;
		if (is_whole(key, value))
			met[key[0]]++;
		else
			CHECK(false);
	}
	for (uint32_t n = 0; n < N_STAY; n++)
		CHECK_EQ(met[n], 1);
}

static void walk_until_done(struct torture *t, const void *mem)
{
	static struct region_shape shape;
	uint64_t n_met = 0;

	CHECK_EQ(region_shape_check(mem, t->region->len, &shape, NULL), 0);
	for (uint32_t i = 0; i < N_WALKS && !test_.failed; i++)
		walk(&shape.views[0], &n_met);
	sluice_store32_relaxed(t->done, 1);
	printf("# %u walks met %llu entries\n", N_WALKS,
	       (unsigned long long)n_met);
}

/* ---- Both ---- */

static void begin(struct torture *t)
{
	struct table_exact_conf conf = {
		.name = "flows",
		.kind = SLUICE_TABLE_FLOWS,
		.n_max = N_MAX,
		.key_len = KEY_WORDS * 8,
		.value_len = VALUE_WORDS * 8,
		.key_layout = 1,
		.seed = test_seed(),
	};

	*t = (struct torture){.seed = test_seed()};
	t->region = fake_region(SLUICE_BACKING_MEMFD,
				table_exact_len(&conf) + (1 << 16));
	t->done = mmap(NULL, sizeof(*t->done), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (t->done == MAP_FAILED ||
	    table_exact_new(t->region, &conf, &t->table, NULL))
		abort();
	for (uint32_t n = 0; n < N_STAY; n++)
		CHECK_EQ(set(t, n, n), 0);
	for (uint32_t n = N_STAY; n < N_MAX; n++)
		(void)set(t, n, n);
}

static void end(struct torture *t)
{
	munmap(t->done, sizeof(*t->done));
	table_exact_free(t->table);
	region_free(t->region);
}

static void a_process_walks_while_the_writer_works(void)
{
	int status = -1;
	struct torture t;
	pid_t pid;

	begin(&t);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		void *mem = mmap(NULL, t.region->len, PROT_READ, MAP_SHARED,
				 t.region->fd, 0);

		walk_until_done(&t, mem);
		fflush(stdout);
		_exit(test_.failed);
	}
	write_until_done(&t);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	end(&t);
}

static void a_thread_walks_while_the_writer_works(void)
{
	struct torture t;
	pthread_t writer;

	begin(&t);
	if (pthread_create(&writer, NULL, write_until_done, &t))
		abort();
	walk_until_done(&t, t.region->head);
	pthread_join(writer, NULL);
	end(&t);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(a_process_walks_while_the_writer_works);
	TEST(a_thread_walks_while_the_writer_works);
	return test_done();
}
