/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A region in a file, or in a DAX device, which differs in that it has the length
 * it has. The magic is stored first, not last as elsewhere: a file in which we
 * died while making a region is then known as ours, and whoever reads it refuses
 * it until its ABI, length and pages are there too.
 *
 * The blocks of a file are taken when it is made. A store into a hole of a full
 * file system would be a SIGBUS, in whatever process does it first.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "region/check.h"
#include "region/make.h"
#include "region/map.h"
#include "sluice/atomic.h"

#define PAGE 4096u /* what is looked at, or cleared, at a time */

/* What we are asked for, and what there is. */
struct making {
	const char *path;
	const char *name;
	uint64_t len;
	enum sluice_backing backing;
	struct region_file file;
	struct sluice_region *head;
	int fd;
	bool is_new; /* we have made the file */
};

static int say_errno(const struct making *m, struct why *why)
{
	int err = -errno;

	return why_say(why, err, "%s: %s", m->path, strerror(-err));
}

static int stat_it(struct making *m, struct why *why)
{
	struct sluice_why said;
	int err = region_file_stat(m->fd, &m->file, &said);

	return err ? why_say(why, err, "%s: %s", m->path, said.text) : 0;
}

int region_lock(int fd, enum sluice_backing backing, struct sluice_why *why)
{
	struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (backing != SLUICE_BACKING_FILE && backing != SLUICE_BACKING_DAX)
		return 0;
	if (fcntl(fd, F_SETLK, &all) && (errno == EAGAIN || errno == EACCES))
		return region_say(why, -EBUSY,
				  "another process is about to write this "
				  "region");
	return 0;
}

static int open_it(struct making *m, struct why *why)
{
	int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;

	if (m->backing == SLUICE_BACKING_FILE) {
		m->fd = open(m->path, flags | O_CREAT | O_EXCL, 0600);
		m->is_new = m->fd >= 0;
	}
	if (m->fd < 0)
		m->fd = open(m->path, flags);
	return m->fd < 0 ? say_errno(m, why) : 0;
}

/* Is it what was asked for, and ours alone? */
static int check_it(struct making *m, struct why *why)
{
	struct sluice_why said;
	int err = stat_it(m, why);

	if (err)
		return err;
	if (m->backing == SLUICE_BACKING_DAX &&
	    m->file.backing != SLUICE_BACKING_DAX)
		return why_say(why, -ENOTTY, "%s: no device-DAX device",
			       m->path);
	if (m->file.backing != m->backing)
		return why_say(why, -EINVAL, "%s: a device, not a file",
			       m->path);
	err = region_lock(m->fd, m->backing, &said);
	return err ? why_say(why, err, "%s: %s", m->path, said.text) : 0;
}

static int take_blocks(struct making *m, struct why *why)
{
	int err = posix_fallocate(m->fd, 0, (off_t)m->len);

	/* Of a device's memory there is nothing to be taken. */
	if (err == 0 || err == EOPNOTSUPP || err == EINVAL || err == ENODEV)
		return 0;
	return why_say(why, err == ENOSPC ? -ENOSPC : -ENOMEM,
		       "%s: cannot have %llu bytes: %s", m->path,
		       (unsigned long long)m->len, strerror(err));
}

/* Makes the file as long as needed, or takes all that there is. */
static int stretch(struct making *m, struct why *why)
{
	uint64_t there = m->file.len / m->file.page_len * m->file.page_len;
	int err = region_take_conf(m->name, &m->len, m->file.page_len, why);

	if (err)
		return err;
	if (there > SLUICE_REGION_LEN_MAX)
		there = SLUICE_REGION_LEN_MAX;
	if (m->backing == SLUICE_BACKING_FILE && there < m->len &&
	    ftruncate(m->fd, (off_t)m->len) == 0)
		there = m->len;
	if (there < m->len)
		return why_say(why, -ENOSPC,
			       "%s: has %llu bytes, %llu are needed", m->path,
			       (unsigned long long)m->file.len,
			       (unsigned long long)m->len);
	m->len = there;
	return m->backing == SLUICE_BACKING_FILE ? take_blocks(m, why) : 0;
}

/* Of a page; whole words at a time, for it is done for all of a device. */
static bool is_zero(const uint64_t *page)
{
	uint64_t any = 0;

	for (uint32_t i = 0; i < PAGE / 8; i++)
		any |= page[i];
	return !any;
}

static uint64_t *page_at(const struct making *m, uint64_t off)
{
	return (uint64_t *)((uint8_t *)m->head + off);
}

static bool is_empty(const struct making *m)
{
	for (uint64_t off = 0; off < m->len; off += PAGE)
		if (!is_zero(page_at(m, off)))
			return false;
	return true;
}

/* May what is in it be overwritten? */
static int check_content(const struct making *m, struct why *why)
{
	const struct sluice_region *h = m->head;

	if (m->is_new || is_empty(m))
		return 0;
	if (sluice_load64_relaxed(&h->magic) != SLUICE_MAGIC)
		return why_say(why, -EEXIST,
			       "%s: holds something that is no region; if it "
			       "is of no use, empty it",
			       m->path);
	if (h->name[0] && strncmp(h->name, m->name, SLUICE_NAME_LEN) != 0)
		return why_say(why, -EEXIST,
			       "%s: holds the region of switch %.31s; if that "
			       "is of no use, %s",
			       m->path, h->name,
			       m->backing == SLUICE_BACKING_DAX
				       ? "make the device's namespace anew"
				       : "remove it");
	if (sluice_writer_lives(h))
		return why_say(why, -EBUSY,
			       "%s: process %llu writes the region in it and "
			       "lives",
			       m->path, (unsigned long long)h->writer_pid);
	return 0;
}

static int map_it(struct making *m, struct why *why)
{
	int err = stretch(m, why);

	if (err)
		return err;
	m->head = mmap(NULL, m->len, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd,
		       0);
	if (m->head == MAP_FAILED)
		return say_errno(m, why);
	err = check_content(m, why);
	if (err)
		munmap(m->head, m->len);
	return err;
}

/* From here on it is ours, whatever happens. */
static void clear(struct making *m)
{
	sluice_store64_release(&m->head->magic, SLUICE_MAGIC);
	sluice_store32_release(&m->head->abi, 0);
	sluice_store32_release(&m->head->n_tables, 0);
	memset((uint8_t *)m->head + 16, 0, PAGE - 16);
	for (uint64_t off = PAGE; off < m->len && !m->is_new; off += PAGE)
		if (!is_zero(page_at(m, off)))
			memset(page_at(m, off), 0, PAGE);
}

static int make(struct making *m, struct region **out, struct why *why)
{
	struct region *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return why_say(why, -ENOMEM, "no memory");
	err = open_it(m, why);
	if (err)
		goto undo_r;
	err = check_it(m, why);
	if (!err)
		err = map_it(m, why);
	if (err)
		goto undo_fd;
	clear(m);
	r->head = m->head;
	r->len = m->len;
	r->fd = m->fd;
	r->backing = m->backing;
	r->page_len = m->file.page_len;
	region_init(r, m->name, 0);
	*out = r;
	return 0;

undo_fd:
	close(m->fd);
	if (m->is_new)
		unlink(m->path);
undo_r:
	free(r);
	return err;
}

int region_new_file(const char *path, const char *name, uint64_t len,
		    struct region **out, struct why *why)
{
	struct making m = {.path = path,
			   .name = name,
			   .len = len,
			   .backing = SLUICE_BACKING_FILE,
			   .fd = -1};

	return make(&m, out, why);
}

int region_new_dax(const char *path, const char *name, uint64_t len,
		   struct region **out, struct why *why)
{
	struct making m = {.path = path,
			   .name = name,
			   .len = len,
			   .backing = SLUICE_BACKING_DAX,
			   .fd = -1};

	return make(&m, out, why);
}

/* The first word; 0: too short for a region. */
static int read_magic(const struct making *m, uint64_t *magic, struct why *why)
{
	uint64_t *at;

	*magic = 0;
	if (m->file.len < SLUICE_TABLES_OFF || m->file.len < m->file.page_len)
		return 0;
	at = mmap(NULL, m->file.page_len, PROT_READ, MAP_SHARED, m->fd, 0);
	if (at == MAP_FAILED)
		return say_errno(m, why);
	*magic = sluice_load64_acquire(at);
	munmap(at, m->file.page_len);
	return 0;
}

int region_open_path(const char *path, int *fd, struct why *why)
{
	struct making m = {.path = path};
	uint64_t magic;
	int err;

	m.fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (m.fd < 0)
		return say_errno(&m, why);
	err = stat_it(&m, why);
	if (!err)
		err = read_magic(&m, &magic, why);
	if (!err && magic != SLUICE_MAGIC)
		err = why_say(why, -ENOENT, "%s: there is no region in it yet",
			      path);
	if (err)
		close(m.fd);
	else
		*fd = m.fd;
	return err;
}
