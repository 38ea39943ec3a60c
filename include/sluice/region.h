/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLUICE_REGION_H
#define SLUICE_REGION_H

/*
 * sluice/region - how a region describes itself
 *
 * A region is one contiguous piece of shared memory, at most 4 GiB. It begins
 * with struct sluice_region; behind it lies a directory of tables. Everything
 * is named by a 32-bit offset from the region's first byte, so each process
 * maps it where it likes (a BPF arena: at base_addr only).
 *
 *     0      struct sluice_region
 *     1024   struct sluice_table_desc [SLUICE_TABLES_MAX]
 *     4096   tables, each 64-byte aligned, in the order of the directory
 *
 * A region in a file or in DAX memory outlives the machine's start. Pids, start
 * times, the records of readers and times since boot in it mean something only
 * while writer_boot is sluice_boot() (sluice/reader.h).
 *
 * One writer (the slice's slow path) makes tables; n_tables is published by a
 * release store after the descriptor is whole. Tables are never moved or
 * removed. A reader believes nothing before sluice_region_check()
 * (sluice/reader.h) has.
 */

#include "sluice/types.h"

#define SLUICE_MAGIC 0x31454349554c5311ull /* bytes: 0x11 "SLUICE1" */
#define SLUICE_ABI 2u
#define SLUICE_NAME_LEN 32u /* bytes, the final NUL included */
#define SLUICE_TABLES_MAX 32u
#define SLUICE_DIR_OFF 1024u
#define SLUICE_TABLES_OFF 4096u
#define SLUICE_REGION_LEN_MAX (1ull << 32)

/* Where a switch NAME whose region is an arena pins it and what belongs to it:
 * SLUICE_BPF_DIR/NAME/arena. */
#define SLUICE_BPF_DIR "/sys/fs/bpf/sluice"

enum sluice_backing {
	SLUICE_BACKING_MEMFD = 1,
	SLUICE_BACKING_ARENA = 2,
	SLUICE_BACKING_FILE = 3, /* any file that can be shared */
	SLUICE_BACKING_DAX = 4,	 /* a device-DAX character device */
};

/*
 * What a table is for. One of each kind in a region. A table that has several
 * directory entries is of its kind in the first and of SLUICE_TABLE_PART(kind,
 * n) in the others.
 */
enum sluice_table_kind {
	SLUICE_TABLE_SWITCH = 1,   /* struct sluice_switch */
	SLUICE_TABLE_PORTS = 2,	   /* struct sluice_port [n_max] */
	SLUICE_TABLE_STATS = 3,	   /* struct sluice_port_stats [lane][port] */
	SLUICE_TABLE_SETS = 4,	   /* uint64_t port bitmaps [n_max] */
	SLUICE_TABLE_FLOWS = 5,	   /* sluice_key -> sluice_flow */
	SLUICE_TABLE_MACS = 6,	   /* sluice_mac_key -> sluice_mac */
	SLUICE_TABLE_READERS = 7,  /* struct sluice_section [n_max] */
	SLUICE_TABLE_ACCOUNTS = 8, /* struct sluice_account [n_max] */
	SLUICE_TABLE_HEAP = 9,	   /* blocks of several lengths */
	SLUICE_TABLE_COUNTERS = 10,
	SLUICE_TABLE_METERS = 11,
	SLUICE_TABLE_GROUPS = 12,
	SLUICE_TABLE_OWN = 64, /* from here on: as the program says */
};

#define SLUICE_TABLE_PART(kind, n) ((kind) | (uint32_t)(n) << 16)

/* How a table is laid out. Who does not know the number refuses the table. */
enum sluice_table_alg {
	SLUICE_ALG_ARRAY = 1,	/* n_max records of value_len bytes */
	SLUICE_ALG_CUCKOO8 = 2, /* struct sluice_exact, sluice/exact.h */
	SLUICE_ALG_MASKED = 3,	/* sluice/masked.h */
	SLUICE_ALG_TERNARY = 4, /* sluice/ternary.h */
	SLUICE_ALG_PREFIX = 5,	/* sluice/prefix.h */
	SLUICE_ALG_COUNTER = 6, /* sluice/counter.h */
	SLUICE_ALG_HEAP = 7,	/* sluice/heap.h */
};

struct sluice_table_desc {
	/* Constant once published by n_tables. */
	char name[SLUICE_NAME_LEN]; /* NUL-terminated */
	uint32_t kind;		    /* enum sluice_table_kind */
	uint32_t alg;		    /* enum sluice_table_alg */
	uint32_t off;		    /* bytes from the region's start */
	uint32_t n_max;		    /* entries */
	uint64_t len;		    /* bytes */
	uint16_t key_len;	    /* bytes; 0 for arrays */
	uint16_t value_len;	    /* bytes */
	uint16_t key_layout; /* version of the key's and value's struct */
	uint16_t account;    /* whose memory it is: a number of ACCOUNTS */
};
_Static_assert(sizeof(struct sluice_table_desc) == 64, "ABI");

struct sluice_region {
	/* Constant after init. */
	uint64_t magic;
	uint32_t abi;
	uint32_t backing;	    /* enum sluice_backing */
	uint64_t len;		    /* bytes; whole pages */
	uint64_t base_addr;	    /* where an arena must be mapped, else 0 */
	char name[SLUICE_NAME_LEN]; /* the slice, NUL-terminated */
	uint32_t page_len;	    /* bytes of a page that backs it */
	uint32_t owner_uid;

	/* The writer writes, anyone reads. */
	uint32_t n_tables __attribute__((aligned(64)));
	uint32_t pad;
	uint64_t used_len;     /* bytes given to tables, from the start */
	uint64_t generation;   /* how many writers have held it */
	uint64_t writer_pid;   /* 0 when it closed in order */
	uint64_t writer_start; /* its start time, clock ticks since boot */
	uint32_t version;      /* sluice/version.h */
	uint32_t settling;     /* the last version whose entries settle */
	uint64_t writer_boot;  /* sluice_boot() of what is about processes */
};
_Static_assert(sizeof(struct sluice_region) <= SLUICE_DIR_OFF, "ABI");
_Static_assert(SLUICE_DIR_OFF + SLUICE_TABLES_MAX * 64 <= SLUICE_TABLES_OFF,
	       "the directory runs into the tables");

#endif
