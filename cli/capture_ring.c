/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The XDP engine's source. The order of steps matters at both ends: the ring
 * is in its place before the lease begins, and the lease is over before the
 * ring goes. Rings of captures that were killed are taken away here, when
 * their lease is past; nobody else needs to look after them.
 */

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "cli/capture.h"
#include "cli/text.h"
#include "sluice/atomic.h"

#define RING_LEN (8u << 20)
#define LEASE_NS 2000000000u

struct ring {
	struct capture_source source;
	uint32_t port;
	enum capture_want want;
	int rings_fd;
	int ring_fd;
	uint32_t ring_id;
	struct ring_buffer *ring;
	struct sluice_capture_port *ports; /* mapped */
	uint64_t lost_before;
	uint64_t real_ns;	 /* realtime - monotonic */
	struct capture_sink *to; /* while taking */
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int ring_record(void *arg, void *data, size_t size)
{
	struct ring *s = arg;
	const struct sluice_capture_rec *rec = data;

	if (size < sizeof(*rec) || rec->cap_len > size - sizeof(*rec) ||
	    !(s->want >> (rec->dir & 1) & 1))
		return 0;
	return capture_put(s->to, rec->time_ns + s->real_ns, rec->len,
			   rec->cap_len, rec->data);
}

static int ring_take(struct capture_source *source, struct capture_sink *to)
{
	struct ring *s = (struct ring *)source;
	int n;

	s->to = to;
	n = ring_buffer__consume(s->ring);
	return n < 0 ? n : 0;
}

static int ring_keep(struct capture_source *source)
{
	struct ring *s = (struct ring *)source;
	uint32_t id = 0;

	if (bpf_map_lookup_elem(s->rings_fd, &s->port, &id) ||
	    id != s->ring_id) {
		cli_fail("another capture has taken the port over");
		return -EBUSY;
	}
	sluice_store64_relaxed(&s->ports[s->port].until_ns,
			       clock_ns(CLOCK_MONOTONIC) + LEASE_NS);
	return 0;
}

static void ring_stop(struct capture_source *source)
{
	struct ring *s = (struct ring *)source;
	uint32_t id = 0;

	if (bpf_map_lookup_elem(s->rings_fd, &s->port, &id) || id != s->ring_id)
		return;
	sluice_store64_relaxed(&s->ports[s->port].until_ns, 0);
	bpf_map_delete_elem(s->rings_fd, &s->port);
}

static uint64_t ring_n_lost(struct capture_source *source)
{
	struct ring *s = (struct ring *)source;

	return sluice_load64_relaxed(&s->ports[s->port].n_lost) -
	       s->lost_before;
}

static size_t ports_len(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (SLUICE_PORTS_MAX * sizeof(struct sluice_capture_port) + page -
		1) /
	       page * page;
}

static void ring_free(struct capture_source *source)
{
	struct ring *s = (struct ring *)source;

	ring_buffer__free(s->ring);
	if (s->ports)
		munmap(s->ports, ports_len());
	if (s->ring_fd >= 0)
		close(s->ring_fd);
	if (s->rings_fd >= 0)
		close(s->rings_fd);
	free(s);
}

static const struct capture_source_ops ring_ops = {
	.take = ring_take,
	.keep = ring_keep,
	.stop = ring_stop,
	.n_lost = ring_n_lost,
	.free = ring_free,
};

/* A pinned map of a switch; negative errno. */
static int map_open(const struct sluice_reader *r, const char *map)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), SLUICE_BPF_DIR "/%.31s/%s",
		 r->region->name, map);
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

/* Opens the maps; 0 or negative errno. */
static int maps_open(struct ring *s, const struct sluice_reader *r)
{
	int fd = map_open(r, SLUICE_CAPTURE_PORTS);
	void *at;

	if (fd < 0)
		return fd;
	at = mmap(NULL, ports_len(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (at == MAP_FAILED)
		return -errno;
	s->ports = at;
	s->rings_fd = map_open(r, SLUICE_CAPTURE_RINGS);
	return s->rings_fd < 0 ? s->rings_fd : 0;
}

static int ring_make(struct ring *s)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);

	s->ring_fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "sluice_capture", 0,
				    0, RING_LEN, NULL);
	if (s->ring_fd < 0)
		return -errno;
	if (bpf_obj_get_info_by_fd(s->ring_fd, &info, &len))
		return -errno;
	s->ring_id = info.id;
	s->ring = ring_buffer__new(s->ring_fd, ring_record, s, NULL);
	if (!s->ring)
		return -errno;
	s->source.fd = ring_buffer__epoll_fd(s->ring);
	return 0;
}

/* Takes the port, unless somebody has it. */
static int port_take(struct ring *s)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

	if (sluice_load64_relaxed(&s->ports[s->port].until_ns) > now_ns)
		return -EBUSY;
	for (uint32_t i = 0; i < SLUICE_PORTS_MAX; i++)
		if (sluice_load64_relaxed(&s->ports[i].until_ns) <= now_ns)
			bpf_map_delete_elem(s->rings_fd, &i);
	s->lost_before = sluice_load64_relaxed(&s->ports[s->port].n_lost);
	if (bpf_map_update_elem(s->rings_fd, &s->port, &s->ring_fd, BPF_ANY))
		return -errno;
	return ring_keep(&s->source);
}

struct capture_source *capture_ring_open(const struct sluice_reader *r,
					 uint32_t no, enum capture_want want)
{
	struct ring *s = calloc(1, sizeof(*s));
	int err;

	if (!s) {
		cli_fail("out of memory");
		return NULL;
	}
	libbpf_set_print(NULL);
	*s = (struct ring){.source = {.ops = &ring_ops},
			   .port = no,
			   .want = want,
			   .rings_fd = -1,
			   .ring_fd = -1,
			   .real_ns = clock_ns(CLOCK_REALTIME) -
				      clock_ns(CLOCK_MONOTONIC)};
	err = maps_open(s, r);
	if (!err)
		err = ring_make(s);
	if (!err)
		err = port_take(s);
	if (!err)
		return &s->source;
	if (err == -EBUSY)
		cli_fail("the port is being captured already; if that capture "
			 "was killed, try again in 2 seconds");
	else if (err == -EPERM || err == -EACCES)
		cli_fail("not permitted: to capture from the xdp engine takes "
			 "root, or CAP_BPF");
	else
		cli_fail("cannot capture: %s", strerror(-err));
	ring_free(&s->source);
	return NULL;
}
