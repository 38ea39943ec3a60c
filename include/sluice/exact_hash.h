/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_EXACT_HASH_H
#define SLUICE_EXACT_HASH_H

/*
 * sluice/exact_hash - the hash of an exact table, and what follows from it
 *
 * Multilinear-HM (Lemire and Kaser, "Strongly universal string hashing is
 * fast", 2014) under 64-bit keys drawn per table: two keys chosen without
 * knowing them collide with probability 2^-32. Pure functions.
 */

#include "sluice/types.h"

#define SLUICE_KEY_LEN_MAX 64u /* bytes */
#define SLUICE_BUCKET_SLOTS 8u
#define SLUICE_EXACT_HASH_KEYS (SLUICE_KEY_LEN_MAX / 4 + 1)

/*
 * Keys that differ by equal steps would have hashes that do, and fill their
 * buckets unevenly. A permutation, so nothing else changes.
 */
SLUICE_INLINE uint32_t sluice_exact_mix(uint64_t h)
{
	uint32_t mixed = (uint32_t)(h >> 32);

	mixed ^= mixed >> 15;
	mixed *= 0x2c1b3c6du;
	return mixed ^ mixed >> 12;
}

SLUICE_INLINE uint32_t sluice_exact_hash(const uint64_t *hash_keys,
					 const uint64_t *key, uint32_t key_len)
{
	uint64_t h = hash_keys[SLUICE_EXACT_HASH_KEYS - 1];

	/* gcc leaves it a loop otherwise, at twice the time. */
#pragma GCC unroll 8
	for (size_t i = 0; i < key_len / 8; i++)
		h += (hash_keys[2 * i] + (uint32_t)key[i]) *
		     (hash_keys[2 * i + 1] + (key[i] >> 32));
	return sluice_exact_mix(h);
}

SLUICE_INLINE uint32_t sluice_exact_bucket1(uint32_t hash, uint32_t n_buckets)
{
	return (uint32_t)(((uint64_t)hash * n_buckets) >> 32);
}

/* The slot of a bucket in which a key lies unless it was taken: a hint. */
SLUICE_INLINE uint32_t sluice_exact_home(uint32_t hash)
{
	return hash % SLUICE_BUCKET_SLOTS;
}

/* The other bucket of a hash; differs from the first when there are two. */
SLUICE_INLINE uint32_t sluice_exact_bucket2(uint32_t hash, uint32_t n_buckets)
{
	uint32_t b1 = sluice_exact_bucket1(hash, n_buckets);
	uint32_t b2 = sluice_exact_bucket1(hash * 0x9e3779b1u, n_buckets);

	if (b2 == b1)
		b2 = b1 + 1 < n_buckets ? b1 + 1 : 0;
	return b2;
}

#endif
