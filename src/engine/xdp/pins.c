/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Names in bpffs must have no dot, which the kernel keeps for itself; so
 * switches that this engine serves have none either.
 */

#include "engine/xdp/pins.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sluice/capture.h"
#include "sluice/region.h"

#define BPFFS "/sys/fs/bpf"

const char *xdp_pins_path(const struct xdp_pins *p, const char *object,
			  char out[XDP_PIN_LEN])
{
	snprintf(out, XDP_PIN_LEN, "%.60s/%.32s", p->dir, object);
	return out;
}

static int bpffs_mount(struct why *why)
{
	struct statfs st;

	if (!statfs(BPFFS, &st) && (uint64_t)st.f_type == BPF_FS_MAGIC)
		return 0;
	if (!mount("bpf", BPFFS, "bpf", 0, "mode=0755"))
		return 0;
	return why_say(why, -errno, "cannot mount bpffs on " BPFFS ": %s",
		       strerror(errno));
}

static int dir_make(const char *path, struct why *why)
{
	if (!mkdir(path, 0755) || errno == EEXIST)
		return 0;
	return why_say(why, -errno, "%s: %s", path, strerror(errno));
}

int xdp_pins_open(const char *name, struct xdp_pins *out, struct why *why)
{
	struct xdp_pins p;
	int err;

	if (!*name || strpbrk(name, "./") || strlen(name) >= SLUICE_NAME_LEN)
		return why_say(why, -EINVAL,
			       "the XDP engine cannot serve a switch named "
			       "\"%s\": no dots or slashes, please",
			       name);
	err = bpffs_mount(why);
	if (!err)
		err = dir_make(SLUICE_BPF_DIR, why);
	snprintf(p.dir, sizeof(p.dir), SLUICE_BPF_DIR "/%s", name);
	if (!err)
		err = dir_make(p.dir, why);
	if (err)
		return err;
	p.dir_fd = open(p.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p.dir_fd < 0)
		return why_say(why, -errno, "%s: %s", p.dir, strerror(errno));
	if (flock(p.dir_fd, LOCK_EX | LOCK_NB)) {
		close(p.dir_fd);
		return why_say(why, -EBUSY,
			       "another process runs the XDP engine of \"%s\"",
			       name);
	}
	*out = p;
	return 0;
}

void xdp_pins_close(struct xdp_pins *p)
{
	close(p->dir_fd);
}

int xdp_pins_get(const struct xdp_pins *p, const char *object)
{
	char path[XDP_PIN_LEN];

	return bpf_obj_get(xdp_pins_path(p, object, path));
}

int xdp_pins_put(const struct xdp_pins *p, const char *object, int fd)
{
	char path[XDP_PIN_LEN];

	xdp_pins_drop(p, object);
	return bpf_obj_pin(fd, xdp_pins_path(p, object, path));
}

void xdp_pins_drop(const struct xdp_pins *p, const char *object)
{
	int fd = xdp_pins_get(p, object);

	/* What is only unpinned is taken off its device some time later. */
	if (fd >= 0) {
		bpf_link_detach(fd);
		close(fd);
	}
	unlinkat(p->dir_fd, object, 0);
}

void xdp_pins_clear(const struct xdp_pins *p)
{
	struct dirent *d;
	DIR *dir;

	dir = opendir(p->dir);
	if (!dir)
		return;
	while ((d = readdir(dir)))
		if (d->d_name[0] != '.')
			xdp_pins_drop(p, d->d_name);
	closedir(dir);
}

void xdp_pins_remove(const struct xdp_pins *p)
{
	xdp_pins_clear(p);
	rmdir(p->dir);
	rmdir(SLUICE_BPF_DIR); /* unless there are other switches */
}
