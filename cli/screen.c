/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Six escape sequences that every terminal of the last forty years knows, so
 * there is no terminal library. Signals come as events through a descriptor:
 * no handler, no global, and the terminal is put back on one path.
 */

#include "cli/screen.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

#define SCREEN_ENTER "\033[?1049h\033[?25l"
#define SCREEN_LEAVE "\033[?25h\033[?1049l"
#define SCREEN_HOME "\033[H"
#define SCREEN_REST_OF_LINE "\033[K"
#define SCREEN_REST "\033[J"
#define SCREEN_BOLD "\033[1m"
#define SCREEN_NORMAL "\033[0m"

static void keys_one_by_one(struct screen *s)
{
	struct termios t;

	s->has_keys = tcgetattr(STDIN_FILENO, &s->was) == 0;
	if (!s->has_keys)
		return;
	t = s->was;
	t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	s->has_keys = tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
}

int screen_open(struct screen *s, bool is_plain)
{
	sigset_t set;

	memset(s, 0, sizeof(*s));
	s->is_plain = is_plain || !isatty(STDOUT_FILENO);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (!s->is_plain) {
		sigaddset(&set, SIGTSTP);
		sigaddset(&set, SIGWINCH);
	}
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signals < 0)
		return -errno;
	sigprocmask(SIG_BLOCK, &set, &s->mask_was);
	if (s->is_plain)
		return 0;
	keys_one_by_one(s);
	fputs(SCREEN_ENTER, stdout);
	fflush(stdout);
	return 0;
}

void screen_close(struct screen *s)
{
	struct signalfd_siginfo ignored;

	if (!s->is_plain) {
		fputs(SCREEN_LEAVE, stdout);
		fflush(stdout);
	}
	if (s->has_keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &s->was);
	/* Those that came meanwhile have been obeyed. */
	while (read(s->signals, &ignored, sizeof(ignored)) > 0)
		;
	close(s->signals);
	sigprocmask(SIG_SETMASK, &s->mask_was, NULL);
}

void screen_size(const struct screen *s, uint32_t *lines, uint32_t *cols)
{
	struct winsize w = {0};

	*lines = UINT32_MAX;
	*cols = UINT32_MAX;
	if (s->is_plain)
		return;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) || !w.ws_row || !w.ws_col)
		w = (struct winsize){.ws_row = 24, .ws_col = 80};
	*lines = w.ws_row;
	*cols = w.ws_col;
}

static void line_show(const char *line, size_t len, uint32_t cols, bool colour)
{
	bool is_title = len && line[0] == '\1';

	line += is_title;
	len -= is_title;
	if (len > cols)
		len = cols;
	fputs(is_title && colour ? SCREEN_BOLD : "", stdout);
	fwrite(line, 1, len, stdout);
	fputs(is_title && colour ? SCREEN_NORMAL : "", stdout);
}

void screen_show(const struct screen *s, const char *page)
{
	bool colour = cli_has_colour(stdout);
	uint32_t lines, cols;

	screen_size(s, &lines, &cols);
	fputs(s->is_plain ? "" : SCREEN_HOME, stdout);
	while (*page && lines--) {
		size_t len = strcspn(page, "\n");

		line_show(page, len, cols, colour);
		page += len + (page[len] == '\n');
		fputs(s->is_plain ? "" : SCREEN_REST_OF_LINE, stdout);
		/* A newline behind the last line would scroll. */
		if (lines && (*page || s->is_plain))
			fputc('\n', stdout);
	}
	fputs(s->is_plain ? "\n" : SCREEN_REST, stdout);
	fflush(stdout);
}

static enum screen_event signal_event(const struct screen *s)
{
	struct signalfd_siginfo info;

	if (read(s->signals, &info, sizeof(info)) != sizeof(info))
		return SCREEN_TIME;
	/* A stopped program would leave its screen behind: stay. */
	if (info.ssi_signo == SIGWINCH || info.ssi_signo == SIGTSTP)
		return SCREEN_RESIZED;
	return SCREEN_END;
}

enum screen_event screen_wait(const struct screen *s, uint64_t ns, char *key)
{
	struct timespec left = {.tv_sec = (time_t)(ns / 1000000000u),
				.tv_nsec = (long)(ns % 1000000000u)};
	struct pollfd fds[] = {
		{.fd = s->signals, .events = POLLIN},
		{.fd = s->has_keys ? STDIN_FILENO : -1, .events = POLLIN},
	};

	if (ppoll(fds, 2, &left, NULL) <= 0)
		return SCREEN_TIME;
	if (fds[0].revents)
		return signal_event(s);
	if (read(STDIN_FILENO, key, 1) != 1)
		return SCREEN_END; /* the terminal is gone */
	return SCREEN_KEY;
}
