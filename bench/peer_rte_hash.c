/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment runs with --in-memory: 2 MiB pages without files in
 * hugetlbfs, or --no-huge where there are none, as our memory then has none
 * either. In lock-free mode a deleted
 * key's place is not free until the application says so; we say so at once, as
 * we reclaim our own entries.
 */
#include "bench/peer_rte_hash.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_eal.h>
#include <rte_hash.h>

struct peer {
	struct rte_hash *hash;
	uint32_t key_len;
};

bool peer_start(bool huge)
{
	/* DPDK keeps and changes what it is given. */
	static char name[] = "bench", memory[] = "--in-memory",
		    no_pci[] = "--no-pci", quiet[] = "--log-level=error",
		    core[] = "-l0", no_huge[] = "--no-huge", mb[] = "-m4096";
	char *argv[] = {name, memory, no_pci, quiet, core, NULL, NULL, NULL};
	int argc = 5;
	cpu_set_t cores;
	int err;

	if (!huge) {
		argv[argc++] = no_huge;
		argv[argc++] = mb;
	}
	/* It would pin us to that core, where others may be at work. */
	sched_getaffinity(0, sizeof(cores), &cores);
	err = rte_eal_init(argc, argv);
	sched_setaffinity(0, sizeof(cores), &cores);
	return err >= 0;
}

struct peer *peer_new(uint32_t n, uint32_t key_len)
{
	static uint32_t n_made;
	char name[RTE_HASH_NAMESIZE];
	struct rte_hash_parameters conf = {
		.name = name,
		.entries = n,
		.key_len = key_len,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF,
	};
	struct peer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->key_len = key_len;
	snprintf(name, sizeof(name), "peer%u", n_made++);
	p->hash = rte_hash_create(&conf);
	if (!p->hash) {
		free(p);
		return NULL;
	}
	return p;
}

void peer_free(struct peer *p)
{
	rte_hash_free(p->hash);
	free(p);
}

uint32_t peer_add(struct peer *p, const void *keys, uint32_t n)
{
	const char *key = keys;
	uint32_t n_ok = 0;

	for (uint32_t i = 0; i < n; i++) {
		n_ok += rte_hash_add_key_data(p->hash, key,
					      (void *)(uintptr_t)1) == 0;
		key += p->key_len;
	}
	return n_ok;
}

uint64_t peer_find_bits(struct peer *p, const void *keys, uint32_t n,
			uint64_t *sum)
{
	const void *each[PEER_BULK_MAX];
	void *data[PEER_BULK_MAX];
	uint64_t hits = 0;

	for (uint32_t i = 0; i < n; i++)
		each[i] = (const char *)keys + (size_t)i * p->key_len;
	rte_hash_lookup_bulk_data(p->hash, each, n, &hits, data);
	for (uint32_t i = 0; i < n; i++)
		*sum += hits >> i & 1 ? (uintptr_t)data[i] : 0;
	return hits;
}

uint32_t peer_find(struct peer *p, const void *keys, uint32_t n, uint64_t *sum)
{
	return (uint32_t)__builtin_popcountll(peer_find_bits(p, keys, n, sum));
}

uint32_t peer_del(struct peer *p, const void *keys, uint32_t n)
{
	const char *key = keys;
	uint32_t n_ok = 0;

	for (uint32_t i = 0; i < n; i++) {
		int pos = rte_hash_del_key(p->hash, key);

		if (pos >= 0)
			n_ok += !rte_hash_free_key_with_position(p->hash, pos);
		key += p->key_len;
	}
	return n_ok;
}
