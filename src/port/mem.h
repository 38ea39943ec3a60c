/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_MEM_H
#define PORT_MEM_H

/*
 * port/mem - the far side of a port whose device is memory
 *
 * Two rings of frames in a memfd: one that the port receives from, one that it
 * sends into. The record's device names the memfd (mem_peer_path()), so the
 * port may be in another process. For tests and benchmarks: there is nothing to
 * wait on, an engine looks at such a port every millisecond.
 *
 * Each ring has one producer and one consumer: the port's thread and the
 * peer's. Full rings refuse; nothing blocks.
 */

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/annotate.h"
#include "sluice/port.h"

struct mem_peer;

/*
 * n_slots  frames per ring, a power of two, 2 to 2^20
 * len_max  bytes of the longest frame
 * returns  0, -EINVAL, -ENOMEM
 */
int mem_peer_new(uint32_t n_slots, uint32_t len_max, struct mem_peer **out)
	MUST_USE;
/* NULL is fine. The port keeps the memory. */
void mem_peer_free(struct mem_peer *m);

/* A path by which this process and its kin open the memory. */
const char *mem_peer_path(const struct mem_peer *m);

/* To the port. vnet may be NULL. False: full, or longer than len_max. */
bool mem_peer_push(struct mem_peer *m, const void *data, uint32_t len,
		   const struct virtio_net_hdr *vnet);

/*
 * The next frame that the port sent; copies at most max bytes. vnet may be
 * NULL. Returns its length, 0: there is none.
 */
uint32_t mem_peer_pop(struct mem_peer *m, void *data, uint32_t max,
		      struct virtio_net_hdr *vnet);

/*
 * For benchmarks: lets the port receive up to n slots more, with whatever frame
 * was last pushed into each; takes and forgets all that the port has sent.
 */
void mem_peer_repeat(struct mem_peer *m, uint32_t n);
uint32_t mem_peer_forget(struct mem_peer *m);

#endif
