/* SPDX-License-Identifier: Apache-2.0 */

/*
 * libyang does the work: a context per call, with our module out of this
 * binary, so two switches in one process share nothing but one word of libyang:
 * that it stores its errors in the context and prints none. (Its option for one
 * thread only is reset by its own XPath comparisons.) What libyang lets pass
 * though it is no JSON text (bytes behind the value, a NUL) and what YANG
 * cannot say (lengths in bytes) is refused here.
 *
 * Rejected: JSON by jansson with checks by hand, which would say everything a
 * second time beside the module that operators' tools read.
 */

#include "daemon/config.h"

#include <errno.h>
#include <fcntl.h>
#include <libyang/libyang.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config_why.h"
#include "daemon/json_find.h"

#define NAME_SHOWN_MAX 160

static const char sluice_yang[] =
#include "sluice.yang.inc"
	;

static const char *const engine_names[] = {
	[CONFIG_ENGINE_AUTO] = "auto",
	[CONFIG_ENGINE_XDP] = "xdp",
	[CONFIG_ENGINE_POLL] = "poll",
};

static const char *const kind_names[] = {
	[CONFIG_PORT_NETDEV] = "netdev",
	[CONFIG_PORT_TAP] = "tap",
	[CONFIG_PORT_PCAP] = "pcap",
};

static const char *const access_names[] = {
	[CONFIG_ACCESS_PACKET] = "packet",
	[CONFIG_ACCESS_XSK] = "xsk",
};

const char *config_engine_name(enum config_engine e)
{
	return engine_names[e];
}

const char *config_port_kind_name(enum config_port_kind k)
{
	return kind_names[k];
}

/* libyang has checked that the word is one of them. */
static uint32_t word_idx(const char *const *words, const char *word)
{
	uint32_t i = 0;

	while (strcmp(words[i], word) != 0)
		i++;
	return i;
}

/* A text whose length YANG has checked in characters, not bytes. */
static int text_take(const struct lyd_node *leaf, const struct json_text *from,
		     char *out, size_t room, struct why *why)
{
	const char *value = lyd_get_value(leaf);
	struct json_place place = {.line = 1};
	char *path;

	if (strlen(value) < room) {
		memcpy(out, value, strlen(value) + 1);
		return 0;
	}
	path = lyd_path(leaf, LYD_PATH_STD, NULL, 0);
	if (path)
		(void)json_find(from, path, 0, JSON_FIRST, &place);
	why_say(why, -EINVAL,
		"%s:%u: %s: \"%.40s...\" is longer than %zu bytes", from->name,
		place.line, path ? path : "/", value, room - 1);
	free(path);
	return -EINVAL;
}

static int port_take(const struct lyd_node *list, const struct json_text *from,
		     struct config_port *p, struct why *why)
{
	const struct lyd_node *leaf;
	int err = 0;

	LY_LIST_FOR(lyd_child(list), leaf)
	{
		const char *name = leaf->schema->name;
		const char *value = lyd_get_value(leaf);

		if (strcmp(name, "name") == 0)
			err = text_take(leaf, from, p->name, sizeof(p->name),
					why);
		else if (strcmp(name, "kind") == 0)
			p->kind = word_idx(kind_names, value);
		else if (strcmp(name, "access") == 0)
			p->access = word_idx(access_names, value);
		else if (strcmp(name, "device") == 0)
			err = text_take(leaf, from, p->device,
					sizeof(p->device), why);
		else if (strcmp(name, "output") == 0)
			err = text_take(leaf, from, p->output,
					sizeof(p->output), why);
		if (err)
			return err;
	}
	return 0;
}

static uint32_t number_of(const struct lyd_node *leaf)
{
	return (uint32_t)strtoul(lyd_get_value(leaf), NULL, 10);
}

/* Takes a member that says where the memory is, if it is one. */
static int region_take(const struct lyd_node *node,
		       const struct json_text *from, struct config *out,
		       struct why *why)
{
	const char *name = node->schema->name;

	if (strcmp(name, "region-file") == 0)
		out->region = CONFIG_REGION_FILE;
	else if (strcmp(name, "region-dax") == 0)
		out->region = CONFIG_REGION_DAX;
	else
		return 0;
	return text_take(node, from, out->region_path, sizeof(out->region_path),
			 why);
}

static int switch_take(const struct lyd_node *sw, const struct json_text *from,
		       struct config *out, struct why *why)
{
	const struct lyd_node *node;
	int err = 0;

	LY_LIST_FOR(lyd_child(sw), node)
	{
		const char *name = node->schema->name;

		if (strcmp(name, "name") == 0)
			err = text_take(node, from, out->name,
					sizeof(out->name), why);
		else if (strcmp(name, "engine") == 0)
			out->engine =
				word_idx(engine_names, lyd_get_value(node));
		else if (strcmp(name, "max-flows") == 0)
			out->max_flows = number_of(node);
		else if (strcmp(name, "max-macs") == 0)
			out->max_macs = number_of(node);
		else if (strcmp(name, "flow-idle-timeout") == 0)
			out->flow_idle_s = number_of(node);
		else if (strcmp(name, "mac-ageing-time") == 0)
			out->mac_age_s = number_of(node);
		else if (strcmp(name, "huge-pages") == 0)
			out->huge_pages =
				strcmp(lyd_get_value(node), "true") == 0;
		else if (strcmp(name, "port") == 0)
			err = port_take(node, from, &out->ports[out->n_ports++],
					why);
		else
			err = region_take(node, from, out, why);
		if (err)
			return err;
	}
	return 0;
}

/* libyang's tree into out, which is empty. */
static int tree_take(const struct lyd_node *tree, const struct json_text *from,
		     struct config *out, struct why *why)
{
	struct lyd_node *sw = NULL;

	if (!tree || lyd_find_path(tree, "/sluice:switch", 0, &sw)) {
		return why_say(why, -EINVAL,
			       "%s:1: /: there is no \"sluice:switch\"; a "
			       "configuration is one object with that member",
			       from->name);
	}
	return switch_take(sw, from, out, why);
}

static int text_parse(struct ly_ctx *ctx, const struct json_text *from,
		      struct config *out, struct why *why)
{
	struct lyd_node *tree = NULL;
	const char *rest;
	int err;

	if (lys_parse_mem(ctx, sluice_yang, LYS_IN_YANG, NULL))
		return why_say(why, -ENOMEM, "%s: the module sluice: %s",
			       from->name, ly_errmsg(ctx));
	if (lyd_parse_data_mem(ctx, from->text, LYD_JSON,
			       LYD_PARSE_STRICT | LYD_PARSE_NO_STATE,
			       LYD_VALIDATE_PRESENT, &tree))
		err = config_why(ctx, from, why);
	else if ((rest = json_rest(from)))
		err = why_say(why, -EINVAL,
			      "%s:%u: not JSON: there is something behind the "
			      "last \"}\"",
			      from->name, json_line(from->text, rest));
	else
		err = tree_take(tree, from, out, why);
	lyd_free_all(tree);
	return err;
}

/* What libyang would take, or not explain. */
static int text_check(const struct json_text *from, struct why *why)
{
	size_t n = strlen(from->text);

	if (n < from->len)
		return why_say(why, -EINVAL, "%s:%u: not JSON: a NUL byte",
			       from->name,
			       json_line(from->text, from->text + n));
	if (strspn(from->text, " \t\r\n") == n)
		return why_say(why, -EINVAL, "%s:1: the file is empty",
			       from->name);
	return 0;
}

static int quiet_parse(const struct json_text *from, struct config *out,
		       struct why *why)
{
	struct ly_ctx *ctx;
	int err;

	ly_log_options(LY_LOSTORE);
	if (ly_ctx_new(NULL, LY_CTX_NO_YANGLIBRARY | LY_CTX_DISABLE_SEARCHDIRS,
		       &ctx)) {
		err = why_say(why, -ENOMEM, "%s: libyang does not start",
			      from->name);
	} else {
		err = text_parse(ctx, from, out, why);
		ly_ctx_destroy(ctx);
	}
	return err;
}

int config_parse(const char *text, size_t len, const char *name,
		 struct config *out, struct why *why)
{
	struct json_text from = {.name = name, .len = len};
	struct config *made = calloc(1, sizeof(*made));
	char *copy = len <= CONFIG_TEXT_MAX ? malloc(len + 1) : NULL;
	int err;

	if (len > CONFIG_TEXT_MAX) {
		err = why_say(why, -EFBIG, "%s: longer than %u bytes", name,
			      CONFIG_TEXT_MAX);
	} else if (!copy || !made) {
		err = why_say(why, -ENOMEM, "%s: out of memory", name);
	} else {
		memcpy(copy, text, len);
		copy[len] = '\0';
		from.text = copy;
		err = text_check(&from, why);
		if (!err)
			err = quiet_parse(&from, made, why);
		if (!err)
			*out = *made;
	}
	free(made);
	free(copy);
	return err;
}

static int read_all(int fd, char *to, size_t room, size_t *len)
{
	ssize_t n;

	*len = 0;
	do {
		n = read(fd, to + *len, room - *len);
		if (n < 0 && errno != EINTR)
			return -errno;
		*len += n > 0 ? (size_t)n : 0;
	} while (n && *len < room);
	return 0;
}

/* The end of a long path: the file's name is there. */
static const char *name_of(const char *path)
{
	size_t len = strlen(path);

	return len > NAME_SHOWN_MAX ? path + len - NAME_SHOWN_MAX : path;
}

int config_load(const char *path, struct config *out, struct why *why)
{
	const char *name = name_of(path);
	char *text = NULL;
	size_t len;
	int fd, err;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		err = -errno;
		return why_say(why, err, "%s: %s", name, strerror(-err));
	}
	text = malloc(CONFIG_TEXT_MAX + 1);
	err = text ? read_all(fd, text, CONFIG_TEXT_MAX + 1, &len) : -ENOMEM;
	if (err)
		why_say(why, err, "%s: %s", name, strerror(-err));
	else
		err = config_parse(text, len, name, out, why);
	free(text);
	close(fd);
	return err;
}
