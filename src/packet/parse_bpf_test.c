/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser as the kernel runs it (bpf/parse_test.bpf.c, BPF_PROG_TEST_RUN)
 * against the same code in user space. The kernel takes no frame under 14 bytes
 * and none over a page in this form; the rest is parse_test's.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "base/annotate.h"
#include "base/test.h"
#include "packet/cases.h"
#include "packet/twin.h"
#include "sluice/parse.h"

#define RUN_LEN_MAX 3400u

/* As in the program. */
struct result {
	struct sluice_key key;
	uint32_t drop;
	uint32_t in_port;
};

static struct {
	struct bpf_object *object;
	int prog, map;
	const char *missing; /* why there is none */
	bool refused;	     /* and that is no excuse: the verifier's no */
} bpf;

static int be_silent(enum libbpf_print_level level, const char *fmt,
		     va_list args)
{
	(void)level;
	(void)fmt;
	(void)args;
	return 0;
}

static void bpf_init(void)
{
	static char reason[128];
	libbpf_print_fn_t print = libbpf_set_print(be_silent);
	int err;

	bpf.object = bpf_object__open_file(PARSE_TEST_BPF, NULL);
	err = bpf.object ? bpf_object__load(bpf.object) : -errno;
	libbpf_set_print(print);
	if (err == -EPERM) {
		bpf.missing = "needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN";
	} else if (err) {
		snprintf(reason, sizeof(reason), "%s: %s", PARSE_TEST_BPF,
			 strerror(-err));
		bpf.missing = reason;
	} else {
		bpf.prog = bpf_program__fd(
			bpf_object__find_program_by_name(bpf.object, "parse"));
		bpf.map =
			bpf_object__find_map_fd_by_name(bpf.object, "results");
	}
	bpf.refused = err && err != -EPERM;
}

static bool run(const uint8_t *frame, uint32_t len, struct result *r)
{
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame,
		    .data_size_in = len);
	uint32_t zero = 0;

	return bpf_map_update_elem(bpf.map, &zero, r, 0) == 0 &&
	       bpf_prog_test_run_opts(bpf.prog, &o) == 0 &&
	       bpf_map_lookup_elem(bpf.map, &zero, r) == 0;
}

/* Same verdict, same key. */
static void compare(const char *name, const uint8_t *frame, uint32_t len,
		    uint32_t in_port)
{
	struct result r = {.in_port = in_port};
	struct sluice_key key;
	enum sluice_drop drop;

	if (len < SLUICE_ETH_LEN || len > RUN_LEN_MAX)
		return;
	drop = sluice_parse(frame, frame + len, in_port, &key);
	CHECK(run(frame, len, &r));
	CHECK_EQ(r.drop, drop);
	CHECK(drop || memcmp(&r.key, &key, sizeof(key)) == 0);
	if (test_.failed)
		printf("#   in %s, %u bytes\n", name, len);
}

static void the_verifier_accepts_the_parser(void)
{
	CHECK(!bpf.refused);
	if (bpf.missing)
		test_skip(bpf.missing);
}

static void cases_agree_with_user_space(void)
{
	struct frame_case c;

	if (bpf.missing) {
		test_skip(bpf.missing);
		return;
	}
	for (uint32_t i = 0; cases_at(i, &c) && !test_.failed; i++)
		for (uint32_t len = c.len > 100 ? c.len : 0; len <= c.len;
		     len++)
			compare(c.name, c.data, len, i + 1);
}

static void random_frames_agree_with_user_space(void)
{
	static uint8_t frame[TWIN_FRAME_MAX];
	struct rng rng = rng_of(test_seed());

	if (bpf.missing) {
		test_skip(bpf.missing);
		return;
	}
	for (uint32_t i = 0; i < 50000 && !test_.failed; i++) {
		uint32_t len = twin_frame(&rng, frame);

		compare("a random frame", frame, len, (uint32_t)rng.state);
	}
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	bpf_init();
	TEST(the_verifier_accepts_the_parser);
	TEST(cases_agree_with_user_space);
	TEST(random_frames_agree_with_user_space);
	bpf_object__close(bpf.object);
	return test_done();
}
