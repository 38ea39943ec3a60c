/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_RULES_FAKE_H
#define TABLE_RULES_FAKE_H

/*
 * table/rules_fake - rule sets such as operators have, and packets for them; for
 * tests and benchmarks of table/ternary
 *
 * After ClassBench (Taylor and Turner, "ClassBench: A Packet Classification
 * Benchmark", IEEE/ACM Transactions on Networking 15(3), 2007): sets are drawn
 * from distributions that were seen in real access lists. Its seed files are not
 * used; the numbers in rules_fake.c are our own, chosen after what the paper
 * reports of the three kinds. Everything follows from a seed.
 *
 * A set is made of filters over (source, destination, protocol, source port,
 * destination port). Modelled are
 *
 *   prefix pairs   the lengths of both prefixes are drawn together, from a list
 *                  of areas with weights (a host and anything, two subnets..)
 *   nesting        addresses are handed out down a binary tree over all filters
 *                  at once: at each depth a node has two children with the
 *                  branching probability, else one; the skew says how unevenly
 *                  filters part. Filters that end on the way nest the others
 *   correlation    a destination follows its filter's own source address with
 *                  a probability per bit: rules within one site
 *   ports          by protocol a pair of classes: WC any, HI 1024 to 65535, LO
 *                  below, EM one port (few are popular), AR another range
 *   protocols      by weight, any included
 *   order          specific filters mostly come first: they are sorted by the
 *                  number of bits matched, give or take some
 *
 * Our rules have masks, no ranges, so a filter becomes one rule for each pair of
 * the smallest sets of prefixes that cover its ports (HI: 6 prefixes); they are
 * disjoint and share the filter's priority. Two filters may yield rules that
 * match the same under two priorities, as in practice; no two filters are equal.
 * Every rule asks for eth_type IPv4, but for the last, which matches everything
 * at priority 0.
 *
 * Not modelled: a bound on nesting, TCP flags, smoothing and scaling of seeds.
 *
 * A trace is made as ClassBench's generator does: a rule is drawn, then a header
 * within it, each field at an end of its range or in between; the header comes
 * as many times in a row as a Pareto distribution says (shape 1, scale 0.1: nine
 * in ten come once; 64 at most, lest a few headers make all of a short trace).
 * One header in 16 matches the last rule only, one in 16 has random addresses.
 * To draw from rules that have ports expanded would favour ranges, so filters
 * are drawn, then one of their rules.
 */

#include <stdbool.h>
#include <stdint.h>

#include "sluice/key.h"

enum rules_kind {
	RULES_ACL, /* a provider's access lists: long prefixes, exact ports */
	RULES_FW,  /* firewalls: wildcards, source ports, HI */
	RULES_IPC, /* ipchains: in between, many pairs of hosts */
	RULES_KINDS,

	/*
	 * Nobody's: as many different masks as can be, in no order, as a tenant
	 * might write who wants tuples to be slow.
	 */
	RULES_WIDE = RULES_KINDS,
};

struct rule {
	struct sluice_key value; /* zero where the mask is */
	struct sluice_key mask;
	uint32_t priority; /* the greater wins; equal ones are disjoint */
	uint32_t filter;   /* that it came from, 0 to n_filters - 1 */
};

struct rules {
	uint32_t n;
	uint32_t n_filters; /* the last one, which matches all, included */
	struct rule *rule;  /* [n] priorities fall */
	uint32_t *first;    /* [n_filters + 1] where a filter's rules begin */
};

const char *rules_kind_name(enum rules_kind kind);

/* Exactly n rules, 2 to 2^20. The kind, n and seed give the same set always. */
void rules_init(struct rules *r, enum rules_kind kind, uint32_t n,
		uint64_t seed);
void rules_fini(struct rules *r);

/* n keys that arrive one after the other. */
void rules_trace(const struct rules *r, uint64_t seed, struct sluice_key *keys,
		 uint32_t n);

/* The rules' numbers in a random order, to be inserted in; order has r->n. */
void rules_shuffle(const struct rules *r, uint64_t seed, uint32_t *order);

bool rule_matches(const struct rule *rule, const struct sluice_key *key);

/* The twin: number of the first rule that matches. */
uint32_t rules_scan(const struct rules *r, const struct sluice_key *key);

#endif
