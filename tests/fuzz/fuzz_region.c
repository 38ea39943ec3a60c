/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile bytes as a region. What the check accepts is then used as readers and
 * engines use it, and checked deeply. AddressSanitizer sees any step outside.
 *
 * An input is a region without its zeros, so that it is short and a mutation
 * is likely to hit something: the first byte gives the size in pages, then
 * come the header, then DIR_N directory entries, then the tables.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "look.h"
#include "sluice/reader.h"

#define PAGE 4096u
#define PAGES_MAX 64u
#define DIR_N 8u

struct input {
	const uint8_t *data;
	size_t len;
};

/* Takes up to n bytes of the input to mem + at; the rest stays zero. */
static void lay(uint8_t *mem, size_t mem_len, size_t at, struct input *in,
		size_t n)
{
	if (at >= mem_len)
		return;
	if (n > mem_len - at)
		n = mem_len - at;
	if (n > in->len)
		n = in->len;
	memcpy(mem + at, in->data, n);
	in->data += n;
	in->len -= n;
}

static void use_table(const struct sluice_exact_view *v, uint32_t version)
{
	uint64_t key[SLUICE_KEY_LEN_MAX / 8];
	uint64_t value[sizeof(struct sluice_flow) / 8];
	uint32_t idx = 0;

	while (sluice_reader_next(v, version, &idx, key, value))
		(void)sluice_exact_get(v, version, key, v->key_len, value);
	memset(key, 0x5a, sizeof(key));
	(void)sluice_exact_get(v, version, key, v->key_len, value);
}

/* A load that the compiler makes. */
static void look(const void *at, int off)
{
	(void)*(const volatile uint64_t *)((const uint8_t *)at + off);
}

/* As a switch, if it is one. */
static void use_switch(const uint8_t *mem, size_t len)
{
	struct sluice_port_stats sum;
	struct sluice_reader r;
	struct sluice_why why;

	if (sluice_reader_open_mem(mem, len, &r, &why))
		return;
	for (uint32_t port = 0; port < SLUICE_PORTS_MAX; port++) {
		sluice_reader_stats(&r, port, &sum);
		look(&r.ports[port + 1], -8);
		look(&r.sets[port], 0);
	}
	look(r.sw + 1, -8);
	use_table(&r.flows, sluice_version(r.region));
	use_table(&r.macs, sluice_version(r.region));
	sluice_reader_close(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sluice_why why;
	struct input in;
	size_t mem_len;
	uint8_t *mem;

	if (!len)
		return 0;
	mem_len = (1ul + data[0] % PAGES_MAX) * PAGE;
	in = (struct input){data + 1, len - 1};
	mem = aligned_alloc(PAGE, mem_len);
	if (!mem)
		return 0;
	memset(mem, 0, mem_len);
	lay(mem, mem_len, 0, &in, sizeof(struct sluice_region));
	/* Nobody writes there, or the deep check would give him time. */
	((struct sluice_region *)mem)->writer_pid = 0;
	lay(mem, mem_len, SLUICE_DIR_OFF, &in,
	    DIR_N * sizeof(struct sluice_table_desc));
	lay(mem, mem_len, SLUICE_TABLES_OFF, &in, in.len);

	if (sluice_region_check(mem, mem_len, &why) == 0) {
		use_switch(mem, mem_len);
		look_deep(mem, mem_len);
		look_at_tables(mem, mem_len, data, len);
	} else if (!memchr(why.text, 0, sizeof(why.text)) || !why.text[0]) {
		abort();
	}
	free(mem);
	return 0;
}
