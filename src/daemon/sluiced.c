/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/config.h"
#include "daemon/engines.h"
#include "daemon/pidfile.h"
#include "daemon/switch.h"

/*
 * sluiced CONFIG: one switch, in the foreground, log on stderr.
 *
 * One thread waits for three descriptors: the engine's, a timer's, and the one
 * by which signals come. When there is nothing to do it sleeps; when there is
 * much to do it looks for signals between portions of work.
 */

struct options {
	const char *path;
	bool check;
	bool keep;
	bool verbose;
};

struct loop {
	struct vswitch *sw;
	int epoll_fd;
	int timer_fd;
	int signal_fd;
	uint64_t armed_ns; /* when the timer goes off; UINT64_MAX: never */
};

static const char usage[] =
	"usage: sluiced [--keep] [--verbose] CONFIG\n"
	"       sluiced --check CONFIG\n"
	"       sluiced --probe | --help | --version\n"
	"\n"
	"Runs the switch that CONFIG describes (JSON after sluice.yang) in "
	"the\n"
	"foreground.\n"
	"\n"
	"  --check    say whether CONFIG is right, and do nothing else\n"
	"  --keep     when stopped, leave known flows forwarded; the next\n"
	"             sluiced of that name goes on from there\n"
	"  --verbose  log more\n"
	"  --probe    say whether the engine xdp can be had here, or why not\n"
	"\n"
	"SIGTERM and SIGINT stop it, SIGHUP stops it as with --keep.\n";

static int probe(void)
{
	struct why why = {0};

	if (engines_probe_xdp(&why)) {
		fprintf(stderr, "engine xdp cannot be had: %s\n", why.text);
		return 1;
	}
	puts("engine xdp can be had");
	return 0;
}

/* Returns -1 to go on, or the exit status. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"check", no_argument, NULL, 'c'},
		{"keep", no_argument, NULL, 'k'},
		{"verbose", no_argument, NULL, 'v'},
		{"probe", no_argument, NULL, 'p'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "ckvphV", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->check = true;
			break;
		case 'k':
			o->keep = true;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'p':
			return probe();
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			puts("sluiced " SLUICE_VERSION);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind + 1 != argc) {
		fputs(usage, stderr);
		return 2;
	}
	o->path = argv[optind];
	return -1;
}

/* ---- The loop. ---- */

static int watch(const struct loop *l, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
}

static int loop_open(struct loop *l, struct vswitch *sw, const sigset_t *set)
{
	l->sw = sw;
	l->armed_ns = UINT64_MAX;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->timer_fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	l->signal_fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (l->epoll_fd < 0 || l->timer_fd < 0 || l->signal_fd < 0 ||
	    watch(l, l->timer_fd) || watch(l, l->signal_fd) ||
	    watch(l, switch_fd(sw)))
		return -errno;
	return 0;
}

static void loop_close(struct loop *l)
{
	close(l->signal_fd);
	close(l->timer_fd);
	close(l->epoll_fd);
}

static void arm(struct loop *l, uint64_t at_ns)
{
	struct itimerspec t = {0};

	if (at_ns == l->armed_ns)
		return;
	l->armed_ns = at_ns;
	if (at_ns != UINT64_MAX) {
		/* Zero would mean never. */
		t.it_value.tv_sec = (time_t)(at_ns / 1000000000u);
		t.it_value.tv_nsec = (long)(at_ns % 1000000000u) | 1;
	}
	timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
}

/* The signal that came, or 0. */
static int signal_take(const struct loop *l)
{
	struct signalfd_siginfo info;

	if (read(l->signal_fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}

/* Runs until a signal comes, and returns it. */
static int loop_run(struct loop *l)
{
	bool more = true;

	for (;;) {
		struct epoll_event events[3];
		int n, sig = 0;

		if (!more)
			arm(l, switch_next_ns(l->sw));
		n = epoll_wait(l->epoll_fd, events, 3, more ? 0 : -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == l->signal_fd)
				sig = signal_take(l);
			if (events[i].data.fd == l->timer_fd)
				/* Disarmed, so it must be armed anew. */
				l->armed_ns = UINT64_MAX - 1;
		}
		if (sig)
			return sig;
		more = switch_serve(l->sw, clock_now_ns());
	}
}

/* ---- One switch from start to end. ---- */

static int run(const struct config *config, const struct options *o,
	       const struct log *log, uint64_t start_ns, struct why *why)
{
	struct vswitch *sw;
	struct loop l;
	sigset_t set;
	int sig = 0;
	int err;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return why_say(why, -errno, "signals: %s", strerror(errno));
	signal(SIGPIPE, SIG_IGN);
	err = switch_open(config, log, start_ns, &sw, why);
	if (err)
		return err;
	err = loop_open(&l, sw, &set);
	if (err)
		why_say(why, err, "event loop: %s", strerror(-err));
	else
		sig = loop_run(&l);
	loop_close(&l);
	if (sig)
		log_info(log, "%s: %s", strsignal(sig),
			 o->keep || sig == SIGHUP
				 ? "known flows go on without us"
				 : "stopping");
	switch_close(sw, o->keep || sig == SIGHUP);
	return err;
}

static int run_alone(const struct config *config, const struct options *o,
		     uint64_t start_ns, struct why *why)
{
	char who[SLUICE_NAME_LEN + 16];
	struct log log = {.to = stderr,
			  .who = who,
			  .max = o->verbose ? LOG_DEBUG : LOG_INFO};
	struct pidfile pid;
	int err;

	snprintf(who, sizeof(who), "sluiced[%s]", config->name);
	err = pidfile_take(config->name, &pid, why);
	if (err)
		return err;
	err = run(config, o, &log, start_ns, why);
	pidfile_give(&pid);
	return err;
}

int main(int argc, char **argv)
{
	uint64_t start_ns = clock_now_ns();
	struct options o = {0};
	struct config *config;
	struct why why = {0};
	int status = parse_options(argc, argv, &o);
	int err;

	if (status >= 0)
		return status;
	config = calloc(1, sizeof(*config));
	if (!config)
		return 1;
	err = config_load(o.path, config, &why);
	if (!err && !o.check)
		err = run_alone(config, &o, start_ns, &why);
	free(config);
	if (err) {
		fprintf(stderr, "sluiced: %s\n", why.text);
		return 1;
	}
	return 0;
}
