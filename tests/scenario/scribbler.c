/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scribbler PATH SECONDS SEED: writes over a live region, as a hostile process
 * would that may write it. PATH is a pinned arena or a file.
 *
 * Half of what it writes goes anywhere, half to where it hurts: the header, the
 * directory and the first page of each table. Words are random, small, or taken
 * from elsewhere in the region, so that some of them make sense. In every other
 * fifth of a second it puts those pages back and spares them, so that readers
 * believe the region and walk into what lies behind. It sleeps half of the time,
 * for others are to be seen working.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rng.h"
#include "region/bpf_sys.h"
#include "region/map.h"
#include "sluice/atomic.h"

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

static int open_region(const char *path)
{
	if (strncmp(path, "/sys/fs/bpf/", 12) == 0)
		return bpf_sys_obj_get(path);
	return open(path, O_RDWR | O_CLOEXEC);
}

static void find_tender(struct target *t)
{
	const struct sluice_region *h = (const struct sluice_region *)t->mem;
	const struct sluice_table_desc *d =
		(const struct sluice_table_desc *)(t->mem + SLUICE_DIR_OFF);

	t->tender[t->n_tender++] = 0;
	for (uint32_t i = 0; i < h->n_tables && i < SLUICE_TABLES_MAX; i++)
		t->tender[t->n_tender++] = d[i].off / PAGE * PAGE;
}

static void save(struct target *t)
{
	for (uint32_t i = 0; i < t->n_tender; i++)
		memcpy(t->was[i], t->mem + t->tender[i], PAGE);
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
	uint64_t r = rng_next(rng);
	uint64_t at = rng_next(rng) % (t->len / 8) * 8;

	switch (r % 4) {
	case 0:
		return rng_next(rng) % 256;
	case 1:
		return rng_next(rng) >> 32;
	case 2:
		return sluice_load64_relaxed((uint64_t *)(t->mem + at));
	}
	return rng_next(rng);
}

static void scribble(const struct target *t, struct rng *rng)
{
	uint64_t at = rng_next(rng) % (t->len / 8) * 8;
	uint64_t tender = t->tender[rng_next(rng) % t->n_tender];

	if (rng_next(rng) % 2)
		at = tender + at % PAGE;
	if (!is_spared(t, at))
		sluice_store64_relaxed((uint64_t *)(t->mem + at),
				       some_word(t, rng));
}

int main(int argc, char **argv)
{
	static struct target t;
	struct sluice_why why = {""};
	struct region_map map;
	uint64_t end_ns, n = 0;
	struct rng rng;
	int fd;

	if (argc != 4) {
		fputs("usage: scribbler PATH SECONDS SEED\n", stderr);
		return 2;
	}
	fd = open_region(argv[1]);
	if (fd < 0 || region_map_fd(fd, true, &map, &why)) {
		fprintf(stderr, "scribbler: %s: %s\n", argv[1],
			fd < 0 ? strerror(errno) : why.text);
		return 1;
	}
	t.mem = map.mem;
	t.len = map.len;
	find_tender(&t);
	save(&t);
	rng = rng_of(strtoull(argv[3], NULL, 0));
	end_ns = clock_now_ns() + strtoull(argv[2], NULL, 0) * 1000000000u;
	for (uint64_t now = 0; now < end_ns; n += BURST) {
		now = clock_now_ns();
		if (t.is_sparing != (now / PHASE_NS) % 2) {
			t.is_sparing = !t.is_sparing;
			put_back(&t);
		}
		for (uint32_t i = 0; i < BURST; i++)
			scribble(&t, &rng);
		usleep(100);
	}
	printf("%llu words written over %llu bytes\n", (unsigned long long)n,
	       (unsigned long long)t.len);
	return 0;
}
