/* SPDX-License-Identifier: Apache-2.0 */
/* Who may talk to sluice-poll, and what it does with what it is told. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/rng.h"
#include "engine/poll/far_test.h"
#include "engine/poll/link.h"

/* Runs as nobody; returns whether sluice-poll hung up at once. */
static int call_as_nobody(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char byte;
	int fd;

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/lab/" LINK_FILE,
		 run_dir);
	if (chmod(run_dir, 0755) || chmod(at.sun_path, 0777) || setuid(65534))
		return 2;
	fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0)
		return 3;
	return read(fd, &byte, 1) == 0 ? 0 : 4;
}

static void strangers_are_not_served(void)
{
	struct far f;
	pid_t pid;
	int status;

	if (geteuid() != 0) {
		test_skip("only root can become somebody else");
		return;
	}
	far_open(&f);
	if (!f.engine)
		return;
	pid = fork();
	if (pid == 0)
		_exit(call_as_nobody());
	waitpid(pid, &status, 0);
	CHECK_EQ(WEXITSTATUS(status), 0);
	far_close(&f);
}

static int dial(void)
{
	struct sockaddr_un at;
	char dir[64];
	int fd;

	snprintf(dir, sizeof(dir), "%s/lab", run_dir);
	fd = link_socket(dir, &at);
	link_block(fd);
	CHECK(connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	return fd;
}

/* One message of anything; sluice-poll hangs up, maybe after an answer. */
static void say_garbage(struct rng *r)
{
	uint8_t msg[256], back[WHY_LEN + 64];
	uint32_t kind = rng_below(r, 9), port = rng_below(r, 100);
	uint32_t len = 1 + rng_below(r, sizeof(msg));
	struct timeval wait = {.tv_sec = 5};
	int fd = dial();

	for (uint32_t i = 0; i < sizeof(msg); i++)
		msg[i] = (uint8_t)rng_next(r);
	/* Neither the requests that are meant to stop something. */
	if (kind == LINK_SHUT || kind == LINK_QUIT)
		kind = LINK_SEND;
	memcpy(msg, &kind, 4);
	memcpy(msg + 4, &port, 4);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	CHECK(send(fd, msg, len, MSG_NOSIGNAL) == (ssize_t)len);
	while (recv(fd, back, sizeof(back), 0) > 0)
		;
	CHECK(recv(fd, back, sizeof(back), 0) == 0);
	close(fd);
}

static void garbage_is_hung_up_on(void)
{
	struct rng r = rng_of(test_seed());
	uint8_t frame[60];
	struct far f;
	pid_t pid;

	far_open(&f);
	if (!f.engine)
		return;
	one_flow(&f, frame);
	pid = poll_pid(&f);
	for (uint32_t i = 0; i < 300; i++)
		say_garbage(&r);
	push(&f, 1, frame, 10);
	CHECK_EQ(pull(&f, 2, 10), 10);
	CHECK_EQ(poll_pid(&f), pid);
	far_close(&f);
}

static void one_daemon_at_a_time(void)
{
	struct poll_engine_conf conf = {.binary = binary};
	struct why why = {0};
	struct engine *e;
	struct far f;

	far_open(&f);
	if (!f.engine)
		return;
	conf.region = f.lab.region;
	CHECK_EQ(poll_engine_open(&conf, &e, &why), -EBUSY);
	CHECK(strstr(why.text, "a daemon already"));
	f.engine->ops->close(f.engine, true);
	f.engine = open_engine(&f);
	far_close(&f);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	if (!far_init())
		return 1;
	TEST(strangers_are_not_served);
	TEST(garbage_is_hung_up_on);
	TEST(one_daemon_at_a_time);
	return far_done();
}
