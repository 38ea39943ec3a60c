/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lamport's ring: the producer writes slots and then head, the consumer reads
 * slots and then writes tail; each keeps the other's last known place in its
 * own memory, so a burst touches the shared words once. Frames are received
 * where they lie: their slots go back at the next recv.
 */
#include "port/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "port/port.h"
#include "sluice/atomic.h"

#define MEM_MAGIC 0x314d454d554c53ull /* "SLUMEM1" */
#define SLOTS_OFF 4096u

struct ring_words {
	uint64_t head __attribute__((aligned(64))); /* the producer writes */
	uint64_t tail __attribute__((aligned(64))); /* the consumer writes */
};

/* First in the memory; behind it the slots of both rings. */
struct mem_file {
	uint64_t magic;
	uint32_t n_slots;
	uint32_t slot_len;
	struct ring_words to_port, from_port;
};

struct slot {
	uint32_t len;
	struct virtio_net_hdr vnet;
	uint16_t pad;
	uint8_t data[];
};
_Static_assert(sizeof(struct slot) == 16, "data begins aligned");

/* One side's view of one ring. */
struct ring {
	struct ring_words *words;
	uint8_t *slots;
	uint32_t n_slots, slot_len;
	uint64_t head, tail; /* own place, and the other's as last seen */
};

struct map {
	struct mem_file *file;
	uint64_t len;
	struct ring to_port, from_port;
};

struct mem_peer {
	struct map map;
	int fd;
	char path[48];
};

struct mem_port {
	struct port port;
	struct map map;
	uint32_t n_lent;
};

static struct slot *slot_at(const struct ring *r, uint64_t i)
{
	return (void *)(r->slots + (i & (r->n_slots - 1)) * r->slot_len);
}

/* How many slots the producer may fill, at most n. */
static uint32_t room(struct ring *r, uint32_t n)
{
	if (r->n_slots - (r->head - r->tail) < n)
		/* [mem-tail] the consumer is done with the slots before */
		r->tail = sluice_load64_acquire(&r->words->tail);
	if (r->head - r->tail > r->n_slots)
		return 0; /* the other side lies */
	return r->n_slots - (uint32_t)(r->head - r->tail) < n
		       ? r->n_slots - (uint32_t)(r->head - r->tail)
		       : n;
}

/* How many slots the consumer may read, at most n. */
static uint32_t filled(struct ring *r, uint32_t n)
{
	if (r->head - r->tail < n)
		/* [mem-head] the slots before it are whole */
		r->head = sluice_load64_acquire(&r->words->head);
	if (r->head - r->tail > r->n_slots)
		return 0;
	return r->head - r->tail < n ? (uint32_t)(r->head - r->tail) : n;
}

static void push(struct ring *r, uint32_t n)
{
	r->head += n;
	sluice_store64_release(&r->words->head, r->head); /* [mem-head] */
}

static void pop(struct ring *r, uint32_t n)
{
	r->tail += n;
	sluice_store64_release(&r->words->tail, r->tail); /* [mem-tail] */
}

static void fill(struct ring *r, uint64_t i, const void *data, uint32_t len,
		 const struct virtio_net_hdr *vnet)
{
	struct slot *s = slot_at(r, i);

	s->len = len;
	if (vnet)
		s->vnet = *vnet;
	else
		memset(&s->vnet, 0, sizeof(s->vnet));
	memcpy(s->data, data, len);
}

static uint32_t slot_data_max(const struct ring *r)
{
	return r->slot_len - (uint32_t)sizeof(struct slot);
}

/* ---- The port's side ---- */

static struct mem_port *of(struct port *p)
{
	return container_of(p, struct mem_port, port);
}

static uint32_t mem_recv(struct port *p, struct frame *out, uint32_t n)
{
	struct mem_port *mp = of(p);
	struct ring *r = &mp->map.to_port;

	if (mp->n_lent)
		pop(r, mp->n_lent);
	n = filled(r, n);
	for (uint32_t i = 0; i < n; i++) {
		struct slot *s = slot_at(r, r->tail + i);
		uint32_t len = s->len;

		out[i].data = s->data;
		out[i].len = len <= slot_data_max(r) ? len : 0;
		out[i].vnet = s->vnet;
	}
	mp->n_lent = n;
	return n;
}

static void mem_send(struct port *p, struct frame *const *frames, uint32_t n,
		     uint8_t *lost)
{
	struct ring *r = &of(p)->map.from_port;
	uint32_t n_room = room(r, n), n_in = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct frame *f = frames[i];

		if (f->len > slot_data_max(r)) {
			lost[i] = SLUICE_DROP_TOO_LONG;
		} else if (n_in == n_room) {
			lost[i] = SLUICE_DROP_TX_FULL;
		} else {
			fill(r, r->head + n_in++, f->data, f->len, &f->vnet);
			lost[i] = SLUICE_DROP_NONE;
		}
	}
	push(r, n_in);
}

static void mem_close(struct port *p)
{
	struct mem_port *mp = of(p);

	if (mp->n_lent)
		pop(&mp->map.to_port, mp->n_lent);
	munmap(mp->map.file, mp->map.len);
	free(mp);
}

static const struct port_ops mem_ops = {
	.kind = "mem",
	.recv = mem_recv,
	.send = mem_send,
	.close = mem_close,
};

/* ---- The memory ---- */

static uint64_t file_len(uint32_t n_slots, uint32_t slot_len)
{
	return SLOTS_OFF + 2ull * n_slots * slot_len;
}

static void ring_init(struct ring *r, struct ring_words *words, uint8_t *slots,
		      const struct mem_file *shape)
{
	*r = (struct ring){
		.words = words,
		.slots = slots,
		.n_slots = shape->n_slots,
		.slot_len = shape->slot_len,
		.head = sluice_load64_acquire(&words->head), /* [mem-head] */
		.tail = sluice_load64_acquire(&words->tail), /* [mem-tail] */
	};
}

/* shape is a checked copy of the file's. */
static int map_rings(int fd, const struct mem_file *shape, struct map *out)
{
	uint64_t ring_len = (uint64_t)shape->n_slots * shape->slot_len;
	uint8_t *base;

	out->len = file_len(shape->n_slots, shape->slot_len);
	base = mmap(NULL, out->len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	out->file = (struct mem_file *)(void *)base;
	ring_init(&out->to_port, &out->file->to_port, base + SLOTS_OFF, shape);
	ring_init(&out->from_port, &out->file->from_port,
		  base + SLOTS_OFF + ring_len, shape);
	return 0;
}

static bool is_sound(const struct mem_file *f)
{
	return f->magic == MEM_MAGIC && f->n_slots >= 2 &&
	       f->n_slots <= 1u << 20 && (f->n_slots & (f->n_slots - 1)) == 0 &&
	       f->slot_len >= sizeof(struct slot) + 64 &&
	       f->slot_len <= sizeof(struct slot) + FRAME_LEN_MAX + 64 &&
	       f->slot_len % 16 == 0;
}

static int map_file(const char *path, struct map *out)
{
	struct mem_file shape;
	struct stat st;
	int fd = open(path, O_RDWR | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	if (pread(fd, &shape, sizeof(shape), 0) != (ssize_t)sizeof(shape) ||
	    !is_sound(&shape) || fstat(fd, &st) != 0 ||
	    (uint64_t)st.st_size < file_len(shape.n_slots, shape.slot_len))
		err = -EINVAL;
	else
		err = map_rings(fd, &shape, out);
	close(fd);
	return err;
}

int port_mem_open(const struct sluice_port *rec, struct port **out,
		  struct why *why)
{
	struct mem_port *mp = calloc(1, sizeof(*mp));
	int err;

	if (!mp)
		return why_say(why, -ENOMEM, "port %s: no memory", rec->name);
	mp->port.ops = &mem_ops;
	mp->port.fd = -1;
	mp->port.mtu = 1500;
	err = map_file(rec->device, &mp->map);
	if (err) {
		free(mp);
		return why_say(why, err, "port %s: memory %s: %s", rec->name,
			       rec->device, strerror(-err));
	}
	*out = &mp->port;
	return 0;
}

/* ---- The peer's side ---- */

int mem_peer_new(uint32_t n_slots, uint32_t len_max, struct mem_peer **out)
{
	struct mem_file shape = {
		.magic = MEM_MAGIC,
		.n_slots = n_slots,
		.slot_len = (uint32_t)sizeof(struct slot) +
			    (((len_max > 64 ? len_max : 64) + 15) & ~15u),
	};
	struct mem_peer *m;
	int err = -ENOMEM;

	if (!is_sound(&shape))
		return -EINVAL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->fd = memfd_create("sluice-mem-port",
			     MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (m->fd < 0)
		goto undo_alloc;
	if (ftruncate(m->fd, (off_t)file_len(n_slots, shape.slot_len)) != 0 ||
	    fcntl(m->fd, F_ADD_SEALS, F_SEAL_SHRINK) != 0)
		goto undo_fd;
	if (pwrite(m->fd, &shape, sizeof(shape), 0) != (ssize_t)sizeof(shape))
		goto undo_fd;
	err = map_rings(m->fd, &shape, &m->map);
	if (err)
		goto undo_fd;
	snprintf(m->path, sizeof(m->path), "/proc/%d/fd/%d", (int)getpid(),
		 m->fd);
	*out = m;
	return 0;

undo_fd:
	close(m->fd);
undo_alloc:
	free(m);
	return err;
}

void mem_peer_free(struct mem_peer *m)
{
	if (!m)
		return;
	munmap(m->map.file, m->map.len);
	close(m->fd);
	free(m);
}

const char *mem_peer_path(const struct mem_peer *m)
{
	return m->path;
}

bool mem_peer_push(struct mem_peer *m, const void *data, uint32_t len,
		   const struct virtio_net_hdr *vnet)
{
	struct ring *r = &m->map.to_port;

	if (len > slot_data_max(r) || room(r, 1) == 0)
		return false;
	fill(r, r->head, data, len, vnet);
	push(r, 1);
	return true;
}

uint32_t mem_peer_pop(struct mem_peer *m, void *data, uint32_t max,
		      struct virtio_net_hdr *vnet)
{
	struct ring *r = &m->map.from_port;
	struct slot *s;
	uint32_t len;

	if (filled(r, 1) == 0)
		return 0;
	s = slot_at(r, r->tail);
	len = s->len <= slot_data_max(r) ? s->len : slot_data_max(r);
	memcpy(data, s->data, len < max ? len : max);
	if (vnet)
		*vnet = s->vnet;
	pop(r, 1);
	return len;
}

void mem_peer_repeat(struct mem_peer *m, uint32_t n)
{
	push(&m->map.to_port, room(&m->map.to_port, n));
}

uint32_t mem_peer_forget(struct mem_peer *m)
{
	uint32_t n = filled(&m->map.from_port, m->map.from_port.n_slots);

	pop(&m->map.from_port, n);
	return n;
}
