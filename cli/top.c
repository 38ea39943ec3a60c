/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Live rates: two looks at the region, the difference, a page of text. The
 * page is the same on a terminal and in a pipe.
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/rates.h"
#include "cli/screen.h"
#include "cli/show.h"
#include "cli/text.h"
#include "sluice/text.h"

#define PLAIN_FLOWS 10u /* lines of flows where there is no screen to fill */
#define FIRST_NS 250000000u

struct top {
	struct sluice_reader r;
	struct rates rates;
	struct screen screen;
	enum rates_order order;
	bool is_plain;
	uint64_t delay_ns;
	uint64_t left; /* pages to come */
};

static const struct column port_columns[] = {
	{"PORT", 4},	  {"NAME", -12},   {"STATE", -6},
	{"IN pps", 8},	  {"IN bit/s", 9}, {"OUT pps", 8},
	{"OUT bit/s", 9}, {"MISS/s", 7},   {"DROP/s", 7},
};

static const struct column flow_columns[] = {
	{"pps", 8},	  {"bit/s", 9}, {"PACKETS", 12},
	{"ACTIONS", -11}, {"FLOW", 0},
};

#define N_PORT_COLUMNS (sizeof(port_columns) / sizeof(port_columns[0]))
#define N_FLOW_COLUMNS (sizeof(flow_columns) / sizeof(flow_columns[0]))

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void head_write(const struct top *t, FILE *to)
{
	const struct sluice_reader *r = &t->r;
	const struct port_rate *sum = &t->rates.sum;
	char name[SLUICE_NAME_LEN], a[TEXT_LEN], b[TEXT_LEN], c[TEXT_LEN];
	char d[TEXT_LEN], e[TEXT_LEN];

	fprintf(to, "\1%s  engine %s  up %s  slow path %s\n",
		text_name(r->region->name, sizeof(name), name),
		text_engine(r->sw->engine),
		text_duration(t->rates.at_ns - r->sw->started_ns, a),
		sluice_writer_lives(r->region) ? "runs" : "does not run");
	fprintf(to,
		"flows %" PRIu64 "  +%s/s  -%s/s  macs %" PRIu64
		"  to the slow path %s/s\n",
		sluice_load64_relaxed(&r->flows.table->n_used),
		text_si(t->rates.flows_added, a),
		text_si(t->rates.flows_removed, b),
		sluice_load64_relaxed(&r->macs.table->n_used),
		text_si(sum->miss_pps, c));
	fprintf(to, "in %s pps %s bit/s  out %s pps %s bit/s  dropped %s/s\n\n",
		text_si(sum->rx_pps, a), text_si(sum->rx_bps, b),
		text_si(sum->tx_pps, c), text_si(sum->tx_bps, d),
		text_si(sum->drop_pps, e));
}

static void port_write(const struct top *t, uint32_t no, FILE *to)
{
	const struct port_rate *p = &t->rates.ports[no];
	const double rates[] = {p->rx_pps, p->rx_bps,	p->tx_pps,
				p->tx_bps, p->miss_pps, p->drop_pps};
	char number[16], name[SLUICE_PORT_NAME_LEN], v[6][TEXT_LEN];
	const char *cells[N_PORT_COLUMNS] = {
		number, name, text_port_state(t->r.ports[no].state),
		v[0],	v[1], v[2],
		v[3],	v[4], v[5],
	};

	snprintf(number, sizeof(number), "%u", no);
	port_name(&t->r, no, name);
	for (size_t i = 0; i < 6; i++)
		text_si(rates[i], v[i]);
	row(to, port_columns, N_PORT_COLUMNS, cells);
}

static void flow_write(const struct top *t, const struct flow_rate *f, FILE *to)
{
	char v[2][TEXT_LEN], packets[24], act[TEXT_LEN];
	char key[SLUICE_KEY_TEXT_LEN];
	const char *cells[N_FLOW_COLUMNS] = {v[0], v[1], packets, act, key};

	text_si(f->pps, v[0]);
	text_si(f->bps, v[1]);
	snprintf(packets, sizeof(packets), "%" PRIu64, f->n_packets);
	text_act(&t->r, f->key.in_port, f->act, act, sizeof(act));
	sluice_key_text(&f->key, key, sizeof(key));
	row(to, flow_columns, N_FLOW_COLUMNS, cells);
}

/* The page, to be freed; NULL: out of memory. */
static char *page_make(const struct top *t)
{
	char *page = NULL;
	size_t len;
	FILE *to = open_memstream(&page, &len);

	if (!to)
		return NULL;
	head_write(t, to);
	fputc('\1', to);
	row_titles(to, port_columns, N_PORT_COLUMNS);
	for (uint32_t i = 1; i < SLUICE_PORTS_MAX; i++)
		if (t->r.ports[i].kind)
			port_write(t, i, to);
	fputs("\n\1", to);
	row_titles(to, flow_columns, N_FLOW_COLUMNS);
	for (uint32_t i = 0; i < t->rates.n_flows; i++)
		flow_write(t, &t->rates.flows[i], to);
	fclose(to);
	return page;
}

/* False when memory ran out. */
static bool top_look(struct top *t)
{
	uint32_t lines, cols;
	char *page;

	screen_size(&t->screen, &lines, &cols);
	rates_look(&t->rates, &t->r, now_ns(),
		   t->screen.is_plain ? PLAIN_FLOWS : lines, t->order);
	if (t->rates.seconds <= 0)
		return true;
	page = page_make(t);
	if (!page)
		return false;
	screen_show(&t->screen, page);
	free(page);
	t->left--;
	return true;
}

/* False when a key says that it is enough. */
static bool key_obey(struct top *t, char key)
{
	if (key == 'p')
		t->order = RATES_BY_PACKETS;
	if (key == 'b')
		t->order = RATES_BY_BYTES;
	return key != 'q' && key != 'Q' && key != 3 && key != 4;
}

/* Waits for the next look. False when that was the last. */
static bool top_wait(struct top *t, uint64_t until_ns)
{
	enum screen_event e;
	char key;

	do {
		uint64_t now = now_ns();

		e = screen_wait(&t->screen, until_ns > now ? until_ns - now : 0,
				&key);
	} while (e == SCREEN_KEY && key_obey(t, key));
	return e == SCREEN_TIME || e == SCREEN_RESIZED;
}

static int top_loop(struct top *t)
{
	uint64_t wait_ns = t->delay_ns;

	/* On a screen something is shown soon. */
	if (!t->screen.is_plain && wait_ns > FIRST_NS)
		wait_ns = FIRST_NS;
	do {
		if (!top_look(t))
			return -ENOMEM;
		if (t->rates.seconds > 0)
			wait_ns = t->delay_ns;
	} while (t->left && top_wait(t, t->rates.at_ns + wait_ns));
	return 0;
}

static int number_take(struct cli *cli, const char *text, double least,
		       double *out)
{
	char *end;
	double v = strtod(text, &end);

	if (!*text || *end || !(v >= least && v <= 1e9))
		return cli_wrong(cli, "'%s' is no number from %g up", text,
				 least);
	*out = v;
	return CLI_OK;
}

static int args_take(struct cli *cli, int argc, char **argv, struct top *t)
{
	static const struct option options[] = {CLI_LONG_OPTIONS, {0}};
	double v = 0;
	int opt, status = CLI_OK;

	t->delay_ns = 1000000000u;
	t->left = UINT64_MAX;
	while (!status && (opt = getopt_long(argc, argv, ":bd:n:" CLI_OPTIONS,
					     options, NULL)) != -1) {
		if (opt == 'b') {
			t->is_plain = true;
		} else if (opt == 'd') {
			status = number_take(cli, optarg, 0.1, &v);
			t->delay_ns = status ? 0 : (uint64_t)(v * 1e9);
		} else if (opt == 'n') {
			status = number_take(cli, optarg, 1, &v);
			t->left = status ? 0 : (uint64_t)v;
		} else {
			status = cli_option(cli, opt, argv);
		}
	}
	if (status)
		return status;
	if (cli->is_json)
		return cli_wrong(cli, "it has no JSON; show has");
	if (optind < argc)
		return cli_wrong(cli, "it takes no '%s'", argv[optind]);
	return CLI_OK;
}

int cli_top(struct cli *cli, int argc, char **argv)
{
	struct top *t = calloc(1, sizeof(*t));
	int err, status;

	if (!t)
		return cli_fail("out of memory");
	status = args_take(cli, argc, argv, t);
	if (status)
		goto undo_alloc;
	status = cli_open(cli, &t->r);
	if (status)
		goto undo_alloc;
	status = CLI_FAILED;
	err = rates_init(&t->rates, &t->r);
	if (err) {
		cli_fail("out of memory");
		goto undo_open;
	}
	err = screen_open(&t->screen, t->is_plain);
	if (err) {
		cli_fail("%s", strerror(-err));
		goto undo_rates;
	}
	err = top_loop(t);
	screen_close(&t->screen);
	status = err ? cli_fail("out of memory") : CLI_OK;

undo_rates:
	rates_fini(&t->rates);
undo_open:
	sluice_reader_close(&t->r);
undo_alloc:
	free(t);
	return status;
}
