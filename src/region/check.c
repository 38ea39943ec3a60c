/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the outside in: header, directory, then each table's own header, and
 * only against what was checked before. Tables must come in the order of the
 * directory, so overlap needs no search. What the kinds of tables mean (that
 * flows have keys of 64 bytes) is the reader's business, not the region's.
 */
#include "region/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sluice/atomic.h"

#define PAGE_MIN 4096u
#define PAGE_MAX (1u << 30)

int region_say(struct sluice_why *why, int err, const char *fmt, ...)
{
	va_list ap;

	if (!why)
		return err;
	va_start(ap, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	return err;
}

bool region_name_is_valid(const char *name)
{
	size_t len = strnlen(name, SLUICE_NAME_LEN);

	if (len == 0 || len == SLUICE_NAME_LEN)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = name[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return true;
}

/* For people: it is printed in every complaint about the table. */
static bool is_printable(const char name[SLUICE_NAME_LEN])
{
	size_t len = strnlen(name, SLUICE_NAME_LEN);

	if (len == 0 || len == SLUICE_NAME_LEN)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] < 0x20 || name[i] > 0x7e)
			return false;
	return true;
}

/* Each word once. len is a multiple of 8; both sides are aligned. */
static void take(void *to, const void *from, size_t len)
{
	const uint64_t *f = from;
	uint64_t *t = to;

	for (size_t i = 0; i < len / 8; i++)
		t[i] = sluice_load64_relaxed(&f[i]);
}

static int check_head(const struct sluice_region *h, uint64_t len,
		      struct sluice_why *why)
{
	if (h->magic != SLUICE_MAGIC)
		return region_say(
			why, -EINVAL,
			"no region: its first bytes are not Sluice's");
	if (h->abi != SLUICE_ABI)
		return region_say(why, -EPROTONOSUPPORT,
				  "the region is of ABI version %u, this "
				  "program knows %u",
				  h->abi, SLUICE_ABI);
	if (h->len > len)
		return region_say(why, -EINVAL,
				  "truncated: the region says %llu bytes, "
				  "there are %llu",
				  (unsigned long long)h->len,
				  (unsigned long long)len);
	if (h->page_len < PAGE_MIN || h->page_len > PAGE_MAX ||
	    (h->page_len & (h->page_len - 1)))
		return region_say(why, -EINVAL,
				  "the region says pages of %u bytes",
				  h->page_len);
	if (h->len < SLUICE_TABLES_OFF || h->len > SLUICE_REGION_LEN_MAX ||
	    h->len % h->page_len)
		return region_say(why, -EINVAL,
				  "the region says %llu bytes, which is not a "
				  "number of whole pages up to 4 GiB",
				  (unsigned long long)h->len);
	if (h->backing < SLUICE_BACKING_MEMFD ||
	    h->backing > SLUICE_BACKING_DAX)
		return region_say(why, -EINVAL,
				  "the region's backing is %u, which is none",
				  h->backing);
	if (!region_name_is_valid(h->name))
		return region_say(why, -EINVAL, "the region's name is not one");
	if (h->used_len < SLUICE_TABLES_OFF || h->used_len > h->len)
		return region_say(why, -EINVAL,
				  "the region says %llu of its %llu bytes are "
				  "used",
				  (unsigned long long)h->used_len,
				  (unsigned long long)h->len);
	return 0;
}

static int check_array(const struct sluice_table_desc *d,
		       struct sluice_why *why)
{
	if (d->key_len != 0)
		return region_say(why, -EINVAL,
				  "table '%s' is an array, but has keys of %u "
				  "bytes",
				  d->name, d->key_len);
	if (d->n_max == 0 || d->value_len == 0)
		return region_say(why, -EINVAL, "table '%s' has no records",
				  d->name);
	if ((uint64_t)d->n_max * d->value_len > d->len)
		return region_say(why, -EINVAL,
				  "table '%s' is too short for %u records of "
				  "%u bytes",
				  d->name, d->n_max, d->value_len);
	return 0;
}

/* Do n things of each bytes at off lie behind the header, inside the table? */
static bool part_fits(const struct sluice_table_desc *d, uint64_t off,
		      uint32_t n, uint32_t each)
{
	return off % 64 == 0 && off >= sizeof(struct sluice_exact) &&
	       off <= d->len && (uint64_t)n * each <= d->len - off;
}

static int check_exact_shape(const struct sluice_table_desc *d,
			     const struct sluice_exact *x,
			     struct sluice_why *why)
{
	uint64_t buckets_end = x->buckets_off + (uint64_t)x->n_buckets * 64;
	uint64_t entries_end =
		x->entries_off + (uint64_t)x->n_entries * x->entry_len;

	if (x->key_len != d->key_len || x->value_len != d->value_len)
		return region_say(why, -EINVAL,
				  "table '%s' has keys of %u and values of %u "
				  "bytes, the directory says %u and %u",
				  d->name, x->key_len, x->value_len, d->key_len,
				  d->value_len);
	if (d->n_max == 0 || x->n_entries < d->n_max)
		return region_say(why, -EINVAL,
				  "table '%s' has %u entries, the directory "
				  "says %u",
				  d->name, x->n_entries, d->n_max);
	if (x->entry_len % 8 ||
	    x->entry_len < 8u + x->key_len + (uint32_t)x->value_len)
		return region_say(why, -EINVAL,
				  "table '%s' has entries of %u bytes", d->name,
				  x->entry_len);
	if (x->n_buckets == 0 ||
	    !part_fits(d, x->buckets_off, x->n_buckets, 64))
		return region_say(why, -EINVAL,
				  "the buckets of table '%s' are outside of it",
				  d->name);
	if (!part_fits(d, x->entries_off, x->n_entries, x->entry_len))
		return region_say(why, -EINVAL,
				  "the entries of table '%s' are outside of it",
				  d->name);
	if (x->buckets_off < entries_end && x->entries_off < buckets_end)
		return region_say(why, -EINVAL,
				  "the buckets of table '%s' overlap its "
				  "entries",
				  d->name);
	return 0;
}

int region_check_exact(const uint8_t *mem, const struct sluice_table_desc *d,
		       struct sluice_exact_view *out, struct sluice_why *why)
{
	struct sluice_exact x;
	int err;

	if (d->key_len < 8 || d->key_len > SLUICE_KEY_LEN_MAX ||
	    d->key_len % 8 || d->value_len % 8)
		return region_say(why, -EINVAL,
				  "table '%s' has keys of %u and values of %u "
				  "bytes",
				  d->name, d->key_len, d->value_len);
	if (d->len < sizeof(x))
		return region_say(why, -EINVAL,
				  "table '%s' is too short for its header",
				  d->name);
	take(&x, mem + d->off, sizeof(x));
	err = check_exact_shape(d, &x, why);
	if (err)
		return err;
	/* From the copy, not from the memory: it was checked, that may move. */
	sluice_exact_view_init(out, &x);
	out->table = (const struct sluice_exact *)(mem + d->off);
	out->buckets = (const uint64_t *)(mem + d->off + x.buckets_off);
	out->entries = (uint8_t *)((uintptr_t)mem + d->off + x.entries_off);
	return 0;
}

/* The last table of the shape, against those before it. */
static int check_place(const struct region_shape *s, uint32_t i,
		       struct sluice_why *why)
{
	const struct sluice_table_desc *d = &s->tables[i];
	uint64_t end = SLUICE_TABLES_OFF;

	if (!is_printable(d->name))
		return region_say(why, -EINVAL, "table %u has no name", i);
	if (d->kind == 0)
		return region_say(why, -EINVAL, "table '%s' is of no kind",
				  d->name);
	for (uint32_t j = 0; j < i; j++) {
		end = s->tables[j].off + s->tables[j].len;
		if (s->tables[j].kind == d->kind)
			return region_say(why, -EINVAL,
					  "tables '%s' and '%s' are of the "
					  "same kind",
					  s->tables[j].name, d->name);
	}
	if (d->off % 64)
		return region_say(why, -EINVAL,
				  "table '%s' is not aligned to 64 bytes",
				  d->name);
	if (d->len > s->head.used_len || d->off > s->head.used_len - d->len ||
	    d->off < SLUICE_TABLES_OFF)
		return region_say(why, -EINVAL,
				  "table '%s' lies outside of the region",
				  d->name);
	if (d->off < end)
		return region_say(why, -EINVAL,
				  "table '%s' overlaps the one before it",
				  d->name);
	return 0;
}

static int check_table(const uint8_t *mem, struct region_shape *s, uint32_t i,
		       struct sluice_why *why)
{
	struct sluice_table_desc *d = &s->tables[i];
	struct sluice_masked_view masked = {0};
	struct sluice_counter_view counters;
	struct sluice_ternary_view rules;
	struct sluice_prefix_view prefixes;
	int err;

	take(d, mem + SLUICE_DIR_OFF + i * sizeof(*d), sizeof(*d));
	err = check_place(s, i, why);
	if (err)
		return err;
	if (d->alg == SLUICE_ALG_ARRAY)
		return check_array(d, why);
	if (d->alg == SLUICE_ALG_CUCKOO8)
		return region_check_exact(mem, d, &s->views[i], why);
	if (d->alg == SLUICE_ALG_MASKED) {
		err = region_check_masked(mem, d, &masked, why);
		s->views[i] = masked.exact;
		return err;
	}
	if (d->alg == SLUICE_ALG_HEAP && d->kind == SLUICE_TABLE_HEAP)
		return region_check_heap(mem, d, &s->heap, why);
	if (d->alg == SLUICE_ALG_COUNTER)
		return region_check_counter(mem, d, &counters, why);
	if (d->alg == SLUICE_ALG_TERNARY)
		return region_check_ternary(mem, d, &rules, why);
	if (d->alg == SLUICE_ALG_PREFIX)
		return region_check_prefix(mem, d, &prefixes, why);
	return region_say(why, -ENOTSUP,
			  "table '%s' uses algorithm %u, which this program "
			  "does not know",
			  d->name, d->alg);
}

int region_shape_check(const void *mem, uint64_t len, struct region_shape *out,
		       struct sluice_why *why)
{
	const struct sluice_region *r = mem;
	int err;

	if (!mem || (uintptr_t)mem % 64)
		return region_say(why, -EINVAL,
				  "no region: not aligned to 64 bytes");
	if (len < SLUICE_TABLES_OFF)
		return region_say(why, -EINVAL,
				  "no region: %llu bytes are too few",
				  (unsigned long long)len);
	out->heap = (struct sluice_heap_view){0};
	/* [region-tables] before the rest: used_len is then not behind it. */
	out->n_tables = sluice_load32_acquire(&r->n_tables);
	take(&out->head, r, sizeof(out->head));
	err = check_head(&out->head, len, why);
	if (err)
		return err;
	if (out->n_tables > SLUICE_TABLES_MAX)
		return region_say(why, -EINVAL,
				  "the region says %u tables, more than the %u "
				  "of its directory",
				  out->n_tables, SLUICE_TABLES_MAX);
	for (uint32_t i = 0; i < out->n_tables; i++) {
		err = check_table(mem, out, i, why);
		if (err)
			return err;
	}
	return 0;
}

int sluice_region_check(const void *mem, uint64_t len, struct sluice_why *why)
{
	struct region_shape shape;

	return region_shape_check(mem, len, &shape, why);
}

const struct sluice_table_desc *sluice_table_find(const struct sluice_region *r,
						  uint32_t kind)
{
	const struct sluice_table_desc *d =
		(const struct sluice_table_desc *)((const uint8_t *)r +
						   SLUICE_DIR_OFF);
	/* [region-tables] */
	uint32_t n = sluice_load32_acquire(&r->n_tables);

	for (uint32_t i = 0; i < n && i < SLUICE_TABLES_MAX; i++)
		if (d[i].kind == kind)
			return &d[i];
	return NULL;
}
