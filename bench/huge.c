/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 2 MiB pages for a benchmark. The count is the whole machine's and others
 * change it too, so we add to it and later take the same number off. This is a
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
#define COUNT_FILE "/proc/sys/vm/nr_hugepages"

static struct {
	long added; /* pages; 0 once put back */
} huge;

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

static long count_read(void)
{
	char text[32] = "";
	int fd = open(COUNT_FILE, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 ? digits_read(text) : -1;
}

static bool count_write(long n)
{
	char text[32];
	char *end = text + sizeof(text);
	char *start = digits_write(end, n);
	int fd = open(COUNT_FILE, O_WRONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, start, (size_t)(end - start)) == end - start;
	close(fd);
	return ok;
}

static void put_back(void)
{
	long n = count_read();

	if (huge.added > 0 && n >= huge.added)
		count_write(n - huge.added);
	huge.added = 0;
}

static void on_signal(int sig)
{
	put_back();
	signal(sig, SIG_DFL);
	raise(sig);
}

bool bench_huge_reserve(uint64_t len)
{
	long want = (long)((len + HUGE - 1) / HUGE);
	long had = count_read();

	if (had < 0 || !count_write(had + want)) {
		bench_say("no 2 MiB pages: " COUNT_FILE
			  " is not ours to write");
		return false;
	}
	huge.added = count_read() - had;
	atexit(put_back);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGHUP, on_signal);
	signal(SIGABRT, on_signal);
	signal(SIGSEGV, on_signal);
	if (huge.added < want) {
		bench_say("only %ld of %ld pages of 2 MiB to be had",
			  huge.added, want);
		return false;
	}
	return true;
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
