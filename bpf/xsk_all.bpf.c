/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */

/*
 * Gives every packet of a device to the AF_XDP sockets of the user-space
 * engine (port/xsk_all.h). Without a socket, packets go where they would go
 * without us.
 */

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

/* Receive queue -> socket. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 64);
	__uint(key_size, 4);
	__uint(value_size, 4);
} xsks SEC(".maps");

SEC("xdp")
int xsk_all(struct xdp_md *ctx)
{
	return (int)bpf_redirect_map(&xsks, ctx->rx_queue_index, XDP_PASS);
}

char LICENSE[] SEC("license") = "GPL";
