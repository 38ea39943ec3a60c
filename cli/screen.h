/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SCREEN_H
#define CLI_SCREEN_H

/*
 * cli/screen - a terminal that shows one page of lines after the other
 *
 * While open it shows its own screen, hides the cursor, takes keys one by one,
 * and holds back SIGINT, SIGTERM, SIGHUP, SIGTSTP and SIGWINCH, which
 * screen_wait() then reports. close puts everything back as it was.
 */

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

struct screen {
	bool is_plain; /* no terminal, or not wanted: lines are just written */
	bool has_keys;
	struct termios was;
	sigset_t mask_was;
	int signals; /* a signalfd */
};

enum screen_event {
	SCREEN_TIME, /* the time is up */
	SCREEN_KEY,
	SCREEN_RESIZED,
	SCREEN_END, /* a signal says so */
};

/* Returns 0 or negative errno. */
int screen_open(struct screen *s, bool is_plain);
void screen_close(struct screen *s);

/* Lines and columns; a plain one has as many as you like. */
void screen_size(const struct screen *s, uint32_t *lines, uint32_t *cols);

/*
 * Shows a page, cut to the screen's size. A line that begins with '\1' is a
 * title.
 */
void screen_show(const struct screen *s, const char *page);

/* Waits; key is set on SCREEN_KEY. */
enum screen_event screen_wait(const struct screen *s, uint64_t ns, char *key);

#endif
