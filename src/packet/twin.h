/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PACKET_TWIN_H
#define PACKET_TWIN_H

/*
 * packet/twin - what the parser is compared with in tests
 *
 * The same answers as sluice_parse(), written the slow way: byte by byte, each
 * of them asked for by its offset; an offset outside the frame ends the test.
 * Shares no code with sluice/parse.h.
 */

#include "base/rng.h"
#include "sluice/key.h"
#include "sluice/port.h"

/* key is all zeros but for what was found before a drop. */
enum sluice_drop twin_parse(const uint8_t *frame, uint32_t len,
			    uint32_t in_port, struct sluice_key *key);

#define TWIN_FRAME_MAX 4096u

/*
 * A frame of a random shape, half of them damaged: bytes changed, lengths made
 * to lie, cut off, or lengthened. out has room for TWIN_FRAME_MAX bytes.
 * Returns its length.
 */
uint32_t twin_frame(struct rng *rng, uint8_t *out);

#endif
