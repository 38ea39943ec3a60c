/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scribbler PATH SECONDS SEED: writes over the live region at PATH, a pinned
 * arena or a file, as scribble.h says.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "region/bpf_sys.h"
#include "region/map.h"
#include "tests/scribble/scribble.h"

static int open_region(const char *path)
{
	if (strncmp(path, "/sys/fs/bpf/", 12) == 0)
		return bpf_sys_obj_get(path);
	return open(path, O_RDWR | O_CLOEXEC);
}

int main(int argc, char **argv)
{
	struct sluice_why why = {""};
	struct region_map map;
	uint64_t n;
	int fd;

	if (argc != 4) {
		fputs("usage: scribbler PATH SECONDS SEED\n", stderr);
		return 2;
	}
	fd = open_region(argv[1]);
	if (fd < 0 || region_map_fd(fd, true, &map, &why)) {
		fprintf(stderr, "scribbler: %s: %s\n", argv[1],
			fd < 0 ? strerror(errno) : why.text);
		return 1;
	}
	n = scribble(map.mem, map.len, (uint32_t)strtoul(argv[2], NULL, 0),
		     strtoull(argv[3], NULL, 0));
	printf("%llu words written over %llu bytes\n", (unsigned long long)n,
	       (unsigned long long)map.len);
	return 0;
}
