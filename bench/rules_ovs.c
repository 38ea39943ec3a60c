/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open vSwitch's classifier on the same rules and packets, as bench/rules.c's
 * peer: a program of its own, built by devtools/peer-ovs, for it needs private
 * headers and a library that does not mix with ours.
 *
 *     rules_ovs KIND N SEED N_KEYS
 *
 * Reads commands, a line each, and answers each by a line of numbers:
 *
 *     fill   all rules into an empty classifier, each visible at once:
 *            ns for each of all, of the first, middle and last window; bytes
 *            from malloc for each rule, everything included
 *     empty  removes them: ns for each
 *     find   million look-ups per second, without and with wildcards
 *     facts  mean number of bits in the wildcards, number of subtables, and a sum
 *            that tells whether the same rules won as with us
 *
 * As ovs-vswitchd sets its tables up: stages as in struct flow, prefix tries on
 * both IPv4 addresses. A flow is filled right before its look-up, as our keys
 * are read: all of them in memory would be eleven times as long as ours.
 */
#include <config.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "classifier.h"
#include "flow.h"
#include "ovs-rcu.h"
#include "util.h"

#include "base/clock.h"
#include "base/must.h"
#include "bench/rules_peer.h"
#include "table/rules_fake.h"

struct rig {
	struct rules rules;
	uint32_t *order;
	struct sluice_key *keys;
	uint32_t n_keys;
	struct classifier cls;
	struct cls_rule *cls_rules; /* [rules.n] as rules.rule */
};

static ovs_be32 address_of(const uint8_t *ip)
{
	ovs_be32 v;

	memcpy(&v, ip + 12, sizeof(v));
	return v;
}

static void match_of(struct match *m, const struct rule *r)
{
	match_init_catchall(m);
	if (!r->mask.eth_type.be)
		return;
	match_set_dl_type(m, r->value.eth_type.be);
	match_set_nw_src_masked(m, address_of(r->value.ip_src),
				address_of(r->mask.ip_src));
	match_set_nw_dst_masked(m, address_of(r->value.ip_dst),
				address_of(r->mask.ip_dst));
	if (r->mask.ip_proto)
		match_set_nw_proto(m, r->value.ip_proto);
	match_set_tp_src_masked(m, r->value.tp_src.be, r->mask.tp_src.be);
	match_set_tp_dst_masked(m, r->value.tp_dst.be, r->mask.tp_dst.be);
}

static inline void flow_fill(struct flow *f, const struct sluice_key *k)
{
	f->dl_type = k->eth_type.be;
	f->nw_src = address_of(k->ip_src);
	f->nw_dst = address_of(k->ip_dst);
	f->nw_proto = k->ip_proto;
	f->tp_src = k->tp_src.be;
	f->tp_dst = k->tp_dst.be;
}

/* ---- Commands. ---- */

static void start(struct rig *r)
{
	static const enum mf_field_id prefixes[] = {MFF_IPV4_DST, MFF_IPV4_SRC};

	classifier_init(&r->cls, flow_segment_u64s);
	classifier_set_prefix_fields(&r->cls, prefixes, ARRAY_SIZE(prefixes));
}

/* Frees what waits for readers; there are none. */
static void settle(void)
{
	ovsrcu_synchronize();
	ovsrcu_synchronize();
}

/* Inserts by order[from..to-1]; ns for each. */
static double fill_part(struct rig *r, uint32_t from, uint32_t to)
{
	uint64_t since = clock_cpu_ns();

	for (uint32_t i = from; i < to; i++) {
		uint32_t n = r->order[i];
		struct match m;

		match_of(&m, &r->rules.rule[n]);
		cls_rule_init(&r->cls_rules[n], &m,
			      (int)r->rules.rule[n].priority);
		classifier_insert(&r->cls, &r->cls_rules[n], OVS_VERSION_MIN,
				  NULL, 0);
	}
	return to == from ? 0 : (double)(clock_cpu_ns() - since) / (to - from);
}

static void fill(struct rig *r)
{
	uint32_t n = r->rules.n;
	uint32_t w = rules_window(n);
	uint32_t mid = n / 2 - w / 2;
	size_t before = mallinfo2().uordblks;
	double first, middle, last, rest;

	start(r);
	first = fill_part(r, 0, w);
	rest = fill_part(r, w, mid) * (mid - w);
	middle = fill_part(r, mid, mid + w);
	rest += fill_part(r, mid + w, n - w) * (n - w - mid - w);
	last = fill_part(r, n - w, n);
	rest += (first + middle + last) * w;
	settle();
	printf("%g %g %g %g %g\n", rest / n, first, middle, last,
	       (double)(mallinfo2().uordblks - before) / n +
		       sizeof(struct cls_rule));
}

static void empty(struct rig *r)
{
	uint64_t since = clock_cpu_ns();
	uint64_t ns;

	for (uint32_t i = 0; i < r->rules.n; i++)
		classifier_remove_assert(&r->cls, &r->cls_rules[r->order[i]]);
	ns = clock_cpu_ns() - since;
	settle();
	for (uint32_t i = 0; i < r->rules.n; i++)
		cls_rule_destroy(&r->cls_rules[i]);
	classifier_destroy(&r->cls);
	settle();
	printf("%g\n", (double)ns / r->rules.n);
}

static double find_all(struct rig *r, bool with_wildcards)
{
	uint64_t since = clock_cpu_ns();
	struct flow flow = {0};
	struct flow_wildcards wc;

	for (uint32_t i = 0; i < r->n_keys; i++) {
		flow_fill(&flow, &r->keys[i]);
		if (with_wildcards)
			flow_wildcards_init_catchall(&wc);
		must(classifier_lookup(&r->cls, OVS_VERSION_MIN, &flow,
				       with_wildcards ? &wc : NULL));
	}
	return r->n_keys * 1e3 / (double)(clock_cpu_ns() - since);
}

static void find(struct rig *r)
{
	double plain = find_all(r, false);

	printf("%g %g\n", plain, find_all(r, true));
}

static uint32_t n_bits(const struct flow_wildcards *wc)
{
	const uint64_t *w = (const uint64_t *)&wc->masks;
	uint32_t n = 0;

	for (uint32_t i = 0; i < FLOW_U64S; i++)
		n += (uint32_t)__builtin_popcountll(w[i]);
	return n;
}

static void facts(struct rig *r)
{
	struct flow flow = {0};
	uint64_t bits = 0, winners = 0;

	for (uint32_t i = 0; i < r->n_keys; i++) {
		struct flow_wildcards wc;
		const struct cls_rule *c;

		flow_fill(&flow, &r->keys[i]);
		flow_wildcards_init_catchall(&wc);
		c = classifier_lookup(&r->cls, OVS_VERSION_MIN, &flow, &wc);
		must(c);
		bits += n_bits(&wc);
		winners += (uint64_t)(c - r->cls_rules) * (i + 1);
	}
	printf("%g %g %.0f\n", (double)bits / r->n_keys,
	       (double)cmap_count(&r->cls.subtables_map),
	       (double)(winners & RULES_WINNERS_MASK));
}

static void obey(struct rig *r, const char *line)
{
	if (strcmp(line, "fill\n") == 0)
		fill(r);
	else if (strcmp(line, "empty\n") == 0)
		empty(r);
	else if (strcmp(line, "find\n") == 0)
		find(r);
	else if (strcmp(line, "facts\n") == 0)
		facts(r);
	else
		exit(2);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct rig r = {0};
	char line[64];
	uint64_t seed;

	must(argc == 5);
	set_program_name(argv[0]);
	seed = strtoull(argv[3], NULL, 0);
	rules_init(&r.rules, (enum rules_kind)atoi(argv[1]),
		   (uint32_t)strtoul(argv[2], NULL, 0), seed);
	r.n_keys = (uint32_t)strtoul(argv[4], NULL, 0);
	r.order = calloc(r.rules.n, sizeof(*r.order));
	r.keys = calloc(r.n_keys, sizeof(*r.keys));
	r.cls_rules = calloc(r.rules.n, sizeof(*r.cls_rules));
	must(r.order && r.keys && r.cls_rules);
	rules_shuffle(&r.rules, seed, r.order);
	rules_trace(&r.rules, seed, r.keys, r.n_keys);
	while (fgets(line, sizeof(line), stdin))
		obey(&r, line);
	return 0;
}
