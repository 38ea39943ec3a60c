/* SPDX-License-Identifier: Apache-2.0 */

/*
 * run and config check are sluiced's work: it holds the configuration's model.
 * It is the one beside this program, as in a build folder, or else in PATH.
 */

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

#define DAEMON "sluiced"

/* In the build folder the two lie in different folders of it. */
static const char *const beside[] = {DAEMON, "../src/daemon/" DAEMON};

static int exec_daemon(char *const argv[])
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		for (size_t i = 0; i < 2 && slash; i++) {
			size_t room = (size_t)(self + sizeof(self) - slash - 1);

			if (strlen(beside[i]) >= room)
				continue;
			memcpy(slash + 1, beside[i], strlen(beside[i]) + 1);
			execv(self, argv);
		}
	}
	execvp(DAEMON, argv);
	return cli_fail("cannot start %s: %s; it is neither beside this "
			"program nor in PATH",
			DAEMON, strerror(errno));
}

/* The one argument that is no option, or NULL. */
static char *only_argument(struct cli *cli, int argc, char **argv, int *status)
{
	static const struct option options[] = {CLI_LONG_OPTIONS, {0}};
	int opt;

	*status = CLI_OK;
	while (!*status && (opt = getopt_long(argc, argv, ":" CLI_OPTIONS,
					      options, NULL)) != -1)
		*status = cli_option(cli, opt, argv);
	if (*status)
		return NULL;
	if (cli->switch_name || cli->is_json)
		*status = cli_wrong(cli, "it takes a file and no options");
	else if (optind == argc)
		*status = cli_wrong(cli, "which file?");
	else if (optind + 1 < argc)
		*status = cli_wrong(cli, "one file, not %d", argc - optind);
	return *status ? NULL : argv[optind];
}

int cli_run(struct cli *cli, int argc, char **argv)
{
	char name[] = DAEMON;

	if (argc < 2)
		return cli_wrong(cli, "which file?");
	argv[0] = name; /* the rest is for it, options too */
	return exec_daemon(argv);
}

int cli_config(struct cli *cli, int argc, char **argv)
{
	int status;
	char name[] = DAEMON, check[] = "--check";
	char *args[] = {name, check, NULL, NULL};

	if (argc < 2 || strcmp(argv[1], "check") != 0)
		return cli_wrong(cli, "it can only be 'config check FILE'");
	cli->verb = "config check";
	args[2] = only_argument(cli, argc - 1, argv + 1, &status);
	return status ? status : exec_daemon(args);
}
