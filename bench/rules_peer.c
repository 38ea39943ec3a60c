/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/rules_peer.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/must.h"

/* In the child: its ends of the pipes become its input and output. */
static _Noreturn void child_run(const int *in, const int *out,
				char *const *args)
{
	dup2(in[0], STDIN_FILENO);
	dup2(out[1], STDOUT_FILENO);
	close(in[0]);
	close(in[1]);
	close(out[0]);
	close(out[1]);
	execv(args[0], args);
	_exit(127);
}

bool rules_peer_start(struct rules_peer *p, enum rules_kind kind, uint32_t n,
		      uint64_t seed, uint32_t n_keys)
{
	char program[] = RULES_PEER;
	char k[16], rules[16], s[24], keys[16];
	char *args[] = {program, k, rules, s, keys, NULL};
	int in[2], out[2];

	if (access(program, X_OK) != 0)
		return false;
	snprintf(k, sizeof(k), "%d", (int)kind);
	snprintf(rules, sizeof(rules), "%u", n);
	snprintf(s, sizeof(s), "%llu", (unsigned long long)seed);
	snprintf(keys, sizeof(keys), "%u", n_keys);
	must(!pipe(in) && !pipe(out));
	p->pid = fork();
	must(p->pid >= 0);
	if (!p->pid)
		child_run(in, out, args);
	close(in[0]);
	close(out[1]);
	p->ask = fdopen(in[1], "w");
	p->answer = fdopen(out[0], "r");
	must(p->ask && p->answer);
	return true;
}

void rules_peer_stop(struct rules_peer *p)
{
	int status;

	fclose(p->ask);
	fclose(p->answer);
	must(waitpid(p->pid, &status, 0) == p->pid);
}

void rules_peer_ask(struct rules_peer *p, const char *command, double *out,
		    uint32_t n)
{
	char line[256];
	const char *at = line;

	fprintf(p->ask, "%s\n", command);
	fflush(p->ask);
	must(fgets(line, sizeof(line), p->answer));
	for (uint32_t i = 0; i < n; i++) {
		char *end;

		out[i] = strtod(at, &end);
		must(end != at);
		at = end;
	}
}
