/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_TEXT_H
#define SLUICE_TEXT_H

/*
 * sluice/text - keys and drop reasons, for people
 *
 * Host only. Pure functions; any thread.
 */

#include "sluice/key.h"
#include "sluice/port.h"
#include "sluice/types.h"

/* "short-eth"; "none" for SLUICE_DROP_NONE, "unknown" outside the list. */
const char *sluice_drop_name(uint32_t drop);

/* "the frame ends inside its Ethernet header" */
const char *sluice_drop_text(uint32_t drop);

#define SLUICE_FIELD_LEN 48u

/* One field of a key, for text and for JSON. */
struct sluice_field {
	const char *name;	     /* Open vSwitch's name for it; constant */
	char text[SLUICE_FIELD_LEN]; /* NUL-terminated */
	uint32_t number;	     /* where text is a decimal number */
	bool is_number;
};

/*
 * The next field that the key's packet has, at or after *i; leaves *i behind
 * it. Begin with 0. False at the end.
 */
bool sluice_key_next(const struct sluice_key *key, uint32_t *i,
		     struct sluice_field *out);

#define SLUICE_KEY_TEXT_LEN 384u /* bytes that hold any key's text */

/*
 * "in_port=1,eth_src=02:..,eth_dst=..,eth_type=0x0800,ip_src=10.0.0.1,.."
 *
 * out      max bytes; NUL-terminated unless max is 0, cut off where it ends
 * returns  the length of the whole text, as snprintf()
 */
size_t sluice_key_text(const struct sluice_key *key, char *out, size_t max);

#endif
