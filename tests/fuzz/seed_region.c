/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the corpus of fuzz_region: a sound region, one for each way to spoil
 * it, and some that are sound on the outside and lie within. The same for a
 * region with a table of each algorithm.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "region/sample_fake.h"
#include "tables.h"

#define DIR_N 8u /* as in fuzz_region.c */

static uint8_t mem[TABLES_LEN_MAX] __attribute__((aligned(64)));

/* The inverse of what fuzz_region.c does. Final zeros go without saying. */
static int write_input_of(const char *folder, const char *name, size_t len)
{
	size_t end = len, dir_len = DIR_N * 64ul;
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "wb");
	if (!f) {
		perror(path);
		return 1;
	}
	while (end > SLUICE_TABLES_OFF && !mem[end - 1])
		end--;
	fputc((int)(len / SAMPLE_PAGE) - 1, f);
	fwrite(mem, 1, sizeof(struct sluice_region), f);
	fwrite(mem + SLUICE_DIR_OFF, 1, dir_len, f);
	fwrite(mem + SLUICE_TABLES_OFF, 1, end - SLUICE_TABLES_OFF, f);
	return fclose(f) ? 1 : 0;
}

static int write_input(const char *folder, const char *name)
{
	return write_input_of(folder, name, SAMPLE_LEN);
}

static void make(void)
{
	memset(mem, 0, sizeof(mem));
	sample_make(mem);
}

/* Every slot leads to every entry, and far beyond. */
static int write_lying_slots(const char *folder)
{
	struct sluice_exact *x = sample_table(mem, SAMPLE_FLOWS);
	uint64_t *slots = (uint64_t *)((uint8_t *)x + x->buckets_off);

	for (uint32_t i = 0; i < x->n_buckets * SLUICE_BUCKET_SLOTS; i++)
		slots[i] = i % 5 ? slots[i] + i : (uint64_t)~0u << i;
	return write_input(folder, "lying_slots");
}

static int write_one_bucket(const char *folder)
{
	struct sluice_exact *x = sample_table(mem, SAMPLE_MACS);

	x->n_buckets = 1;
	return write_input(folder, "one_bucket");
}

static int write_tables(const char *folder)
{
	int n_failed = 0;
	char name[128];

	for (uint32_t i = 0; i < TABLES_N; i++) {
		uint64_t len = tables_make((enum tables_which)i, mem);

		snprintf(name, sizeof(name), "%s-sound", tables_names[i]);
		n_failed += write_input_of(folder, name, len);
		tables_lie(mem, 1);
		snprintf(name, sizeof(name), "%s-lies", tables_names[i]);
		n_failed += write_input_of(folder, name, len);
	}
	for (uint32_t i = 0; i < tables_n_spoils; i++) {
		const struct tables_spoil *s = &tables_spoils[i];
		uint64_t len = tables_make(s->which, mem);

		tables_empty(mem);
		tables_spoil(mem, s);
		snprintf(name, sizeof(name), "%s-%s", tables_names[s->which],
			 s->name);
		n_failed += write_input_of(folder, name, len);
	}
	return n_failed;
}

int main(int argc, char **argv)
{
	int n_failed;

	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	make();
	n_failed = write_input(argv[1], "sound");
	for (size_t i = 0; i < SAMPLE_N_SPOILS; i++) {
		make();
		sample_spoil(mem, &sample_spoils[i]);
		n_failed += write_input(argv[1], sample_spoils[i].name);
	}
	make();
	n_failed += write_lying_slots(argv[1]);
	make();
	n_failed += write_one_bucket(argv[1]);
	n_failed += write_tables(argv[1]);
	return n_failed ? 1 : 0;
}
