/* SPDX-License-Identifier: Apache-2.0 */

/*
 * sluice - one command with verbs. What only reads maps the region read-only
 * and asks no daemon, so it works while there is none.
 */

#include <getopt.h>
#include <string.h>

#include "cli/cli.h"

static int version(struct cli *cli, int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return cli_wrong(cli, "it takes no arguments");
	printf("sluice %s (region ABI %u)\n", SLUICE_VERSION, SLUICE_ABI);
	return CLI_OK;
}

static const struct verb verbs[] = {
	{"run", "[--keep] [--verbose] CONFIG", "run a switch until Ctrl-C",
	 "CONFIG is a JSON file of the YANG module sluice.yang; examples/ has "
	 "some.\n  --keep               when it ends, known flows go on being "
	 "forwarded\n  --verbose            log more\nReplaces itself by "
	 "sluiced, which lies beside it or in "
	 "PATH.\n",
	 cli_run},
	{"config", "check FILE", "say whether a configuration is right",
	 "Prints nothing and ends with 0 when it is; otherwise says file, line,"
	 "\npath and reason, and ends with 1.\n",
	 cli_config},
	{"show", "ports|flows|macs|stats|memory|region [--json]",
	 "print what there is now",
	 "  ports                ports and their counters\n"
	 "  flows                flows, their counters and actions\n"
	 "    --port PORT        only those from or to a port\n"
	 "    --mac ADDRESS      only those from or to an address\n"
	 "  macs                 learned addresses\n"
	 "  stats                the switch: sizes, hits, reasons of drops\n"
	 "  memory               whose it is, and what it is used for\n"
	 "  region               the shared memory, table by table\n"
	 "    --deep             check every entry; ends with 1 when one is "
	 "wrong\n"
	 "    --file FILE        of a file that holds a region; memory too\n"
	 "  -j, --json           an array of objects, one to a line\n",
	 cli_show},
	{"top", "[-b] [-d SECONDS] [-n COUNT]", "live rates in the terminal",
	 "  -b                   plain text, without moving the cursor; so it "
	 "is\n                       when standard output is no terminal\n"
	 "  -d SECONDS           between two looks; 1\n"
	 "  -n COUNT             end after so many\n"
	 "Keys: q ends; p and b sort flows by packets or bytes.\n",
	 cli_top},
	{"capture",
	 "PORT [-w FILE] [-c COUNT] [-Q in|out|inout] [--for SECONDS]",
	 "copy a port's packets into a pcap file",
	 "  -w FILE              write there; -: standard output, as "
	 "without -w\n"
	 "  -c COUNT             end after so many packets\n"
	 "  -Q in|out|inout      what the switch receives, sends, or both\n"
	 "  --for SECONDS        end after so long\n"
	 "For example: sluice capture h1 | tcpdump -nr -\n",
	 cli_capture},
	{"version", "", "print the version", NULL, version},
};

#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void help(FILE *to)
{
	fputs("usage: sluice [-s SWITCH] VERB ...\n\n", to);
	for (size_t i = 0; i < N_VERBS; i++)
		fprintf(to, "  %-9s %s\n", verbs[i].name, verbs[i].what);
	fputs("\n  -s, --switch NAME  which switch, where several run\n"
	      "  -h, --help         this; of a verb: sluice VERB --help\n",
	      to);
}

static void help_verb(const struct verb *v)
{
	printf("usage: sluice [-s SWITCH] %s %s\n\n%s\n", v->name, v->args,
	       v->what);
	if (v->help)
		printf("\n%s", v->help);
}

static int unknown(const char *word)
{
	const char *words[N_VERBS];
	const char *like;

	for (size_t i = 0; i < N_VERBS; i++)
		words[i] = verbs[i].name;
	like = cli_like(word, words, N_VERBS);
	if (like)
		cli_fail("there is no verb '%s'; did you mean '%s'?", word,
			 like);
	else
		cli_fail("there is no verb '%s'; sluice --help lists them",
			 word);
	return CLI_USAGE;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 ||
		    strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

static int run_verb(struct cli *cli, int argc, char **argv)
{
	for (size_t i = 0; i < N_VERBS; i++) {
		if (strcmp(argv[0], verbs[i].name) != 0)
			continue;
		if (wants_help(argc, argv)) {
			help_verb(&verbs[i]);
			return CLI_OK;
		}
		cli->verb = verbs[i].name;
		optind = 0; /* getopt begins anew */
		return verbs[i].run(cli, argc, argv);
	}
	return unknown(argv[0]);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		CLI_LONG_OPTIONS,
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	struct cli cli = {.verb = ""};
	int opt, status;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "+:h" CLI_OPTIONS, options,
				  NULL)) != -1) {
		if (opt == 'h') {
			help(stdout);
			return CLI_OK;
		}
		if (opt == 'V')
			return version(&cli, 1, argv);
		status = cli_option(&cli, opt, argv);
		if (status)
			return status;
	}
	if (optind == argc) {
		help(stderr);
		return CLI_USAGE;
	}
	status = run_verb(&cli, argc - optind, argv + optind);
	if (fflush(stdout) || ferror(stdout))
		return status ? status : cli_fail("cannot write: %m");
	return status;
}
