/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header, the directory and who may write. Memory goes to tables front to
 * back. used_len grows before a new table's memory is touched and never
 * shrinks: what lies between the last published table and used_len may have
 * been scribbled on by a writer that died before it published, so the next
 * table added there is cleared first. All else is zero from the kernel.
 */
#include "region/region.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/must.h"
#include "region/account.h"
#include "region/check.h"
#include "region/make.h"
#include "region/map.h"
#include "sluice/atomic.h"
#include "sluice/reader.h"

static struct sluice_table_desc *directory(const struct region *r)
{
	return (struct sluice_table_desc *)((uint8_t *)r->head +
					    SLUICE_DIR_OFF);
}

/* Start time first: a pid with a foreign start time counts as dead. */
static void writer_set(struct sluice_region *h, uint64_t pid)
{
	sluice_store64_relaxed(&h->writer_start, sluice_process_start(pid));
	sluice_store64_relaxed(&h->writer_boot, sluice_boot());
	sluice_store64_release(&h->writer_pid, pid);
}

int region_take_conf(const char *name, uint64_t *len, uint32_t page_len,
		     struct why *why)
{
	if (!region_name_is_valid(name))
		return why_say(why, -EINVAL,
			       "'%.40s' is no name for a switch: 1 to %u "
			       "letters, digits, '-' and '_'",
			       name, SLUICE_NAME_LEN - 1);
	if (*len < SLUICE_TABLES_OFF || *len > SLUICE_REGION_LEN_MAX)
		return why_say(why, -EINVAL,
			       "a region has %u bytes to 4 GiB, not %llu",
			       SLUICE_TABLES_OFF, (unsigned long long)*len);
	*len = (*len + page_len - 1) / page_len * page_len;
	return 0;
}

void region_init(struct region *r, const char *name, uint64_t base_addr)
{
	struct sluice_region *h = r->head;

	h->abi = SLUICE_ABI;
	h->backing = r->backing;
	h->len = r->len;
	h->base_addr = base_addr;
	memcpy(h->name, name, strlen(name) + 1);
	h->page_len = r->page_len;
	h->owner_uid = geteuid();
	h->used_len = SLUICE_TABLES_OFF;
	h->generation = 1;
	h->version = 1;
	h->settling = 1;
	writer_set(h, (uint64_t)getpid());
	sluice_store64_release(&h->magic, SLUICE_MAGIC);
}

/* What a region that was mapped must be, before we write into it. */
static int check_adopted(int fd, const struct region_map *map,
			 struct region_shape *shape, struct sluice_why *said)
{
	const struct sluice_region *h = &shape->head;
	int err = region_shape_check(map->mem, map->len, shape, said);

	if (err)
		return err;
	if (h->len != map->len || h->backing != (uint32_t)map->backing)
		return region_say(said, -EINVAL,
				  "the region is a copy, not the memory that "
				  "it was made in");
	if (sluice_writer_lives(h))
		return region_say(said, -EBUSY,
				  "process %llu writes this region and lives",
				  (unsigned long long)h->writer_pid);
	if (h->writer_pid && h->writer_boot != sluice_boot())
		return region_say(said, -ESTALE,
				  "the machine was started anew while the "
				  "region was written to, so it may be torn");
	return region_lock(fd, map->backing, said);
}

int region_adopt(int fd, struct region **out, struct why *why)
{
	struct sluice_why said = {""};
	struct region_shape shape;
	struct region_map map;
	struct region *r;
	int err = region_map_fd(fd, true, &map, &said);

	if (err)
		return why_say(why, err, "%s", said.text);
	err = check_adopted(fd, &map, &shape, &said);
	if (err) {
		why_say(why, err, "%s", said.text);
		goto undo_map;
	}
	r = malloc(sizeof(*r));
	if (!r) {
		err = why_say(why, -ENOMEM, "no memory");
		goto undo_map;
	}
	*r = (struct region){
		.head = map.mem,
		.len = map.len,
		.fd = fd,
		.backing = map.backing,
		.page_len = shape.head.page_len,
		.is_rebooted = shape.head.writer_boot != sluice_boot(),
	};
	err = account_adopt(r, why);
	if (err)
		goto undo_r;
	writer_set(r->head, (uint64_t)getpid());
	sluice_store64_relaxed(&r->head->generation, shape.head.generation + 1);
	*out = r;
	return 0;

undo_r:
	free(r);
undo_map:
	munmap(map.mem, map.len);
	return err;
}

void region_free(struct region *r)
{
	if (!r)
		return;
	if (r->head->writer_pid == (uint64_t)getpid()) {
		/* Who finds it closed in order finds all of it. */
		if (r->backing == SLUICE_BACKING_FILE ||
		    r->backing == SLUICE_BACKING_DAX)
			msync(r->head, r->len, MS_SYNC);
		sluice_store64_release(&r->head->writer_pid, 0);
	}
	account_free(r);
	munmap(r->head, r->len);
	close(r->fd);
	free(r);
}

int region_table_add(struct region *r, const struct sluice_table_desc *desc,
		     uint32_t *off, struct why *why)
{
	struct sluice_region *h = r->head;
	uint32_t n = h->n_tables;
	struct sluice_table_desc *d = directory(r) + n;
	uint64_t at = SLUICE_TABLES_OFF, dirty = h->used_len;
	char what[SLUICE_NAME_LEN + 16];
	int err;

	must(desc->len && desc->name[0] && desc->kind && desc->alg);
	if (region_table(r, desc->kind))
		return why_say(why, -EEXIST, "there is a table '%s' already",
			       desc->name);
	if (n == SLUICE_TABLES_MAX)
		return why_say(why, -ENOSPC,
			       "table '%s' is one more than the %u that a "
			       "region can have",
			       desc->name, SLUICE_TABLES_MAX);
	if (n)
		at = (d[-1].off + d[-1].len + REGION_TABLE_ALIGN - 1) /
		     REGION_TABLE_ALIGN * REGION_TABLE_ALIGN;
	if (desc->len > r->len - at)
		return why_say(why, -ENOSPC,
			       "table '%s' takes %llu bytes, the region has "
			       "%llu left",
			       desc->name, (unsigned long long)desc->len,
			       (unsigned long long)(r->len - at));
	snprintf(what, sizeof(what), "table '%.31s'", desc->name);
	err = account_may(r, desc->account, desc->len, what, why);
	if (err)
		return err;
	if (at + desc->len > dirty)
		sluice_store64_release(&h->used_len, at + desc->len);
	else
		dirty = at + desc->len;
	if (at < dirty)
		memset((uint8_t *)h + at, 0, dirty - at);
	*d = *desc;
	d->off = (uint32_t)at;
	*off = d->off;
	return 0;
}

void region_table_publish(struct region *r)
{
	uint32_t n = r->head->n_tables;

	must(n < SLUICE_TABLES_MAX && directory(r)[n].off);
	/* [region-tables] who sees the number sees the descriptor and table */
	sluice_store32_release(&r->head->n_tables, n + 1);
	account_charge(r, directory(r)[n].account, directory(r)[n].len);
}

const struct sluice_table_desc *region_table(const struct region *r,
					     uint32_t kind)
{
	return sluice_table_find(r->head, kind);
}

void region_version_set(struct region *r, uint32_t version)
{
	crash_point();
	sluice_store32_release(&r->head->version,
			       version); /* [region-version] */
}

void region_settling_set(struct region *r, uint32_t version)
{
	crash_point();
	/* [region-settling] */
	sluice_store32_release(&r->head->settling, version);
}
