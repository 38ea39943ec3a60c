/* SPDX-License-Identifier: Apache-2.0 */

/* What verbs share: messages, common options, opening, suggestions. */

#include "cli/cli.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/text.h"

#define WORD_MAX 32u

int cli_fail(const char *fmt, ...)
{
	va_list ap;

	fputs("sluice: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return CLI_FAILED;
}

int cli_wrong(const struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "sluice %s: ", cli->verb);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see sluice %s --help\n", cli->verb);
	return CLI_USAGE;
}

int cli_option(struct cli *cli, int opt, char **argv)
{
	if (opt == 's') {
		cli->switch_name = optarg;
		return CLI_OK;
	}
	if (opt == 'j') {
		cli->is_json = true;
		return CLI_OK;
	}
	if (opt == ':')
		return cli_wrong(cli, "%s needs a value", argv[optind - 1]);
	return cli_wrong(cli, "there is no option %s", argv[optind - 1]);
}

int cli_open(const struct cli *cli, struct sluice_reader *out)
{
	struct sluice_why why = {{0}};
	char names[8][SLUICE_NAME_LEN];
	uint32_t n;
	int err;

	err = sluice_reader_open(cli->switch_name, out, &why);
	if (!err)
		return CLI_OK;
	cli_fail("%s", why.text[0] ? why.text : strerror(-err));
	n = sluice_reader_names(names, 8);
	if (n > 1 && !cli->switch_name)
		fputs("choose one with -s NAME:", stderr);
	else if (n && cli->switch_name)
		fputs("there is:", stderr);
	else
		n = 0;
	for (uint32_t i = 0; i < n; i++)
		fprintf(stderr, " %s", names[i]);
	fputs(n ? "\n" : "", stderr);
	return CLI_FAILED;
}

uint32_t cli_port(const struct sluice_reader *r, const char *name)
{
	char *end;
	unsigned long no = strtoul(name, &end, 10);
	char text[SLUICE_PORT_NAME_LEN];

	for (uint32_t i = 1; i < SLUICE_PORTS_MAX; i++)
		if (r->ports[i].kind &&
		    strcmp(text_name(r->ports[i].name, sizeof(text), text),
			   name) == 0)
			return i;
	if (*name && !*end && no > 0 && no < SLUICE_PORTS_MAX &&
	    r->ports[no].kind)
		return (uint32_t)no;
	cli_fail("there is no port '%s'; there are:", name);
	for (uint32_t i = 1; i < SLUICE_PORTS_MAX; i++)
		if (r->ports[i].kind)
			fprintf(stderr, "  %u  %s\n", i,
				text_name(r->ports[i].name, sizeof(text),
					  text));
	return 0;
}

bool cli_has_colour(FILE *to)
{
	const char *no = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return !(no && *no) && term && strcmp(term, "dumb") != 0 &&
	       isatty(fileno(to));
}

/* Letters to add, drop or change to make b of a. */
static uint32_t unlike(const char *a, const char *b)
{
	uint32_t cost[WORD_MAX + 1];
	uint32_t n = (uint32_t)strlen(b);

	if (n > WORD_MAX)
		return n;
	for (uint32_t j = 0; j <= n; j++)
		cost[j] = j;
	for (; *a; a++) {
		uint32_t corner = cost[0]++;

		for (uint32_t j = 1; j <= n; j++) {
			uint32_t change = corner + (*a != b[j - 1]);

			corner = cost[j];
			cost[j] =
				(corner < cost[j - 1] ? corner : cost[j - 1]) +
				1;
			if (change < cost[j])
				cost[j] = change;
		}
	}
	return cost[n];
}

const char *cli_like(const char *word, const char *const *words, uint32_t n)
{
	const char *best = NULL;
	uint32_t least = 3;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t d = unlike(word, words[i]);

		if (strlen(word) > 1 &&
		    strncmp(words[i], word, strlen(word)) == 0)
			return words[i];
		if (d < least && d < strlen(words[i])) {
			least = d;
			best = words[i];
		}
	}
	return best;
}
