/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

/*
 * cli/text - numbers, words and columns as people read them
 *
 * Functions that fill a buffer return it. Pure but for rows, which are written
 * as they come: a listing of a million flows takes no memory.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sluice/flow.h"
#include "sluice/reader.h"

#define TEXT_LEN 64u

/* "0.012s", "4.5s", "2m05s", "3h07m", "2d04h". */
const char *text_duration(uint64_t ns, char out[TEXT_LEN]);

/* "999", "1.50k", "12.3M": 1000 is k. */
const char *text_si(double v, char out[TEXT_LEN]);

const char *text_mac(const uint8_t mac[6], char out[TEXT_LEN]);

/* "drop", "output:2", "output:2,3", "controller". */
const char *text_act(const struct sluice_reader *r, uint32_t in_port,
		     sluice_act act, char *out, size_t max);

/* The ports that an action sends to, as bits. */
uint64_t act_ports(const struct sluice_reader *r, uint32_t in_port,
		   sluice_act act);

const char *text_port_kind(uint32_t kind);
const char *text_port_state(uint32_t state);
const char *text_xdp_mode(uint32_t mode);
const char *text_engine(uint32_t engine);
const char *text_backing(uint32_t backing);

/* Copies a name out of the region; whatever lies there, it is plain text. */
const char *text_name(const char *from, size_t len, char *out);

struct column {
	const char *title;
	int width; /* negative: flush left. 0: the last one, as long as it is */
};

/* Writes the titles, in bold where the stream has colours. */
void row_titles(FILE *to, const struct column *cols, uint32_t n);
void row(FILE *to, const struct column *cols, uint32_t n,
	 const char *const *cells);

#endif
