/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table says which fields there are, when a key has them, and in which form
 * they are written. The names are those that ovs-ofctl and OpenFlow controllers
 * understand; inner_vlan_* are ours, for nobody has named them.
 */
#include "sluice/text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "sluice/wire.h"

#define MEMBER(m) ((uint16_t)offsetof(struct sluice_key, m))

/* When a key has a field. */
enum cond {
	IF_ANY,
	IF_TAG,
	IF_INNER,
	IF_ARP,
	IF_IP,
	IF_IP4,
	IF_IP6,
	IF_TOS,
	IF_FRAG,
	IF_TCP,
	IF_UDP,
	IF_ICMP,
	IF_ICMP6,
};

/* How it lies in the key and how it is written. */
enum form {
	AS_PORT,   /* 32 bits of the host */
	AS_MAC,	   /* 6 bytes */
	AS_TYPE,   /* 16 bits, hexadecimal */
	AS_VID,	   /* lower 12 bits of a TCI */
	AS_PCP,	   /* upper 3 bits of a TCI */
	AS_BYTE,   /* 8 bits */
	AS_DSCP,   /* upper 6 bits of 8 */
	AS_ECN,	   /* lower 2 bits of 8 */
	AS_FRAG,   /* SLUICE_FRAG_* */
	AS_IP4,	   /* last 4 of 16 bytes */
	AS_IP6,	   /* 16 bytes */
	AS_NUMBER, /* 16 bits */
};

static const struct {
	const char *name;
	enum cond cond;
	enum form form;
	uint16_t off; /* in the key */
} fields[] = {
	{"in_port", IF_ANY, AS_PORT, MEMBER(in_port)},
	{"eth_src", IF_ANY, AS_MAC, MEMBER(eth_src)},
	{"eth_dst", IF_ANY, AS_MAC, MEMBER(eth_dst)},
	{"vlan_vid", IF_TAG, AS_VID, MEMBER(vlan_tci)},
	{"vlan_pcp", IF_TAG, AS_PCP, MEMBER(vlan_tci)},
	{"inner_vlan_vid", IF_INNER, AS_VID, MEMBER(inner_tci)},
	{"inner_vlan_pcp", IF_INNER, AS_PCP, MEMBER(inner_tci)},
	{"eth_type", IF_ANY, AS_TYPE, MEMBER(eth_type)},
	{"arp_op", IF_ARP, AS_BYTE, MEMBER(ip_proto)},
	{"arp_spa", IF_ARP, AS_IP4, MEMBER(ip_src)},
	{"arp_tpa", IF_ARP, AS_IP4, MEMBER(ip_dst)},
	{"ip_src", IF_IP4, AS_IP4, MEMBER(ip_src)},
	{"ip_dst", IF_IP4, AS_IP4, MEMBER(ip_dst)},
	{"ipv6_src", IF_IP6, AS_IP6, MEMBER(ip_src)},
	{"ipv6_dst", IF_IP6, AS_IP6, MEMBER(ip_dst)},
	{"ip_proto", IF_IP, AS_BYTE, MEMBER(ip_proto)},
	{"ip_dscp", IF_TOS, AS_DSCP, MEMBER(ip_tos)},
	{"ip_ecn", IF_TOS, AS_ECN, MEMBER(ip_tos)},
	{"ip_frag", IF_FRAG, AS_FRAG, MEMBER(ip_frag)},
	{"tcp_src", IF_TCP, AS_NUMBER, MEMBER(tp_src)},
	{"tcp_dst", IF_TCP, AS_NUMBER, MEMBER(tp_dst)},
	{"udp_src", IF_UDP, AS_NUMBER, MEMBER(tp_src)},
	{"udp_dst", IF_UDP, AS_NUMBER, MEMBER(tp_dst)},
	{"icmp_type", IF_ICMP, AS_NUMBER, MEMBER(tp_src)},
	{"icmp_code", IF_ICMP, AS_NUMBER, MEMBER(tp_dst)},
	{"icmpv6_type", IF_ICMP6, AS_NUMBER, MEMBER(tp_src)},
	{"icmpv6_code", IF_ICMP6, AS_NUMBER, MEMBER(tp_dst)},
};
#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static const struct {
	const char *name;
	const char *text;
} drops[] = {[SLUICE_DROP_NONE] = {"none", "not dropped"},
#define DROP_TEXT(id, name, text) [SLUICE_DROP_##id] = {name, text},
	     SLUICE_DROPS(DROP_TEXT)
#undef DROP_TEXT
};

const char *sluice_drop_name(uint32_t drop)
{
	return drop < SLUICE_DROP_N ? drops[drop].name : "unknown";
}

const char *sluice_drop_text(uint32_t drop)
{
	return drop < SLUICE_DROP_N
		       ? drops[drop].text
		       : "a reason that this program does not know";
}

/* Has the packet a transport header of this kind, and was it looked at? */
static bool has_l4(const struct sluice_key *k, uint8_t proto, bool ip4,
		   bool ip6)
{
	uint16_t type = sluice_from_be16(k->eth_type);

	return k->ip_proto == proto && !(k->ip_frag & SLUICE_FRAG_LATER) &&
	       ((ip4 && type == SLUICE_ETH_IP4) ||
		(ip6 && type == SLUICE_ETH_IP6));
}

static bool has(const struct sluice_key *k, enum cond cond)
{
	uint16_t type = sluice_from_be16(k->eth_type);
	bool ip = type == SLUICE_ETH_IP4 || type == SLUICE_ETH_IP6;

	switch (cond) {
	case IF_ANY:
		return true;
	case IF_TAG:
		return k->vlan_tci.be;
	case IF_INNER:
		return k->inner_tci.be;
	case IF_ARP:
		return type == SLUICE_ETH_ARP;
	case IF_IP:
		return ip;
	case IF_IP4:
		return type == SLUICE_ETH_IP4;
	case IF_IP6:
		return type == SLUICE_ETH_IP6;
	case IF_TOS:
		return ip && k->ip_tos;
	case IF_FRAG:
		return ip && k->ip_frag;
	case IF_TCP:
		return has_l4(k, SLUICE_IP_TCP, true, true);
	case IF_UDP:
		return has_l4(k, SLUICE_IP_UDP, true, true);
	case IF_ICMP:
		return has_l4(k, SLUICE_IP_ICMP, true, false);
	case IF_ICMP6:
		return has_l4(k, SLUICE_IP_ICMP6, false, true);
	}
	return false;
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* The value of a field whose text is not a decimal number. */
static void put_text(const uint8_t *p, enum form form, struct sluice_field *out)
{
	if (form == AS_MAC)
		snprintf(out->text, sizeof(out->text),
			 "%02x:%02x:%02x:%02x:%02x:%02x", p[0], p[1], p[2],
			 p[3], p[4], p[5]);
	else if (form == AS_TYPE)
		snprintf(out->text, sizeof(out->text), "0x%04x", get16(p));
	else if (form == AS_FRAG)
		snprintf(out->text, sizeof(out->text), "%s",
			 *p & SLUICE_FRAG_LATER ? "later" : "first");
	else if (form == AS_IP4)
		inet_ntop(AF_INET, p + 12, out->text, sizeof(out->text));
	else
		inet_ntop(AF_INET6, p, out->text, sizeof(out->text));
}

/* The value of a field that is a number. False: it is none. */
static bool get_number(const uint8_t *p, enum form form, uint32_t *out)
{
	switch (form) {
	case AS_PORT:
		memcpy(out, p, sizeof(*out));
		return true;
	case AS_VID:
		*out = get16(p) & SLUICE_VLAN_VID;
		return true;
	case AS_PCP:
		*out = get16(p) >> 13;
		return true;
	case AS_BYTE:
		*out = *p;
		return true;
	case AS_DSCP:
		*out = *p >> 2;
		return true;
	case AS_ECN:
		*out = *p & 3;
		return true;
	case AS_NUMBER:
		*out = get16(p);
		return true;
	case AS_MAC:
	case AS_TYPE:
	case AS_FRAG:
	case AS_IP4:
	case AS_IP6:
		return false;
	}
	return false;
}

bool sluice_key_next(const struct sluice_key *key, uint32_t *i,
		     struct sluice_field *out)
{
	const uint8_t *p;

	while (*i < N_FIELDS && !has(key, fields[*i].cond))
		++*i;
	if (*i >= N_FIELDS)
		return false;
	p = (const uint8_t *)key + fields[*i].off;
	*out = (struct sluice_field){.name = fields[*i].name};
	out->is_number = get_number(p, fields[*i].form, &out->number);
	if (out->is_number)
		snprintf(out->text, sizeof(out->text), "%u", out->number);
	else
		put_text(p, fields[*i].form, out);
	++*i;
	return true;
}

size_t sluice_key_text(const struct sluice_key *key, char *out, size_t max)
{
	struct sluice_field f;
	uint32_t i = 0;
	size_t len = 0;

	while (sluice_key_next(key, &i, &f)) {
		size_t room = len < max ? max - len : 0;

		len += (size_t)snprintf(room ? out + len : NULL, room,
					"%s%s=%s", len ? "," : "", f.name,
					f.text);
	}
	return len;
}
