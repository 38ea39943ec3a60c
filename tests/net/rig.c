/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A host's namespace is made by a child that ends at once; a descriptor keeps
 * it. A thread that has to do something there goes in and comes back; sockets
 * stay where they were made.
 */

#include "rig.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/must.h"
#include "engine/xdp/pins.h"
#include "sluice/capture.h"
#include "sluice/parse.h"

static int run(const char *fmt, ...)
{
	char cmd[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	return system(cmd);
}

static int here(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	must(fd >= 0);
	return fd;
}

/* A new namespace with the inner end of a veth in it. */
static int netns_new(struct rig_host *h, uint32_t n_queues)
{
	int back = here(), fd;

	must(!unshare(CLONE_NEWNET));
	fd = here();
	must(!setns(back, CLONE_NEWNET));
	close(back);
	if (run("ip link add %s numrxqueues %u numtxqueues %u type veth peer "
		"name %s numrxqueues %u numtxqueues %u netns /proc/%d/fd/%d",
		h->outer, n_queues, n_queues, h->inner, n_queues, n_queues,
		getpid(), fd))
		return -1;
	return fd;
}

int rig_gro_on(const char *device)
{
	struct ethtool_value v = {.cmd = ETHTOOL_SGRO, .data = 1};
	struct ifreq ifr = {.ifr_data = (char *)&v};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), err;

	must(fd >= 0);
	strcpy(ifr.ifr_name, device);
	err = ioctl(fd, SIOCETHTOOL, &ifr) ? -errno : 0;
	close(fd);
	return err;
}

static int host_new(struct rig_host *h, uint32_t no, uint32_t n_queues)
{
	const int len = 4 << 20;
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL)};
	int back = here();

	snprintf(h->inner, sizeof(h->inner), "h%u", no);
	snprintf(h->outer, sizeof(h->outer), "s%u", no);
	h->netns_fd = netns_new(h, n_queues);
	if (h->netns_fd < 0)
		return -1;
	must(!setns(h->netns_fd, CLONE_NEWNET));
	run("echo 1 > /proc/sys/net/ipv6/conf/%s/disable_ipv6", h->inner);
	run("ip link set %s up", h->inner);
	must(!rig_gro_on(h->inner));
	h->sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	to.sll_ifindex = (int)if_nametoindex(h->inner);
	must(!bind(h->sock, (struct sockaddr *)&to, sizeof(to)));
	setsockopt(h->sock, SOL_SOCKET, SO_RCVBUFFORCE, &len, sizeof(len));
	must(!setns(back, CLONE_NEWNET));
	close(back);
	run("echo 1 > /proc/sys/net/ipv6/conf/%s/disable_ipv6", h->outer);
	return run("ip link set %s up", h->outer);
}

/* Removes what a rig left in the kernel whose process was killed. */
static void sweep(void)
{
	struct dirent *d;
	DIR *dir = opendir(SLUICE_BPF_DIR);

	while (dir && (d = readdir(dir))) {
		struct xdp_pins pins;
		pid_t pid;

		if (strncmp(d->d_name, "rig-", 4) != 0)
			continue;
		pid = (pid_t)strtol(d->d_name + 4, NULL, 10);
		if (!kill(pid, 0) || xdp_pins_open(d->d_name, &pins, NULL))
			continue;
		xdp_pins_remove(&pins);
		xdp_pins_close(&pins);
	}
	if (dir)
		closedir(dir);
}

const char *rig_init(struct rig *rig, uint32_t n_hosts, uint32_t n_queues)
{
	static struct why why;

	memset(rig, 0, sizeof(*rig));
	why = (struct why){0};
	if (geteuid())
		return "needs root";
	if (xdp_engine_available(&why))
		return why.text;
	if (unshare(CLONE_NEWNET))
		return "needs network namespaces";
	sweep();
	snprintf(rig->name, sizeof(rig->name), "rig-%d", getpid());
	rig->log = (struct log){stderr, rig->name, LOG_INFO};
	for (uint32_t i = 1; i <= n_hosts; i++)
		if (host_new(&rig->hosts[i], i, n_queues))
			return "needs veth devices and ip(8)";
	rig->n_hosts = n_hosts;
	return NULL;
}

void rig_fini(struct rig *rig)
{
	for (uint32_t i = 1; i <= rig->n_hosts; i++) {
		run("ip link del %s", rig->hosts[i].outer);
		close(rig->hosts[i].sock);
		close(rig->hosts[i].netns_fd);
	}
}

/* ---- The switch. ---- */

static void array_new(struct region *r, enum sluice_table_kind kind, uint32_t n,
		      uint32_t value_len)
{
	struct sluice_table_desc d = {
		.name = "rig",
		.kind = kind,
		.alg = SLUICE_ALG_ARRAY,
		.n_max = n,
		.len = (uint64_t)n * value_len,
		.value_len = (uint16_t)value_len,
	};
	uint32_t off;

	must(!region_table_add(r, &d, &off, NULL));
	region_table_publish(r);
}

static void tables_find(struct rig_switch *sw)
{
	struct region *r = sw->region;
	const struct sluice_table_desc *d;

	d = region_table(r, SLUICE_TABLE_PORTS);
	sw->ports = region_at(r, d->off, d->len);
	d = region_table(r, SLUICE_TABLE_SETS);
	sw->sets = region_at(r, d->off, d->len);
	d = region_table(r, SLUICE_TABLE_STATS);
	sw->stats = region_at(r, d->off, d->len);
	sw->n_lanes = d->n_max / SLUICE_PORTS_MAX;
}

static int engine_open(struct rig *rig, struct rig_switch *sw, bool generic)
{
	struct xdp_engine_conf conf = {sw->region, &rig->log, generic};
	struct why why = {0};
	int err;

	tables_find(sw);
	err = xdp_engine_open(&conf, &sw->engine, &why);
	if (err)
		log_error(&rig->log, "%s", why.text);
	return err;
}

int rig_switch_new(struct rig *rig, struct rig_switch *sw, bool generic)
{
	const struct table_exact_conf flows = {
		.name = "flows",
		.kind = SLUICE_TABLE_FLOWS,
		.n_max = 8192,
		.key_len = sizeof(struct sluice_key),
		.value_len = sizeof(struct sluice_flow),
		.key_layout = SLUICE_KEY_LAYOUT,
		.seed = 1,
	};
	uint32_t n_lanes = xdp_engine_n_lanes();
	struct why why = {0};
	int err;

	memset(sw, 0, sizeof(*sw));
	err = region_new_arena(rig->name, 4 << 20, &sw->region, &why);
	if (!err) {
		array_new(sw->region, SLUICE_TABLE_SWITCH, 1,
			  sizeof(struct sluice_switch));
		array_new(sw->region, SLUICE_TABLE_PORTS, SLUICE_PORTS_MAX,
			  sizeof(struct sluice_port));
		array_new(sw->region, SLUICE_TABLE_STATS,
			  n_lanes * SLUICE_PORTS_MAX,
			  sizeof(struct sluice_port_stats));
		array_new(sw->region, SLUICE_TABLE_SETS, SLUICE_SETS_MAX, 8);
		err = table_exact_new(sw->region, &flows, &sw->flows, &why);
	}
	if (err) {
		log_error(&rig->log, "%s", why.text);
		return err;
	}
	return engine_open(rig, sw, generic);
}

int rig_switch_adopt(struct rig *rig, struct rig_switch *sw)
{
	struct why why = {0};
	int err, fd;

	memset(sw, 0, sizeof(*sw));
	err = xdp_engine_find(rig->name, &fd, &why);
	if (!err)
		err = region_adopt(fd, &sw->region, &why);
	if (!err)
		err = table_exact_adopt(sw->region, SLUICE_TABLE_FLOWS,
					&sw->flows, &why);
	if (err) {
		log_error(&rig->log, "%s", why.text);
		return err;
	}
	return engine_open(rig, sw, false);
}

void rig_switch_free(struct rig_switch *sw, bool keep)
{
	sw->engine->ops->close(sw->engine, keep);
	table_exact_free(sw->flows);
	region_free(sw->region);
}

int rig_ports_add(struct rig *rig, struct rig_switch *sw)
{
	for (uint32_t i = 1; i <= rig->n_hosts; i++) {
		struct sluice_port *rec = &sw->ports[i];
		struct why why = {0};
		int err;

		strcpy(rec->name, rig->hosts[i].inner);
		strcpy(rec->device, rig->hosts[i].outer);
		rec->kind = SLUICE_PORT_XDP;
		err = sw->engine->ops->port_add(sw->engine, i, &why);
		if (err) {
			log_error(&rig->log, "%s", why.text);
			return err;
		}
	}
	return 0;
}

bool rig_wait_up(struct rig *rig, struct rig_switch *sw)
{
	for (int i = 0; i < 1000; i++) {
		uint32_t n_up = 0;
		struct miss m;

		for (uint32_t no = 1; no <= rig->n_hosts; no++)
			n_up += sw->ports[no].state == SLUICE_PORT_UP;
		if (n_up == rig->n_hosts)
			return true;
		if (sw->engine->ops->recv(sw->engine, &m, 1))
			sw->engine->ops->give(sw->engine, &m, 1);
		usleep(1000);
	}
	return false;
}

struct sluice_port_stats rig_stats(const struct rig_switch *sw, uint32_t port)
{
	struct sluice_port_stats sum = {0};

	for (uint32_t lane = 0; lane < sw->n_lanes; lane++) {
		uint64_t *to = (uint64_t *)&sum;
		const uint64_t *from =
			(const uint64_t *)&sw
				->stats[lane * SLUICE_PORTS_MAX + port];

		for (size_t i = 0; i < sizeof(sum) / 8; i++)
			to[i] += from[i];
	}
	return sum;
}

int64_t rig_imbalance(const struct rig_switch *sw)
{
	uint64_t sum = 0;

	for (uint32_t no = 1; no < SLUICE_PORTS_MAX; no++) {
		struct sluice_port_stats s = rig_stats(sw, no);

		sum += s.rx_packets + s.copies - s.tx_packets - s.missed +
		       s.taken;
		for (uint32_t i = 0; i < SLUICE_DROP_N; i++)
			sum -= s.drops[i];
	}
	return (int64_t)sum;
}

struct sluice_flow *rig_flow_set(struct rig_switch *sw, const uint8_t *frame,
				 uint32_t len, uint32_t in_port, sluice_act act)
{
	const struct sluice_flow f = {.act = act.w};
	struct sluice_key key;
	uint8_t *entry;

	must(!sluice_parse(frame, frame + len, in_port, &key));
	must(!table_exact_set(sw->flows, &key, &f, &entry));
	return sluice_entry_value(entry, sizeof(key));
}

/* ---- Traffic. ---- */

uint32_t rig_frame(uint8_t *out, uint32_t a, uint32_t b, uint32_t n)
{
	static const uint8_t head[42] = {
		2,    0,  0,  0,  0,  0,  2,
		0,    0,  0,  0,  0,  8,  0, /* Ethernet */
		0x45, 0,  0,  46, 0,  0,  0,
		0,    64, 17, 0,  0,  10, 0, /* IPv4 */
		0,    0,  10, 0,  0,  0,  0,
		0,    0,  0,  0,  26, 0,  0 /* UDP */
	};

	memset(out, 0, 60);
	memcpy(out, head, sizeof(head));
	out[5] = (uint8_t)b;
	out[11] = (uint8_t)a;
	out[29] = (uint8_t)a;
	out[33] = (uint8_t)b;
	out[34] = (uint8_t)(n >> 8);
	out[35] = (uint8_t)n;
	out[37] = 9;
	return 60;
}

void rig_send(struct rig *rig, uint32_t host, const uint8_t *frame,
	      uint32_t len)
{
	while (send(rig->hosts[host].sock, frame, len, 0) < 0)
		must(errno == ENOBUFS || errno == EAGAIN);
}

uint32_t rig_recv(struct rig *rig, uint32_t host, uint8_t *out, int timeout_ms)
{
	struct pollfd p = {.fd = rig->hosts[host].sock, .events = POLLIN};
	struct sockaddr_ll from = {0};
	socklen_t from_len = sizeof(from);

	for (;;) {
		ssize_t n;

		if (poll(&p, 1, timeout_ms) != 1)
			return 0;
		n = recvfrom(p.fd, out, 2048, 0, (struct sockaddr *)&from,
			     &from_len);
		if (n > 0 && from.sll_pkttype != PACKET_OUTGOING)
			return (uint32_t)n;
	}
}

uint32_t rig_misses(struct rig_switch *sw, struct miss *out, uint32_t n,
		    int timeout_ms)
{
	const struct engine_ops *ops = sw->engine->ops;
	struct pollfd p = {.fd = ops->fd(sw->engine), .events = POLLIN};
	uint32_t got;

	while (!(got = ops->recv(sw->engine, out, n)))
		if (poll(&p, 1, timeout_ms) != 1)
			return 0;
	return got;
}

int rig_enter(const struct rig *rig, uint32_t host)
{
	int back = here();

	must(!setns(rig->hosts[host].netns_fd, CLONE_NEWNET));
	return back;
}

void rig_leave(int back)
{
	must(!setns(back, CLONE_NEWNET));
	close(back);
}

uint64_t rig_host_packets(struct rig *rig, uint32_t host)
{
	uint64_t packets = 0;
	char line[256], want[20];
	int back = rig_enter(rig, host);
	FILE *f = fopen("/proc/thread-self/net/dev", "r");

	rig_leave(back);
	must(f);
	snprintf(want, sizeof(want), "%s:", rig->hosts[host].inner);
	while (fgets(line, sizeof(line), f)) {
		char *at = strstr(line, want);

		if (!at)
			continue;
		strtoull(at + strlen(want), &at, 10); /* bytes */
		packets = strtoull(at, NULL, 10);
	}
	fclose(f);
	return packets;
}
