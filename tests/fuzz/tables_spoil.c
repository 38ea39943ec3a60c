/* SPDX-License-Identifier: Apache-2.0 */
#include "region/heap.h"
#include "sluice/counter.h"
#include "sluice/masked.h"
#include "sluice/prefix.h"
#include "sluice/ternary.h"
#include "tables.h"

/* X(name, words of the refusal, what spoils it). d: directory, t: header. */
#define SPOILS_MASKED(X)                                                 \
	X(short, "too short for its header", d->len = 64)                \
	X(masks_one, "has 1 masks", t->n_masks = 1)                      \
	X(masks_many, "has 1026 masks", t->n_masks = 1026)               \
	X(groups_many, "1025 groups", t->n_groups = 1025)                \
	X(lanes_none, "and 0 lanes", t->n_lanes = 0)                     \
	X(lanes_many, "and 257 lanes", t->n_lanes = 257)                 \
	X(filter_none, "has 7 masks", t->n_filter = 0)                   \
	X(records_low, "parts of table", t->records_off = 0)             \
	X(records_odd, "parts of table", t->records_off += 8)            \
	X(records_over, "parts of table", t->n_groups = 1024)            \
	X(orders_low, "parts of table", t->orders_off -= 64)             \
	X(orders_odd, "parts of table", t->orders_off += 8)              \
	X(hits_low, "parts of table", t->hits_off -= 64)                 \
	X(hits_odd, "parts of table", t->hits_off -= 8)                  \
	X(lanes_over, "parts of table", t->n_lanes = 256)                \
	X(filter_low, "parts of table", t->filter_off -= 64)             \
	X(filter_odd, "parts of table", t->filter_off += 8)              \
	X(filter_many, "parts of table", t->n_filter = ~0u)              \
	X(exact_low, "parts of table", t->exact_off = t->filter_off)     \
	X(exact_odd, "parts of table", t->exact_off += 8)                \
	X(exact_far, "parts of table", t->exact_off = 1ull << 32)        \
	X(exact_wrap, "parts of table", t->exact_off = -64ull)           \
	X(exact_huge, "parts of table", t->exact_len = ~0ull)            \
	X(exact_long, "parts of table", t->exact_len = d->len)           \
	X(exact_short, "too short for its header", t->exact_len = 64)    \
	X(key_none, "keys of 0", d->key_len = 0)                         \
	X(key_other, "directory says 8 and", d->key_len = 8)             \
	X(value_odd, "values of 9", d->value_len = 9)                    \
	X(inner_buckets, "buckets of table", inner_of(t)->n_buckets = 0) \
	X(inner_far, "entries of table", inner_of(t)->entries_off = d->len)

#define SPOILS_TERNARY(X)                                                \
	X(key_none, "keys of 0", d->key_len = 0)                         \
	X(key_odd, "keys of 17", d->key_len = 17)                        \
	X(key_long, "keys of 520", d->key_len = 520)                     \
	X(value_odd, "values of 9", d->value_len = 9)                    \
	X(short, "too short for its header", d->len = 512)               \
	X(key_other, "directory says 16 and", t->key_len = 8)            \
	X(value_other, "directory says 16 and 16", t->value_len = 8)     \
	X(n, "has 5 rules", t->n_entries = d->n_max - 1)                 \
	X(n_max, "directory says 0", d->n_max = 0)                       \
	X(entries_many, "rules, the directory", t->n_entries = 1u << 27) \
	X(tuples_none, "has 0 tuples", t->n_tuples = 0)                  \
	X(tuples_many, "has 1025 tuples", t->n_tuples = 1025)            \
	X(tuples_over, "or overlap", t->n_tuples = 1024)                 \
	X(buckets_none, "and 0 buckets", t->n_buckets = 0)               \
	X(buckets_many, "or overlap", t->n_buckets = ~0u)                \
	X(words_none, "for 0 words", t->n_words = 0)                     \
	X(words_many, "for 3 words", t->n_words = 3)                     \
	X(entry_odd, "has rules of", t->entry_len += 4)                  \
	X(entry_short, "has rules of 72 bytes", t->entry_len = 72)       \
	X(entry_long, "or overlap", t->entry_len = 1u << 31)             \
	X(tuple_odd, "has rules of", t->tuple_len += 4)                  \
	X(tuple_short, "has rules of", t->tuple_len = 16)                \
	X(tuple_long, "or overlap", t->tuple_len = -8u)                  \
	X(orders_low, "or overlap", t->orders_off = 64)                  \
	X(orders_odd, "or overlap", t->orders_off -= 8)                  \
	X(tuples_low, "or overlap", t->tuples_off = t->orders_off)       \
	X(tuples_odd, "or overlap", t->tuples_off -= 8)                  \
	X(buckets_low, "or overlap", t->buckets_off = t->tuples_off)     \
	X(buckets_odd, "or overlap", t->buckets_off -= 8)                \
	X(entries_low, "or overlap", t->entries_off = t->buckets_off)    \
	X(entries_odd, "or overlap", t->entries_off += 8)                \
	X(entries_wrap, "or overlap", t->entries_off = -64ull)           \
	X(fields_many, "fields of table", t->n_fields = 17)              \
	X(field_none, "fields of table", t->fields[0].n_bits = 0)        \
	X(field_wide, "fields of table", t->fields[0].n_bits = 129)      \
	X(field_far, "fields of table", t->fields[1].bit = 8 * 16 - 15)

#define SPOILS_IP4(X)                                                       \
	X(short, "too short for its header", d->len = 64)                   \
	X(key_none, "addresses of 0 bits", t->key_bits = 0)                 \
	X(key_64, "addresses of 64 bits", t->key_bits = 64, d->key_len = 8) \
	X(key_other, "addresses of 128 bits", t->key_bits = 128)            \
	X(root_small, "root of 4 bits", t->root_bits = 4)                   \
	X(root_large, "root of 28 bits", t->root_bits = 28)                 \
	X(root_bits, "root of 9 bits", t->root_bits = 9)                    \
	X(n, "has 5 routes", t->n_routes = d->n_max - 1)                    \
	X(n_max, "directory says 0", d->n_max = 0)                          \
	X(routes_many, "routes, the directory", t->n_routes = 1u << 30)     \
	X(value_other, "has routes of", t->value_len = 16)                  \
	X(value_odd, "has routes of", t->value_len = d->value_len = 9)      \
	X(route_odd, "has routes of", t->route_len += 4)                    \
	X(route_short, "has routes of 24", t->route_len = 24)               \
	X(route_long, "routes of table", t->route_len = -8u)                \
	X(root_low, "root of table", t->root_off = 0)                       \
	X(root_odd, "root of table", t->root_off += 4)                      \
	X(root_far, "root of table", t->root_off = -64ull)                  \
	X(root_over, "root of table", t->root_bits = 24)                    \
	X(root_into, "nodes of table", t->root_off += 64)                   \
	X(nodes_none, "nodes of table", t->n_nodes = 0)                     \
	X(nodes_many, "nodes of table", t->n_nodes = ~0u)                   \
	X(nodes_low, "nodes of table", t->nodes_off = t->root_off)          \
	X(nodes_odd, "nodes of table", t->nodes_off += 4)                   \
	X(nodes_far, "nodes of table", t->nodes_off = -64ull)               \
	X(nodes_into, "routes of table", t->n_nodes++)                      \
	X(routes_low, "routes of table", t->routes_off = t->nodes_off)      \
	X(routes_odd, "routes of table", t->routes_off += 8)                \
	X(routes_far, "routes of table", t->routes_off = -64ull)

#define SPOILS_IP6(X)                                          \
	X(key_other, "addresses of 32 bits", t->key_bits = 32) \
	X(route_short, "has routes of 32", t->route_len = 32)  \
	X(routes_low, "routes of table", t->routes_off = t->nodes_off)

#define SPOILS_COUNTERS(X)                                             \
	X(short, "too short for its header", d->len = 32)              \
	X(key, "has counters of", d->key_len = 8)                      \
	X(value, "counters of 24 bytes", d->value_len = 24)            \
	X(n, "has 8 counters", t->n_counters++)                        \
	X(n_max, "directory says 0", d->n_max = t->n_counters = 0)     \
	X(n_wrap, "has 0 counters", d->n_max = ~0u, t->n_counters = 0) \
	X(n_over, "lanes of table", d->n_max++, t->n_counters += 2,    \
	  d->n_max++)                                                  \
	X(lanes_none, "lanes of table", t->n_lanes = 0)                \
	X(lanes_more, "lanes of table", t->n_lanes++)                  \
	X(lanes_many, "lanes of table", t->n_lanes = ~0u)              \
	X(lanes_low, "lanes of table", t->lanes_off = 0)               \
	X(lanes_odd, "lanes of table", t->lanes_off += 8)              \
	X(lanes_far, "lanes of table", t->lanes_off = -64ull)          \
	X(lane_short, "lanes of table", t->lane_len = 64)              \
	X(lane_none, "lanes of table", t->lane_len = 0)                \
	X(lane_odd, "lanes of table", t->lane_len += 8)                \
	X(lane_long, "lanes of table", t->lane_len += 64)              \
	X(lane_far, "lanes of table", t->lane_len = -64ull)

#define SPOILS_GROUPS(X)                                                      \
	X(short, "too short for its header", d->len = 16)                     \
	X(page_small, "pages of 4096 bytes", t->page_len = 4096)              \
	X(page_none, "pages of 0 bytes", t->page_len = 0)                     \
	X(pages_none, "has 0 pages", t->n_pages = d->n_max = 0)               \
	X(pages_other, "has 3 pages", t->n_pages++)                           \
	X(pages_over, "pages of heap", t->n_pages++, d->n_max++)              \
	X(pages_many, "page words of", t->n_pages = d->n_max = ~0u)           \
	X(words_low, "page words of", t->words_off = 0)                       \
	X(words_odd, "page words of", t->words_off += 8)                      \
	X(words_over, "page words of", t->words_off = (uint32_t)t->pages_off) \
	X(words_far, "page words of", t->words_off = -64u)                    \
	X(pages_low, "page words of", t->pages_off = 0)                       \
	X(pages_odd, "pages of heap", t->pages_off += 8)                      \
	X(pages_far, "pages of heap", t->pages_off = -64ull)                  \
	X(pages_end, "pages of heap", t->pages_off += 64)

static struct sluice_exact *inner_of(struct sluice_masked *t)
{
	return (struct sluice_exact *)(void *)((uint8_t *)t + t->exact_off);
}

/* A type cannot be put in parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define SPOIL_FN_(table, type, name, what)                                   \
	static void table##_##name(struct sluice_table_desc *d, void *table) \
	{                                                                    \
		struct type *t = table;                                      \
                                                                             \
		(void)d, (void)t;                                            \
		what;                                                        \
	}
/* NOLINTEND(bugprone-macro-parentheses) */
#define MASKED_(name, says, ...) \
	SPOIL_FN_(masked, sluice_masked, name, (__VA_ARGS__))
#define TERNARY_(name, says, ...) \
	SPOIL_FN_(ternary, sluice_ternary, name, (__VA_ARGS__))
#define IP4_(name, says, ...) SPOIL_FN_(ip4, sluice_prefix, name, (__VA_ARGS__))
#define IP6_(name, says, ...) SPOIL_FN_(ip6, sluice_prefix, name, (__VA_ARGS__))
#define COUNTERS_(name, says, ...) \
	SPOIL_FN_(counters, sluice_counters, name, (__VA_ARGS__))
#define GROUPS_(name, says, ...) \
	SPOIL_FN_(groups, sluice_heap, name, (__VA_ARGS__))
SPOILS_MASKED(MASKED_)
SPOILS_TERNARY(TERNARY_)
SPOILS_IP4(IP4_)
SPOILS_IP6(IP6_)
SPOILS_COUNTERS(COUNTERS_)
SPOILS_GROUPS(GROUPS_)

#define MASKED_ROW_(name, says, ...) \
	{TABLES_MASKED, #name, says, masked_##name},
#define TERNARY_ROW_(name, says, ...) \
	{TABLES_TERNARY, #name, says, ternary_##name},
#define IP4_ROW_(name, says, ...) {TABLES_IP4, #name, says, ip4_##name},
#define IP6_ROW_(name, says, ...) {TABLES_IP6, #name, says, ip6_##name},
#define COUNTERS_ROW_(name, says, ...) \
	{TABLES_COUNTERS, #name, says, counters_##name},
#define GROUPS_ROW_(name, says, ...) \
	{TABLES_GROUPS, #name, says, groups_##name},

const struct tables_spoil tables_spoils[] = {
	SPOILS_MASKED(MASKED_ROW_) SPOILS_TERNARY(TERNARY_ROW_)
		SPOILS_IP4(IP4_ROW_) SPOILS_IP6(IP6_ROW_)
			SPOILS_COUNTERS(COUNTERS_ROW_)
				SPOILS_GROUPS(GROUPS_ROW_)};

const uint32_t tables_n_spoils =
	sizeof(tables_spoils) / sizeof(tables_spoils[0]);

void tables_spoil(uint8_t *mem, const struct tables_spoil *s)
{
	struct sluice_table_desc *d = (void *)(mem + SLUICE_DIR_OFF);

	s->apply(d, mem + d->off);
}
