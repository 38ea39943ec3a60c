/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Where the bytes of a region are: accounts and their limits, tables, and the
 * heap's pages by length of block.
 */

#include <inttypes.h>

#include "cli/show.h"
#include "cli/text.h"
#include "sluice/atomic.h"

#define CELL_LEN 24

static const struct column account_columns[] = {
	{"ACCOUNT", 7}, {"NAME", -16},	{"USED", 12},
	{"LIMIT", 12},	{"REFUSED", 0},
};

static const struct column table_columns[] = {
	{"TABLE", -16}, {"ACCOUNT", 7}, {"BYTES", 12},	    {"SHARE", 6},
	{"IN USE", 10}, {"OF", 10},	{"BYTES/ENTRY", 0},
};

static const struct column heap_columns[] = {
	{"BLOCK", 7},	{"PAGES", 8}, {"LIVE", 10},
	{"RESTING", 8}, {"FREE", 10}, {"BYTES ASKED FOR", 0},
};

#define N_OF(x) (sizeof(x) / sizeof((x)[0]))

/* Bytes of a table for each entry that fits, all indexes included. */
static uint64_t bytes_each(const struct sluice_table_desc *d)
{
	return d->n_max ? (d->len + d->n_max - 1) / d->n_max : 0;
}

static json_t *accounts_json(const struct sluice_fsck *c)
{
	json_t *a = json_array();

	for (uint32_t i = 0; i < c->n_accounts; i++) {
		const struct sluice_account *from = &c->accounts[i];
		uint64_t limit = sluice_load64_relaxed(&from->limit_bytes);
		char name[SLUICE_ACCOUNT_NAME_LEN];
		json_t *o;

		text_name(from->name, sizeof(name), name);
		if (!name[0])
			continue;
		o = json_object();
		put_num(o, "account", i);
		put_text(o, "name", name);
		put_num(o, "used_bytes",
			sluice_load64_relaxed(&from->used_bytes));
		if (limit == SLUICE_ACCOUNT_NO_LIMIT)
			json_object_set_new(o, "limit_bytes", json_null());
		else
			put_num(o, "limit_bytes", limit);
		put_num(o, "n_refused",
			sluice_load64_relaxed(&from->n_refused));
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *tables_json(const struct sluice_fsck *c)
{
	json_t *a = json_array();

	for (uint32_t i = 0; i < c->n_tables; i++) {
		const struct sluice_table_desc *d = &c->tables[i].desc;
		json_t *o = json_object();

		put_text(o, "table", d->name);
		put_text(o, "algorithm", show_alg(d->alg));
		put_num(o, "account", d->account);
		put_num(o, "bytes", d->len);
		put_num(o, "max_entries", d->n_max);
		put_num(o, "bytes_per_entry", bytes_each(d));
		if (d->alg != SLUICE_ALG_ARRAY)
			put_num(o, "n_live", c->tables[i].n_live);
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *heap_json(const struct sluice_heap_usage *u)
{
	json_t *o = json_object(), *a = json_array();

	put_num(o, "page_bytes", SLUICE_HEAP_PAGE);
	put_num(o, "n_pages", u->n_pages);
	put_num(o, "n_pages_free", u->n_pages_free);
	put_num(o, "n_live", u->n_live);
	put_num(o, "live_bytes", u->live_len);
	put_num(o, "resting_bytes", u->resting_len);
	put_num(o, "waste_bytes", u->waste_len);
	for (uint32_t i = 0; i < SLUICE_HEAP_CLASSES; i++) {
		const struct sluice_heap_class *cl = &u->classes[i];
		json_t *one;

		if (!cl->n_pages)
			continue;
		one = json_object();
		put_num(one, "block_bytes", cl->block_len);
		put_num(one, "n_pages", cl->n_pages);
		put_num(one, "n_live", cl->n_live);
		put_num(one, "n_resting", cl->n_resting);
		put_num(one, "n_free", cl->n_free);
		put_num(one, "live_bytes", cl->live_len);
		json_array_append_new(a, one);
	}
	json_object_set_new(o, "blocks", a);
	return o;
}

static json_t *memory_json(const struct sluice_fsck *c,
			   const struct sluice_heap_usage *heap)
{
	json_t *o = json_object();
	char name[SLUICE_NAME_LEN];

	put_text(o, "name", text_name(c->head.name, sizeof(name), name));
	put_text(o, "memory", text_backing(c->head.backing));
	put_num(o, "page_bytes", c->head.page_len);
	put_num(o, "memory_bytes", c->head.len);
	put_num(o, "used_bytes", c->head.used_len);
	put_num(o, "free_bytes", c->head.len - c->head.used_len);
	json_object_set_new(o, "accounts", accounts_json(c));
	json_object_set_new(o, "tables", tables_json(c));
	json_object_set_new(o, "heap", heap ? heap_json(heap) : json_null());
	return o;
}

/* A row of numbers, behind the texts that are given. */
static void row_nums(const struct column *cols, uint32_t n,
		     const char *const *texts, const uint64_t *nums)
{
	char space[8][CELL_LEN];
	const char *cells[8];

	for (uint32_t i = 0; i < n; i++) {
		snprintf(space[i], CELL_LEN, "%" PRIu64, nums[i]);
		cells[i] = texts[i] ? texts[i] : space[i];
	}
	row(stdout, cols, n, cells);
}

static void accounts_text(const struct sluice_fsck *c)
{
	if (!c->n_accounts)
		return;
	row_titles(stdout, account_columns, N_OF(account_columns));
	for (uint32_t i = 0; i < c->n_accounts; i++) {
		const struct sluice_account *a = &c->accounts[i];
		uint64_t limit = sluice_load64_relaxed(&a->limit_bytes);
		const uint64_t nums[] = {i, 0,
					 sluice_load64_relaxed(&a->used_bytes),
					 limit,
					 sluice_load64_relaxed(&a->n_refused)};
		char name[SLUICE_ACCOUNT_NAME_LEN];
		const char *texts[N_OF(account_columns)] = {NULL, name};

		if (limit == SLUICE_ACCOUNT_NO_LIMIT)
			texts[3] = "none";
		text_name(a->name, sizeof(name), name);
		if (name[0])
			row_nums(account_columns, N_OF(account_columns), texts,
				 nums);
	}
	printf("\n");
}

static void tables_text(const struct sluice_fsck *c)
{
	row_titles(stdout, table_columns, N_OF(table_columns));
	for (uint32_t i = 0; i < c->n_tables; i++) {
		const struct sluice_table_desc *d = &c->tables[i].desc;
		const uint64_t nums[] =
			{0,	   d->account,	 d->len, 0, c->tables[i].n_live,
			 d->n_max, bytes_each(d)};
		char share[CELL_LEN];
		const char *texts[N_OF(table_columns)] = {
			[0] = d->name,
			[3] = share,
			[4] = d->alg == SLUICE_ALG_ARRAY ? "-" : NULL,
		};

		snprintf(share, sizeof(share), "%.1f%%",
			 100 * (double)d->len / (double)c->head.len);
		row_nums(table_columns, N_OF(table_columns), texts, nums);
	}
}

static void heap_text(const struct sluice_heap_usage *u)
{
	printf("\nheap: %" PRIu64 " pages of %u bytes, %" PRIu64
	       " free; %" PRIu64 " bytes asked for, %" PRIu64 " rest, %" PRIu64
	       " are waste\n",
	       u->n_pages, SLUICE_HEAP_PAGE, u->n_pages_free, u->live_len,
	       u->resting_len, u->waste_len);
	row_titles(stdout, heap_columns, N_OF(heap_columns));
	for (uint32_t i = 0; i < SLUICE_HEAP_CLASSES; i++) {
		const struct sluice_heap_class *c = &u->classes[i];
		const uint64_t nums[] = {c->block_len, c->n_pages, c->n_live,
					 c->n_resting, c->n_free,  c->live_len};
		const char *texts[N_OF(heap_columns)] = {NULL};

		if (c->n_pages)
			row_nums(heap_columns, N_OF(heap_columns), texts, nums);
	}
}

static void memory_text(const struct sluice_fsck *c,
			const struct sluice_heap_usage *heap)
{
	char len[TEXT_LEN], used[TEXT_LEN], rest[TEXT_LEN];

	printf("memory      %sB, %s with pages of %u KiB; %sB given out, %sB "
	       "free\n\n",
	       text_si((double)c->head.len, len), text_backing(c->head.backing),
	       c->head.page_len / 1024, text_si((double)c->head.used_len, used),
	       text_si((double)(c->head.len - c->head.used_len), rest));
	accounts_text(c);
	tables_text(c);
	if (heap)
		heap_text(heap);
}

int show_memory(const struct show_region *s)
{
	const struct sluice_fsck_conf conf = {.is_deep = false};
	const struct sluice_heap_usage *heap = NULL;
	struct sluice_heap_usage usage;
	struct sluice_why why = {{0}};
	struct json_rows rows;
	struct sluice_fsck c;
	struct sluice_map m;
	int status = show_map(s, &m);

	if (status)
		return status;
	if (sluice_fsck(&m, &conf, &c, &why)) {
		status = cli_fail("%s", why.text);
		goto out;
	}
	if (c.heap.n_pages) {
		sluice_heap_usage(&c.heap, &usage);
		heap = &usage;
	}
	if (s->is_json) {
		json_rows_open(&rows);
		json_row(&rows, memory_json(&c, heap));
		status = json_rows_close(&rows);
	} else {
		memory_text(&c, heap);
	}
out:
	sluice_map_close(&m);
	return status;
}
