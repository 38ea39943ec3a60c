/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */

/*
 * Looks keys up in a ternary table in an arena, for tests and measurements. User
 * space writes the keys and reads the answers; a run looks up all of them once.
 */

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/arena.h"
#include "sluice/ternary_bpf.h"

#define KEYS_MAX 1024u
#define WORDS_MAX SLUICE_TERNARY_WORDS_MAX

const volatile uint64_t table_addr; /* struct sluice_ternary */
const volatile uint64_t region_addr;
const volatile uint32_t n_words; /* of a key */

uint32_t n_keys;
uint64_t keys[KEYS_MAX][8];
uint32_t priorities[KEYS_MAX];
uint32_t answers[KEYS_MAX]; /* enum sluice_found */

uint64_t key_room[WORDS_MAX];

static long look(uint32_t i, void *ctx)
{
	struct sluice_ternary_walk w = {.key = key_room};
	const struct sluice_region *region = arena_at(region_addr);

	(void)ctx;
	i &= KEYS_MAX - 1;
	for (uint32_t j = 0; j < 8; j++)
		key_room[j] = keys[i][j];
	sluice_ternary_view_init(&w.view, arena_at(table_addr));
	w.version = sluice_version(region);
	answers[i] = sluice_ternary_find_bpf(&w);
	priorities[i] = w.best.priority;
	return 0;
}

SEC("xdp")
int probe(struct xdp_md *ctx)
{
	(void)ctx;
	ARENA_USE();
	bpf_loop(n_keys, look, NULL, 0);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
