/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/scribble/scribble.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rng.h"
#include "sluice/atomic.h"
#include "sluice/region.h"

#define PAGE 4096u
#define BURST 2000u
#define PHASE_NS 200000000u

struct target {
	uint8_t *mem;
	uint64_t len;
	uint32_t n_tender;
	uint64_t tender[SLUICE_TABLES_MAX + 1]; /* pages where it hurts */
	uint8_t was[SLUICE_TABLES_MAX + 1][PAGE];
	bool is_sparing;
};

static void add_tender(struct target *t, uint64_t at)
{
	memcpy(t->was[t->n_tender], t->mem + at, PAGE);
	t->tender[t->n_tender++] = at;
}

static void find_tender(struct target *t)
{
	const struct sluice_region *h = (const struct sluice_region *)t->mem;
	const struct sluice_table_desc *d =
		(const struct sluice_table_desc *)(t->mem + SLUICE_DIR_OFF);

	add_tender(t, 0);
	for (uint32_t i = 0; i < h->n_tables && i < SLUICE_TABLES_MAX; i++)
		add_tender(t, (uint64_t)d[i].off / PAGE * PAGE);
}

static void put_back(const struct target *t)
{
	for (uint32_t i = 0; i < t->n_tender; i++)
		memcpy(t->mem + t->tender[i], t->was[i], PAGE);
}

static bool is_spared(const struct target *t, uint64_t at)
{
	for (uint32_t i = 0; t->is_sparing && i < t->n_tender; i++)
		if (at / PAGE * PAGE == t->tender[i])
			return true;
	return false;
}

static uint64_t some_word(const struct target *t, struct rng *rng)
{
	uint64_t at = rng_next(rng) % (t->len / 8) * 8;

	switch (rng_next(rng) % 4) {
	case 0:
		return rng_next(rng) % 256;
	case 1:
		return rng_next(rng) >> 32;
	case 2:
		return sluice_load64_relaxed((uint64_t *)(t->mem + at));
	}
	return rng_next(rng);
}

static void scribble_word(const struct target *t, struct rng *rng)
{
	uint64_t at = rng_next(rng) % (t->len / 8) * 8;
	uint64_t tender = t->tender[rng_next(rng) % t->n_tender];

	if (rng_next(rng) % 2)
		at = tender + at % PAGE;
	if (!is_spared(t, at))
		sluice_store64_relaxed((uint64_t *)(t->mem + at),
				       some_word(t, rng));
}

uint64_t scribble(uint8_t *mem, uint64_t len, uint32_t seconds, uint64_t seed)
{
	static struct target t;
	struct rng rng = rng_of(seed);
	uint64_t now = clock_now_ns(), n = 0;
	uint64_t end_ns = now + seconds * 1000000000ull;

	t = (struct target){.mem = mem, .len = len};
	find_tender(&t);
	for (; now < end_ns; now = clock_now_ns()) {
		if (t.is_sparing != (now / PHASE_NS) % 2) {
			t.is_sparing = !t.is_sparing;
			put_back(&t);
		}
		for (uint32_t i = 0; i < BURST; i++)
			scribble_word(&t, &rng);
		n += BURST;
		usleep(100);
	}
	return n;
}
