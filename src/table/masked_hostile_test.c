/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever others write into a table, a reader touches nothing outside of it
 * and ends; and a writer who adopts it does. The table is copied to a block of
 * exactly its length, so that AddressSanitizer sees each byte that is read
 * beyond.
 */
#include <stdlib.h>
#include <string.h>

#include "region/check.h"
#include "table/masked_fake.h"

#define N_FLOWS 200u
#define N_ROUNDS 1500u

struct hostile {
	struct fixture f;
	struct rng rng;
	struct sluice_table_desc desc; /* of mem */
	uint64_t *whole;	       /* as it was, desc.len bytes */
	uint64_t *mem;		       /* what is scribbled upon */
	struct sluice_masked_view view;
};

static void hostile_init(struct hostile *h, uint16_t key_len)
{
	const struct table_masked_conf conf = {
		.n_max = N_FLOWS,
		.n_masks_max = 40,
		.n_lanes = 3,
		.key_len = key_len,
	};

	h->rng = rng_of(test_seed() + key_len);
	fixture_init(&h->f, &conf, 60);
	for (uint32_t i = 0; i < N_FLOWS; i++) {
		struct flow flow;

		flow_draw(&h->f, &h->rng, rng_below(&h->rng, h->f.n_masks),
			  &flow);
		(void)!set(&h->f, &flow);
	}
	table_masked_reorder(h->f.table);
	h->desc = *region_table(h->f.region, SLUICE_TABLE_FLOWS);
	h->desc.off = 0;
	h->whole = aligned_alloc(64, h->desc.len);
	h->mem = aligned_alloc(64, h->desc.len);
	must(h->whole && h->mem);
	memcpy(h->whole, table_masked_view(h->f.table)->table, h->desc.len);
	memcpy(h->mem, h->whole, h->desc.len);
	must(!region_check_masked((uint8_t *)h->mem, &h->desc, &h->view, NULL));
	must(sluice_masked_count_in(&h->view, 2));
	CHECK(!sluice_masked_count_in(&h->view, 3));
}

static void hostile_fini(struct hostile *h)
{
	free(h->mem);
	free(h->whole);
	fixture_fini(&h->f);
}

/* Words that are likely to do harm, and any. */
static uint64_t bad_word(struct rng *r)
{
	switch (rng_below(r, 8)) {
	case 0:
		return ~0ull;
	case 1:
		return 0;
	case 2:
		return rng_next(r) << 32 | (N_FLOWS + rng_below(r, 100));
	case 3:
		return 1ull << rng_below(r, 64);
	case 4:
		return rng_below(r, 1000);
	case 5: /* a step that skips */
		return rng_next(r) << 32 | rng_below(r, 90);
	case 6: /* a step that skips backwards, if it could */
		return (rng_next(r) | 0xfffffff0u) << 32 | rng_below(r, 90);
	default:
		return rng_next(r);
	}
}

/* Scribbles n words at off, of len bytes. */
static void scribble(struct hostile *h, uint64_t *mem, uint64_t off,
		     uint64_t len)
{
	uint32_t n_words = (uint32_t)(len / 8);
	uint32_t n = 1u << rng_below(&h->rng, 10);

	for (uint32_t i = 0; n_words && i < n; i++)
		mem[off / 8 + rng_below(&h->rng, n_words)] = bad_word(&h->rng);
}

/* Everywhere, or in one part. */
static void scribble_some(struct hostile *h, uint64_t *mem, uint64_t from)
{
	const struct sluice_masked *m = (const struct sluice_masked *)h->whole;

	switch (rng_below(&h->rng, 4)) {
	case 0:
		scribble(h, mem, from, h->desc.len - from);
		break;
	case 1:
		scribble(h, mem, m->records_off,
			 m->orders_off - m->records_off);
		break;
	case 2:
		scribble(h, mem, m->orders_off, m->hits_off - m->orders_off);
		break;
	default: /* the filter lets everybody through */
		memset((uint8_t *)mem + m->filter_off, 0xff,
		       8ull * m->n_filter);
		scribble(h, mem, m->exact_off, m->exact_len);
	}
}

/* Entries are inside; what they say is anybody's. */
static uint64_t use(const struct hostile *h, uint8_t *entry)
{
	const uint64_t *value = sluice_entry_value(entry, h->f.conf.key_len);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < VALUE_WORDS; i++)
		sum += value[i];
	return sum;
}

static uint64_t look(struct hostile *h)
{
	uint64_t keys[SLUICE_EXACT_BATCH * WORDS_MAX];
	uint32_t version = (uint32_t)rng_next(&h->rng);
	uint32_t key_len = h->f.conf.key_len;
	struct sluice_exact_answers a;
	uint64_t value[VALUE_WORDS];
	uint64_t sum = 0;
	uint8_t *entry;

	for (uint32_t i = 0; i < SLUICE_EXACT_BATCH; i++) {
		uint64_t key[WORDS_MAX];

		key_draw(&h->f, &h->rng, key);
		memcpy(keys + (size_t)i * n_words(&h->f), key, key_len);
		if (sluice_masked_find(&h->view, version, key, key_len,
				       &entry) == SLUICE_YES)
			sum += use(h, entry);
		sum += sluice_masked_get(&h->view, version, key, key_len,
					 value);
	}
	sluice_masked_find_batch(&h->view, version, keys, SLUICE_EXACT_BATCH,
				 &a);
	for (uint32_t i = 0; i < a.n; i++)
		if (a.yes >> i & 1)
			sum += use(h, a.entries[i]);
	return sum;
}

static void scribbles_lead_no_reader_outside(void)
{
	for (uint16_t key_len = 8; key_len <= SLUICE_KEY_LEN_MAX;
	     key_len += 8) {
		struct hostile h;
		uint64_t sum = 0;

		hostile_init(&h, key_len);
		for (uint32_t i = 0; i < N_ROUNDS; i++) {
			memcpy(h.mem, h.whole, h.desc.len);
			scribble_some(&h, h.mem, 0);
			sum += look(&h);
		}
		CHECK(sum != 0);
		hostile_fini(&h);
	}
}

/* A header that is spoilt is refused, or leads nobody outside. */
static void a_spoilt_shape_is_refused(void)
{
	const uint32_t n_words =
		offsetof(struct sluice_masked, filter_keys) / 8;
	struct sluice_masked_view view;
	uint32_t n_refused = 0;
	struct hostile h;

	hostile_init(&h, 16);
	view = h.view;
	for (uint32_t i = 0; i < 20 * N_ROUNDS; i++) {
		uint32_t at = rng_below(&h.rng, n_words);
		uint64_t *word = &h.mem[at];

		memcpy(h.mem, h.whole, h.desc.len);
		if (rng_below(&h.rng, 2))
			*word = bad_word(&h.rng);
		else
			*word += (1ull << 6 * rng_below(&h.rng, 10)) *
				 (rng_below(&h.rng, 2) ? 1 : ~0ull);
		if (region_check_masked((uint8_t *)h.mem, &h.desc, &h.view,
					NULL)) {
			n_refused++;
			continue;
		}
		(void)sluice_masked_count_in(&h.view, 2);
		if (rng_below(&h.rng, 8) == 0)
			(void)look(&h);
	}
	CHECK(n_refused > 10 * N_ROUNDS);
	h.view = view;
	hostile_fini(&h);
}

/* Who adopts it has a table then that works. */
static void a_scribbled_table_is_adopted(void)
{
	struct hostile h;
	uint64_t *mem;

	hostile_init(&h, 16);
	mem = (uint64_t *)(uintptr_t)table_masked_view(h.f.table)->table;
	for (uint32_t i = 0; i < 300; i++) {
		const struct sluice_masked *m =
			(const struct sluice_masked *)h.whole;
		struct table_masked *old = h.f.table;
		struct flow flow;
		bool is_in;

		memcpy(mem, h.whole, h.desc.len);
		scribble(&h, mem, m->records_off,
			 m->exact_off - m->records_off);
		scribble(&h, mem, offsetof(struct sluice_masked, order), 16);
		/* Buckets and entries, not the exact table's header. */
		scribble(&h, mem, m->exact_off + 4096, m->exact_len - 4096);
		must(!table_masked_adopt(h.f.region, SLUICE_TABLE_FLOWS,
					 &h.f.table, NULL));
		table_masked_free(old);
		flow_draw(&h.f, &h.rng, 0, &flow);
		flow.value = 77;
		is_in = !set(&h.f, &flow);
		CHECK(is_in || table_masked_n_used(h.f.table) == N_FLOWS);
		if (is_in)
			CHECK(del(&h.f, &flow));
		table_masked_reorder(h.f.table);
	}
	hostile_fini(&h);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(scribbles_lead_no_reader_outside);
	TEST(a_spoilt_shape_is_refused);
	TEST(a_scribbled_table_is_adopted);
	return test_done();
}
