/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_JSON_FIND_H
#define DAEMON_JSON_FIND_H

/*
 * daemon/json_find - the line on which a member of a JSON text stands
 *
 * libyang names the path of what it refuses, but not the line once the text
 * is parsed. This walks the text to the value. The text may be wrong JSON: then
 * what cannot be found is not found, and nothing outside it is read. Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_text {
	const char *name; /* of the file, for who tells about it */
	const char *text;
	size_t len;
};

struct json_place {
	const char *value; /* its first character, in the text */
	size_t value_len;
	uint32_t line; /* of the value, from 1 */
};

enum json_which { JSON_FIRST, JSON_LAST };

/*
 * Finds a value by its path as libyang writes it, module names ignored:
 * /sluice:switch/port[name='h1']/kind. "" and "/" are the whole text.
 *
 * near     when the path names a list's entry without its key: the line of the
 *          token that follows the value. Several such values: none is found
 * which    of several members or entries of the same name
 * out      set when found only
 */
bool json_find(const struct json_text *t, const char *path, uint32_t near,
	       enum json_which which, struct json_place *out);

/* The line of a byte of the text, from 1. */
uint32_t json_line(const char *text, const char *at);

/* What stands behind the text's one value; NULL: nothing but blanks. */
const char *json_rest(const struct json_text *t);

#endif
