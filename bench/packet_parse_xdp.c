/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser as the kernel runs it: packet/parse/KIND/xdp is what a program
 * that parses (bpf/parse_test.bpf.c) takes longer than one that does not, with
 * the same packet again and again (BPF_PROG_TEST_RUN).
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/must.h"
#include "bench/bench.h"
#include "packet/build.h"

#define N_RUNS 1000000
#define N_ROUNDS 15u

static const struct kind {
	const char *name;
	enum build_kind kind;
} kinds[] = {
	{"arp", BUILD_ARP},
	{"tcp4", BUILD_TCP4},
	{"udp4", BUILD_UDP4},
	{"tcp6", BUILD_TCP6},
};

static double run(struct bpf_object *o, const char *program,
		  const uint8_t *frame, uint32_t len)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
		    .data_size_in = len, .repeat = N_RUNS);
	int fd = bpf_program__fd(bpf_object__find_program_by_name(o, program));
	uint64_t start = clock_cpu_ns();

	must(bpf_prog_test_run_opts(fd, &opts) == 0);
	return (double)(clock_cpu_ns() - start) / N_RUNS;
}

static void measure(const struct bench *b, struct bpf_object *o,
		    const struct kind *k)
{
	struct build_talk t = {.kind = k->kind,
			       .eth_dst = {2, 0, 0, 0, 0, 1},
			       .eth_src = {2, 0, 0, 0, 0, 2},
			       .ip_src = 0x0a000001,
			       .ip_dst = 0x0a000002,
			       .tp_src = 1000,
			       .tp_dst = 80,
			       .len = 60};
	struct bench_row row = {.unit = "ns", .less_is_better = true};
	uint8_t frame[128];
	uint32_t len = build_talk(frame, sizeof(frame), &t);

	snprintf(row.name, sizeof(row.name), "packet/parse/%s/xdp", k->name);
	if (!bench_wants(b, row.name))
		return;
	must(len);
	for (uint32_t i = 0; i < N_ROUNDS; i++)
		bench_add(&row.ours, run(o, "parse", frame, len) -
					     run(o, "nothing", frame, len));
	bench_emit(&row);
}

int main(int argc, char **argv)
{
	struct bpf_object *o;
	struct bench b;

	bench_init(&b, argc, argv);
	if (!bench_wants(&b, "packet/parse/"))
		return 0;
	o = bpf_object__open_file(PARSE_TEST_BPF, NULL);
	if (!o || bpf_object__load(o)) {
		bench_say("packet/parse/*/xdp: the kernel takes no programs "
			  "from us");
		bpf_object__close(o);
		return 0;
	}
	for (uint32_t i = 0; i < ARRAY_LEN(kinds); i++)
		measure(&b, o, &kinds[i]);
	bpf_object__close(o);
	return 0;
}
