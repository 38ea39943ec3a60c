/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/poll/follow.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void follow_init(struct follow *f, struct poll *engine, const struct log *log)
{
	memset(f, 0, sizeof(*f));
	f->engine = engine;
	f->log = log;
}

static bool is_ours(uint32_t kind)
{
	return kind != SLUICE_PORT_NONE && kind != SLUICE_PORT_XDP;
}

/* Loads a record once. Others may write it; its strings are ended here. */
static void load_record(struct follow *f, uint32_t no, struct sluice_port *out)
{
	struct sluice_port *rec = &poll_records(f->engine)[no];
	uint32_t kind = sluice_load32_acquire(&rec->kind); /* [port-kind] */

	memcpy(out, rec, sizeof(*out));
	out->kind = kind;
	out->name[sizeof(out->name) - 1] = '\0';
	out->device[sizeof(out->device) - 1] = '\0';
	out->output[sizeof(out->output) - 1] = '\0';
}

static bool is_same(const struct sluice_port *a, const struct sluice_port *b)
{
	return a->kind == b->kind && strcmp(a->device, b->device) == 0 &&
	       strcmp(a->output, b->output) == 0;
}

static void say_state(struct follow *f, uint32_t no, uint32_t state)
{
	struct sluice_port *rec = &poll_records(f->engine)[no];

	sluice_store32_release(&rec->state, state); /* [port-state] */
}

static void close_port(struct follow *f, uint32_t no, uint32_t state)
{
	if (!poll_port(f->engine, no))
		return;
	poll_losses(f->engine);
	poll_port_close(f->engine, no);
	say_state(f, no, state);
}

static int open_port(struct follow *f, uint32_t no,
		     const struct sluice_port *want, struct why *why)
{
	struct sluice_port *rec = &poll_records(f->engine)[no];
	struct port *p;
	int err = port_open(want, &p, why);

	if (err)
		return err;
	rec->ifindex = p->ifindex;
	rec->mtu = p->mtu;
	memcpy(rec->mac, p->mac, sizeof(rec->mac));
	err = poll_port_give(f->engine, no, p);
	if (err) {
		port_close(p);
		return why_say(why, err, "port %s: %s", want->name,
			       strerror(-err));
	}
	say_state(f, no, SLUICE_PORT_UP);
	log_info(f->log, "port %u %s: %s %s is open", no, want->name,
		 p->ops->kind, want->device);
	return 0;
}

/* Opens what the record says in the place of what was there. */
static int try_port(struct follow *f, uint32_t no,
		    const struct sluice_port *want, uint64_t now_ns,
		    struct why *why)
{
	struct follow_port *p = &f->ports[no];
	int err;

	close_port(f, no, SLUICE_PORT_DOWN);
	p->rec = *want;
	p->tried_ns = now_ns;
	p->is_ended = false;
	err = open_port(f, no, want, why);
	if (err)
		say_state(f, no, SLUICE_PORT_FAILED);
	return err;
}

int follow_open(struct follow *f, uint32_t no, uint64_t now_ns, struct why *why)
{
	struct sluice_port want;

	if (no == 0 || no >= SLUICE_PORTS_MAX)
		return why_say(why, -EINVAL, "there is no port number %u", no);
	load_record(f, no, &want);
	if (!is_ours(want.kind))
		return why_say(why, -EINVAL, "port %u is not one of user space",
			       no);
	f->ports[no].is_shut = false;
	if (poll_port(f->engine, no) && is_same(&want, &f->ports[no].rec))
		return 0;
	return try_port(f, no, &want, now_ns, why);
}

void follow_shut(struct follow *f, uint32_t no)
{
	if (no == 0 || no >= SLUICE_PORTS_MAX)
		return;
	f->ports[no].is_shut = true;
	close_port(f, no, SLUICE_PORT_DOWN);
	say_state(f, no, SLUICE_PORT_DOWN);
}

static void check_health(struct follow *f, uint32_t no)
{
	struct follow_port *p = &f->ports[no];
	struct port *port = poll_port(f->engine, no);

	if (port->err) {
		log_warning(f->log, "port %u %s: %s is gone", no, p->rec.name,
			    p->rec.device);
		close_port(f, no, SLUICE_PORT_FAILED);
	} else if (port->at_end && !p->is_ended && p->rec.device[0]) {
		p->is_ended = true;
		log_info(f->log, "port %u %s: %s has been read to its end", no,
			 p->rec.name, p->rec.device);
	}
}

static void follow_one(struct follow *f, uint32_t no, uint64_t now_ns)
{
	struct follow_port *p = &f->ports[no];
	struct why why = {0};
	struct sluice_port want;
	bool is_new;

	load_record(f, no, &want);
	if (!is_ours(want.kind)) {
		close_port(f, no, SLUICE_PORT_DOWN);
		memset(p, 0, sizeof(*p));
		return;
	}
	if (p->is_shut)
		return;
	is_new = !is_same(&want, &p->rec);
	if (poll_port(f->engine, no) && !is_new) {
		check_health(f, no);
		return;
	}
	if (!is_new && now_ns - p->tried_ns < FOLLOW_RETRY_NS)
		return;
	if (try_port(f, no, &want, now_ns, &why) != 0 && is_new)
		log_warning(f->log, "%s; trying again every second", why.text);
}

void follow_round(struct follow *f, uint64_t now_ns)
{
	for (uint32_t no = 1; no < SLUICE_PORTS_MAX; no++)
		follow_one(f, no, now_ns);
	poll_losses(f->engine);
	poll_sit(f->engine);
}
