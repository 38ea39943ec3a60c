/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine between real devices, in network namespaces of our own:
 *
 *       [A] eth0 ---- va [ours: the engine] vb ---- eth0 [B]
 *
 * with sockets of A and B in this process, so that a test is one loop. va and
 * vb are AF_PACKET or AF_XDP ports; B's device may be a TAP of ours instead.
 * Hosts leave checksums and segments to their devices, as hosts do.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rng.h"
#include "engine/poll/lab_dev_test.h"

#define WAIT_NS 10000000000ull
#define BULK (24u << 20) /* bytes of a TCP transfer */

/* Namespaces by descriptor; ours is where the engine is. */
static int ours, host_a, host_b;
static char tmp[] = "/tmp/sluice-devices-XXXXXX";

static bool run(const char *command)
{
	return system(command) == 0; /* NOLINT(cert-env33-c): a test */
}

/* Runs a command that is given as to printf; true if it succeeds. */
static char line[512];
#define sh(...) (snprintf(line, sizeof(line), __VA_ARGS__), run(line))

/* Runs a command inside a namespace of ours. */
static bool in_ns(int ns, const char *what)
{
	bool ok;

	must(setns(ns, CLONE_NEWNET) == 0);
	ok = sh("%s", what);
	must(setns(ours, CLONE_NEWNET) == 0);
	return ok;
}

static bool ip_in(int ns, const char *what)
{
	char with_ip[160];

	snprintf(with_ip, sizeof(with_ip), "ip %s", what);
	return in_ns(ns, with_ip);
}

static int new_ns(void)
{
	if (unshare(CLONE_NEWNET) != 0)
		return -1;
	(void)sh("ip link set lo up");
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static void write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	(void)!write(fd, text, strlen(text));
	close(fd);
}

/* Leaves this process alone with three namespaces. False: no rights. */
static bool make_namespaces(void)
{
	uint32_t uid = getuid(), gid = getgid();
	char map[64];

	if (uid != 0) {
		if (unshare(CLONE_NEWUSER) != 0)
			return false;
		write_to("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", uid);
		write_to("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %u 1", gid);
		write_to("/proc/self/gid_map", map);
	}
	host_a = new_ns();
	host_b = new_ns();
	ours = new_ns();
	return host_a >= 0 && host_b >= 0 && ours >= 0;
}

static bool no_rights(void)
{
	static int known = -1;

	if (known < 0)
		known = make_namespaces();
	if (!known)
		test_skip("network namespaces are not permitted");
	return !known;
}

/* ---- Topology ---- */

static bool give_address(int ns, const char *dev, uint32_t host)
{
	char what[128];
	bool ok;

	snprintf(what, sizeof(what), "addr add 10.9.0.%u/24 dev %s", host, dev);
	ok = ip_in(ns, what);
	snprintf(what, sizeof(what), "link set %s up", dev);
	return ok && ip_in(ns, what);
}

/* name is our end of a cable whose other end is eth0 of a host. */
static bool cable(const char *name, int ns, uint32_t host)
{
	char what[128];
	bool ok;

	/* /proc/self/fd is the shell's, not ours, inside system(3). */
	ok = sh("ip link add %s type veth peer name %sx", name, name);
	ok = ok && sh("ip link set %sx netns /proc/%d/fd/%d", name,
		      (int)getpid(), ns);
	ok = ok && sh("ip link set %s up", name);
	snprintf(what, sizeof(what), "link set %sx name eth0", name);
	return ok && ip_in(ns, what) && give_address(ns, "eth0", host);
}

static void uncable(const char *name)
{
	CHECK(sh("ip link del %s", name));
}

/* ---- Traffic ---- */

static int socket_in(int ns, int type)
{
	int fd;

	must(setns(ns, CLONE_NEWNET) == 0);
	fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	must(setns(ours, CLONE_NEWNET) == 0);
	return fd;
}

static struct sockaddr_in addr_of(uint32_t host, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

	a.sin_addr.s_addr = htonl(0x0a090000 + host);
	return a;
}

/* One UDP packet from A to B and back. */
static void exchange_udp(struct lab *lab)
{
	struct sockaddr_in a = addr_of(1, 7), b = addr_of(2, 7);
	uint64_t end_ns = clock_now_ns() + WAIT_NS;
	int sa = socket_in(host_a, SOCK_DGRAM);
	int sb = socket_in(host_b, SOCK_DGRAM);
	char got[32] = "";

	CHECK(bind(sa, (struct sockaddr *)&a, sizeof(a)) == 0);
	CHECK(bind(sb, (struct sockaddr *)&b, sizeof(b)) == 0);
	CHECK(sendto(sa, "ping", 4, 0, (struct sockaddr *)&b, sizeof(b)) == 4);
	while (recv(sb, got, sizeof(got), 0) < 0 && clock_now_ns() < end_ns)
		turn(lab);
	CHECK(memcmp(got, "ping", 4) == 0);
	CHECK(sendto(sb, "pong", 4, 0, (struct sockaddr *)&a, sizeof(a)) == 4);
	while (recv(sa, got, sizeof(got), 0) < 0 && clock_now_ns() < end_ns)
		turn(lab);
	CHECK(memcmp(got, "pong", 4) == 0);
	close(sa);
	close(sb);
}

/* A connection from A to B; the engine runs meanwhile. */
static bool connect_tcp(struct lab *lab, int *from, int *to)
{
	struct sockaddr_in b = addr_of(2, 99);
	uint64_t end_ns = clock_now_ns() + WAIT_NS;
	int listener = socket_in(host_b, SOCK_STREAM);

	*from = socket_in(host_a, SOCK_STREAM);
	*to = -1;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	CHECK(bind(listener, (struct sockaddr *)&b, sizeof(b)) == 0);
	CHECK(listen(listener, 1) == 0);
	CHECK(connect(*from, (struct sockaddr *)&b, sizeof(b)) < 0 &&
	      errno == EINPROGRESS);
	while (*to < 0 && clock_now_ns() < end_ns) {
		turn(lab);
		*to = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	}
	close(listener);
	CHECK(*to >= 0);
	return *to >= 0;
}

static uint8_t byte_at(uint64_t i)
{
	return (uint8_t)((i * 0x9e3779b97f4a7c15u) >> 56);
}

/* BULK bytes from A to B; checks each. */
static void transfer_tcp(struct lab *lab, const char *what)
{
	static uint8_t out[65536], in[65536];
	uint64_t n_out = 0, n_in = 0, n_wrong = 0;
	uint64_t start_ns = clock_now_ns(), end_ns = start_ns + WAIT_NS;
	int from, to;

	if (!connect_tcp(lab, &from, &to))
		return;
	while (n_in < BULK && clock_now_ns() < end_ns) {
		ssize_t n;
		size_t len =
			BULK - n_out < sizeof(out) ? BULK - n_out : sizeof(out);

		for (size_t i = 0; i < len; i++)
			out[i] = byte_at(n_out + i);
		n = len ? send(from, out, len, MSG_NOSIGNAL) : 0;
		n_out += n > 0 ? (uint64_t)n : 0;
		turn(lab);
		while ((n = recv(to, in, sizeof(in), 0)) > 0)
			for (ssize_t i = 0; i < n; i++)
				n_wrong += in[i] != byte_at(n_in++);
	}
	CHECK_EQ(n_in, BULK);
	CHECK_EQ(n_wrong, 0);
	printf("# %s: %.2f Gbit/s, all in one thread\n", what,
	       (double)n_in * 8 / (double)(clock_now_ns() - start_ns));
	close(from);
	close(to);
}

static uint64_t frames_beyond_mtu(const struct lab *lab)
{
	struct sluice_port_stats s;

	sluice_reader_stats(&lab->see, 1, &s);
	return s.rx_packets ? s.rx_bytes / s.rx_packets : 0;
}

static void show_drops(const struct lab *lab)
{
	static const char *const names[] = {[SLUICE_DROP_NONE] = "none",
#define NAME(id, name, text) [SLUICE_DROP_##id] = (name),
					    SLUICE_DROPS(NAME)
#undef NAME
	};
	for (uint32_t no = 1; no <= 2; no++) {
		struct sluice_port_stats s;

		sluice_reader_stats(&lab->see, no, &s);
		for (uint32_t d = 1; d < SLUICE_DROP_N; d++)
			if (s.drops[d])
				printf("# port %u: %llu %s\n", no,
				       (unsigned long long)s.drops[d],
				       names[d]);
		if (s.rx_lost)
			printf("# port %u: %llu lost before\n", no,
			       (unsigned long long)s.rx_lost);
	}
}

static void finish(struct lab *lab)
{
	poll_losses(lab->engine);
	show_drops(lab);
	/* What the hook above sent has no tx of its own: see poll_send(). */
	poll_port_close(lab->engine, 1);
	poll_port_close(lab->engine, 2);
	lab_fini(lab);
}

/* ---- Tests ---- */

static void hosts_talk_through_af_packet(void)
{
	struct lab lab;

	if (no_rights())
		return;
	lab_bare(&lab);
	if (cable("va", host_a, 1) && cable("vb", host_b, 2) &&
	    open_device(&lab, 1, SLUICE_PORT_PACKET, "va", "") &&
	    open_device(&lab, 2, SLUICE_PORT_PACKET, "vb", "")) {
		CHECK(poll_port(lab.engine, 1)->mtu == 1500);
		CHECK(poll_port(lab.engine, 1)->ifindex ==
		      if_nametoindex("va"));
		exchange_udp(&lab);
		transfer_tcp(&lab, "AF_PACKET to AF_PACKET");
		/* Segments went through in one piece. */
		CHECK(frames_beyond_mtu(&lab) > 4000);
	} else {
		CHECK(false);
	}
	finish(&lab);
	uncable("va");
	uncable("vb");
}

/* A port of the test's own at the host's end of a cable. */
static struct port *end_of_cable(int ns)
{
	struct sluice_port rec = {.name = "end",
				  .device = "eth0",
				  .kind = SLUICE_PORT_PACKET};
	struct port *p = NULL;

	must(setns(ns, CLONE_NEWNET) == 0);
	CHECK_EQ(port_open(&rec, &p, NULL), 0);
	must(setns(ours, CLONE_NEWNET) == 0);
	return p;
}

/* A UDP frame with n tags in front. Returns its length. */
static uint32_t tagged(uint8_t *out, uint32_t n, struct rng *r)
{
	struct lab_udp u = {.from = 1, .to = 2, .len = 60 + rng_below(r, 1400)};
	uint8_t frame[LAB_FRAME_MAX];

	lab_frame(&u, frame);
	memcpy(out, frame, 12);
	for (uint32_t i = 0; i < n; i++) {
		bool is_service = n == 2 && i == 0;

		out[12 + 4 * i] = is_service ? 0x88 : 0x81;
		out[13 + 4 * i] = is_service ? 0xa8 : 0x00;
		out[14 + 4 * i] = (uint8_t)(rng_next(r) & 0xe0);
		out[15 + 4 * i] = (uint8_t)rng_next(r);
	}
	memcpy(&out[12 + 4 * n], frame + 12, u.len - 12);
	return u.len + 4 * n;
}

/* Sends a frame at one end; what comes out at the other must be the same. */
static void pass(struct lab *lab, struct port *from, struct port *to,
		 struct frame *in)
{
	uint64_t end_ns = clock_now_ns() + WAIT_NS;
	static uint8_t room[FRAME_ROOM];
	struct frame out = {.room = room}, *one = in;
	bool is_same = false;
	uint8_t lost = 0;

	from->ops->send(from, &one, 1, &lost);
	CHECK_EQ(lost, SLUICE_DROP_NONE);
	while (!is_same && clock_now_ns() < end_ns) {
		turn(lab);
		/* The hosts' own frames come as well. */
		if (to->ops->recv(to, &out, 1) == 1)
			is_same = out.len == in->len &&
				  !memcmp(out.data, in->data, in->len);
	}
	CHECK(is_same);
}

static void tags_stay_in_their_frames(void)
{
	struct rng r = rng_of(test_seed());
	static uint8_t data[LAB_FRAME_MAX];
	struct frame f = {.data = data};
	struct port *a, *b;
	struct lab lab;

	if (no_rights())
		return;
	lab_bare(&lab);
	CHECK(cable("va", host_a, 1) && cable("vb", host_b, 2));
	a = end_of_cable(host_a);
	b = end_of_cable(host_b);
	if (a && b && open_device(&lab, 1, SLUICE_PORT_PACKET, "va", "") &&
	    open_device(&lab, 2, SLUICE_PORT_PACKET, "vb", ""))
		for (uint32_t i = 0; i < 60; i++) {
			f.len = tagged(data, i % 3, &r);
			pass(&lab, a, b, &f);
		}
	port_close(a);
	port_close(b);
	finish(&lab);
	uncable("va");
	uncable("vb");
}

static void hosts_talk_through_a_tap(void)
{
	char what[64];
	struct lab lab;

	if (no_rights())
		return;
	lab_bare(&lab);
	if (cable("va", host_a, 1) &&
	    open_device(&lab, 1, SLUICE_PORT_PACKET, "va", "") &&
	    open_device(&lab, 2, SLUICE_PORT_TAP, "tb", "")) {
		snprintf(what, sizeof(what), "link set tb netns /proc/%d/fd/%d",
			 (int)getpid(), host_b);
		CHECK(ip_in(ours, what) && give_address(host_b, "tb", 2));
		exchange_udp(&lab);
		transfer_tcp(&lab, "AF_PACKET to TAP");
		CHECK(frames_beyond_mtu(&lab) > 4000);
		poll_port_close(lab.engine, 2);
		/* It was made for the port, so it went with it. */
		CHECK(!ip_in(host_b, "link show tb 2>/dev/null"));
	} else {
		CHECK(false);
	}
	finish(&lab);
	uncable("va");
}

/* Tried on another device: a queue stays busy for a while when it is left. */
static bool can_xsk(void)
{
	struct sluice_port rec = {.name = "try",
				  .device = "vt",
				  .kind = SLUICE_PORT_XSK};
	struct why why = {0};
	struct port *p;
	int err;

	CHECK(sh("ip link add vt type veth peer name vtx"));
	err = port_open(&rec, &p, &why);
	if (!err)
		port_close(p);
	else
		printf("# %s\n", why.text);
	uncable("vt");
	return err != -EPERM && err != -EOPNOTSUPP;
}

static void hosts_talk_through_af_xdp(void)
{
	struct lab lab;

	if (no_rights())
		return;
	lab_bare(&lab);
	CHECK(cable("va", host_a, 1) && cable("vb", host_b, 2));
	/* XDP would lose who has to finish a checksum. */
	CHECK(in_ns(host_a, "ethtool -K eth0 tx off gro on >/dev/null"));
	CHECK(in_ns(host_b, "ethtool -K eth0 tx off gro on >/dev/null"));
	if (!can_xsk()) {
		test_skip("AF_XDP is not permitted or not built in");
	} else if (open_device(&lab, 1, SLUICE_PORT_XSK, "va", "") &&
		   open_device(&lab, 2, SLUICE_PORT_XSK, "vb", "")) {
		exchange_udp(&lab);
		transfer_tcp(&lab, "AF_XDP to AF_XDP");
	}
	finish(&lab);
	/* The device is the kernel's again. */
	CHECK(!sh("ip -d link show va | grep -q xdp"));
	uncable("va");
	uncable("vb");
}

static void a_device_that_goes_away_is_noticed(void)
{
	uint64_t end_ns = clock_now_ns() + WAIT_NS;
	struct lab lab;
	uint64_t cpu_ns;

	if (no_rights())
		return;
	lab_bare(&lab);
	CHECK(cable("va", host_a, 1));
	if (open_device(&lab, 1, SLUICE_PORT_PACKET, "va", "")) {
		CHECK(sh("ip link set va down"));
		for (uint32_t i = 0; i < 20; i++)
			turn(&lab);
		CHECK_EQ(poll_port(lab.engine, 1)->err, 0);
		CHECK(sh("ip link set va up"));
		uncable("va");
		while (!poll_port(lab.engine, 1)->err &&
		       clock_now_ns() < end_ns)
			turn(&lab);
		CHECK(poll_port(lab.engine, 1)->err == -ENODEV);
		cpu_ns = clock_cpu_ns();
		for (uint32_t i = 0; i < 5; i++)
			poll_wait(lab.engine, 10);
		CHECK(clock_cpu_ns() - cpu_ns < 20000000);
	}
	finish(&lab);
}

/* Is the UDP checksum over pseudo header and packet right? */
static bool udp_sum_is_right(const uint8_t *ip)
{
	uint32_t head_len = (ip[0] & 15u) * 4, sum = 17;
	uint32_t len = (uint32_t)(ip[2] << 8 | ip[3]) - head_len;

	sum += len;
	for (uint32_t i = 12; i < 20; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	for (uint32_t i = 0; i < len; i++)
		sum += (uint32_t)ip[head_len + i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

static uint32_t udp_frames_in(const char *path, uint32_t *n_wrong)
{
	char text[PCAP_ERRBUF_SIZE];
	pcap_t *in = pcap_open_offline(path, text);
	struct pcap_pkthdr *h;
	const uint8_t *data;
	uint32_t n = 0;

	CHECK(in);
	*n_wrong = 0;
	while (in && pcap_next_ex(in, &h, &data) == 1) {
		if (h->caplen < 42 || data[12] != 8 || data[13] != 0 ||
		    data[23] != 17)
			continue;
		n++;
		*n_wrong += !udp_sum_is_right(data + 14);
	}
	if (in)
		pcap_close(in);
	return n;
}

static void checksums_are_finished_for_a_file(void)
{
	struct sockaddr_in b = addr_of(2, 7);
	uint32_t n_wrong = 0;
	char path[64];
	struct lab lab;
	int s;

	if (no_rights())
		return;
	lab_bare(&lab);
	snprintf(path, sizeof(path), "%s/out.pcap", tmp);
	CHECK(cable("va", host_a, 1));
	/* Nobody answers ARP here. */
	CHECK(ip_in(host_a,
		    "neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev eth0"));
	if (open_device(&lab, 1, SLUICE_PORT_PACKET, "va", "") &&
	    open_device(&lab, 2, SLUICE_PORT_PCAP, "", path)) {
		s = socket_in(host_a, SOCK_DGRAM);
		for (uint32_t i = 0; i < 10; i++)
			CHECK(sendto(s, "hello world", 3 + i % 5, 0,
				     (struct sockaddr *)&b, sizeof(b)) > 0);
		for (uint32_t i = 0; i < 20; i++)
			turn(&lab);
		close(s);
		CHECK_EQ(udp_frames_in(path, &n_wrong), 10);
		CHECK_EQ(n_wrong, 0);
	}
	unlink(path);
	finish(&lab);
	uncable("va");
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	if (!mkdtemp(tmp))
		return 1;
	TEST(hosts_talk_through_af_packet);
	TEST(tags_stay_in_their_frames);
	TEST(hosts_talk_through_a_tap);
	TEST(hosts_talk_through_af_xdp);
	TEST(a_device_that_goes_away_is_noticed);
	TEST(checksums_are_finished_for_a_file);
	rmdir(tmp);
	return test_done();
}
