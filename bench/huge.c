/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 2 MiB and 1 GiB pages for a benchmark. The counts are the whole machine's and
 * others change them too, so we add to them and later take the same number off. This is a
 * program's only state, and static, because signal handlers and exit need it.
 */
#include "bench/bench.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/must.h"

#define HUGE (2ull << 20)
#define GIANT (1ull << 30)
#define COUNT_FILE "/proc/sys/vm/nr_hugepages"
#define GIANT_FILE "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages"

static struct pages {
	const char *count_file;
	uint64_t len; /* of one */
	long added;   /* pages; 0 once put back */
} huge = {COUNT_FILE, HUGE, 0}, giant = {GIANT_FILE, GIANT, 0};

/* A signal handler may not call strtol() or snprintf(). */
static long digits_read(const char *text)
{
	long n = 0;

	while (*text >= '0' && *text <= '9')
		n = n * 10 + (*text++ - '0');
	return n;
}

/* Writes n before end; returns where it begins. */
static char *digits_write(char *end, long n)
{
	do {
		*--end = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	return end;
}

static long count_read(const struct pages *p)
{
	char text[32] = "";
	int fd = open(p->count_file, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 ? digits_read(text) : -1;
}

static bool count_write(const struct pages *p, long n)
{
	char text[32];
	char *end = text + sizeof(text);
	char *start = digits_write(end, n);
	int fd = open(p->count_file, O_WRONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, start, (size_t)(end - start)) == end - start;
	close(fd);
	return ok;
}

static void take_off(struct pages *p)
{
	long n = count_read(p);

	if (p->added > 0 && n >= p->added)
		count_write(p, n - p->added);
	p->added = 0;
}

static void put_back(void)
{
	take_off(&huge);
	take_off(&giant);
}

static void on_signal(int sig)
{
	put_back();
	signal(sig, SIG_DFL);
	raise(sig);
}

static bool reserve(struct pages *p, uint64_t len)
{
	long want = (long)((len + p->len - 1) / p->len);
	long had = count_read(p);

	if (had < 0 || !count_write(p, had + want)) {
		bench_say("no pages of %lu MiB: %s is not ours to write",
			  (unsigned long)(p->len >> 20), p->count_file);
		return false;
	}
	p->added = count_read(p) - had;
	atexit(put_back);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGHUP, on_signal);
	signal(SIGABRT, on_signal);
	signal(SIGSEGV, on_signal);
	if (p->added < want) {
		bench_say("only %ld of %ld pages of %lu MiB to be had",
			  p->added, want, (unsigned long)(p->len >> 20));
		return false;
	}
	return true;
}

bool bench_huge_reserve(uint64_t len)
{
	return reserve(&huge, len);
}

bool bench_giant_reserve(uint64_t len)
{
	return reserve(&giant, len);
}

static uint64_t round_up(uint64_t len)
{
	return (len + HUGE - 1) / HUGE * HUGE;
}

void *bench_alloc(uint64_t len)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
	void *mem = mmap(NULL, round_up(len), PROT_READ | PROT_WRITE,
			 flags | MAP_HUGETLB, -1, 0);

	if (mem == MAP_FAILED)
		mem = mmap(NULL, round_up(len), PROT_READ | PROT_WRITE, flags,
			   -1, 0);
	must(mem != MAP_FAILED);
	return mem;
}

void bench_free(void *mem, uint64_t len)
{
	munmap(mem, round_up(len));
}
