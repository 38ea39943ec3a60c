/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Misses come and packets go over one connection (link.h); each request has a
 * short one of its own, so that its answer does not have to be looked for among
 * misses.
 *
 * fd() is an epoll descriptor with the connection and a timer in it, since the
 * connection changes when sluice-poll is started again, and callers keep fd().
 *
 * A frame that the slow path sends on is mostly the miss itself, lying in one
 * of our rooms; so the room's virtio header is the frame's, and unfinished
 * checksums and segments travel through the slow path unharmed.
 */
#include "engine/poll/client.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rundir.h"
#include "engine/poll/link.h"
#include "engine/poll/spawn.h"
#include "port/port.h"
#include "region/grace.h"
#include "sluice/flow.h"
#include "sluice/reader.h"

#define CONNECT_WAIT_NS 3000000000ull /* for a sluice-poll that starts */
#define ANSWER_WAIT_NS 3000000000ull
#define RETRY_NS 10000000	/* between two tries to connect */
#define RESPAWN_NS 500000000ull /* between two starts */
#define L2_LEN 18u		/* what goes beyond a device's MTU */

struct room {
	struct link_head head;
	uint32_t len;
	uint8_t data[FRAME_LEN_MAX + FRAME_TAILROOM];
};

struct client {
	struct engine engine;
	struct region *region;
	const struct log *log;
	char *binary; /* NULL: beside us */
	char dir[RUNDIR_PATH_LEN];

	/* In the region. */
	struct sluice_switch *sw;
	struct sluice_port *ports;
	struct sluice_port_stats *stats; /* lane 0 */
	uint64_t *sets;
	struct region_grace *grace; /* over its readers */

	int epfd;
	int timer_fd;
	int data_fd; /* -1: not connected */
	pid_t child; /* 0: none, or it is not ours */
	uint64_t spawned_ns;

	uint32_t n_lent;
	struct mmsghdr msgs[LINK_BURST];
	struct iovec iov[LINK_BURST][2];
	struct room rooms[LINK_BURST];
};

static struct client *of(struct engine *e)
{
	return container_of(e, struct client, engine);
}

static void pause_ns(long ns)
{
	struct timespec t = {.tv_nsec = ns};

	nanosleep(&t, NULL);
}

/* ---- Messages ---- */

/* Waits for an answer; its text goes to why. */
static int hear(int fd, struct why *why)
{
	struct timeval wait = {.tv_sec = ANSWER_WAIT_NS / 1000000000};
	char text[WHY_LEN];
	struct link_head head;
	struct iovec iov[2] = {{&head, sizeof(head)}, {text, sizeof(text) - 1}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	do
		n = recvmsg(fd, &msg, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return why_say(why, -ETIMEDOUT, "sluice-poll does not answer");
	if (n < (ssize_t)sizeof(head) || head.kind != LINK_ANSWER)
		return why_say(why, -EPIPE, "sluice-poll has gone");
	text[(size_t)n - sizeof(head)] = '\0';
	return head.err < 0 ? why_say(why, head.err, "%s", text) : 0;
}

/* A connected descriptor, which blocks, or negative errno. */
static int dial(const struct client *c)
{
	struct sockaddr_un at;
	int fd = link_socket(c->dir, &at), err;

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
		err = -errno;
		close(fd);
		return err;
	}
	if (!link_is_ours(fd)) {
		close(fd);
		return -EACCES;
	}
	link_block(fd);
	return fd;
}

/* One request and its answer. */
static int ask(const struct client *c, enum link_kind kind, uint32_t port,
	       struct why *why)
{
	struct link_head head = {.kind = kind, .port = port};
	int fd = dial(c), err;

	if (fd < 0)
		return why_say(why, fd, "no sluice-poll: %s", strerror(-fd));
	err = link_say(fd, &head, NULL, 0);
	if (err)
		why_say(why, err, "sluice-poll: %s", strerror(-err));
	else
		err = hear(fd, why);
	close(fd);
	return err;
}

/* ---- Being connected ---- */

static void set_timer(struct client *c, long ns)
{
	struct itimerspec t = {.it_value = {.tv_nsec = ns},
			       .it_interval = {.tv_nsec = ns}};

	timerfd_settime(c->timer_fd, 0, &t, NULL);
}

/* Says hello. On -ESTALE another switch's sluice-poll has been sent away. */
static int connect_data(struct client *c, struct why *why)
{
	struct link_head head = {.kind = LINK_HELLO};
	struct epoll_event ev = {.events = EPOLLIN};
	struct link_hello hello;
	int fd = dial(c), err;

	if (fd < 0)
		return fd;
	err = link_identify(c->region->fd, &hello);
	if (!err)
		err = link_say(fd, &head, &hello, sizeof(hello));
	if (!err)
		err = hear(fd, why);
	if (!err && epoll_ctl(c->epfd, EPOLL_CTL_ADD, fd, &ev) != 0)
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	link_widen(fd);
	c->data_fd = fd;
	set_timer(c, 0);
	return 0;
}

/* Also when somebody else in this process has waited for it. */
static void reap(struct client *c)
{
	if (c->child && waitpid(c->child, NULL, WNOHANG) != 0)
		c->child = 0;
}

static void disconnect(struct client *c)
{
	if (c->data_fd < 0)
		return;
	close(c->data_fd);
	c->data_fd = -1;
	set_timer(c, RETRY_NS);
}

/* One step towards being connected. Does not wait for more than an answer. */
static int reconnect(struct client *c, struct why *why)
{
	uint64_t now_ns = clock_now_ns();
	int err = connect_data(c, why);

	if (err == -ESTALE) {
		ask(c, LINK_QUIT, 0, NULL);
		return -EAGAIN;
	}
	if (err != -ENOENT && err != -ECONNREFUSED)
		return err == -EPIPE ? -EAGAIN : err;
	reap(c);
	if (c->child || now_ns - c->spawned_ns < RESPAWN_NS)
		return -EAGAIN;
	if (c->spawned_ns)
		log_warning(c->log, "sluice-poll has died; starting it again");
	c->spawned_ns = now_ns;
	err = spawn_poll(c->binary, c->region->head->name, c->region->fd,
			 &c->child, why);
	return err ? err : -EAGAIN;
}

static int wait_connected(struct client *c, struct why *why)
{
	uint64_t end_ns = clock_now_ns() + CONNECT_WAIT_NS;
	int err = -EAGAIN;

	while (c->data_fd < 0 && clock_now_ns() < end_ns) {
		struct why now = {0};

		err = reconnect(c, &now);
		if (err && err != -EAGAIN)
			return why_say(why, err, "%s",
				       now.err ? now.text : strerror(-err));
		if (err)
			pause_ns(1000000);
	}
	return c->data_fd >= 0
		       ? 0
		       : why_say(why, -ETIMEDOUT, "sluice-poll does not start");
}

/* ---- engine_ops ---- */

static int client_port_add(struct engine *e, uint32_t no, struct why *why)
{
	struct client *c = of(e);
	int err = c->data_fd < 0 ? wait_connected(c, why) : 0;

	return err ? err : ask(c, LINK_OPEN, no, why);
}

static void client_port_del(struct engine *e, uint32_t no)
{
	struct client *c = of(e);

	/* A dead one has no ports; the next finds the record as it is then. */
	if (ask(c, LINK_SHUT, no, NULL) != 0 && no < SLUICE_PORTS_MAX)
		sluice_store32_release(&c->ports[no].state, SLUICE_PORT_DOWN);
}

static int client_set_ports(struct engine *e, uint32_t set, uint64_t ports,
			    struct why *why)
{
	if (set >= SLUICE_SETS_MAX)
		return why_say(why, -EINVAL, "there is no port set %u", set);
	sluice_store64_release(&of(e)->sets[set], ports);
	return 0;
}

static int client_fd(struct engine *e)
{
	return of(e)->epfd;
}

static bool is_miss(const struct mmsghdr *m, const struct room *r)
{
	return m->msg_len >= sizeof(r->head) &&
	       !(m->msg_hdr.msg_flags & MSG_TRUNC) &&
	       r->head.kind == LINK_MISS && r->head.port < SLUICE_PORTS_MAX;
}

static void try_again(struct client *c)
{
	struct why why = {0};
	uint64_t n;
	int err;

	(void)!read(c->timer_fd, &n, sizeof(n));
	err = reconnect(c, &why);
	if (err && err != -EAGAIN)
		log_error(c->log, "sluice-poll: %s",
			  why.err ? why.text : strerror(-err));
}

static uint32_t client_recv(struct engine *e, struct miss *out, uint32_t n)
{
	struct client *c = of(e);
	uint32_t n_out = 0;
	int got;

	if (c->data_fd < 0)
		try_again(c);
	if (c->data_fd < 0 || c->n_lent)
		return 0;
	n = n < LINK_BURST ? n : LINK_BURST;
	got = recvmmsg(c->data_fd, c->msgs, n, MSG_DONTWAIT, NULL);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got <= 0) {
		disconnect(c);
		return 0;
	}
	for (uint32_t i = 0; i < (uint32_t)got; i++) {
		struct room *r = &c->rooms[i];

		/* The end of the connection reads as a message of no bytes. */
		if (c->msgs[i].msg_len == 0) {
			disconnect(c);
			break;
		}
		if (!is_miss(&c->msgs[i], r))
			continue;
		r->len = c->msgs[i].msg_len - (uint32_t)sizeof(r->head);
		out[n_out++] = (struct miss){.data = r->data,
					     .len = r->len,
					     .in_port = r->head.port,
					     .cookie = i};
	}
	c->n_lent = n_out;
	return n_out;
}

static void client_give(struct engine *e, const struct miss *m, uint32_t n)
{
	(void)m;
	of(e)->n_lent -= n;
}

/* The room in which a frame begins, or NULL: it is not a miss. */
static const struct room *room_of(const struct client *c, const uint8_t *data)
{
	size_t off = (size_t)(data - (const uint8_t *)c->rooms);

	if (data < (const uint8_t *)c->rooms || off >= sizeof(c->rooms))
		return NULL;
	return &c->rooms[off / sizeof(c->rooms[0])];
}

/* A word of lane 0: the slow path's thread writes, anyone reads. */
static void count(uint64_t *word, uint64_t n)
{
	sluice_store64_relaxed(word, sluice_load64_relaxed(word) + n);
}

static enum sluice_drop client_send(struct engine *e, uint32_t port,
				    const uint8_t *data, uint32_t len)
{
	struct link_head head = {.kind = LINK_SEND, .port = port};
	struct client *c = of(e);
	const struct room *r = room_of(c, data);

	/* [port-state] what the port can take is known */
	if (port >= SLUICE_PORTS_MAX || c->data_fd < 0 ||
	    sluice_load32_acquire(&c->ports[port].state) != SLUICE_PORT_UP)
		return SLUICE_DROP_NO_PORT;
	if (r) {
		head.from = r->head.port;
		head.vnet = r->head.vnet;
	}
	if (head.vnet.gso_type == VIRTIO_NET_HDR_GSO_NONE &&
	    len > c->ports[port].mtu + L2_LEN)
		return SLUICE_DROP_TOO_LONG;
	if (link_say(c->data_fd, &head, data, len) != 0)
		return SLUICE_DROP_TX_FULL;
	count(&c->stats[port].tx_packets, 1);
	count(&c->stats[port].tx_bytes, len);
	return SLUICE_DROP_NONE;
}

/* Each frame has gone at once: the slow path's are few. */
static void client_flush(struct engine *e)
{
	(void)e;
}

static uint64_t client_grace_start(struct engine *e)
{
	return region_grace_start(of(e)->grace, clock_now_ns());
}

static bool client_grace_done(struct engine *e, uint64_t ticket)
{
	return region_grace_done(of(e)->grace, ticket, clock_now_ns());
}

/* Ends sluice-poll; returns when its devices are free. */
static void end_poll(struct client *c)
{
	uint64_t end_ns = clock_now_ns() + ANSWER_WAIT_NS;

	if (ask(c, LINK_QUIT, 0, NULL) == 0)
		for (int fd = dial(c); fd >= 0 && clock_now_ns() < end_ns;
		     fd = dial(c)) {
			close(fd);
			pause_ns(1000000);
		}
	else if (c->child)
		kill(c->child, SIGKILL);
	if (c->child)
		waitpid(c->child, NULL, 0);
	rmdir(c->dir); /* unless others have files in it */
}

static void client_close(struct engine *e, bool keep)
{
	struct client *c = of(e);

	if (!keep)
		end_poll(c);
	if (c->data_fd >= 0)
		close(c->data_fd);
	close(c->timer_fd);
	close(c->epfd);
	region_grace_free(c->grace);
	free(c->binary);
	free(c);
}

static const struct engine_ops client_ops = {
	.name = "poll",
	.port_add = client_port_add,
	.port_del = client_port_del,
	.set_ports = client_set_ports,
	.fd = client_fd,
	.recv = client_recv,
	.give = client_give,
	.send = client_send,
	.flush = client_flush,
	.grace_start = client_grace_start,
	.grace_done = client_grace_done,
	.close = client_close,
};

/* ---- Life ---- */

static void *table_at(const struct region *r, uint32_t kind, uint64_t len)
{
	const struct sluice_table_desc *d = region_table(r, kind);

	return d && d->len >= len ? region_at(r, d->off, d->len) : NULL;
}

static int find_tables(struct client *c, struct why *why)
{
	const struct region *r = c->region;

	c->sw = table_at(r, SLUICE_TABLE_SWITCH, sizeof(*c->sw));
	c->ports = table_at(r, SLUICE_TABLE_PORTS,
			    SLUICE_PORTS_MAX * sizeof(*c->ports));
	c->stats = table_at(r, SLUICE_TABLE_STATS,
			    (uint64_t)POLL_N_LANES * SLUICE_PORTS_MAX *
				    sizeof(*c->stats));
	c->sets = table_at(r, SLUICE_TABLE_SETS,
			   SLUICE_SETS_MAX * sizeof(*c->sets));
	if (c->sw && c->ports && c->stats && c->sets)
		return 0;
	return why_say(why, -EINVAL,
		       "the region has not the tables that the poll engine "
		       "needs");
}

static int watch_readers(struct client *c, struct why *why)
{
	struct grace_conf conf = {.n = 0};
	int err;

	region_grace_records(c->region, &conf);
	if (!conf.n)
		return why_say(why, -EINVAL,
			       "the region has no table of readers");
	err = region_grace_new(&conf, &c->grace);
	return err ? why_say(why, err, "no memory") : 0;
}

static int open_fds(struct client *c, struct why *why)
{
	struct epoll_event ev = {.events = EPOLLIN};

	c->epfd = epoll_create1(EPOLL_CLOEXEC);
	c->timer_fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (c->epfd >= 0 && c->timer_fd >= 0 &&
	    epoll_ctl(c->epfd, EPOLL_CTL_ADD, c->timer_fd, &ev) == 0)
		return 0;
	return why_say(why, -errno, "the poll engine: %s", strerror(errno));
}

static void wire_messages(struct client *c)
{
	for (uint32_t i = 0; i < LINK_BURST; i++) {
		c->iov[i][0].iov_base = &c->rooms[i].head;
		c->iov[i][0].iov_len = sizeof(c->rooms[i].head);
		c->iov[i][1].iov_base = c->rooms[i].data;
		c->iov[i][1].iov_len = FRAME_LEN_MAX;
		c->msgs[i].msg_hdr.msg_iov = c->iov[i];
		c->msgs[i].msg_hdr.msg_iovlen = 2;
	}
}

int poll_engine_open(const struct poll_engine_conf *conf, struct engine **out,
		     struct why *why)
{
	struct client *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return why_say(why, -ENOMEM, "no memory for the poll engine");
	c->engine.ops = &client_ops;
	c->region = conf->region;
	c->log = conf->log;
	c->data_fd = c->epfd = c->timer_fd = -1;
	wire_messages(c);
	err = find_tables(c, why);
	if (!err)
		err = watch_readers(c, why);
	if (!err)
		err = rundir_make(conf->region->head->name, c->dir, why);
	if (!err)
		err = open_fds(c, why);
	if (!err && conf->binary) {
		c->binary = strdup(conf->binary);
		if (!c->binary)
			err = why_say(why, -ENOMEM, "no memory");
	}
	if (!err)
		err = wait_connected(c, why);
	if (err) {
		rmdir(c->dir);
		client_close(&c->engine, true);
		return err;
	}
	*out = &c->engine;
	return 0;
}
