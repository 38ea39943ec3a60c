/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
#ifndef BPF_CAPTURE_H
#define BPF_CAPTURE_H

/*
 * bpf/capture - copies packets out for `sluice capture`
 *
 * For the one .bpf.c of the XDP engine, after bpf_helpers.h. It calls
 *
 *     capture_packet(ctx, port, SLUICE_CAPTURE_RECEIVED)  at its beginning
 *     capture_packet(ctx, port, SLUICE_CAPTURE_SENT)      before a redirect
 *
 * and the loader pins capture_ports and capture_rings (sluice/capture.h). While
 * nobody captures a port, its call is one load and one branch.
 *
 * The ring buffers are made by who captures: an idle switch holds none, and a
 * capture chooses its size. Rejected: one ring for all ports, which only one
 * process could read; a perf event array, whose records have no order across
 * cores; bpf_ringbuf_output(), which may not read packet data.
 */

#include "sluice/atomic.h"
#include "sluice/capture.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SLUICE_PORTS_MAX);
	__type(key, uint32_t);
	__type(value, struct sluice_capture_port);
} capture_ports SEC(".maps");

struct capture_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SLUICE_PORTS_MAX);
	__type(key, uint32_t);
	__array(values, struct capture_ring);
} capture_rings SEC(".maps");

/* What is copied: a frame that begins off bytes into the packet of ctx. */
struct capture_what {
	uint32_t port;
	uint32_t dir;
	uint32_t off;
	uint32_t len;
};

/*
 * One record with room for max bytes of data; max is a constant and a power of
 * two. False when the ring is full.
 */
static __always_inline bool capture_put(struct xdp_md *ctx, void *ring,
					const struct capture_what *what,
					uint32_t max)
{
	struct sluice_capture_rec *rec;
	uint32_t n = what->len;

	rec = bpf_ringbuf_reserve(ring, sizeof(*rec) + max, 0);
	if (!rec)
		return false;
	if (n > max)
		n = max;
	rec->time_ns = bpf_ktime_get_ns();
	rec->len = what->len;
	rec->port = what->port;
	rec->dir = what->dir;
	/* n is 1 to max; behind clang's back, so that the verifier sees it. */
	n--;
	__asm__ volatile("" : "+r"(n));
	n = (n & (max - 1)) + 1;
	if (bpf_xdp_load_bytes(ctx, what->off, rec->data, n)) {
		bpf_ringbuf_discard(rec, 0);
		return true;
	}
	rec->cap_len = n;
	bpf_ringbuf_submit(rec, 0);
	return true;
}

/* Global, so the verifier looks at it once and not at each call. */
__noinline int capture_slow(struct xdp_md *ctx, uint32_t port, uint32_t dir,
			    uint32_t off)
{
	struct capture_what what = {.port = port, .dir = dir, .off = off};
	struct sluice_capture_port *p;
	void *ring;
	bool put;

	p = bpf_map_lookup_elem(&capture_ports, &port);
	if (!p)
		return 0;
	if (p->until_ns < bpf_ktime_get_ns()) {
		/* A lease that is renewed late loses up to one renewal. */
		p->until_ns = 0;
		return 0;
	}
	ring = bpf_map_lookup_elem(&capture_rings, &port);
	what.len = (uint32_t)bpf_xdp_get_buff_len(ctx);
	if (!ring || what.len <= off)
		return 0;
	what.len -= off;
	if (what.len <= SLUICE_CAPTURE_SMALL)
		put = capture_put(ctx, ring, &what, SLUICE_CAPTURE_SMALL);
	else if (what.len <= SLUICE_CAPTURE_MEDIUM)
		put = capture_put(ctx, ring, &what, SLUICE_CAPTURE_MEDIUM);
	else
		put = capture_put(ctx, ring, &what, SLUICE_CAPTURE_LARGE);
	if (!put)
		sluice_add64_relaxed(&p->n_lost, 1);
	return 0;
}

/* Copies the packet out if port is being captured. */
static __always_inline void capture_packet(struct xdp_md *ctx, uint32_t port,
					   enum sluice_capture_dir dir)
{
	struct sluice_capture_port *p;

	p = bpf_map_lookup_elem(&capture_ports, &port);
	if (p && p->until_ns)
		capture_slow(ctx, port, dir, 0);
}

/*
 * Run by the engine's user-space side (BPF_PROG_TEST_RUN) for a frame that the
 * slow path sends on a port being captured: struct sluice_capture_sent, frame.
 */
SEC("xdp")
int capture_sent(struct xdp_md *ctx)
{
	struct sluice_capture_sent sent;

	if (bpf_xdp_load_bytes(ctx, 0, &sent, sizeof(sent)))
		return XDP_ABORTED;
	capture_slow(ctx, sent.port, SLUICE_CAPTURE_SENT, sizeof(sent));
	return XDP_DROP;
}

#endif
