/* SPDX-License-Identifier: Apache-2.0 */
/* Which text a key has is in packet/cases; here is the rest of sluice/text. */
#include "base/annotate.h"
#include "base/test.h"
#include "packet/cases.h"
#include "packet/twin.h"
#include "sluice/text.h"

static void each_reason_has_a_name_and_a_sentence(void)
{
	CHECK(strcmp(sluice_drop_name(SLUICE_DROP_NONE), "none") == 0);
	CHECK(strcmp(sluice_drop_name(SLUICE_DROP_SHORT_ETH), "short-eth") ==
	      0);
	for (uint32_t d = 0; d < SLUICE_DROP_N; d++) {
		CHECK(strlen(sluice_drop_name(d)) > 2);
		CHECK(strlen(sluice_drop_text(d)) > 8);
		for (uint32_t e = 0; e < d; e++)
			CHECK(strcmp(sluice_drop_name(d),
				     sluice_drop_name(e)) != 0);
	}
	CHECK(strcmp(sluice_drop_name(SLUICE_DROP_N), "unknown") == 0);
	CHECK(strlen(sluice_drop_text(UINT32_MAX)) > 8);
}

static void check_cuts(const struct sluice_key *key)
{
	char whole[SLUICE_KEY_TEXT_LEN], cut[SLUICE_KEY_TEXT_LEN];
	size_t len = sluice_key_text(key, whole, sizeof(whole));

	CHECK_EQ(len, strlen(whole));
	CHECK_EQ(sluice_key_text(key, NULL, 0), len);
	for (size_t max = 1; max <= len + 1; max++) {
		memset(cut, 'x', sizeof(cut));
		CHECK_EQ(sluice_key_text(key, cut, max), len);
		CHECK_EQ(strlen(cut), max - 1);
		CHECK(strncmp(cut, whole, max - 1) == 0);
		CHECK_EQ(cut[max], 'x');
	}
}

static void a_text_is_cut_where_its_room_ends(void)
{
	struct sluice_key key;
	struct frame_case c;

	for (uint32_t i = 0; cases_at(i, &c); i++) {
		twin_parse(c.data, c.len, UINT32_MAX, &key);
		check_cuts(&key);
	}
}

/* Whatever lies in a region: its text fits, and its fields end. */
static void any_bytes_have_a_text(void)
{
	static const uint16_t types[] = {0x0800, 0x0806, 0x86dd, 0x88b5};
	static const uint8_t protos[] = {1, 6, 17, 58, 255};
	struct rng rng = rng_of(test_seed());
	char text[SLUICE_KEY_TEXT_LEN];
	size_t longest = 0;

	for (uint32_t i = 0; i < 50000; i++) {
		uint64_t words[8];
		struct sluice_key key;
		size_t len;

		for (uint32_t j = 0; j < 8; j++)
			words[j] = i % 7 ? rng_next(&rng) : UINT64_MAX;
		memcpy(&key, words, sizeof(key));
		key.eth_type = sluice_to_be16(types[rng_below(&rng, 4)]);
		key.ip_proto = protos[rng_below(&rng, 5)];
		key.ip_frag &= 3;
		len = sluice_key_text(&key, text, sizeof(text));
		CHECK(len < sizeof(text));
		longest = len > longest ? len : longest;
	}
	printf("# longest %zu\n", longest);
}

static void fields_are_numbers_or_texts(void)
{
	struct sluice_field f;
	struct sluice_key key;
	struct frame_case c;
	uint32_t n = 0;

	CHECK(cases_at(0, &c));
	twin_parse(c.data, c.len, 42, &key);
	for (uint32_t i = 0; sluice_key_next(&key, &i, &f); n++) {
		if (strcmp(f.name, "in_port") == 0)
			CHECK(f.is_number && f.number == 42 &&
			      strcmp(f.text, "42") == 0);
		if (strcmp(f.name, "eth_type") == 0)
			CHECK(!f.is_number && strcmp(f.text, "0x88b5") == 0);
	}
	CHECK_EQ(n, 4);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(each_reason_has_a_name_and_a_sentence);
	TEST(a_text_is_cut_where_its_room_ends);
	TEST(any_bytes_have_a_text);
	TEST(fields_are_numbers_or_texts);
	return test_done();
}
