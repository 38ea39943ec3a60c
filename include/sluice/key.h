/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_KEY_H
#define SLUICE_KEY_H

/*
 * sluice/key - what a packet is parsed into, once
 *
 * 64 bytes without holes, aligned to 8, so keys are compared and hashed as
 * words. Fields carry OpenFlow's names; packet fields are in network order. A
 * field that the packet does not have, or that sluice/parse.h does not look
 * for, is zero.
 */

#include "sluice/types.h"

/* In a TCI, where the wire has DEI: there is a tag. DEI itself is not kept. */
#define SLUICE_VLAN_PRESENT 0x1000u
#define SLUICE_VLAN_VID 0x0fffu

/* ip_frag */
enum {
	SLUICE_FRAG_ANY = 1,   /* a fragment */
	SLUICE_FRAG_LATER = 2, /* not the first: there are no ports */
};

struct sluice_key {
	uint32_t in_port; /* the slice's number; host order */
	uint8_t eth_dst[6];
	uint8_t eth_src[6];
	sluice_be16 eth_type;  /* behind two tags at most; 0: 802.3 length */
	sluice_be16 vlan_tci;  /* outer tag, SLUICE_VLAN_PRESENT set, or 0 */
	sluice_be16 inner_tci; /* second tag likewise */
	uint8_t ip_proto;      /* last header; ARP: opcode, 0 if over 255 */
	uint8_t ip_frag;       /* SLUICE_FRAG_* */
	uint8_t ip_src[16];    /* IPv4 and ARP: the last 4 bytes, 12 zeros */
	uint8_t ip_dst[16];
	sluice_be16 tp_src; /* ports; ICMP: type in the low byte */
	sluice_be16 tp_dst; /* ICMP: code in the low byte */
	uint8_t ip_tos;	    /* DSCP and ECN; IPv6: traffic class */
	uint8_t pad[3];	    /* zero */
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct sluice_key) == 64, "ABI");
#define SLUICE_KEY_LAYOUT 1u

#endif
