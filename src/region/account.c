/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each account is a record in the region, which is written only, and a copy in
 * the writer's own memory, which decides. Giving back more than was charged
 * leaves 0: it happens only where somebody has scribbled over what says whose a
 * thing is.
 */
#include "region/account.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "sluice/atomic.h"
#include "sluice/reader.h"

struct account {
	char name[SLUICE_ACCOUNT_NAME_LEN];
	uint64_t limit;
	uint64_t used;
	uint64_t n_refused;
};

struct accounts {
	struct sluice_account *shared; /* [n] */
	uint32_t n;
	struct account mine[];
};

static void put(uint64_t *p, uint64_t v)
{
	crash_point();
	sluice_store64_relaxed(p, v);
}

static void put_name(char *to, const char *name)
{
	uint64_t words[SLUICE_ACCOUNT_NAME_LEN / 8] = {0};

	memcpy(words, name, strlen(name));
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		put((uint64_t *)(void *)to + i, words[i]);
}

static struct account *find(const struct region *r, uint32_t no)
{
	return r->accounts && no < r->accounts->n ? &r->accounts->mine[no]
						  : NULL;
}

void account_recount(struct region *r)
{
	const struct sluice_table_desc *d = region_at(r, SLUICE_DIR_OFF, 0);

	for (uint32_t i = 0; r->accounts && i < r->accounts->n; i++)
		account_give(r, i, UINT64_MAX);
	for (uint32_t i = 0; i < r->head->n_tables && i < SLUICE_TABLES_MAX;
	     i++)
		account_charge(r, d[i].account, d[i].len);
}

/* The writer's part of a table of n records. */
static int accounts_new(struct region *r, struct sluice_account *shared,
			uint32_t n, struct why *why)
{
	struct accounts *a = calloc(1, sizeof(*a) + n * sizeof(a->mine[0]));

	if (!a)
		return why_say(why, -ENOMEM, "no memory for %u accounts", n);
	a->shared = shared;
	a->n = n;
	r->accounts = a;
	return 0;
}

int account_table_new(struct region *r, uint32_t n_max, struct why *why)
{
	struct sluice_table_desc d = {
		.name = "accounts",
		.kind = SLUICE_TABLE_ACCOUNTS,
		.alg = SLUICE_ALG_ARRAY,
		.n_max = n_max,
		.len = (uint64_t)n_max * sizeof(struct sluice_account),
		.value_len = sizeof(struct sluice_account),
	};
	uint32_t off;
	int err;

	if (n_max < 1 || n_max > SLUICE_ACCOUNTS_MAX)
		return why_say(why, -EINVAL,
			       "a region has 1 to %u accounts, not %u",
			       SLUICE_ACCOUNTS_MAX, n_max);
	err = region_table_add(r, &d, &off, why);
	if (!err)
		err = accounts_new(r, region_at(r, off, d.len), n_max, why);
	if (err)
		return err;
	for (uint32_t i = 0; i < n_max; i++) {
		r->accounts->mine[i].limit = SLUICE_ACCOUNT_NO_LIMIT;
		put(&r->accounts->shared[i].limit_bytes,
		    SLUICE_ACCOUNT_NO_LIMIT);
	}
	account_recount(r);
	err = account_set(r, 0, "region", SLUICE_ACCOUNT_NO_LIMIT, why);
	region_table_publish(r);
	return err;
}

int account_adopt(struct region *r, struct why *why)
{
	const struct sluice_table_desc *d =
		region_table(r, SLUICE_TABLE_ACCOUNTS);
	struct sluice_account *shared;
	uint32_t n;
	int err;

	if (!d)
		return 0;
	n = d->n_max;
	shared = region_at(r, d->off, (uint64_t)n * sizeof(*shared));
	if (!shared || n < 1 || n > SLUICE_ACCOUNTS_MAX ||
	    d->value_len != sizeof(*shared))
		return why_say(why, -EINVAL,
			       "the table of accounts is not of the shape it "
			       "should be");
	err = accounts_new(r, shared, n, why);
	if (err)
		return err;
	for (uint32_t i = 0; i < n; i++) {
		struct account *a = &r->accounts->mine[i];

		memcpy(a->name, shared[i].name, sizeof(a->name) - 1);
		a->limit = shared[i].limit_bytes;
		a->n_refused = shared[i].n_refused;
	}
	account_recount(r);
	return 0;
}

void account_free(struct region *r)
{
	free(r->accounts);
	r->accounts = NULL;
}

int account_set(struct region *r, uint32_t no, const char *name, uint64_t limit,
		struct why *why)
{
	struct account *a = find(r, no);

	if (!a)
		return why_say(why, -EINVAL, "there is no account %u", no);
	if (!name[0] || strlen(name) >= SLUICE_ACCOUNT_NAME_LEN)
		return why_say(why, -EINVAL,
			       "'%.40s' is no name for an account: 1 to %u "
			       "bytes",
			       name, SLUICE_ACCOUNT_NAME_LEN - 1);
	snprintf(a->name, sizeof(a->name), "%s", name);
	a->limit = limit;
	put_name(r->accounts->shared[no].name, name);
	put(&r->accounts->shared[no].limit_bytes, limit);
	return 0;
}

uint64_t account_used(const struct region *r, uint32_t no)
{
	const struct account *a = find(r, no);

	return a ? a->used : 0;
}

bool account_is(const struct region *r, uint32_t no)
{
	return no == 0 || find(r, no);
}

int account_may(struct region *r, uint32_t no, uint64_t bytes, const char *what,
		struct why *why)
{
	struct account *a = find(r, no);

	if (!a)
		return no ? why_say(why, -EINVAL, "there is no account %u", no)
			  : 0;
	if (a->used <= a->limit && bytes <= a->limit - a->used)
		return 0;
	put(&r->accounts->shared[no].n_refused, ++a->n_refused);
	return why_say(why, -EDQUOT,
		       "account '%s' may have %llu bytes and uses %llu: %s "
		       "takes %llu more",
		       a->name, (unsigned long long)a->limit,
		       (unsigned long long)a->used, what,
		       (unsigned long long)bytes);
}

void account_charge(struct region *r, uint32_t no, uint64_t bytes)
{
	struct account *a = find(r, no);

	if (!a)
		return;
	a->used += bytes;
	put(&r->accounts->shared[no].used_bytes, a->used);
}

void account_give(struct region *r, uint32_t no, uint64_t bytes)
{
	struct account *a = find(r, no);

	if (!a)
		return;
	a->used = bytes < a->used ? a->used - bytes : 0;
	put(&r->accounts->shared[no].used_bytes, a->used);
}
