/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine's ports, and waiting. Which ports have frames is learnt from epoll
 * once per round, not by asking each: sixty idle ports cost a busy one a system
 * call per round, not sixty.
 */
#include "engine/poll/poll.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "engine/poll/poll_private.h"

/* epoll's number of watched descriptor 0; ports have their own numbers. */
#define WATCH SLUICE_PORTS_MAX

/* A port without a descriptor is looked at this often, in ms. */
#define BLIND_WAIT_MS 1

static int take_tables(struct poll *e, void *mem, uint64_t len, struct why *why)
{
	struct sluice_port_stats *stats;
	struct sluice_reader r;
	struct sluice_why text;
	int err = sluice_reader_open_mem(mem, len, &r, &text);

	if (err)
		return why_say(why, err, "%s", text.text);
	if (r.n_lanes <= POLL_LANE)
		return why_say(why, -EINVAL,
			       "the region has %u lanes of counters, the poll "
			       "engine needs %u",
			       r.n_lanes, POLL_LANE + 1);
	if (!r.n_sections)
		return why_say(why, -EINVAL,
			       "the region has no table of readers");
	/* The reader's view of the memory is read-only, ours is not. */
	e->memory.sw = (struct sluice_switch *)(uintptr_t)r.sw;
	e->memory.records = (struct sluice_port *)(uintptr_t)r.ports;
	e->memory.sections = (struct sluice_section *)(uintptr_t)r.sections;
	e->memory.n_sections = r.n_sections;
	e->tables.region = r.region;
	e->tables.flows = r.flows;
	e->tables.sets = r.sets;
	stats = (struct sluice_port_stats *)(uintptr_t)r.stats;
	for (uint32_t i = 0; i < SLUICE_PORTS_MAX; i++)
		e->ports[i].stats = &stats[POLL_LANE * SLUICE_PORTS_MAX + i];
	sluice_reader_close(&r);
	return 0;
}

static int take_seat(struct poll *e, struct sluice_why *why)
{
	const struct sluice_seat_conf conf = {
		.owner = sluice_owner_of(0),
		.kind = SLUICE_SECTION_POLL,
		.name = "sluice-poll",
	};

	return sluice_seat_take(e->memory.sections, e->memory.n_sections, &conf,
				&e->seat, why);
}

void poll_sit(struct poll *e)
{
	if (sluice_seat_is_lost(&e->seat))
		(void)take_seat(e, NULL);
}

int poll_new(void *mem, uint64_t len, const struct poll_slow *slow,
	     struct poll **out, struct why *why)
{
	struct poll *e = calloc(1, sizeof(*e));
	struct sluice_why said = {""};
	int err;

	if (!e)
		return why_say(why, -ENOMEM, "no memory for an engine");
	e->slow = *slow;
	err = take_tables(e, mem, len, why);
	if (err)
		goto undo_alloc;
	e->rooms = aligned_alloc(CACHE_LINE, (size_t)POLL_BUDGET * FRAME_ROOM);
	if (!e->rooms) {
		err = why_say(why, -ENOMEM, "no memory for frames");
		goto undo_alloc;
	}
	for (uint32_t i = 0; i < POLL_BUDGET; i++)
		e->frames[i].room = e->rooms + (size_t)i * FRAME_ROOM;
	e->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (e->epfd < 0) {
		err = why_say(why, -errno, "epoll: %s", strerror(errno));
		goto undo_rooms;
	}
	err = take_seat(e, &said);
	if (err) {
		why_say(why, err, "%s", said.text);
		goto undo_epoll;
	}
	*out = e;
	return 0;

undo_epoll:
	close(e->epfd);
undo_rooms:
	free(e->rooms);
undo_alloc:
	free(e);
	return err;
}

void poll_free(struct poll *e)
{
	if (!e)
		return;
	for (uint32_t i = 0; i < SLUICE_PORTS_MAX; i++)
		poll_port_close(e, i);
	sluice_seat_give(&e->seat);
	close(e->epfd);
	free(e->rooms);
	free(e);
}

struct sluice_switch *poll_switch(struct poll *e)
{
	return e->memory.sw;
}

struct sluice_port *poll_records(struct poll *e)
{
	return e->memory.records;
}

const struct poll_tables *poll_tables(const struct poll *e)
{
	return &e->tables;
}

static int watch(struct poll *e, int fd, uint32_t number)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = number};

	return epoll_ctl(e->epfd, EPOLL_CTL_ADD, fd, &ev) == 0 ? 0 : -errno;
}

int poll_port_give(struct poll *e, uint32_t no, struct port *p)
{
	int err = 0;

	if (no == 0 || no >= SLUICE_PORTS_MAX)
		return -EINVAL;
	if (e->ports[no].port)
		return -EEXIST;
	if (p->fd >= 0)
		err = watch(e, p->fd, no);
	else
		e->blind |= 1ull << no;
	if (err)
		return err;
	e->ports[no].port = p;
	e->up |= 1ull << no;
	return 0;
}

struct port *poll_port(const struct poll *e, uint32_t no)
{
	return no < SLUICE_PORTS_MAX ? e->ports[no].port : NULL;
}

void poll_port_close(struct poll *e, uint32_t no)
{
	struct port *p = poll_port(e, no);
	uint64_t others = ~(1ull << no);

	if (!p)
		return;
	if (p->fd >= 0)
		poll_unwatch(e, p->fd);
	e->up &= others;
	e->blind &= others;
	e->ready &= others;
	e->busy &= others;
	e->ports[no].port = NULL;
	port_close(p);
}

uint64_t poll_ports(const struct poll *e)
{
	return e->up;
}

void poll_losses(struct poll *e)
{
	for (uint64_t some = e->up; some; some &= some - 1) {
		uint32_t no = (uint32_t)__builtin_ctzll(some);
		struct port *p = e->ports[no].port;

		if (p->ops->losses)
			poll_count(&e->ports[no].stats->rx_lost,
				   p->ops->losses(p));
	}
}

int poll_watch(struct poll *e, uint32_t i, int fd)
{
	return watch(e, fd, WATCH + i);
}

void poll_unwatch(struct poll *e, int fd)
{
	epoll_ctl(e->epfd, EPOLL_CTL_DEL, fd, NULL);
}

/* Files at their end need not be looked at again. */
static void forget_ended(struct poll *e)
{
	for (uint64_t some = e->blind; some; some &= some - 1) {
		uint32_t no = (uint32_t)__builtin_ctzll(some);

		if (e->ports[no].port->at_end)
			e->blind &= ~(1ull << no);
	}
}

uint64_t poll_wait(struct poll *e, int timeout_ms)
{
	struct epoll_event evs[SLUICE_PORTS_MAX];
	uint64_t watched = 0;
	int n;

	forget_ended(e);
	if (e->busy)
		timeout_ms = 0;
	else if (e->blind && (timeout_ms < 0 || timeout_ms > BLIND_WAIT_MS))
		timeout_ms = BLIND_WAIT_MS;
	n = epoll_wait(e->epfd, evs, ARRAY_LEN(evs), timeout_ms);
	for (int i = 0; i < n; i++) {
		uint32_t number = evs[i].data.u32;

		if (number >= WATCH)
			watched |= 1ull << (number - WATCH);
		else
			e->ready |= 1ull << number;
	}
	return watched;
}
