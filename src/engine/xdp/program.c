/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The maps are made here and not by the skeleton, because the skeleton is
 * opened once for each port and the maps are not.
 */

#include "engine/xdp/program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "sluice.skel.h"
#include "sluice/capture.h"
#include "sluice/exact.h"
#include "sluice/flow.h"
#include "sluice/port.h"

enum { RING_LEN_MIN = 4096 };

struct map_shape {
	const char *name;
	enum bpf_map_type type;
	uint32_t value_len;
	uint32_t n_max;
	uint32_t flags;
	enum bpf_map_type inner; /* of a map of maps */
};

static const struct map_shape shape_devs = {"devs", BPF_MAP_TYPE_DEVMAP,
					    4,	    SLUICE_PORTS_MAX,
					    0,	    0};
static const struct map_shape shape_sets = {"sets", BPF_MAP_TYPE_ARRAY_OF_MAPS,
					    4,	    SLUICE_SETS_MAX,
					    0,	    BPF_MAP_TYPE_DEVMAP};
static const struct map_shape shape_capture_ports =
	{SLUICE_CAPTURE_PORTS,
	 BPF_MAP_TYPE_ARRAY,
	 sizeof(struct sluice_capture_port),
	 SLUICE_PORTS_MAX,
	 BPF_F_MMAPABLE,
	 0};
static const struct map_shape shape_capture_rings = {SLUICE_CAPTURE_RINGS,
						     BPF_MAP_TYPE_ARRAY_OF_MAPS,
						     4,
						     SLUICE_PORTS_MAX,
						     0,
						     BPF_MAP_TYPE_RINGBUF};

static int inner_new(enum bpf_map_type type)
{
	if (type == BPF_MAP_TYPE_RINGBUF)
		return bpf_map_create(type, "ring", 0, 0, RING_LEN_MIN, NULL);
	return bpf_map_create(type, "set", 4, 4, SLUICE_PORTS_MAX, NULL);
}

static int map_new(const struct map_shape *s)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = s->flags);
	int fd, inner = -1;

	if (s->inner) {
		inner = inner_new(s->inner);
		if (inner < 0)
			return inner;
		opts.inner_map_fd = (uint32_t)inner;
	}
	fd = bpf_map_create(s->type, s->name, 4, s->value_len, s->n_max, &opts);
	if (inner >= 0)
		close(inner);
	return fd;
}

static bool map_is(int fd, const struct map_shape *s)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &len) &&
	       info.type == (uint32_t)s->type && info.key_size == 4 &&
	       info.value_size == s->value_len && info.max_entries == s->n_max;
}

static int map_open(const struct xdp_pins *pins, const struct map_shape *s,
		    int *out, struct why *why)
{
	int err, fd;

	fd = xdp_pins_get(pins, s->name);
	if (fd >= 0 && map_is(fd, s)) {
		*out = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	fd = map_new(s);
	if (fd < 0)
		return why_say(why, fd, "cannot make the BPF map %s: %s",
			       s->name, strerror(-fd));
	err = xdp_pins_put(pins, s->name, fd);
	if (err) {
		close(fd);
		return why_say(why, err, "cannot pin the BPF map %s: %s",
			       s->name, strerror(-err));
	}
	*out = fd;
	return 0;
}

int xdp_maps_open(const struct xdp_pins *pins, int arena_fd,
		  struct xdp_maps *out, struct why *why)
{
	struct xdp_maps m = {arena_fd, -1, -1, -1, -1};
	int err;

	err = map_open(pins, &shape_devs, &m.devs, why);
	if (!err)
		err = map_open(pins, &shape_sets, &m.sets, why);
	if (!err)
		err = map_open(pins, &shape_capture_ports, &m.capture_ports,
			       why);
	if (!err)
		err = map_open(pins, &shape_capture_rings, &m.capture_rings,
			       why);
	if (err) {
		xdp_maps_close(&m);
		return err;
	}
	*out = m;
	return 0;
}

void xdp_maps_close(struct xdp_maps *m)
{
	int *const fds[] = {&m->devs, &m->sets, &m->capture_ports,
			    &m->capture_rings};

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
}

int xdp_maps_new_xsks(void)
{
	return bpf_map_create(BPF_MAP_TYPE_XSKMAP, "xsks", 4, 4, 64, NULL);
}

int xdp_maps_set(const struct xdp_maps *m, uint32_t set, bool make)
{
	uint32_t id;
	int err, fd;

	if (!bpf_map_lookup_elem(m->sets, &set, &id))
		return bpf_map_get_fd_by_id(id);
	if (!make)
		return -ENOENT;
	fd = inner_new(BPF_MAP_TYPE_DEVMAP);
	if (fd < 0)
		return fd;
	err = bpf_map_update_elem(m->sets, &set, &fd, BPF_ANY);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

static const struct sluice_table_desc *table_find(const struct region *r,
						  uint32_t kind,
						  uint32_t value_len,
						  uint32_t n_max)
{
	const struct sluice_table_desc *d = region_table(r, kind);

	if (!d || d->value_len != value_len || d->n_max < n_max)
		return NULL;
	return d;
}

int xdp_tables_find(const struct region *r, struct xdp_tables *out,
		    struct why *why)
{
	const struct sluice_table_desc *ports, *stats, *sets, *flows, *sw;
	uint64_t base = r->head->base_addr;

	sw = table_find(r, SLUICE_TABLE_SWITCH, sizeof(struct sluice_switch),
			1);
	ports = table_find(r, SLUICE_TABLE_PORTS, sizeof(struct sluice_port),
			   SLUICE_PORTS_MAX);
	stats = table_find(r, SLUICE_TABLE_STATS,
			   sizeof(struct sluice_port_stats), SLUICE_PORTS_MAX);
	sets = table_find(r, SLUICE_TABLE_SETS, 8, SLUICE_SETS_MAX);
	flows = table_find(r, SLUICE_TABLE_FLOWS, sizeof(struct sluice_flow),
			   1);
	if (!sw || !ports || !stats || !sets || !flows ||
	    flows->alg != SLUICE_ALG_CUCKOO8 ||
	    flows->key_len != sizeof(struct sluice_key) ||
	    flows->key_layout != SLUICE_KEY_LAYOUT)
		return why_say(why, -EINVAL,
			       "region \"%s\" lacks a table that the XDP "
			       "programs need, or has one of another shape",
			       r->head->name);
	out->n_lanes = stats->n_max / SLUICE_PORTS_MAX;
	out->ports = base + ports->off;
	out->stats = base + stats->off;
	out->sets = base + sets->off;
	out->flows = base + flows->off;
	out->region = base;
	return 0;
}

static int maps_give(struct sluice_bpf *s, const struct xdp_maps *m)
{
	int err;

	err = bpf_map__reuse_fd(s->maps.arena, m->arena);
	if (!err)
		err = bpf_map__reuse_fd(s->maps.devs, m->devs);
	if (!err)
		err = bpf_map__reuse_fd(s->maps.sets, m->sets);
	if (!err)
		err = bpf_map__reuse_fd(s->maps.capture_ports,
					m->capture_ports);
	if (!err)
		err = bpf_map__reuse_fd(s->maps.capture_rings,
					m->capture_rings);
	return err;
}

/* Loads what is set to be loaded; returns a new descriptor of prog. */
static int load(struct sluice_bpf *s, struct bpf_program *prog, int err,
		struct why *why)
{
	int fd;

	if (!err)
		err = sluice_bpf__load(s);
	fd = err ? err : dup(bpf_program__fd(prog));
	if (!err && fd < 0)
		fd = -errno;
	if (fd < 0)
		fd = why_say(why, fd, "cannot load the XDP program: %s",
			     strerror(-fd));
	sluice_bpf__destroy(s);
	return fd;
}

int xdp_program_load(const struct xdp_tables *t, const struct xdp_maps *m,
		     uint32_t port, int xsks_fd, struct why *why)
{
	struct sluice_bpf *s = sluice_bpf__open();
	int err;

	if (!s)
		return why_say(why, -errno, "cannot open the XDP program: %s",
			       strerror(errno));
	s->rodata->in_port = port;
	s->rodata->n_lanes = t->n_lanes;
	s->rodata->ports_addr = t->ports;
	s->rodata->stats_addr = t->stats;
	s->rodata->sets_addr = t->sets;
	s->rodata->flows_addr = t->flows;
	s->rodata->region_addr = t->region;
	err = maps_give(s, m);
	if (!err)
		err = bpf_map__reuse_fd(s->maps.xsks, xsks_fd);
	bpf_program__set_autoload(s->progs.capture_sent, false);
	return load(s, s->progs.sluice_forward, err, why);
}

int xdp_program_load_capture(const struct xdp_maps *m, struct why *why)
{
	struct sluice_bpf *s = sluice_bpf__open();

	if (!s)
		return why_say(why, -errno, "cannot open the XDP program: %s",
			       strerror(errno));
	bpf_program__set_autoload(s->progs.sluice_forward, false);
	return load(s, s->progs.capture_sent, maps_give(s, m), why);
}
