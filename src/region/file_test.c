/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regions in files. A device-DAX device is not to be had on most machines: what
 * sysfs says of one is tried on a folder made by hand, and the rest on the file
 * that stands in for it, except if SLUICE_TEST_DAX names a device whose content
 * may be lost.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "region/map.h"
#include "region/region_fake.h"
#include "sluice/atomic.h"
#include "sluice/reader.h"

#define LEN (256u << 10)
#define KIND 60u

static char dir[] = "/dev/shm/sluice-file-XXXXXX";
static char path[96];

static int new_file(const char *name, struct region **out, struct why *why)
{
	*why = (struct why){0};
	return region_new_file(path, name, LEN, out, why);
}

static struct region *must_new(void)
{
	struct region *r = NULL;
	struct why why;

	CHECK_EQ(new_file("one", &r, &why), 0);
	if (why.err)
		printf("# %s\n", why.text);
	if (!r)
		abort();
	return r;
}

/* Opens and adopts; NULL and a sentence if that is refused. */
static struct region *adopt(int *err, struct why *why)
{
	struct region *r = NULL;
	int fd;

	*why = (struct why){0};
	*err = region_open_path(path, &fd, why);
	if (*err)
		return NULL;
	*err = region_adopt(fd, &r, why);
	if (*err)
		close(fd);
	return r;
}

static void refused(int got, int want, const struct why *why, const char *words)
{
	CHECK_EQ(got, want);
	if (!strstr(why->text, words)) {
		printf("# '%s' lacks '%s'\n", why->text, words);
		CHECK(false);
	}
}

static void put_file(const void *bytes, size_t n, off_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
	CHECK(!ftruncate(fd, len));
	close(fd);
}

/* As if the writer had been killed: it is not there to close. */
static void forget(struct region *r, uint64_t pid)
{
	r->head->writer_pid = pid;
	munmap(r->head, r->len);
	close(r->fd);
	free(r);
}

static void put_word(struct region *r, uint64_t word)
{
	struct sluice_table_desc d = {
		.name = "word",
		.kind = KIND,
		.alg = SLUICE_ALG_ARRAY,
		.n_max = 8,
		.len = 64,
		.value_len = 8,
	};
	uint32_t off;

	CHECK_EQ(region_table_add(r, &d, &off, NULL), 0);
	*(uint64_t *)region_at(r, off, 8) = word;
	region_table_publish(r);
}

static uint64_t get_word(const struct region *r)
{
	const struct sluice_table_desc *d = region_table(r, KIND);

	return d ? *(uint64_t *)region_at(r, d->off, 8) : 0;
}

/* ---- Life ---- */

static void it_is_made_and_found_again(void)
{
	struct region *r = must_new();
	struct stat st;
	struct why why;
	int err;

	CHECK_EQ(r->backing, SLUICE_BACKING_FILE);
	CHECK_EQ(r->head->backing, SLUICE_BACKING_FILE);
	CHECK_EQ(r->len, LEN);
	CHECK(!stat(path, &st) && (st.st_mode & 0777) == 0600);
	/* Its blocks are there: no store can find the file system full. */
	CHECK(st.st_blocks * 512 >= LEN);
	CHECK_EQ(sluice_region_check(r->head, r->len, NULL), 0);
	put_word(r, 42);
	region_free(r);
	r = adopt(&err, &why);
	CHECK(r && get_word(r) == 42);
	CHECK(r && r->head->generation == 2 && !r->is_rebooted);
	region_free(r);
	unlink(path);
	CHECK(!adopt(&err, &why));
	refused(err, -ENOENT, &why, path);
}

static void it_outlives_its_killed_writer(void)
{
	pid_t pid;
	struct region *r;
	struct why why;
	int err;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		put_word(must_new(), 43);
		kill(getpid(), SIGKILL);
	}
	CHECK(waitpid(pid, NULL, 0) == pid);
	r = adopt(&err, &why);
	CHECK(r && get_word(r) == 43);
	region_free(r);
	unlink(path);
}

/* Counts up in a child, while we read it in another mapping. */
static void one_writes_and_another_reads(void)
{
	struct region *r = must_new();
	const struct sluice_table_desc *d;
	const uint64_t *word;
	uint64_t last = 0, n = 0;
	struct region_map map;
	pid_t pid;
	int fd;

	put_word(r, 0);
	d = region_table(r, KIND);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		uint64_t *to = region_at(r, d->off, 8);

		for (uint64_t i = 1; i <= 100000; i++)
			sluice_store64_release(to, i);
		_exit(0);
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK_EQ(region_map_fd(fd, false, &map, NULL), 0);
	close(fd);
	CHECK_EQ(sluice_region_check(map.mem, map.len, NULL), 0);
	word = (const uint64_t *)((const uint8_t *)map.mem + d->off);
	while (last < 100000 && n++ < 1000000000) {
		uint64_t now = sluice_load64_acquire(word);

		if (now < last)
			CHECK(false);
		last = now;
	}
	CHECK_EQ(last, 100000);
	CHECK(waitpid(pid, NULL, 0) == pid);
	munmap(map.mem, map.len);
	region_free(r);
	unlink(path);
}

static void a_longer_file_is_used_whole(void)
{
	struct region *r;
	uint64_t zero = 0;

	put_file(&zero, 8, 3ul * LEN + 100);
	r = must_new();
	CHECK_EQ(r->len, 3ul * LEN);
	put_word(r, 1);
	region_free(r);
	/* Ours, and nobody's: made anew, and nothing of it is left. */
	r = must_new();
	CHECK_EQ(r->len, 3ul * LEN);
	CHECK_EQ(r->head->n_tables, 0);
	CHECK_EQ(r->head->generation, 1);
	CHECK_EQ(*(uint64_t *)region_at(r, SLUICE_TABLES_OFF, 8), 0);
	region_free(r);
	unlink(path);
}

/* ---- What is refused ---- */

static void nothing_is_lost_by_accident(void)
{
	static const uint64_t letter[2] = {0, 0x6f6c6c6548};
	struct region *r, *other = NULL;
	uint64_t magic = SLUICE_MAGIC;
	struct why why;
	char byte;
	int err, fd;

	put_file(letter, sizeof(letter), 100);
	refused(new_file("one", &r, &why), -EEXIST, &why, "is no region");
	put_file(letter, sizeof(letter), 3ul * LEN);
	refused(new_file("one", &r, &why), -EEXIST, &why, "is no region");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(pread(fd, &byte, 1, 8) == 1 && byte == 'H');
	close(fd);
	CHECK(!adopt(&err, &why));
	refused(err, -ENOENT, &why, "no region in it yet");
	unlink(path);
	/* A region of another switch. */
	r = must_new();
	put_word(r, 44);
	refused(new_file("two", &other, &why), -EEXIST, &why, "switch one");
	/* One whose writer lives: we. */
	refused(new_file("one", &other, &why), -EBUSY, &why, "lives");
	CHECK(!adopt(&err, &why));
	refused(err, -EBUSY, &why, "lives");
	CHECK_EQ(get_word(r), 44);
	region_free(r);
	/* One in which its maker died before it had a name. */
	put_file(&magic, 8, LEN);
	r = must_new();
	region_free(r);
	unlink(path);
}

static void two_writers_do_not_begin_at_once(void)
{
	struct region *r = must_new();
	int status;
	pid_t pid;

	fflush(stdout);
	/* The header names nobody, so only the lock is in the way. */
	r->head->writer_pid = 0;
	pid = fork();
	if (pid == 0) {
		struct why why;
		int err;

		_exit(adopt(&err, &why) || err != -EBUSY ||
		      !strstr(why.text, "about to"));
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	region_free(r);
	unlink(path);
}

static void a_file_that_others_may_write_is_refused(void)
{
	struct region *r = must_new();
	struct sluice_why said;
	struct region_map map;
	struct why why;
	int err, fd;

	region_free(r);
	CHECK(!chmod(path, 0620));
	CHECK(!adopt(&err, &why));
	refused(err, -EPERM, &why, "mode 0620");
	refused(new_file("one", &r, &why), -EPERM, &why, "chmod go-w");
	CHECK(!chmod(path, 0602));
	refused(new_file("one", &r, &why), -EPERM, &why, "mode 0602");
	/* By readers too. */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK_EQ(region_map_fd(fd, false, &map, &said), -EPERM);
	close(fd);
	CHECK(!chmod(path, 0644));
	if (geteuid() == 0) {
		CHECK(!chown(path, 12345, 0));
		CHECK(!adopt(&err, &why));
		refused(err, -EPERM, &why, "user 12345");
		refused(new_file("one", &r, &why), -EPERM, &why, "of your own");
		CHECK(!chown(path, 0, 0));
	}
	r = adopt(&err, &why);
	CHECK(r);
	region_free(r);
	unlink(path);
}

static void what_is_no_file_is_refused(void)
{
	struct region *r;
	struct why why;
	char kept[sizeof(path)];

	memcpy(kept, path, sizeof(path));
	strcpy(path, "/dev/null");
	refused(new_file("one", &r, &why), -ENOTTY, &why, "device-DAX");
	why = (struct why){0};
	refused(region_new_dax(path, "one", LEN, &r, &why), -ENOTTY, &why,
		"device-DAX");
	strcpy(path, "/nowhere/at/all");
	refused(new_file("one", &r, &why), -ENOENT, &why, path);
	memcpy(path, kept, sizeof(path));
	CHECK(!symlink("/etc/passwd", path));
	refused(new_file("one", &r, &why), -ELOOP, &why, path);
	unlink(path);
	CHECK(!mkdir(path, 0700));
	refused(new_file("one", &r, &why), -EISDIR, &why, path);
	rmdir(path);
	put_file("", 0, 0);
	why = (struct why){0};
	refused(region_new_dax(path, "one", LEN, &r, &why), -ENOTTY, &why,
		"no device-DAX");
	unlink(path);
	refused(new_file("a/b", &r, &why), -EINVAL, &why, "no name");
	/* What was made for it is gone again. */
	CHECK(access(path, F_OK) != 0);
}

static void a_file_that_cannot_grow_is_too_short(void)
{
	struct rlimit old, small = {LEN / 2, LEN / 2};
	struct region *r;
	struct why why;
	uint64_t zero = 0;
	int err;

	put_file(&zero, 8, 8192);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small.rlim_max = old.rlim_max;
	CHECK(!setrlimit(RLIMIT_FSIZE, &small));
	err = new_file("one", &r, &why);
	CHECK(!setrlimit(RLIMIT_FSIZE, &old));
	refused(err, -ENOSPC, &why, "has 8192 bytes");
	unlink(path);
}

static void a_file_that_was_cut_off_is_refused(void)
{
	struct region *r = must_new();
	struct sluice_why said;
	struct region_map map;
	struct why why;
	int err, fd;

	region_free(r);
	CHECK(!truncate(path, LEN / 2));
	CHECK(!adopt(&err, &why));
	refused(err, -EINVAL, &why, "truncated");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK_EQ(region_map_fd(fd, false, &map, &said), 0);
	close(fd);
	CHECK_EQ(sluice_region_check(map.mem, map.len, &said), -EINVAL);
	munmap(map.mem, map.len);
	CHECK(!truncate(path, 100));
	CHECK(!adopt(&err, &why));
	CHECK_EQ(err, -ENOENT);
	unlink(path);
}

/* ---- The machine is started anew ---- */

static void a_region_of_another_boot_is_nobodys(void)
{
	struct region *r = must_new();
	struct why why;
	int err;

	CHECK(sluice_boot() != 0);
	CHECK_EQ(r->head->writer_boot, sluice_boot());
	CHECK(sluice_writer_lives(r->head));
	/* By chance our pid and start time are those of its writer then. */
	r->head->writer_boot ^= 1;
	CHECK(!sluice_writer_lives(r->head));
	forget(r, (uint64_t)getpid());
	CHECK(!adopt(&err, &why));
	refused(err, -ESTALE, &why, "torn");
	/* It may be made anew. */
	r = must_new();
	put_word(r, 45);
	/* Closed in order it is whole, and says that it is old. */
	r->head->writer_boot ^= 1;
	region_free(r);
	r = adopt(&err, &why);
	CHECK(r && r->is_rebooted && get_word(r) == 45);
	CHECK(r && r->head->writer_boot == sluice_boot());
	region_free(r);
	unlink(path);
}

/* ---- Huge pages, and DAX ---- */

static void in_hugetlbfs_it_has_huge_pages(void)
{
	char at[64], kept[sizeof(path)];
	struct region *r = NULL;
	struct why why;

	/* Put back when the test ends; without rights it does without. */
	bench_huge_reserve(4ull << 20);
	snprintf(at, sizeof(at), "%s/huge", dir);
	CHECK(!mkdir(at, 0700));
	if (mount("none", at, "hugetlbfs", 0, "pagesize=2M,mode=0700")) {
		rmdir(at);
		return test_skip("hugetlbfs cannot be mounted");
	}
	memcpy(kept, path, sizeof(path));
	snprintf(path, sizeof(path), "%s/region", at);
	if (new_file("one", &r, &why) == -ENOMEM || why.err == -ENOSPC) {
		printf("# %s\n", why.text);
		test_skip("no 2 MiB pages are free");
	} else {
		int err;

		CHECK(r && r->page_len == 2u << 20 && r->len == 2u << 20);
		put_word(r, 46);
		region_free(r);
		r = adopt(&err, &why);
		CHECK(r && get_word(r) == 46 && r->page_len == 2u << 20);
		region_free(r);
	}
	unlink(path);
	memcpy(path, kept, sizeof(path));
	CHECK(!umount(at));
	rmdir(at);
}

static void put_text(const char *folder, const char *file, const char *text)
{
	char at[128];
	FILE *f;

	snprintf(at, sizeof(at), "%s/%s", folder, file);
	f = fopen(at, "we");
	CHECK(f && fputs(text, f) >= 0);
	if (f)
		fclose(f);
}

static void what_sysfs_says_of_dax_is_taken(void)
{
	char folder[64], link[80];
	struct region_file f;
	struct sluice_why why;

	snprintf(folder, sizeof(folder), "%s/dax0.0", dir);
	snprintf(link, sizeof(link), "%s/subsystem", folder);
	CHECK(!mkdir(folder, 0700));
	put_text(folder, "size", "1073741824\n");
	put_text(folder, "align", "2097152\n");
	CHECK_EQ(region_dax_read(folder, &f, &why), -ENOTTY);
	CHECK(!symlink("../../../../../../bus/dax", link));
	CHECK_EQ(region_dax_read(folder, &f, &why), 0);
	CHECK(f.backing == SLUICE_BACKING_DAX && f.len == 1u << 30);
	CHECK_EQ(f.page_len, 2u << 20);
	/* Longer than a region can be, and no whole number of pages. */
	put_text(folder, "size", "17179869184\n");
	CHECK_EQ(region_dax_read(folder, &f, &why), 0);
	CHECK_EQ(f.len, 1ull << 32);
	put_text(folder, "size", "5000000\n");
	CHECK_EQ(region_dax_read(folder, &f, &why), 0);
	CHECK_EQ(f.len, 4u << 20);
	put_text(folder, "align", "0x40000000\n");
	CHECK_EQ(region_dax_read(folder, &f, &why), -ENOTTY);
	put_text(folder, "align", "12345\n");
	CHECK_EQ(region_dax_read(folder, &f, &why), -ENOTTY);
	put_text(folder, "align", "");
	CHECK_EQ(region_dax_read(folder, &f, &why), 0);
	CHECK_EQ(f.page_len, 2u << 20);
	unlink(link);
	put_text(folder, "x", "");
	for (uint32_t i = 0; i < 3; i++) {
		snprintf(link, sizeof(link), "%s/%s", folder,
			 (const char *[]){"size", "align", "x"}[i]);
		unlink(link);
	}
	rmdir(folder);
}

static void it_lies_in_a_dax_device(void)
{
	const char *device = getenv("SLUICE_TEST_DAX");
	char kept[sizeof(path)];
	struct region *r = NULL;
	struct why why = {0};
	int err;

	if (!device)
		return test_skip("no device-DAX device (SLUICE_TEST_DAX) here; "
				 "a file stood in for it above");
	memcpy(kept, path, sizeof(path));
	snprintf(path, sizeof(path), "%s", device);
	CHECK_EQ(region_new_dax(path, "one", LEN, &r, &why), 0);
	if (!r) {
		printf("# %s\n", why.text);
		return;
	}
	printf("# %lu bytes in pages of %u\n", (unsigned long)r->len,
	       r->page_len);
	CHECK_EQ(r->backing, SLUICE_BACKING_DAX);
	put_word(r, 47);
	region_free(r);
	r = adopt(&err, &why);
	CHECK(r && get_word(r) == 47 && r->backing == SLUICE_BACKING_DAX);
	region_free(r);
	memcpy(path, kept, sizeof(path));
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	if (!mkdtemp(dir)) {
		printf("1..0 # SKIP no /dev/shm\n");
		return 0;
	}
	snprintf(path, sizeof(path), "%s/region", dir);
	TEST(it_is_made_and_found_again);
	TEST(it_outlives_its_killed_writer);
	TEST(one_writes_and_another_reads);
	TEST(a_longer_file_is_used_whole);
	TEST(nothing_is_lost_by_accident);
	TEST(two_writers_do_not_begin_at_once);
	TEST(a_file_that_others_may_write_is_refused);
	TEST(what_is_no_file_is_refused);
	TEST(a_file_that_cannot_grow_is_too_short);
	TEST(a_file_that_was_cut_off_is_refused);
	TEST(a_region_of_another_boot_is_nobodys);
	TEST(in_hugetlbfs_it_has_huge_pages);
	TEST(what_sysfs_says_of_dax_is_taken);
	TEST(it_lies_in_a_dax_device);
	rmdir(dir);
	return test_done();
}
