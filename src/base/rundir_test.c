/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rundir.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test.h"

static char tmp[] = "/tmp/sluice-rundir-XXXXXX";

static void the_variable_alone_decides(void)
{
	char dir[RUNDIR_LEN], path[RUNDIR_PATH_LEN], want[RUNDIR_PATH_LEN];

	setenv("SLUICE_RUN_DIR", tmp, 1);
	CHECK(rundir_place(0, dir) && strcmp(dir, tmp) == 0);
	CHECK(!rundir_place(1, dir));
	CHECK_EQ(rundir_make("s0", path, NULL), 0);
	snprintf(want, sizeof(want), "%s/s0", tmp);
	CHECK(strcmp(path, want) == 0);
	CHECK(access(want, W_OK) == 0);
	CHECK_EQ(rundir_make("s0", path, NULL), 0);
	rmdir(want);
}

static void without_it_three_places_are_looked_at(void)
{
	char dir[RUNDIR_LEN];

	unsetenv("SLUICE_RUN_DIR");
	setenv("XDG_RUNTIME_DIR", tmp, 1);
	CHECK(rundir_place(0, dir) && strcmp(dir, "/run/sluice") == 0);
	CHECK(rundir_place(1, dir) && strstr(dir, tmp) == dir);
	CHECK(rundir_place(2, dir) && strstr(dir, "/tmp/sluice-") == dir);
	CHECK(!rundir_place(3, dir));
	unsetenv("XDG_RUNTIME_DIR");
	CHECK(rundir_place(1, dir) && strstr(dir, "/tmp/sluice-") == dir);
	CHECK(!rundir_place(2, dir));
}

static void what_cannot_be_a_name_is_refused(void)
{
	static const char *const bad[] =
		{"", "a/b", "..", ".x",
		 "0123456789012345678901234567890123456"};
	char path[RUNDIR_PATH_LEN], longer[RUNDIR_LEN + 1];

	setenv("SLUICE_RUN_DIR", tmp, 1);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_EQ(rundir_make(bad[i], path, NULL), -EINVAL);
	CHECK_EQ(rundir_make(NULL, path, NULL), -EINVAL);
	memset(longer, 'x', RUNDIR_LEN);
	longer[RUNDIR_LEN] = '\0';
	setenv("SLUICE_RUN_DIR", longer, 1);
	CHECK_EQ(rundir_make("s0", path, NULL), -ENAMETOOLONG);
}

static void a_link_in_its_place_is_not_followed(void)
{
	char path[RUNDIR_PATH_LEN], link[RUNDIR_PATH_LEN];

	snprintf(link, sizeof(link), "%s/l", tmp);
	CHECK(symlink("/tmp", link) == 0);
	setenv("SLUICE_RUN_DIR", link, 1);
	CHECK_EQ(rundir_make("s0", path, NULL), -EACCES);
	unlink(link);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	if (!mkdtemp(tmp))
		return 1;
	TEST(the_variable_alone_decides);
	TEST(without_it_three_places_are_looked_at);
	TEST(what_cannot_be_a_name_is_refused);
	TEST(a_link_in_its_place_is_not_followed);
	rmdir(tmp);
	return test_done();
}
