/* SPDX-License-Identifier: Apache-2.0 */
/* The clock is read once for 32 packets, as for ours. */
#include "bench/peer_rte_meter.h"

#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_meter.h>

struct peer_meters {
	struct rte_meter_srtcm_profile srtcm_profile;
	struct rte_meter_trtcm_profile trtcm_profile;
	struct rte_meter_srtcm *srtcm; /* [n] */
	struct rte_meter_trtcm *trtcm; /* [n] */
	uint64_t now;		       /* TSC */
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
	if (!p->srtcm || !p->trtcm ||
	    rte_meter_srtcm_profile_config(&p->srtcm_profile, &sr) ||
	    rte_meter_trtcm_profile_config(&p->trtcm_profile, &tr)) {
		peer_meters_free(p);
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++) {
		rte_meter_srtcm_config(&p->srtcm[i], &p->srtcm_profile);
		rte_meter_trtcm_config(&p->trtcm[i], &p->trtcm_profile);
	}
	return p;
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
		if (i % 32 == 0)
			p->now = rte_rdtsc();
		n[rte_meter_srtcm_color_blind_check(&p->srtcm[run->order[i]],
						    &p->srtcm_profile, p->now,
						    run->len)]++;
	}
}

void peer_meters_trtcm(struct peer_meters *p, const struct peer_meter_run *run,
		       uint64_t n[3])
{
	for (uint32_t i = 0; i < run->n_packets; i++) {
		if (i % 32 == 0)
			p->now = rte_rdtsc();
		n[rte_meter_trtcm_color_blind_check(&p->trtcm[run->order[i]],
						    &p->trtcm_profile, p->now,
						    run->len)]++;
	}
}
