/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_ROUTES_H
#define BENCH_ROUTES_H

/*
 * bench/routes - routes as they are in the Internet, drawn
 *
 * Networks get allocations out of a few large blocks, announce them, and announce
 * pieces of them: some one behind the other, some here and there. The lengths
 * are distributed as in tables of 2024 (bgp.potaroo.net): six of ten are /24 in
 * IPv4, half are /48 in IPv6, and very few are longer. All in random order.
 */

#include <stdint.h>

#include "sluice/prefix.h"

struct routes {
	struct sluice_prefix_key *keys; /* [n], each once */
	uint32_t n;
	uint32_t key_bits;
};

/* What packets ask for: addresses in network order, 4 or 16 bytes each. */
struct picks {
	uint8_t (*ip6)[16]; /* [n] IPv6 */
	uint32_t *ip4;	    /* [n] IPv4, host order */
	uint32_t n;
};

void routes_init(struct routes *r, uint32_t key_bits, uint32_t n);
void routes_fini(struct routes *r);

/*
 * Addresses in random routes: each as often as any other, or the k-th most
 * frequent 1/k as often as the first (Zipf).
 */
void picks_init(struct picks *p, const struct routes *r, uint32_t n, bool zipf);
void picks_fini(struct picks *p, const struct routes *r);

/* How many stretches of n bits of address hold routes that are longer. */
uint32_t routes_n_within(const struct routes *r, uint32_t n_bits);

#endif
