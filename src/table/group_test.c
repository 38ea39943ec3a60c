/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "table/group_fake.h"

#define ALL_UP (~0ull)

/* Is it refused with this errno, under this name? */
static bool refused(struct fixture *f, uint32_t id,
		    const struct group_conf *conf, int err, const char *name)
{
	struct why why = {0};
	int got = table_group_set(f->groups, id, conf, &why);

	if (got != err || !strstr(why.text, name))
		printf("# %d %s\n", got, why.text);
	return got == err && strstr(why.text, name);
}

/* ---- Types. ---- */

static void an_indirect_group_has_one_bucket(void)
{
	struct group_bucket b[2] = {bucket_to(3, 0), bucket_to(4, 0)};
	struct group_conf conf = conf_of(SLUICE_GROUP_INDIRECT, b, 1);
	struct sluice_key key = {0};
	struct fixture f;

	fixture_init(&f, 10, 10);
	CHECK_EQ(goes_to(&f, 7, &key, ALL_UP), 0);
	CHECK_EQ(table_group_set(f.groups, 7, &conf, NULL), 0);
	CHECK_EQ(goes_to(&f, 7, &key, ALL_UP), 3);
	conf.n_buckets = 2;
	CHECK(refused(&f, 7, &conf, -EINVAL, "OFPGMFC_INVALID_GROUP"));
	conf.n_buckets = 0;
	CHECK(refused(&f, 7, &conf, -EINVAL, "OFPGMFC_INVALID_GROUP"));
	CHECK_EQ(goes_to(&f, 7, &key, ALL_UP), 3);
	CHECK_EQ(table_group_del(f.groups, 7, NULL), 0);
	CHECK_EQ(goes_to(&f, 7, &key, ALL_UP), 0);
	CHECK_EQ(table_group_n_used(f.groups), 0);
	fixture_fini(&f);
}

static void fast_failover_takes_the_first_live(void)
{
	struct group_bucket b[3] = {bucket_watching(3), bucket_watching(4),
				    bucket_watching(5)};
	struct sluice_key key = {0};
	struct fixture f;

	fixture_init(&f, 10, 10);
	CHECK_EQ(set(&f, 1, SLUICE_GROUP_FF, b, 3), 0);
	for (uint64_t up = 0; up < 64; up++) {
		uint32_t port = up & 8 ? 3 : up & 16 ? 4 : up & 32 ? 5 : 0;

		CHECK_EQ(goes_to(&f, 1, &key, up), port);
	}
	fixture_fini(&f);
}

static void an_all_group_is_the_engines_business(void)
{
	struct group_bucket b[3] = {bucket_to(1, 0), bucket_to(2, 0),
				    bucket_to(3, 0)};
	struct sluice_key key;
	struct sluice_group_choice c = {0};
	struct fixture f;
	struct sluice_group_packet p = {&key, 0, 0};

	memset(&key, 0, sizeof(key));
	fixture_init(&f, 10, 10);
	p.version = sluice_version(f.region->head);
	CHECK_EQ(set(&f, 1, SLUICE_GROUP_ALL, b, 3), 0);
	CHECK_EQ(sluice_group_resolve(table_group_view(f.groups), 1, &p, &c),
		 SLUICE_YES);
	CHECK_EQ(c.act.w, sluice_act_of(SLUICE_ACT_GROUP, 1).w);
	CHECK_EQ(c.group.type, SLUICE_GROUP_ALL);
	CHECK_EQ(c.group.n_buckets, 3);
	for (uint32_t i = 0; i < 3; i++)
		CHECK_EQ(sluice_act_arg(sluice_group_act(&c.group, i)), i + 1);
	/* One without buckets drops. */
	CHECK_EQ(set(&f, 1, SLUICE_GROUP_ALL, b, 0), 0);
	CHECK_EQ(set(&f, 2, SLUICE_GROUP_SELECT, b, 0), 0);
	CHECK_EQ(goes_to(&f, 1, &key, ALL_UP), 0);
	CHECK_EQ(goes_to(&f, 2, &key, ALL_UP), 0);
	fixture_fini(&f);
}

/* ---- What is refused. ---- */

static void one_group_is_checked(void)
{
	static struct group_bucket b[SLUICE_GROUP_BUCKETS_MAX + 1];
	struct group_conf conf = conf_of(SLUICE_GROUP_SELECT, b, 2);
	struct fixture f;

	for (uint32_t i = 0; i <= SLUICE_GROUP_BUCKETS_MAX; i++)
		b[i] = bucket_to(1 + i % 63, 1);
	fixture_init(&f, 2, 10);
	CHECK(refused(&f, SLUICE_GROUP_ID_MAX + 1, &conf, -EINVAL,
		      "OFPGMFC_INVALID_GROUP"));
	conf.n_buckets = SLUICE_GROUP_BUCKETS_MAX + 1;
	CHECK(refused(&f, 1, &conf, -ENOSPC, "OFPGMFC_OUT_OF_BUCKETS"));
	conf.n_buckets = 2;
	conf.type = (enum sluice_group_type)4;
	CHECK(refused(&f, 1, &conf, -EINVAL, "OFPGMFC_BAD_TYPE"));
	conf.type = SLUICE_GROUP_FF;
	CHECK(refused(&f, 1, &conf, -EINVAL, "OFPGMFC_INVALID_GROUP"));
	conf.type = SLUICE_GROUP_SELECT;
	b[1].watch_port = 64;
	CHECK(refused(&f, 1, &conf, -EINVAL, "OFPGMFC_BAD_WATCH"));
	b[1].watch_port = 0;
	b[1].watch_group = 5;
	CHECK(refused(&f, 1, &conf, -EINVAL, "OFPGMFC_BAD_WATCH"));
	b[1] = bucket_to(1, 65536);
	CHECK(refused(&f, 1, &conf, -EINVAL, "OFPGMFC_WEIGHT_UNSUPPORTED"));
	b[0].weight = 0;
	b[1].weight = 0;
	CHECK(refused(&f, 1, &conf, -EINVAL, "OFPGMFC_WEIGHT_UNSUPPORTED"));
	b[1] = bucket_to(64, 1);
	CHECK(refused(&f, 1, &conf, -EINVAL, "OFPGMFC_BAD_BUCKET"));
	b[1].act.w = 99ull << 56;
	CHECK(refused(&f, 1, &conf, -EINVAL, "OFPGMFC_BAD_BUCKET"));
	b[1] = bucket_on(9);
	CHECK(refused(&f, 1, &conf, -EINVAL, "OFPBAC_BAD_OUT_GROUP"));
	b[1] = bucket_on(1);
	CHECK(refused(&f, 1, &conf, -EINVAL, "OFPGMFC_LOOP"));
	CHECK_EQ(table_group_del(f.groups, 1, NULL), -ENOENT);
	/* Nothing of all that has left anything. */
	CHECK_EQ(heap_n_pages_used(f.heap), 0);
	conf.n_buckets = SLUICE_GROUP_BUCKETS_MAX;
	b[0] = bucket_to(1, 1);
	b[1] = bucket_to(2, 1);
	CHECK_EQ(table_group_set(f.groups, 1, &conf, NULL), 0);
	CHECK_EQ(table_group_set(f.groups, 2, &conf, NULL), 0);
	CHECK(refused(&f, 3, &conf, -ENOSPC, "OFPGMFC_OUT_OF_GROUPS"));
	fixture_fini(&f);
}

static void chains_are_checked(void)
{
	struct group_bucket b = bucket_to(1, 1);
	struct group_bucket on[6];
	struct group_conf conf = conf_of(SLUICE_GROUP_INDIRECT, &b, 1);
	struct why why = {0};
	struct fixture f;

	fixture_init(&f, 20, 10);
	CHECK_EQ(table_group_set(f.groups, 1, &conf, NULL), 0);
	for (uint32_t i = 2; i < 6; i++) {
		on[i] = bucket_on(i - 1);
		conf.buckets = &on[i];
		if (i == 5)
			CHECK(refused(&f, i, &conf, -EINVAL,
				      "OFPGMFC_CHAINING_UNSUPPORTED"));
		else
			CHECK_EQ(table_group_set(f.groups, i, &conf, NULL), 0);
	}
	CHECK_EQ(goes_to(&f, 4, &(struct sluice_key){0}, 0), 1);
	/* From below it would be as deep. */
	conf.buckets = &b;
	CHECK_EQ(table_group_set(f.groups, 9, &conf, NULL), 0);
	on[0] = bucket_on(9);
	conf.buckets = &on[0];
	CHECK(refused(&f, 1, &conf, -EINVAL, "OFPGMFC_CHAINING_UNSUPPORTED"));
	on[0] = bucket_on(3);
	CHECK(refused(&f, 1, &conf, -EINVAL, "OFPGMFC_LOOP"));
	on[0] = bucket_to(1, 1);
	on[0].watch_group = 4;
	CHECK(refused(&f, 1, &conf, -EINVAL, "OFPGMFC_LOOP"));
	CHECK_EQ(table_group_del(f.groups, 1, &why), -EINVAL);
	CHECK(strstr(why.text, "OFPGMFC_CHAINED_GROUP: group 2"));
	CHECK_EQ(table_group_del(f.groups, 4, NULL), 0);
	CHECK_EQ(table_group_del(f.groups, 3, NULL), 0);
	CHECK_EQ(table_group_del(f.groups, 2, NULL), 0);
	CHECK_EQ(table_group_del(f.groups, 1, NULL), 0);
	fixture_fini(&f);
}

static void a_watched_group_lives_by_its_ports(void)
{
	struct group_bucket two[2] = {bucket_watching(2), bucket_watching(3)};
	struct group_bucket one[2] = {bucket_to(7, 1), bucket_watching(8)};
	struct group_bucket top[2] = {bucket_to(9, 1), bucket_watching(10)};
	struct sluice_key key = {0};
	struct fixture f;

	fixture_init(&f, 20, 10);
	one[0].watch_group = 1;
	top[0].watch_group = 2;
	CHECK_EQ(set(&f, 1, SLUICE_GROUP_FF, two, 2), 0);
	CHECK_EQ(set(&f, 2, SLUICE_GROUP_FF, one, 2), 0);
	CHECK_EQ(set(&f, 3, SLUICE_GROUP_FF, top, 2), 0);
	CHECK_EQ(goes_to(&f, 2, &key, 1 << 3 | 1 << 8), 7);
	CHECK_EQ(goes_to(&f, 2, &key, 1 << 4 | 1 << 8), 8);
	CHECK_EQ(goes_to(&f, 3, &key, 1 << 2 | 1 << 10), 9);
	CHECK_EQ(goes_to(&f, 3, &key, 1 << 8 | 1 << 10), 9);
	CHECK_EQ(goes_to(&f, 3, &key, 1 << 4 | 1 << 10), 10);
	/* The lowest group changes; the two above hear of it. */
	two[1] = bucket_watching(4);
	CHECK_EQ(set(&f, 1, SLUICE_GROUP_FF, two, 2), 0);
	CHECK_EQ(goes_to(&f, 2, &key, 1 << 4 | 1 << 8), 7);
	CHECK_EQ(goes_to(&f, 2, &key, 1 << 3 | 1 << 8), 8);
	CHECK_EQ(goes_to(&f, 3, &key, 1 << 4 | 1 << 10), 9);
	CHECK_EQ(goes_to(&f, 3, &key, 1 << 3 | 1 << 10), 10);
	/* So it is after the writer's death. */
	fixture_leave(&f);
	fixture_come(&f);
	CHECK_EQ(goes_to(&f, 3, &key, 1 << 4 | 1 << 10), 9);
	two[1] = bucket_watching(5);
	CHECK_EQ(set(&f, 1, SLUICE_GROUP_FF, two, 2), 0);
	CHECK_EQ(goes_to(&f, 3, &key, 1 << 5 | 1 << 10), 9);
	CHECK_EQ(goes_to(&f, 3, &key, 1 << 4 | 1 << 10), 10);
	fixture_fini(&f);
}

/* Until a set is settled, readers of both versions are about. */
static void a_watched_group_changes_in_a_set(void)
{
	struct group_bucket low = bucket_watching(2);
	struct group_bucket top[2] = {bucket_to(7, 1), bucket_watching(8)};
	struct group_conf conf = conf_of(SLUICE_GROUP_FF, &low, 1);
	struct sluice_group_key id = {.id = 1};
	struct sluice_key key = {0};
	struct change_item item = {.kind = CHANGE_SET,
				   .key = &id,
				   .value = &conf};
	struct fixture f;
	uint32_t bad;

	fixture_init(&f, 20, 10);
	top[0].watch_group = 1;
	CHECK_EQ(table_group_set(f.groups, 1, &conf, NULL), 0);
	CHECK_EQ(set(&f, 2, SLUICE_GROUP_FF, top, 2), 0);
	low = bucket_watching(4);
	item.table = table_group_change(f.groups);
	CHECK_EQ(change_apply(f.log, &item, 1, &bad, NULL), 0);
	CHECK_EQ(goes_to(&f, 2, &key, 1 << 2 | 1 << 8), 7);
	CHECK_EQ(goes_to(&f, 2, &key, 1 << 4 | 1 << 8), 7);
	change_settle(f.log, change_mark(f.log), UINT64_MAX);
	CHECK_EQ(goes_to(&f, 2, &key, 1 << 2 | 1 << 8), 8);
	CHECK_EQ(goes_to(&f, 2, &key, 1 << 4 | 1 << 8), 7);
	fixture_fini(&f);
}

static void bodies_move_off_sparse_pages(void)
{
	struct group_bucket b = bucket_to(1, 1);
	struct sluice_key key = {0};
	uint32_t n_pages;
	struct fixture f;

	fixture_init(&f, 400, 60);
	for (uint32_t id = 0; id < 400; id++) {
		b = bucket_to(1 + id % 63, 1);
		CHECK_EQ(set(&f, id, SLUICE_GROUP_SELECT, &b, 1), 0);
	}
	for (uint32_t id = 0; id < 400; id++)
		if (id % 10)
			CHECK_EQ(table_group_del(f.groups, id, NULL), 0);
	fixture_reclaim(&f);
	n_pages = heap_n_pages_used(f.heap);
	while (heap_tidy(f.heap, 7, fixture_move, &f))
		;
	fixture_reclaim(&f);
	CHECK(heap_n_pages_used(f.heap) * 5 < n_pages);
	for (uint32_t id = 0; id < 400; id++)
		CHECK_EQ(goes_to(&f, id, &key, 0), id % 10 ? 0 : 1 + id % 63);
	for (uint32_t id = 0; id < 400; id += 10)
		CHECK_EQ(table_group_del(f.groups, id, NULL), 0);
	fixture_reclaim(&f);
	CHECK_EQ(heap_n_pages_used(f.heap), 0);
	fixture_fini(&f);
}

static void ports_up_are_read_from_their_records(void)
{
	static struct sluice_port ports[SLUICE_PORTS_MAX];

	ports[0].state = SLUICE_PORT_UP;
	ports[1].state = SLUICE_PORT_UP;
	ports[2].state = SLUICE_PORT_FAILED;
	ports[63].state = SLUICE_PORT_UP;
	CHECK_EQ(sluice_ports_up(ports), 1ull << 63 | 2);
}

static void bodies_are_charged(void)
{
	struct group_bucket b = bucket_to(1, 1);
	struct group_conf conf = conf_of(SLUICE_GROUP_SELECT, &b, 1);
	struct fixture f;

	fixture_init(&f, 20, 10);
	conf.account = 2;
	must(!account_set(f.region, 2, "red", 3000, NULL));
	CHECK_EQ(table_group_set(f.groups, 1, &conf, NULL), 0);
	CHECK_EQ(account_used(f.region, 2), 1248);
	CHECK_EQ(table_group_set(f.groups, 2, &conf, NULL), 0);
	CHECK(refused(&f, 3, &conf, -EDQUOT, "'red'"));
	CHECK_EQ(table_group_del(f.groups, 1, NULL), 0);
	fixture_reclaim(&f);
	CHECK_EQ(table_group_set(f.groups, 3, &conf, NULL), 0);
	fixture_fini(&f);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(an_indirect_group_has_one_bucket);
	TEST(fast_failover_takes_the_first_live);
	TEST(an_all_group_is_the_engines_business);
	TEST(one_group_is_checked);
	TEST(chains_are_checked);
	TEST(a_watched_group_lives_by_its_ports);
	TEST(a_watched_group_changes_in_a_set);
	TEST(bodies_move_off_sparse_pages);
	TEST(ports_up_are_read_from_their_records);
	TEST(bodies_are_charged);
	return test_done();
}
