/* SPDX-License-Identifier: Apache-2.0 */
/* The caller is pinned as well, so that the two never share a core. */
#include "bench/pair.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/must.h"

struct pair {
	void (*fn)(void *arg);
	void *arg;
	pthread_t thread;
	bool running; /* atomic */
	bool stop;    /* atomic */
	cpu_set_t before;
};

/* This thread before others, or as they; without rights nothing happens. */
static void hurry(bool on)
{
	const struct sched_param first = {.sched_priority = 1}, usual = {0};

	(void)sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER,
				 on ? &first : &usual);
}

static void *again_and_again(void *arg)
{
	struct pair *p = arg;

	hurry(true);
	while (!__atomic_load_n(&p->stop, __ATOMIC_RELAXED)) {
		p->fn(p->arg);
		__atomic_store_n(&p->running, true, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* The nth of the cores that we may use. */
static cpu_set_t core(const cpu_set_t *of, int n)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	for (size_t i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, of) && n-- == 0)
			CPU_SET(i, &one);
	return one;
}

struct pair *pair_start(void (*fn)(void *arg), void *arg)
{
	struct pair *p = calloc(1, sizeof(*p));
	cpu_set_t mine, other;

	must(p && !sched_getaffinity(0, sizeof(p->before), &p->before));
	if (CPU_COUNT(&p->before) < 2) {
		free(p);
		return NULL;
	}
	mine = core(&p->before, 0);
	other = core(&p->before, 1);
	p->fn = fn;
	p->arg = arg;
	must(!pthread_create(&p->thread, NULL, again_and_again, p));
	must(!pthread_setaffinity_np(p->thread, sizeof(other), &other));
	must(!sched_setaffinity(0, sizeof(mine), &mine));
	while (!__atomic_load_n(&p->running, __ATOMIC_RELAXED))
		sched_yield();
	hurry(true);
	return p;
}

void pair_stop(struct pair *p)
{
	hurry(false);
	__atomic_store_n(&p->stop, true, __ATOMIC_RELAXED);
	pthread_join(p->thread, NULL);
	must(!sched_setaffinity(0, sizeof(p->before), &p->before));
	free(p);
}
