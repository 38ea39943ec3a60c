/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two files: frames are read from one as fast as they are asked for, whatever
 * their times were, and what is sent goes to the other with the time of day.
 * Either may be missing (""). A port that is opened again, as after a crash,
 * begins both anew.
 *
 * libpcap blocks on a pipe, so only regular files are read.
 */
#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "port/port.h"

struct pcap_port {
	struct port port;
	pcap_t *in;
	pcap_t *shape; /* of the file written */
	pcap_dumper_t *out;
	uint64_t n_lost; /* cut short in the file, or too long for us */
};

static struct pcap_port *of(struct port *p)
{
	return container_of(p, struct pcap_port, port);
}

static uint32_t pcap_recv(struct port *p, struct frame *out, uint32_t n)
{
	struct pcap_port *pp = of(p);
	struct pcap_pkthdr *h;
	const uint8_t *data;
	uint32_t i = 0;

	while (i < n && !p->at_end) {
		if (pcap_next_ex(pp->in, &h, &data) != 1) {
			p->at_end = true;
			break;
		}
		if (h->caplen != h->len || h->caplen > FRAME_LEN_MAX) {
			pp->n_lost++;
			continue;
		}
		out[i].data = out[i].room + FRAME_HEADROOM;
		out[i].len = h->caplen;
		memset(&out[i].vnet, 0, sizeof(out[i].vnet));
		memcpy(out[i].data, data, h->caplen);
		i++;
	}
	return i;
}

static void pcap_send(struct port *p, struct frame *const *frames, uint32_t n,
		      uint8_t *lost)
{
	struct pcap_port *pp = of(p);
	struct pcap_pkthdr h = {0};

	gettimeofday(&h.ts, NULL);
	for (uint32_t i = 0; i < n; i++) {
		lost[i] = SLUICE_DROP_TX_FULL;
		if (!pp->out)
			continue;
		/* A file takes a long segment as a capture on a host shows it. */
		(void)port_make_plain(frames[i]);
		h.caplen = h.len = frames[i]->len;
		pcap_dump((uint8_t *)pp->out, &h, frames[i]->data);
		lost[i] = SLUICE_DROP_NONE;
	}
	if (pp->out && pcap_dump_flush(pp->out) != 0)
		memset(lost, SLUICE_DROP_TX_FULL, n);
}

static uint64_t pcap_losses(struct port *p)
{
	uint64_t n = of(p)->n_lost;

	of(p)->n_lost = 0;
	return n;
}

static void pcap_port_close(struct port *p)
{
	struct pcap_port *pp = of(p);

	if (pp->out)
		pcap_dump_close(pp->out);
	if (pp->shape)
		pcap_close(pp->shape);
	if (pp->in)
		pcap_close(pp->in);
	free(pp);
}

static const struct port_ops pcap_ops = {
	.kind = "pcap",
	.recv = pcap_recv,
	.send = pcap_send,
	.losses = pcap_losses,
	.close = pcap_port_close,
};

static int open_in(struct pcap_port *pp, const struct sluice_port *rec,
		   struct why *why)
{
	char text[PCAP_ERRBUF_SIZE];
	struct stat st;

	if (!rec->device[0]) {
		pp->port.at_end = true;
		return 0;
	}
	if (stat(rec->device, &st) != 0)
		return why_say(why, -errno, "port %s: %s: %s", rec->name,
			       rec->device, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return why_say(why, -EINVAL, "port %s: %s is not a file",
			       rec->name, rec->device);
	pp->in = pcap_open_offline(rec->device, text);
	if (!pp->in)
		return why_say(why, -EINVAL, "port %s: %s", rec->name, text);
	if (pcap_datalink(pp->in) != DLT_EN10MB)
		return why_say(why, -EINVAL,
			       "port %s: %s does not hold Ethernet frames",
			       rec->name, rec->device);
	return 0;
}

static int open_out(struct pcap_port *pp, const struct sluice_port *rec,
		    struct why *why)
{
	if (!rec->output[0])
		return 0;
	pp->shape = pcap_open_dead(DLT_EN10MB, (int)FRAME_LEN_MAX);
	if (!pp->shape)
		return why_say(why, -ENOMEM, "port %s: no memory", rec->name);
	pp->out = pcap_dump_open(pp->shape, rec->output);
	if (!pp->out)
		return why_say(why, -EINVAL, "port %s: %s", rec->name,
			       pcap_geterr(pp->shape));
	return 0;
}

int port_pcap_open(const struct sluice_port *rec, struct port **out,
		   struct why *why)
{
	struct pcap_port *pp = calloc(1, sizeof(*pp));
	int err;

	if (!pp)
		return why_say(why, -ENOMEM, "port %s: no memory", rec->name);
	pp->port.ops = &pcap_ops;
	pp->port.fd = -1;
	pp->port.mtu = UINT16_MAX;
	err = open_in(pp, rec, why);
	if (!err)
		err = open_out(pp, rec, why);
	if (err) {
		pcap_port_close(&pp->port);
		return err;
	}
	*out = &pp->port;
	return 0;
}
