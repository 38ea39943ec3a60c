/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_MASKED_BPF_H
#define SLUICE_MASKED_BPF_H

/*
 * sluice/masked_bpf - the walk along an order, in BPF
 *
 * The verifier wants the length of keys as a constant: a program that includes
 * this has one, SLUICE_MASKED_BPF_KEY_LEN (that of struct sluice_key unless it
 * says otherwise). The walk is a bpf_loop() (Linux 5.17), so programs do not grow
 * with the number of masks: the bound is that of the table, SLUICE_MASKS_MAX.
 * Include bpf/bpf_helpers.h first.
 */

#ifndef SLUICE_MASKED_BPF_KEY_LEN
#define SLUICE_MASKED_BPF_KEY_LEN SLUICE_KEY_LEN_MAX
#endif

#define SLUICE_MASKED_STEPS_MAX_ (2 * SLUICE_MASKS_MAX + 1)

static long sluice_masked_bpf_step_(uint32_t i, void *ctx)
{
	(void)i;
	return !sluice_masked_step_(ctx, SLUICE_MASKED_BPF_KEY_LEN);
}

/* On to the next mask that the filter lets the key under, and a look there. */
static long sluice_masked_bpf_look_(uint32_t i, void *ctx)
{
	struct sluice_masked_walk *w = ctx;

	(void)i;
	if (!w->walks) {
		if (w->n_tries >= SLUICE_EXACT_TRIES)
			return 1;
		w->n_tries++;
		w->walks = true;
		sluice_masked_start_(w);
	}
	bpf_loop(SLUICE_MASKED_STEPS_MAX_, sluice_masked_bpf_step_, w, 0);
	if (w->passed && !sluice_masked_look_(w, SLUICE_MASKED_BPF_KEY_LEN))
		return 0;
	w->walks = false;
	w->held = sluice_masked_held(w->v, w->order);
	return w->held;
}

SLUICE_INLINE bool sluice_masked_tries_(struct sluice_masked_walk *w)
{
	bpf_loop(SLUICE_EXACT_TRIES * SLUICE_MASKED_STEPS_MAX_,
		 sluice_masked_bpf_look_, w, 0);
	return w->held;
}

#endif
