/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGION_REGION_FAKE_H
#define REGION_REGION_FAKE_H

/* region - what the tests of regions and readers share */

#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "region/region.h"
#include "region/sample_fake.h"

#define FAKE_SKIP 77 /* exit status of a child that cannot run its part */

static const enum sluice_backing fake_backings[] = {SLUICE_BACKING_MEMFD,
						    SLUICE_BACKING_ARENA};

#if defined(__SANITIZE_THREAD__)
#define FAKE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FAKE_TSAN 1
#endif
#endif

static inline const char *fake_name(enum sluice_backing b)
{
	return b == SLUICE_BACKING_ARENA ? "arena" : "memfd";
}

/*
 * A region, or NULL where this kernel or its rights do not give one; then the
 * test is marked as failed, or as skipped with the reason.
 */
static inline struct region *fake_region(enum sluice_backing b, uint64_t len)
{
	static char reason[WHY_LEN + 16];
	struct why why = {0};
	struct region *r;
	int err;

#ifdef FAKE_TSAN
	if (b == SLUICE_BACKING_ARENA) {
		test_skip("arenas lie where ThreadSanitizer's shadow does");
		return NULL;
	}
#endif
	err = b == SLUICE_BACKING_ARENA
		      ? region_new_arena("fake", len, &r, &why)
		      : region_new_memfd("fake", len, false, &r, &why);
	if (!err)
		return r;
	snprintf(reason, sizeof(reason), "no arena: %s", why.text);
	if (b == SLUICE_BACKING_ARENA && (err == -EOPNOTSUPP || err == -EPERM))
		test_skip(reason);
	else
		CHECK_EQ(err, 0);
	return NULL;
}

/* Puts the sample's tables into r, through r's own functions. */
static inline void fake_fill(struct region *r)
{
	static uint8_t sample[SAMPLE_LEN] __attribute__((aligned(64)));
	struct sluice_region *h = (void *)sample;

	memset(sample, 0, sizeof(sample));
	sample_make(sample);
	for (uint32_t i = 0; i < h->n_tables; i++) {
		struct sluice_table_desc *d = sample_desc(sample, i);
		uint32_t off = 0;

		CHECK_EQ(region_table_add(r, d, &off, NULL), 0);
		memcpy(region_at(r, off, d->len), sample_table(sample, i),
		       d->len);
		region_table_publish(r);
	}
}

/* Runs part of a test in a process of its own. */
static inline void fake_child(void (*fn)(void *), void *arg)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		test_.failed = false;
		fn(arg);
		fflush(stdout);
		_exit(test_.failed ? 1 : test_.skip ? FAKE_SKIP : 0);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == FAKE_SKIP)
		test_skip("not permitted to make namespaces");
	else
		CHECK_EQ(status, 0);
}

#endif
