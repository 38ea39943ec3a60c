/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_XSK_ALL_H
#define PORT_XSK_ALL_H

/*
 * port/xsk_all - takes a device's packets from the kernel for AF_XDP sockets
 *
 * While it is open, an XDP program on the device gives every packet to the
 * socket that port_xsk_join() has put into its map for the packet's queue.
 * The device is the kernel's again when it is closed or its process dies.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/annotate.h"
#include "base/why.h"

struct port_xsk_all {
	int link_fd;
	int map_fd; /* the XSKMAP to join */
	bool is_native;
};

/*
 * Attaches, in native mode if the driver can.
 * returns  0, -EBUSY (the device has another XDP program), -EPERM, -ENOMEM
 */
int port_xsk_all_open(uint32_t ifindex, struct port_xsk_all *out,
		      struct why *why) MUST_USE;
void port_xsk_all_close(struct port_xsk_all *a);

/*
 * Attaches an XDP program: native, else generic, which says why as an errno.
 *
 * native   set to 0, or to the error that native mode ended with
 * returns  the link's descriptor, or negative errno
 */
int port_xdp_attach(int prog_fd, uint32_t ifindex, int *native) MUST_USE;

#endif
