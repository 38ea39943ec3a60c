/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The source for ports of the poll engine that go through the network stack:
 * libpcap on the device. Its "in" is what the stack received; on a TAP that is
 * what the switch has sent.
 */

#include <errno.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "cli/capture.h"
#include "cli/text.h"

#define SNAP_LEN 262144
#define BUFFER_LEN (8 << 20)

struct tap {
	struct capture_source source;
	pcap_t *pcap;
	struct capture_sink *to; /* while taking */
	int err;
};

static void tap_packet(u_char *arg, const struct pcap_pkthdr *h,
		       const u_char *data)
{
	struct tap *s = (struct tap *)(void *)arg;
	/* Nanoseconds: so it was asked for. */
	uint64_t ns =
		(uint64_t)h->ts.tv_sec * 1000000000u + (uint64_t)h->ts.tv_usec;

	if (s->err)
		return;
	s->err = capture_put(s->to, ns, h->len, h->caplen, data);
	if (s->err)
		pcap_breakloop(s->pcap);
}

static int tap_take(struct capture_source *source, struct capture_sink *to)
{
	struct tap *s = (struct tap *)source;
	int n;

	s->to = to;
	s->err = 0;
	do {
		n = pcap_dispatch(s->pcap, 64, tap_packet, (u_char *)s);
	} while (n > 0 && !s->err);
	if (n == PCAP_ERROR && !s->err) {
		cli_fail("%s", pcap_geterr(s->pcap));
		return -EIO;
	}
	return s->err;
}

static int tap_keep(struct capture_source *source)
{
	(void)source;
	return 0;
}

static void tap_stop(struct capture_source *source)
{
	(void)source;
}

static uint64_t tap_n_lost(struct capture_source *source)
{
	struct tap *s = (struct tap *)source;
	struct pcap_stat st;

	return pcap_stats(s->pcap, &st) ? 0 : st.ps_drop;
}

static void tap_free(struct capture_source *source)
{
	struct tap *s = (struct tap *)source;

	if (s->pcap)
		pcap_close(s->pcap);
	free(s);
}

static const struct capture_source_ops tap_ops = {
	.take = tap_take,
	.keep = tap_keep,
	.stop = tap_stop,
	.n_lost = tap_n_lost,
	.free = tap_free,
};

static pcap_direction_t direction(enum capture_want want, bool is_tap)
{
	if (want == CAPTURE_BOTH)
		return PCAP_D_INOUT;
	return (want == CAPTURE_IN) != is_tap ? PCAP_D_IN : PCAP_D_OUT;
}

/* False when libpcap refused; it says why. */
static bool tap_start(struct tap *s, enum capture_want want, bool is_tap)
{
	char err[PCAP_ERRBUF_SIZE];

	pcap_set_snaplen(s->pcap, SNAP_LEN);
	pcap_set_buffer_size(s->pcap, BUFFER_LEN);
	pcap_set_immediate_mode(s->pcap, 1);
	pcap_set_tstamp_precision(s->pcap, PCAP_TSTAMP_PRECISION_NANO);
	if (pcap_activate(s->pcap) < 0 ||
	    pcap_setnonblock(s->pcap, 1, err) < 0 ||
	    pcap_setdirection(s->pcap, direction(want, is_tap)) < 0)
		return false;
	s->source.fd = pcap_get_selectable_fd(s->pcap);
	return s->source.fd >= 0;
}

struct capture_source *capture_tap_open(const struct sluice_reader *r,
					uint32_t no, enum capture_want want)
{
	const struct sluice_port *p = &r->ports[no];
	char device[SLUICE_PORT_ARG_LEN], err[PCAP_ERRBUF_SIZE] = "";
	struct tap *s;

	text_name(p->device, sizeof(device), device);
	if (p->ifindex && if_nametoindex(device) != p->ifindex) {
		cli_fail("the port's device %s is not in this network "
			 "namespace: run sluice in the one of its engine",
			 device);
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		cli_fail("out of memory");
		return NULL;
	}
	s->source.ops = &tap_ops;
	s->pcap = pcap_create(device, err);
	if (s->pcap && tap_start(s, want, p->kind == SLUICE_PORT_TAP))
		return &s->source;
	cli_fail("cannot capture on %s: %s", device,
		 s->pcap ? pcap_geterr(s->pcap) : err);
	tap_free(&s->source);
	return NULL;
}
