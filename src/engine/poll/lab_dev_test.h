/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_POLL_LAB_DEV_TEST_H
#define ENGINE_POLL_LAB_DEV_TEST_H

/* A lab whose ports 1 and 2 are files and devices, and are for each other. */

#include "base/clock.h"
#include "base/test.h"
#include "engine/poll/lab_test.h"
#include "sluice/parse.h"

/* Every packet of one port's is for the other: a slow path of one line. */
static inline void cross_over(struct lab *lab, struct frame *f)
{
	uint32_t out = 3 - f->in_port;
	struct sluice_key key;

	if (sluice_parse(f->data, f->data + f->len, f->in_port, &key))
		return;
	(void)lab_flow(lab, &key, sluice_act_of(SLUICE_ACT_OUTPUT, out));
	poll_send(lab->engine, out, f);
}

static inline bool open_device(struct lab *lab, uint32_t no,
			       enum sluice_port_kind kind, const char *device,
			       const char *output)
{
	struct sluice_port rec = {.kind = kind};
	struct why why = {0};
	struct port *p;

	snprintf(rec.name, sizeof(rec.name), "p%u", no);
	snprintf(rec.device, sizeof(rec.device), "%s", device);
	snprintf(rec.output, sizeof(rec.output), "%s", output);
	if (port_open(&rec, &p, &why) != 0) {
		printf("# %s\n", why.text);
		CHECK(false);
		return false;
	}
	CHECK_EQ(poll_port_give(lab->engine, no, p), 0);
	return true;
}

static inline void lab_bare(struct lab *lab)
{
	lab_init(lab, 0, 16);
	lab->on_miss = cross_over;
}

static inline void turn(struct lab *lab)
{
	poll_wait(lab->engine, 1);
	poll_round(lab->engine, clock_coarse_ns());
}

#endif
