/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Tickets are numbered. The thread notes the last one given out, waits for a
 * grace period, and has then served all up to that one; those that came
 * meanwhile share the next.
 */

#include "engine/xdp/grace.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

struct xdp_grace {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wanted;

	/* Under lock. */
	uint64_t n_asked;
	uint64_t n_done;
	bool stop;
};

static void *grace_run(void *arg)
{
	struct xdp_grace *g = arg;

	pthread_mutex_lock(&g->lock);
	while (!g->stop) {
		uint64_t ticket = g->n_asked;

		if (ticket == g->n_done) {
			pthread_cond_wait(&g->wanted, &g->lock);
			continue;
		}
		pthread_mutex_unlock(&g->lock);
		syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
		pthread_mutex_lock(&g->lock);
		g->n_done = ticket;
	}
	pthread_mutex_unlock(&g->lock);
	return NULL;
}

int xdp_grace_new(struct xdp_grace **out)
{
	struct xdp_grace *g;
	int err;

	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->wanted, NULL);
	err = pthread_create(&g->thread, NULL, grace_run, g);
	if (err) {
		free(g);
		return -err;
	}
	*out = g;
	return 0;
}

void xdp_grace_free(struct xdp_grace *g)
{
	if (!g)
		return;
	pthread_mutex_lock(&g->lock);
	g->stop = true;
	pthread_cond_signal(&g->wanted);
	pthread_mutex_unlock(&g->lock);
	pthread_join(g->thread, NULL);
	pthread_cond_destroy(&g->wanted);
	pthread_mutex_destroy(&g->lock);
	free(g);
}

uint64_t xdp_grace_start(struct xdp_grace *g)
{
	uint64_t ticket;

	pthread_mutex_lock(&g->lock);
	ticket = ++g->n_asked;
	pthread_cond_signal(&g->wanted);
	pthread_mutex_unlock(&g->lock);
	return ticket;
}

bool xdp_grace_done(struct xdp_grace *g, uint64_t ticket)
{
	bool done;

	pthread_mutex_lock(&g->lock);
	done = g->n_done >= ticket;
	pthread_mutex_unlock(&g->lock);
	return done;
}
