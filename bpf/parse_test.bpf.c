/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * The parser alone, for src/packet/parse_bpf_test.c: parses the packet as the
 * forwarding program does and leaves verdict and key in a map.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "sluice/parse.h"

struct result {
	struct sluice_key key;
	uint32_t drop;
	uint32_t in_port; /* given by the test */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct result);
} results SEC(".maps");

SEC("xdp")
int parse(struct xdp_md *ctx)
{
	const uint8_t *data = (const uint8_t *)(uintptr_t)ctx->data;
	const uint8_t *end = (const uint8_t *)(uintptr_t)ctx->data_end;
	struct sluice_key key;
	uint32_t zero = 0;
	struct result *r = bpf_map_lookup_elem(&results, &zero);

	if (!r)
		return XDP_ABORTED;
	r->drop = sluice_parse(data, end, r->in_port, &key);
	if (!r->drop)
		r->key = key;
	return XDP_DROP;
}

/* The same packet without parsing, for the price of a run. */
SEC("xdp")
int nothing(struct xdp_md *ctx)
{
	uint32_t zero = 0;
	struct result *r = bpf_map_lookup_elem(&results, &zero);

	if (!r)
		return XDP_ABORTED;
	r->in_port = (uint32_t)ctx->data_end - (uint32_t)ctx->data;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
