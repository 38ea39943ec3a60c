/* SPDX-License-Identifier: Apache-2.0 */
#include "region/account.h"

#include <errno.h>
#include <unistd.h>

#include "base/must.h"
#include "base/test.h"
#include "sluice/reader.h"

static const struct sluice_account *record(const struct region *r, uint32_t no)
{
	const struct sluice_table_desc *d =
		region_table(r, SLUICE_TABLE_ACCOUNTS);
	const struct sluice_account *a =
		region_at(r, d->off, (no + 1) * sizeof(*a));

	must(a);
	return &a[no];
}

static int add(struct region *r, uint32_t kind, uint64_t len, uint16_t account,
	       struct why *why)
{
	struct sluice_table_desc d = {
		.name = "thing",
		.kind = kind,
		.alg = SLUICE_ALG_ARRAY,
		.n_max = 1,
		.len = len,
		.value_len = 8,
		.account = account,
	};
	uint32_t off;
	int err = region_table_add(r, &d, &off, why);

	if (!err)
		region_table_publish(r);
	return err;
}

static struct region *region_with_accounts(void)
{
	struct region *r;

	must(!region_new_memfd("accounts", 1 << 20, false, &r, NULL));
	must(!account_table_new(r, 4, NULL));
	return r;
}

static void tables_are_charged_within_limits(void)
{
	struct region *r = region_with_accounts();
	struct why why = {0};

	CHECK(!account_set(r, 1, "red", 10000, NULL));
	CHECK_EQ(account_used(r, 0), 4 * sizeof(struct sluice_account));
	CHECK_EQ(add(r, SLUICE_TABLE_OWN, 6000, 1, NULL), 0);
	CHECK_EQ(account_used(r, 1), 6000);
	CHECK_EQ(add(r, SLUICE_TABLE_OWN + 1, 4001, 1, &why), -EDQUOT);
	CHECK(strstr(why.text, "'red'") && strstr(why.text, "10000") &&
	      strstr(why.text, "6000") && strstr(why.text, "4001") &&
	      strstr(why.text, "'thing'"));
	CHECK_EQ(add(r, SLUICE_TABLE_OWN + 1, 4000, 1, NULL), 0);
	CHECK_EQ(add(r, SLUICE_TABLE_OWN + 2, 1, 1, NULL), -EDQUOT);
	CHECK_EQ(add(r, SLUICE_TABLE_OWN + 2, 1, 4, NULL), -EINVAL);
	CHECK_EQ(add(r, SLUICE_TABLE_OWN + 2, 1, 0, NULL), 0);
	CHECK_EQ(record(r, 1)->used_bytes, 10000);
	CHECK_EQ(record(r, 1)->n_refused, 2);
	CHECK(!strcmp(record(r, 1)->name, "red"));
	CHECK(!strcmp(record(r, 0)->name, "region"));
	CHECK(!account_set(r, 1, "red", 20000, NULL));
	CHECK_EQ(add(r, SLUICE_TABLE_OWN + 3, 10000, 1, NULL), 0);
	/* Less than it has: nothing more. */
	CHECK(!account_set(r, 1, "red", 5, NULL));
	CHECK_EQ(add(r, SLUICE_TABLE_OWN + 4, 1, 1, NULL), -EDQUOT);
	region_free(r);
}

static void what_is_used_is_counted_anew(void)
{
	struct region *r = region_with_accounts();
	struct sluice_account *shared;
	struct region *next;
	int fd;

	CHECK(!account_set(r, 2, "blue", 7000, NULL));
	CHECK_EQ(add(r, SLUICE_TABLE_OWN, 6000, 2, NULL), 0);
	shared = (struct sluice_account *)(uintptr_t)record(r, 0);
	shared[2].used_bytes = 1;
	shared[0].used_bytes = ~0ull;
	fd = dup(r->fd);
	region_free(r);
	must(!region_adopt(fd, &next, NULL));
	CHECK_EQ(account_used(next, 2), 6000);
	CHECK_EQ(account_used(next, 0), 4 * sizeof(struct sluice_account));
	CHECK_EQ(record(next, 2)->used_bytes, 6000);
	CHECK_EQ(add(next, SLUICE_TABLE_OWN + 1, 1001, 2, NULL), -EDQUOT);
	CHECK_EQ(add(next, SLUICE_TABLE_OWN + 1, 1000, 2, NULL), 0);
	region_free(next);
}

static void a_region_without_accounts_has_one(void)
{
	struct region *r;

	must(!region_new_memfd("none", 1 << 20, false, &r, NULL));
	CHECK_EQ(add(r, SLUICE_TABLE_OWN, 1000, 0, NULL), 0);
	CHECK_EQ(add(r, SLUICE_TABLE_OWN + 1, 1000, 1, NULL), -EINVAL);
	CHECK_EQ(account_used(r, 0), 0);
	CHECK(account_is(r, 0) && !account_is(r, 1));
	/* It can have them later; what is there is charged. */
	CHECK(!account_table_new(r, 2, NULL));
	CHECK_EQ(account_used(r, 0), 1000 + 2 * sizeof(struct sluice_account));
	region_free(r);
}

static void names_and_numbers_are_checked(void)
{
	struct region *r = region_with_accounts();

	CHECK_EQ(account_set(r, 4, "x", 1, NULL), -EINVAL);
	CHECK_EQ(account_set(r, 1, "", 1, NULL), -EINVAL);
	CHECK_EQ(account_set(r, 1, "12345678901234567890123456789012", 1, NULL),
		 -EINVAL);
	CHECK_EQ(account_set(r, 1, "1234567890123456789012345678901", 1, NULL),
		 0);
	CHECK_EQ(account_table_new(r, 2, NULL), -EEXIST);
	region_free(r);
	must(!region_new_memfd("none", 1 << 20, false, &r, NULL));
	CHECK_EQ(account_table_new(r, 0, NULL), -EINVAL);
	CHECK_EQ(account_table_new(r, SLUICE_ACCOUNTS_MAX + 1, NULL), -EINVAL);
	region_free(r);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(tables_are_charged_within_limits);
	TEST(what_is_used_is_counted_anew);
	TEST(a_region_without_accounts_has_one);
	TEST(names_and_numbers_are_checked);
	return test_done();
}
