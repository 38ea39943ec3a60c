/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader's tables come from the checker's copy. Copies of entries are
 * taken between two looks at the entry's head, as sluice/exact.h says; counters
 * are single words and need no such care.
 */
#include "sluice/reader.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "region/check.h"
#include "region/map.h"

/* What this program's structs expect of each kind of table. */
struct kind_shape {
	uint32_t kind;
	const char *name;
	enum sluice_table_alg alg;
	uint32_t n_min;
	uint32_t key_len;
	uint32_t value_len;
	uint32_t key_layout; /* 0: any */
};

static const struct kind_shape kind_shapes[] = {
	{SLUICE_TABLE_SWITCH, "switch", SLUICE_ALG_ARRAY, 1, 0,
	 sizeof(struct sluice_switch), 0},
	{SLUICE_TABLE_PORTS, "ports", SLUICE_ALG_ARRAY, SLUICE_PORTS_MAX, 0,
	 sizeof(struct sluice_port), 0},
	{SLUICE_TABLE_STATS, "stats", SLUICE_ALG_ARRAY, SLUICE_PORTS_MAX, 0,
	 sizeof(struct sluice_port_stats), 0},
	{SLUICE_TABLE_SETS, "sets", SLUICE_ALG_ARRAY, SLUICE_SETS_MAX, 0,
	 sizeof(uint64_t), 0},
	{SLUICE_TABLE_FLOWS, "flows", SLUICE_ALG_CUCKOO8, 1,
	 sizeof(struct sluice_key), sizeof(struct sluice_flow),
	 SLUICE_KEY_LAYOUT},
	{SLUICE_TABLE_MACS, "macs", SLUICE_ALG_CUCKOO8, 1,
	 sizeof(struct sluice_mac_key), sizeof(struct sluice_mac), 0},
};

#define N_KINDS (sizeof(kind_shapes) / sizeof(kind_shapes[0]))

/* The index of the table of a kind, if its shape is what we know. */
static int find_kind(const struct region_shape *s, const struct kind_shape *k,
		     uint32_t *idx, struct sluice_why *why)
{
	const struct sluice_table_desc *d = s->tables;
	uint32_t i = 0;

	while (i < s->n_tables && d[i].kind != k->kind)
		i++;
	if (i == s->n_tables)
		return region_say(why, -EINVAL, "the region has no table of %s",
				  k->name);
	if (d[i].alg != (uint32_t)k->alg || d[i].key_len != k->key_len ||
	    d[i].value_len != k->value_len)
		return region_say(why, -EINVAL,
				  "table '%s' has keys of %u and values of %u "
				  "bytes, this program knows %u and %u",
				  d[i].name, d[i].key_len, d[i].value_len,
				  k->key_len, k->value_len);
	if (k->key_layout && d[i].key_layout != k->key_layout)
		return region_say(why, -EINVAL,
				  "table '%s' has key layout %u, this program "
				  "knows %u",
				  d[i].name, d[i].key_layout, k->key_layout);
	if (d[i].n_max < k->n_min)
		return region_say(why, -EINVAL,
				  "table '%s' has %u records, fewer than %u",
				  d[i].name, d[i].n_max, k->n_min);
	*idx = i;
	return 0;
}

static int take_tables(const struct region_shape *s, const uint8_t *mem,
		       struct sluice_reader *r, struct sluice_why *why)
{
	for (size_t k = 0; k < N_KINDS; k++) {
		const void *at;
		uint32_t i = 0;
		int err = find_kind(s, &kind_shapes[k], &i, why);

		if (err)
			return err;
		at = mem + s->tables[i].off;
		switch (kind_shapes[k].kind) {
		case SLUICE_TABLE_SWITCH:
			r->sw = at;
			break;
		case SLUICE_TABLE_PORTS:
			r->ports = at;
			break;
		case SLUICE_TABLE_STATS:
			r->stats = at;
			r->n_lanes = s->tables[i].n_max / SLUICE_PORTS_MAX;
			break;
		case SLUICE_TABLE_SETS:
			r->sets = at;
			break;
		case SLUICE_TABLE_FLOWS:
			r->flows = s->views[i];
			break;
		case SLUICE_TABLE_MACS:
			r->macs = s->views[i];
			break;
		}
	}
	return 0;
}

/* Who only copies needs no records, so a region without them is one too. */
static int take_sections(const struct region_shape *s, const uint8_t *mem,
			 struct sluice_reader *r, struct sluice_why *why)
{
	static const struct kind_shape shape = {SLUICE_TABLE_READERS,
						"readers",
						SLUICE_ALG_ARRAY,
						1,
						0,
						sizeof(struct sluice_section),
						0};
	uint32_t i = 0;
	int err;

	while (i < s->n_tables && s->tables[i].kind != shape.kind)
		i++;
	if (i == s->n_tables)
		return 0;
	err = find_kind(s, &shape, &i, why);
	if (err)
		return err;
	r->sections = (const void *)(mem + s->tables[i].off);
	r->n_sections = s->tables[i].n_max;
	return 0;
}

int sluice_reader_open_mem(const void *mem, uint64_t len,
			   struct sluice_reader *out, struct sluice_why *why)
{
	struct sluice_reader r = {.region = mem, .len = len};
	struct region_shape shape;
	int err = region_shape_check(mem, len, &shape, why);

	if (!err)
		err = take_tables(&shape, mem, &r, why);
	if (!err)
		err = take_sections(&shape, mem, &r, why);
	if (!err)
		*out = r;
	return err;
}

int sluice_reader_open_fd(int fd, struct sluice_reader *out,
			  struct sluice_why *why)
{
	struct region_map map;
	int err = region_map_fd(fd, false, &map, why);

	if (err)
		return err;
	err = sluice_reader_open_mem(map.mem, map.len, out, why);
	if (err) {
		munmap(map.mem, map.len);
		return err;
	}
	out->is_own = true;
	return 0;
}

void sluice_reader_close(struct sluice_reader *r)
{
	if (r->is_own)
		munmap((void *)(uintptr_t)r->region, r->len);
	memset(r, 0, sizeof(*r));
}

void sluice_reader_stats(const struct sluice_reader *r, uint32_t port,
			 struct sluice_port_stats *out)
{
	uint64_t *sum = (uint64_t *)out;

	memset(out, 0, sizeof(*out));
	if (port >= SLUICE_PORTS_MAX)
		return;
	for (uint32_t lane = 0; lane < r->n_lanes; lane++) {
		const struct sluice_port_stats *s =
			&r->stats[(uint64_t)lane * SLUICE_PORTS_MAX + port];
		const uint64_t *words = (const uint64_t *)s;

		for (size_t i = 0; i < sizeof(*s) / 8; i++)
			sum[i] += sluice_load64_relaxed(&words[i]);
	}
}

static void copy_words(void *to, const uint64_t *from, uint32_t len)
{
	uint64_t *t = to;

	for (uint32_t i = 0; i < len / 8; i++)
		t[i] = sluice_load64_acquire(&from[i]); /* [exact-head] */
}

/* False: not there, or changing at every try, hence not one that stays. */
static bool copy_entry(const struct sluice_exact_view *v, uint32_t version,
		       uint8_t *entry, void *key, void *value)
{
	const uint64_t *head = (const uint64_t *)entry;

	for (uint32_t i = 0; i < SLUICE_EXACT_TRIES; i++) {
		/* [exact-head] */
		uint64_t before = sluice_load64_acquire(head);

		if (!sluice_head_visible(before, version))
			return false;
		copy_words(key, sluice_entry_key(entry), v->key_len);
		copy_words(value, sluice_entry_value(entry, v->key_len),
			   v->value_len);
		if (sluice_head_same(sluice_load64_relaxed(head), before))
			return true;
	}
	return false;
}

bool sluice_reader_next(const struct sluice_exact_view *v, uint32_t version,
			uint32_t *idx, void *key, void *value)
{
	while (*idx < v->n_entries) {
		uint8_t *e = sluice_exact_entry(v, (*idx)++);

		if (copy_entry(v, version, e, key, value))
			return true;
	}
	return false;
}
