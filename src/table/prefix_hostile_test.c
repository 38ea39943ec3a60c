/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever others write into a table of routes, a reader touches nothing outside
 * of it and ends: the table is copied to a block of exactly its length, so that
 * AddressSanitizer sees each byte that is read beyond. The writer and who adopts
 * survive as well; what they then answer is that region's own trouble.
 */
#include "table/prefix_twin_fake.h"

#include <errno.h>

#define N_MAX 200u
#define N_ROUNDS 1500u

struct hostile {
	uint64_t len;	 /* of the table */
	uint32_t *whole; /* as it was, len bytes */
	uint32_t *mem;	 /* what is scribbled upon, len bytes */
	struct twin twin;
	struct sluice_prefix_view view;
};

static void fill(struct fixture *f, struct twin *t, struct rng *r)
{
	t->n = 0;
	while (t->n < N_MAX) {
		struct sluice_prefix_key k = random_key(r, f->conf.key_bits);

		must(!set(f, &k, 2 + t->n));
		reclaim_all(f);
		twin_set(t, &k, 2 + t->n);
	}
}

static void hostile_init(struct hostile *h, uint32_t key_bits, struct rng *r)
{
	struct fixture f;

	fixture_init(&f, key_bits, 8, N_MAX);
	fill(&f, &h->twin, r);
	h->len = table_prefix_len(&f.conf);
	h->whole = aligned_alloc(64, (h->len + 63) / 64 * 64);
	h->mem = malloc(h->len);
	must(h->whole && h->mem);
	memcpy(h->whole, table_prefix_view(f.table)->table, h->len);
	memcpy(h->mem, h->whole, h->len);
	sluice_prefix_view_init(&h->view, (struct sluice_prefix *)h->mem);
	fixture_fini(&f);
}

static void hostile_fini(struct hostile *h)
{
	free(h->mem);
	free(h->whole);
}

/* Words that are likely to do harm, and any. */
static uint32_t bad_word(struct rng *r)
{
	switch (rng_below(r, 7)) {
	case 0:
		return ~0u;
	case 1:
		return SLUICE_PREFIX_CHILD | rng_below(r, N_MAX * 40);
	case 2:
		return SLUICE_PREFIX_UNSETTLED | rng_below(r, N_MAX * 2);
	case 3:
		return 1u << rng_below(r, 32);
	case 4:
		return rng_below(r, 1000);
	case 5:
		return SLUICE_PREFIX_CHILD | rng_below(r, 8);
	default:
		return (uint32_t)rng_next(r);
	}
}

static void scribble(uint32_t *mem, uint64_t len, struct rng *r)
{
	uint32_t n = 1u << rng_below(r, 13);

	for (uint32_t i = 0; i < n; i++)
		mem[rng_below(r, (uint32_t)(len / 4))] = bad_word(r);
	/* The root often, for all ways begin there; and circles of nodes. */
	for (uint32_t i = 0; i < n; i++)
		mem[(sizeof(struct sluice_prefix) / 4 + rng_below(r, 4096)) %
		    (len / 4)] = bad_word(r);
}

static uint64_t look(const struct hostile *h, struct rng *r, uint32_t key_bits)
{
	struct sluice_addr addrs[SLUICE_PREFIX_BATCH];
	uint32_t ip4s[SLUICE_PREFIX_BATCH], found[SLUICE_PREFIX_BATCH];
	uint64_t sum = 0, value[2];

	for (uint32_t i = 0; i < SLUICE_PREFIX_BATCH; i++) {
		uint32_t version = rng_below(r, 8);

		addrs[i] = probe_addr(r, key_bits, &h->twin);
		ip4s[i] = (uint32_t)(addrs[i].hi >> 32);
		sum += *(uint64_t *)sluice_prefix_value(
			&h->view,
			sluice_prefix_find(&h->view, addrs[i], version));
		sum += sluice_prefix_get(&h->view, addrs[i], version, value,
					 sizeof(value));
	}
	sluice_prefix_find_batch(&h->view, addrs, SLUICE_PREFIX_BATCH, 1,
				 found);
	for (uint32_t i = 0; i < SLUICE_PREFIX_BATCH; i++) {
		CHECK(found[i] <= h->view.n_routes);
		sum += *(uint64_t *)sluice_prefix_value(&h->view, found[i]);
	}
	if (key_bits != 32)
		return sum;
	sluice_prefix_find4_batch(&h->view, ip4s, SLUICE_PREFIX_BATCH, 1,
				  found);
	for (uint32_t i = 0; i < SLUICE_PREFIX_BATCH; i++)
		sum += *(uint64_t *)sluice_prefix_value(&h->view, found[i]);
	return sum;
}

static void scribbles_lead_no_reader_outside(void)
{
	struct rng r = rng_of(test_seed());
	static struct hostile h;
	uint64_t sum = 0;

	for (uint32_t bits = 32; bits <= 128; bits *= 4) {
		hostile_init(&h, bits, &r);
		for (uint32_t i = 0; i < N_ROUNDS; i++) {
			memcpy(h.mem, h.whole, h.len);
			scribble(h.mem, h.len, &r);
			sum += look(&h, &r, bits);
		}
		hostile_fini(&h);
	}
	CHECK(sum != 0);
}

/* Every word of every node leads back to a node: no end but that of the key. */
static void circles_of_nodes_end(void)
{
	struct rng r = rng_of(test_seed());
	static struct hostile h;

	hostile_init(&h, 128, &r);
	for (uint64_t i = sizeof(struct sluice_prefix) / 4; i < h.len / 4; i++)
		h.mem[i] = SLUICE_PREFIX_CHILD | rng_below(&r, 4);
	look(&h, &r, 128);
	/* And routes that are each other's parents, seen by nobody. */
	for (uint64_t i = sizeof(struct sluice_prefix) / 4; i < h.len / 4; i++)
		h.mem[i] = SLUICE_PREFIX_UNSETTLED | (1 + rng_below(&r, 3));
	for (uint32_t n = 1; n <= h.view.n_routes; n++) {
		sluice_prefix_route(&h.view, n)->head = 0;
		sluice_prefix_route(&h.view, n)->parent = n % 3 + 1;
	}
	CHECK_EQ(sluice_prefix_find(&h.view, (struct sluice_addr){0, 0}, 1), 0);
	look(&h, &r, 128);
	hostile_fini(&h);
}

/* A header that does not say the truth of its table opens no view. */
static void shapes_that_do_not_fit_are_refused(void)
{
	struct sluice_prefix *p, was;
	struct fixture f;

	fixture_init(&f, 32, 8, N_MAX);
	p = region_at(f.region, region_table(f.region, f.conf.kind)->off,
		      sizeof(*p));
	must(p);
	was = *p;
	CHECK_EQ(sluice_region_check(f.region->head, f.region->len, NULL), 0);
#define REFUSED(field, value)                                               \
	do {                                                                \
		p->field = (value);                                         \
		CHECK_EQ(sluice_region_check(f.region->head, f.region->len, \
					     NULL),                         \
			 (uint64_t)-EINVAL);                                \
		CHECK_EQ(table_prefix_adopt(f.region, f.conf.kind,          \
					    &(struct table_prefix *){0},    \
					    NULL),                          \
			 (uint64_t)-EINVAL);                                \
		*p = was;                                                   \
	} while (0)
	REFUSED(key_bits, 128);
	REFUSED(key_bits, 64);
	REFUSED(root_bits, 4);
	REFUSED(root_bits, 9);
	REFUSED(root_bits, 28);
	REFUSED(root_bits, 24);
	REFUSED(n_nodes, 0);
	REFUSED(n_nodes, ~0u);
	REFUSED(n_nodes, was.n_nodes * 2);
	REFUSED(n_routes, N_MAX - 1);
	REFUSED(n_routes, ~0u);
	REFUSED(n_routes, was.n_routes * 3);
	REFUSED(route_len, 24);
	REFUSED(route_len, 41);
	REFUSED(route_len, ~7u);
	REFUSED(value_len, 8);
	REFUSED(root_off, 0);
	REFUSED(root_off, was.root_off + 4);
	REFUSED(nodes_off, was.root_off);
	REFUSED(nodes_off, ~63ull);
	REFUSED(routes_off, was.nodes_off);
	REFUSED(routes_off, ~63ull);
#undef REFUSED
	fixture_fini(&f);
}

static void some_change(struct fixture *f, struct rng *r, const struct twin *t)
{
	struct change_table *ct = table_prefix_change(f->table);
	struct sluice_prefix_key k = random_key(r, f->conf.key_bits);
	uint64_t value[2] = {5, ~5ull};
	struct change_item item = {ct, CHANGE_SET, &k, value};
	struct change_step s;

	if (rng_below(r, 2))
		k = t->routes[rng_below(r, t->n)].key;
	switch (rng_below(r, 5)) {
	case 0:
	case 1:
		(void)!set(f, &k, 7);
		break;
	case 2:
		(void)!table_prefix_del(f->table, &k);
		break;
	case 3:
		item.kind = (enum change_kind)rng_below(r, 3);
		if (ct->ops->prepare(ct, &item, rng_below(r, 9), &s, NULL))
			break;
		if (rng_below(r, 2))
			ct->ops->undo(ct, &s);
		else
			ct->ops->settle(ct, &s);
		break;
	default:
		table_prefix_reclaim(f->table, table_prefix_mark(f->table));
	}
}

/* The shape is left alone: who changes that is refused at the door. */
static void the_writer_survives_scribbles(void)
{
	const uint64_t head = offsetof(struct sluice_prefix, default_word);
	struct rng r = rng_of(test_seed());
	const struct sluice_table_desc *d;
	static struct twin t;
	struct fixture f;
	uint8_t *mem;

	for (uint32_t i = 0; i < N_ROUNDS / 10; i++) {
		fixture_init(&f, i % 2 ? 32 : 128, 8, N_MAX);
		fill(&f, &t, &r);
		d = region_table(f.region, f.conf.kind);
		mem = region_at(f.region, d->off, d->len);
		for (uint32_t j = 0; j < 20; j++) {
			struct table_prefix *next = NULL;
			int err;

			scribble((uint32_t *)(mem + head), d->len - head, &r);
			for (uint32_t n = 0; n < 20; n++)
				some_change(&f, &r, &t);
			if (j % 4)
				continue;
			err = table_prefix_adopt(f.region, f.conf.kind, &next,
						 NULL);
			CHECK(!err || err == -ENOSPC);
			if (!err) {
				CHECK_EQ(n_faults(&f), 0);
				table_prefix_free(f.table);
				f.table = next;
			}
		}
		fixture_fini(&f);
	}
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(scribbles_lead_no_reader_outside);
	TEST(circles_of_nodes_end);
	TEST(shapes_that_do_not_fit_are_refused);
	TEST(the_writer_survives_scribbles);
	return test_done();
}
