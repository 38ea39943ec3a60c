/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PACKET_CASES_H
#define PACKET_CASES_H

/*
 * packet/cases - frames for tests, each with the key or drop that it must give
 *
 * Good, odd and malformed ones, one per rule of sluice/parse.h. Written by
 * hand in hexadecimal, so independent of packet/build. Checksums are zero.
 */

#include "sluice/port.h"

#define CASE_LEN_MAX 9216u

struct frame_case {
	const char *name;
	const char *key; /* as sluice_key_text() from port 7; NULL: dropped */
	enum sluice_drop drop;
	uint32_t len;
	uint8_t data[CASE_LEN_MAX];
};

/* Case number i, from 0. False: there are no more. */
bool cases_at(uint32_t i, struct frame_case *out);

#endif
