/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection carries misses; the others are requests, which live for one
 * message and its answer. A daemon that was killed leaves a connection at its
 * end, so a new hello looks whether the old one is still there.
 */
#include "engine/poll/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/poll/link.h"

#define N_CONNS 8u
#define WATCH_LISTEN 0u
#define WATCH_CONN 1u /* connection i: WATCH_CONN + i */
#define NO_CONN N_CONNS

struct server {
	struct poll *engine;
	struct follow *follow;
	const struct log *log;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	struct link_hello region;
	int listen_fd;
	int conns[N_CONNS]; /* -1: free */
	uint32_t data;	    /* the connection that carries misses, or NO_CONN */
	bool is_over;

	/* One burst of misses. */
	struct link_head heads[LINK_BURST];
	struct iovec iov[LINK_BURST][2];
	struct mmsghdr msgs[LINK_BURST];

	uint8_t room[FRAME_ROOM]; /* a message being received */
};

static int listen_at(struct server *s, const char *dir, struct why *why)
{
	struct sockaddr_un at;
	int fd = link_socket(dir, &at);

	if (fd < 0)
		return why_say(why, fd, "%s/" LINK_FILE ": %s", dir,
			       strerror(-fd));
	unlink(at.sun_path);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
	    listen(fd, N_CONNS) != 0) {
		int err = why_say(why, -errno, "%s: %s", at.sun_path,
				  strerror(errno));

		close(fd);
		return err;
	}
	memcpy(s->path, at.sun_path, sizeof(s->path));
	s->listen_fd = fd;
	return 0;
}

int server_new(const char *dir, int region_fd, const struct log *log,
	       struct server **out, struct why *why)
{
	struct server *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return why_say(why, -ENOMEM, "no memory for the link");
	s->log = log;
	s->data = NO_CONN;
	for (uint32_t i = 0; i < N_CONNS; i++)
		s->conns[i] = -1;
	for (uint32_t i = 0; i < LINK_BURST; i++) {
		s->iov[i][0].iov_base = &s->heads[i];
		s->iov[i][0].iov_len = sizeof(s->heads[i]);
		s->msgs[i].msg_hdr.msg_iov = s->iov[i];
		s->msgs[i].msg_hdr.msg_iovlen = 2;
	}
	err = link_identify(region_fd, &s->region);
	if (err)
		why_say(why, err, "the region: %s", strerror(-err));
	else
		err = listen_at(s, dir, why);
	if (err) {
		free(s);
		return err;
	}
	*out = s;
	return 0;
}

static void hang_up(struct server *s, uint32_t i)
{
	if (s->conns[i] < 0)
		return;
	if (s->engine)
		poll_unwatch(s->engine, s->conns[i]);
	close(s->conns[i]);
	s->conns[i] = -1;
	if (s->data == i) {
		s->data = NO_CONN;
		log_info(s->log, "the daemon has left");
	}
}

void server_free(struct server *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < N_CONNS; i++)
		hang_up(s, i);
	unlink(s->path);
	close(s->listen_fd);
	free(s);
}

/* ---- Misses ---- */

static void miss(void *arg, struct frame *const *frames, uint32_t n,
		 uint8_t *lost)
{
	struct server *s = arg;
	int sent;

	if (s->data == NO_CONN) {
		memset(lost, SLUICE_DROP_NO_SLOW_PATH, n);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		s->heads[i] = (struct link_head){.kind = LINK_MISS,
						 .port = frames[i]->in_port,
						 .vnet = frames[i]->vnet};
		s->iov[i][1].iov_base = frames[i]->data;
		s->iov[i][1].iov_len = frames[i]->len;
	}
	sent = sendmmsg(s->conns[s->data], s->msgs, n,
			MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0) {
		bool is_gone = errno == EPIPE || errno == ECONNRESET;

		/* Its end is seen, and it is hung up, in server_round(). */
		memset(lost,
		       is_gone ? SLUICE_DROP_NO_SLOW_PATH
			       : SLUICE_DROP_MISS_FULL,
		       n);
		return;
	}
	memset(lost, SLUICE_DROP_NONE, (size_t)sent);
	memset(lost + sent, SLUICE_DROP_MISS_FULL, n - (uint32_t)sent);
}

struct poll_slow server_slow(struct server *s)
{
	return (struct poll_slow){.arg = s, .miss = miss};
}

int server_start(struct server *s, struct poll *engine, struct follow *follow)
{
	s->engine = engine;
	s->follow = follow;
	return poll_watch(engine, WATCH_LISTEN, s->listen_fd);
}

/* ---- Requests ---- */

/* Who does not take an answer does not want it. */
static void answer(struct server *s, uint32_t i, int err, const char *text)
{
	struct link_head head = {.kind = LINK_ANSWER, .err = err};

	(void)!link_say(s->conns[i], &head, text, strlen(text));
}

static bool is_at_end(int fd)
{
	uint8_t byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* True: the connection stays. */
static bool hello(struct server *s, uint32_t i, const uint8_t *body, size_t len)
{
	struct link_hello want;

	if (len != sizeof(want))
		return false;
	memcpy(&want, body, sizeof(want));
	if (want.dev != s->region.dev || want.ino != s->region.ino) {
		answer(s, i, -ESTALE, "sluice-poll serves another region");
		return false;
	}
	if (s->data != NO_CONN && is_at_end(s->conns[s->data]))
		hang_up(s, s->data);
	if (s->data != NO_CONN) {
		answer(s, i, -EBUSY, "sluice-poll has a daemon already");
		return false;
	}
	link_widen(s->conns[i]);
	s->data = i;
	answer(s, i, 0, "");
	log_info(s->log, "the daemon has come");
	return true;
}

static void request(struct server *s, uint32_t i, const struct link_head *head,
		    uint64_t now_ns)
{
	struct why why = {0};
	int err = -EINVAL;

	if (head->kind == LINK_OPEN) {
		err = follow_open(s->follow, head->port, now_ns, &why);
	} else if (head->kind == LINK_SHUT) {
		follow_shut(s->follow, head->port);
		err = 0;
	} else if (head->kind == LINK_QUIT) {
		s->is_over = true;
		err = 0;
	}
	answer(s, i, err, why.text);
}

/* A frame that the slow path sends on. */
static void send_frame(struct server *s, const struct link_head *head,
		       uint8_t *data, size_t len)
{
	struct frame f = {
		.data = data,
		.len = (uint32_t)len,
		.in_port = head->from < SLUICE_PORTS_MAX ? head->from : 0,
		.vnet = head->vnet,
	};

	poll_send(s->engine, head->port, &f);
}

/*
 * One message of connection i. Returns 1, 0: there is none now, or -1: it is
 * over with this connection.
 */
static int receive(struct server *s, uint32_t i, uint64_t now_ns)
{
	struct link_head head;
	uint8_t *body = s->room + FRAME_HEADROOM;
	struct iovec iov[2] = {{&head, sizeof(head)}, {body, FRAME_LEN_MAX}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n = recvmsg(s->conns[i], &msg, MSG_DONTWAIT);
	size_t len;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < (ssize_t)sizeof(head) || (msg.msg_flags & MSG_TRUNC))
		return -1;
	len = (size_t)n - sizeof(head);
	if (s->data == i) {
		if (head.kind != LINK_SEND)
			return -1;
		send_frame(s, &head, body, len);
		return 1;
	}
	if (head.kind == LINK_HELLO)
		return hello(s, i, body, len) ? 1 : -1;
	request(s, i, &head, now_ns);
	return -1;
}

static void accept_one(struct server *s)
{
	int fd =
		accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	uint32_t i = 0;

	if (fd < 0)
		return;
	while (i < N_CONNS && s->conns[i] >= 0)
		i++;
	if (i == N_CONNS || !link_is_ours(fd) ||
	    poll_watch(s->engine, WATCH_CONN + i, fd) != 0) {
		log_warning(s->log, "a connection was refused");
		close(fd);
		return;
	}
	s->conns[i] = fd;
}

void server_round(struct server *s, uint64_t watched, uint64_t now_ns)
{
	for (uint32_t i = 0; i < N_CONNS; i++) {
		int more = 1;

		if (!(watched >> (WATCH_CONN + i) & 1) || s->conns[i] < 0)
			continue;
		/* The ports have their turn after a burst. */
		for (uint32_t n = 0; n < LINK_BURST && more > 0; n++)
			more = receive(s, i, now_ns);
		if (more < 0)
			hang_up(s, i);
	}
	if (watched >> WATCH_LISTEN & 1)
		accept_one(s);
}

bool server_is_over(const struct server *s)
{
	return s->is_over;
}
