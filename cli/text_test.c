/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/text.h"

#include "base/annotate.h"
#include "base/test.h"
#include "cli/cli.h"

#define SAYS(got, want)                                                       \
	do {                                                                  \
		const char *got_ = got;                                       \
		if (strcmp(got_, want) != 0)                                  \
			printf("# %s is '%s', not '%s'\n", #got, got_, want); \
		CHECK(strcmp(got_, want) == 0);                               \
	} while (0)

static char buf[TEXT_LEN];

static void durations(void)
{
	const uint64_t s = 1000000000;

	SAYS(text_duration(0, buf), "0.000s");
	SAYS(text_duration(s - 1, buf), "1.000s");
	SAYS(text_duration(12345678, buf), "0.012s");
	SAYS(text_duration(10 * s, buf), "10.0s");
	SAYS(text_duration(60 * s, buf), "1m00s");
	SAYS(text_duration(125 * s, buf), "2m05s");
	SAYS(text_duration(3600 * s, buf), "1h00m");
	SAYS(text_duration(11220 * s, buf), "3h07m");
	SAYS(text_duration((2 * 86400 + 4 * 3600) * s, buf), "2d04h");
	SAYS(text_duration(UINT64_MAX, buf), "213503d23h");
}

static void powers_of_a_thousand(void)
{
	SAYS(text_si(0, buf), "0");
	SAYS(text_si(0.4, buf), "0");
	SAYS(text_si(0.7, buf), "1");
	SAYS(text_si(999, buf), "999");
	SAYS(text_si(999.6, buf), "1.00k");
	SAYS(text_si(1500, buf), "1.50k");
	SAYS(text_si(12345, buf), "12.3k");
	SAYS(text_si(123456, buf), "123k");
	SAYS(text_si(999499, buf), "999k");
	SAYS(text_si(1e6, buf), "1.00M");
	SAYS(text_si(2.5e10, buf), "25.0G");
	SAYS(text_si(1e20, buf), "100E");
}

static void names_are_plain_text(void)
{
	char out[8];

	SAYS(text_name("h1", 8, out), "h1");
	SAYS(text_name("a\033[2J\177\200", 8, out), "a?[2J??");
	/* No NUL where one should be. */
	SAYS(text_name("12345678", 8, out), "1234567");
}

static void what_no_list_has(void)
{
	SAYS(text_port_kind(99), "unknown");
	SAYS(text_engine(0), "unknown");
	SAYS(text_port_state(SLUICE_PORT_UP), "up");
	SAYS(text_backing(SLUICE_BACKING_ARENA), "arena");
	SAYS(text_backing(SLUICE_BACKING_FILE), "file");
	SAYS(text_backing(SLUICE_BACKING_DAX), "dax");
}

static void what_was_meant(void)
{
	static const char *const words[] = {"show", "top", "run", "capture"};

	SAYS(cli_like("shwo", words, ARRAY_LEN(words)), "show");
	SAYS(cli_like("cap", words, ARRAY_LEN(words)), "capture");
	SAYS(cli_like("tops", words, ARRAY_LEN(words)), "top");
	CHECK(!cli_like("xyzzyx", words, ARRAY_LEN(words)));
	CHECK(!cli_like("", words, ARRAY_LEN(words)));
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(durations);
	TEST(powers_of_a_thousand);
	TEST(names_are_plain_text);
	TEST(what_no_list_has);
	TEST(what_was_meant);
	return test_done();
}
