/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The ring of a capture is written by BPF programs, so we run one for each
 * frame, with the frame as its packet. A capture is rare, and so are the frames
 * of the slow path.
 */

#include "engine/xdp/capture.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "port/xsk.h"
#include "sluice/atomic.h"

#define MAP_BYTES (SLUICE_PORTS_MAX * sizeof(struct sluice_capture_port))

int xdp_capture_init(struct xdp_capture *c, const struct xdp_maps *maps)
{
	void *at = mmap(NULL, MAP_BYTES, PROT_READ, MAP_SHARED,
			maps->capture_ports, 0);

	if (at == MAP_FAILED)
		return -errno;
	c->buf = malloc(sizeof(struct sluice_capture_sent) +
			port_xsk_frame_max());
	if (!c->buf) {
		munmap(at, MAP_BYTES);
		return -ENOMEM;
	}
	c->maps = maps;
	c->ports = at;
	c->prog_fd = -1;
	return 0;
}

void xdp_capture_fini(struct xdp_capture *c)
{
	munmap(c->ports, MAP_BYTES);
	free(c->buf);
	if (c->prog_fd >= 0)
		close(c->prog_fd);
}

void xdp_capture_sent(struct xdp_capture *c, uint32_t port, const uint8_t *data,
		      uint32_t len)
{
	const struct sluice_capture_sent sent = {.port = port};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = c->buf,
		    .data_size_in = (uint32_t)sizeof(sent) + len);

	if (!sluice_load64_relaxed(&c->ports[port].until_ns) ||
	    c->prog_fd == -2 || len > port_xsk_frame_max())
		return;
	if (c->prog_fd == -1) {
		c->prog_fd = xdp_program_load_capture(c->maps, NULL);
		if (c->prog_fd < 0) {
			c->prog_fd = -2;
			return;
		}
	}
	memcpy(c->buf, &sent, sizeof(sent));
	memcpy(c->buf + sizeof(sent), data, len);
	/* It counts its own losses. */
	(void)bpf_prog_test_run_opts(c->prog_fd, &opts);
}
