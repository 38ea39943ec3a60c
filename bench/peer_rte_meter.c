/* SPDX-License-Identifier: Apache-2.0 */
/* The clock is read once for 32 packets, as for ours. */
#include "bench/peer_rte_meter.h"

#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_meter.h>
#include <rte_prefetch.h>

/* Each has a rate of its own, as each of ours has. */
struct srtcm {
	struct rte_meter_srtcm_profile profile;
	struct rte_meter_srtcm m;
};

struct trtcm {
	struct rte_meter_trtcm_profile profile;
	struct rte_meter_trtcm m;
};

struct peer_meters {
	struct srtcm *srtcm; /* [n] */
	struct trtcm *trtcm; /* [n] */
	uint64_t now;	     /* TSC */
};

struct peer_meters *peer_meters_new(uint32_t n, uint64_t rate, uint64_t burst)
{
	struct rte_meter_srtcm_params sr = {rate, burst, burst};
	struct rte_meter_trtcm_params tr = {rate, 2 * rate, burst, 2 * burst};
	struct peer_meters *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->srtcm = calloc(n, sizeof(*p->srtcm));
	p->trtcm = calloc(n, sizeof(*p->trtcm));
	if (!p->srtcm || !p->trtcm)
		goto undo_p;
	for (uint32_t i = 0; i < n; i++) {
		struct srtcm *s = &p->srtcm[i];
		struct trtcm *t = &p->trtcm[i];

		if (rte_meter_srtcm_profile_config(&s->profile, &sr) ||
		    rte_meter_srtcm_config(&s->m, &s->profile) ||
		    rte_meter_trtcm_profile_config(&t->profile, &tr) ||
		    rte_meter_trtcm_config(&t->m, &t->profile))
			goto undo_p;
	}
	return p;

undo_p:
	peer_meters_free(p);
	return NULL;
}

void peer_meters_free(struct peer_meters *p)
{
	free(p->srtcm);
	free(p->trtcm);
	free(p);
}

void peer_meters_srtcm(struct peer_meters *p, const struct peer_meter_run *run,
		       uint64_t n[3])
{
	for (uint32_t i = 0; i < run->n_packets; i++) {
		struct srtcm *x = &p->srtcm[run->order[i]];
		struct srtcm *next = &p->srtcm[run->order[i + run->ahead]];

		rte_prefetch0(&next->profile);
		rte_prefetch0(&next->m);
		if (i % 32 == 0)
			p->now = rte_rdtsc();
		n[rte_meter_srtcm_color_blind_check(&x->m, &x->profile, p->now,
						    run->len)]++;
	}
}

void peer_meters_trtcm(struct peer_meters *p, const struct peer_meter_run *run,
		       uint64_t n[3])
{
	for (uint32_t i = 0; i < run->n_packets; i++) {
		struct trtcm *x = &p->trtcm[run->order[i]];
		struct trtcm *next = &p->trtcm[run->order[i + run->ahead]];

		rte_prefetch0(&next->profile);
		rte_prefetch0(&next->m);
		if (i % 32 == 0)
			p->now = rte_rdtsc();
		n[rte_meter_trtcm_color_blind_check(&x->m, &x->profile, p->now,
						    run->len)]++;
	}
}
