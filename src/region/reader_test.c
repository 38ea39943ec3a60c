/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that was given nothing but a name, or a descriptor, finds all of a
 * switch, and cannot change a byte of it. The places where switches are found
 * are fixed, so each test that looks there does so in a mount namespace of its
 * own with nobody else's switches in it.
 */
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "region/region_fake.h"
#include "sluice/atomic.h"
#include "sluice/reader.h"

#define LEN (256u << 10)
#define NOBODY 65534

/* ---- What every reader finds ---- */

/* The sample's one flow and one address, each found and visited once. */
static void find_sample(const struct sluice_reader *r)
{
	uint64_t key[8], found[8], value[7] = {0};
	uint32_t v = sluice_version(r->region);
	uint32_t idx = 0;

	memset(key, SAMPLE_FLOW_BYTE, sizeof(key));
	CHECK_EQ(sluice_exact_get(&r->flows, v, key, 64, value), SLUICE_YES);
	CHECK_EQ(value[0], 1);
	CHECK_EQ(sluice_exact_get(&r->macs, v, key, 8, value), SLUICE_YES);
	key[0]++;
	CHECK_EQ(sluice_exact_get(&r->flows, v, key, 64, value), SLUICE_NO);
	CHECK_EQ(sluice_exact_get(&r->macs, v, key, 8, value), SLUICE_NO);
	key[0]--;
	memset(value, 0, sizeof(value));
	CHECK(sluice_reader_next(&r->flows, v, &idx, found, value));
	CHECK(memcmp(found, key, 64) == 0 && value[0] == 1);
	CHECK(!sluice_reader_next(&r->flows, v, &idx, found, value));
	idx = 0;
	CHECK(sluice_reader_next(&r->macs, v, &idx, found, value));
	CHECK_EQ(idx, 2);
	CHECK(!sluice_reader_next(&r->macs, v, &idx, found, value));
	CHECK(!sluice_reader_next(&r->macs, v, &idx, found, value));
}

static void find_all(const struct sluice_reader *r, struct region *writer)
{
	const uint8_t *from = (const uint8_t *)r->region;
	struct sluice_port_stats sum;

	CHECK(strcmp(r->region->name, "fake") == 0);
	CHECK_EQ(r->len, LEN);
	CHECK_EQ(r->n_lanes, SAMPLE_LANES);
	CHECK_EQ((const uint8_t *)r->sw - from,
		 region_table(writer, SLUICE_TABLE_SWITCH)->off);
	CHECK_EQ((const uint8_t *)r->ports - from,
		 region_table(writer, SLUICE_TABLE_PORTS)->off);
	CHECK_EQ((const uint8_t *)r->stats - from,
		 region_table(writer, SLUICE_TABLE_STATS)->off);
	CHECK_EQ((const uint8_t *)r->sets - from,
		 region_table(writer, SLUICE_TABLE_SETS)->off);
	find_sample(r);
	sluice_reader_stats(r, 3, &sum);
	CHECK_EQ(sum.rx_packets, 105);
	CHECK_EQ(sum.drops[SLUICE_DROP_POLICY], 7);
	sluice_reader_stats(r, 2, &sum);
	CHECK_EQ(sum.rx_packets, 0);
	sluice_reader_stats(r, SLUICE_PORTS_MAX + 3, &sum);
	CHECK_EQ(sum.rx_packets, 0);
}

/* A switch with some counters on two lanes of port 3. */
static struct region *make_switch(enum sluice_backing b)
{
	struct region *r = fake_region(b, LEN);
	struct sluice_port_stats *s;

	if (!r)
		return NULL;
	fake_fill(r);
	s = region_at(r, region_table(r, SLUICE_TABLE_STATS)->off, sizeof(*s));
	s[3].rx_packets = 100;
	s[SLUICE_PORTS_MAX + 3].rx_packets = 5;
	s[SLUICE_PORTS_MAX + 3].drops[SLUICE_DROP_POLICY] = 7;
	return r;
}

/* Ends with a SIGSEGV if all is well; a load must not be what does it. */
static void stores_fault(const struct sluice_reader *r)
{
	uint8_t *at = (uint8_t *)(uintptr_t)r->region;

	CHECK(mprotect(at, r->len, PROT_READ | PROT_WRITE) < 0);
	CHECK_EQ(errno, EACCES);
	find_sample(r);
	if (test_.failed)
		return;
	signal(SIGSEGV, SIG_DFL);
	*(volatile uint8_t *)(at + SLUICE_TABLES_OFF) = 1;
}

/* ---- By descriptor ---- */

static void read_by_fd(void *arg)
{
	struct region *writer = arg;
	struct sluice_why why = {""};
	struct sluice_reader r;
	int err;

	err = sluice_reader_open_fd(writer->fd, &r, &why);
	if (err) {
		printf("# %s\n", why.text);
		CHECK_EQ(err, 0);
		return;
	}
	CHECK_EQ(r.region == writer->head,
		 writer->backing == SLUICE_BACKING_ARENA);
	find_all(&r, writer);
	sluice_reader_close(&r);
}

static void another_process_finds_all_by_descriptor(void)
{
	for (size_t i = 0; i < ARRAY_LEN(fake_backings); i++) {
		struct region *r = make_switch(fake_backings[i]);

		if (!r)
			continue;
		fake_child(read_by_fd, r);
		region_free(r);
	}
}

static void the_writers_own_process_reads_its_memory(void)
{
	for (size_t i = 0; i < ARRAY_LEN(fake_backings); i++) {
		struct region *w = make_switch(fake_backings[i]);
		struct sluice_why why = {""};
		struct sluice_reader r;

		if (!w)
			continue;
		CHECK_EQ(sluice_reader_open_mem(w->head, w->len, &r, &why), 0);
		find_all(&r, w);
		sluice_reader_close(&r);
		CHECK_EQ(w->head->abi, SLUICE_ABI);
		if (fake_backings[i] == SLUICE_BACKING_ARENA) {
			CHECK_EQ(sluice_reader_open_fd(w->fd, &r, &why),
				 -EBUSY);
			CHECK(strstr(why.text, "or this one already"));
		}
		region_free(w);
	}
}

static void copy_is_read(int fd)
{
	struct region *w = make_switch(SLUICE_BACKING_MEMFD);
	struct sluice_reader r = {0};

	if (!w)
		abort();
	CHECK_EQ(write(fd, w->head, w->len), w->len);
	CHECK_EQ(sluice_reader_open_fd(fd, &r, NULL), 0);
	if (!test_.failed)
		find_all(&r, w);
	sluice_reader_close(&r);
	CHECK_EQ(ftruncate(fd, LEN - 4096), 0);
	CHECK_EQ(sluice_reader_open_fd(fd, &r, NULL), -EINVAL);
	close(fd);
	region_free(w);
}

static void a_copy_in_a_file_is_read(void)
{
	copy_is_read(open("/var/tmp", O_TMPFILE | O_RDWR, 0600));
}

/* Unlike a file on disk it knows of seals, but has none. */
static void a_copy_on_tmpfs_is_read(void)
{
	copy_is_read(memfd_create("copy", 0));
}

/* ---- By name ---- */

static int pin(int fd, const char *path)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.pathname = (uintptr_t)path;
	attr.bpf_fd = (uint32_t)fd;
	return (int)syscall(SYS_bpf, BPF_OBJ_PIN, &attr, sizeof(attr));
}

/* False, and the test is skipped: we may not. */
static bool enter_empty_world(void)
{
	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/run", "tmpfs", 0, "mode=755") ||
	    mount("none", "/tmp", "tmpfs", 0, "mode=1777") ||
	    mount("none", "/sys/fs/bpf", "bpf", 0, "mode=755")) {
		test_skip("no mount namespace");
		return false;
	}
	unsetenv("SLUICE_RUN_DIR");
	unsetenv("XDG_RUNTIME_DIR");
	CHECK_EQ(mkdir("/run/sluice", 0755), 0);
	CHECK_EQ(mkdir("/sys/fs/bpf/sluice", 0755), 0);
	return true;
}

/* Makes region w of this or another process known as name. */
static void publish(const struct region *w, pid_t pid, const char *name)
{
	char path[128], to[64];

	if (w->backing == SLUICE_BACKING_ARENA) {
		snprintf(path, sizeof(path), "/sys/fs/bpf/sluice/%s", name);
		CHECK_EQ(mkdir(path, 0755), 0);
		strcat(path, "/arena");
		CHECK_EQ(pin(w->fd, path), 0);
		return;
	}
	snprintf(path, sizeof(path), "/run/sluice/%s", name);
	CHECK_EQ(mkdir(path, 0755), 0);
	strcat(path, "/region");
	snprintf(to, sizeof(to), "/proc/%d/fd/%d", pid, w->fd);
	CHECK_EQ(symlink(to, path), 0);
}

static void check_open(const char *name, int err, const char *says)
{
	struct sluice_why why = {""};
	struct sluice_reader r;

	CHECK_EQ(sluice_reader_open(name, &r, &why), err);
	if (!strstr(why.text, says)) {
		printf("# '%s' lacks '%s'\n", why.text, says);
		CHECK(false);
	}
}

static void open_as_nobody(void *arg)
{
	(void)arg;
	CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	check_open("fake", -EACCES, "not permitted to open");
}

/* A name in both places is one switch; the arena is the one to read. */
static void find_twice(enum sluice_backing b)
{
	char names[4][SLUICE_NAME_LEN];

	if (b != SLUICE_BACKING_ARENA)
		return;
	CHECK_EQ(mkdir("/run/sluice/fake", 0755), 0);
	CHECK_EQ(symlink("/dev/null", "/run/sluice/fake/region"), 0);
	CHECK_EQ(sluice_reader_names(names, 4), 1);
}

/* In a process without the writer's mapping, in an empty world. */
static void read_by_name(void *arg)
{
	struct region *w = arg;
	char names[4][SLUICE_NAME_LEN];
	struct sluice_reader r;

	if (!enter_empty_world())
		return;
	CHECK_EQ(sluice_reader_names(names, 4), 0);
	check_open(NULL, -ENOENT, "no switch is running");
	check_open("fake", -ENOENT, "no switch 'fake' is running");
	check_open("../fake", -ENOENT, "no name for a switch");

	publish(w, getppid(), "fake");
	CHECK_EQ(sluice_reader_names(names, 4), 1);
	CHECK(strcmp(names[0], "fake") == 0);
	find_twice(w->backing);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(sluice_reader_open(i ? "fake" : NULL, &r, NULL), 0);
		CHECK_EQ(r.region == w->head,
			 w->backing == SLUICE_BACKING_ARENA);
		find_all(&r, w);
		sluice_reader_close(&r);
	}
	fake_child(open_as_nobody, NULL);

	publish(w, getppid(), "other");
	CHECK_EQ(sluice_reader_names(names, 4), 2);
	CHECK_EQ(sluice_reader_names(names, 1), 1);
	check_open(NULL, -ENOENT, "several switches are running");
	check_open("other", -ENOENT, "another's region is in its place");
}

static void a_switch_is_found_by_name(enum sluice_backing b)
{
	struct region *r = make_switch(b);

	if (!r)
		return;
	fake_child(read_by_name, r);
	region_free(r);
}

static void a_memfd_switch_is_found_by_name(void)
{
	a_switch_is_found_by_name(SLUICE_BACKING_MEMFD);
}

static void an_arena_switch_is_found_by_name(void)
{
	a_switch_is_found_by_name(SLUICE_BACKING_ARENA);
}

static void be_killed_by_a_store(const struct region *w)
{
	struct sluice_reader r;

	if (!enter_empty_world())
		return;
	publish(w, getppid(), "fake");
	CHECK_EQ(sluice_reader_open("fake", &r, NULL), 0);
	stores_fault(&r);
}

static void what_is_mapped_to_read_cannot_be_written(void)
{
	for (size_t i = 0; i < ARRAY_LEN(fake_backings); i++) {
		struct region *w = make_switch(fake_backings[i]);
		int status = -1;
		pid_t pid;

		if (!w)
			continue;
		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			be_killed_by_a_store(w);
			fflush(stdout);
			_exit(test_.skip ? FAKE_SKIP : 1);
		}
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) == FAKE_SKIP)
			test_skip("not permitted to make namespaces");
		else
			CHECK(WIFSIGNALED(status) &&
			      WTERMSIG(status) == SIGSEGV);
		region_free(w);
	}
}

static void lose_the_holder(void *arg)
{
	char names[4][SLUICE_NAME_LEN];
	struct region *w = arg;

	if (!enter_empty_world())
		return;
	/* A holder that is gone, and one that has something else there now. */
	publish(w, 0x7ffffff0, "fake");
	CHECK_EQ(sluice_reader_names(names, 4), 0);
	check_open(NULL, -ENOENT, "no switch is running");
	check_open("fake", -ENOENT, "no switch 'fake' is running");
	dup2(open("/proc/self/stat", O_RDONLY), w->fd);
	publish(w, getpid(), "reused");
	check_open("reused", -EINVAL, "no region");
}

static void a_link_that_dangles_is_no_switch(void)
{
	struct region *r = make_switch(SLUICE_BACKING_MEMFD);

	if (!r)
		return;
	fake_child(lose_the_holder, r);
	region_free(r);
}

static void distrust_tmp(void *arg)
{
	struct region *w = arg;
	char dir[] = "/run/sluice/fake", names[4][SLUICE_NAME_LEN];
	char tmp[64], sub[96];
	struct sluice_reader r;

	if (!enter_empty_world())
		return;
	publish(w, getppid(), "fake");
	snprintf(tmp, sizeof(tmp), "/tmp/sluice-%u", geteuid());
	snprintf(sub, sizeof(sub), "%s/fake", tmp);
	CHECK_EQ(mkdir(tmp, 0755), 0);
	CHECK_EQ(symlink("/run/moved", sub), 0);
	CHECK_EQ(rename(dir, "/run/moved"), 0);
	CHECK_EQ(sluice_reader_names(names, 4), 1);
	CHECK_EQ(sluice_reader_open("fake", &r, NULL), 0);
	sluice_reader_close(&r);
	CHECK_EQ(chown(tmp, NOBODY, NOBODY), 0);
	CHECK_EQ(sluice_reader_names(names, 4), 0);
	check_open("fake", -ENOENT, "no switch 'fake' is running");
}

static void a_place_that_others_made_is_not_trusted(void)
{
	struct region *r = make_switch(SLUICE_BACKING_MEMFD);

	if (!r)
		return;
	fake_child(distrust_tmp, r);
	region_free(r);
}

/* ---- What is a region, but not of our kind of switch ---- */

static void tables_of_another_shape_are_refused(void)
{
	static uint8_t mem[SAMPLE_LEN] __attribute__((aligned(64)));
	static const struct {
		uint32_t table;
		uint32_t kind;
		uint16_t key_layout;
		uint32_t n_max;
		uint16_t value_len;
		const char *says;
	} cases[] = {
		{SAMPLE_SWITCH, 99, 1, 1, 0, "no table of switch"},
		{SAMPLE_FLOWS, 99, 1, 2, 0, "no table of flows"},
		{SAMPLE_FLOWS, SLUICE_TABLE_FLOWS, 2, 2, 0, "key layout 2"},
		{SAMPLE_PORTS, SLUICE_TABLE_PORTS, 1, 63, 0, "has 63 records"},
		{SAMPLE_STATS, SLUICE_TABLE_STATS, 1, 63, 0, "has 63 records"},
		{SAMPLE_SETS, SLUICE_TABLE_SETS, 1, 64, 4, "values of 4 bytes"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sluice_table_desc *d = sample_desc(mem, cases[i].table);
		struct sluice_why why = {""};
		struct sluice_reader r;

		memset(mem, 0, sizeof(mem));
		sample_make(mem);
		d->kind = cases[i].kind;
		d->key_layout = cases[i].key_layout;
		d->n_max = cases[i].n_max;
		if (cases[i].value_len)
			d->value_len = cases[i].value_len;
		CHECK_EQ(sluice_region_check(mem, sizeof(mem), &why), 0);
		CHECK_EQ(sluice_reader_open_mem(mem, sizeof(mem), &r, &why),
			 -EINVAL);
		if (!strstr(why.text, cases[i].says)) {
			printf("# '%s' lacks '%s'\n", why.text, cases[i].says);
			CHECK(false);
		}
	}
}

static void a_later_scribble_leads_nobody_astray(void)
{
	static uint8_t mem[SAMPLE_LEN] __attribute__((aligned(64)));
	struct sluice_port_stats sum;
	struct sluice_reader r;

	sample_make(mem);
	CHECK_EQ(sluice_reader_open_mem(mem, sizeof(mem), &r, NULL), 0);
	memset(sample_table(mem, SAMPLE_FLOWS), 0xff, 24);
	memset(sample_desc(mem, 0), 0xff, 6 * 64ul);
	sluice_reader_stats(&r, 1, &sum);
	for (uint32_t idx = 0; idx < SAMPLE_ENTRIES;) {
		uint64_t key[8], value[7];

		if (!sluice_reader_next(&r.flows, 1, &idx, key, value))
			break;
		CHECK_EQ(idx, 2);
		CHECK_EQ(value[0], 1);
	}
	CHECK_EQ(r.flows.n_entries, SAMPLE_ENTRIES);
	sluice_reader_close(&r);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(another_process_finds_all_by_descriptor);
	TEST(the_writers_own_process_reads_its_memory);
	TEST(a_copy_in_a_file_is_read);
	TEST(a_copy_on_tmpfs_is_read);
	TEST(a_memfd_switch_is_found_by_name);
	TEST(an_arena_switch_is_found_by_name);
	TEST(what_is_mapped_to_read_cannot_be_written);
	TEST(a_link_that_dangles_is_no_switch);
	TEST(a_place_that_others_made_is_not_trusted);
	TEST(tables_of_another_shape_are_refused);
	TEST(a_later_scribble_leads_nobody_astray);
	return test_done();
}
