/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device-DAX character device is memory, and nothing but: no length by
 * fstat(), no read(), no truncating. sysfs tells its size and the alignment that
 * mappings need. Both are the kernel's word, so they are believed; a region ends
 * at 4 GiB.
 */
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "region/check.h"
#include "region/map.h"

#define ALIGN_DEFAULT (2u << 20) /* kernels that do not say */
#define ALIGN_MAX (1u << 30)

uint32_t region_file_page(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC)
		return (uint32_t)fs.f_bsize;
	return (uint32_t)sysconf(_SC_PAGESIZE);
}

/* A number in a file of the folder; 0: there is none. */
static uint64_t number_in(const char *folder, const char *file)
{
	char path[PATH_MAX], text[32];
	uint64_t number = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fgets(text, sizeof(text), f))
		number = strtoull(text, NULL, 0);
	fclose(f);
	return number;
}

static bool is_dax(const char *folder)
{
	char path[PATH_MAX], to[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/subsystem", folder);
	n = readlink(path, to, sizeof(to) - 1);
	if (n < 0)
		return false;
	to[n] = '\0';
	return n >= 4 && strcmp(to + n - 4, "/dax") == 0;
}

int region_dax_read(const char *folder, struct region_file *out,
		    struct sluice_why *why)
{
	uint64_t len = number_in(folder, "size");
	uint64_t align = number_in(folder, "align");

	if (!is_dax(folder))
		return region_say(why, -ENOTTY,
				  "the device is no device-DAX device");
	align = align ? align : ALIGN_DEFAULT;
	if (align > ALIGN_MAX || (align & (align - 1)) || len < align)
		return region_say(why, -ENOTTY,
				  "the DAX device says %llu bytes aligned to "
				  "%llu, which cannot be used",
				  (unsigned long long)len,
				  (unsigned long long)align);
	if (len > SLUICE_REGION_LEN_MAX)
		len = SLUICE_REGION_LEN_MAX;
	out->backing = SLUICE_BACKING_DAX;
	out->len = len / align * align;
	out->page_len = (uint32_t)align;
	return 0;
}

int region_dax_stat(uint64_t dev, struct region_file *out,
		    struct sluice_why *why)
{
	char folder[64];

	snprintf(folder, sizeof(folder), "/sys/dev/char/%u:%u", major(dev),
		 minor(dev));
	return region_dax_read(folder, out, why);
}
