/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser in user space, one frame after the other.
 *
 *     packet/parse/KIND       a frame into its key
 *     packet/parse+hash/KIND  and the key's hash, as a look-up begins
 *
 * The frames of a row differ in their addresses and ports and lie in the cache,
 * as they do when a device has just brought them. The limit is a copy of 64
 * bytes from the frame to the key.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/must.h"
#include "base/rng.h"
#include "bench/bench.h"
#include "packet/build.h"
#include "sluice/exact.h"
#include "sluice/parse.h"

#define N_FRAMES 128u
#define FRAME_ROOM 128u
#define N_PARSES (1u << 20)
#define N_ROUNDS 21u

struct frames {
	uint8_t data[N_FRAMES][FRAME_ROOM];
	uint32_t len[N_FRAMES];
	uint64_t hash_keys[SLUICE_EXACT_HASH_KEYS];
};

static const struct kind {
	const char *name;
	enum build_kind kind;
	uint16_t vlan;
	bool has_ext;
} kinds[] = {
	{"arp", BUILD_ARP, 0, false},
	{"tcp4", BUILD_TCP4, 0, false},
	{"udp4", BUILD_UDP4, 0, false},
	{"icmp4", BUILD_ICMP4, 0, false},
	{"tcp4-vlan", BUILD_TCP4, 100, false},
	{"tcp6", BUILD_TCP6, 0, false},
	{"icmp6", BUILD_ICMP6, 0, false},
	{"udp6-options", BUILD_UDP6, 0, true},
};

/* A datagram behind hop-by-hop and destination options. */
static uint32_t with_options(uint8_t *frame, const struct build_talk *t)
{
	uint8_t src[16] = {0xfd, [15] = (uint8_t)t->ip_src};
	uint8_t dst[16] = {0xfd, [15] = (uint8_t)t->ip_dst};
	struct build b;

	build_start(&b, frame, FRAME_ROOM);
	build_eth(&b, t->eth_dst, t->eth_src);
	build_ip6(&b, &(struct build_ip6){.src = src, .dst = dst});
	build_ext6(&b, SLUICE_IP_HOPOPTS, 8);
	build_ext6(&b, SLUICE_IP_DSTOPTS, 8);
	build_udp(&b, t->tp_src, t->tp_dst);
	return build_end(&b);
}

static void frames_init(struct frames *f, const struct kind *k)
{
	struct rng rng = rng_of(1);

	for (uint32_t i = 0; i < SLUICE_EXACT_HASH_KEYS; i++)
		f->hash_keys[i] = rng_next(&rng);
	for (uint32_t i = 0; i < N_FRAMES; i++) {
		struct build_talk t = {.kind = k->kind,
				       .eth_dst = {2, 0, 0, 0, 0, 1},
				       .eth_src = {2, 0, 0, 0, 1, (uint8_t)i},
				       .vlan = k->vlan,
				       .ip_src = (uint32_t)rng_next(&rng),
				       .ip_dst = (uint32_t)rng_next(&rng),
				       .tp_src = (uint16_t)rng_next(&rng),
				       .tp_dst = 80,
				       .len = 60};

		f->len[i] = k->has_ext ? with_options(f->data[i], &t)
				       : build_talk(f->data[i], FRAME_ROOM, &t);
		must(f->len[i]);
	}
}

/* The compiler must believe that somebody reads these bytes. */
static inline void use(const void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

static double parse(const struct frames *f)
{
	uint64_t start = clock_cpu_ns();

	for (uint32_t i = 0; i < N_PARSES; i++) {
		const uint8_t *data = f->data[i % N_FRAMES];
		struct sluice_key key;

		must(sluice_parse(data, data + f->len[i % N_FRAMES], 1, &key) ==
		     SLUICE_DROP_NONE);
		use(&key);
	}
	return (double)(clock_cpu_ns() - start) / N_PARSES;
}

static double parse_hash(const struct frames *f)
{
	uint64_t start = clock_cpu_ns();
	uint64_t sum = 0;

	for (uint32_t i = 0; i < N_PARSES; i++) {
		const uint8_t *data = f->data[i % N_FRAMES];
		struct sluice_key key;

		must(sluice_parse(data, data + f->len[i % N_FRAMES], 1, &key) ==
		     SLUICE_DROP_NONE);
		sum += sluice_exact_hash(f->hash_keys, (const uint64_t *)&key,
					 sizeof(key));
	}
	use(&sum);
	return (double)(clock_cpu_ns() - start) / N_PARSES;
}

static double copy(const struct frames *f)
{
	uint64_t start = clock_cpu_ns();

	for (uint32_t i = 0; i < N_PARSES; i++) {
		struct sluice_key key;

		memcpy(&key, f->data[i % N_FRAMES], sizeof(key));
		use(&key);
	}
	return (double)(clock_cpu_ns() - start) / N_PARSES;
}

static void measure(const struct bench *b, const struct kind *k,
		    const char *what, double (*fn)(const struct frames *))
{
	struct bench_row row = {.unit = "ns", .less_is_better = true};
	static struct frames f;

	snprintf(row.name, sizeof(row.name), "packet/%s/%s", what, k->name);
	if (!bench_wants(b, row.name))
		return;
	frames_init(&f, k);
	for (uint32_t i = 0; i < N_ROUNDS; i++) {
		bench_add(&row.ours, fn(&f));
		bench_add(&row.limit, copy(&f));
	}
	bench_emit(&row);
}

int main(int argc, char **argv)
{
	struct bench b;

	bench_init(&b, argc, argv);
	for (uint32_t i = 0; i < ARRAY_LEN(kinds); i++)
		measure(&b, &kinds[i], "parse", parse);
	for (uint32_t i = 0; i < ARRAY_LEN(kinds); i++)
		measure(&b, &kinds[i], "parse+hash", parse_hash);
	return 0;
}
