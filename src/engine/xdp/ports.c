/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A port is "up" while the programs may send to it: its device runs and is in
 * the map devs. A port set as the programs see it is the set that was asked
 * for, without the ports that are not up; it is kept twice, as a bitmap in the
 * region (by which they count) and as a map of devices (by which the kernel
 * sends). A member joins the devices before the bitmap and leaves in the other
 * order: tx may then lack a packet or two at the moment of change.
 *
 * A driver without native XDP takes no frames from native ports either. So when
 * a port has such a device, all ports are made generic.
 */

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "engine/xdp/private.h"
#include "engine/xdp/watch.h"
#include "sluice/atomic.h"

enum {
	RETRY_NS = 20000000, /* between tries to get a busy queue */
	RESEND_NS = 1000000, /* between tries to send to a congested device */
};

/* ---- Port sets. ---- */

static void set_change(struct xdp_engine *x, int fd, uint32_t set,
		       uint64_t ports)
{
	uint64_t old = sluice_load64_relaxed(&x->sets[set]);

	sluice_store64_relaxed(&x->sets[set], old & ports);
	for (uint32_t no = 1; no < SLUICE_PORTS_MAX; no++) {
		uint32_t ifindex = x->records[no].ifindex;

		if (ports >> no & 1)
			bpf_map_update_elem(fd, &no, &ifindex, BPF_ANY);
		else
			bpf_map_delete_elem(fd, &no);
	}
	sluice_store64_relaxed(&x->sets[set], ports);
}

static int set_refresh(struct xdp_engine *x, uint32_t set)
{
	uint64_t ports = x->wanted[set] & x->up;
	int fd;

	fd = xdp_maps_set(&x->maps, set, ports != 0);
	if (fd == -ENOENT) {
		sluice_store64_relaxed(&x->sets[set], 0);
		return 0;
	}
	if (fd < 0)
		return fd;
	set_change(x, fd, set, ports);
	close(fd);
	return 0;
}

static void sets_refresh(struct xdp_engine *x, uint32_t port)
{
	for (uint32_t set = 0; set < SLUICE_SETS_MAX; set++) {
		int err;

		if (!(x->wanted[set] >> port & 1))
			continue;
		err = set_refresh(x, set);
		if (err)
			log_error(x->env.log, "port set %u: %s", set,
				  strerror(-err));
	}
}

int xdp_ports_set(struct engine *e, uint32_t set, uint64_t ports,
		  struct why *why)
{
	struct xdp_engine *x = engine_of(e);
	int err;

	if (set >= SLUICE_SETS_MAX)
		return why_say(why, -EINVAL, "there is no port set %u", set);
	x->wanted[set] = ports & ~1ull;
	err = set_refresh(x, set);
	if (err)
		return why_say(why, err, "port set %u: %s", set,
			       strerror(-err));
	return 0;
}

/* ---- Ports. ---- */

static void port_up(struct xdp_engine *x, uint32_t no)
{
	uint32_t ifindex = x->records[no].ifindex;

	if (bpf_map_update_elem(x->maps.devs, &no, &ifindex, BPF_ANY)) {
		log_error(x->env.log, "%s: cannot be sent to: %s",
			  x->records[no].device, strerror(errno));
		return;
	}
	x->up |= 1ull << no;
	sets_refresh(x, no);
	sluice_store32_relaxed(&x->records[no].state, SLUICE_PORT_UP);
}

static void port_down(struct xdp_engine *x, uint32_t no)
{
	sluice_store32_relaxed(&x->records[no].state, SLUICE_PORT_DOWN);
	x->up &= ~(1ull << no);
	sets_refresh(x, no);
	bpf_map_delete_elem(x->maps.devs, &no);
}

/* Lets the timer run while sockets are missing, or frames unsent. */
static void timer_set(struct xdp_engine *x)
{
	struct itimerspec t = {0};

	if (x->has_unsent)
		t.it_interval.tv_nsec = RESEND_NS;

	for (uint32_t no = 1; no < SLUICE_PORTS_MAX; no++)
		if (x->ports[no] && x->ports[no]->n_missing && !x->has_unsent)
			t.it_interval.tv_nsec = RETRY_NS;
	t.it_value = t.it_interval;
	timerfd_settime(x->timer_fd, 0, &t, NULL);
}

static int port_open(struct xdp_engine *x, uint32_t no, struct why *why)
{
	struct xdp_device dev;
	int err;

	err = xdp_port_open(&x->env, no, &x->records[no], &x->ports[no], why);
	if (err)
		return err;
	timer_set(x);
	if (!xdp_device_find(x->records[no].device, &dev) && dev.is_running)
		port_up(x, no);
	else
		port_down(x, no);
	return 0;
}

static void port_stop(struct xdp_engine *x, uint32_t no)
{
	port_down(x, no);
	xdp_port_close(&x->env, x->ports[no], false);
	x->ports[no] = NULL;
	x->records[no].xdp_mode = SLUICE_XDP_NONE;
}

/* Opens the ports again that run in native mode. */
static void all_generic(struct xdp_engine *x)
{
	x->env.only_generic = true;
	for (uint32_t no = 1; no < SLUICE_PORTS_MAX; no++) {
		struct why why = {0};

		if (!x->ports[no] ||
		    x->records[no].xdp_mode != SLUICE_XDP_NATIVE)
			continue;
		log_warning(x->env.log, "%s: generic XDP from now on",
			    x->records[no].device);
		port_stop(x, no);
		if (port_open(x, no, &why))
			log_error(x->env.log, "%s", why.text);
	}
}

int xdp_ports_add(struct engine *e, uint32_t no, struct why *why)
{
	struct xdp_engine *x = engine_of(e);
	int err;

	if (!no || no >= SLUICE_PORTS_MAX)
		return why_say(why, -EINVAL, "port numbers are 1 to %u",
			       SLUICE_PORTS_MAX - 1);
	if (x->added >> no & 1)
		return why_say(why, -EEXIST, "there is a port %u", no);
	err = port_open(x, no, why);
	if (err) {
		sluice_store32_relaxed(&x->records[no].state,
				       SLUICE_PORT_FAILED);
		return err;
	}
	x->added |= 1ull << no;
	if (x->ports[no]->lacks_native && !x->env.only_generic)
		all_generic(x);
	return 0;
}

void xdp_ports_del(struct engine *e, uint32_t no)
{
	struct xdp_engine *x = engine_of(e);

	if (!no || no >= SLUICE_PORTS_MAX)
		return;
	xdp_port_forget(&x->pins, no);
	port_stop(x, no);
	x->added &= ~(1ull << no);
	timer_set(x);
}

/* Looks at what became of a port's device. */
static void port_look(struct xdp_engine *x, uint32_t no)
{
	struct sluice_port *rec = &x->records[no];
	struct xdp_device dev = {0};
	bool was_up = x->up >> no & 1;
	struct why why = {0};

	if (xdp_device_find(rec->device, &dev))
		dev.ifindex = 0;
	if (x->ports[no] && x->ports[no]->ifindex != dev.ifindex) {
		log_warning(x->env.log, "%s is gone", rec->device);
		port_stop(x, no);
	}
	if (!dev.ifindex)
		return;
	if (!x->ports[no]) {
		if (port_open(x, no, &why))
			log_error(x->env.log, "%s", why.text);
		else
			log_info(x->env.log, "%s is back", rec->device);
		return;
	}
	rec->mtu = dev.mtu;
	memcpy(rec->mac, dev.mac, sizeof(rec->mac));
	if (dev.is_running && !was_up)
		port_up(x, no);
	if (!dev.is_running && was_up)
		port_down(x, no);
}

void xdp_ports_flush(struct xdp_engine *x)
{
	bool had_unsent = x->has_unsent;

	x->has_unsent = false;
	for (uint32_t no = 1; no < SLUICE_PORTS_MAX; no++)
		if (x->up >> no & 1 && x->ports[no] && x->ports[no]->socks[0] &&
		    !port_xsk_flush(x->ports[no]->socks[0]))
			x->has_unsent = true;
	if (x->has_unsent != had_unsent)
		timer_set(x);
}

void xdp_ports_look(struct xdp_engine *x)
{
	bool news = xdp_watch_news(x->watch_fd);
	uint64_t n;

	if (read(x->timer_fd, &n, sizeof(n)) == sizeof(n)) {
		for (uint32_t no = 1; no < SLUICE_PORTS_MAX; no++)
			if (x->ports[no] && x->ports[no]->n_missing)
				xdp_port_retry(&x->env, x->ports[no]);
		xdp_ports_flush(x);
		timer_set(x);
	}
	for (uint32_t no = 1; news && no < SLUICE_PORTS_MAX; no++)
		if (x->added >> no & 1)
			port_look(x, no);
}

/* ---- Life. ---- */

void xdp_ports_adopt(struct xdp_engine *x)
{
	for (uint32_t no = 1; no < SLUICE_PORTS_MAX; no++) {
		uint32_t ifindex = 0;

		if (!bpf_map_lookup_elem(x->maps.devs, &no, &ifindex) &&
		    ifindex)
			x->up |= 1ull << no;
	}
	for (uint32_t set = 0; set < SLUICE_SETS_MAX; set++)
		x->wanted[set] = x->sets[set] & ~1ull;
}

void xdp_ports_close(struct xdp_engine *x, bool keep)
{
	for (uint32_t no = 1; no < SLUICE_PORTS_MAX; no++) {
		if (x->ports[no] && !keep)
			port_stop(x, no);
		xdp_port_close(&x->env, x->ports[no], keep);
		x->ports[no] = NULL;
	}
}
