/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/engines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/rundir.h"
#include "engine/poll/client.h"
#ifdef HAS_XDP
#include "engine/xdp/xdp.h"
#endif

/* ---- xdp ---- */

#ifdef HAS_XDP

static int xdp_open(struct region *region, const struct log *log,
		    struct engine **out, struct why *why)
{
	const struct xdp_engine_conf conf = {.region = region, .log = log};

	return xdp_engine_open(&conf, out, why);
}

#else

static int xdp_engine_available(struct why *why)
{
	return why_say(why, -EOPNOTSUPP, "this sluiced was built without it");
}

static uint32_t xdp_engine_n_lanes(void)
{
	return 1;
}

static int xdp_engine_find(const char *name, int *fd, struct why *why)
{
	(void)name;
	(void)fd;
	return why_say(why, -ENOENT, "this sluiced was built without xdp");
}

static int xdp_open(struct region *region, const struct log *log,
		    struct engine **out, struct why *why)
{
	(void)region;
	(void)log;
	(void)out;
	return xdp_engine_available(why);
}

#endif

/* Only network devices have the kernel's hook. */
static int xdp_can_have(const struct config *config, struct why *why)
{
	for (uint32_t i = 0; i < config->n_ports; i++) {
		const struct config_port *p = &config->ports[i];

		if (p->kind != CONFIG_PORT_NETDEV)
			return why_say(why, -EOPNOTSUPP, "port %s is a %s",
				       p->name, config_port_kind_name(p->kind));
	}
	if (config->region != CONFIG_REGION_AUTO)
		return why_say(why, -EOPNOTSUPP,
			       "the memory is to be in %s, and the kernel "
			       "reads it in a BPF arena only",
			       config->region_path);
	return xdp_engine_available(why);
}

/* ---- poll ---- */

static int poll_find(const char *name, int *fd, struct why *why)
{
	char dir[RUNDIR_PATH_LEN], path[RUNDIR_PATH_LEN + 8];
	int err = rundir_make(name, dir, why);

	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/region", dir);
	/* A link to a descriptor of sluice-poll's; it dies with it. */
	*fd = open(path, O_RDWR | O_CLOEXEC);
	if (*fd < 0)
		return why_say(why, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

static int poll_open(struct region *region, const struct log *log,
		     struct engine **out, struct why *why)
{
	const struct poll_engine_conf conf = {.region = region, .log = log};

	return poll_engine_open(&conf, out, why);
}

/* ---- All. ---- */

int engines_choose(const struct config *config, const struct log *log,
		   enum sluice_engine_kind *out, struct why *why)
{
	struct why reason = {0};
	int err;

	*out = SLUICE_ENGINE_POLL;
	if (config->engine == CONFIG_ENGINE_POLL)
		return 0;
	err = xdp_can_have(config, &reason);
	if (!err)
		*out = SLUICE_ENGINE_XDP;
	else if (config->engine == CONFIG_ENGINE_XDP)
		return why_say(why, err, "engine xdp cannot be had: %s",
			       reason.text);
	else
		log_warning(log,
			    "the kernel cannot forward here, so the slower "
			    "engine poll does: %s",
			    reason.text);
	return 0;
}

int engines_probe_xdp(struct why *why)
{
	return xdp_engine_available(why);
}

const char *engines_name(enum sluice_engine_kind kind)
{
	return kind == SLUICE_ENGINE_XDP ? "xdp" : "poll";
}

uint32_t engines_n_lanes(enum sluice_engine_kind kind)
{
	return kind == SLUICE_ENGINE_XDP ? xdp_engine_n_lanes() : POLL_N_LANES;
}

enum sluice_port_kind engines_port_kind(enum sluice_engine_kind kind,
					const struct config_port *port)
{
	if (kind == SLUICE_ENGINE_XDP)
		return SLUICE_PORT_XDP;
	switch (port->kind) {
	case CONFIG_PORT_TAP:
		return SLUICE_PORT_TAP;
	case CONFIG_PORT_PCAP:
		return SLUICE_PORT_PCAP;
	case CONFIG_PORT_NETDEV:
		break;
	}
	return port->access == CONFIG_ACCESS_XSK ? SLUICE_PORT_XSK
						 : SLUICE_PORT_PACKET;
}

int engines_find_region(enum sluice_engine_kind kind,
			const struct config *config, int *fd, struct why *why)
{
	if (kind == SLUICE_ENGINE_XDP)
		return xdp_engine_find(config->name, fd, why);
	/* A sluice-poll that works in other memory is sent away later. */
	if (config->region != CONFIG_REGION_AUTO)
		return region_open_path(config->region_path, fd, why);
	return poll_find(config->name, fd, why);
}

int engines_new_region(enum sluice_engine_kind kind,
		       const struct config *config, uint64_t len,
		       struct region **out, struct why *why)
{
	if (kind == SLUICE_ENGINE_XDP)
		return region_new_arena(config->name, len, out, why);
	if (config->region == CONFIG_REGION_FILE)
		return region_new_file(config->region_path, config->name, len,
				       out, why);
	if (config->region == CONFIG_REGION_DAX)
		return region_new_dax(config->region_path, config->name, len,
				      out, why);
	return region_new_memfd(config->name, len, config->huge_pages, out,
				why);
}

int engines_open(enum sluice_engine_kind kind, struct region *region,
		 const struct log *log, struct engine **out, struct why *why)
{
	if (kind == SLUICE_ENGINE_XDP)
		return xdp_open(region, log, out, why);
	return poll_open(region, log, out, why);
}
