/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters: what lane 0 says of each number, and that nobody counts under one
 * that was never given out. A number may be given out while we look, so what
 * seems wrong is looked at again.
 */
#include "region/fsck.h"

enum look { FINE, BAD_HEAD, BAD_HEAD_LANE, BAD_COUNT };

static bool is_zero(const struct sluice_counter *c)
{
	return !sluice_load64_relaxed(&c->packets) &&
	       !sluice_load64_relaxed(&c->bytes) &&
	       !sluice_load64_relaxed(&c->used_ns);
}

static enum look look_at(const struct sluice_counter_view *v, uint32_t no,
			 uint64_t head)
{
	/* Number 0 is nobody's, and everybody may count there. */
	if (sluice_head_state(head) > SLUICE_ENTRY_LIVE ||
	    sluice_head_version(head) || (no == 0 && head))
		return BAD_HEAD;
	for (uint32_t lane = 0; lane < v->n_lanes; lane++) {
		const struct sluice_counter *c =
			sluice_counter_at_(v, lane, no);

		if (lane > 0 && sluice_load64_relaxed(&c->head))
			return BAD_HEAD_LANE;
		if (no > 0 && lane > 0 && !head && !is_zero(c))
			return BAD_COUNT;
	}
	return FINE;
}

int region_fsck_counter(struct fsck *f)
{
	struct sluice_counter_view v;

	if (region_check_counter(f->mem, fsck_desc(f), &v, NULL)) {
		fsck_wrong(f, "its shape has changed");
		return 0;
	}
	for (uint32_t no = 0; no < v.n_counters; no++) {
		enum look found = BAD_HEAD;
		uint64_t head = 0;

		for (uint32_t i = 0; i < FSCK_TRIES && found != FINE; i++) {
			head = sluice_load64_acquire(
				&sluice_counter_at_(&v, 0, no)->head);
			found = look_at(&v, no, head);
		}
		if (sluice_head_state(head) == SLUICE_ENTRY_LIVE)
			f->out->n_live++;
		if (found == BAD_HEAD)
			fsck_wrong(f, "number %u has the head 0x%llx", no,
				   (unsigned long long)head);
		else if (found == BAD_HEAD_LANE)
			fsck_wrong(f, "number %u has a head outside of lane 0",
				   no);
		else if (found == BAD_COUNT)
			fsck_wrong(f,
				   "number %u was never given out, but is "
				   "counted under",
				   no);
	}
	f->out->used_len =
		f->out->n_live * v.n_lanes * sizeof(struct sluice_counter);
	return 0;
}
