/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory decides which check looks at which table; each trusts what
 * region_shape_check() has copied and nothing else.
 */
#include "region/fsck.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sluice/version.h"

static const struct {
	const char *name;
	int (*check)(struct fsck *f); /* NULL: there is nothing to check */
} algs[] = {
	[SLUICE_ALG_ARRAY] = {"array", NULL},
	[SLUICE_ALG_CUCKOO8] = {"cuckoo8", region_fsck_exact},
	[SLUICE_ALG_MASKED] = {"masked", region_fsck_masked},
	[SLUICE_ALG_TERNARY] = {"ternary", region_fsck_ternary},
	[SLUICE_ALG_PREFIX] = {"prefix", region_fsck_prefix},
	[SLUICE_ALG_COUNTER] = {"counter", region_fsck_counter},
	[SLUICE_ALG_HEAP] = {"heap", region_fsck_heap},
};

#define N_ALGS (sizeof(algs) / sizeof(algs[0]))

const char *sluice_alg_name(uint32_t alg)
{
	return alg < N_ALGS ? algs[alg].name : NULL;
}

void fsck_count(struct fsck *f, uint64_t head)
{
	uint32_t state = sluice_head_state(head);

	f->out->n_live += state == SLUICE_ENTRY_LIVE;
	f->out->n_born += state == SLUICE_ENTRY_BORN;
	f->out->n_dying += state == SLUICE_ENTRY_DYING;
}

void fsck_wait(const struct fsck *f, uint32_t try)
{
	static const long waits_ns[FSCK_TRIES] = {0, 1000000, 10000000,
						  50000000};
	struct timespec ts = {0, try < FSCK_TRIES ? waits_ns[try] : 0};

	if (f->has_writer && ts.tv_nsec && f->out->n_wrong < FSCK_WAIT_MAX)
		nanosleep(&ts, NULL);
}

static void say(struct fsck *f, const char *fmt, va_list ap)
{
	char what[SLUICE_WHY_LEN];

	if (!f->conf->say || f->out->n_wrong + f->out->n_left > FSCK_SAY_MAX)
		return;
	vsnprintf(what, sizeof(what), fmt, ap);
	f->conf->say(f->conf->ctx, fsck_desc(f), what);
}

void fsck_wrong(struct fsck *f, const char *fmt, ...)
{
	va_list ap;

	f->out->n_wrong++;
	va_start(ap, fmt);
	say(f, fmt, ap);
	va_end(ap);
}

void fsck_left(struct fsck *f, const char *fmt, ...)
{
	va_list ap;

	if (f->has_writer)
		f->out->n_wrong++;
	else
		f->out->n_left++;
	va_start(ap, fmt);
	say(f, fmt, ap);
	va_end(ap);
}

static bool writer_lives(const struct sluice_region *h)
{
	return h->writer_pid && h->writer_start &&
	       sluice_process_start(h->writer_pid) == h->writer_start;
}

/* The version may not fall behind what settles, nor settling what is true. */
static void check_versions(struct sluice_fsck *out,
			   const struct sluice_fsck_conf *conf)
{
	static const struct sluice_table_desc header = {.name = "header"};

	if (!sluice_version_before(out->head.version, out->head.settling))
		return;
	out->n_wrong++;
	if (conf->say)
		conf->say(conf->ctx, &header,
			  "a version settles that is not yet true");
}

/* What a table says of itself. */
static uint64_t n_said(const struct region_shape *s, uint32_t i)
{
	if (s->tables[i].alg == SLUICE_ALG_CUCKOO8 ||
	    s->tables[i].alg == SLUICE_ALG_MASKED)
		return sluice_load64_relaxed(&s->views[i].table->n_used);
	return 0;
}

static void take_accounts(const uint8_t *mem, const struct sluice_table_desc *d,
			  struct sluice_fsck *out)
{
	if (d->kind != SLUICE_TABLE_ACCOUNTS || d->alg != SLUICE_ALG_ARRAY ||
	    d->value_len != sizeof(struct sluice_account))
		return;
	out->accounts = (const struct sluice_account *)(mem + d->off);
	out->n_accounts = d->n_max;
}

int sluice_fsck(const struct sluice_map *m, const struct sluice_fsck_conf *conf,
		struct sluice_fsck *out, struct sluice_why *why)
{
	struct region_shape shape;
	int err = region_shape_check(m->mem, m->len, &shape, why);

	if (err)
		return err;
	memset(out, 0, sizeof(*out));
	out->head = shape.head;
	out->has_writer = writer_lives(&shape.head);
	out->n_tables = shape.n_tables;
	out->heap = shape.heap;
	check_versions(out, conf);
	for (uint32_t i = 0; i < shape.n_tables; i++) {
		struct fsck f = {m->mem,	  &shape, i,
				 out->has_writer, conf,	  &out->tables[i]};

		f.out->desc = shape.tables[i];
		take_accounts(m->mem, &f.out->desc, out);
		if (!conf->is_deep) {
			f.out->n_live = n_said(&shape, i);
			continue;
		}
		if (conf->begin)
			conf->begin(conf->ctx, &f.out->desc);
		if (algs[f.out->desc.alg].check)
			err = algs[f.out->desc.alg].check(&f);
		else
			f.out->used_len = f.out->desc.len;
		if (err)
			return region_say(why, err, "no memory to check '%s'",
					  f.out->desc.name);
		if (f.out->desc.kind == SLUICE_TABLE_GROUPS)
			region_fsck_groups(&f);
		out->n_wrong += f.out->n_wrong;
		out->n_left += f.out->n_left;
	}
	return 0;
}
