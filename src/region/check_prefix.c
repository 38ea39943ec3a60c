/* SPDX-License-Identifier: Apache-2.0 */
/* Routes: is the shape one that fits into the table? */
#include <errno.h>

#include "region/check.h"
#include "sluice/atomic.h"

/* Do n things of each bytes at off lie behind `from`, inside the table? */
static bool part_fits(const struct sluice_table_desc *d, uint64_t off,
		      uint64_t from, uint64_t len)
{
	return off % 64 == 0 && off >= from && off <= d->len &&
	       len <= d->len - off;
}

static int check_parts(const struct sluice_table_desc *d,
		       const struct sluice_prefix *p, struct sluice_why *why)
{
	uint64_t root_len = 4ull << p->root_bits;
	uint64_t nodes_len = (uint64_t)p->n_nodes * SLUICE_CACHE_LINE;
	uint64_t routes_len = ((uint64_t)p->n_routes + 1) * p->route_len;

	/* One behind the other, each inside: so the sums cannot overflow. */
	if (!part_fits(d, p->root_off, sizeof(*p), root_len))
		return region_say(why, -EINVAL,
				  "the root of table '%s' is outside of it",
				  d->name);
	if (p->n_nodes == 0 ||
	    !part_fits(d, p->nodes_off, p->root_off + root_len, nodes_len))
		return region_say(why, -EINVAL,
				  "the nodes of table '%s' are outside of it",
				  d->name);
	if (!part_fits(d, p->routes_off, p->nodes_off + nodes_len, routes_len))
		return region_say(why, -EINVAL,
				  "the routes of table '%s' are outside of it",
				  d->name);
	return 0;
}

int region_check_prefix(const uint8_t *mem, const struct sluice_table_desc *d,
			struct sluice_prefix_view *out, struct sluice_why *why)
{
	const uint64_t *words = (const uint64_t *)(mem + d->off);
	struct sluice_prefix p;
	int err;

	if (d->len < sizeof(p))
		return region_say(why, -EINVAL,
				  "table '%s' is too short for its header",
				  d->name);
	for (uint32_t i = 0; i < sizeof(p) / 8; i++)
		((uint64_t *)&p)[i] = sluice_load64_relaxed(&words[i]);
	if ((p.key_bits != 32 && p.key_bits != 128) ||
	    p.key_bits != d->key_len * 8u)
		return region_say(why, -EINVAL,
				  "table '%s' has addresses of %u bits, the "
				  "directory says %u bytes",
				  d->name, p.key_bits, d->key_len);
	if (p.root_bits < 8 || p.root_bits > 24 ||
	    p.root_bits % SLUICE_NODE_BITS)
		return region_say(why, -EINVAL,
				  "table '%s' has a root of %u bits", d->name,
				  p.root_bits);
	if (d->n_max == 0 || p.n_routes < d->n_max ||
	    p.n_routes > SLUICE_PREFIX_NUMBER)
		return region_say(why, -EINVAL,
				  "table '%s' has %u routes, the directory "
				  "says %u",
				  d->name, p.n_routes, d->n_max);
	if (p.value_len != d->value_len || p.value_len % 8 || p.route_len % 8 ||
	    p.route_len < sluice_route_value_off(p.key_bits) + p.value_len)
		return region_say(why, -EINVAL,
				  "table '%s' has routes of %u bytes", d->name,
				  p.route_len);
	err = check_parts(d, &p, why);
	if (err)
		return err;
	/* From the copy, not from the memory: it was checked, that may move. */
	sluice_prefix_view_init(out, &p);
	out->table = (const struct sluice_prefix *)(mem + d->off);
	out->root = (const uint32_t *)(mem + d->off + p.root_off);
	out->nodes = (const uint32_t *)(mem + d->off + p.nodes_off);
	out->routes = (uint8_t *)((uintptr_t)mem + d->off + p.routes_off);
	return 0;
}
