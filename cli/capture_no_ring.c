/* SPDX-License-Identifier: Apache-2.0 */

/* In place of capture_ring.c where sluice is built without the XDP engine. */

#include "cli/capture.h"

struct capture_source *capture_ring_open(const struct sluice_reader *r,
					 uint32_t no, enum capture_want want)
{
	(void)r;
	(void)no;
	(void)want;
	cli_fail("this sluice was built without the xdp engine");
	return NULL;
}
