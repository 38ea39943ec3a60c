/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers are appended as bytes in network order; the build remembers where the
 * fields lie that only the end knows. Rejected: structs laid over the frame,
 * which need packing and aligned frames and would still have to be swapped.
 */
#include "packet/build.h"

#include <string.h>

#include "packet/csum.h"
#include "sluice/wire.h"

/* Room for len more bytes, zeroed; NULL when it does not fit. */
static uint8_t *take(struct build *b, uint32_t len)
{
	uint8_t *p = b->data + b->len;

	if (b->is_full || len > b->max - b->len) {
		b->is_full = true;
		return NULL;
	}
	memset(p, 0, len);
	b->len += len;
	return p;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

/* Names the next header in the one before it. */
static void name_type(struct build *b, uint16_t eth_type)
{
	if (b->type)
		put16(b->data + b->type, eth_type);
}

static void name_proto(struct build *b, uint8_t proto)
{
	if (b->next)
		b->data[b->next] = proto;
}

void build_start(struct build *b, void *mem, uint32_t max)
{
	*b = (struct build){.data = mem, .max = max};
}

void build_eth(struct build *b, const uint8_t *dst, const uint8_t *src)
{
	uint8_t *p = take(b, SLUICE_ETH_LEN);

	if (!p)
		return;
	memcpy(p, dst, 6);
	memcpy(p + 6, src, 6);
	b->type = b->len - 2;
}

void build_tag(struct build *b, uint16_t tpid, uint16_t tci)
{
	uint8_t *p = take(b, SLUICE_VLAN_LEN);

	if (!p)
		return;
	name_type(b, tpid);
	put16(p, tci);
	b->type = b->len - 2;
}

void build_type(struct build *b, uint16_t eth_type)
{
	name_type(b, eth_type);
}

void build_arp(struct build *b, const struct build_arp *a)
{
	static const uint8_t head[] = {0, 1, 8, 0, 6, 4};
	uint8_t *p = take(b, SLUICE_ARP_LEN);

	if (!p)
		return;
	name_type(b, SLUICE_ETH_ARP);
	memcpy(p, head, sizeof(head));
	put16(p + 6, a->op);
	memcpy(p + 8, a->sha, 6);
	put32(p + 14, a->spa);
	if (a->tha)
		memcpy(p + 18, a->tha, 6);
	put32(p + 24, a->tpa);
}

void build_ip4(struct build *b, const struct build_ip4 *a)
{
	uint32_t at = b->len, len = SLUICE_IP4_LEN + a->options_len;
	uint8_t *p = take(b, len);

	if (!p)
		return;
	name_type(b, SLUICE_ETH_IP4);
	p[0] = (uint8_t)(0x40 | len / 4);
	p[1] = a->tos;
	put16(p + 4, a->id);
	put16(p + 6, a->frag);
	p[8] = a->ttl ? a->ttl : 64;
	put32(p + 12, a->src);
	put32(p + 16, a->dst);
	memset(p + SLUICE_IP4_LEN, 1, a->options_len);
	b->ip4 = at;
	b->next = at + 9;
}

void build_ip6(struct build *b, const struct build_ip6 *a)
{
	uint32_t at = b->len;
	uint8_t *p = take(b, SLUICE_IP6_LEN);

	if (!p)
		return;
	name_type(b, SLUICE_ETH_IP6);
	put32(p, 6u << 28 | (uint32_t)a->tclass << 20 | (a->label & 0xfffff));
	p[7] = a->hops ? a->hops : 64;
	memcpy(p + 8, a->src, 16);
	memcpy(p + 24, a->dst, 16);
	b->ip6 = at;
	b->next = at + 6;
}

void build_ext6(struct build *b, uint8_t proto, uint32_t len)
{
	uint32_t at = b->len;
	uint8_t *p = take(b, len);

	if (!p)
		return;
	name_proto(b, proto);
	p[1] = (uint8_t)(proto == SLUICE_IP_AUTH ? len / 4 - 2 : len / 8 - 1);
	b->next = at;
	if (proto != SLUICE_IP_HOPOPTS && proto != SLUICE_IP_DSTOPTS)
		return;
	/* PadN options: type 1, length, zeros. */
	for (uint32_t i = 2; i < len;) {
		uint32_t n = len - i < 200 ? len - i : 200;

		/* What is left must hold an option, too. */
		if (len - i - n == 1)
			n--;
		p[i] = 1;
		p[i + 1] = (uint8_t)(n - 2);
		i += n;
	}
}

void build_frag6(struct build *b, uint16_t off, bool more, uint32_t id)
{
	uint32_t at = b->len;
	uint8_t *p = take(b, 8);

	if (!p)
		return;
	name_proto(b, SLUICE_IP_FRAGMENT);
	put16(p + 2, (off & 0xfff8u) | more);
	put32(p + 4, id);
	b->next = at;
}

void build_proto(struct build *b, uint8_t proto)
{
	name_proto(b, proto);
}

/* A transport header of len bytes. */
static uint8_t *take_l4(struct build *b, uint8_t proto, uint32_t len)
{
	uint32_t at = b->len;
	uint8_t *p = take(b, len);

	if (!p)
		return NULL;
	name_proto(b, proto);
	b->l4 = at;
	b->proto = proto;
	return p;
}

void build_tcp(struct build *b, uint16_t src, uint16_t dst, uint8_t flags)
{
	uint8_t *p = take_l4(b, SLUICE_IP_TCP, 20);

	if (!p)
		return;
	put16(p, src);
	put16(p + 2, dst);
	p[12] = 5 << 4;
	p[13] = flags;
	put16(p + 14, 0xffff);
}

void build_udp(struct build *b, uint16_t src, uint16_t dst)
{
	uint8_t *p = take_l4(b, SLUICE_IP_UDP, 8);

	if (!p)
		return;
	put16(p, src);
	put16(p + 2, dst);
}

void build_icmp(struct build *b, uint8_t type, uint8_t code)
{
	uint8_t *p = take_l4(b, b->ip6 ? SLUICE_IP_ICMP6 : SLUICE_IP_ICMP, 8);

	if (!p)
		return;
	p[0] = type;
	p[1] = code;
}

void build_bytes(struct build *b, const void *data, uint32_t len)
{
	uint8_t *p = take(b, len);

	if (p && len)
		memcpy(p, data, len);
}

void build_fill(struct build *b, uint32_t len)
{
	uint8_t *p = take(b, len);

	for (uint32_t i = 0; p && i < len; i++)
		p[i] = (uint8_t)i;
}

/* The sum over the pseudo header of IPv4 or IPv6. */
static uint64_t pseudo_sum(const struct build *b, uint32_t len)
{
	uint64_t sum = csum_add16(0, b->proto);

	sum = csum_add16(sum, (uint16_t)len);
	if (b->ip6)
		return csum_add(sum, b->data + b->ip6 + 8, 32);
	return csum_add(sum, b->data + b->ip4 + 12, 8);
}

/* Length and checksum of the transport header. */
static void end_l4(struct build *b)
{
	static const uint8_t csum_at[] = {
		[SLUICE_IP_ICMP] = 2,
		[SLUICE_IP_TCP] = 16,
		[SLUICE_IP_UDP] = 6,
		[SLUICE_IP_ICMP6] = 2,
	};
	uint32_t len = b->len - b->l4;
	uint8_t *p = b->data + b->l4;
	uint64_t sum = 0;
	sluice_be16 field;

	if (b->proto == SLUICE_IP_UDP)
		put16(p + 4, len);
	if (b->proto != SLUICE_IP_ICMP)
		sum = pseudo_sum(b, len);
	field = csum_fold(csum_add(sum, p, len));
	/* For UDP 0 means that there is none. */
	if (b->proto == SLUICE_IP_UDP && !field.be)
		field.be = 0xffff;
	memcpy(p + csum_at[b->proto], &field, sizeof(field));
}

uint32_t build_end(struct build *b)
{
	if (b->is_full)
		return 0;
	if (b->l4)
		end_l4(b);
	if (b->ip6)
		put16(b->data + b->ip6 + 4, b->len - b->ip6 - SLUICE_IP6_LEN);
	if (b->ip4) {
		uint8_t *p = b->data + b->ip4;
		sluice_be16 field;

		put16(p + 2, b->len - b->ip4);
		field = csum_fold(csum_add(0, p, (size_t)(p[0] & 15) * 4));
		memcpy(p + 10, &field, sizeof(field));
	}
	return b->len;
}

static void talk_ip(struct build *b, const struct build_talk *t)
{
	uint8_t src[16] = {0xfd}, dst[16] = {0xfd};

	if (t->kind < BUILD_TCP6) {
		build_ip4(b, &(struct build_ip4){.src = t->ip_src,
						 .dst = t->ip_dst});
		return;
	}
	put32(src + 12, t->ip_src);
	put32(dst + 12, t->ip_dst);
	build_ip6(b, &(struct build_ip6){.src = src, .dst = dst});
}

uint32_t build_talk(void *mem, uint32_t max, const struct build_talk *t)
{
	struct build b;

	build_start(&b, mem, max);
	build_eth(&b, t->eth_dst, t->eth_src);
	if (t->vlan)
		build_tag(&b, SLUICE_ETH_VLAN, t->vlan);
	if (t->kind != BUILD_ARP)
		talk_ip(&b, t);
	switch (t->kind) {
	case BUILD_ARP:
		build_arp(&b, &(struct build_arp){.op = 1,
						  .sha = t->eth_src,
						  .spa = t->ip_src,
						  .tpa = t->ip_dst});
		break;
	case BUILD_TCP4:
	case BUILD_TCP6:
		build_tcp(&b, t->tp_src, t->tp_dst, 0x10);
		break;
	case BUILD_UDP4:
	case BUILD_UDP6:
		build_udp(&b, t->tp_src, t->tp_dst);
		break;
	case BUILD_ICMP4:
		build_icmp(&b, 8, 0);
		break;
	case BUILD_ICMP6:
		build_icmp(&b, 128, 0);
		break;
	}
	if (t->len > b.len)
		build_fill(&b, t->len - b.len);
	return build_end(&b);
}
