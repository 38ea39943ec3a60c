/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/switch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rng.h"
#include "daemon/engines.h"
#include "daemon/links.h"
#include "pipe/slowpath.h"

/*
 * The order of an adoption: the region, so that nobody else takes it; the
 * engine, which forwards on from pinned state; the ports one by one, each
 * without a gap; only then the set of all ports and the rebuilt links, since
 * both need to know which ports are up.
 */

/* Rounds of the slow path before the owner looks at other things. */
#define ROUNDS_MAX 32u

/*
 * The xdp engine follows its devices when we call it. sluice-poll opens and
 * closes devices in its own process, and writes that into the records, which
 * nobody tells us; whether an open device is connected, we find out for it.
 */
#define LOOK_NS 500000000u

/* Between tries to open ports that could not be opened. */
#define RETRY_NS 1000000000u

struct vswitch {
	const struct log *log; /* not owned */
	enum sluice_engine_kind kind;
	struct region *region;
	struct state state;
	struct engine *engine;
	struct slowpath slow;
	struct learn_conf learn;
	uint64_t ports;	 /* bit n: the engine has port n */
	uint64_t failed; /* those that it could not open */
	uint64_t retry_ns;
	uint64_t up;	  /* those that the slow path takes to be up */
	int epoll_fd;	  /* of the engine, and of links_fd */
	int links_fd;	  /* poll: news of devices; else -1 */
	uint64_t look_ns; /* poll: when to look at the records again */
	bool is_adopted;
	bool has_forwarded;
};

static struct state_conf tables_of(const struct vswitch *s,
				   const struct config *config)
{
	return (struct state_conf){
		.engine = s->kind,
		.n_lanes = engines_n_lanes(s->kind),
		.n_flows = config->max_flows,
		.n_macs = config->max_macs,
		.seed = rng_secret(),
	};
}

/* ---- Region and tables. ---- */

static void region_leave(struct vswitch *s)
{
	state_fini(&s->state);
	region_free(s->region);
	s->region = NULL;
}

static int adopt_tables(struct vswitch *s, struct why *why)
{
	int err = state_adopt(s->region, &s->state, why);

	if (err)
		return err;
	if (s->state.sw->engine != (uint32_t)s->kind)
		return why_say(why, -EINVAL, "it was made for another engine");
	if (s->state.sw->n_lanes < engines_n_lanes(s->kind))
		return why_say(why, -EINVAL, "it counts for fewer cores");
	return 0;
}

/* Tables cannot grow under an engine that reads them. */
static void say_sizes(const struct vswitch *s, const struct config *config)
{
	uint32_t n_flows = table_exact_n_max(s->state.flows);
	uint32_t n_macs = table_exact_n_max(s->state.macs);

	if (n_flows != config->max_flows || n_macs != config->max_macs)
		log_warning(s->log,
			    "tables stay as they are, %u flows and %u "
			    "addresses, until the switch has been stopped%s",
			    n_flows, n_macs,
			    config->region == CONFIG_REGION_AUTO
				    ? ""
				    : " and its memory been removed");
}

/* -ENOENT: there is none that can be adopted, so make one. */
static int adopt_region(struct vswitch *s, const struct config *config,
			struct why *why)
{
	struct why reason = {0};
	int fd, err;

	err = engines_find_region(s->kind, config, &fd, &reason);
	if (err)
		return -ENOENT;
	err = region_adopt(fd, &s->region, &reason);
	if (err == -EBUSY) {
		close(fd);
		return why_say(why, err, "switch %s is running: %s",
			       config->name, reason.text);
	}
	if (err)
		close(fd);
	else
		err = adopt_tables(s, &reason);
	if (!err) {
		say_sizes(s, config);
		s->is_adopted = true;
		return 0;
	}
	log_warning(s->log,
		    "what an earlier daemon left cannot be taken over, so all "
		    "is learned anew: %s",
		    reason.text);
	if (s->region)
		region_leave(s);
	return -ENOENT;
}

static int make_region(struct vswitch *s, const struct config *config,
		       struct why *why)
{
	struct state_conf tables = tables_of(s, config);
	uint64_t len = state_region_len(&tables);
	int err;

	if (!len)
		return why_say(why, -EINVAL,
			       "%u flows and %u addresses do not fit into a "
			       "region of 4 GiB",
			       config->max_flows, config->max_macs);
	err = engines_new_region(s->kind, config, len, &s->region, why);
	if (err)
		return err;
	err = state_new(s->region, &tables, &s->state, why);
	if (err)
		region_leave(s);
	return err;
}

/*
 * Ends what an earlier daemon left behind with the other engine: it would go on
 * forwarding between the same devices.
 */
static void other_end(const struct vswitch *s, const struct config *config)
{
	enum sluice_engine_kind kind = s->kind == SLUICE_ENGINE_XDP
					       ? SLUICE_ENGINE_POLL
					       : SLUICE_ENGINE_XDP;
	struct region *region;
	struct engine *engine;
	struct why why = {0};
	int fd;

	if (engines_find_region(kind, config, &fd, &why))
		return;
	if (region_adopt(fd, &region, &why)) {
		close(fd);
		goto say;
	}
	if (engines_open(kind, region, s->log, &engine, &why)) {
		region_free(region);
		goto say;
	}
	engine->ops->close(engine, false);
	region_free(region);
	log_info(s->log, "engine %s, left by an earlier daemon, is ended",
		 engines_name(kind));
	return;
say:
	log_warning(s->log, "engine %s, left by an earlier daemon: %s",
		    engines_name(kind), why.text);
}

/* ---- Ports. ---- */

/* The record of a name, or 0. */
static uint32_t port_find(const struct vswitch *s, const char *name)
{
	for (uint32_t no = 1; no < SLUICE_PORTS_MAX; no++)
		if (s->state.ports[no].kind != SLUICE_PORT_NONE &&
		    strncmp(s->state.ports[no].name, name,
			    SLUICE_PORT_NAME_LEN) == 0)
			return no;
	return 0;
}

static uint32_t port_free_number(const struct vswitch *s)
{
	for (uint32_t no = 1; no < SLUICE_PORTS_MAX; no++)
		if (s->state.ports[no].kind == SLUICE_PORT_NONE)
			return no;
	return 0;
}

static bool port_is(const struct vswitch *s, uint32_t no,
		    const struct config_port *c)
{
	const struct sluice_port *p = &s->state.ports[no];

	return p->kind == (uint32_t)engines_port_kind(s->kind, c) &&
	       strncmp(p->device, c->device, sizeof(p->device)) == 0 &&
	       strncmp(p->output, c->output, sizeof(p->output)) == 0;
}

static void port_remove(struct vswitch *s, uint32_t no)
{
	s->engine->ops->port_del(s->engine, no);
	sluice_store32_release(&s->state.ports[no].kind, SLUICE_PORT_NONE);
}

/* Removes ports that are not configured, or not so, since a former daemon. */
static void ports_clean(struct vswitch *s, const struct config *config)
{
	for (uint32_t no = 1; no < SLUICE_PORTS_MAX; no++) {
		bool is_wanted = false;

		if (s->state.ports[no].kind == SLUICE_PORT_NONE)
			continue;
		for (uint32_t i = 0; i < config->n_ports; i++)
			is_wanted |=
				port_find(s, config->ports[i].name) == no &&
				port_is(s, no, &config->ports[i]);
		if (!is_wanted)
			port_remove(s, no);
	}
}

static void port_write(struct vswitch *s, uint32_t no,
		       const struct config_port *c)
{
	struct sluice_port *p = &s->state.ports[no];

	memset(p, 0, sizeof(*p));
	memcpy(p->name, c->name, sizeof(p->name));
	memcpy(p->device, c->device, sizeof(p->device));
	memcpy(p->output, c->output, sizeof(p->output));
	sluice_store32_release(&p->kind, engines_port_kind(s->kind, c));
}

/* Gives a port to the engine. Says so when it fails for the first time. */
static void port_add(struct vswitch *s, uint32_t no)
{
	struct why why = {0};

	if (!s->engine->ops->port_add(s->engine, no, &why)) {
		s->ports |= 1ull << no;
		s->failed &= ~(1ull << no);
		return;
	}
	sluice_store32_relaxed(&s->state.ports[no].state, SLUICE_PORT_FAILED);
	if (!(s->failed >> no & 1))
		log_error(s->log, "port %s cannot be opened yet: %s",
			  s->state.ports[no].name, why.text);
	s->failed |= 1ull << no;
}

static void port_new(struct vswitch *s, const struct config_port *c)
{
	uint32_t no = port_free_number(s);

	port_write(s, no, c);
	port_add(s, no);
}

static void ports_retry(struct vswitch *s, uint64_t now_ns)
{
	if (now_ns < s->retry_ns)
		return;
	s->retry_ns = now_ns + RETRY_NS;
	for (uint64_t todo = s->failed; todo; todo &= todo - 1)
		port_add(s, (uint32_t)__builtin_ctzll(todo));
}

static uint64_t ports_up(const struct vswitch *s)
{
	uint64_t up = 0;

	for (uint64_t todo = s->ports; todo; todo &= todo - 1) {
		uint32_t no = (uint32_t)__builtin_ctzll(todo);

		if (sluice_load32_relaxed(&s->state.ports[no].state) ==
		    SLUICE_PORT_UP)
			up |= 1ull << no;
	}
	return up;
}

static void link_follow(struct vswitch *s, uint32_t no)
{
	struct sluice_port *p = &s->state.ports[no];
	uint32_t state = sluice_load32_relaxed(&p->state);
	uint32_t linked = links_is_up(s->links_fd, p->device)
				  ? SLUICE_PORT_UP
				  : SLUICE_PORT_DOWN;

	if (p->kind != SLUICE_PORT_PCAP && state != linked &&
	    state != SLUICE_PORT_FAILED)
		sluice_store32_relaxed(&p->state, linked);
}

/* poll: looks at the devices when there is news, and now and then. */
static void links_follow(struct vswitch *s, uint64_t now_ns)
{
	if (s->links_fd < 0 ||
	    (!links_news(s->links_fd) && now_ns < s->look_ns))
		return;
	s->look_ns = now_ns + LOOK_NS;
	for (uint64_t todo = s->ports; todo; todo &= todo - 1)
		link_follow(s, (uint32_t)__builtin_ctzll(todo));
}

/* Tells the slow path which ports are up, when that changed. */
static void ports_follow(struct vswitch *s)
{
	uint64_t up = ports_up(s);
	struct why why = {0};

	if (up == s->up)
		return;
	for (uint64_t todo = up ^ s->up; todo; todo &= todo - 1) {
		uint32_t no = (uint32_t)__builtin_ctzll(todo);

		log_info(s->log, "port %.*s is %s", (int)SLUICE_PORT_NAME_LEN,
			 s->state.ports[no].name, up >> no & 1 ? "up" : "down");
	}
	s->up = up;
	if (slowpath_set_up(&s->slow, up, &why))
		log_error(s->log, "%s", why.text);
}

/* ---- Life. ---- */

static void say_started(const struct vswitch *s, uint64_t ns)
{
	log_info(s->log,
		 "engine %s, %u ports, region of %llu KiB in pages of %u KiB, "
		 "%s after %.1f ms",
		 engines_name(s->kind),
		 (unsigned)__builtin_popcountll(s->ports),
		 (unsigned long long)(s->region->len >> 10),
		 s->region->page_len >> 10, s->is_adopted ? "taken over" : "up",
		 (double)ns / 1e6);
	if (s->is_adopted)
		log_info(s->log, "%u flows and %u addresses go on",
			 table_exact_n_used(s->state.flows),
			 table_exact_n_used(s->state.macs));
}

static int watch_fd(const struct vswitch *s, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN};

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

/* Makes the descriptor that the owner waits for. */
static int watch(struct vswitch *s)
{
	int err;

	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0)
		return -errno;
	err = watch_fd(s, s->engine->ops->fd(s->engine));
	if (err || s->kind != SLUICE_ENGINE_POLL)
		return err;
	s->links_fd = links_open();
	s->look_ns = 0;
	return s->links_fd < 0 ? s->links_fd : watch_fd(s, s->links_fd);
}

static void unwatch(struct vswitch *s)
{
	if (s->links_fd >= 0)
		close(s->links_fd);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	s->links_fd = s->epoll_fd = -1;
}

static void ports_tell(struct vswitch *s)
{
	struct why why = {0};

	links_follow(s, clock_now_ns());
	s->up = ports_up(s);
	if (slowpath_set_up(&s->slow, s->up, &why))
		log_error(s->log, "%s", why.text);
}

/*
 * Ports that were there before come first. New ones may get numbers of ports
 * that are gone, so what was learned on those must go before.
 */
static void start_ports(struct vswitch *s, const struct config *config)
{
	ports_clean(s, config);
	for (uint32_t i = 0; i < config->n_ports; i++) {
		uint32_t no = port_find(s, config->ports[i].name);

		if (no)
			port_add(s, no);
	}
	if (s->is_adopted) {
		ports_tell(s);
		slowpath_adopt(&s->slow, clock_now_ns());
	}
	for (uint32_t i = 0; i < config->n_ports; i++)
		if (!port_find(s, config->ports[i].name))
			port_new(s, &config->ports[i]);
	ports_tell(s);
}

static int start(struct vswitch *s, const struct config *config,
		 uint64_t start_ns, struct why *why)
{
	struct sluice_switch *sw = s->state.sw;
	int err;

	err = engines_open(s->kind, s->region, s->log, &s->engine, why);
	if (err)
		return err;
	s->learn = (struct learn_conf){
		.state = &s->state,
		.flow_idle_ns = config->flow_idle_s * 1000000000ull,
		.mac_age_ns = config->mac_age_s * 1000000000ull,
		.seed = rng_secret(),
	};
	if (!s->is_adopted)
		sluice_store64_relaxed(&sw->started_ns, start_ns);
	sluice_store64_relaxed(&sw->flow_idle_ns, s->learn.flow_idle_ns);
	sluice_store64_relaxed(&sw->mac_age_ns, s->learn.mac_age_ns);
	err = watch(s);
	if (!err)
		err = slowpath_init(&s->slow, &s->learn, s->engine,
				    clock_now_ns());
	if (err) {
		unwatch(s);
		s->engine->ops->close(s->engine, s->is_adopted);
		return why_say(why, err, "%s", strerror(-err));
	}
	start_ports(s, config);
	s->has_forwarded = s->slow.has_forwarded;
	return 0;
}

/* All of it with the engine that was chosen; on failure nothing is left. */
static int open_with(struct vswitch *s, const struct config *config,
		     uint64_t start_ns, struct why *why)
{
	int err;

	other_end(s, config);
	err = adopt_region(s, config, why);
	if (err == -ENOENT)
		err = make_region(s, config, why);
	if (err)
		return err;
	err = start(s, config, start_ns, why);
	if (err)
		region_leave(s);
	return err;
}

int switch_open(const struct config *config, const struct log *log,
		uint64_t start_ns, struct vswitch **out, struct why *why)
{
	struct vswitch *s = calloc(1, sizeof(*s));
	struct why reason = {0};
	int err;

	if (!s)
		return why_say(why, -ENOMEM, "no memory");
	*s = (struct vswitch){.log = log,
			      .epoll_fd = -1,
			      .links_fd = -1,
			      .look_ns = UINT64_MAX};
	err = engines_choose(config, log, &s->kind, &reason);
	if (!err)
		err = open_with(s, config, start_ns, &reason);
	if (err && err != -EBUSY && s->kind == SLUICE_ENGINE_XDP &&
	    config->engine == CONFIG_ENGINE_AUTO) {
		log_warning(log,
			    "engine xdp does not start, so the slower engine "
			    "poll does: %s",
			    reason.text);
		s->kind = SLUICE_ENGINE_POLL;
		s->is_adopted = false;
		reason = (struct why){0};
		err = open_with(s, config, start_ns, &reason);
	}
	if (err) {
		free(s);
		return why_say(why, err, "%s", reason.text);
	}
	say_started(s, clock_now_ns() - start_ns);
	*out = s;
	return 0;
}

void switch_close(struct vswitch *s, bool keep)
{
	if (!s)
		return;
	unwatch(s);
	slowpath_fini(&s->slow);
	s->engine->ops->close(s->engine, keep);
	region_leave(s);
	free(s);
}

/* ---- Running. ---- */

int switch_fd(struct vswitch *s)
{
	return s->epoll_fd;
}

bool switch_serve(struct vswitch *s, uint64_t now_ns)
{
	uint32_t n = SLOWPATH_BATCH;
	bool more = false;

	/* Timers keep up with misses, so flows leave as fast as they come. */
	for (uint32_t i = 0; i < ROUNDS_MAX && n == SLOWPATH_BATCH; i++) {
		n = slowpath_round(&s->slow, now_ns);
		more = slowpath_timers(&s->slow, now_ns);
	}
	ports_retry(s, now_ns);
	links_follow(s, now_ns);
	ports_follow(s);
	if (!s->has_forwarded && s->slow.has_forwarded) {
		s->has_forwarded = true;
		log_info(s->log, "first packet forwarded %.1f ms after start",
			 (double)(now_ns - s->state.sw->started_ns) / 1e6);
	}
	return more || n == SLOWPATH_BATCH;
}

uint64_t switch_next_ns(const struct vswitch *s)
{
	uint64_t next_ns = slowpath_next_ns(&s->slow);

	if (s->failed && s->retry_ns < next_ns)
		next_ns = s->retry_ns;
	return next_ns < s->look_ns ? next_ns : s->look_ns;
}
