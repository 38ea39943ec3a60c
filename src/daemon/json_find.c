/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A cursor that skips what is not on the path. Each value is skipped at most
 * once per step of the path, so the time is linear in the text. Names and keys
 * are compared as written: one with escapes is not found.
 */

#include "daemon/json_find.h"

#include <string.h>

struct cursor {
	const char *at;
	const char *end;
	const char *text;
	uint32_t near;
	enum json_which which;
};

struct slice {
	const char *s;
	size_t len;
};

/* One step of a path: a member, or an entry of a list by its key. */
struct step {
	struct slice name;
	struct slice key; /* len 0: none given */
	struct slice value;
};

static bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
}

static char peek(struct cursor *c)
{
	while (c->at < c->end && strchr(" \t\r\n", *c->at) && *c->at)
		c->at++;
	if (c->at == c->end)
		return '\0';
	return *c->at;
}

static bool eat(struct cursor *c, char want)
{
	if (peek(c) != want)
		return false;
	c->at++;
	return true;
}

/* A string without its quotes. */
static bool eat_string(struct cursor *c, struct slice *out)
{
	if (!eat(c, '"'))
		return false;
	out->s = c->at;
	while (c->at < c->end && *c->at != '"')
		c->at += *c->at == '\\' && c->end - c->at > 1 ? 2 : 1;
	if (c->at >= c->end)
		return false;
	out->len = (size_t)(c->at++ - out->s);
	return true;
}

static bool skip_nested(struct cursor *c)
{
	uint32_t depth = 0;
	struct slice ignored;

	do {
		char ch = peek(c);

		if (!ch)
			return false;
		if (ch == '"') {
			if (!eat_string(c, &ignored))
				return false;
			continue;
		}
		if (ch == '{' || ch == '[')
			depth++;
		else if (ch == '}' || ch == ']')
			depth--;
		c->at++;
	} while (depth);
	return true;
}

static bool skip_value(struct cursor *c)
{
	char ch = peek(c);
	struct slice ignored;

	if (ch == '"')
		return eat_string(c, &ignored);
	if (ch == '{' || ch == '[')
		return skip_nested(c);
	if (!ch || strchr(",:]}", ch))
		return false;
	while (c->at < c->end && !strchr(",:]} \t\r\n", *c->at))
		c->at++;
	return true;
}

/* Without the module's name in front. */
static struct slice local_name(struct slice s)
{
	const char *colon = memchr(s.s, ':', s.len);

	if (colon)
		s = (struct slice){colon + 1,
				   s.len - (size_t)(colon + 1 - s.s)};
	return s;
}

static const char *step_take(const char *path, struct step *out)
{
	char quote[2];

	memset(out, 0, sizeof(*out));
	path += strspn(path, "/");
	out->name = local_name((struct slice){path, strcspn(path, "[/")});
	path += strcspn(path, "[/");
	if (*path != '[')
		return path;
	out->key =
		local_name((struct slice){path + 1, strcspn(path, "=]") - 1});
	path += strcspn(path, "=]");
	if (*path != '=' || !path[1])
		return path;
	quote[0] = path[1];
	quote[1] = '\0';
	path += 2;
	out->value = (struct slice){path, strcspn(path, quote)};
	path += out->value.len;
	return path + strspn(path, "'\"]");
}

static bool find_value(struct cursor *c, const char *path,
		       struct json_place *out);

/* The cursor at an object: does its member key hold this string? */
static bool entry_is(struct cursor c, const struct step *s)
{
	struct slice name, value;

	if (!eat(&c, '{'))
		return false;
	while (eat_string(&c, &name) && eat(&c, ':')) {
		if (slice_eq(local_name(name), s->key))
			return eat_string(&c, &value) &&
			       slice_eq(value, s->value);
		if (!skip_value(&c) || !eat(&c, ','))
			break;
	}
	return false;
}

/* Does the token after the value stand on the line that libyang gave? */
static bool is_near(const struct cursor *c, const struct json_place *place)
{
	struct cursor after = *c;

	after.at = place->value + place->value_len;
	peek(&after);
	return json_line(c->text, after.at) == c->near;
}

/* The cursor at a list; rest is the path inside the entry. */
static bool find_entry(struct cursor *c, const struct step *s, const char *rest,
		       struct json_place *out)
{
	struct json_place place;
	uint32_t n = 0;

	if (!eat(c, '['))
		return false;
	do {
		struct cursor in = *c;
		bool found;

		if (s->key.len)
			found = entry_is(in, s) &&
				find_value(&in, rest, &place);
		else
			found = find_value(&in, rest, &place) &&
				is_near(c, &place);
		if (found && (n++ == 0 || c->which == JSON_LAST))
			*out = place;
	} while (skip_value(c) && eat(c, ','));
	return s->key.len ? n > 0 : n == 1;
}

/* The cursor at a value; path is what is left to walk. */
static bool find_value(struct cursor *c, const char *path,
		       struct json_place *out)
{
	bool found = false;
	struct slice name;
	struct step s;

	peek(c);
	if (!path[strspn(path, "/")]) {
		out->value = c->at;
		out->line = json_line(c->text, c->at);
		if (!skip_value(c))
			return false;
		out->value_len = (size_t)(c->at - out->value);
		return true;
	}
	path = step_take(path, &s);
	if (!eat(c, '{'))
		return false;
	while (eat_string(c, &name) && eat(c, ':')) {
		struct cursor in = *c;

		if ((!found || c->which == JSON_LAST) &&
		    slice_eq(local_name(name), s.name)) {
			if (peek(&in) == '[' && (s.key.len || *path))
				found |= find_entry(&in, &s, path, out);
			else
				found |= find_value(&in, path, out);
		}
		if (!skip_value(c) || !eat(c, ','))
			break;
	}
	return found;
}

bool json_find(const struct json_text *t, const char *path, uint32_t near,
	       enum json_which which, struct json_place *out)
{
	struct cursor c = {.at = t->text,
			   .end = t->text + t->len,
			   .text = t->text,
			   .near = near,
			   .which = which};

	return find_value(&c, path, out);
}

uint32_t json_line(const char *text, const char *at)
{
	uint32_t line = 1;

	for (; text < at; text++)
		line += *text == '\n';
	return line;
}

const char *json_rest(const struct json_text *t)
{
	struct cursor c = {.at = t->text,
			   .end = t->text + t->len,
			   .text = t->text};

	skip_value(&c);
	peek(&c);
	return c.at < c.end ? c.at : NULL;
}
