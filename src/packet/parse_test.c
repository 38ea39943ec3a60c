/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames lie against a page that must not be touched, so that a read past the
 * end ends the test without any sanitizer.
 */
#include <sys/mman.h>

#include "base/test.h"
#include "packet/cases.h"
#include "packet/twin.h"
#include "sluice/parse.h"
#include "sluice/text.h"

#define ROOM (16u << 10)

static uint8_t *room; /* its end is the frame's end */

static bool room_init(void)
{
	uint8_t *p = mmap(NULL, ROOM + 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + ROOM, 4096, PROT_NONE))
		return false;
	room = p;
	return true;
}

/* Parses a copy that ends where memory does. */
static enum sluice_drop parse_at_edge(const uint8_t *frame, uint32_t len,
				      uint32_t in_port, struct sluice_key *key)
{
	uint8_t *at = room + ROOM - len;

	memcpy(at, frame, len);
	memset(key, 0xa5, sizeof(*key));
	return sluice_parse(at, room + ROOM, in_port, key);
}

static void print_frame(const uint8_t *data, uint32_t len)
{
	printf("#   %u bytes:", len);
	for (uint32_t i = 0; i < len && i < 160; i++)
		printf("%s%02x", i % 2 ? "" : " ", data[i]);
	printf("\n");
}

/* Parser and twin must give the same. Returns what the parser says. */
static enum sluice_drop compare(const uint8_t *frame, uint32_t len,
				uint32_t in_port, struct sluice_key *key)
{
	struct sluice_key twin;
	enum sluice_drop drop = parse_at_edge(frame, len, in_port, key);

	CHECK_EQ(drop, twin_parse(frame, len, in_port, &twin));
	CHECK(drop || memcmp(key, &twin, sizeof(twin)) == 0);
	if (test_.failed)
		print_frame(frame, len);
	return drop;
}

static void check_case(const struct frame_case *c)
{
	char text[SLUICE_KEY_TEXT_LEN];
	struct sluice_key key;
	enum sluice_drop drop = compare(c->data, c->len, 7, &key);

	CHECK_EQ(drop, c->drop);
	if (drop || c->drop)
		return;
	sluice_key_text(&key, text, sizeof(text));
	CHECK(strcmp(text, c->key) == 0);
	if (test_.failed)
		printf("#   %s\n#   %s\n", text, c->key);
}

static void each_case_gives_its_key(void)
{
	struct frame_case c;

	for (uint32_t i = 0; cases_at(i, &c) && !test_.failed; i++) {
		check_case(&c);
		if (test_.failed)
			printf("#   case %s\n", c.name);
	}
}

/* The parser's reasons come first in the list. */
static void each_reason_of_the_parser_has_a_case(void)
{
	bool seen[SLUICE_DROP_N] = {0};
	struct frame_case c;

	for (uint32_t i = 0; cases_at(i, &c); i++)
		seen[c.drop] = true;
	for (uint32_t d = 0; d <= SLUICE_DROP_BAD_ETH_SRC; d++)
		CHECK(seen[d]);
}

/* Cuts every case at every length, and lets every byte be every value. */
static void cases_cut_and_changed_agree_with_the_twin(void)
{
	struct frame_case c;

	for (uint32_t i = 0; cases_at(i, &c); i++) {
		uint32_t n = c.len < 160 ? c.len : 160;
		struct sluice_key key;

		for (uint32_t len = 0; len <= n && !test_.failed; len++)
			compare(c.data, len, 1, &key);
		for (uint32_t j = 0; j < n * 256 && !test_.failed; j++) {
			uint8_t was = c.data[j / 256];

			c.data[j / 256] = (uint8_t)j;
			compare(c.data, c.len, 1, &key);
			c.data[j / 256] = was;
		}
	}
}

static void random_frames_agree_with_the_twin(void)
{
	static uint8_t frame[TWIN_FRAME_MAX];
	struct rng rng = rng_of(test_seed());
	uint32_t n_of[SLUICE_DROP_N] = {0};

	for (uint32_t i = 0; i < 2000000 && !test_.failed; i++) {
		uint32_t len = twin_frame(&rng, frame);
		struct sluice_key key;

		n_of[compare(frame, len, i, &key)]++;
	}
	for (uint32_t d = 0; d < SLUICE_DROP_N; d++)
		if (n_of[d])
			printf("# %s %u\n", sluice_drop_name(d), n_of[d]);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	if (!room_init())
		return 1;
	TEST(each_case_gives_its_key);
	TEST(each_reason_of_the_parser_has_a_case);
	TEST(cases_cut_and_changed_agree_with_the_twin);
	TEST(random_frames_agree_with_the_twin);
	return test_done();
}
