/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */

/*
 * The XDP engine: forwards the packets of known flows in the kernel.
 *
 * Parse, look the key up in the region's table of flows, count, do as the
 * flow's action says. Everything else goes to the slow path through the AF_XDP
 * socket of the port's receive queue.
 *
 * Each port has its own instance of the program, with its number as a constant
 * (so finding the input port costs nothing) and its own map of sockets; the
 * arena and the device maps are shared. Rejected: one program that finds the
 * port by ifindex in a hash map, 20 ns per packet.
 *
 * A packet is forwarded by one version of the region (sluice/version.h). The
 * whole run is an RCU section, so who waits for those waits for us.
 *
 * Counters lie in this CPU's lane. XDP runs with softirqs off, so nothing else
 * writes the lane meanwhile and plain stores are exact.
 *
 * Approximations: tx counts what was handed to the device; a device that is
 * congested loses frames after that, in its own counters (ethtool -S).
 */

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "sluice/exact.h"
#include "sluice/flow.h"
#include "sluice/key.h"
#include "sluice/parse.h"
#include "sluice/port.h"
#include "sluice/region.h"
#include "sluice/version.h"

#include "bpf/arena.h"
#include "bpf/capture.h"

/* Ethernet header and one VLAN tag: what a device sends beyond its MTU. */
#define L2_LEN 18u

/* Set by the loader, then constant. Addresses in the region. */
const volatile uint32_t in_port;
const volatile uint32_t n_lanes;
const volatile uint64_t ports_addr;  /* struct sluice_port [] */
const volatile uint64_t stats_addr;  /* struct sluice_port_stats [][] */
const volatile uint64_t sets_addr;   /* uint64_t [] */
const volatile uint64_t flows_addr;  /* struct sluice_exact */
const volatile uint64_t region_addr; /* struct sluice_region */

/* Port number -> device. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, SLUICE_PORTS_MAX);
	__uint(key_size, 4);
	__uint(value_size, 4);
} devs SEC(".maps");

struct set {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, SLUICE_PORTS_MAX);
	__uint(key_size, 4);
	__uint(value_size, 4);
};

/* Port set -> its devices. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SLUICE_SETS_MAX);
	__uint(key_size, 4);
	__array(values, struct set);
} sets SEC(".maps");

/* Receive queue -> the slow path's socket. One map for each port. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 64);
	__uint(key_size, 4);
	__uint(value_size, 4);
} xsks SEC(".maps");

/* What coarse_ns() last learned. */
uint64_t clock_jiffy;
uint64_t clock_ns;

/* One packet on its way. */
struct pkt {
	struct xdp_md *ctx;
	struct sluice_port_stats *lane; /* [port]: this CPU's */
	struct sluice_port_stats *rx;	/* of the input port */
	uint32_t len;
};

static __always_inline int lose(struct pkt *p, enum sluice_drop why)
{
	p->rx->drops[why]++;
	return XDP_DROP;
}

/*
 * CLOCK_MONOTONIC_COARSE. It moves with jiffies, which cost nothing to read,
 * and is asked for once in each: the call costs 20 ns. Who comes between the
 * two stores, on another CPU, sees the time of one jiffy before.
 */
static __always_inline uint64_t coarse_ns(void)
{
	uint64_t jiffy = bpf_jiffies64();

	if (sluice_load64_acquire(&clock_jiffy) != jiffy) { /* [clock] */
		sluice_store64_relaxed(&clock_ns, bpf_ktime_get_coarse_ns());
		sluice_store64_release(&clock_jiffy, jiffy); /* [clock] */
	}
	return sluice_load64_relaxed(&clock_ns);
}

/* May port take a frame of that length? The kernel would drop it silently. */
static __always_inline bool fits(uint32_t port, uint32_t len)
{
	const struct sluice_port *ports = arena_at(ports_addr);

	return len <= ports[port].mtu + L2_LEN;
}

static __always_inline int output(struct pkt *p, uint32_t port)
{
	struct sluice_port_stats *tx = p->lane + port;
	int verdict;

	if (port >= SLUICE_PORTS_MAX || port == in_port)
		return lose(p, SLUICE_DROP_NO_PORT);
	verdict = (int)bpf_redirect_map(&devs, port, XDP_DROP);
	if (verdict != XDP_REDIRECT)
		return lose(p, SLUICE_DROP_NO_PORT);
	if (!fits(port, p->len))
		return lose(p, SLUICE_DROP_TOO_LONG);
	tx->tx_packets++;
	tx->tx_bytes += p->len;
	capture_packet(p->ctx, port, SLUICE_CAPTURE_SENT);
	return verdict;
}

/*
 * Counts what output_set() sends. A function of its own, so that the rare flood
 * does not cost the others registers. Returns how many ports it goes to.
 */
static __noinline uint32_t count_set(struct xdp_md *ctx,
				     struct sluice_port_stats *lane,
				     uint64_t ports, uint32_t len)
{
	uint32_t n = 0, n_long = 0;

	for (uint32_t i = 1; i < SLUICE_PORTS_MAX; i++) {
		if (!(ports >> i & 1))
			continue;
		n++;
		if (!fits(i, len)) {
			n_long++;
			continue;
		}
		lane[i].tx_packets++;
		lane[i].tx_bytes += len;
		capture_packet(ctx, i, SLUICE_CAPTURE_SENT);
	}
	if (n)
		lane[in_port].copies += n - 1;
	lane[in_port].drops[SLUICE_DROP_TOO_LONG] += n_long;
	return n;
}

static __always_inline int output_set(struct pkt *p, uint32_t set)
{
	const uint64_t *all = arena_at(sets_addr);
	uint64_t ports;
	void *devices;

	if (set >= SLUICE_SETS_MAX)
		return lose(p, SLUICE_DROP_NO_PORT);
	ports = sluice_load64_relaxed(&all[set]) & ~(1ull << in_port);
	devices = bpf_map_lookup_elem(&sets, &set);
	if (!devices || !count_set(p->ctx, p->lane, ports, p->len))
		return lose(p, SLUICE_DROP_NO_PORT);
	return (int)bpf_redirect_map(devices, 0,
				     BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS);
}

static __always_inline int slow(struct pkt *p)
{
	int verdict;

	verdict =
		(int)bpf_redirect_map(&xsks, p->ctx->rx_queue_index, XDP_DROP);
	if (verdict != XDP_REDIRECT)
		return lose(p, SLUICE_DROP_NO_SLOW_PATH);
	p->rx->missed++;
	return verdict;
}

static __always_inline int apply(struct pkt *p, struct sluice_flow *f)
{
	sluice_act act = {sluice_load64_relaxed(&f->act)};
	uint32_t kind = sluice_act_kind(act);

	if (kind >= SLUICE_ACT_SLOW)
		return slow(p);
	sluice_flow_count(f, p->len, coarse_ns());
	if (kind == SLUICE_ACT_OUTPUT)
		return output(p, sluice_act_arg(act));
	if (kind == SLUICE_ACT_SET)
		return output_set(p, sluice_act_arg(act));
	return lose(p, sluice_act_reason(act));
}

/*
 * Where the entry of a key is that is not at home, as arena_at() takes it; 0:
 * there is none, or changes overtook us. A global function: the verifier looks
 * at it once and not again for each way through the parser, which took seconds.
 */
__attribute__((noinline)) uint32_t find_far(const struct sluice_key *key,
					    uint32_t hash)
{
	const struct sluice_exact_want w = {
		.key = (const uint64_t *)key,
		.key_len = sizeof(*key),
		.hash = hash,
		.version = sluice_version(arena_at(region_addr)),
	};
	struct sluice_exact_view flows;
	uint8_t *entry;
	uint32_t low;

	ARENA_USE();
	if (!key)
		return 0;
	sluice_exact_view_init(&flows, arena_at(flows_addr));
	if (sluice_exact_find_want_(&flows, &w, &entry) != SLUICE_YES)
		return 0;
	/* Only a number may be returned: what a move of 32 bits leaves is one. */
	__asm__ volatile("%0 = %1"
			 : "=w"(low)
			 : "w"((uint32_t)(uint64_t)entry));
	return low;
}

/*
 * The flow of a key; NULL: none, or busy, in which case the writer knows. It is
 * the only thing that a packet looks up, so the version is asked for by who needs
 * it: a live entry at home is there at any.
 */
static __always_inline uint8_t *find(const struct sluice_key *key)
{
	struct sluice_exact_view flows;
	struct sluice_exact_want w = {
		.key = (const uint64_t *)key,
		.key_len = sizeof(*key),
	};
	uint8_t *entry;
	uint32_t far;

	sluice_exact_view_init(&flows, arena_at(flows_addr));
	w.hash = sluice_exact_hash(flows.table->hash_keys, w.key, w.key_len);
	entry = sluice_exact_at_home_(&flows, &w);
	if (entry)
		return entry;
	far = find_far(key, w.hash);
	return far ? arena_at(far) : NULL;
}

SEC("xdp")
int sluice_forward(struct xdp_md *ctx)
{
	const uint8_t *data = (void *)(long)ctx->data;
	const uint8_t *end = (void *)(long)ctx->data_end;
	struct pkt p = {.ctx = ctx, .len = (uint32_t)(end - data)};
	uint32_t lane = SLUICE_LANE_SLOW + 1 + bpf_get_smp_processor_id();
	struct sluice_key key;
	enum sluice_drop drop;
	uint8_t *entry;

	ARENA_USE();
	if (lane >= n_lanes)
		return XDP_ABORTED;
	p.lane = arena_at(stats_addr);
	p.lane += lane * SLUICE_PORTS_MAX;
	p.rx = p.lane + in_port;
	p.rx->rx_packets++;
	p.rx->rx_bytes += p.len;
	capture_packet(ctx, in_port, SLUICE_CAPTURE_RECEIVED);

	drop = sluice_parse(data, end, in_port, &key);
	if (drop != SLUICE_DROP_NONE)
		return lose(&p, drop);
	entry = find(&key);
	if (!entry)
		return slow(&p);
	return apply(&p, sluice_entry_value(entry, sizeof(key)));
}

char LICENSE[] SEC("license") = "GPL";
