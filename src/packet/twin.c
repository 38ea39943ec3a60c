/* SPDX-License-Identifier: Apache-2.0 */
#include "packet/twin.h"

#include <string.h>

#include "base/must.h"

struct frame {
	const uint8_t *data;
	uint32_t len;
	uint32_t off;  /* where the next header begins */
	uint32_t stop; /* where the IP packet ends */
	struct sluice_key *key;
};

static uint32_t byte_at(const struct frame *f, uint32_t off)
{
	must(off < f->len);
	return f->data[off];
}

static uint32_t two_at(const struct frame *f, uint32_t off)
{
	return byte_at(f, off) * 256 + byte_at(f, off + 1);
}

static void copy(const struct frame *f, uint32_t off, void *to, uint32_t n)
{
	uint8_t *out = to;

	for (uint32_t i = 0; i < n; i++)
		out[i] = (uint8_t)byte_at(f, off + i);
}

static sluice_be16 net16(uint32_t v)
{
	uint8_t b[2] = {(uint8_t)(v / 256), (uint8_t)(v % 256)};
	sluice_be16 out;

	memcpy(&out, b, 2);
	return out;
}

static enum sluice_drop twin_l4(struct frame *f, bool is_ip6)
{
	uint32_t proto = f->key->ip_proto, left = f->stop - f->off;
	bool has_ports = proto == 6 || proto == 17;
	bool has_type = proto == (is_ip6 ? 58 : 1);

	if (!has_ports && !has_type)
		return SLUICE_DROP_NONE;
	if ((proto == 6 && left < 20) || (proto == 17 && left < 8) ||
	    (proto == 1 && left < 8) || (proto == 58 && left < 4))
		return SLUICE_DROP_SHORT_L4;
	if (has_ports) {
		copy(f, f->off, &f->key->tp_src, 2);
		copy(f, f->off + 2, &f->key->tp_dst, 2);
	} else {
		f->key->tp_src = net16(byte_at(f, f->off));
		f->key->tp_dst = net16(byte_at(f, f->off + 1));
	}
	return SLUICE_DROP_NONE;
}

static enum sluice_drop twin_ip4(struct frame *f)
{
	uint32_t head = f->off, left = f->len - f->off;
	uint32_t version, head_len, total, offset;
	bool more;

	if (left < 20)
		return SLUICE_DROP_SHORT_IP;
	version = byte_at(f, head) / 16;
	head_len = byte_at(f, head) % 16 * 4;
	total = two_at(f, head + 2);
	if (version != 4 || head_len < 20)
		return SLUICE_DROP_BAD_IP;
	if (head_len > left)
		return SLUICE_DROP_SHORT_IP;
	if (total < head_len || total > left)
		return SLUICE_DROP_BAD_IP;

	f->key->ip_tos = (uint8_t)byte_at(f, head + 1);
	f->key->ip_proto = (uint8_t)byte_at(f, head + 9);
	copy(f, head + 12, f->key->ip_src + 12, 4);
	copy(f, head + 16, f->key->ip_dst + 12, 4);
	more = byte_at(f, head + 6) / 32 % 2;
	offset = two_at(f, head + 6) % 8192;
	if (more || offset)
		f->key->ip_frag |= SLUICE_FRAG_ANY;
	if (offset) {
		f->key->ip_frag |= SLUICE_FRAG_LATER;
		return SLUICE_DROP_NONE;
	}
	f->off = head + head_len;
	f->stop = head + total;
	return twin_l4(f, false);
}

/* Length of the extension header at off; 0: none of those we know. */
static uint32_t ext_len(const struct frame *f, uint32_t proto)
{
	uint32_t units = byte_at(f, f->off + 1);

	switch (proto) {
	case 0:
	case 43:
	case 60:
		return 8 + units * 8;
	case 44:
		return 8;
	case 51:
		return 8 + units * 4;
	default:
		return 0;
	}
}

static bool is_ext(uint32_t proto)
{
	return proto == 0 || proto == 43 || proto == 44 || proto == 51 ||
	       proto == 60;
}

static enum sluice_drop twin_ip6(struct frame *f)
{
	uint32_t head = f->off, left = f->len - f->off;
	uint32_t proto, n = 0;

	if (left < 40)
		return SLUICE_DROP_SHORT_IP;
	if (byte_at(f, head) / 16 != 6 || 40 + two_at(f, head + 4) > left)
		return SLUICE_DROP_BAD_IP;
	f->stop = head + 40 + two_at(f, head + 4);
	f->key->ip_tos = (uint8_t)(two_at(f, head) / 16 % 256);
	copy(f, head + 8, f->key->ip_src, 16);
	copy(f, head + 24, f->key->ip_dst, 16);

	proto = byte_at(f, head + 6);
	f->off = head + 40;
	while (is_ext(proto) && n < 8 && f->key->ip_frag < SLUICE_FRAG_LATER) {
		uint32_t len;

		if (f->stop < f->off + 8)
			return SLUICE_DROP_SHORT_IP;
		len = ext_len(f, proto);
		if (f->stop < f->off + len)
			return SLUICE_DROP_SHORT_IP;
		if (proto == 44) {
			uint32_t offset = two_at(f, f->off + 2) / 8;
			bool more = byte_at(f, f->off + 3) % 2;

			if (offset || more)
				f->key->ip_frag |= SLUICE_FRAG_ANY;
			if (offset)
				f->key->ip_frag |= SLUICE_FRAG_LATER;
		}
		proto = byte_at(f, f->off);
		f->off += len;
		n++;
	}
	f->key->ip_proto = (uint8_t)proto;
	if (f->key->ip_frag & SLUICE_FRAG_LATER)
		return SLUICE_DROP_NONE;
	return twin_l4(f, true);
}

static enum sluice_drop twin_arp(struct frame *f)
{
	static const uint8_t ours[6] = {0, 1, 8, 0, 6, 4};
	uint32_t left = f->len - f->off;
	uint8_t head[6];

	if (left < 8)
		return SLUICE_DROP_SHORT_ARP;
	copy(f, f->off, head, 6);
	if (memcmp(head, ours, 6) != 0)
		return SLUICE_DROP_NONE;
	if (left < 28)
		return SLUICE_DROP_SHORT_ARP;
	if (two_at(f, f->off + 6) < 256)
		f->key->ip_proto = (uint8_t)two_at(f, f->off + 6);
	copy(f, f->off + 14, f->key->ip_src + 12, 4);
	copy(f, f->off + 24, f->key->ip_dst + 12, 4);
	return SLUICE_DROP_NONE;
}

enum sluice_drop twin_parse(const uint8_t *frame, uint32_t len,
			    uint32_t in_port, struct sluice_key *key)
{
	struct frame f = {.data = frame, .len = len, .key = key};
	uint32_t type, n_tags = 0;

	memset(key, 0, sizeof(*key));
	key->in_port = in_port;
	if (len < 14)
		return SLUICE_DROP_SHORT_ETH;
	copy(&f, 0, key->eth_dst, 6);
	copy(&f, 6, key->eth_src, 6);
	if (key->eth_src[0] % 2)
		return SLUICE_DROP_BAD_ETH_SRC;
	type = two_at(&f, 12);
	f.off = 14;
	while ((type == 0x8100 || type == 0x88a8) && n_tags < 2) {
		sluice_be16 tci;

		if (f.off + 4 > len)
			return SLUICE_DROP_SHORT_VLAN;
		tci = net16(two_at(&f, f.off) | 0x1000);
		if (n_tags++ == 0)
			key->vlan_tci = tci;
		else
			key->inner_tci = tci;
		type = two_at(&f, f.off + 2);
		f.off += 4;
	}
	if (type < 1536)
		type = 0;
	key->eth_type = net16(type);
	if (type == 0x0800)
		return twin_ip4(&f);
	if (type == 0x86dd)
		return twin_ip6(&f);
	if (type == 0x0806)
		return twin_arp(&f);
	return SLUICE_DROP_NONE;
}
