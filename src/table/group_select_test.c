/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "table/group_fake.h"

#define ALL_UP (~0ull)

/* ---- Select: shares. ---- */

static void count_slots(struct fixture *f, uint32_t id, uint32_t *n)
{
	struct sluice_group_at g;
	const uint8_t *slots;

	memset(n, 0, 256 * sizeof(*n));
	must(table_group_find(f->groups, id, &g));
	slots = (const uint8_t *)g.slots;
	for (uint32_t i = 0; i < SLUICE_GROUP_SLOTS; i++)
		n[slots[i]]++;
}

static void shares_are_right_within_a_slot(void)
{
	struct rng rng = rng_of(test_seed());
	struct group_bucket b[SLUICE_GROUP_BUCKETS_MAX];
	uint32_t n_slots[256];
	struct fixture f;

	fixture_init(&f, 10, 10);
	for (uint32_t round = 0; round < 500; round++) {
		uint32_t n = 1 + rng_below(&rng, SLUICE_GROUP_BUCKETS_MAX);
		uint32_t max = 1u << rng_below(&rng, 17);
		double sum = 0;

		for (uint32_t i = 0; i < n; i++) {
			b[i] = bucket_to(i % 64, rng_below(&rng, max));
			sum += b[i].weight;
		}
		if (sum == 0) {
			b[0].weight = 1;
			sum = 1;
		}
		CHECK_EQ(set(&f, 1, SLUICE_GROUP_SELECT, b, n), 0);
		count_slots(&f, 1, n_slots);
		for (uint32_t i = 0; i < n; i++) {
			double share = b[i].weight / sum * SLUICE_GROUP_SLOTS;

			CHECK(fabs(n_slots[i] - share) < 1);
			CHECK(b[i].weight || !n_slots[i]);
		}
		fixture_reclaim(&f);
	}
	fixture_fini(&f);
}

/*
 * Chi-square over the buckets against the slots' shares; the bound is exceeded
 * by chance once in a million (Wilson and Hilferty's approximation).
 */
static void packets_follow_the_shares(void)
{
	const uint32_t n = 16, n_keys = 400000;
	struct group_bucket b[16];
	uint32_t n_slots[256], seen[64] = {0};
	struct fixture f;
	double chi2 = 0, k = n - 1, q;

	fixture_init(&f, 10, 10);
	for (uint32_t i = 0; i < n; i++)
		b[i] = bucket_to(i + 1, 1 + i);
	CHECK_EQ(set(&f, 1, SLUICE_GROUP_SELECT, b, n), 0);
	count_slots(&f, 1, n_slots);
	/* Keys as they come: counted up in two fields. */
	for (uint32_t i = 0; i < n_keys; i++) {
		struct sluice_key key = {.in_port = 1};

		key.ip_src[15] = (uint8_t)i;
		key.ip_src[14] = (uint8_t)(i >> 8);
		key.tp_src.be = (uint16_t)(i >> 16);
		seen[goes_to(&f, 1, &key, ALL_UP)]++;
	}
	CHECK_EQ(seen[0], 0);
	for (uint32_t i = 0; i < n; i++) {
		double want = (double)n_keys * n_slots[i] / SLUICE_GROUP_SLOTS;

		chi2 += (seen[i + 1] - want) * (seen[i + 1] - want) / want;
	}
	q = 1 - 2 / (9 * k) + 4.75 * sqrt(2 / (9 * k));
	printf("# chi-square %.1f, at most %.1f\n", chi2, k * q * q * q);
	/* The hash is universal, not random: give it twice the room. */
	CHECK(chi2 < 2 * k * q * q * q);
	fixture_fini(&f);
}

static void only_the_chosen_fields_decide(void)
{
	struct rng rng = rng_of(test_seed());
	struct group_bucket b[16];
	struct group_conf conf = conf_of(SLUICE_GROUP_SELECT, b, 16);
	struct fixture f;
	uint32_t n_differ = 0;

	for (uint32_t i = 0; i < 16; i++)
		b[i] = bucket_to(i + 1, 1);
	memset(&conf.mask, 0, sizeof(conf.mask));
	memset(conf.mask.ip_src, 0xff, 16);
	fixture_init(&f, 10, 10);
	CHECK_EQ(table_group_set(f.groups, 1, &conf, NULL), 0);
	for (uint32_t i = 0; i < 1000; i++) {
		struct sluice_key x = random_key(&rng), y = random_key(&rng);
		uint32_t port = goes_to(&f, 1, &x, ALL_UP);

		memcpy(y.ip_src, x.ip_src, 16);
		CHECK_EQ(goes_to(&f, 1, &y, ALL_UP), port);
		y.ip_src[i % 16] ^= (uint8_t)(1u << i % 8);
		n_differ += goes_to(&f, 1, &y, ALL_UP) != port;
	}
	CHECK(n_differ > 850);
	fixture_fini(&f);
}

static void both_directions_go_one_way(void)
{
	struct rng rng = rng_of(test_seed());
	struct group_bucket b[16];
	struct group_conf conf = conf_of(SLUICE_GROUP_SELECT, b, 16);
	uint32_t n_same = 0;
	struct fixture f;

	for (uint32_t i = 0; i < 16; i++)
		b[i] = bucket_to(i + 1, 1);
	conf.is_symmetric = true;
	conf.mask.in_port = 0;
	fixture_init(&f, 10, 10);
	CHECK_EQ(table_group_set(f.groups, 1, &conf, NULL), 0);
	conf.is_symmetric = false;
	CHECK_EQ(table_group_set(f.groups, 2, &conf, NULL), 0);
	for (uint32_t i = 0; i < 1000; i++) {
		struct sluice_key x = random_key(&rng), y = x;

		memcpy(y.ip_src, x.ip_dst, 16);
		memcpy(y.ip_dst, x.ip_src, 16);
		memcpy(y.eth_src, x.eth_dst, 6);
		memcpy(y.eth_dst, x.eth_src, 6);
		y.tp_src = x.tp_dst;
		y.tp_dst = x.tp_src;
		CHECK_EQ(goes_to(&f, 1, &x, ALL_UP),
			 goes_to(&f, 1, &y, ALL_UP));
		n_same += goes_to(&f, 2, &x, ALL_UP) ==
			  goes_to(&f, 2, &y, ALL_UP);
		/* Yet each field counts. */
		y.tp_dst.be ^= 1;
		n_same += goes_to(&f, 1, &x, ALL_UP) ==
			  goes_to(&f, 1, &y, ALL_UP);
	}
	CHECK(n_same < 300);
	fixture_fini(&f);
}

static void chained_groups_do_not_choose_alike(void)
{
	struct rng rng = rng_of(test_seed());
	struct group_bucket b[4] = {bucket_to(1, 1), bucket_to(2, 1),
				    bucket_to(3, 1), bucket_to(4, 1)};
	uint32_t n[5][5] = {{0}};
	struct fixture f;

	fixture_init(&f, 10, 10);
	CHECK_EQ(set(&f, 1, SLUICE_GROUP_SELECT, b, 4), 0);
	CHECK_EQ(set(&f, 2, SLUICE_GROUP_SELECT, b, 4), 0);
	for (uint32_t i = 0; i < 16000; i++) {
		struct sluice_key key = random_key(&rng);

		n[goes_to(&f, 1, &key, ALL_UP)][goes_to(&f, 2, &key, ALL_UP)]++;
	}
	for (uint32_t i = 1; i < 5; i++)
		for (uint32_t j = 1; j < 5; j++)
			CHECK(n[i][j] > 800 && n[i][j] < 1200);
	fixture_fini(&f);
}

/* ---- Select: who moves when a group changes. ---- */

/* Slots whose bucket, named by its action, is another one than before. */
static uint32_t n_changed(struct fixture *f, const uint64_t *before)
{
	struct sluice_group_at g;
	uint32_t n = 0;

	must(table_group_find(f->groups, 1, &g));
	for (uint32_t i = 0; i < SLUICE_GROUP_SLOTS; i++)
		n += g.buckets[((const uint8_t *)g.slots)[i]].act != before[i];
	return n;
}

static void slots_take(struct fixture *f, uint64_t *acts)
{
	struct sluice_group_at g;

	must(table_group_find(f->groups, 1, &g));
	for (uint32_t i = 0; i < SLUICE_GROUP_SLOTS; i++)
		acts[i] = g.buckets[((const uint8_t *)g.slots)[i]].act;
}

/* A port that no bucket outputs to. */
static uint32_t unused_port(const struct group_bucket *b, uint32_t n)
{
	uint64_t used = 1;

	for (uint32_t i = 0; i < n; i++)
		used |= 1ull << sluice_act_arg(b[i].act);
	return (uint32_t)__builtin_ctzll(~used);
}

static uint32_t add_bucket(struct group_bucket *b, uint32_t n, uint32_t weight)
{
	b[n] = bucket_to(unused_port(b, n), weight);
	return n + 1;
}

static void slots_that_change_hands_are_as_few_as_can_be(void)
{
	struct rng rng = rng_of(test_seed());
	uint64_t acts[SLUICE_GROUP_SLOTS];
	uint32_t had[64], has[64];
	struct group_bucket b[60];
	uint32_t n = 20;
	struct fixture f;

	fixture_init(&f, 10, 10);
	for (uint32_t i = 0; i < n; i++)
		b[i] = bucket_to(i + 1, 1 + rng_below(&rng, 100));
	CHECK_EQ(set(&f, 1, SLUICE_GROUP_SELECT, b, n), 0);
	for (uint32_t round = 0; round < 1000; round++) {
		uint32_t i = rng_below(&rng, n);
		uint32_t least = 0;

		slots_take(&f, acts);
		if (n > 2 && (n > 50 || rng_below(&rng, 3) == 0))
			b[i] = b[--n];
		else if (rng_below(&rng, 2))
			n = add_bucket(b, n, 1 + rng_below(&rng, 100));
		else
			b[i].weight = 1 + rng_below(&rng, 100);
		CHECK_EQ(set(&f, 1, SLUICE_GROUP_SELECT, b, n), 0);
		memset(had, 0, sizeof(had));
		memset(has, 0, sizeof(has));
		for (uint32_t s = 0; s < SLUICE_GROUP_SLOTS; s++)
			had[(uint8_t)acts[s]]++;
		i = n_changed(&f, acts);
		slots_take(&f, acts);
		for (uint32_t s = 0; s < SLUICE_GROUP_SLOTS; s++)
			has[(uint8_t)acts[s]]++;
		for (uint32_t p = 0; p < 64; p++)
			least += has[p] > had[p] ? has[p] - had[p] : 0;
		CHECK_EQ(i, least);
		fixture_reclaim(&f);
	}
	fixture_fini(&f);
}

/* Without a memory of what was, as Maglev: nearly as few. */
static void a_group_made_anew_is_much_like_before(void)
{
	uint64_t acts[SLUICE_GROUP_SLOTS];
	struct group_bucket b[20];
	struct fixture f;

	fixture_init(&f, 10, 10);
	for (uint32_t i = 0; i < 20; i++)
		b[i] = bucket_to(i + 1, 1);
	CHECK_EQ(set(&f, 1, SLUICE_GROUP_SELECT, b, 20), 0);
	slots_take(&f, acts);
	CHECK_EQ(table_group_del(f.groups, 1, NULL), 0);
	CHECK_EQ(set(&f, 1, SLUICE_GROUP_SELECT, b, 20), 0);
	CHECK_EQ(n_changed(&f, acts), 0);
	CHECK_EQ(table_group_del(f.groups, 1, NULL), 0);
	b[7] = b[19];
	CHECK_EQ(set(&f, 1, SLUICE_GROUP_SELECT, b, 19), 0);
	printf("# one of 20 went, made anew: %u of 1024 slots differ\n",
	       n_changed(&f, acts));
	CHECK(n_changed(&f, acts) < 1024 / 3);
	fixture_fini(&f);
}

/* ---- Select: ports that go down. ---- */

static void packets_of_live_buckets_stay_when_a_port_goes_down(void)
{
	struct rng rng = rng_of(test_seed());
	struct group_bucket b[10];
	uint32_t n[64] = {0};
	struct fixture f;

	fixture_init(&f, 10, 10);
	for (uint32_t i = 0; i < 10; i++) {
		b[i] = bucket_watching(i + 1);
		b[i].weight = i < 5 ? 1 : 3;
	}
	CHECK_EQ(set(&f, 1, SLUICE_GROUP_SELECT, b, 10), 0);
	for (uint32_t i = 0; i < 40000; i++) {
		struct sluice_key key = random_key(&rng);
		uint64_t down = rng_next(&rng) & 0x7fe;
		uint32_t port = goes_to(&f, 1, &key, ALL_UP);
		uint32_t other = goes_to(&f, 1, &key, ~down);

		if (!(down >> port & 1))
			CHECK_EQ(other, port);
		else
			CHECK(down == 0x7fe ? !other
					    : other && !(down >> other & 1));
		/* Those of port 6 are spread by weight. */
		if (port == 6)
			n[goes_to(&f, 1, &key, ~(1ull << 6))]++;
	}
	CHECK_EQ(n[0] + n[6], 0);
	for (uint32_t i = 1; i < 11; i++) {
		uint32_t want = (i <= 5 ? 1 : 3) * 6000 / 17;

		if (i != 6)
			CHECK(n[i] > want / 2 && n[i] < want * 2);
	}
	CHECK_EQ(goes_to(&f, 1, &(struct sluice_key){0}, 0), 0);
	fixture_fini(&f);
}

static void a_bucket_of_no_weight_is_never_chosen(void)
{
	struct group_bucket b[3] = {bucket_to(1, 0), bucket_watching(2),
				    bucket_to(3, 0)};
	struct rng rng = rng_of(test_seed());
	struct fixture f;

	fixture_init(&f, 10, 10);
	CHECK_EQ(set(&f, 1, SLUICE_GROUP_SELECT, b, 3), 0);
	for (uint32_t i = 0; i < 1000; i++) {
		struct sluice_key key = random_key(&rng);

		CHECK_EQ(goes_to(&f, 1, &key, 4), 2);
		CHECK_EQ(goes_to(&f, 1, &key, 0), 0);
	}
	fixture_fini(&f);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(shares_are_right_within_a_slot);
	TEST(packets_follow_the_shares);
	TEST(only_the_chosen_fields_decide);
	TEST(both_directions_go_one_way);
	TEST(chained_groups_do_not_choose_alike);
	TEST(slots_that_change_hands_are_as_few_as_can_be);
	TEST(a_group_made_anew_is_much_like_before);
	TEST(packets_of_live_buckets_stay_when_a_port_goes_down);
	TEST(a_bucket_of_no_weight_is_never_chosen);
	return test_done();
}
