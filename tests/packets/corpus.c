/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the captures that tests and people use, and the seeds of fuzz_parse:
 *
 *     packet-corpus write tests/corpus
 *
 *     packets/talk.pcap    two stations: ARP, ping, TCP, UDP, tags, fragments
 *     packets/cases.pcap   packet/cases, frames of no byte left out
 *     packets/random.pcap  packet/twin_frame from a fixed seed
 *     packets/NAME.keys    a line for each frame: its key by port 1, or drop
 *     parse/CASE           one frame each
 *
 * As "check" it is a test: says which file is not what the code of today makes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packet/build.h"
#include "packet/cases.h"
#include "packet/twin.h"
#include "sluice/text.h"
#include "sluice/wire.h"

#define N_RANDOM 1000u
#define RANDOM_SEED 20u

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 0xa};
static const uint8_t mac_b[6] = {2, 0, 0, 0, 0, 0xb};
#define IP_A 0x0a000001u
#define IP_B 0x0a000002u

struct out {
	const char *folder;
	bool check;
	int n_bad; /* files that could not be written, or are not as written */

	/* The capture that is being made, and its keys. */
	char *pcap, *keys;
	size_t pcap_len, keys_len;
	FILE *to_pcap, *to_keys;
	uint32_t n;
};

static void put_file(struct out *o, const char *name, const void *data,
		     size_t len)
{
	char path[512];
	bool same = true;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", o->folder, name);
	f = fopen(path, o->check ? "rb" : "wb");
	if (f && o->check) {
		char *old = malloc(len + 1);

		same = old && fread(old, 1, len + 1, f) == len &&
		       memcmp(old, data, len) == 0;
		free(old);
	} else if (f) {
		same = fwrite(data, 1, len, f) == len;
	}
	if (!f || !same || fclose(f)) {
		fprintf(stderr, "%s: %s\n", path,
			f ? "not what is made today" : strerror(errno));
		o->n_bad++;
	}
}

static void put32(FILE *f, uint32_t v)
{
	fwrite(&v, 1, sizeof(v), f); /* the file has our byte order */
}

static void pcap_begin(struct out *o)
{
	o->n = 0;
	o->to_pcap = open_memstream(&o->pcap, &o->pcap_len);
	o->to_keys = open_memstream(&o->keys, &o->keys_len);
	if (!o->to_pcap || !o->to_keys)
		abort();
	put32(o->to_pcap, 0xa1b2c3d4);
	put32(o->to_pcap, 4 << 16 | 2); /* version 2.4 */
	put32(o->to_pcap, 0);
	put32(o->to_pcap, 0);
	put32(o->to_pcap, 65535);
	put32(o->to_pcap, 1); /* Ethernet */
}

static void pcap_frame(struct out *o, const uint8_t *data, uint32_t len)
{
	char text[SLUICE_KEY_TEXT_LEN];
	struct sluice_key key;
	enum sluice_drop drop;

	put32(o->to_pcap, 1000000000 + o->n / 1000);
	put32(o->to_pcap, o->n++ % 1000 * 1000);
	put32(o->to_pcap, len);
	put32(o->to_pcap, len);
	fwrite(data, 1, len, o->to_pcap);

	drop = twin_parse(data, len, 1, &key);
	sluice_key_text(&key, text, sizeof(text));
	if (drop)
		fprintf(o->to_keys, "drop %s\n", sluice_drop_name(drop));
	else
		fprintf(o->to_keys, "%s\n", text);
}

static void pcap_end(struct out *o, const char *name)
{
	char file[64];

	fclose(o->to_pcap);
	fclose(o->to_keys);
	snprintf(file, sizeof(file), "packets/%s.pcap", name);
	put_file(o, file, o->pcap, o->pcap_len);
	snprintf(file, sizeof(file), "packets/%s.keys", name);
	put_file(o, file, o->keys, o->keys_len);
	free(o->pcap);
	free(o->keys);
}

static void end(struct out *o, struct build *b)
{
	uint32_t len = build_end(b);

	if (!len)
		abort();
	pcap_frame(o, b->data, len);
}

/* One frame each way. */
static void both_ways(struct out *o, struct build_talk t)
{
	uint8_t frame[2048];
	struct build_talk back = t;

	memcpy(t.eth_src, mac_a, 6);
	memcpy(t.eth_dst, mac_b, 6);
	t.ip_src = IP_A;
	t.ip_dst = IP_B;
	pcap_frame(o, frame, build_talk(frame, sizeof(frame), &t));

	memcpy(back.eth_src, mac_b, 6);
	memcpy(back.eth_dst, mac_a, 6);
	back.ip_src = IP_B;
	back.ip_dst = IP_A;
	back.tp_src = t.tp_dst;
	back.tp_dst = t.tp_src;
	pcap_frame(o, frame, build_talk(frame, sizeof(frame), &back));
}

static void put_arp(struct out *o)
{
	static const uint8_t all[6] = {255, 255, 255, 255, 255, 255};
	struct build_arp a = {1, mac_a, NULL, IP_A, IP_B};
	uint8_t frame[64];
	struct build b;

	build_start(&b, frame, sizeof(frame));
	build_eth(&b, all, mac_a);
	build_arp(&b, &a);
	build_fill(&b, 18);
	end(o, &b);

	a = (struct build_arp){2, mac_b, mac_a, IP_B, IP_A};
	build_start(&b, frame, sizeof(frame));
	build_eth(&b, mac_a, mac_b);
	build_arp(&b, &a);
	build_fill(&b, 18);
	end(o, &b);
}

/* A UDP datagram of 1,488 bytes in two fragments. */
static void put_fragments(struct out *o)
{
	uint8_t whole[2048], frame[2048];
	struct build_ip4 ip = {.src = IP_A, .dst = IP_B, .id = 9};
	struct build b;

	build_start(&b, whole, sizeof(whole));
	build_eth(&b, mac_b, mac_a);
	build_ip4(&b, &ip);
	build_udp(&b, 6000, 7000);
	build_fill(&b, 1480);
	if (!build_end(&b))
		abort();
	for (uint32_t i = 0; i < 2; i++) {
		ip.frag = (uint16_t)(i ? 800 / 8 : 0x2000);
		build_start(&b, frame, sizeof(frame));
		build_eth(&b, mac_b, mac_a);
		build_ip4(&b, &ip);
		build_proto(&b, SLUICE_IP_UDP);
		build_bytes(&b, whole + (i ? 834 : 34), i ? 688 : 800);
		end(o, &b);
	}
}

static void put_ext6(struct out *o)
{
	static const uint8_t src[16] = {0xfd, [15] = 1};
	static const uint8_t dst[16] = {0xfd, [15] = 2};
	struct build_ip6 ip = {.src = src, .dst = dst, .label = 0x12345};
	uint8_t frame[256];
	struct build b;

	build_start(&b, frame, sizeof(frame));
	build_eth(&b, mac_b, mac_a);
	build_ip6(&b, &ip);
	build_ext6(&b, SLUICE_IP_HOPOPTS, 8);
	build_ext6(&b, SLUICE_IP_DSTOPTS, 24);
	build_udp(&b, 6000, 7000);
	build_fill(&b, 32);
	end(o, &b);
}

static void put_tags(struct out *o)
{
	struct build_ip4 ip = {.src = IP_A, .dst = IP_B, .tos = 0xb8};
	uint8_t frame[256];
	struct build b;

	build_start(&b, frame, sizeof(frame));
	build_eth(&b, mac_b, mac_a);
	build_tag(&b, SLUICE_ETH_QINQ, 200);
	build_tag(&b, SLUICE_ETH_VLAN, 5 << 13 | 100);
	build_ip4(&b, &ip);
	build_tcp(&b, 1000, 80, 0x18);
	build_fill(&b, 100);
	end(o, &b);
}

static void put_talk(struct out *o)
{
	pcap_begin(o);
	put_arp(o);
	both_ways(o, (struct build_talk){.kind = BUILD_ICMP4, .len = 98});
	for (uint32_t i = 0; i < 8; i++)
		both_ways(o, (struct build_talk){.kind = BUILD_TCP4,
						 .tp_src = 1000,
						 .tp_dst = 80,
						 .len = 54 + 200 * i});
	both_ways(o, (struct build_talk){.kind = BUILD_UDP4,
					 .tp_src = 5000,
					 .tp_dst = 53,
					 .len = 80});
	both_ways(o, (struct build_talk){.kind = BUILD_ICMP6, .len = 118});
	both_ways(o, (struct build_talk){.kind = BUILD_TCP6,
					 .tp_src = 1000,
					 .tp_dst = 443,
					 .len = 1514});
	both_ways(o, (struct build_talk){.kind = BUILD_UDP4,
					 .vlan = 100,
					 .tp_src = 5000,
					 .tp_dst = 53});
	put_tags(o);
	put_fragments(o);
	put_ext6(o);
	pcap_end(o, "talk");
}

static void put_cases(struct out *o)
{
	struct frame_case c;

	pcap_begin(o);
	for (uint32_t i = 0; cases_at(i, &c); i++) {
		char file[128];

		snprintf(file, sizeof(file), "parse/%s", c.name);
		for (char *p = file; *p; p++)
			if (*p == ' ')
				*p = '_';
		put_file(o, file, c.data, c.len);
		if (c.len)
			pcap_frame(o, c.data, c.len);
	}
	pcap_end(o, "cases");
}

static void put_random(struct out *o)
{
	static uint8_t frame[TWIN_FRAME_MAX];
	struct rng rng = rng_of(RANDOM_SEED);

	pcap_begin(o);
	for (uint32_t i = 0; i < N_RANDOM; i++) {
		uint32_t len = twin_frame(&rng, frame);

		if (len)
			pcap_frame(o, frame, len);
	}
	pcap_end(o, "random");
}

int main(int argc, char **argv)
{
	struct out o = {0};

	o.check = argc == 3 && strcmp(argv[1], "check") == 0;
	if (argc != 3 || (!o.check && strcmp(argv[1], "write") != 0)) {
		fprintf(stderr, "usage: %s write|check FOLDER\n", argv[0]);
		return 2;
	}
	o.folder = argv[2];
	put_talk(&o);
	put_cases(&o);
	put_random(&o);
	return o.n_bad ? 1 : 0;
}
