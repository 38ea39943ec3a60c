/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_PARSE_H
#define SLUICE_PARSE_H

/*
 * sluice/parse - a frame into its key, once
 *
 * One code for the host and for the BPF verifier. Wait-free; reads nothing
 * outside the frame; keeps nothing.
 *
 * What is known: Ethernet; 802.1Q and 802.1ad, two tags at most; ARP for IPv4
 * over Ethernet; IPv4 with options and fragments; IPv6 with hop-by-hop, routing,
 * fragment, destination and authentication headers, eight at most; TCP, UDP,
 * ICMP, ICMPv6.
 *
 * What is not known is forwarded: it has a key of what was known up to there
 * and zeros. So a third tag, an 802.3 frame (its length is no eth_type), MPLS,
 * other kinds of ARP, ESP, SCTP, a ninth extension header.
 *
 * What lies is dropped, since its key would be somebody else's: a header that
 * is cut off, an IP version other than eth_type's, IP lengths that contradict
 * each other or exceed the frame. Bytes behind an IP packet are padding, and no
 * header is looked for in them. An IPv4 total length of 0 is a lie like any
 * below the header's: inside a kernel it stands for a segment of more than 64
 * KiB, but no port takes frames of that size (segments up to there carry their
 * length). Likewise an IPv6 payload length of 0 with headers behind it, which
 * is a jumbogram's.
 *
 * Not looked at, for they are the receiver's business and no field depends on
 * them: checksums, TTL, options, the length of UDP, the data offset of TCP.
 * Addresses that bridges keep (01:80:c2:00:00:0x) are the slow path's business.
 */

#include "sluice/key.h"
#include "sluice/port.h"
#include "sluice/types.h"
#include "sluice/wire.h"

#define SLUICE_IP6_EXT_MAX 8u

/* Holds eight headers of 2048 bytes; tells the verifier that offsets end. */
#define SLUICE_WALK_MASK_ 0x7ffcu

/* A key's word; the key is written as eight of them. */
typedef uint64_t __attribute__((may_alias)) sluice_word_;

/* What remains to be written of a key behind its Ethernet addresses. */
SLUICE_INLINE void sluice_put_none_(sluice_word_ *w, uint64_t w2)
{
	w[2] = w2;
	w[3] = 0;
	w[4] = 0;
	w[5] = 0;
	w[6] = 0;
	w[7] = 0;
}

/* The transport header of a packet of which len bytes are left at at. */
SLUICE_INLINE enum sluice_drop sluice_parse_l4_(const uint8_t *at,
						const uint8_t *end,
						uint32_t len, uint32_t proto,
						uint32_t *ports)
{
	uint32_t need;

	switch (proto) {
	case SLUICE_IP_TCP:
		need = 20;
		break;
	case SLUICE_IP_UDP:
	case SLUICE_IP_ICMP:
		need = 8;
		break;
	case SLUICE_IP_ICMP6:
		need = 4;
		break;
	default:
		return SLUICE_DROP_NONE;
	}
	/* The second is never so after the first, but the verifier asks. */
	if (SLUICE_RARE_(len < need) || sluice_ends_(at, end, 4))
		return SLUICE_DROP_SHORT_L4;
	if (proto == SLUICE_IP_TCP || proto == SLUICE_IP_UDP)
		*ports = sluice_get32_(at);
	else
		*ports = (uint32_t)at[0] << 8 | (uint32_t)at[1] << 24;
	return SLUICE_DROP_NONE;
}

/* w2: eth_type and tags in place. */
SLUICE_INLINE enum sluice_drop sluice_parse_ip4_(const uint8_t *at,
						 const uint8_t *end,
						 uint64_t w2, sluice_word_ *w)
{
	enum sluice_drop drop = SLUICE_DROP_NONE;
	uint32_t left, head_len, len, frag, proto, ports = 0;

	if (sluice_ends_(at, end, SLUICE_IP4_LEN))
		return SLUICE_DROP_SHORT_IP;
	left = (uint32_t)(end - at);
	head_len = (at[0] & 0x0fu) * 4;
	len = __builtin_bswap16(sluice_get16_(at + 2));
	proto = at[9];
	/* Version 4 and five words or more: 0x45 to 0x4f. */
	if (SLUICE_RARE_((uint8_t)(at[0] - 0x45) > 0x4f - 0x45))
		return SLUICE_DROP_BAD_IP;
	if (SLUICE_RARE_(len < head_len || len > left))
		return head_len > left ? SLUICE_DROP_SHORT_IP
				       : SLUICE_DROP_BAD_IP;
	w[3] = 0;
	w[4] = (uint64_t)sluice_get32_(at + 12) << 32;
	w[5] = 0;
	w[6] = (uint64_t)sluice_get32_(at + 16) << 32;

	w2 |= (uint64_t)proto << 48;
	w[7] = (uint64_t)at[1] << 32;
	frag = sluice_get16_(at + 6);
	if (SLUICE_RARE_(frag & SLUICE_NET16_(0x3fff)))
		w2 |= (uint64_t)SLUICE_FRAG_ANY << 56;
	if (SLUICE_RARE_(frag & SLUICE_NET16_(0x1fff)))
		w2 |= (uint64_t)SLUICE_FRAG_LATER << 56;
	else if (proto != SLUICE_IP_ICMP6)
		drop = sluice_parse_l4_(at + head_len, end, len - head_len,
					proto, &ports);
	w[7] |= ports;
	w[2] = w2;
	return drop;
}

/* A walk along the headers behind the fixed one of an IPv6 packet. */
struct sluice_walk_ {
	const uint8_t *at; /* the first */
	uint32_t len;	   /* bytes of the packet from there */
	uint32_t off;	   /* of the header that proto names, from the first */
	uint32_t proto;
	uint32_t frag; /* SLUICE_FRAG_* */
};

SLUICE_INLINE bool sluice_walk_ends_(const struct sluice_walk_ *k)
{
	return k->proto != SLUICE_IP_HOPOPTS && k->proto != SLUICE_IP_ROUTING &&
	       k->proto != SLUICE_IP_FRAGMENT && k->proto != SLUICE_IP_AUTH &&
	       k->proto != SLUICE_IP_DSTOPTS;
}

/* Steps over one extension header. False: the packet ends inside it. */
SLUICE_INLINE bool sluice_walk_step_(struct sluice_walk_ *k, const uint8_t *end)
{
	const uint8_t *at = k->at + k->off;
	uint32_t len;

	/* The second is never so after the first, but the verifier asks. */
	if (k->len - k->off < 8 || sluice_ends_(at, end, 8))
		return false;
	len = (at[1] + 1u) * 8;
	if (k->proto == SLUICE_IP_AUTH) {
		len = (at[1] + 2u) * 4;
	} else if (k->proto == SLUICE_IP_FRAGMENT) {
		uint32_t frag = sluice_get16_(at + 2);

		len = 8;
		/* Neither more nor offset: a whole packet (RFC 6946). */
		if (frag & SLUICE_NET16_(0xfff9))
			k->frag |= SLUICE_FRAG_ANY;
		if (frag & SLUICE_NET16_(0xfff8))
			k->frag |= SLUICE_FRAG_LATER;
	}
	if (k->len - k->off < len)
		return false;
	k->proto = at[0];
	k->off = sluice_forget_(k->off + len) & SLUICE_WALK_MASK_;
	return true;
}

SLUICE_INLINE enum sluice_drop sluice_parse_ip6_(const uint8_t *at,
						 const uint8_t *end,
						 uint64_t w2, sluice_word_ *w)
{
	enum sluice_drop drop = SLUICE_DROP_NONE;
	struct sluice_walk_ k = {0};
	uint32_t head, ports = 0;

	if (sluice_ends_(at, end, SLUICE_IP6_LEN))
		return SLUICE_DROP_SHORT_IP;
	head = __builtin_bswap32(sluice_get32_(at));
	k.len = __builtin_bswap16(sluice_get16_(at + 4));
	if (SLUICE_RARE_(head >> 28 != 6 ||
			 k.len > (uint32_t)(end - at) - SLUICE_IP6_LEN))
		return SLUICE_DROP_BAD_IP;
	w[3] = sluice_get64_(at + 8);
	w[4] = sluice_get64_(at + 16);
	w[5] = sluice_get64_(at + 24);
	w[6] = sluice_get64_(at + 32);

	k.proto = at[6];
	k.at = at + SLUICE_IP6_LEN;
	for (uint32_t i = 0; i < SLUICE_IP6_EXT_MAX; i++) {
		if (sluice_walk_ends_(&k) || k.frag & SLUICE_FRAG_LATER)
			break;
		if (!sluice_walk_step_(&k, end))
			return SLUICE_DROP_SHORT_IP;
	}
	if (!(k.frag & SLUICE_FRAG_LATER) && k.proto != SLUICE_IP_ICMP)
		drop = sluice_parse_l4_(k.at + k.off, end, k.len - k.off,
					k.proto, &ports);
	w[2] = w2 | (uint64_t)k.proto << 48 | (uint64_t)k.frag << 56;
	w[7] = ports | (uint64_t)(head >> 20 & 0xff) << 32;
	return drop;
}

SLUICE_INLINE enum sluice_drop sluice_parse_arp_(const uint8_t *at,
						 const uint8_t *end,
						 uint64_t w2, sluice_word_ *w)
{
	sluice_put_none_(w, w2);
	if (sluice_ends_(at, end, 8))
		return SLUICE_DROP_SHORT_ARP;
	/* Ethernet, IPv4, addresses of 6 and of 4 bytes. */
	if (sluice_get32_(at) != 0x00080100u ||
	    sluice_get16_(at + 4) != 0x0406u)
		return SLUICE_DROP_NONE;
	if (sluice_ends_(at, end, SLUICE_ARP_LEN))
		return SLUICE_DROP_SHORT_ARP;
	if (!at[6])
		w[2] = w2 | (uint64_t)at[7] << 48;
	w[4] = (uint64_t)sluice_get32_(at + 14) << 32;
	w[6] = (uint64_t)sluice_get32_(at + 24) << 32;
	return SLUICE_DROP_NONE;
}

SLUICE_INLINE bool sluice_is_tag_(uint16_t type)
{
	return SLUICE_RARE_(type == SLUICE_NET16_(SLUICE_ETH_VLAN) ||
			    type == SLUICE_NET16_(SLUICE_ETH_QINQ));
}

/*
 * Parses a frame that came in by in_port.
 *
 * data, end  the whole frame, without FCS; in XDP the packet's pointers
 * key        all of its bytes are written when NONE is returned, else it has
 *            no meaning; needs no zeroing before
 * returns    SLUICE_DROP_NONE, or the reason why the frame must be dropped
 */
#ifdef __clang_analyzer__
/* Its users only: it cannot follow a word into the bytes of a key. */
enum sluice_drop sluice_parse(const uint8_t *data, const uint8_t *end,
			      uint32_t in_port, struct sluice_key *key);
#else
SLUICE_INLINE enum sluice_drop sluice_parse(const uint8_t *data,
					    const uint8_t *end,
					    uint32_t in_port,
					    struct sluice_key *key)
{
	sluice_word_ *w = (sluice_word_ *)(void *)key;
	const uint8_t *at;
	uint64_t addrs, w2 = 0;
	uint16_t type;

	if (sluice_ends_(data, end, SLUICE_ETH_LEN))
		return SLUICE_DROP_SHORT_ETH;
	addrs = sluice_get64_(data);
	if (SLUICE_RARE_(addrs >> 48 & 1))
		return SLUICE_DROP_BAD_ETH_SRC;
	w[0] = in_port | addrs << 32;
	w[1] = addrs >> 32 | (uint64_t)sluice_get32_(data + 8) << 32;

	type = sluice_get16_(data + 12);
	at = data + SLUICE_ETH_LEN;
	for (uint32_t i = 0; i < 2 && sluice_is_tag_(type); i++) {
		uint64_t tci;

		if (sluice_ends_(at, end, SLUICE_VLAN_LEN))
			return SLUICE_DROP_SHORT_VLAN;
		tci = sluice_get16_(at) | SLUICE_NET16_(SLUICE_VLAN_PRESENT);
		w2 |= tci << (16 + 16 * i);
		type = sluice_get16_(at + 2);
		at += SLUICE_VLAN_LEN;
	}

	if (type == SLUICE_NET16_(SLUICE_ETH_IP4))
		return sluice_parse_ip4_(at, end, w2 | type, w);
	if (type == SLUICE_NET16_(SLUICE_ETH_IP6))
		return sluice_parse_ip6_(at, end, w2 | type, w);
	if (type == SLUICE_NET16_(SLUICE_ETH_ARP))
		return sluice_parse_arp_(at, end, w2 | type, w);
	if (__builtin_bswap16(type) < SLUICE_ETH_TYPE_MIN)
		type = 0;
	sluice_put_none_(w, w2 | type);
	return SLUICE_DROP_NONE;
}
#endif

#endif
