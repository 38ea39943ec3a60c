/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer that adopts a region, adds a table, publishes it and leaves, is
 * stopped after each of its instructions. Whenever the memory has changed, what
 * the survivors find if it died just there is put to the test: the region is
 * sound, the old tables are whole, the new one is whole or unknown, and the
 * next writer can go on.
 *
 * Stepping by ptrace needs no help of the code under test and sees every store,
 * those of the compiler and of memcpy() included.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>

#include "region/region_fake.h"
#include "sluice/atomic.h"
#include "sluice/reader.h"

#define LEN (64u << 10)
#define NEW_KIND 60u
#define NEW_LEN 1000u
#define NEW_BYTE 0x5a
#define DEAD_PID 0x7ffffff0u /* above every pid_max */

struct crash {
	int fd;
	const uint8_t *live; /* the region, read-only */
	uint8_t *last;	     /* as it was at the last look */
	uint32_t n_states;
};

/* ---- The victim ---- */

static void write_region(int fd)
{
	struct sluice_table_desc d = {
		.name = "new",
		.kind = NEW_KIND,
		.alg = SLUICE_ALG_ARRAY,
		.n_max = NEW_LEN,
		.len = NEW_LEN,
		.value_len = 1,
	};
	struct region *r;
	uint32_t off;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(FAKE_SKIP);
	raise(SIGSTOP);
	if (region_adopt(fd, &r, NULL) || region_table_add(r, &d, &off, NULL))
		_exit(1);
	memset(region_at(r, off, NEW_LEN), NEW_BYTE, NEW_LEN);
	region_table_publish(r);
	region_free(r);
	_exit(0);
}

/* ---- The survivors ---- */

static void check_tables(const struct region *r)
{
	const struct sluice_table_desc *d = region_table(r, NEW_KIND);
	uint64_t key[SLUICE_KEY_LEN_MAX / 8], value[7];
	struct sluice_reader reader;
	const uint8_t *at;

	CHECK_EQ(sluice_reader_open_mem(r->head, r->len, &reader, NULL), 0);
	memset(key, SAMPLE_FLOW_BYTE, sizeof(key));
	CHECK_EQ(sluice_exact_get(&reader.flows, 1, key, 64, value),
		 SLUICE_YES);
	CHECK_EQ(value[0], 1);
	CHECK_EQ(r->head->n_tables, d ? 7 : 6);
	if (!d)
		return;
	at = region_at(r, d->off, d->len);
	CHECK_EQ(d->len, NEW_LEN);
	CHECK(at && at[0] == NEW_BYTE && !memcmp(at, at + 1, NEW_LEN - 1));
}

/* Adds one more table to what the dead left: it must be clean. */
static void go_on(struct region *r)
{
	static const uint8_t zeros[2 * NEW_LEN];
	struct sluice_table_desc d = {
		.name = "next",
		.kind = NEW_KIND + 1,
		.alg = SLUICE_ALG_ARRAY,
		.n_max = 1,
		.len = sizeof(zeros),
		.value_len = 1,
	};
	uint32_t off = 0;

	CHECK_EQ(region_table_add(r, &d, &off, NULL), 0);
	CHECK(!memcmp(region_at(r, off, d.len), zeros, sizeof(zeros)));
	region_table_publish(r);
	CHECK_EQ(sluice_region_check(r->head, r->len, NULL), 0);
}

/* On a copy, for the victim lives on. */
static void survive(const struct crash *c, pid_t victim)
{
	struct sluice_region *h;
	struct region *copy, *next;
	struct why why = {0};
	int fd;

	if (region_new_memfd("copy", LEN, false, &copy, &why))
		abort();
	h = copy->head;
	memcpy(h, c->last, LEN);
	/* As if the victim were dead: nobody has its pid. */
	if (h->writer_pid == (uint64_t)victim)
		h->writer_pid = DEAD_PID;
	fd = dup(copy->fd);
	if (region_adopt(fd, &next, &why)) {
		printf("# state %u: %s\n", c->n_states, why.text);
		CHECK(false);
		close(fd);
	} else {
		CHECK(next->head->generation > 1);
		check_tables(next);
		go_on(next);
		region_free(next);
	}
	region_free(copy);
}

/* Steps the victim to its end. Its exit status, or -1. */
static int step_through(struct crash *c, pid_t victim)
{
	int status;

	CHECK_EQ(waitpid(victim, &status, 0), victim);
	while (WIFSTOPPED(status)) {
		if (memcmp(c->last, c->live, LEN) != 0) {
			memcpy(c->last, c->live, LEN);
			c->n_states++;
			survive(c, victim);
		}
		if (ptrace(PTRACE_SINGLESTEP, victim, NULL, NULL) ||
		    waitpid(victim, &status, 0) != victim)
			return -1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_writer_may_die_at_any_instruction(void)
{
	struct region *r = fake_region(SLUICE_BACKING_MEMFD, LEN);
	struct crash c = {.last = malloc(LEN)};
	pid_t victim;
	int status;

	if (!r) {
		free(c.last);
		return;
	}
	c.fd = dup(r->fd);
	c.live = mmap(NULL, LEN, PROT_READ, MAP_SHARED, r->fd, 0);
	if (!c.last || c.live == MAP_FAILED)
		abort();
	fake_fill(r);
	region_free(r);
	memcpy(c.last, c.live, LEN);
	fflush(stdout);
	victim = fork();
	if (victim == 0)
		write_region(c.fd);
	status = step_through(&c, victim);
	printf("# %u states of the memory\n", c.n_states);
	if (status == FAKE_SKIP) {
		test_skip("not permitted to trace a child");
	} else {
		CHECK_EQ(status, 0);
		/* The descriptor alone is 8 words, the filling many more. */
		CHECK(c.n_states > 20);
	}
	munmap((void *)(uintptr_t)c.live, LEN);
	close(c.fd);
	free(c.last);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(a_writer_may_die_at_any_instruction);
	return test_done();
}
