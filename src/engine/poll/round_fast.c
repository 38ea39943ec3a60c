/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A burst is worked off in passes, so that the memory each pass needs is asked
 * for together: parse all, find all, decide and queue all by output port, then
 * send each queue, then the misses. Frames stay in their rooms until then;
 * nothing is copied here.
 */
#include <stddef.h>

#include "engine/poll/poll_private.h"
#include "sluice/parse.h"

/* What v->flow's action means for a frame of in_port. */
static inline void decide(const struct poll_tables *t, uint32_t in_port,
			  uint64_t up, struct poll_verdict *v)
{
	sluice_act act = {sluice_load64_relaxed(&v->flow->act)};
	uint32_t kind = sluice_act_kind(act), arg = sluice_act_arg(act);

	v->ports = 0;
	v->drop = SLUICE_DROP_NONE;
	v->is_slow = kind >= SLUICE_ACT_SLOW;
	if (v->is_slow) {
		v->flow = NULL;
		return;
	}
	if (kind == SLUICE_ACT_DROP) {
		v->drop = sluice_act_reason(act);
		return;
	}
	if (kind == SLUICE_ACT_OUTPUT)
		v->ports = arg < SLUICE_PORTS_MAX ? 1ull << arg : 0;
	else if (arg < SLUICE_SETS_MAX)
		v->ports = sluice_load64_relaxed(&t->sets[arg]);
	v->ports &= up & ~(1ull << in_port);
	if (!v->ports)
		v->drop = SLUICE_DROP_NO_PORT;
}

static inline struct sluice_flow *flow_of(uint8_t *entry)
{
	return sluice_entry_value(entry, sizeof(struct sluice_key));
}

void poll_verdict(const struct poll_tables *t, const struct frame *f,
		  uint64_t up, struct poll_verdict *out)
{
	struct sluice_key key;
	uint8_t *entry;

	*out = (struct poll_verdict){
		.drop = sluice_parse(f->data, f->data + f->len, f->in_port,
				     &key),
	};
	if (out->drop != SLUICE_DROP_NONE)
		return;
	if (sluice_exact_find(&t->flows, sluice_version(t->region), &key,
			      sizeof(key), &entry) != SLUICE_YES) {
		out->is_slow = true;
		return;
	}
	out->flow = flow_of(entry);
	decide(t, f->in_port, up, out);
}

static inline void drop(struct poll *e, const struct frame *f, uint32_t why)
{
	poll_count(&e->ports[f->in_port].stats->drops[why], 1);
}

static inline void queue(struct poll_queue *q, struct frame *f)
{
	q->frames[q->n++] = f;
}

/* May the port's device take it? Segments are cut up before they leave. */
static inline bool fits(const struct poll *e, uint32_t no,
			const struct frame *f)
{
	return f->len <= e->ports[no].port->mtu + POLL_L2_LEN ||
	       f->vnet.gso_type != VIRTIO_NET_HDR_GSO_NONE;
}

static void queue_to_ports(struct poll *e, struct frame *f, uint64_t ports)
{
	if (unlikely(ports & (ports - 1))) {
		int n = __builtin_popcountll(ports);

		poll_count(&e->ports[f->in_port].stats->copies,
			   (uint64_t)n - 1);
	}
	for (; ports; ports &= ports - 1) {
		uint32_t no = (uint32_t)__builtin_ctzll(ports);

		if (unlikely(!fits(e, no, f))) {
			drop(e, f, SLUICE_DROP_TOO_LONG);
			continue;
		}
		queue(&e->queues[no], f);
		e->queued |= 1ull << no;
	}
}

/* As sluice_flow_count(), by the only thread of this engine: plain stores. */
static inline void count_flow(struct sluice_flow *f, uint32_t len,
			      uint64_t now_ns)
{
	poll_count(&f->n_packets, 1);
	poll_count(&f->n_bytes, len);
	if (sluice_load64_relaxed(&f->used_ns) != now_ns)
		sluice_store64_relaxed(&f->used_ns, now_ns);
}

static inline void act(struct poll *e, struct frame *f, uint8_t *entry,
		       uint64_t now_ns)
{
	struct poll_verdict v = {.flow = flow_of(entry)};

	decide(&e->tables, f->in_port, e->up, &v);
	/* Behind what decides, in front of what is stored in the entry. */
	if (unlikely(!sluice_section_holds(&e->seat))) {
		queue(&e->misses, f);
		return;
	}
	if (likely(v.flow))
		count_flow(v.flow, f->len, now_ns);
	if (v.is_slow)
		queue(&e->misses, f);
	else if (v.drop)
		drop(e, f, v.drop);
	else
		queue_to_ports(e, f, v.ports);
}

static void send_queue(struct poll *e, uint32_t no)
{
	struct sluice_port_stats *stats = e->ports[no].stats;
	struct port *p = e->ports[no].port;
	struct poll_queue *q = &e->queues[no];
	uint64_t n = 0, n_bytes = 0;

	p->ops->send(p, q->frames, q->n, e->lost);
	for (uint32_t i = 0; i < q->n; i++) {
		if (unlikely(e->lost[i])) {
			drop(e, q->frames[i], e->lost[i]);
			continue;
		}
		n++;
		n_bytes += q->frames[i]->len;
	}
	poll_count(&stats->tx_packets, n);
	poll_count(&stats->tx_bytes, n_bytes);
	q->n = 0;
}

static void send_misses(struct poll *e)
{
	struct poll_queue *q = &e->misses;

	e->slow.miss(e->slow.arg, q->frames, q->n, e->lost);
	for (uint32_t i = 0; i < q->n; i++) {
		struct frame *f = q->frames[i];

		if (e->lost[i])
			drop(e, f, e->lost[i]);
		else
			poll_count(&e->ports[f->in_port].stats->missed, 1);
	}
	q->n = 0;
}

/* Parses n frames; returns how many go on, with their keys in e->keys. */
static uint32_t parse(struct poll *e, uint32_t no, uint32_t n)
{
	struct sluice_port_stats *stats = e->ports[no].stats;
	uint64_t n_bytes = 0;
	uint32_t n_keys = 0;

	for (uint32_t i = 0; i < n; i++)
		__builtin_prefetch(e->frames[i].data);
	for (uint32_t i = 0; i < n; i++) {
		struct frame *f = &e->frames[i];
		enum sluice_drop why;

		f->in_port = no;
		n_bytes += f->len;
		why = sluice_parse(f->data, f->data + f->len, no,
				   &e->keys[n_keys]);
		if (unlikely(why))
			drop(e, f, why);
		else
			e->frame_of[n_keys++] = (uint8_t)i;
	}
	poll_count(&stats->rx_packets, n);
	poll_count(&stats->rx_bytes, n_bytes);
	return n_keys;
}

static uint32_t serve(struct poll *e, uint32_t no, uint64_t now_ns)
{
	struct sluice_exact_view flows = e->tables.flows;
	struct port *p = e->ports[no].port;
	uint32_t n = p->ops->recv(p, e->frames, POLL_BUDGET);
	uint32_t n_keys;

	if (n == 0)
		return 0;
	if (unlikely(!sluice_section_holds(&e->seat))) {
		sluice_section_leave(&e->seat);
		sluice_section_enter(&e->seat);
	}
	n_keys = parse(e, no, n);
	flows.key_len = sizeof(struct sluice_key); /* code for these alone */
	sluice_exact_find_batch(&flows, sluice_version(e->tables.region),
				e->keys, n_keys, &e->answers);
	for (uint32_t i = 0; i < n_keys; i++) {
		struct frame *f = &e->frames[e->frame_of[i]];

		/* Busy is no answer either; the slow path has one. */
		if (likely(e->answers.entries[i]))
			act(e, f, e->answers.entries[i], now_ns);
		else
			queue(&e->misses, f);
	}
	for (; e->queued; e->queued &= e->queued - 1)
		send_queue(e, (uint32_t)__builtin_ctzll(e->queued));
	if (e->misses.n)
		send_misses(e);
	return n;
}

/* Serves the ports in some, in order; notes in e->busy which had frames. */
static uint32_t serve_all(struct poll *e, uint64_t some, uint64_t now_ns)
{
	uint32_t n = 0;

	for (; some; some &= some - 1) {
		uint32_t no = (uint32_t)__builtin_ctzll(some);
		uint32_t got = serve(e, no, now_ns);

		if (got == 0)
			continue;
		/* Who was first now is last the next time. */
		if (!e->busy)
			e->first = (no + 1) % SLUICE_PORTS_MAX;
		e->busy |= 1ull << no;
		n += got;
	}
	return n;
}

uint32_t poll_round(struct poll *e, uint64_t now_ns)
{
	uint64_t ready = (e->ready | e->blind) & e->up;
	uint64_t from_first = ready & ~0ull << e->first;
	uint32_t n;

	/* Until poll_sit() there is no section to be in. */
	if (unlikely(sluice_seat_is_lost(&e->seat)))
		return 0;
	sluice_section_enter(&e->seat);
	e->busy = 0;
	n = serve_all(e, from_first, now_ns);
	n += serve_all(e, ready & ~from_first, now_ns);
	e->ready = e->busy;
	sluice_section_leave(&e->seat);
	return n;
}

void poll_send(struct poll *e, uint32_t no, struct frame *f)
{
	uint8_t lost = SLUICE_DROP_NO_PORT;
	struct sluice_port_stats *stats;
	struct port *p;

	if (no >= SLUICE_PORTS_MAX)
		return;
	stats = e->ports[no].stats;
	p = e->ports[no].port;
	if (p && !fits(e, no, f))
		lost = SLUICE_DROP_TOO_LONG;
	else if (p)
		p->ops->send(p, &f, 1, &lost);
	if (!lost)
		return;
	drop(e, f, lost);
	/* Counters are summed over lanes, and modulo 2^64. */
	poll_count(&stats->tx_packets, -1ull);
	poll_count(&stats->tx_bytes, -(uint64_t)f->len);
}
