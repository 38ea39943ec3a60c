/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target once over each file of a folder, with any compiler, as a
 * TAP test: what was found once stays found. Each input lies in memory of its
 * own size, so that a sanitizer sees the first byte read behind it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define INPUT_MAX (1 << 20)

static int replay(const char *path)
{
	static uint8_t buf[INPUT_MAX];
	uint8_t *data;
	size_t len;
	FILE *f = fopen(path, "rb");

	if (!f)
		return -errno;
	len = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	data = malloc(len ? len : 1);
	if (!data)
		return -ENOMEM;
	memcpy(data, buf, len);
	LLVMFuzzerTestOneInput(data, len);
	free(data);
	return 0;
}

static int is_visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	struct dirent **files;
	int n, n_failed = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	n = scandir(argv[1], &files, is_visible, alphasort);
	if (n <= 0) {
		fprintf(stderr, "%s: no inputs\n", argv[1]);
		return 2;
	}
	printf("TAP version 13\n");
	for (int i = 0; i < n; i++) {
		char path[4096];
		int err;

		snprintf(path, sizeof(path), "%s/%s", argv[1],
			 files[i]->d_name);
		err = replay(path);
		n_failed += err != 0;
		printf("%sok %d - %s\n", err ? "not " : "", i + 1,
		       files[i]->d_name);
		free(files[i]);
	}
	free(files);
	printf("1..%d\n", n);
	return n_failed ? 1 : 0;
}
