/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The verb capture. It ends on one path, whatever ends it: a signal, the count,
 * the time, or a reader that went away; so the port is always given back.
 */

#include "cli/capture.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cli/text.h"

#define KEEP_NS 500000000u
#define SNAP_LEN 262144

struct capture_args {
	const char *port;
	const char *file; /* "-": standard output */
	uint64_t n_max;
	uint64_t for_ns; /* 0: until it is ended */
	enum capture_want want;
};

int capture_put(struct capture_sink *to, uint64_t time_ns, uint32_t len,
		uint32_t cap_len, const uint8_t *data)
{
	struct pcap_pkthdr h = {.ts = {.tv_sec =
					       (time_t)(time_ns / 1000000000u),
				       .tv_usec = (suseconds_t)(time_ns %
								1000000000u)},
				.caplen = cap_len,
				.len = len};

	if (to->n == to->n_max)
		return -ECANCELED;
	errno = 0;
	pcap_dump((u_char *)to->to, &h, data);
	if (ferror(pcap_dump_file(to->to)))
		return errno ? -errno : -EIO;
	to->n++;
	return to->n == to->n_max ? -ECANCELED : 0;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int flush(struct capture_sink *to)
{
	errno = 0;
	return pcap_dump_flush(to->to) ? (errno ? -errno : -EIO) : 0;
}

/* 0: go on; 1: enough; negative errno. */
static int step(struct capture_source *s, struct capture_sink *to, int signals,
		uint64_t until_ns)
{
	struct pollfd fds[] = {
		{.fd = s->fd, .events = POLLIN},
		{.fd = signals, .events = POLLIN},
	};
	uint64_t now = now_ns();
	uint64_t wait = now + KEEP_NS < until_ns ? KEEP_NS : until_ns - now;
	struct timespec ts = {.tv_nsec = (long)wait};
	int err;

	if (now >= until_ns)
		return 1;
	if (ppoll(fds, 2, &ts, NULL) < 0 && errno != EINTR)
		return -errno;
	if (fds[1].revents)
		return 1;
	err = s->ops->take(s, to);
	/* Whoever reads the pipe sees each packet at once. */
	return err ? err : flush(to);
}

static int loop(struct capture_source *s, struct capture_sink *to, int signals,
		uint64_t for_ns)
{
	uint64_t until_ns = for_ns ? now_ns() + for_ns : UINT64_MAX;
	uint64_t keep_ns = 0;
	int err = flush(to);

	while (!err) {
		if (now_ns() >= keep_ns) {
			err = s->ops->keep(s);
			keep_ns = now_ns() + KEEP_NS;
		}
		if (!err)
			err = step(s, to, signals, until_ns);
	}
	s->ops->stop(s);
	if (err == 1)
		err = s->ops->take(s, to);
	if (!err || err == -ECANCELED)
		err = flush(to);
	return err == -EPIPE ? 0 : err;
}

static struct capture_source *source_open(const struct sluice_reader *r,
					  uint32_t no, enum capture_want want)
{
	const struct sluice_port *p = &r->ports[no];
	char file[SLUICE_PORT_ARG_LEN];

	switch ((enum sluice_port_kind)p->kind) {
	case SLUICE_PORT_XDP:
		return capture_ring_open(r, no, want);
	case SLUICE_PORT_PACKET:
	case SLUICE_PORT_TAP:
		return capture_tap_open(r, no, want);
	case SLUICE_PORT_PCAP:
		text_name(p->output[0] ? p->output : p->device, sizeof(file),
			  file);
		cli_fail("the port's packets are in a file already: %s", file);
		return NULL;
	case SLUICE_PORT_XSK:
		cli_fail("packets of an XDP socket cannot be copied out; give "
			 "the port \"access\": \"packet\", or use engine xdp");
		return NULL;
	case SLUICE_PORT_NONE:
	case SLUICE_PORT_MEM:
		break;
	}
	cli_fail("a port of kind %s cannot be captured",
		 text_port_kind(p->kind));
	return NULL;
}

static int sink_open(struct capture_sink *to, const struct capture_args *a)
{
	pcap_t *dead = pcap_open_dead_with_tstamp_precision(
		DLT_EN10MB, SNAP_LEN, PCAP_TSTAMP_PRECISION_NANO);

	*to = (struct capture_sink){.n_max = a->n_max};
	if (!dead)
		return cli_fail("out of memory");
	to->to = pcap_dump_open(dead, a->file);
	if (!to->to)
		cli_fail("cannot write %s", pcap_geterr(dead));
	pcap_close(dead);
	return to->to ? CLI_OK : CLI_FAILED;
}

/* A descriptor for the signals that end it, so that none just kills us. */
static int signals_open(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN); /* it comes as an error of the write */
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int capture(const struct sluice_reader *r, uint32_t no,
		   const struct capture_args *a)
{
	struct capture_source *s;
	struct capture_sink to;
	char name[SLUICE_PORT_NAME_LEN];
	int status, signals, err;

	signals = signals_open();
	if (signals < 0)
		return cli_fail("%s", strerror(errno));
	s = source_open(r, no, a->want);
	status = s ? sink_open(&to, a) : CLI_FAILED;
	if (status)
		goto undo_source;
	fprintf(stderr, "capturing port %s\n",
		text_name(r->ports[no].name, sizeof(name), name));
	err = loop(s, &to, signals, a->for_ns);
	if (err)
		status = cli_fail("it ended early: %s", strerror(-err));
	fprintf(stderr,
		"%" PRIu64 " packets captured\n%" PRIu64
		" packets lost, as this program was too slow\n",
		to.n, s->ops->n_lost(s));
	pcap_dump_close(to.to);
undo_source:
	if (s) {
		s->ops->stop(s);
		s->ops->free(s);
	}
	close(signals);
	return status;
}

static int want_take(struct cli *cli, const char *word, enum capture_want *out)
{
	static const char *const words[] = {
		[CAPTURE_IN] = "in",
		[CAPTURE_OUT] = "out",
		[CAPTURE_BOTH] = "inout",
	};

	for (uint32_t i = CAPTURE_IN; i <= CAPTURE_BOTH; i++) {
		if (strcmp(words[i], word) != 0)
			continue;
		*out = (enum capture_want)i;
		return CLI_OK;
	}
	return cli_wrong(cli, "-Q is in, out or inout, not '%s'", word);
}

static int number_take(struct cli *cli, const char *text, double unit,
		       uint64_t *out)
{
	char *end;
	double v = strtod(text, &end);

	if (!*text || *end || !(v > 0 && v <= 1e9) || v * unit < 1)
		return cli_wrong(cli, "'%s' is no number above 0", text);
	*out = (uint64_t)(v * unit);
	return CLI_OK;
}

static int options_take(struct cli *cli, int argc, char **argv,
			struct capture_args *a)
{
	static const struct option options[] = {
		CLI_LONG_OPTIONS,
		{"for", required_argument, NULL, 'f'},
		{0},
	};
	int opt, status = CLI_OK;

	while (!status && (opt = getopt_long(argc, argv, ":w:c:Q:" CLI_OPTIONS,
					     options, NULL)) != -1) {
		if (opt == 'w')
			a->file = optarg;
		else if (opt == 'c')
			status = number_take(cli, optarg, 1, &a->n_max);
		else if (opt == 'f')
			status = number_take(cli, optarg, 1e9, &a->for_ns);
		else if (opt == 'Q')
			status = want_take(cli, optarg, &a->want);
		else
			status = cli_option(cli, opt, argv);
	}
	return status;
}

static int args_take(struct cli *cli, int argc, char **argv,
		     struct capture_args *a)
{
	int status;

	*a = (struct capture_args){.file = "-",
				   .n_max = UINT64_MAX,
				   .want = CAPTURE_BOTH};
	status = options_take(cli, argc, argv, a);
	if (status)
		return status;
	if (cli->is_json)
		return cli_wrong(cli, "it writes pcap, not JSON");
	if (optind == argc)
		return cli_wrong(cli, "which port?");
	if (optind + 1 < argc)
		return cli_wrong(cli, "one port, not %d", argc - optind);
	if (strcmp(a->file, "-") == 0 && isatty(STDOUT_FILENO))
		return cli_wrong(cli,
				 "standard output is a terminal: say -w FILE, "
				 "or pipe it into tcpdump -nr -");
	a->port = argv[optind];
	return CLI_OK;
}

int cli_capture(struct cli *cli, int argc, char **argv)
{
	struct capture_args a;
	struct sluice_reader r;
	uint32_t no;
	int status = args_take(cli, argc, argv, &a);

	if (!status)
		status = cli_open(cli, &r);
	if (status)
		return status;
	no = cli_port(&r, a.port);
	status = no ? capture(&r, no, &a) : CLI_FAILED;
	sluice_reader_close(&r);
	return status;
}
