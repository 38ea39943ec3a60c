/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table/masked_filter - which bits of the filter are set, and by how many
 *
 * A Bloom filter cannot forget, so the writer counts, in its own memory, how
 * many flows set each bit (Fan et al., "Summary cache", 2000). A byte is enough
 * for a bit, nearly: masks that leave little of a key make many flows the same
 * to a group. What is beyond 255 stands in a small table beside; there is room
 * in it for as many bits as can ever be so popular.
 *
 * Rejected: bits that stay when a count is full (a filter has to serve for
 * months), and counts that readers see (eight times the memory to keep near).
 */
#include "table/masked_private.h"

#include <errno.h>
#include <stdlib.h>

#define FULL 255u

int masked_filter_init(struct masked_filter *f, uint64_t *words, uint32_t n,
		       uint64_t n_entries)
{
	/* An entry sets two bits for its mask and two for its group. */
	uint64_t n_popular = 4 * n_entries / FULL + 1;

	f->words = words;
	f->n = n;
	f->n_heavy = 16;
	while (f->n_heavy < 2 * n_popular)
		f->n_heavy *= 2;
	f->counts = calloc(n, 64);
	f->heavy = calloc(f->n_heavy, sizeof(*f->heavy));
	return f->counts && f->heavy ? 0 : -ENOMEM;
}

void masked_filter_fini(struct masked_filter *f)
{
	free(f->heavy);
	free(f->counts);
}

static uint32_t home(const struct masked_filter *f, uint64_t bit)
{
	return (uint32_t)(((bit + 1) * 0x9e3779b97f4a7c15u) >> 32) &
	       (f->n_heavy - 1);
}

/* Where a bit is, or the free place where it would be. */
static uint32_t heavy_at(const struct masked_filter *f, uint64_t bit)
{
	uint32_t i = home(f, bit);

	while (f->heavy[i].bit && f->heavy[i].bit != bit + 1)
		i = (i + 1) & (f->n_heavy - 1);
	return i;
}

/* Frees a place; those behind it that could no longer be found move up. */
static void heavy_free(struct masked_filter *f, uint32_t hole)
{
	uint32_t last = f->n_heavy - 1;

	for (uint32_t i = (hole + 1) & last; f->heavy[i].bit;
	     i = (i + 1) & last) {
		uint32_t from = home(f, f->heavy[i].bit - 1);

		/* Is its home outside of what lies behind the hole? */
		if (((i - from) & last) >= ((i - hole) & last)) {
			f->heavy[hole] = f->heavy[i];
			hole = i;
		}
	}
	f->heavy[hole] = (struct masked_heavy){0, 0};
}

/* True: it is the first. */
static bool count_up(struct masked_filter *f, uint64_t bit)
{
	struct masked_heavy *h;

	if (f->counts[bit] < FULL)
		return ++f->counts[bit] == 1;
	h = &f->heavy[heavy_at(f, bit)];
	h->bit = bit + 1;
	h->more++;
	return false;
}

/* True: it was the last. */
static bool count_down(struct masked_filter *f, uint64_t bit)
{
	if (f->counts[bit] == FULL) {
		uint32_t i = heavy_at(f, bit);

		if (f->heavy[i].bit) {
			if (--f->heavy[i].more == 0)
				heavy_free(f, i);
			return false;
		}
	}
	return --f->counts[bit] == 0;
}

/* Counts all bits of a hash up or down; which of them have changed. */
static uint64_t count(struct masked_filter *f, uint32_t at, uint64_t bits,
		      bool up)
{
	uint64_t changed = 0;

	for (; bits; bits &= bits - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(bits);
		uint64_t bit = (uint64_t)at * 64 + i;

		if (up ? count_up(f, bit) : count_down(f, bit))
			changed |= 1ull << i;
	}
	return changed;
}

void masked_filter_add(struct masked_filter *f, uint64_t hash)
{
	uint32_t at = sluice_filter_at(hash, f->n);
	uint64_t bits = sluice_filter_bits(hash);
	uint64_t set = count(f, at, bits, true);

	if (set)
		masked_put(&f->words[at], f->words[at] | set);
}

void masked_filter_del(struct masked_filter *f, uint64_t hash)
{
	uint32_t at = sluice_filter_at(hash, f->n);
	uint64_t bits = sluice_filter_bits(hash);
	uint64_t clear = count(f, at, bits, false);

	if (clear)
		masked_put(&f->words[at], f->words[at] & ~clear);
}

void masked_filter_note(struct masked_filter *f, uint64_t hash)
{
	uint32_t at = sluice_filter_at(hash, f->n);
	uint64_t bits = sluice_filter_bits(hash);

	count(f, at, bits, true);
}

void masked_filter_write(struct masked_filter *f)
{
	for (uint32_t at = 0; at < f->n; at++) {
		uint64_t word = 0;

		for (uint32_t i = 0; i < 64; i++)
			word |= (uint64_t)(f->counts[at * 64ull + i] != 0) << i;
		if (f->words[at] != word)
			masked_put(&f->words[at], word);
	}
}
