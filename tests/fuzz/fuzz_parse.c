/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile bytes as a frame: the parser must agree with its slow twin and read
 * nothing behind the frame, which ends where its memory does. What it accepts
 * must have a text that fits.
 */
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "fuzz.h"
#include "packet/twin.h"
#include "sluice/parse.h"
#include "sluice/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sluice_key key, expected;
	char text[SLUICE_KEY_TEXT_LEN];
	uint8_t *frame = malloc(len ? len : 1);
	enum sluice_drop drop;

	if (!frame)
		return 0;
	if (len)
		memcpy(frame, data, len);
	memset(&key, 0xa5, sizeof(key));
	drop = sluice_parse(frame, frame + len, 7, &key);
	must(drop == twin_parse(frame, (uint32_t)len, 7, &expected));
	if (drop == SLUICE_DROP_NONE) {
		must(memcmp(&key, &expected, sizeof(key)) == 0);
		must(sluice_key_text(&key, text, sizeof(text)) < sizeof(text));
	}
	free(frame);
	return 0;
}
