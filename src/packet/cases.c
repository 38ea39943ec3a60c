/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A frame's text is hexadecimal; spaces are for the reader, "+n" is n zero
 * bytes. Fields whose value the parser ignores are zero where they can be.
 */
#include "packet/cases.h"

#include <stdlib.h>
#include <string.h>

#include "base/annotate.h"
#include "base/must.h"

#define ETH "0200000000b2 0200000000a1 "
#define ARP ETH "0806 0001 0800 06 04 "
#define IP4 ETH "0800 "
#define IP6 ETH "86dd "

/* Behind version and lengths: id, flags, TTL, protocol, checksum, addresses. */
#define A4 "0000 0a000001 0a000002 "
#define TCP4 "0000 4000 4006 " A4
#define UDP4 "0000 0000 4011 " A4
#define ICMP4 "0000 0000 4001 " A4

/* Hop limit and addresses. */
#define A6                                     \
	"40 fd000000000000000000000000000001 " \
	"fd000000000000000000000000000002 "

/* Transport headers. */
#define TCP "03e8 0050 00000000 00000000 5010 ffff 0000 0000 "
#define UDP "1388 0035 0008 0000 "
#define PING "0800 0000 0001 0001 "

#define KEY "in_port=7,eth_src=02:00:00:00:00:a1,eth_dst=02:00:00:00:00:b2,"
#define KEY_IP4 KEY "eth_type=0x0800,ip_src=10.0.0.1,ip_dst=10.0.0.2,"
#define KEY_IP6 KEY "eth_type=0x86dd,ipv6_src=fd00::1,ipv6_dst=fd00::2,"
#define KEY_ARP KEY "eth_type=0x0806,"
#define KEY_TCP "ip_proto=6,tcp_src=1000,tcp_dst=80"
#define KEY_UDP "ip_proto=17,udp_src=5000,udp_dst=53"
#define KEY_PING "ip_proto=1,icmp_type=8,icmp_code=0"

/* Is forwarded with this key; is dropped for this reason. */
#define GOOD(name, hex, key)                     \
	{                                        \
		name, hex, key, SLUICE_DROP_NONE \
	}
#define DROP(name, hex, why)                       \
	{                                          \
		name, hex, NULL, SLUICE_DROP_##why \
	}

static const struct {
	const char *name;
	const char *hex;
	const char *key;
	enum sluice_drop drop;
} cases[] = {
	/* Ethernet */
	GOOD("bare Ethernet header", ETH "88b5", KEY "eth_type=0x88b5"),
	GOOD("largest 802.3 length", ETH "05dc +1500", KEY "eth_type=0x0000"),
	GOOD("neither length nor type", ETH "05ff +46", KEY "eth_type=0x0000"),
	GOOD("smallest eth_type", ETH "0600 +46", KEY "eth_type=0x0600"),
	GOOD("spanning tree",
	     "0180c2000000 0200000000a1 0026 424203 0000000000 +38",
	     "in_port=7,eth_src=02:00:00:00:00:a1,eth_dst=01:80:c2:00:00:00,"
	     "eth_type=0x0000"),
	GOOD("802.3 length beyond the frame", ETH "0100 aaaa03",
	     KEY "eth_type=0x0000"),
	GOOD("SNAP stays opaque", ETH "0024 aaaa03 000000 0800 4500 +26",
	     KEY "eth_type=0x0000"),
	GOOD("MPLS", ETH "8847 00010140 4500 0028 " TCP4 TCP,
	     KEY "eth_type=0x8847"),
	GOOD("broadcast", "ffffffffffff 0200000000a1 88b5",
	     "in_port=7,eth_src=02:00:00:00:00:a1,eth_dst=ff:ff:ff:ff:ff:ff,"
	     "eth_type=0x88b5"),
	DROP("no byte", "", SHORT_ETH),
	DROP("half a header", "0200000000b2 02", SHORT_ETH),
	DROP("13 bytes", ETH "08", SHORT_ETH),
	DROP("sent by a group", "0200000000b2 0300000000a1 88b5", BAD_ETH_SRC),
	DROP("sent by all", "0200000000b2 ffffffffffff 0800 4500", BAD_ETH_SRC),

	/* Tags */
	GOOD("802.1Q", ETH "8100 a064 88b5",
	     KEY "vlan_vid=100,vlan_pcp=5,eth_type=0x88b5"),
	GOOD("priority tag", ETH "8100 e000 0800 4500 001c " UDP4 UDP,
	     KEY "vlan_vid=0,vlan_pcp=7,eth_type=0x0800,ip_src=10.0.0.1,"
		 "ip_dst=10.0.0.2," KEY_UDP),
	GOOD("DEI is not kept", ETH "8100 1064 88b5",
	     KEY "vlan_vid=100,vlan_pcp=0,eth_type=0x88b5"),
	GOOD("802.1ad", ETH "88a8 00c8 8100 2064 0800 4500 0028 " TCP4 TCP,
	     KEY "vlan_vid=200,vlan_pcp=0,inner_vlan_vid=100,"
		 "inner_vlan_pcp=1,eth_type=0x0800,ip_src=10.0.0.1,"
		 "ip_dst=10.0.0.2," KEY_TCP),
	GOOD("tagged 802.3 length", ETH "8100 0064 0026 424203 +35",
	     KEY "vlan_vid=100,vlan_pcp=0,eth_type=0x0000"),
	GOOD("third tag",
	     ETH "88a8 00c8 8100 0064 8100 0001 0800 4500 0028 " TCP4 TCP,
	     KEY "vlan_vid=200,vlan_pcp=0,inner_vlan_vid=100,"
		 "inner_vlan_pcp=0,eth_type=0x8100"),
	GOOD("third tag cut off", ETH "88a8 00c8 8100 0064 8100",
	     KEY "vlan_vid=200,vlan_pcp=0,inner_vlan_vid=100,"
		 "inner_vlan_pcp=0,eth_type=0x8100"),
	GOOD("the old 9100 is opaque", ETH "9100 0064 0800 4500",
	     KEY "eth_type=0x9100"),
	DROP("tag cut off", ETH "8100 00", SHORT_VLAN),
	DROP("no eth_type behind the tag", ETH "8100 0064 08", SHORT_VLAN),
	DROP("second tag cut off", ETH "88a8 00c8 8100 0064", SHORT_VLAN),

	/* ARP */
	GOOD("ARP request",
	     ARP "0001 0200000000a1 0a000001 000000000000 0a000002 +18",
	     KEY_ARP "arp_op=1,arp_spa=10.0.0.1,arp_tpa=10.0.0.2"),
	GOOD("ARP reply",
	     ARP "0002 0200000000a1 0a000001 0200000000b2 0a000002",
	     KEY_ARP "arp_op=2,arp_spa=10.0.0.1,arp_tpa=10.0.0.2"),
	GOOD("ARP opcode over 255",
	     ARP "0101 0200000000a1 0a000001 0200000000b2 0a000002",
	     KEY_ARP "arp_op=0,arp_spa=10.0.0.1,arp_tpa=10.0.0.2"),
	GOOD("ARP of another kind", ETH "0806 0006 0800 06 04 0001",
	     KEY_ARP "arp_op=0,arp_spa=0.0.0.0,arp_tpa=0.0.0.0"),
	GOOD("ARP with other lengths", ETH "0806 0001 0800 08 04 0001 +40",
	     KEY_ARP "arp_op=0,arp_spa=0.0.0.0,arp_tpa=0.0.0.0"),
	DROP("ARP of 7 bytes", ARP "00", SHORT_ARP),
	DROP("ARP of 27 bytes", ARP "0001 +19", SHORT_ARP),

	/* IPv4 */
	GOOD("TCP", IP4 "4500 0028 " TCP4 TCP, KEY_IP4 KEY_TCP),
	GOOD("UDP", IP4 "4500 001c " UDP4 UDP, KEY_IP4 KEY_UDP),
	GOOD("ping", IP4 "4500 001c " ICMP4 PING, KEY_IP4 KEY_PING),
	GOOD("padded", IP4 "4500 001c " UDP4 UDP "+18", KEY_IP4 KEY_UDP),
	GOOD("DSCP and ECN", IP4 "45b9 001c " UDP4 UDP,
	     KEY_IP4 "ip_proto=17,ip_dscp=46,ip_ecn=1,udp_src=5000,udp_dst=53"),
	GOOD("one option", IP4 "4600 0020 " UDP4 "94040000 " UDP,
	     KEY_IP4 KEY_UDP),
	GOOD("all options", IP4 "4f00 0050 " TCP4 "+40 " TCP, KEY_IP4 KEY_TCP),
	GOOD("no payload", IP4 "4500 0014 0000 0000 40fd " A4,
	     KEY_IP4 "ip_proto=253"),
	GOOD("jumbo", IP4 "4500 2328 " TCP4 TCP "+8960", KEY_IP4 KEY_TCP),
	GOOD("first fragment", IP4 "4500 0024 0001 2000 4011 " A4 UDP "+8",
	     KEY_IP4 "ip_proto=17,ip_frag=first,udp_src=5000,udp_dst=53"),
	GOOD("middle fragment", IP4 "4500 001c 0001 2002 4011 " A4 UDP,
	     KEY_IP4 "ip_proto=17,ip_frag=later"),
	GOOD("last fragment of one byte",
	     IP4 "4500 0015 0001 1fff 4006 " A4 "00",
	     KEY_IP4 "ip_proto=6,ip_frag=later"),
	GOOD("reserved flag", IP4 "4500 001c 0001 8000 4011 " A4 UDP,
	     KEY_IP4 KEY_UDP),
	GOOD("ESP", IP4 "4500 0018 0000 0000 4032 " A4 "+4",
	     KEY_IP4 "ip_proto=50"),
	GOOD("ICMPv6 over IPv4", IP4 "4500 0015 0000 0000 403a " A4 "87",
	     KEY_IP4 "ip_proto=58"),
	GOOD("TCP data offset 0",
	     IP4 "4500 0028 " TCP4
		 "03e8 0050 00000000 00000000 0010 ffff 0000 0000",
	     KEY_IP4 KEY_TCP),
	GOOD("UDP length beyond the packet",
	     IP4 "4500 001c " UDP4 "1388 0035 ffff 0000", KEY_IP4 KEY_UDP),
	DROP("IPv4 of 19 bytes",
	     IP4 "4500 0014 0000 0000 4011 0000 0a000001 "
		 "0a0000",
	     SHORT_IP),
	DROP("options cut off", IP4 "4f00 0050 " TCP4 "+39", SHORT_IP),
	DROP("version 6 as IPv4", IP4 "6500 001c " UDP4 UDP, BAD_IP),
	DROP("version 5", IP4 "5500 001c " UDP4 UDP, BAD_IP),
	DROP("IHL 4", IP4 "4400 001c " UDP4 UDP, BAD_IP),
	DROP("IHL 0", IP4 "4000 001c " UDP4 UDP, BAD_IP),
	DROP("total length 0", IP4 "4500 0000 " UDP4 UDP, BAD_IP),
	DROP("total length 19", IP4 "4500 0013 " UDP4 UDP, BAD_IP),
	DROP("total length within options", IP4 "4600 0017 " UDP4 "+4 " UDP,
	     BAD_IP),
	DROP("total length one too large", IP4 "4500 001d " UDP4 UDP, BAD_IP),
	DROP("total length 65535", IP4 "4500 ffff " UDP4 UDP, BAD_IP),
	DROP("TCP of 19 bytes", IP4 "4500 0027 " TCP4 TCP, SHORT_L4),
	DROP("UDP of 7 bytes", IP4 "4500 001b " UDP4 UDP, SHORT_L4),
	DROP("ICMP of 7 bytes", IP4 "4500 001b " ICMP4 PING, SHORT_L4),
	DROP("ports in the padding", IP4 "4500 0014 " UDP4 UDP "+18", SHORT_L4),
	DROP("tiny first fragment", IP4 "4500 001c 0001 2000 4006 " A4 TCP,
	     SHORT_L4),

	/* IPv6 */
	GOOD("TCP6", IP6 "60000000 0014 06 " A6 TCP, KEY_IP6 KEY_TCP),
	GOOD("UDP6", IP6 "60000000 0008 11 " A6 UDP, KEY_IP6 KEY_UDP),
	GOOD("neighbour solicitation",
	     IP6 "60000000 0018 3a " A6
		 "8700 0000 00000000 fd000000000000000000000000000002",
	     KEY_IP6 "ip_proto=58,icmpv6_type=135,icmpv6_code=0"),
	GOOD("traffic class and label", IP6 "6b9abcde 0008 11 " A6 UDP,
	     KEY_IP6 "ip_proto=17,ip_dscp=46,ip_ecn=1,udp_src=5000,udp_dst=53"),
	GOOD("padded IPv6", IP6 "60000000 0008 11 " A6 UDP "+10",
	     KEY_IP6 KEY_UDP),
	GOOD("no next header", IP6 "60000000 0000 3b " A6,
	     KEY_IP6 "ip_proto=59"),
	GOOD("ICMP over IPv6", IP6 "60000000 0001 01 " A6 "08",
	     KEY_IP6 "ip_proto=1"),
	GOOD("ESP over IPv6", IP6 "60000000 0004 32 " A6 "+4",
	     KEY_IP6 "ip_proto=50"),
	GOOD("hop by hop", IP6 "60000000 0010 00 " A6 "1100 0104 00000000 " UDP,
	     KEY_IP6 KEY_UDP),
	GOOD("long hop by hop", IP6 "60000000 0808 00 " A6 "11ff +2046 " UDP,
	     KEY_IP6 KEY_UDP),
	GOOD("routing", IP6 "60000000 0020 2b " A6 "1102 0401 +20 " UDP,
	     KEY_IP6 KEY_UDP),
	GOOD("destination options",
	     IP6 "60000000 0010 3c " A6 "1100 0104 00000000 " UDP,
	     KEY_IP6 KEY_UDP),
	GOOD("authentication", IP6 "60000000 0020 33 " A6 "1104 +22 " UDP,
	     KEY_IP6 KEY_UDP),
	GOOD("authentication of 12 bytes",
	     IP6 "60000000 0014 33 " A6 "1101 +10 " UDP, KEY_IP6 KEY_UDP),
	GOOD("first fragment6",
	     IP6 "60000000 0010 2c " A6 "1100 0001 00000001 " UDP,
	     KEY_IP6 "ip_proto=17,ip_frag=first,udp_src=5000,udp_dst=53"),
	GOOD("later fragment6",
	     IP6 "60000000 0009 2c " A6 "1100 0008 00000001 00",
	     KEY_IP6 "ip_proto=17,ip_frag=later"),
	GOOD("later fragment6 of options",
	     IP6 "60000000 0009 2c " A6 "3c00 05a9 00000001 00",
	     KEY_IP6 "ip_proto=60,ip_frag=later"),
	GOOD("atomic fragment",
	     IP6 "60000000 0010 2c " A6 "1100 0006 00000001 " UDP,
	     KEY_IP6 KEY_UDP),
	GOOD("reserved byte of a fragment",
	     IP6 "60000000 0010 2c " A6 "11ff 0001 00000001 " UDP,
	     KEY_IP6 "ip_proto=17,ip_frag=first,udp_src=5000,udp_dst=53"),
	GOOD("all kinds",
	     IP6 "60000000 0034 00 " A6 "3c00 +6 2b00 +6 2c00 +6 "
		 "3300 0001 00000001 1101 +10 " UDP,
	     KEY_IP6 "ip_proto=17,ip_frag=first,udp_src=5000,udp_dst=53"),
	GOOD("eight headers",
	     IP6 "60000000 0048 00 " A6 "3c00 +6 3c00 +6 "
		 "3c00 +6 3c00 +6 3c00 +6 3c00 +6 3c00 +6 1100 +6 " UDP,
	     KEY_IP6 KEY_UDP),
	GOOD("a ninth header",
	     IP6 "60000000 0050 00 " A6 "3c00 +6 3c00 +6 "
		 "3c00 +6 3c00 +6 3c00 +6 3c00 +6 3c00 +6 2b00 +6 1100 +6 " UDP,
	     KEY_IP6 "ip_proto=43"),
	DROP("IPv6 of 39 bytes", IP6 "60000000 0000 3b 40 +31", SHORT_IP),
	DROP("version 4 as IPv6", IP6 "40000000 0008 11 " A6 UDP, BAD_IP),
	DROP("payload one too large", IP6 "60000000 0009 11 " A6 UDP, BAD_IP),
	DROP("jumbogram", IP6 "60000000 0000 00 " A6 "1100 c204 00010000 " UDP,
	     SHORT_IP),
	DROP("payload length 0 with UDP", IP6 "60000000 0000 11 " A6 UDP,
	     SHORT_L4),
	DROP("extension of 7 bytes", IP6 "60000000 0007 00 " A6 "1100 +6",
	     SHORT_IP),
	DROP("extension into the padding",
	     IP6 "60000000 0008 00 " A6 "1101 +6 +8 " UDP, SHORT_IP),
	DROP("no second extension", IP6 "60000000 0008 00 " A6 "3c00 +6",
	     SHORT_IP),
	DROP("TCP6 of 19 bytes", IP6 "60000000 0013 06 " A6 TCP, SHORT_L4),
	DROP("ICMPv6 of 3 bytes", IP6 "60000000 0003 3a " A6 "87000000",
	     SHORT_L4),
	DROP("tiny first fragment6",
	     IP6 "60000000 0010 2c " A6 "0600 0001 00000001 " UDP, SHORT_L4),
};

static uint8_t digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = strchr(digits, c);

	must(c && at);
	return (uint8_t)(at - digits);
}

/* Returns how many bytes the text stands for. */
static uint32_t from_hex(const char *hex, uint8_t *out)
{
	uint32_t len = 0;

	while (*hex) {
		uint32_t n = 1;
		char *end = NULL;

		if (*hex == ' ') {
			hex++;
			continue;
		}
		if (*hex == '+')
			n = (uint32_t)strtoul(hex + 1, &end, 10);
		must(n <= CASE_LEN_MAX - len);
		if (*hex == '+') {
			memset(out + len, 0, n);
			hex = end;
		} else {
			out[len] =
				(uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
			hex += 2;
		}
		len += n;
	}
	return len;
}

bool cases_at(uint32_t i, struct frame_case *out)
{
	if (i >= ARRAY_LEN(cases))
		return false;
	out->name = cases[i].name;
	out->key = cases[i].key;
	out->drop = cases[i].drop;
	out->len = from_hex(cases[i].hex, out->data);
	return true;
}
