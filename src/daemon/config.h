/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

/*
 * daemon/config - what the operator wants a switch to be
 *
 * Reads JSON (RFC 7951) that follows the YANG module sluice.yang, which lies
 * in the binary. libyang parses and validates; a file that is wrong anywhere is
 * refused whole, with one sentence that names file, line, path, what is wrong
 * and how to mend it:
 *
 *     switch.json:7: /sluice:switch/port[name='h1']/kind: "foo" is not one of
 *     netdev, tap, pcap
 *
 * A struct config holds no pointers: copy it, and there is nothing to free.
 * About 19 KiB. Control threads; no state between calls, so any number of
 * threads at once.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/annotate.h"
#include "base/why.h"
#include "sluice/port.h"
#include "sluice/region.h"

#define CONFIG_TEXT_MAX (1u << 20) /* bytes; a longer file is refused */
#define CONFIG_PORTS_MAX (SLUICE_PORTS_MAX - 1)

enum config_engine {
	CONFIG_ENGINE_AUTO, /* xdp where all ports and the kernel allow it */
	CONFIG_ENGINE_XDP,
	CONFIG_ENGINE_POLL,
};

enum config_port_kind {
	CONFIG_PORT_NETDEV, /* an existing network device */
	CONFIG_PORT_TAP,    /* a TAP device, made if it does not exist */
	CONFIG_PORT_PCAP,   /* reads device, writes output; either may be "" */
};

/* How the poll engine opens a netdev; the xdp engine does not care. */
enum config_access {
	CONFIG_ACCESS_PACKET, /* AF_PACKET */
	CONFIG_ACCESS_XSK,    /* AF_XDP */
};

/* Where the switch's memory is. */
enum config_region {
	CONFIG_REGION_AUTO, /* xdp: a BPF arena; poll: a memfd */
	CONFIG_REGION_FILE,
	CONFIG_REGION_DAX, /* a device-DAX character device */
};

struct config_port {
	char name[SLUICE_PORT_NAME_LEN]; /* unique */
	enum config_port_kind kind;
	enum config_access access;
	char device[SLUICE_PORT_ARG_LEN]; /* netdev, TAP: its name; unique */
	char output[SLUICE_PORT_ARG_LEN];
};

struct config {
	char name[SLUICE_NAME_LEN]; /* fit for a file name */
	enum config_engine engine;
	uint32_t max_flows;
	uint32_t max_macs;
	uint32_t flow_idle_s; /* at least 1 */
	uint32_t mac_age_s;   /* at least 1 */
	bool huge_pages;      /* wanted where there are any */
	enum config_region region;
	char region_path[SLUICE_PORT_ARG_LEN];	    /* file, DAX; absolute */
	uint32_t n_ports;			    /* may be 0 */
	struct config_port ports[CONFIG_PORTS_MAX]; /* in the file's order */
};

/*
 * Reads a file.
 *
 * out      set on success only
 * why      may be NULL
 * returns  0
 *          -EINVAL   not JSON, or not what sluice.yang allows
 *          -EFBIG    longer than CONFIG_TEXT_MAX
 *          -ENOMEM
 *          as open() and read(): -ENOENT, -EACCES, -EISDIR ...
 */
int config_load(const char *path, struct config *out, struct why *why) MUST_USE;

/*
 * The same from len bytes of text, which need no NUL at the end; what is said
 * in why calls it by the name given.
 */
int config_parse(const char *text, size_t len, const char *name,
		 struct config *out, struct why *why) MUST_USE;

/* The words of the file for a value. */
const char *config_engine_name(enum config_engine e);
const char *config_port_kind_name(enum config_port_kind k);

#endif
