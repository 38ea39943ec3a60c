/* SPDX-License-Identifier: Apache-2.0 */

/* The verb show: its arguments, and what the listings share. */

#include "cli/show.h"

#include <getopt.h>
#include <netinet/ether.h>
#include <string.h>
#include <time.h>

#include "cli/text.h"
#include "sluice/text.h"

static const struct {
	const char *name;
	int (*run)(const struct show *s);
	int (*run_region)(const struct show_region *s); /* needs no switch */
} shows[] = {
	{"ports", show_ports, NULL},   {"flows", show_flows, NULL},
	{"macs", show_macs, NULL},     {"stats", show_stats, NULL},
	{"memory", NULL, show_memory}, {"region", NULL, show_region},
};

#define N_SHOWS (sizeof(shows) / sizeof(shows[0]))

void json_rows_open(struct json_rows *j)
{
	*j = (struct json_rows){.to = stdout};
	fputs("[", j->to);
}

void json_row(struct json_rows *j, json_t *object)
{
	if (!object) {
		j->has_failed = true;
		return;
	}
	fputs(j->has_rows ? ",\n " : "\n ", j->to);
	j->has_rows = true;
	if (json_dumpf(object, j->to, JSON_REAL_PRECISION(15)))
		j->has_failed = true;
	json_decref(object);
}

int json_rows_close(struct json_rows *j)
{
	fputs(j->has_rows ? "\n]\n" : "]\n", j->to);
	return j->has_failed ? cli_fail("out of memory") : CLI_OK;
}

void put_num(json_t *o, const char *name, uint64_t v)
{
	json_object_set_new(o, name, json_integer((json_int_t)v));
}

void put_text(json_t *o, const char *name, const char *v)
{
	json_object_set_new(o, name, json_string(v));
}

void put_bool(json_t *o, const char *name, bool v)
{
	json_object_set_new(o, name, json_boolean(v));
}

void put_seconds(json_t *o, const char *name, uint64_t ns)
{
	uint64_t whole = ns / 1000000u;
	double ms = (double)whole;

	json_object_set_new(o, name, json_real(ms / 1000.0));
}

const char *port_name(const struct sluice_reader *r, uint64_t port,
		      char out[SLUICE_PORT_NAME_LEN])
{
	out[0] = '\0';
	if (port < SLUICE_PORTS_MAX && r->ports[port].kind)
		text_name(r->ports[port].name, SLUICE_PORT_NAME_LEN, out);
	return out;
}

uint64_t drops_sum(const struct sluice_port_stats *st)
{
	uint64_t sum = 0;

	for (uint32_t i = 1; i < SLUICE_DROP_N; i++)
		sum += st->drops[i];
	return sum;
}

void put_drops(json_t *o, const char *name, const struct sluice_port_stats *st)
{
	json_t *drops = json_object();

	for (uint32_t i = 1; i < SLUICE_DROP_N; i++)
		if (st->drops[i])
			put_num(drops, sluice_drop_name(i), st->drops[i]);
	json_object_set_new(o, name, drops);
}

bool process_lives(const struct sluice_reader *r, uint64_t pid, uint64_t start)
{
	return pid && sluice_process_start(pid) == start &&
	       r->region->writer_boot == sluice_boot();
}

static bool mac_parse(const char *text, uint8_t mac[6])
{
	struct ether_addr a;

	if (!ether_aton_r(text, &a))
		return false;
	memcpy(mac, &a, 6);
	return true;
}

static int which(struct cli *cli, const char *word, size_t *out)
{
	const char *words[N_SHOWS];
	const char *like;

	for (size_t i = 0; i < N_SHOWS; i++) {
		words[i] = shows[i].name;
		if (strcmp(words[i], word) != 0)
			continue;
		*out = i;
		return CLI_OK;
	}
	like = cli_like(word, words, N_SHOWS);
	if (like)
		return cli_wrong(cli, "there is no '%s'; did you mean '%s'?",
				 word, like);
	return cli_wrong(cli, "there is no '%s'", word);
}

struct show_args {
	size_t what;
	const char *port;
	uint8_t mac[6];
	bool has_mac;
	bool is_deep;
	const char *file;
};

static int args_take(struct cli *cli, int argc, char **argv,
		     struct show_args *a)
{
	static const struct option options[] = {
		CLI_LONG_OPTIONS,
		{"port", required_argument, NULL, 'p'},
		{"mac", required_argument, NULL, 'm'},
		{"deep", no_argument, NULL, 'D'},
		{"file", required_argument, NULL, 'f'},
		{0},
	};
	int opt, status = CLI_OK;

	while (!status && (opt = getopt_long(argc, argv, ":j" CLI_OPTIONS,
					     options, NULL)) != -1) {
		if (opt == 'p') {
			a->port = optarg;
		} else if (opt == 'm') {
			a->has_mac = mac_parse(optarg, a->mac);
			if (!a->has_mac)
				status = cli_wrong(cli, "'%s' is no address",
						   optarg);
		} else if (opt == 'D') {
			a->is_deep = true;
		} else if (opt == 'f') {
			a->file = optarg;
		} else {
			status = cli_option(cli, opt, argv);
		}
	}
	if (status)
		return status;
	if (optind + 1 != argc)
		return cli_wrong(cli,
				 "what: ports, flows, macs, stats, memory or "
				 "region?");
	status = which(cli, argv[optind], &a->what);
	if (!status && (a->port || a->has_mac) &&
	    shows[a->what].run != show_flows)
		status = cli_wrong(cli, "--port and --mac are for flows");
	if (!status && a->file && shows[a->what].run)
		status = cli_wrong(cli, "--file is for memory and region");
	if (!status && a->is_deep && shows[a->what].run_region != show_region)
		status = cli_wrong(cli, "--deep is for the region");
	return status;
}

int cli_show(struct cli *cli, int argc, char **argv)
{
	struct show_args a = {.what = 0};
	struct show s = {.port = 0};
	struct sluice_reader r;
	struct timespec now;
	int status = args_take(cli, argc, argv, &a);

	if (!status && shows[a.what].run_region)
		return shows[a.what].run_region(
			&(struct show_region){cli->switch_name, a.file,
					      cli->is_json, a.is_deep});
	if (!status)
		status = cli_open(cli, &r);
	if (status)
		return status;
	clock_gettime(CLOCK_MONOTONIC, &now);
	s.r = &r;
	s.is_json = cli->is_json;
	s.now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	s.mac = a.has_mac ? a.mac : NULL;
	if (a.port)
		s.port = cli_port(&r, a.port);
	status = a.port && !s.port ? CLI_FAILED : shows[a.what].run(&s);
	sluice_reader_close(&r);
	return status;
}
