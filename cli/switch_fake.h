/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SWITCH_FAKE_H
#define CLI_SWITCH_FAKE_H

/*
 * cli/switch_fake - a switch without daemon or packets, for tests of sluice
 *
 * The program itself is run on a region that the test has made, which it finds
 * by name through $SLUICE_RUN_DIR as it finds a real one. Fakes end the test
 * when they cannot be made.
 */

#include "base/test.h"
#include "flow/state.h"

#define FAKE_NAME "clitest"
#define FAKE_SECOND 1000000000ull

/* What sluice wrote when it was run last. */
struct fake_out {
	char out[65536];
	char err[8192];
};

extern struct fake_out fake;
extern struct state fake_state; /* while there is a switch */

/* The program is $SLUICE. Once, in main. */
void fake_init(void);
void fake_fini(void);
const char *fake_program(void);

/* Runs `sluice ARGS`; returns its exit status and fills fake. */
int fake_run(const char *args);

/*
 * Makes a switch of four ports, three flows and two addresses, all of which
 * say that they were made then.
 */
void fake_make(uint64_t created_ns);
void fake_free(void);

/* The key of the flow between two hosts. */
void fake_key(struct sluice_key *k, uint8_t src, uint8_t dst);

#define RUNS(args, status)                                                     \
	do {                                                                   \
		int s_ = fake_run(args);                                       \
		if (s_ != (status))                                            \
			printf("# sluice %s: %d\n# %s\n", args, s_, fake.err); \
		CHECK(s_ == (status));                                         \
	} while (0)

#define SAYS(where, want)                                                 \
	do {                                                              \
		if (strcmp(where, want) != 0)                             \
			printf("# got:\n%s\n# want:\n%s\n", where, want); \
		CHECK(strcmp(where, want) == 0);                          \
	} while (0)

#define HAS(where, part)                                              \
	do {                                                          \
		if (!strstr(where, part))                             \
			printf("# no '%s' in:\n# %s\n", part, where); \
		CHECK(strstr(where, part));                           \
	} while (0)

#endif
