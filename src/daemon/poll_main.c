/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sluice-poll: the user-space engine as a process of its own.
 *
 * The daemon starts it with the region's descriptor; it holds the region alive
 * and reachable under the run directory, so that the daemon may die and come
 * back. It is told nothing else: its ports are the region's records.
 *
 * One sluice-poll per switch: it holds a lock on the switch's run directory
 * while it lives, which the kernel takes from it when it is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rundir.h"
#include "engine/poll/server.h"
#include "region/map.h"
#include "region/region.h"
#include "sluice/reader.h"

/* How often records and ports are looked at when nothing else happens. */
#define TICK_NS 250000000ull
#define TICK_MS 250
#define WATCH_SIGNAL 32u /* server.h has those below 16 */

struct process {
	const char *name; /* of the switch */
	struct log log;
	char who[64];
	char dir[RUNDIR_PATH_LEN];
	int region_fd;
	int lock_fd;
	int signal_fd;
	struct region_map map;
	struct server *server;
	struct poll *engine;
	struct follow follow;
};

static const char usage[] =
	"usage: sluice-poll --name NAME [--region-fd N]\n"
	"\n"
	"Forwards the packets of a switch's known flows in user space. The\n"
	"daemon, sluiced, starts it. Without --region-fd it takes the region\n"
	"that is linked in the switch's run directory.\n";

/* Returns 0, or the status to end with + 1. */
static int read_options(struct process *p, int argc, char **argv)
{
	static const struct option options[] = {
		{"name", required_argument, NULL, 'n'},
		{"region-fd", required_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	int c;

	p->region_fd = -1;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'n':
			p->name = optarg;
			break;
		case 'r':
			p->region_fd = (int)strtol(optarg, NULL, 10);
			break;
		case 'h':
			fputs(usage, stdout);
			return 1;
		case 'v':
			puts("sluice-poll " SLUICE_VERSION);
			return 1;
		default:
			fputs(usage, stderr);
			return 3;
		}
	}
	if (p->name && optind == argc)
		return 0;
	fputs(usage, stderr);
	return 3;
}

static int take_lock(struct process *p, struct why *why)
{
	p->lock_fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->lock_fd < 0)
		return why_say(why, -errno, "%s: %s", p->dir, strerror(errno));
	if (flock(p->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return why_say(why, -EBUSY,
			       "another sluice-poll serves switch %s", p->name);
	return 0;
}

static int map_region(struct process *p, struct why *why)
{
	char path[RUNDIR_PATH_LEN + 16];
	struct sluice_why text;
	int err;

	if (p->region_fd < 0) {
		snprintf(path, sizeof(path), "%s/region", p->dir);
		p->region_fd = open(path, O_RDWR | O_CLOEXEC);
		if (p->region_fd < 0)
			return why_say(why, -errno, "%s: %s", path,
				       strerror(errno));
	}
	fcntl(p->region_fd, F_SETFD, FD_CLOEXEC);
	err = region_map_fd(p->region_fd, true, &p->map, &text);
	if (err)
		return why_say(why, err, "the region: %s", text.text);
	return 0;
}

/*
 * A path to the memory: its own, if it is a file or device that has one and
 * outlives us, else through us.
 */
static void path_of_region(const struct process *p, char to[PATH_MAX])
{
	char self[64];
	struct stat ours, there;
	ssize_t n;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", p->region_fd);
	n = p->map.backing == SLUICE_BACKING_MEMFD
		    ? -1
		    : readlink(self, to, PATH_MAX - 1);
	if (n > 0) {
		to[n] = '\0';
		if (!fstat(p->region_fd, &ours) && !stat(to, &there) &&
		    ours.st_dev == there.st_dev && ours.st_ino == there.st_ino)
			return;
	}
	snprintf(to, PATH_MAX, "/proc/%d/fd/%d", (int)getpid(), p->region_fd);
}

/* Readers and the next daemon find the memory by it. */
static int link_region(struct process *p, struct why *why)
{
	char path[RUNDIR_PATH_LEN + 16], next[RUNDIR_PATH_LEN + 16];
	char to[PATH_MAX];

	snprintf(path, sizeof(path), "%s/region", p->dir);
	snprintf(next, sizeof(next), "%s/region.new", p->dir);
	path_of_region(p, to);
	unlink(next);
	if (symlink(to, next) != 0 || rename(next, path) != 0)
		return why_say(why, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

static int watch_signals(struct process *p, struct why *why)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (p->signal_fd < 0)
		return why_say(why, -errno, "signalfd: %s", strerror(errno));
	return poll_watch(p->engine, WATCH_SIGNAL, p->signal_fd);
}

/* The pid is stored last, so both are right or there is none. */
static void sign(struct process *p, uint64_t pid)
{
	struct sluice_switch *sw = poll_switch(p->engine);

	sluice_store64_release(&sw->poll_pid, 0);
	if (!pid)
		return;
	sluice_store64_release(&sw->poll_start, sluice_process_start(pid));
	sluice_store64_release(&sw->poll_pid, pid);
}

static int start(struct process *p, struct why *why)
{
	struct poll_slow slow;
	int err = rundir_make(p->name, p->dir, why);

	if (!err)
		err = take_lock(p, why);
	if (!err)
		err = map_region(p, why);
	if (!err)
		err = server_new(p->dir, p->region_fd, &p->log, &p->server,
				 why);
	if (err)
		return err;
	slow = server_slow(p->server);
	err = poll_new(p->map.mem, p->map.len, &slow, &p->engine, why);
	if (!err)
		err = watch_signals(p, why);
	if (err)
		return err;
	sign(p, (uint64_t)getpid());
	follow_init(&p->follow, p->engine, &p->log);
	follow_round(&p->follow, clock_now_ns());
	err = server_start(p->server, p->engine, &p->follow);
	if (err)
		return why_say(why, err, "the link: %s", strerror(-err));
	return link_region(p, why);
}

static void run(struct process *p)
{
	uint64_t ticked_ns = clock_coarse_ns();

	while (!server_is_over(p->server)) {
		uint64_t watched = poll_wait(p->engine, TICK_MS);
		uint64_t now_ns = clock_coarse_ns();

		if (watched >> WATCH_SIGNAL & 1)
			break;
		poll_round(p->engine, now_ns);
		if (watched)
			server_round(p->server, watched, now_ns);
		if (now_ns - ticked_ns < TICK_NS)
			continue;
		follow_round(&p->follow, now_ns);
		ticked_ns = now_ns;
	}
}

/* In order: nothing of ours stays behind. */
static void stop(struct process *p)
{
	char path[RUNDIR_PATH_LEN + 16];

	for (uint32_t i = 1; i < SLUICE_PORTS_MAX; i++)
		follow_shut(&p->follow, i);
	sign(p, 0);
	server_free(p->server);
	poll_free(p->engine);
	snprintf(path, sizeof(path), "%s/region", p->dir);
	unlink(path);
	rmdir(p->dir);
}

int main(int argc, char **argv)
{
	struct process p = {.log = {.to = stderr, .max = LOG_INFO}};
	struct why why = {0};
	int end = read_options(&p, argc, argv);

	if (end)
		return end - 1;
	snprintf(p.who, sizeof(p.who), "sluice-poll[%s]", p.name);
	p.log.who = p.who;
	if (start(&p, &why) != 0) {
		log_error(&p.log, "%s", why.text);
		rmdir(p.dir); /* if nothing lies in it */
		return 1;
	}
	run(&p);
	stop(&p);
	return 0;
}
