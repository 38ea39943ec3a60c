/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CRASH_KILL_H
#define TESTS_CRASH_KILL_H

/*
 * tests/crash/kill - a child that is killed at one of its stores
 *
 *     pid_t pid = kill_fork(at);
 *
 *     if (pid == 0) {
 *             work();
 *             _exit(0);
 *     }
 *     return kill_wait(pid, &code);
 *
 * What is tested must be compiled with -DSLUICE_CRASH, so that crash_point()
 * stands in front of each of its stores (base/crash.h). For one binary's main
 * file only: it holds that function, and its state.
 */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/must.h"

static int64_t kill_in = -1; /* stores until we are killed; -1: never */

void crash_point(void)
{
	if (kill_in == 0)
		kill(getpid(), SIGKILL);
	if (kill_in > 0)
		kill_in--;
}

/* As fork(), which does not fail; the child has so many stores to go. */
static inline pid_t kill_fork(int64_t at)
{
	pid_t pid = fork();

	must(pid >= 0);
	if (pid == 0)
		kill_in = at;
	return pid;
}

/* Was it killed on the way? If not, *code is what it said to _exit(). */
static inline bool kill_wait(pid_t pid, int *code)
{
	int status;

	must(waitpid(pid, &status, 0) == pid);
	*code = WIFSIGNALED(status) ? 0 : WEXITSTATUS(status);
	must(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL
				 : WIFEXITED(status));
	return WIFSIGNALED(status);
}

#endif
