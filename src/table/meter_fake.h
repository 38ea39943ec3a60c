/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TABLE_METER_FAKE_H
#define TABLE_METER_FAKE_H

/* table/meter_fake - a table of meters in a region of its own, for tests */

#include "base/must.h"
#include "base/test.h"
#include "table/meter.h"

struct fixture {
	struct region *region;
	struct table_meter *table;
	struct sluice_meter_view view; /* engine 0's */
};

static inline void fixture_init(struct fixture *f, uint32_t n_engines,
				uint64_t clock_ns)
{
	const struct table_meter_conf conf = {
		.name = "meters",
		.n_max = 100,
		.n_engines = n_engines,
		.clock_ns = clock_ns,
		.seed = test_seed(),
	};

	must(!region_new_memfd("test", table_meter_len(&conf) + (1 << 16),
			       false, &f->region, NULL));
	must(!table_meter_new(f->region, &conf, &f->table, NULL));
	must(sluice_meter_view_init(&f->view, table_meter_view(f->table), 0));
}

static inline void fixture_fini(struct fixture *f)
{
	table_meter_free(f->table);
	region_free(f->region);
}

/* The meter as that engine finds it, or NULL. */
static inline struct sluice_meter *meter_of_engine(const struct fixture *f,
						   uint64_t id, uint32_t engine)
{
	struct sluice_meter_view v;
	struct sluice_meter *m;

	must(sluice_meter_view_init(&v, table_meter_view(f->table), engine));
	if (sluice_meter_find(&v, sluice_version(f->region->head), id, &m) !=
	    SLUICE_YES)
		return NULL;
	return m;
}

/* Packets of that length that are not red, of n at that moment. */
static inline uint32_t pass(struct sluice_meter *m, uint64_t now_ns, uint32_t n,
			    uint32_t len)
{
	const struct sluice_meter_load load = {.packets = 1, .bytes = len};
	uint32_t n_passed = 0;

	for (uint32_t i = 0; i < n; i++)
		n_passed += sluice_meter_police_shared(m, now_ns, &load) !=
			    SLUICE_RED;
	return n_passed;
}

#endif
