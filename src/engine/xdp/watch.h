/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_XDP_WATCH_H
#define ENGINE_XDP_WATCH_H

/*
 * engine/xdp/watch - hears of devices that change, come and go
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/annotate.h"

/* What the engine wants to know of a device. */
struct xdp_device {
	uint32_t ifindex;
	uint16_t mtu;
	uint8_t mac[6];
	bool is_running; /* up, and so is its link */
};

/* Returns 0 or negative errno: -ENODEV. */
int xdp_device_find(const char *name, struct xdp_device *out) MUST_USE;

/* A descriptor that polls readable when there is news; or negative errno. */
int xdp_watch_open(void) MUST_USE;

/* Reads the news away. False when there was none. */
bool xdp_watch_news(int fd);

#endif
