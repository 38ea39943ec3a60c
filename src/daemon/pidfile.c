/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The file is removed while it is still locked. Who opened it just before
 * locks a file without a name, sees that, and opens again.
 */

/* Enough for "/pid". */
#define PATH_LEN (RUNDIR_PATH_LEN + 8)

static const char *path_of(const char *dir, char out[PATH_LEN])
{
	snprintf(out, PATH_LEN, "%s/pid", dir);
	return out;
}

/* Is fd what the path names? */
static bool is_named(int fd, const char *path)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && stat(path, &there) == 0 &&
	       ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

/* A locked descriptor of the file, or negative errno. */
static int open_locked(const char *path)
{
	for (;;) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			      0644);

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			close(fd);
			return -EBUSY;
		}
		if (is_named(fd, path))
			return fd;
		close(fd);
	}
}

int pidfile_take(const char *name, struct pidfile *out, struct why *why)
{
	char path[PATH_LEN];
	int err = rundir_make(name, out->dir, why);

	if (err)
		return err;
	out->fd = open_locked(path_of(out->dir, path));
	if (out->fd == -EBUSY)
		return why_say(why, -EBUSY,
			       "switch %s has a daemon, its process is in %s",
			       name, path);
	if (out->fd < 0)
		return why_say(why, out->fd, "%s: %s", path,
			       strerror(-out->fd));
	if (ftruncate(out->fd, 0) || dprintf(out->fd, "%d\n", getpid()) < 0) {
		err = -errno;
		close(out->fd);
		return why_say(why, err, "%s: %s", path, strerror(-err));
	}
	return 0;
}

void pidfile_give(struct pidfile *p)
{
	char path[PATH_LEN];

	unlink(path_of(p->dir, path));
	rmdir(p->dir);
	close(p->fd);
}
