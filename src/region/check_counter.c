/* SPDX-License-Identifier: Apache-2.0 */
/* Counters: is the shape one that fits into the table? */
#include <errno.h>

#include "region/check.h"
#include "sluice/atomic.h"

int region_check_counter(const uint8_t *mem, const struct sluice_table_desc *d,
			 struct sluice_counter_view *out,
			 struct sluice_why *why)
{
	const struct sluice_counters *s = (const void *)(mem + d->off);
	const uint64_t *words = (const uint64_t *)s;
	struct sluice_counters c;
	uint64_t lane_len;

	if (d->len < sizeof(c))
		return region_say(why, -EINVAL,
				  "table '%s' is too short for its header",
				  d->name);
	for (uint32_t i = 0; i < sizeof(c) / 8; i++)
		((uint64_t *)&c)[i] = sluice_load64_relaxed(&words[i]);
	if (d->key_len != 0 || d->value_len != sizeof(struct sluice_counter))
		return region_say(why, -EINVAL,
				  "table '%s' has counters of %u bytes",
				  d->name, d->value_len);
	if (d->n_max == 0 || c.n_counters != (uint64_t)d->n_max + 1)
		return region_say(why, -EINVAL,
				  "table '%s' has %u counters with number 0, "
				  "the directory says %u without",
				  d->name, c.n_counters, d->n_max);
	lane_len = (uint64_t)c.n_counters * sizeof(struct sluice_counter);
	if (c.n_lanes == 0 || c.lanes_off < sizeof(c) || c.lanes_off % 64 ||
	    c.lane_len < lane_len || c.lane_len % 64 || c.lane_len > d->len ||
	    c.lanes_off > d->len ||
	    c.n_lanes > (d->len - c.lanes_off) / c.lane_len)
		return region_say(why, -EINVAL,
				  "the lanes of table '%s' are outside of it",
				  d->name);
	/* From the copy, not from the memory: it was checked, that may move. */
	sluice_counter_view_init(out, &c);
	out->lanes = mem + d->off + c.lanes_off;
	return 0;
}
