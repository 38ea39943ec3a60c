/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader that takes a record, works and gives it back, and a writer that takes
 * records back and fences, are killed at each of their stores. Whoever comes
 * after finds every record usable: the next readers get them all, the next
 * writer waits for nobody who is gone and for everybody who is inside. Here the
 * records' code is compiled with -DSLUICE_CRASH.
 */
#include <errno.h>
#include <sys/mman.h>

#include "base/must.h"
#include "base/test.h"
#include "region/grace.h"
#include "sluice/reader.h"
#include "tests/crash/kill.h"

#define N 3u
#define STUCK_NS 1000u

struct rig {
	struct sluice_section *records; /* [N], shared */
	struct sluice_section kept[N];
	uint32_t n_kills;
};

static struct sluice_seat take(struct rig *r)
{
	const struct sluice_seat_conf conf = {.owner = sluice_owner_of(0),
					      .name = "crash"};
	struct sluice_seat s;

	must(!sluice_seat_take(r->records, N, &conf, &s, NULL));
	return s;
}

static struct region_grace *grace(struct rig *r)
{
	const struct grace_conf conf = {.records = r->records,
					.n = N,
					.stuck_ns = STUCK_NS};
	struct region_grace *g;

	must(!region_grace_new(&conf, &g));
	return g;
}

/* A reader's life. A section's own stores are not ours to count: enter and
 * leave are each one store, and we stop between them too. */
static void read_all(struct rig *r)
{
	struct sluice_seat s = take(r);

	crash_point();
	sluice_section_enter(&s);
	crash_point();
	must(sluice_section_holds(&s));
	sluice_section_leave(&s);
	crash_point();
	sluice_section_enter(&s);
	sluice_seat_give(&s);
}

/* A writer's: of the three records one is dead, one stuck, one idle. */
static void write_all(struct rig *r)
{
	struct region_grace *g = grace(r);
	uint64_t t = region_grace_start(g, 0);

	must(region_grace_done(g, t, STUCK_NS));
	region_grace_free(g);
}

/* In a child. True: it was killed on the way. */
static bool killed(struct rig *r, void (*what)(struct rig *), int64_t at)
{
	pid_t pid = kill_fork(at);
	bool is_killed;
	int code;

	if (pid == 0) {
		what(r);
		_exit(0);
	}
	is_killed = kill_wait(pid, &code);
	must(code == 0);
	r->n_kills += is_killed;
	return is_killed;
}

/* The one that is `alive`, and inside, stays so; all else can be had. */
static void records_are_usable(struct rig *r, uint32_t n_alive)
{
	struct sluice_seat seats[N];
	struct region_grace *g = grace(r);
	uint64_t t = region_grace_start(g, 0);

	/* Nobody inside but who is fenced, or is to be. */
	CHECK(region_grace_done(g, t, STUCK_NS));
	for (uint32_t i = 0; i < N - n_alive; i++) {
		seats[i] = take(r);
		CHECK_EQ(seats[i].record->word % 2, 0);
		sluice_section_enter(&seats[i]);
		CHECK(sluice_section_holds(&seats[i]));
		t = region_grace_start(g, 10ul * STUCK_NS);
		CHECK(!region_grace_done(g, t, 10ul * STUCK_NS));
		sluice_section_leave(&seats[i]);
		CHECK(region_grace_done(g, t, 10ul * STUCK_NS));
	}
	for (uint32_t i = 0; i < N - n_alive; i++)
		sluice_seat_give(&seats[i]);
	region_grace_free(g);
}

static struct rig rig_new(void)
{
	struct rig r = {0};

	r.records = mmap(NULL, sizeof(r.kept), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(r.records != MAP_FAILED);
	return r;
}

static void kill_at_each_store(struct rig *r, void (*what)(struct rig *),
			       uint32_t n_alive)
{
	memcpy(r->kept, r->records, sizeof(r->kept));
	for (int64_t at = 0; killed(r, what, at); at++) {
		records_are_usable(r, n_alive);
		memcpy(r->records, r->kept, sizeof(r->kept));
	}
	records_are_usable(r, n_alive);
}

static void a_reader_may_die_at_any_store(void)
{
	struct rig r = rig_new();

	kill_at_each_store(&r, read_all, 0);
	CHECK(r.n_kills >= 11);
	/* The same when all records are those of the dead, inside. */
	for (uint32_t i = 0; i < N; i++)
		r.records[i] =
			(struct sluice_section){.owner = sluice_owner_of(0) - 1,
						.word = 2 * i + 1};
	kill_at_each_store(&r, read_all, 0);
	printf("# %u readers killed\n", r.n_kills);
	CHECK(r.n_kills >= 22);
	munmap(r.records, sizeof(r.kept));
}

static void a_writer_may_die_at_any_store(void)
{
	struct rig r = rig_new();

	r.records[0] = (struct sluice_section){.owner = sluice_owner_of(0) - 1,
					       .word = 1};
	r.records[1] =
		(struct sluice_section){.owner = sluice_owner_of(0), .word = 5};
	kill_at_each_store(&r, write_all, 1);
	CHECK_EQ(r.records[1].fence, 5);
	printf("# %u writers killed\n", r.n_kills);
	CHECK_EQ(r.n_kills, 2);
	munmap(r.records, sizeof(r.kept));
}

static void reset(struct rig *r)
{
	region_grace_reset(r->records, N);
}

static void who_frees_all_may_die(void)
{
	struct rig r = rig_new();

	for (uint32_t i = 0; i < N; i++)
		r.records[i] =
			(struct sluice_section){.owner = sluice_owner_of(0) - 1,
						.word = 1};
	kill_at_each_store(&r, reset, 0);
	CHECK_EQ(r.n_kills, N);
	munmap(r.records, sizeof(r.kept));
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(a_reader_may_die_at_any_store);
	TEST(a_writer_may_die_at_any_store);
	TEST(who_frees_all_may_die);
	return test_done();
}
