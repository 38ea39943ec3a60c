/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A region in a BPF arena. The kernel maps an arena at one address in every
 * process, so the address is part of the region: one of ADDR_N places of 4 GiB,
 * begun at a hash of the name, so that switches seldom meet where a process
 * reads several. BPF programs read absent pages as zero and lose stores to
 * them without a word: all pages are made present before anyone sees the map.
 *
 * bpf(2) itself and not libbpf: a region is also made where there is no XDP.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "region/bpf_sys.h"
#include "region/make.h"

#define ARENA_PAGE 4096u
#define ADDR_FIRST ((1ull << 44) + ADDR_STEP) /* AddressSanitizer ends below */
#define ADDR_STEP (1ull << 32)		      /* an arena must not cross it */
#define ADDR_N 4096u

/* FNV-1a; any spread will do. */
static uint32_t name_hash(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h;
}

static int say_no_arena(int err, struct why *why)
{
	if (err == -EPERM || err == -EACCES)
		return why_say(why, -EPERM,
			       "a BPF arena takes CAP_BPF, which is missing");
	if (err == -ENOMEM || err == -EMFILE || err == -ENFILE)
		return why_say(why, -ENOMEM, "cannot have a BPF arena: %s",
			       strerror(-err));
	return why_say(why, -EOPNOTSUPP,
		       "this kernel has no BPF arenas (they came with 6.9): %s",
		       strerror(-err));
}

/* Makes the map and maps it at addr. -EEXIST: something else lies there. */
static int arena_map(struct region *r, uint64_t len, uint64_t addr,
		     struct why *why)
{
	void *at = (void *)(uintptr_t)addr;
	int err;

	r->fd = bpf_sys_arena_new(len, addr);
	if (r->fd < 0)
		return say_no_arena(r->fd, why);
	r->head = mmap(at, len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED_NOREPLACE, r->fd, 0);
	if (r->head == MAP_FAILED) {
		err = -errno;
		goto undo_fd;
	}
	if (madvise(r->head, len, MADV_POPULATE_WRITE)) {
		err = why_say(why, -ENOMEM,
			      "no memory for an arena of %llu "
			      "bytes",
			      (unsigned long long)len);
		goto undo_map;
	}
	r->len = len;
	return 0;

undo_map:
	munmap(r->head, len);
undo_fd:
	close(r->fd);
	return err;
}

/* Tries one place after the other. Returns 0 and sets *addr, or an error. */
static int arena_place(struct region *r, const char *name, uint64_t len,
		       uint64_t *addr, struct why *why)
{
	uint32_t first = name_hash(name);
	int err = -EEXIST;

	for (uint32_t i = 0; i < ADDR_N && err == -EEXIST; i++) {
		*addr = ADDR_FIRST + (first + i) % ADDR_N * ADDR_STEP;
		err = arena_map(r, len, *addr, why);
	}
	if (err)
		return why_say(why, err == -EEXIST ? -ENOMEM : err,
			       "cannot map a BPF arena: %s", strerror(-err));
	return 0;
}

int region_new_arena(const char *name, uint64_t len, struct region **out,
		     struct why *why)
{
	struct region *r;
	uint64_t addr;
	int err = region_take_conf(name, &len, ARENA_PAGE, why);

	if (err)
		return err;
	r = calloc(1, sizeof(*r));
	if (!r)
		return why_say(why, -ENOMEM, "no memory");
	r->backing = SLUICE_BACKING_ARENA;
	r->page_len = ARENA_PAGE;
	err = arena_place(r, name, len, &addr, why);
	if (err) {
		free(r);
		return err;
	}
	region_init(r, name, addr);
	*out = r;
	return 0;
}
