/* SPDX-License-Identifier: Apache-2.0 */
/* Ternary tables: is the shape one that fits into the table? */
#include <errno.h>

#include "region/check.h"
#include "sluice/atomic.h"

#define N_ENTRIES_MAX (1u << 26)
#define FIELD_BITS_MAX 128u

/* Do n things of each bytes at off end before the next part begins? */
static bool part_fits(uint64_t off, uint32_t n, uint32_t each, uint64_t end)
{
	return off % 64 == 0 && off <= end && (uint64_t)n * each <= end - off;
}

static bool parts_fit(const struct sluice_ternary *s, uint64_t len)
{
	return s->orders_off >= sizeof(*s) &&
	       part_fits(s->orders_off, s->n_tuples, 8 * SLUICE_TERNARY_ORDERS,
			 s->tuples_off) &&
	       part_fits(s->tuples_off, s->n_tuples, s->tuple_len,
			 s->buckets_off) &&
	       part_fits(s->buckets_off, s->n_buckets, 64, s->entries_off) &&
	       part_fits(s->entries_off, s->n_entries, s->entry_len, len);
}

static bool fields_ok(const struct sluice_ternary *s)
{
	if (s->n_fields > SLUICE_TERNARY_FIELDS_MAX)
		return false;
	for (uint32_t i = 0; i < s->n_fields; i++) {
		uint32_t n_bits = s->fields[i].n_bits;

		if (n_bits < 1 || n_bits > FIELD_BITS_MAX ||
		    s->fields[i].bit + n_bits > 8 * s->key_len)
			return false;
	}
	return true;
}

static int check_shape(const struct sluice_table_desc *d,
		       const struct sluice_ternary *s, struct sluice_why *why)
{
	uint32_t entry_min =
		(uint32_t)sizeof(struct sluice_rule) + d->value_len;

	if (s->key_len != d->key_len || s->value_len != d->value_len)
		return region_say(why, -EINVAL,
				  "table '%s' has keys of %u and values of %u "
				  "bytes, the directory says %u and %u",
				  d->name, s->key_len, s->value_len, d->key_len,
				  d->value_len);
	if (d->n_max == 0 || s->n_entries < d->n_max ||
	    s->n_entries > N_ENTRIES_MAX)
		return region_say(why, -EINVAL,
				  "table '%s' has %u rules, the directory says "
				  "%u",
				  d->name, s->n_entries, d->n_max);
	if (s->n_tuples == 0 || s->n_tuples > SLUICE_TERNARY_TUPLES_MAX ||
	    s->n_buckets == 0)
		return region_say(why, -EINVAL,
				  "table '%s' has %u tuples and %u buckets",
				  d->name, s->n_tuples, s->n_buckets);
	if (s->n_words == 0 || s->n_words > s->key_len / 8 ||
	    s->entry_len % 8 || s->entry_len < entry_min + 16 * s->n_words ||
	    s->tuple_len % 8 || s->tuple_len < 8 + 8 * s->n_words)
		return region_say(why, -EINVAL,
				  "table '%s' has rules of %u bytes for %u "
				  "words",
				  d->name, s->entry_len, s->n_words);
	if (!parts_fit(s, d->len))
		return region_say(why, -EINVAL,
				  "the parts of table '%s' are outside of it "
				  "or overlap",
				  d->name);
	if (!fields_ok(s))
		return region_say(why, -EINVAL,
				  "the fields of table '%s' are outside of its "
				  "keys",
				  d->name);
	return 0;
}

int region_check_ternary(const uint8_t *mem, const struct sluice_table_desc *d,
			 struct sluice_ternary_view *out,
			 struct sluice_why *why)
{
	const uint64_t *words = (const uint64_t *)(const void *)(mem + d->off);
	struct sluice_ternary s;
	int err;

	if (d->key_len < 8 || d->key_len > SLUICE_TERNARY_KEY_LEN_MAX ||
	    d->key_len % 8 || d->value_len % 8)
		return region_say(why, -EINVAL,
				  "table '%s' has keys of %u and values of %u "
				  "bytes",
				  d->name, d->key_len, d->value_len);
	if (d->len < sizeof(s))
		return region_say(why, -EINVAL,
				  "table '%s' is too short for its header",
				  d->name);
	for (size_t i = 0; i < sizeof(s) / 8; i++)
		((uint64_t *)&s)[i] = sluice_load64_relaxed(&words[i]);
	err = check_shape(d, &s, why);
	if (err)
		return err;
	/* From the copy, not from the memory: it was checked, that may move. */
	sluice_ternary_view_init(out, &s);
	mem += d->off;
	out->table = (const struct sluice_ternary *)(const void *)mem;
	out->orders = (const uint64_t *)(const void *)(mem + s.orders_off);
	out->tuples = mem + s.tuples_off;
	out->buckets = (const uint64_t *)(const void *)(mem + s.buckets_off);
	out->entries = (uint8_t *)((uintptr_t)mem + s.entries_off);
	return 0;
}
