/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_TEST_H
#define BASE_TEST_H

/*
 * base/test - tests as TAP (Test Anything Protocol 13), one binary per module
 *
 *     int main(int argc, char **argv)
 *     {
 *             test_init(argc, argv);
 *             TEST(an_empty_table_finds_nothing);
 *             return test_done();
 *     }
 *
 * A failed CHECK marks its test and goes on. The seed is printed; "-s SEED"
 * repeats a run, a word runs the tests whose names contain it. For one binary's
 * main file only: the state is static.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct {
	uint64_t seed;
	const char *only;
	uint32_t n, n_failed;
	bool failed;
	const char *skip;
} test_;

static inline void test_init(int argc, char **argv)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	test_.seed = (uint64_t)ts.tv_sec * 1000003u + (uint64_t)ts.tv_nsec;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-s") == 0 && i + 1 < argc)
			test_.seed = strtoull(argv[++i], NULL, 0);
		else
			test_.only = argv[i];
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n# seed %llu\n", (unsigned long long)test_.seed);
}

static inline uint64_t test_seed(void)
{
	return test_.seed;
}

/* Says that the running test cannot run here, and why; then return. */
static inline void test_skip(const char *reason)
{
	test_.skip = reason;
}

static inline void test_run_(const char *name, void (*fn)(void))
{
	if (test_.only && !strstr(name, test_.only))
		return;
	test_.failed = false;
	test_.skip = NULL;
	fn();
	test_.n++;
	test_.n_failed += test_.failed;
	printf("%sok %u - %s%s%s\n", test_.failed ? "not " : "", test_.n, name,
	       test_.skip ? " # SKIP " : "", test_.skip ? test_.skip : "");
}

#define TEST(fn) test_run_(#fn, fn)

#define CHECK(x)                                                         \
	do {                                                             \
		if (!(x)) {                                              \
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #x); \
			test_.failed = true;                             \
		}                                                        \
	} while (0)

/* Both as unsigned 64 bits; prints them when they differ. */
#define CHECK_EQ(a, b)                                                        \
	do {                                                                  \
		uint64_t a_ = (uint64_t)(a), b_ = (uint64_t)(b);              \
		if (a_ != b_) {                                               \
			printf("# %s:%d: %s is %llu, %s is %llu\n", __FILE__, \
			       __LINE__, #a, (unsigned long long)a_, #b,      \
			       (unsigned long long)b_);                       \
			test_.failed = true;                                  \
		}                                                             \
	} while (0)

static inline int test_done(void)
{
	printf("1..%u\n", test_.n);
	return test_.n_failed ? 1 : 0;
}

#endif
