/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the regions of running switches are: an arena is pinned in the BPF
 * file system, a memfd is reached through a process that holds it. Both places
 * have a folder per switch, so a listing is the registry and there is nothing
 * to keep up to date: the pin lives as long as the forwarding, and the link
 * dangles as soon as the last holder it names is gone.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rundir.h"
#include "region/bpf_sys.h"
#include "region/check.h"
#include "region/map.h"
#include "sluice/fsck.h"
#include "sluice/reader.h"

#define PATH_LEN 128

struct place {
	char folder[RUNDIR_LEN];
	const char *file;
	int (*open)(const char *path); /* a descriptor or negative errno */
};

static int open_link(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

/* Anybody can make a directory in /tmp: we look only into our own. */
static bool is_safe(const char *folder)
{
	struct stat st;

	return strncmp(folder, "/tmp/", 5) != 0 || lstat(folder, &st) != 0 ||
	       (S_ISDIR(st.st_mode) && st.st_uid == geteuid());
}

/* The i-th place, in the order in which they are tried. False: no more. */
static bool place_at(uint32_t i, struct place *out)
{
	if (i == 0) {
		*out = (struct place){.folder = SLUICE_BPF_DIR,
				      .file = "arena",
				      .open = bpf_sys_obj_get};
		return true;
	}
	*out = (struct place){.file = "region", .open = open_link};
	return rundir_place(i - 1, out->folder) && is_safe(out->folder);
}

static void path_of(const struct place *p, const char *name, char out[PATH_LEN])
{
	snprintf(out, PATH_LEN, "%s/%.31s/%s", p->folder, name, p->file);
}

static bool is_listed(char (*names)[SLUICE_NAME_LEN], uint32_t n,
		      const char *name)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* Adds the switches of one place. Returns how many names there are now. */
static uint32_t add_names(const struct place *p, char (*out)[SLUICE_NAME_LEN],
			  uint32_t used, uint32_t n)
{
	DIR *dir = opendir(p->folder);
	struct dirent *d;

	if (!dir)
		return used;
	while (used < n && (d = readdir(dir))) {
		char path[PATH_LEN];

		if (!region_name_is_valid(d->d_name) ||
		    is_listed(out, used, d->d_name))
			continue;
		path_of(p, d->d_name, path);
		if (access(path, F_OK) && errno != EACCES)
			continue;
		strcpy(out[used++], d->d_name);
	}
	closedir(dir);
	return used;
}

uint32_t sluice_reader_names(char (*out)[SLUICE_NAME_LEN], uint32_t n)
{
	struct place p;
	uint32_t used = 0;

	for (uint32_t i = 0; place_at(i, &p); i++)
		used = add_names(&p, out, used, n);
	return used;
}

/* The one switch that there is. */
static int find_only(char name[SLUICE_NAME_LEN], struct sluice_why *why)
{
	char names[2][SLUICE_NAME_LEN];
	uint32_t n = sluice_reader_names(names, 2);
	struct place p;

	for (uint32_t i = 0; n == 0 && place_at(i, &p); i++)
		if (access(p.folder, R_OK | X_OK) && errno == EACCES)
			return region_say(why, -EACCES,
					  "not permitted to look into %s",
					  p.folder);
	if (n == 0)
		return region_say(why, -ENOENT, "no switch is running");
	if (n > 1)
		return region_say(why, -ENOENT,
				  "several switches are running, as '%s' and "
				  "'%s': name the one you mean",
				  names[0], names[1]);
	memcpy(name, names[0], SLUICE_NAME_LEN);
	return 0;
}

/* A descriptor of the region that is called name, or negative errno. */
static int open_name(const char *name, struct sluice_why *why)
{
	struct place p;

	for (uint32_t i = 0; place_at(i, &p); i++) {
		char path[PATH_LEN];
		int fd;

		path_of(&p, name, path);
		fd = p.open(path);
		if (fd >= 0)
			return fd;
		if (fd == -EPERM || fd == -EACCES)
			return region_say(why, -EACCES,
					  "not permitted to open %s", path);
	}
	return region_say(why, -ENOENT, "no switch '%s' is running", name);
}

/* A descriptor of the region of that name, or of the only one. */
static int open_any(const char **name, char only[SLUICE_NAME_LEN],
		    struct sluice_why *why)
{
	if (!*name) {
		int err = find_only(only, why);

		if (err)
			return err;
		*name = only;
	}
	if (!region_name_is_valid(*name))
		return region_say(why, -ENOENT,
				  "'%.40s' is no name for a switch", *name);
	return open_name(*name, why);
}

int sluice_map_open_fd(int fd, struct sluice_map *out, struct sluice_why *why)
{
	struct region_map map;
	int err = region_map_fd(fd, false, &map, why);

	if (!err)
		*out = (struct sluice_map){map.mem, map.len};
	return err;
}

int sluice_map_open(const char *name, struct sluice_map *out,
		    struct sluice_why *why)
{
	char only[SLUICE_NAME_LEN];
	int fd = open_any(&name, only, why), err;

	if (fd < 0)
		return fd;
	err = sluice_map_open_fd(fd, out, why);
	close(fd);
	return err;
}

void sluice_map_close(struct sluice_map *m)
{
	munmap((void *)(uintptr_t)m->mem, m->len);
	*m = (struct sluice_map){0};
}

int sluice_reader_open(const char *name, struct sluice_reader *out,
		       struct sluice_why *why)
{
	char only[SLUICE_NAME_LEN];
	struct sluice_reader r;
	int fd = open_any(&name, only, why), err;

	if (fd < 0)
		return fd;
	err = sluice_reader_open_fd(fd, &r, why);
	close(fd);
	if (err)
		return err;
	/* The link may lead to another process of the same number. */
	if (strncmp(r.region->name, name, SLUICE_NAME_LEN) != 0) {
		sluice_reader_close(&r);
		return region_say(why, -ENOENT,
				  "no switch '%s' is running; another's region "
				  "is in its place",
				  name);
	}
	*out = r;
	return 0;
}
