/* SPDX-License-Identifier: Apache-2.0 */

/*
 * libyang gives a message, a path, sometimes a line (that of the token after
 * the culprit), and no list of what would be right. So the path is looked up
 * in the text, for the line and for what stands there, and in the schema, for
 * what may stand there. Each form of message has a function in forms[] below.
 */

#include "daemon/config_why.h"

#include <errno.h>
#include <inttypes.h>
#include <libyang/libyang.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/annotate.h"
#include "daemon/json_find.h"

#define QUOTED_LEN 64
#define PATH_LEN 256

struct form_in {
	const char *msg;
	const char *tag;		/* error-app-tag; may be NULL */
	const struct lysc_node *schema; /* of path; may be NULL */
	const struct json_place *place; /* of path; NULL: not found */
	char quoted[2][QUOTED_LEN];	/* what the message has in quotes */
	char path[PATH_LEN];		/* may be changed, for the reader */
	uint32_t near;			/* libyang's line; 0: none */
	const struct json_text *from;
	struct json_place found;
};

struct out {
	char text[WHY_LEN / 2];
	size_t len;
};

static void PRINTF_LIKE(2, 3) add(struct out *o, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(o->text + o->len, sizeof(o->text) - o->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		o->len += (size_t)n;
	if (o->len >= sizeof(o->text))
		o->len = sizeof(o->text) - 1;
}

static const struct lysc_node *schema_of(const struct ly_ctx *ctx,
					 const char *path)
{
	char bare[PATH_LEN];
	size_t n = 0;
	bool inside = false;

	for (; *path && n < sizeof(bare) - 1; path++) {
		if (*path == '[')
			inside = true;
		if (!inside)
			bare[n++] = *path;
		if (*path == ']')
			inside = false;
	}
	bare[n] = '\0';
	return n ? lys_find_path(ctx, NULL, bare, 0) : NULL;
}

static void seek(struct form_in *in, const char *path, enum json_which which)
{
	bool found = json_find(in->from, path, in->near, which, &in->found);

	in->place = found ? &in->found : NULL;
}

/* What stands in the file, shortened. */
static void add_given(struct out *o, const struct form_in *in)
{
	size_t len = in->place->value_len;
	bool is_long = len > 40;

	add(o, "%.*s%s", is_long ? 40 : (int)len, in->place->value,
	    is_long ? "..." : "");
}

static void add_enums(struct out *o, const struct lysc_type_enum *t)
{
	LY_ARRAY_COUNT_TYPE i;

	add(o, "one of");
	LY_ARRAY_FOR(t->enums, i)
	{
		add(o, "%s %s", i ? "," : "", t->enums[i].name);
	}
}

/* What may stand there; false when there is nothing to say. */
static bool add_wanted(struct out *o, const struct lysc_node *schema)
{
	const struct lysc_type *t;
	const struct lysc_type_num *num;

	if (!schema)
		return false;
	if (schema->nodetype == LYS_LIST) {
		add(o, "an array of objects");
		return true;
	}
	if (schema->nodetype != LYS_LEAF) {
		add(o, "an object");
		return true;
	}
	t = ((const struct lysc_node_leaf *)schema)->type;
	num = (const struct lysc_type_num *)t;
	if (t->basetype == LY_TYPE_ENUM)
		add_enums(o, (const struct lysc_type_enum *)t);
	else if (t->basetype == LY_TYPE_BOOL)
		add(o, "true or false, without quotes");
	else if (t->basetype == LY_TYPE_UINT32)
		add(o, "a whole number from %" PRIu64 " to %" PRIu64,
		    num->range->parts[0].min_u64, num->range->parts[0].max_u64);
	else if (t->basetype == LY_TYPE_STRING)
		add(o, "a text in quotes");
	else
		return false;
	return true;
}

/* How unlike two words are: letters to add, drop or change. */
static uint32_t unlike(const char *a, const char *b)
{
	uint32_t row[QUOTED_LEN + 1];
	uint32_t n = (uint32_t)strlen(b);

	if (n > QUOTED_LEN)
		return n;
	for (uint32_t j = 0; j <= n; j++)
		row[j] = j;
	for (uint32_t i = 0; a[i]; i++) {
		uint32_t diagonal = row[0]++;

		for (uint32_t j = 0; j < n; j++) {
			uint32_t best = diagonal + (a[i] != b[j]);

			diagonal = row[j + 1];
			if (diagonal + 1 < best)
				best = diagonal + 1;
			if (row[j] + 1 < best)
				best = row[j] + 1;
			row[j + 1] = best;
		}
	}
	return row[n];
}

/* Node "knid" not found as a child of "port" node. */
static void say_unknown(struct form_in *in, struct out *o)
{
	const struct lysc_node *child = NULL, *best = NULL;
	uint32_t least = 3;
	size_t len = strlen(in->path);

	if (!in->schema)
		return;
	snprintf(in->path + len, sizeof(in->path) - len, "/%s", in->quoted[0]);
	seek(in, in->path, JSON_FIRST);
	while ((child = lys_getnext(child, in->schema, NULL, 0))) {
		uint32_t d = unlike(in->quoted[0], child->name);

		if (d >= least)
			continue;
		least = d;
		best = child;
	}
	add(o, "there is no such member; ");
	if (best) {
		add(o, "\"%s\" is probably meant", best->name);
		return;
	}
	add(o, "there are");
	for (const char *comma = "";
	     (child = lys_getnext(child, in->schema, NULL, 0)); comma = ",")
		add(o, "%s %s", comma, child->name);
}

static void say_top(struct form_in *in, struct out *o)
{
	(void)in;
	add(o, "a configuration is one object with the one member "
	       "\"sluice:switch\"");
}

/* Mandatory node "name" instance does not exist. */
static void say_mandatory(struct form_in *in, struct out *o)
{
	char *slash = strrchr(in->path, '/');

	if (slash && slash != in->path)
		*slash = '\0';
	seek(in, in->path, JSON_FIRST);
	add(o, "\"%s\" is missing", in->quoted[0]);
}

/* List instance is missing its key "name". */
static void say_no_key(struct form_in *in, struct out *o)
{
	char entry[PATH_LEN + 2];

	snprintf(entry, sizeof(entry), "%s/", in->path);
	seek(in, entry, JSON_FIRST);
	add(o, "an entry has no \"%s\"", in->quoted[0]);
}

/* Unique data leaf(s) "device" not satisfied in "PATH" and "PATH". */
static void say_unique(struct form_in *in, struct out *o)
{
	size_t len = strlen(in->path);

	snprintf(in->path + len, sizeof(in->path) - len, "/%s", in->quoted[0]);
	seek(in, in->path, JSON_FIRST);
	if (in->place)
		add_given(o, in);
	add(o, " is the %s of %s already", in->quoted[0], in->quoted[1]);
}

/* Duplicate instance of "port". */
static void say_twice(struct form_in *in, struct out *o)
{
	seek(in, in->path, JSON_LAST);
	add(o, "is there twice");
}

/* Too many "port" instances. */
static void say_too_many(struct form_in *in, struct out *o)
{
	if (in->schema && in->schema->nodetype == LYS_LIST)
		add(o, "more than %u are not possible",
		    ((const struct lysc_node_list *)in->schema)->max);
}

/* When condition "../kind = 'pcap'" not satisfied. */
static void say_when(struct form_in *in, struct out *o)
{
	const char *condition = in->quoted[0];

	if (strncmp(condition, "../", 3) == 0)
		condition += 3;
	add(o, "is only possible where %s", condition);
}

/* The list "port" is expected to be ..., but input data contains ... */
static void say_shape(struct form_in *in, struct out *o)
{
	const struct lysc_node *child;
	size_t len = strlen(in->path);

	if (!in->schema) {
		say_top(in, o);
		return;
	}
	if (in->schema->nodetype != LYS_LEAF &&
	    (child = lys_find_child(in->schema, in->schema->module,
				    in->quoted[0], 0, 0, 0))) {
		snprintf(in->path + len, sizeof(in->path) - len, "/%s",
			 in->quoted[0]);
		in->schema = child;
		seek(in, in->path, JSON_FIRST);
	}
	if (in->place) {
		add_given(o, in);
		add(o, " is not ");
	} else {
		add(o, "this is not ");
	}
	if (!add_wanted(o, in->schema))
		o->len = 0;
}

/* A value that its type does not allow, in any of libyang's words. */
static void say_value(struct form_in *in, struct out *o)
{
	if (!in->schema || in->schema->nodetype != LYS_LEAF)
		return;
	if (in->place)
		add_given(o, in);
	else
		add(o, "\"%s\"", in->quoted[0]);
	add(o, " is not ");
	if (!add_wanted(o, in->schema))
		o->len = 0;
}

static void say_long_number(struct form_in *in, struct out *o)
{
	(void)in;
	add(o, "a number has too many digits");
}

static void say_end(struct form_in *in, struct out *o)
{
	(void)in;
	add(o, "the text ends too early");
}

/*
 * A sentence of sluice.yang itself, or one that we do not know. A must's
 * error-app-tag names the member that is to blame.
 */
static void say_as_is(struct form_in *in, struct out *o)
{
	size_t len = strlen(in->msg);
	size_t path_len = strlen(in->path);
	struct json_place port = in->found;

	if (in->tag && in->schema && in->schema->nodetype != LYS_LEAF) {
		snprintf(in->path + path_len, sizeof(in->path) - path_len,
			 "/%s", in->tag);
		seek(in, in->path, JSON_FIRST);
		if (in->place) {
			in->schema =
				schema_of(in->schema->module->ctx, in->path);
		} else {
			in->path[path_len] = '\0';
			in->found = port;
			in->place = &in->found;
		}
	}
	if (in->place && in->schema && in->schema->nodetype == LYS_LEAF) {
		add_given(o, in);
		add(o, ": ");
	}
	add(o, "%.*s", (int)(len && in->msg[len - 1] == '.' ? len - 1 : len),
	    in->msg);
}

static const struct {
	const char *has; /* in the message */
	void (*say)(struct form_in *in, struct out *o);
} forms[] = {
	{"not found as a child of", say_unknown},
	{"No module named", say_top},
	{"must be namespace-qualified", say_top},
	{"Expected top-level JSON object", say_top},
	{"Mandatory node", say_mandatory},
	{"missing its key", say_no_key},
	{"Unique data leaf", say_unique},
	{"Duplicate instance of", say_twice},
	{"Too many \"", say_too_many},
	{"When condition", say_when},
	{"but input data contains", say_shape},
	{"Invalid enumeration value", say_value},
	{"Invalid non-", say_value},
	{"Invalid type", say_value},
	{"Invalid boolean value", say_value},
	{"Unsatisfied range", say_value},
	{"is out of type", say_value},
	{"Unexpected input data", say_value},
	{"not found in the", say_top},
	{"LY_NUMBER_MAXLEN", say_long_number},
	{"sequence \"\"", say_end},
	{"nexpected end-of-input", say_end},
};

static void take_quoted(const char *msg, char out[2][QUOTED_LEN])
{
	for (int i = 0; i < 2; i++) {
		const char *from = strchr(msg, '"');
		const char *end = from ? strchr(from + 1, '"') : NULL;

		out[i][0] = '\0';
		if (!end)
			continue;
		snprintf(out[i], QUOTED_LEN, "%.*s", (int)(end - from - 1),
			 from + 1);
		msg = end + 1;
	}
}

/* The item's path is a text: Data location "PATH", line number 7. */
static void take_location(const char *loc, struct form_in *in)
{
	const char *from = strchr(loc, '"');
	const char *to = strrchr(loc, '"');
	const char *line = strstr(loc, "ine number ");

	if (from && to > from)
		snprintf(in->path, sizeof(in->path), "%.*s",
			 (int)(to - from - 1), from + 1);
	else
		in->path[0] = '\0';
	in->near = line ? (uint32_t)strtoul(line + 11, NULL, 10) : 0;
}

/* What the file holds goes to a terminal: one line, no control characters. */
static void plain(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

int config_why(const struct ly_ctx *ctx, const struct json_text *from,
	       struct why *why)
{
	const struct ly_err_item *e = ly_err_first(ctx);
	struct form_in in = {.from = from};
	struct out o = {.len = 0};
	uint32_t line;
	bool no_json;

	if (!e || e->no == LY_EMEM)
		return why_say(why, -ENOMEM, "%s: out of memory", from->name);
	in.msg = e->msg ? e->msg : "";
	in.tag = e->apptag;
	take_quoted(in.msg, in.quoted);
	take_location(e->path ? e->path : "", &in);
	in.schema = schema_of(ctx, in.path);
	seek(&in, in.path, JSON_FIRST);
	no_json = e->vecode == LYVE_SYNTAX || e->vecode == LYVE_SYNTAX_JSON;
	for (size_t i = 0; i < ARRAY_LEN(forms) && !o.len; i++) {
		if (!strstr(in.msg, forms[i].has))
			continue;
		forms[i].say(&in, &o);
		no_json = forms[i].say == say_end;
	}
	if (!o.len)
		say_as_is(&in, &o);
	plain(in.path);
	plain(o.text);
	line = in.place ? in.place->line : in.near;
	if (no_json)
		return why_say(why, -EINVAL, "%s:%u: not JSON: %s", from->name,
			       in.near, o.text);
	return why_say(why, -EINVAL, "%s:%u: %s: %s", from->name,
		       line ? line : 1, in.path[0] ? in.path : "/", o.text);
}
