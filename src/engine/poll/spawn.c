/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/poll/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REGION_FD 3 /* in the child */

static int beside_us(char out[PATH_MAX], struct why *why)
{
	static const char file[] = "sluice-poll";
	ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
	char *slash;

	if (n < 0)
		return why_say(why, -errno, "/proc/self/exe: %s",
			       strerror(errno));
	out[n] = '\0';
	slash = strrchr(out, '/');
	if (!slash || (size_t)(slash - out) + sizeof(file) + 1 > PATH_MAX)
		return why_say(why, -ENAMETOOLONG, "%s: too long", out);
	memcpy(slash + 1, file, sizeof(file));
	return 0;
}

/* Only the region and the standard descriptors go over. */
static int keep_fds(posix_spawn_file_actions_t *fds, int region_fd)
{
	int err = posix_spawn_file_actions_addopen(fds, STDIN_FILENO,
						   "/dev/null", O_RDONLY, 0);

	if (!err)
		err = posix_spawn_file_actions_adddup2(fds, region_fd,
						       REGION_FD);
	if (!err)
		err = posix_spawn_file_actions_addclosefrom_np(fds,
							       REGION_FD + 1);
	return err;
}

/* What a terminal or a service manager tells us is not for it. */
static int stand_alone(posix_spawnattr_t *attr)
{
	short flags = POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
		      POSIX_SPAWN_SETSIGDEF;
	sigset_t none, all;
	int err;

	sigemptyset(&none);
	sigfillset(&all);
	err = posix_spawnattr_setflags(attr, flags);
	if (!err)
		err = posix_spawnattr_setsigmask(attr, &none);
	if (!err)
		err = posix_spawnattr_setsigdefault(attr, &all);
	return err;
}

int spawn_poll(const char *binary, const char *name, int region_fd,
	       pid_t *child, struct why *why)
{
	char path[PATH_MAX], fd_text[] = "3";
	char *argv[] = {(char *)(uintptr_t) "sluice-poll",
			(char *)(uintptr_t) "--name",
			(char *)(uintptr_t)name,
			(char *)(uintptr_t) "--region-fd",
			fd_text,
			NULL};
	posix_spawn_file_actions_t fds;
	posix_spawnattr_t attr;
	int err;

	if (!binary) {
		err = beside_us(path, why);
		if (err)
			return err;
		binary = path;
	}
	posix_spawn_file_actions_init(&fds);
	posix_spawnattr_init(&attr);
	err = keep_fds(&fds, region_fd);
	if (!err)
		err = stand_alone(&attr);
	if (!err)
		err = posix_spawn(child, binary, &fds, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fds);
	if (err)
		return why_say(why, -err, "%s: %s", binary, strerror(err));
	return 0;
}
