/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */

/* The ends of the forwarding benchmark, and the peer in its middle. */

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <stdint.h>

const volatile uint32_t to_ifindex; /* where gen sends */
const volatile uint8_t host_a, host_b;
uint32_t n_flows; /* a power of two */
uint32_t turn;
uint64_t n_arrived;

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 4);
} devs SEC(".maps");

/*
 * Run with live frames: makes the frame that rig_frame() makes, of one flow
 * after another in an order without order. The frames come back used, so the
 * whole header is written.
 */
SEC("xdp")
int gen(struct xdp_md *ctx)
{
	uint8_t *d = (uint8_t *)(long)ctx->data;
	uint16_t *w = (uint16_t *)(long)ctx->data;
	uint32_t flow;

	if (d + 42 > (uint8_t *)(long)ctx->data_end)
		return XDP_ABORTED;
	turn = turn * 1664525u + 1013904223u;
	flow = (turn >> 12) & (n_flows - 1);
	w[0] = 2;
	w[1] = 0;
	w[2] = (uint16_t)(host_b << 8);
	w[3] = 2;
	w[4] = 0;
	w[5] = (uint16_t)(host_a << 8);
	w[6] = 8;
	w[7] = 0x45;
	w[8] = 46 << 8;
	w[9] = 0;
	w[10] = 0;
	w[11] = 17 << 8 | 64;
	w[12] = 0;
	w[13] = 10;
	w[14] = (uint16_t)(host_a << 8);
	w[15] = 10;
	w[16] = (uint16_t)(host_b << 8);
	w[17] = __builtin_bswap16((uint16_t)flow);
	w[18] = 9 << 8;
	w[19] = 26 << 8;
	w[20] = 0;
	return (int)bpf_redirect(to_ifindex, 0);
}

SEC("xdp")
int bare(struct xdp_md *ctx)
{
	(void)ctx;
	return (int)bpf_redirect_map(&devs, 0, XDP_DROP);
}

SEC("xdp")
int arrive(struct xdp_md *ctx)
{
	(void)ctx;
	n_arrived++;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
