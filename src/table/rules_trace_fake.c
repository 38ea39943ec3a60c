/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets for a rule set, and the scan that says which rule they match.
 */
#include <string.h>

#include "base/must.h"
#include "base/rng.h"
#include "table/rules_fake.h"

#define WORDS (sizeof(struct sluice_key) / 8)
#define COPIES_MAX 64u
#define ADDRESS_UNUSED 0xf0u /* 240.0.0.0/4; rules never name it */
#define PROTO_UNUSED 253u    /* for experiments, RFC 3692; likewise */

/* A field of len bytes within value and mask: first, last, or in between. */
static void field_draw(struct rng *g, uint8_t *out, const uint8_t *value,
		       const uint8_t *mask, uint32_t len)
{
	uint32_t where = rng_below(g, 3);
	uint64_t random = rng_next(g);

	for (uint32_t i = 0; i < len; i++) {
		uint8_t rest = where == 0   ? 0
			       : where == 1 ? 0xff
					    : (uint8_t)(random >> 8 * i);

		out[i] = (uint8_t)(value[i] | (rest & ~mask[i]));
	}
}

static struct sluice_key within(struct rng *g, const struct rule *r)
{
	static const uint8_t protos[] = {6, 17, 1, 6};
	struct sluice_key k = r->value;

	k.eth_type.be = __builtin_bswap16(0x0800);
	if (!r->mask.ip_proto)
		k.ip_proto = protos[rng_below(g, 4)];
	field_draw(g, k.ip_src + 12, r->value.ip_src + 12, r->mask.ip_src + 12,
		   4);
	field_draw(g, k.ip_dst + 12, r->value.ip_dst + 12, r->mask.ip_dst + 12,
		   4);
	field_draw(g, (uint8_t *)&k.tp_src, (const uint8_t *)&r->value.tp_src,
		   (const uint8_t *)&r->mask.tp_src, 2);
	field_draw(g, (uint8_t *)&k.tp_dst, (const uint8_t *)&r->value.tp_dst,
		   (const uint8_t *)&r->mask.tp_dst, 2);
	return k;
}

/* Any header; one that no rule but the last matches, if asked for. */
static struct sluice_key stranger(struct rng *g, bool is_unmatched)
{
	static const struct rule all;
	struct sluice_key k = within(g, &all);
	uint64_t random = rng_next(g);

	memcpy(k.ip_src + 12, &random, 4);
	memcpy(k.ip_dst + 12, (uint8_t *)&random + 4, 4);
	if (is_unmatched) {
		k.ip_src[12] |= ADDRESS_UNUSED;
		k.ip_dst[12] |= ADDRESS_UNUSED;
		k.ip_proto = PROTO_UNUSED;
	}
	return k;
}

static struct sluice_key header_draw(struct rng *g, const struct rules *r)
{
	uint32_t what = rng_below(g, 16);
	uint32_t f;

	if (what < 2)
		return stranger(g, what == 0);
	f = rng_below(g, r->n_filters);
	return within(g, &r->rule[r->first[f] +
				  rng_below(g, r->first[f + 1] - r->first[f])]);
}

/* Pareto with shape 1 and scale 0.1, rounded up. */
static uint32_t copies_draw(struct rng *g)
{
	uint32_t n = 1 + 0xffffffffu / 10 / (1 + rng_below(g, 0xffffffffu));

	return n < COPIES_MAX ? n : COPIES_MAX;
}

void rules_trace(const struct rules *r, uint64_t seed, struct sluice_key *keys,
		 uint32_t n)
{
	struct rng g = rng_of(seed ^ 0x7472616365u);

	for (uint32_t i = 0; i < n;) {
		struct sluice_key k = header_draw(&g, r);

		for (uint32_t c = copies_draw(&g); c && i < n; c--)
			keys[i++] = k;
	}
}

void rules_shuffle(const struct rules *r, uint64_t seed, uint32_t *order)
{
	struct rng g = rng_of(seed ^ 0x6f72646572u);

	for (uint32_t i = 0; i < r->n; i++) {
		uint32_t j = rng_below(&g, i + 1);

		order[i] = order[j];
		order[j] = i;
	}
}

bool rule_matches(const struct rule *rule, const struct sluice_key *key)
{
	uint64_t value[WORDS], mask[WORDS], word[WORDS];

	memcpy(value, &rule->value, sizeof(value));
	memcpy(mask, &rule->mask, sizeof(mask));
	memcpy(word, key, sizeof(word));
	for (uint32_t i = 0; i < WORDS; i++)
		if ((word[i] & mask[i]) != value[i])
			return false;
	return true;
}

uint32_t rules_scan(const struct rules *r, const struct sluice_key *key)
{
	uint32_t i = 0;

	while (!rule_matches(&r->rule[i], key))
		must(++i < r->n);
	return i;
}
