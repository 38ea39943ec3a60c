/* SPDX-License-Identifier: Apache-2.0 */
/* Regions are made, filled, left, and taken over by the next. */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>

#include "base/rng.h"
#include "region/region_fake.h"
#include "sluice/reader.h"

#define LEN (256u << 10)
#define HUGE_PAGE (2u << 20)

static struct sluice_table_desc some_table(uint32_t kind, uint64_t len)
{
	struct sluice_table_desc d = {
		.kind = kind,
		.alg = SLUICE_ALG_ARRAY,
		.n_max = 1,
		.len = len,
		.value_len = 1,
	};

	snprintf(d.name, sizeof(d.name), "table %u", kind);
	return d;
}

static bool is_zero(const uint8_t *at, uint64_t len)
{
	return len == 0 || (!at[0] && !memcmp(at, at + 1, len - 1));
}

static void describes_itself(enum sluice_backing b)
{
	struct region *r = fake_region(b, LEN - 1);
	const struct sluice_region *h;

	if (!r)
		return;
	h = r->head;
	CHECK_EQ(r->len, LEN);
	CHECK_EQ(h->len, LEN);
	CHECK_EQ(h->backing, b);
	CHECK_EQ(h->page_len, 4096);
	CHECK_EQ(h->generation, 1);
	CHECK_EQ(h->writer_pid, getpid());
	CHECK_EQ(h->writer_start, sluice_process_start((uint64_t)getpid()));
	CHECK_EQ(h->owner_uid, geteuid());
	CHECK_EQ(h->base_addr,
		 b == SLUICE_BACKING_ARENA ? (uintptr_t)r->head : 0);
	CHECK(strcmp(h->name, "fake") == 0);
	CHECK_EQ(h->n_tables, 0);
	CHECK_EQ(sluice_region_check(h, r->len, NULL), 0);
	CHECK(is_zero((uint8_t *)r->head + SLUICE_TABLES_OFF,
		      LEN - SLUICE_TABLES_OFF));
	region_free(r);
}

static void a_memfd_region_describes_itself(void)
{
	describes_itself(SLUICE_BACKING_MEMFD);
}

static void an_arena_region_describes_itself(void)
{
	describes_itself(SLUICE_BACKING_ARENA);
}

/* Every page of it present. */
static bool is_all_there(const struct region *r)
{
	uint8_t present[4 * HUGE_PAGE / 4096] = {0};
	uint64_t n = r->len / 4096;

	if (n > sizeof(present) || mincore(r->head, r->len, present))
		return false;
	for (uint64_t i = 0; i < n; i++)
		if (!(present[i] & 1))
			return false;
	return true;
}

static void an_arena_is_all_there_before_use(void)
{
	struct region *r = fake_region(SLUICE_BACKING_ARENA, LEN);

	if (!r)
		return;
	CHECK(is_all_there(r));
	region_free(r);
}

static void wrong_wishes_are_refused(void)
{
	struct why why = {0};
	struct region *r = NULL;

	CHECK_EQ(region_new_memfd("a/b", LEN, false, &r, &why), -EINVAL);
	CHECK(strstr(why.text, "'a/b' is no name"));
	CHECK_EQ(region_new_memfd("", LEN, true, &r, NULL), -EINVAL);
	CHECK_EQ(region_new_arena("a b", LEN, &r, NULL), -EINVAL);
	CHECK_EQ(region_new_memfd("a", 4095, false, &r, NULL), -EINVAL);
	CHECK_EQ(region_new_arena("a", (1ull << 32) + 1, &r, NULL), -EINVAL);
	CHECK(!r);
	region_free(NULL);
}

static void a_memfd_cannot_be_cut_off(void)
{
	struct region *r = fake_region(SLUICE_BACKING_MEMFD, LEN);

	if (!r)
		return;
	CHECK(ftruncate(r->fd, 4096) < 0);
	CHECK(ftruncate(r->fd, 2L * LEN) < 0);
	region_free(r);
}

static void tables_appear_when_published(void)
{
	struct sluice_table_desc d = some_table(5, 100);
	struct region *r = fake_region(SLUICE_BACKING_MEMFD, LEN);
	uint32_t off1 = 0, off2 = 0;
	struct why why = {0};

	if (!r)
		return;
	CHECK_EQ(region_table_add(r, &d, &off1, NULL), 0);
	CHECK_EQ(off1, SLUICE_TABLES_OFF);
	CHECK(!region_table(r, 5));
	region_table_publish(r);
	CHECK(region_table(r, 5) && region_table(r, 5)->off == off1);
	CHECK_EQ(region_table_add(r, &d, &off2, &why), -EEXIST);
	CHECK(strstr(why.text, "'table 5' already"));
	d.kind = 6;
	CHECK_EQ(region_table_add(r, &d, &off2, NULL), 0);
	CHECK_EQ(off2, SLUICE_TABLES_OFF + 128);
	region_table_publish(r);
	CHECK_EQ(sluice_region_check(r->head, r->len, NULL), 0);
	CHECK_EQ(r->head->used_len, off2 + 100);
	region_free(r);
}

static void a_full_region_says_so_and_stays(void)
{
	struct region *r = fake_region(SLUICE_BACKING_MEMFD, LEN);
	struct sluice_table_desc d = some_table(1, LEN - SLUICE_TABLES_OFF + 1);
	struct why why = {0};
	uint32_t off = 0;

	if (!r)
		return;
	CHECK_EQ(region_table_add(r, &d, &off, &why), -ENOSPC);
	CHECK(strstr(why.text, "takes 258049 bytes, the region has 258048"));
	d.len = ~0ull;
	CHECK_EQ(region_table_add(r, &d, &off, NULL), -ENOSPC);
	CHECK_EQ(r->head->used_len, SLUICE_TABLES_OFF);
	CHECK_EQ(off, 0);
	d.len = LEN - SLUICE_TABLES_OFF - REGION_TABLE_ALIGN;
	CHECK_EQ(region_table_add(r, &d, &off, NULL), 0);
	region_table_publish(r);
	d = some_table(2, REGION_TABLE_ALIGN);
	CHECK_EQ(region_table_add(r, &d, &off, NULL), 0);
	region_table_publish(r);
	d = some_table(3, 1);
	CHECK_EQ(region_table_add(r, &d, &off, NULL), -ENOSPC);
	CHECK_EQ(sluice_region_check(r->head, r->len, NULL), 0);
	region_free(r);
}

static void a_full_directory_says_so(void)
{
	struct region *r = fake_region(SLUICE_BACKING_MEMFD, LEN);
	struct sluice_table_desc d;
	struct why why = {0};
	uint32_t off;

	if (!r)
		return;
	for (uint32_t i = 1; i <= SLUICE_TABLES_MAX; i++) {
		d = some_table(i, 65);
		CHECK_EQ(region_table_add(r, &d, &off, NULL), 0);
		region_table_publish(r);
		CHECK_EQ(off, SLUICE_TABLES_OFF + (i - 1) * 128);
	}
	d = some_table(99, 65);
	CHECK_EQ(region_table_add(r, &d, &off, &why), -ENOSPC);
	CHECK(strstr(why.text, "one more than the 32"));
	CHECK_EQ(sluice_region_check(r->head, r->len, NULL), 0);
	region_free(r);
}

static void offsets_outside_give_no_address(void)
{
	struct region *r = fake_region(SLUICE_BACKING_MEMFD, LEN);

	if (!r)
		return;
	CHECK(region_at(r, 0, LEN) == r->head);
	CHECK(region_at(r, LEN, 0));
	CHECK(!region_at(r, LEN, 1));
	CHECK(!region_at(r, 1, LEN));
	CHECK(!region_at(r, ~0ull, 2));
	CHECK(!region_at(r, 64, ~0ull));
	region_free(r);
}

static void two_regions_live_in_one_process(void)
{
	for (size_t i = 0; i < ARRAY_LEN(fake_backings); i++) {
		struct region *a = fake_region(fake_backings[i], LEN);
		struct region *b = fake_region(fake_backings[i], LEN);

		if (!a || !b) {
			region_free(a);
			continue;
		}
		CHECK(a->head != b->head);
		fake_fill(a);
		CHECK_EQ(a->head->n_tables, 6);
		CHECK_EQ(b->head->n_tables, 0);
		region_free(a);
		CHECK_EQ(sluice_region_check(b->head, b->len, NULL), 0);
		region_free(b);
	}
}

/* A writer that dies after add and before publish, having scribbled. */
static void die_in_add(void *arg)
{
	struct sluice_table_desc d = some_table(60, 10000);
	struct why why = {0};
	struct region *r;
	uint32_t off;

	if (region_adopt(*(int *)arg, &r, &why)) {
		printf("# %s\n", why.text);
		CHECK(false);
		return;
	}
	CHECK_EQ(r->head->generation, 2);
	CHECK_EQ(r->head->n_tables, 6);
	CHECK_EQ(region_table_add(r, &d, &off, NULL), 0);
	memset(region_at(r, off, d.len), 0xff, d.len);
}

static void adopt(enum sluice_backing b)
{
	struct sluice_table_desc d = some_table(61, 5000);
	struct region *r = fake_region(b, LEN);
	struct why why = {0};
	uint32_t off = 0;
	int fd;

	if (!r)
		return;
	fake_fill(r);
	fd = dup(r->fd);
	CHECK_EQ(region_adopt(fd, &(struct region *){NULL}, &why), -EBUSY);
	region_free(r);
	fake_child(die_in_add, &fd);

	CHECK_EQ(region_adopt(fd, &r, NULL), 0);
	CHECK_EQ(r->fd, fd);
	CHECK_EQ(r->backing, b);
	CHECK_EQ(r->head->generation, 3);
	CHECK_EQ(r->head->writer_pid, getpid());
	CHECK_EQ(r->head->n_tables, 6);
	CHECK_EQ(sluice_region_check(r->head, r->len, NULL), 0);
	/* What the dead writer scribbled on is cleared, whatever lies there. */
	CHECK_EQ(region_table_add(r, &d, &off, NULL), 0);
	CHECK(is_zero(region_at(r, off, d.len), d.len));
	region_table_publish(r);
	d = some_table(62, 20000);
	CHECK_EQ(region_table_add(r, &d, &off, NULL), 0);
	CHECK(is_zero(region_at(r, off, d.len), d.len));
	region_free(r);
}

static void a_memfd_is_adopted_from_the_dead(void)
{
	adopt(SLUICE_BACKING_MEMFD);
}

static void an_arena_is_adopted_from_the_dead(void)
{
	adopt(SLUICE_BACKING_ARENA);
}

struct busy {
	int fd;
	int to_parent[2], to_child[2];
};

/* Adopts, tells, waits to be told, and dies. */
static void hold_until_told(struct busy *b)
{
	struct region *r;
	char c = region_adopt(b->fd, &r, NULL) ? 'n' : 'y';

	if (write(b->to_parent[1], &c, 1) == 1 &&
	    read(b->to_child[0], &c, 1) == 1)
		_exit(0);
	_exit(1);
}

static void the_living_are_not_robbed(void)
{
	struct region *r = fake_region(SLUICE_BACKING_MEMFD, LEN);
	struct busy b = {.fd = -1};
	struct why why = {0};
	siginfo_t info;
	char c = 0;
	pid_t pid;

	if (!r)
		return;
	b.fd = dup(r->fd);
	region_free(r);
	if (pipe(b.to_parent) || pipe(b.to_child))
		abort();
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		hold_until_told(&b);
	CHECK(read(b.to_parent[0], &c, 1) == 1 && c == 'y');
	CHECK_EQ(region_adopt(b.fd, &r, &why), -EBUSY);
	CHECK(strstr(why.text, "writes this region and lives"));
	CHECK_EQ(write(b.to_child[1], &c, 1), 1);
	/* A zombie is dead enough. */
	CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	CHECK_EQ(sluice_process_start((uint64_t)pid), 0);
	CHECK_EQ(region_adopt(b.fd, &r, NULL), 0);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	region_free(r);
	close(b.to_parent[0]), close(b.to_parent[1]);
	close(b.to_child[0]), close(b.to_child[1]);
}

static void a_pid_that_came_again_is_another_process(void)
{
	struct region *r = fake_region(SLUICE_BACKING_MEMFD, LEN);
	struct region *next;
	int fd;

	if (!r)
		return;
	fd = dup(r->fd);
	r->head->writer_start--;
	CHECK_EQ(region_adopt(fd, &next, NULL), 0);
	CHECK_EQ(next->head->generation, 2);
	region_free(next);
	region_free(r);
}

static void leaving_in_order_is_noted(void)
{
	struct region *r = fake_region(SLUICE_BACKING_MEMFD, LEN);
	const struct sluice_region *h;

	if (!r)
		return;
	h = mmap(NULL, LEN, PROT_READ, MAP_SHARED, r->fd, 0);
	CHECK_EQ(h->writer_pid, getpid());
	region_free(r);
	CHECK_EQ(h->writer_pid, 0);
	munmap((void *)(uintptr_t)h, LEN);
}

/* A descriptor of a file with these bytes in it. */
static int file_of(const void *mem, size_t len, unsigned flags, int seals)
{
	int fd = memfd_create("copy", flags);

	if (fd < 0 || write(fd, mem, len) != (ssize_t)len)
		abort();
	if (flags & MFD_ALLOW_SEALING && fcntl(fd, F_ADD_SEALS, seals))
		abort();
	return fd;
}

static void refuse(int fd, int err, const char *says)
{
	struct region *r = NULL;
	struct why why = {0};

	CHECK_EQ(region_adopt(fd, &r, &why), err);
	if (!strstr(why.text, says)) {
		printf("# '%s' lacks '%s'\n", why.text, says);
		CHECK(false);
	}
	CHECK(!r);
	CHECK_EQ(fcntl(fd, F_GETFD), 0);
	close(fd);
}

static void what_is_no_region_is_not_adopted(void)
{
	static uint8_t mem[SAMPLE_LEN] __attribute__((aligned(64)));
	unsigned flags = MFD_ALLOW_SEALING;

	refuse(open("/dev/null", O_RDWR), -EINVAL, "neither");
	refuse(open("/", O_RDONLY), -EINVAL, "neither");
	refuse(file_of("", 0, flags, F_SEAL_SHRINK), -EINVAL, "empty");
	refuse(file_of(mem, 4096, flags, F_SEAL_SHRINK), -EINVAL, "no region");
	sample_make(mem);
	refuse(file_of(mem, sizeof(mem), flags, 0), -EINVAL, "not sealed");
	refuse(file_of(mem, 8192, flags, F_SEAL_SHRINK), -EINVAL, "truncated");
	((struct sluice_region *)mem)->len -= 4096;
	refuse(file_of(mem, sizeof(mem), flags, F_SEAL_SHRINK), -EINVAL,
	       "is a copy");
	((struct sluice_region *)mem)->abi++;
	refuse(file_of(mem, sizeof(mem), flags, F_SEAL_SHRINK),
	       -EPROTONOSUPPORT, "ABI version 3");
}

/* ---- 2 MiB pages ---- */

#define NR_HUGE "/proc/sys/vm/nr_hugepages"

/* Adds n (which may be negative) to the pages of 2 MiB. How many there are. */
static long huge_add(int fd, long n)
{
	char text[32] = "";
	ssize_t len = pread(fd, text, sizeof(text) - 1, 0);
	long now = strtol(text, NULL, 10);

	if (len <= 0 || n == 0)
		return now;
	len = snprintf(text, sizeof(text), "%ld", now + n);
	return pwrite(fd, text, (size_t)len, 0) == len ? huge_add(fd, 0) : now;
}

static void use_huge(void)
{
	struct region *r, *none;
	struct sluice_reader reader;

	CHECK_EQ(region_new_memfd("huge", HUGE_PAGE + 1, true, &r, NULL), 0);
	CHECK_EQ(r->page_len, HUGE_PAGE);
	CHECK_EQ(r->len, 2 * HUGE_PAGE);
	CHECK_EQ(r->head->page_len, HUGE_PAGE);
	CHECK(is_all_there(r));
	fake_fill(r);
	CHECK_EQ(sluice_reader_open_fd(r->fd, &reader, NULL), 0);
	CHECK_EQ(reader.len, 2 * HUGE_PAGE);
	sluice_reader_close(&reader);
	CHECK(ftruncate(r->fd, HUGE_PAGE) < 0);

	/* More than there are: ordinary pages, and it says so. */
	CHECK_EQ(region_new_memfd("much", 1ull << 32, true, &none, NULL), 0);
	CHECK_EQ(none->page_len, 4096);
	region_free(none);
	region_free(r);
}

static void huge_pages_are_used_where_there_are_any(void)
{
	int fd = open(NR_HUGE, O_RDWR | O_CLOEXEC);
	long before, got;

	if (fd < 0) {
		test_skip("not permitted to set " NR_HUGE);
		return;
	}
	flock(fd, LOCK_EX);
	before = huge_add(fd, 0);
	got = huge_add(fd, 4) - before;
	if (got == 4 && before + got < 2048)
		use_huge();
	else
		test_skip("the kernel gives no pages of 2 MiB, or many");
	huge_add(fd, -got);
	close(fd);
}

/* ---- Many tables at random, beside a twin ---- */

static void tables_never_overlap(void)
{
	struct region *r = fake_region(SLUICE_BACKING_MEMFD, LEN);
	struct rng g = rng_of(test_seed());
	uint64_t end = SLUICE_TABLES_OFF;

	if (!r)
		return;
	for (uint32_t kind = 1; kind < 200; kind++) {
		struct sluice_table_desc d =
			some_table(kind, 1 + rng_below(&g, 30000));
		uint64_t at = end + (0 - end) % REGION_TABLE_ALIGN;
		bool fits = at + d.len <= LEN &&
			    r->head->n_tables < SLUICE_TABLES_MAX;
		uint32_t off = 0;

		CHECK_EQ(region_table_add(r, &d, &off, NULL),
			 fits ? 0 : -ENOSPC);
		if (!fits)
			continue;
		CHECK_EQ(off, at);
		CHECK(is_zero(region_at(r, off, d.len), d.len));
		memset(region_at(r, off, d.len), 0xee, d.len);
		if (rng_below(&g, 4) == 0)
			continue; /* never published */
		region_table_publish(r);
		end = at + d.len;
		CHECK_EQ(sluice_region_check(r->head, r->len, NULL), 0);
	}
	region_free(r);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(a_memfd_region_describes_itself);
	TEST(an_arena_region_describes_itself);
	TEST(an_arena_is_all_there_before_use);
	TEST(wrong_wishes_are_refused);
	TEST(a_memfd_cannot_be_cut_off);
	TEST(tables_appear_when_published);
	TEST(a_full_region_says_so_and_stays);
	TEST(a_full_directory_says_so);
	TEST(offsets_outside_give_no_address);
	TEST(two_regions_live_in_one_process);
	TEST(a_memfd_is_adopted_from_the_dead);
	TEST(an_arena_is_adopted_from_the_dead);
	TEST(the_living_are_not_robbed);
	TEST(a_pid_that_came_again_is_another_process);
	TEST(leaving_in_order_is_noted);
	TEST(what_is_no_region_is_not_adopted);
	TEST(huge_pages_are_used_where_there_are_any);
	TEST(tables_never_overlap);
	return test_done();
}
