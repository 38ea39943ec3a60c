/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pid alone does not name a process, for pids come again; a pid and a start
 * time do, until the machine is started again. /proc/PID/stat has the state in field 3 and the start time in field
 * 22; field 2, the command, may hold spaces and parentheses, so we count from
 * its last one. A zombie is dead: it only waits for its parent to look.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/atomic.h"
#include "sluice/reader.h"

#define FIELD_STATE 3
#define FIELD_START 22

/* The kernel draws 128 bits at each start; the first half will do. */
uint64_t sluice_boot(void)
{
	char digits[17];
	size_t n = 0;
	int c;
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!f)
		return 0;
	while (n < sizeof(digits) - 1 && (c = fgetc(f)) != EOF)
		if (c != '-')
			digits[n++] = (char)c;
	fclose(f);
	digits[n] = '\0';
	return strtoull(digits, NULL, 16);
}

bool sluice_writer_lives(const struct sluice_region *r)
{
	uint64_t pid = sluice_load64_acquire(&r->writer_pid);
	uint64_t start = sluice_load64_relaxed(&r->writer_start);

	return pid && start &&
	       sluice_load64_relaxed(&r->writer_boot) == sluice_boot() &&
	       sluice_process_start(pid) == start;
}

uint64_t sluice_process_start(uint64_t pid)
{
	char path[48], line[1024];
	const char *at;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	n = fread(line, 1, sizeof(line) - 1, f);
	fclose(f);
	line[n] = '\0';
	at = strrchr(line, ')');
	if (!at || strncmp(at, ") Z", 3) == 0 || strncmp(at, ") X", 3) == 0)
		return 0;
	for (int i = FIELD_STATE; at && i <= FIELD_START; i++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at + 1, NULL, 10) : 0;
}
