/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a configuration. What is refused has a reason on one line; what
 * is taken has ports that are all named.
 */
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "daemon/config.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct config conf; /* 19 KiB; no state: set before each use */
	struct why why = {0};
	int err = config_parse((const char *)data, len, "f", &conf, &why);

	if (err) {
		must(err == why.err && why.text[0]);
		must(!strpbrk(why.text, "\n\r\t\x1b"));
		return 0;
	}
	must(conf.name[0] && conf.n_ports <= CONFIG_PORTS_MAX);
	must(conf.max_flows && conf.max_macs);
	must(conf.flow_idle_s && conf.mac_age_s);
	for (uint32_t i = 0; i < conf.n_ports; i++)
		must(conf.ports[i].name[0] &&
		     (conf.ports[i].device[0] || conf.ports[i].output[0]));
	return 0;
}
