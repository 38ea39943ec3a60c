/* SPDX-License-Identifier: Apache-2.0 */
/* Flows under masks: are all parts inside the table, one behind the other? */
#include <errno.h>

#include "region/check.h"
#include "sluice/atomic.h"

/* Takes len bytes at off, if they begin where the last part ended or later. */
static bool part(uint64_t *end, uint64_t off, uint64_t len)
{
	if (off % 64 || off < *end || off > SLUICE_REGION_LEN_MAX ||
	    len > SLUICE_REGION_LEN_MAX)
		return false;
	*end = off + len;
	return true;
}

static bool parts_fit(const struct sluice_table_desc *d,
		      const struct sluice_masked *m)
{
	uint32_t n_records = m->n_masks + m->n_groups;
	uint64_t order_len = 8ull * sluice_masked_order_len(n_records);
	uint64_t lane_len = 8ull * sluice_masked_lane_len(m->n_masks);
	uint64_t end = sizeof(*m);

	return part(&end, m->records_off,
		    (uint64_t)n_records * sizeof(struct sluice_mask)) &&
	       part(&end, m->orders_off, 2 * order_len) &&
	       part(&end, m->hits_off, m->n_lanes * lane_len) &&
	       part(&end, m->filter_off, 8ull * m->n_filter) &&
	       part(&end, m->exact_off, m->exact_len) && end <= d->len;
}

int region_check_masked(const uint8_t *mem, const struct sluice_table_desc *d,
			struct sluice_masked_view *out, struct sluice_why *why)
{
	const uint64_t *words = (const uint64_t *)(mem + d->off);
	struct sluice_exact_view exact;
	struct sluice_table_desc inner = *d;
	struct sluice_masked m;
	int err;

	if (d->len < sizeof(m))
		return region_say(why, -EINVAL,
				  "table '%s' is too short for its header",
				  d->name);
	for (uint32_t i = 0; i < sizeof(m) / 8; i++)
		((uint64_t *)&m)[i] = sluice_load64_relaxed(&words[i]);
	if (m.n_masks < 2 || m.n_masks > SLUICE_MASKS_MAX + 1 ||
	    m.n_groups > SLUICE_MASKS_MAX || m.n_lanes == 0 ||
	    m.n_lanes > SLUICE_MASKED_LANES_MAX || m.n_filter == 0)
		return region_say(why, -EINVAL,
				  "table '%s' has %u masks, %u groups and %u "
				  "lanes",
				  d->name, m.n_masks, m.n_groups, m.n_lanes);
	if (!parts_fit(d, &m))
		return region_say(why, -EINVAL,
				  "the parts of table '%s' are outside of it",
				  d->name);
	inner.off = d->off + (uint32_t)m.exact_off;
	inner.len = m.exact_len;
	err = region_check_exact(mem, &inner, &exact, why);
	if (err)
		return err;
	/* From the copy, not from the memory: it was checked, that may move. */
	sluice_masked_view_at(out, &m, mem + d->off);
	out->exact = exact;
	return 0;
}
