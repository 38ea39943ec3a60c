/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Litmus of a promise: counters are read where they are. While one counts
 * packets, another process (or thread) that only has the mapping reads: what
 * was counted before it looked is in what it sees, nothing goes back, the first
 * packet is there before the second comes, and at rest all is exact.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "region/region_fake.h"
#include "sluice/atomic.h"
#include "sluice/reader.h"

#define LEN (256u << 10)
#define PORT 3u
#define N_PACKETS 1000000u
#define FRAME_LEN 100u

struct counted {
	uint64_t flow_packets, flow_bytes, port_packets, port_bytes;
};

/* All by the functions that the command has. */
static struct counted look(const struct sluice_reader *r)
{
	struct sluice_port_stats sum;
	struct sluice_flow f = {0};
	struct sluice_key key;
	uint32_t idx = 0;

	CHECK(sluice_reader_next(&r->flows, 1, &idx, &key, &f));
	sluice_reader_stats(r, PORT, &sum);
	return (struct counted){f.n_packets, f.n_bytes, sum.rx_packets,
				sum.rx_bytes};
}

static bool is_at_least(struct counted a, struct counted b)
{
	return a.flow_packets >= b.flow_packets &&
	       a.flow_bytes >= b.flow_bytes &&
	       a.port_packets >= b.port_packets && a.port_bytes >= b.port_bytes;
}

static struct counted after(uint64_t n)
{
	return (struct counted){n, n * FRAME_LEN, n, n * FRAME_LEN};
}

static bool is_exactly(struct counted a, struct counted b)
{
	return is_at_least(a, b) && is_at_least(b, a);
}

/* ---- The two sides, and what they say to each other beside the region ---- */

struct talk {
	uint64_t n_counted; /* the writer's: packets so far */
	uint64_t n_steps __attribute__((aligned(64))); /* the reader's */
};

struct litmus {
	struct region *writer;
	struct talk *talk; /* shared by both, wherever they are */
};

static void wait_for(const uint64_t *word, uint64_t least)
{
	while (sluice_load64_acquire(word) < least)
		sched_yield();
}

static void count_packets(const struct litmus *l)
{
	struct region *r = l->writer;
	struct sluice_port_stats *s =
		region_at(r, region_table(r, SLUICE_TABLE_STATS)->off,
			  sizeof(*s) * SAMPLE_LANES * SLUICE_PORTS_MAX);
	struct sluice_exact_view v;
	uint8_t *entry;

	sluice_exact_view_init(
		&v, region_at(r, region_table(r, SLUICE_TABLE_FLOWS)->off, 1));
	entry = sluice_exact_entry(&v, 1);
	wait_for(&l->talk->n_steps, 1);
	for (uint64_t n = 1; n <= N_PACKETS; n++) {
		/* A lane has one writer; here the lanes take turns. */
		struct sluice_port_stats *lane =
			&s[n % SAMPLE_LANES * SLUICE_PORTS_MAX + PORT];

		sluice_flow_count(sluice_entry_value(entry, v.key_len),
				  FRAME_LEN, clock_coarse_ns());
		sluice_store64_relaxed(&lane->rx_packets, lane->rx_packets + 1);
		sluice_store64_relaxed(&lane->rx_bytes,
				       lane->rx_bytes + FRAME_LEN);
		sluice_store64_release(&l->talk->n_counted, n);
		if (n == 1)
			wait_for(&l->talk->n_steps, 2);
	}
}

static void read_packets(struct talk *t, const struct sluice_reader *r)
{
	struct counted now, last = {0};
	uint64_t told, n_looks = 0, n_fresh = 0;

	CHECK(is_exactly(look(r), after(0)));
	sluice_store64_release(&t->n_steps, 1);
	wait_for(&t->n_counted, 1);
	CHECK(is_exactly(look(r), after(1)));
	sluice_store64_release(&t->n_steps, 2);
	do {
		told = sluice_load64_acquire(&t->n_counted);
		now = look(r);
		CHECK(is_at_least(now, after(told)));
		CHECK(is_at_least(now, last));
		CHECK(is_at_least(after(N_PACKETS), now));
		n_fresh += !is_exactly(now, last);
		n_looks++;
		last = now;
	} while (told < N_PACKETS);
	CHECK(is_exactly(look(r), after(N_PACKETS)));
	printf("# %llu looks, %llu of them saw new packets\n",
	       (unsigned long long)n_looks, (unsigned long long)n_fresh);
	CHECK(n_fresh > 1);
}

static bool begin(struct litmus *l, enum sluice_backing b)
{
	l->writer = fake_region(b, LEN);
	if (!l->writer)
		return false;
	fake_fill(l->writer);
	l->talk = mmap(NULL, sizeof(*l->talk), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (l->talk == MAP_FAILED)
		abort();
	return true;
}

static void end(struct litmus *l)
{
	munmap(l->talk, sizeof(*l->talk));
	region_free(l->writer);
}

/* ---- Apart: two processes ---- */

static void read_apart(const struct litmus *l)
{
	struct sluice_reader r;

	CHECK_EQ(sluice_reader_open_fd(l->writer->fd, &r, NULL), 0);
	if (test_.failed)
		return;
	read_packets(l->talk, &r);
	sluice_reader_close(&r);
}

static void a_process_sees_what_was_counted(enum sluice_backing b)
{
	struct litmus l;
	int status = -1;
	pid_t pid;

	if (!begin(&l, b))
		return;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		read_apart(&l);
		fflush(stdout);
		/* Whatever happened, the writer must not wait for us. */
		sluice_store64_release(&l.talk->n_steps, 2);
		_exit(test_.failed);
	}
	count_packets(&l);
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
	end(&l);
}

static void a_process_sees_what_was_counted_in_a_memfd(void)
{
	a_process_sees_what_was_counted(SLUICE_BACKING_MEMFD);
}

static void a_process_sees_what_was_counted_in_an_arena(void)
{
	a_process_sees_what_was_counted(SLUICE_BACKING_ARENA);
}

/* ---- Together: two threads, so that ThreadSanitizer can look on ---- */

static void *count_thread(void *arg)
{
	count_packets(arg);
	return NULL;
}

static void a_thread_sees_what_was_counted(void)
{
	struct sluice_reader r;
	struct litmus l;
	pthread_t thread;

	if (!begin(&l, SLUICE_BACKING_MEMFD))
		return;
	CHECK_EQ(sluice_reader_open_mem(l.writer->head, l.writer->len, &r,
					NULL),
		 0);
	if (pthread_create(&thread, NULL, count_thread, &l))
		abort();
	read_packets(l.talk, &r);
	pthread_join(thread, NULL);
	sluice_reader_close(&r);
	end(&l);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(a_process_sees_what_was_counted_in_a_memfd);
	TEST(a_process_sees_what_was_counted_in_an_arena);
	TEST(a_thread_sees_what_was_counted);
	return test_done();
}
