/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

/*
 * cli - what the verbs of `sluice` share
 *
 * A verb takes its own arguments, argv[0] being its name, and returns the exit
 * status: CLI_OK, CLI_FAILED when it could not, CLI_USAGE when it was asked
 * wrongly. Results go to standard output, everything else to standard error.
 * One thread.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sluice/reader.h"

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct cli {
	const char *verb;	 /* as typed: "show flows" */
	const char *switch_name; /* NULL: the only one that runs */
	bool is_json;
};

struct verb {
	const char *name;
	const char *args; /* behind the name, in the usage line */
	const char *what; /* one line */
	const char *help; /* the rest of its --help, or NULL */
	int (*run)(struct cli *cli, int argc, char **argv);
};

int cli_run(struct cli *cli, int argc, char **argv);
int cli_config(struct cli *cli, int argc, char **argv);
int cli_show(struct cli *cli, int argc, char **argv);
int cli_capture(struct cli *cli, int argc, char **argv);
int cli_top(struct cli *cli, int argc, char **argv);

/* "sluice: TEXT" on standard error; returns CLI_FAILED. */
int cli_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same with a hint at --help; returns CLI_USAGE. */
int cli_wrong(const struct cli *cli, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The options that all verbs have: -s, --json, in getopt's way. */
#define CLI_OPTIONS "s:"
#define CLI_LONG_OPTIONS                          \
	{"switch", required_argument, NULL, 's'}, \
	{                                         \
		"json", no_argument, NULL, 'j'    \
	}

/*
 * Takes an option that all verbs have; anything else, as getopt_long()
 * returned it, is wrong. Returns CLI_OK or CLI_USAGE.
 */
int cli_option(struct cli *cli, int opt, char **argv);

/* Opens the switch; on failure has said why. Returns CLI_OK or CLI_FAILED. */
int cli_open(const struct cli *cli, struct sluice_reader *out);

/*
 * The number of the port that has this name, or this number; 0 when there is
 * none, which it has said.
 */
uint32_t cli_port(const struct sluice_reader *r, const char *name);

/* May what we write to a stream have colours? */
bool cli_has_colour(FILE *to);

/* The word of a list that is most like one that is unknown; NULL: none is. */
const char *cli_like(const char *word, const char *const *words, uint32_t n);

#endif
