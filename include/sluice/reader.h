/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_READER_H
#define SLUICE_READER_H

/*
 * sluice/reader - finding and reading a switch's region without its daemon
 *
 * Host only. Maps read-only; disturbs nobody; works while the daemon is dead.
 * A reader is used by one thread at a time; any number of readers may exist.
 *
 * Errors: 0 or negative errno; why (may be NULL) gets a sentence that names
 * what was wrong, NUL-terminated.
 */

#include "sluice/exact.h"
#include "sluice/flow.h"
#include "sluice/port.h"
#include "sluice/region.h"
#include "sluice/section.h"

#define SLUICE_WHY_LEN 256

struct sluice_why {
	char text[SLUICE_WHY_LEN];
};

/*
 * Checks that len bytes at mem are a region of our ABI whose directory and
 * tables lie inside it, before anything in them is believed.
 *
 * returns  0
 *          -EINVAL           no region, truncated, or an offset points outside
 *          -EPROTONOSUPPORT  another ABI version
 *          -ENOTSUP          a table's algorithm is not known here
 */
int sluice_region_check(const void *mem, uint64_t len, struct sluice_why *why);

/* The table of a kind, or NULL. The region has been checked. */
const struct sluice_table_desc *sluice_table_find(const struct sluice_region *r,
						  uint32_t kind);

/*
 * A mapped region and its tables, all inside the mapping. Where they lie was
 * copied when it was checked; what the region says later is not believed.
 */
struct sluice_reader {
	const struct sluice_region *region;
	uint64_t len; /* bytes mapped */
	bool is_own;  /* we mapped it, close unmaps it */
	const struct sluice_switch *sw;
	const struct sluice_port *ports;       /* [SLUICE_PORTS_MAX] */
	const struct sluice_port_stats *stats; /* [n_lanes][SLUICE_PORTS_MAX] */
	uint32_t n_lanes;
	const uint64_t *sets; /* [SLUICE_SETS_MAX] */
	struct sluice_exact_view flows;
	struct sluice_exact_view macs;
	const struct sluice_section *sections; /* [n_sections] */
	uint32_t n_sections;		       /* 0: the region has none */
};

/*
 * Opens the region of a running switch by name; NULL: the only one there is.
 *
 * returns  0
 *          -ENOENT   no such switch, or none, or several and no name
 *          -EACCES   not permitted
 *          -EINVAL   also: the region has not the tables of a switch
 *          as sluice_reader_open_fd() and sluice_region_check()
 */
int sluice_reader_open(const char *name, struct sluice_reader *out,
		       struct sluice_why *why);

/*
 * The same from a file descriptor: an arena's, a memfd's or a file's (a copy
 * that nobody changes). fd stays the caller's. -EBUSY also: an arena whose one
 * address is taken in this process, as by its own writer.
 */
int sluice_reader_open_fd(int fd, struct sluice_reader *out,
			  struct sluice_why *why);

/* The same from memory, 64-byte aligned, that stays mapped until close. */
int sluice_reader_open_mem(const void *mem, uint64_t len,
			   struct sluice_reader *out, struct sluice_why *why);

void sluice_reader_close(struct sluice_reader *r);

/* Names of the switches that have a region now; NUL-terminated, at most n. */
uint32_t sluice_reader_names(char (*out)[SLUICE_NAME_LEN], uint32_t n);

/* The number of this boot of this machine; 0: it cannot be told. Constant. */
uint64_t sluice_boot(void);

/*
 * Does the process that writes the region live? No, if it closed in order; and a
 * pid of another boot is nobody's, whoever has that number now.
 */
bool sluice_writer_lives(const struct sluice_region *r);

/*
 * A process's start time in clock ticks since boot, as regions note it beside
 * a pid; 0: there is no such process, or only its zombie.
 */
uint64_t sluice_process_start(uint64_t pid);

/* Sum over the lanes of one port's counters. */
void sluice_reader_stats(const struct sluice_reader *r, uint32_t port,
			 struct sluice_port_stats *out);

/*
 * The next entry at or after *idx of a table that is there at a version
 * (sluice_version(), taken before the walk); copies key (v->key_len bytes) and
 * value (v->value_len bytes) consistently, both 8-byte aligned, and leaves *idx
 * behind it. Visits each entry that stays throughout exactly once. False at the
 * end; sluice_version_holds() then says whether change sets were met whole.
 */
bool sluice_reader_next(const struct sluice_exact_view *v, uint32_t version,
			uint32_t *idx, void *key, void *value);

#endif
