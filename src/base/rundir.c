/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writable /run/sluice is tried by making it and asking access(2), not by
 * looking at our uid: root of a user namespace cannot write there.
 */
#include "base/rundir.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIXED_DIR "/run/sluice"
#define NAME_MAX_LEN 31u /* as in a region's header */

/*
 * Our uid as the world outside this user namespace numbers it. Lines of the map
 * are: first number inside, first outside, how many.
 */
static uint64_t outer_uid(void)
{
	uint64_t uid = geteuid(), outer = uid;
	FILE *f = fopen("/proc/self/uid_map", "re");
	char line[128];

	while (f && fgets(line, sizeof(line), f)) {
		char *at = line;
		uint64_t inside = strtoull(at, &at, 10);
		uint64_t outside = strtoull(at, &at, 10);
		uint64_t n = strtoull(at, &at, 10);

		if (uid >= inside && uid - inside < n)
			outer = outside + (uid - inside);
	}
	if (f)
		fclose(f);
	return outer;
}

static bool say(char out[RUNDIR_LEN], const char *dir, const char *sub)
{
	int n = snprintf(out, RUNDIR_LEN, "%s%s", dir, sub);

	return n > 0 && n < (int)RUNDIR_LEN;
}

static const char *env(const char *name)
{
	const char *v = getenv(name);

	return v && v[0] ? v : NULL;
}

bool rundir_place(uint32_t i, char out[RUNDIR_LEN])
{
	const char *only = env("SLUICE_RUN_DIR");
	const char *xdg = env("XDG_RUNTIME_DIR");

	if (only)
		return i == 0 && say(out, only, "");
	if (i == 0)
		return say(out, FIXED_DIR, "");
	if (xdg && say(out, xdg, "/sluice")) {
		if (i == 1)
			return true;
		i--;
	}
	if (i > 1)
		return false;
	snprintf(out, RUNDIR_LEN, "/tmp/sluice-%" PRIu64, outer_uid());
	return true;
}

/* Makes a directory, or finds it made and ours to write into. */
static bool have_dir(const char *path)
{
	struct stat st;

	if (mkdir(path, 0755) == 0)
		return true;
	if (errno != EEXIST)
		return false;
	/* In /tmp anybody could have made it, or a link to somewhere. */
	if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return false;
	return st.st_uid == geteuid() && access(path, W_OK | X_OK) == 0;
}

static bool is_name(const char *name)
{
	size_t len = name ? strlen(name) : 0;

	return len > 0 && len <= NAME_MAX_LEN && name[0] != '.' &&
	       !strchr(name, '/');
}

int rundir_make(const char *name, char out[RUNDIR_PATH_LEN], struct why *why)
{
	const char *only = env("SLUICE_RUN_DIR");
	char dir[RUNDIR_LEN];

	if (!is_name(name))
		return why_say(why, -EINVAL,
			       "'%s' is no name for a switch: 1 to %u bytes, "
			       "no '/', no leading '.'",
			       name ? name : "", NAME_MAX_LEN);
	if (only && strlen(only) >= RUNDIR_LEN)
		return why_say(why, -ENAMETOOLONG,
			       "SLUICE_RUN_DIR: longer than %u bytes: %s",
			       RUNDIR_LEN - 1, only);
	for (uint32_t i = 0; rundir_place(i, dir); i++) {
		if (!have_dir(dir))
			continue;
		snprintf(out, RUNDIR_PATH_LEN, "%s/%s", dir, name);
		if (have_dir(out))
			return 0;
	}
	return why_say(why, -EACCES,
		       "no directory for running switches can be had: set "
		       "SLUICE_RUN_DIR to one of your own");
}
