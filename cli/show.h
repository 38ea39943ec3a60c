/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

/*
 * cli/show - one listing per function, as text or as a JSON array
 *
 * Each writes to standard output and returns CLI_OK or CLI_FAILED.
 */

#include <jansson.h>

#include "cli/cli.h"
#include "sluice/fsck.h"

struct show {
	const struct sluice_reader *r;
	bool is_json;
	uint64_t now_ns; /* CLOCK_MONOTONIC */

	/* Flows only; 0 and NULL: all. */
	uint32_t port;
	const uint8_t *mac;
};

int show_ports(const struct show *s);
int show_flows(const struct show *s);
int show_macs(const struct show *s);
int show_stats(const struct show *s);

struct show_region {
	const char *switch_name; /* NULL: the only one that runs */
	const char *file;	 /* or a file that holds a region; NULL */
	bool is_json;
	bool is_deep; /* check every entry; of the region */
};

/* CLI_FAILED also when something in it is wrong. */
int show_region(const struct show_region *s);

/* Whose memory it is, and what it is used for. */
int show_memory(const struct show_region *s);

/* Maps the region that s names; on failure has said why. */
int show_map(const struct show_region *s, struct sluice_map *out);

const char *show_alg(uint32_t alg);

/* An array of objects, one to a line, written as they come. */
struct json_rows {
	FILE *to;
	bool has_rows;
	bool has_failed;
};

void json_rows_open(struct json_rows *j);

/* Takes the object over; NULL: memory ran out, which close then says. */
void json_row(struct json_rows *j, json_t *object);

/* Returns CLI_OK or CLI_FAILED. */
int json_rows_close(struct json_rows *j);

/* Adds a member; seconds: with thousandths, from nanoseconds. */
void put_num(json_t *o, const char *name, uint64_t v);
void put_text(json_t *o, const char *name, const char *v);
void put_bool(json_t *o, const char *name, bool v);
void put_seconds(json_t *o, const char *name, uint64_t ns);

/* The name of a port, or "" where there is none. Set out as in text_name(). */
const char *port_name(const struct sluice_reader *r, uint64_t port,
		      char out[SLUICE_PORT_NAME_LEN]);

/* All reasons of drops together. */
uint64_t drops_sum(const struct sluice_port_stats *st);

/* Adds the reasons that have occurred, by name, as an object of their own. */
void put_drops(json_t *o, const char *name, const struct sluice_port_stats *st);

/* Is a process that wrote down pid and start time there still there? */
bool process_lives(const struct sluice_reader *r, uint64_t pid, uint64_t start);

#endif
