/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BPF programs look addresses up in a table of routes in an arena while a writer
 * in user space changes routes: stable ones are replaced, longer ones inside them
 * come and go, change sets replace both. Every address is in a stable route,
 * all routes inside it have its value, so every answer but that is wrong.
 *
 * And at rest, with a set that is not settled, they find what the host finds.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <pthread.h>

#include "base/must.h"
#include "base/rng.h"
#include "base/test.h"
#include "prefix_probe.skel.h"
#include "sluice/prefix.h"
#include "table/prefix.h"

enum { LOOKS = 1000, N_STABLE = 2000, N_MAX = 3 * N_STABLE };

static uint32_t n_millions = 5;

struct torture {
	bool is_ip6;
	struct region *region;
	struct table_prefix *table;
	struct change_log *log;
	struct prefix_probe_bpf *skel;
	struct rng rng;
	pthread_t thread;
	uint32_t done; /* the reader writes */
	int err;
};

static struct sluice_prefix_key stable_key(const struct torture *t, uint32_t no)
{
	struct sluice_prefix_key k = {.len = t->is_ip6 ? 48 : 24};

	k.addr.hi = t->is_ip6 ? 0x20010d0000000000u | (uint64_t)no << 16
			      : (uint64_t)(10u << 24 | no << 8) << 32;
	return k;
}

/* One inside a stable route. */
static struct sluice_prefix_key inner_key(struct torture *t, uint32_t no)
{
	struct sluice_prefix_key k = stable_key(t, no);
	uint32_t more = 1 + rng_below(&t->rng, t->is_ip6 ? 16 : 8);
	uint64_t bits = rng_next(&t->rng) >> (64 - more);

	k.len += more;
	k.addr.hi |= bits << (64 - k.len);
	return k;
}

static int set(struct torture *t, const struct sluice_prefix_key *k,
	       uint32_t no)
{
	uint64_t value[2] = {no, ~(uint64_t)no};

	return table_prefix_set(t->table, k, value, NULL);
}

static const char *torture_init(struct torture *t)
{
	const struct table_prefix_conf conf = {
		.name = "torture",
		.kind = SLUICE_TABLE_OWN,
		.n_max = N_MAX,
		.n_nodes = N_MAX * 14,
		.key_bits = t->is_ip6 ? 128 : 32,
		.root_bits = 16,
		.value_len = 16,
	};
	struct prefix_probe_bpf *s;
	uint64_t addr;

	t->rng = rng_of(test_seed());
	if (region_new_arena("torture", 16 << 20, &t->region, NULL))
		return "needs root and BPF arenas (Linux 6.9)";
	must(!table_prefix_new(t->region, &conf, &t->table, NULL));
	must(!change_log_new(t->region, &t->log));
	for (uint32_t no = 0; no < N_STABLE; no++) {
		struct sluice_prefix_key k = stable_key(t, no);

		must(!set(t, &k, no));
	}
	s = t->skel = prefix_probe_bpf__open();
	must(s);
	addr = t->region->head->base_addr;
	s->rodata->region_addr = addr;
	s->rodata->table_addr =
		addr + region_table(t->region, SLUICE_TABLE_OWN)->off;
	s->rodata->n_stable = N_STABLE;
	s->rodata->is_ip6 = t->is_ip6;
	s->bss->turn = test_seed();
	must(!bpf_map__reuse_fd(s->maps.arena, t->region->fd));
	must(!prefix_probe_bpf__load(s));
	return NULL;
}

static void torture_fini(struct torture *t)
{
	prefix_probe_bpf__destroy(t->skel);
	change_log_free(t->log);
	table_prefix_free(t->table);
	region_free(t->region);
}

static void change_one(struct torture *t)
{
	uint32_t no = rng_below(&t->rng, N_STABLE);
	struct sluice_prefix_key k = inner_key(t, no);

	if (rng_below(&t->rng, 4) == 0)
		k = stable_key(t, no);
	else if (table_prefix_n_used(t->table) > N_MAX - N_STABLE / 2) {
		const struct sluice_prefix_view *v =
			table_prefix_view(t->table);
		const struct sluice_route *r =
			sluice_prefix_route(v, 1 + rng_below(&t->rng,
							     v->n_routes));

		k = (struct sluice_prefix_key){r->addr, r->len, 0};
		if (!t->is_ip6)
			k.addr.lo = 0;
		if (k.len > stable_key(t, no).len)
			(void)!table_prefix_del(t->table, &k);
		return;
	}
	(void)!set(t, &k, no);
}

static bool change_set(struct torture *t)
{
	struct change_table *ct = table_prefix_change(t->table);
	struct sluice_prefix_key keys[10];
	struct change_item items[10];
	uint64_t values[10][2];
	uint32_t bad;

	for (uint32_t i = 0; i < 10; i++) {
		uint32_t no = rng_below(&t->rng, N_STABLE);

		keys[i] = i % 2 ? stable_key(t, no) : inner_key(t, no);
		values[i][0] = no;
		values[i][1] = ~(uint64_t)no;
		items[i] = (struct change_item){ct, CHANGE_SET, &keys[i],
						values[i]};
	}
	return !change_apply(t->log, items, 10, &bad, NULL);
}

/* Looks up n_millions million addresses, in the kernel. */
static void *look(void *arg)
{
	struct torture *t = arg;
	uint32_t data[16] = {LOOKS};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data,
		    .data_size_in = sizeof(data), .repeat = 1000);
	int fd = bpf_program__fd(t->skel->progs.probe_copy);

	for (uint32_t i = 0; i < n_millions && !t->err; i++)
		t->err = bpf_prog_test_run_opts(fd, &opts);
	sluice_store32_relaxed(&t->done, 1);
	return NULL;
}

/*
 * Single changes, and what they take out is used again at once: readers that
 * copy need no grace period. Sets do, to be settled; here nobody reads.
 */
static void torture(bool is_ip6)
{
	struct torture t = {.is_ip6 = is_ip6};
	const char *cannot = torture_init(&t);
	uint64_t n = 0;

	if (cannot)
		return test_skip(cannot);
	must(!pthread_create(&t.thread, NULL, look, &t));
	while (!sluice_load32_relaxed(&t.done)) {
		for (uint32_t i = 0; i < 100; i++, n++)
			change_one(&t);
		table_prefix_reclaim(t.table, table_prefix_mark(t.table));
	}
	pthread_join(t.thread, NULL);
	CHECK_EQ(t.err, 0);
	printf("# %lu look-ups, %lu changes, %lu busy\n",
	       (unsigned long)t.skel->bss->n_found, (unsigned long)n,
	       (unsigned long)t.skel->bss->n_busy);
	CHECK(n > 1000);
	CHECK_EQ(t.skel->bss->n_missing, 0);
	CHECK_EQ(t.skel->bss->n_wrong, 0);
	CHECK_EQ(t.skel->bss->n_found + t.skel->bss->n_busy,
		 (uint64_t)n_millions * 1000000);
	torture_fini(&t);
}

static void ip4_answers_are_right_while_routes_change(void)
{
	torture(false);
}

static void ip6_answers_are_right_while_routes_change(void)
{
	torture(true);
}

/* ---- At rest. ---- */

static uint64_t draw(uint64_t *turn)
{
	*turn = *turn * 6364136223846793005u + 1442695040888963407u;
	return *turn >> 32;
}

/* What the program does, line by line. */
static uint64_t host_sum(const struct torture *t, uint64_t turn, uint32_t n)
{
	const struct sluice_prefix_view *v = table_prefix_view(t->table);
	uint32_t version = sluice_version(t->region->head);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t no = (uint32_t)(draw(&turn) * N_STABLE >> 32);
		struct sluice_addr a = stable_key(t, no).addr;

		if (!t->is_ip6) {
			a.hi |= (draw(&turn) & 255) << 32;
		} else {
			a.hi |= draw(&turn) & 0xffff;
			a.lo = draw(&turn) << 32;
			a.lo |= draw(&turn);
		}
		if (draw(&turn) % 4 == 0)
			a.hi ^= draw(&turn) << 32;
		sum = sum * 31 + sluice_prefix_find(v, a, version);
	}
	return sum;
}

static void same_as_the_host(bool is_ip6)
{
	struct torture t = {.is_ip6 = is_ip6};
	const char *cannot = torture_init(&t);
	const struct sluice_prefix_key all = {.len = 0};
	uint32_t data[16] = {LOOKS};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data,
		    .data_size_in = sizeof(data), .repeat = 100);
	uint64_t want;

	if (cannot)
		return test_skip(cannot);
	for (uint32_t round = 0; round < 4; round++) {
		for (uint32_t i = 0; i < 2000; i++)
			change_one(&t);
		if (round == 2)
			CHECK_EQ(set(&t, &all, N_STABLE), 0);
		table_prefix_reclaim(t.table, table_prefix_mark(t.table));
		for (uint32_t i = 0; i < 20; i++)
			change_set(&t);
		CHECK(change_n_unsettled(t.log) > 0);
		t.skel->bss->sum = 0;
		want = host_sum(&t, t.skel->bss->turn, 100 * LOOKS);
		CHECK_EQ(bpf_prog_test_run_opts(
				 bpf_program__fd(t.skel->progs.probe_sum),
				 &opts),
			 0);
		CHECK_EQ(t.skel->bss->sum, want);
		change_settle(t.log, change_mark(t.log), UINT64_MAX);
	}
	CHECK_EQ(t.skel->bss->n_found, 400 * LOOKS);
	torture_fini(&t);
}

static void ip4_answers_are_those_of_the_host(void)
{
	same_as_the_host(false);
}

static void ip6_answers_are_those_of_the_host(void)
{
	same_as_the_host(true);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "-n")) {
		n_millions = (uint32_t)strtoul(argv[2], NULL, 10);
		argc -= 2;
		argv += 2;
	}
	test_init(argc, argv);
	TEST(ip4_answers_are_those_of_the_host);
	TEST(ip6_answers_are_those_of_the_host);
	TEST(ip4_answers_are_right_while_routes_change);
	TEST(ip6_answers_are_right_while_routes_change);
	return test_done();
}
