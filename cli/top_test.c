/* SPDX-License-Identifier: Apache-2.0 */

/* sluice top, in a pipe and on a terminal of its own. */

#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include "base/clock.h"
#include "base/must.h"
#include "cli/switch_fake.h"

/* Adds to port 1 and to its flow, from another process, while top looks. */
static void traffic_make(void)
{
	_Alignas(8) struct sluice_key k;
	struct sluice_flow *f;

	fake_key(&k, 1, 2);
	f = sluice_entry_value(table_exact_find(fake_state.flows, &k),
			       sizeof(k));
	for (int i = 0; i < 100; i++) {
		usleep(10000);
		sluice_add64_relaxed(&fake_state.stats[1].rx_packets, 1000);
		sluice_add64_relaxed(&fake_state.stats[1].rx_bytes, 100000);
		sluice_add64_relaxed(&f->n_packets, 1000);
		sluice_add64_relaxed(&f->n_bytes, 100000);
	}
}

/* About 100 k per second of 100 bytes; the machine may be busy. */
static void rates_are_right(const char *at, size_t skip)
{
	double pps, bps;
	char *end;

	CHECK(at);
	if (!at)
		return;
	pps = strtod(at + skip, &end);
	CHECK(*end == 'k' && pps > 10 && pps < 110);
	bps = strtod(end + 1, &end);
	CHECK(*end == 'M' && bps > pps * 0.75 && bps < pps * 0.85);
}

static void rates_in_a_pipe(void)
{
	pid_t pid;
	char *at;

	fake_make(clock_now_ns());
	fflush(stdout);
	pid = fork();
	must(pid >= 0);
	if (!pid) {
		traffic_make();
		_exit(0);
	}
	RUNS("-s " FAKE_NAME " top -d 0.2 -n 3", 0);
	must(waitpid(pid, NULL, 0) == pid);
	CHECK(!strchr(fake.out, 033) && !strchr(fake.out, 1));
	HAS(fake.out, FAKE_NAME "  engine poll  up 0.");
	/* The third page. */
	at = strstr(fake.out, FAKE_NAME);
	at = at ? strstr(at + 1, FAKE_NAME) : NULL;
	at = at ? strstr(at + 1, FAKE_NAME) : NULL;
	CHECK(at && !strstr(at + 1, FAKE_NAME));
	must(at);
	rates_are_right(strstr(at, "h1            up    "), 20);
	rates_are_right(strstr(at, "FLOW\n"), 5);
	CHECK(strstr(fake.out, "in_port=1,") &&
	      !strstr(fake.out, "in_port=2,"));
	fake_free();
}

/* Runs top on a terminal of 5 lines and 40 columns and ends it. */
static void on_a_terminal(const char *keys, int signal)
{
	struct winsize w = {.ws_row = 5, .ws_col = 40};
	struct termios before, after;
	size_t n = 0;
	ssize_t got;
	int fd, slave, status;
	pid_t pid;

	must(openpty(&fd, &slave, NULL, NULL, &w) == 0);
	must(tcgetattr(slave, &before) == 0);
	fflush(stdout);
	pid = fork();
	must(pid >= 0);
	if (!pid) {
		setenv("TERM", "xterm", 1);
		login_tty(slave);
		execl(fake_program(), "sluice", "-s", FAKE_NAME, "top", "-d",
		      "0.3", NULL);
		_exit(127);
	}
	memset(fake.out, 0, sizeof(fake.out));
	while (!strstr(fake.out, "PORT") &&
	       (got = read(fd, fake.out + n, 4096)) > 0)
		n += (size_t)got;
	CHECK(strncmp(fake.out, "\033[?1049h\033[?25l\033[H\033[1m" FAKE_NAME,
		      23) == 0);
	if (keys)
		CHECK(write(fd, keys, strlen(keys)) == (ssize_t)strlen(keys));
	else
		CHECK(kill(pid, signal) == 0);
	must(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	must(tcgetattr(slave, &after) == 0);
	CHECK_EQ(before.c_lflag, after.c_lflag);
	close(slave);
	while (n < sizeof(fake.out) - 4097 &&
	       (got = read(fd, fake.out + n, 4096)) > 0)
		n += (size_t)got;
	close(fd);
	CHECK(n > 14 && strcmp(fake.out + n - 14, "\033[?25h\033[?1049l") == 0);
	/* Five lines of the page: the titles of the ports are the last. */
	HAS(fake.out, "STATE     IN pps   I\033[0m");
	CHECK(!strstr(fake.out, "veth1"));
}

static void rates_on_a_terminal(void)
{
	fake_make(clock_now_ns());
	on_a_terminal("pbq", 0);
	on_a_terminal("\003", 0);
	on_a_terminal(NULL, SIGTERM);
	fake_free();
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	fake_init();
	TEST(rates_in_a_pipe);
	TEST(rates_on_a_terminal);
	fake_fini();
	return test_done();
}
