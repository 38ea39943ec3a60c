/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is in a region, table by table; with --deep also whether every entry and
 * index word is as it should be. It needs no switch in the region, only a sound
 * header and directory, so it can tell what is wrong with a damaged one.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cli/show.h"
#include "cli/text.h"
#include "sluice/fsck.h"

#define SIZE_LEN 24

static const struct column columns[] = {
	{"TABLE", -12}, {"ALGORITHM", -9}, {"KIND", 7},	 {"OFFSET", 10},
	{"BYTES", 11},	{"KEY", 4},	   {"VALUE", 6}, {"ENTRIES", 9},
	{"IN USE", 9},	{"BORN", 6},	   {"DYING", 6}, {"WRONG", 0},
};

#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))
#define N_SHALLOW 8u

/* While the region is checked. */
struct progress {
	bool is_shown; /* to a person, on standard error */
	json_t *faults;
};

static void begin(void *ctx, const struct sluice_table_desc *d)
{
	const struct progress *p = ctx;

	if (p->is_shown)
		fprintf(stderr, "\r\033[Kchecking %.31s ...", d->name);
}

static void say(void *ctx, const struct sluice_table_desc *d, const char *what)
{
	struct progress *p = ctx;
	json_t *o;

	if (p->is_shown)
		fputs("\r\033[K", stderr);
	if (!p->faults) {
		fprintf(stderr, "sluice: table '%.31s': %s\n", d->name, what);
		return;
	}
	o = json_object();
	put_text(o, "table", d->name);
	put_text(o, "fault", what);
	json_array_append_new(p->faults, o);
}

const char *show_alg(uint32_t alg)
{
	const char *name = sluice_alg_name(alg);

	return name ? name : "?";
}

static json_t *table_json(const struct sluice_fsck_table *t, bool is_deep)
{
	json_t *o = json_object();

	put_text(o, "table", t->desc.name);
	put_text(o, "algorithm", show_alg(t->desc.alg));
	put_num(o, "kind", t->desc.kind);
	put_num(o, "offset", t->desc.off);
	put_num(o, "bytes", t->desc.len);
	put_num(o, "key_bytes", t->desc.key_len);
	put_num(o, "value_bytes", t->desc.value_len);
	put_num(o, "max_entries", t->desc.n_max);
	put_num(o, "account", t->desc.account);
	if (!is_deep)
		return o;
	put_num(o, "n_live", t->n_live);
	put_num(o, "n_born", t->n_born);
	put_num(o, "n_dying", t->n_dying);
	put_num(o, "n_left", t->n_left);
	put_num(o, "n_wrong", t->n_wrong);
	put_num(o, "used_bytes", t->used_len);
	return o;
}

static json_t *region_json(const struct sluice_fsck *c, bool is_deep,
			   json_t *faults)
{
	json_t *o = json_object(), *tables = json_array();
	char name[SLUICE_NAME_LEN];

	put_text(o, "name", text_name(c->head.name, sizeof(name), name));
	put_num(o, "abi", c->head.abi);
	put_text(o, "memory", text_backing(c->head.backing));
	put_num(o, "memory_bytes", c->head.len);
	put_num(o, "page_bytes", c->head.page_len);
	put_num(o, "used_bytes", c->head.used_len);
	put_num(o, "owner_uid", c->head.owner_uid);
	put_num(o, "generation", c->head.generation);
	put_num(o, "writer_pid", c->head.writer_pid);
	put_bool(o, "writer_runs", c->has_writer);
	put_num(o, "version", c->head.version);
	put_num(o, "settling", c->head.settling);
	for (uint32_t i = 0; i < c->n_tables; i++)
		json_array_append_new(tables,
				      table_json(&c->tables[i], is_deep));
	json_object_set_new(o, "tables", tables);
	put_bool(o, "deep", is_deep);
	if (is_deep) {
		put_num(o, "n_left", c->n_left);
		put_num(o, "n_wrong", c->n_wrong);
		json_object_set(o, "faults", faults);
	}
	return o;
}

static void head_text(const struct sluice_fsck *c)
{
	const struct sluice_region *h = &c->head;
	char name[SLUICE_NAME_LEN], mem[TEXT_LEN], used[TEXT_LEN];

	printf("region      %s, ABI %u, owner uid %u\n",
	       text_name(h->name, sizeof(name), name), h->abi, h->owner_uid);
	printf("memory      %sB, %s with pages of %u KiB; %sB given to %u "
	       "tables\n",
	       text_si((double)h->len, mem), text_backing(h->backing),
	       h->page_len / 1024, text_si((double)h->used_len, used),
	       c->n_tables);
	printf("writer      ");
	if (c->has_writer)
		printf("process %" PRIu64, h->writer_pid);
	else
		printf(h->writer_pid ? "dead" : "left in order");
	printf(", number %" PRIu64 " to hold it\n", h->generation);
	printf("version     %u, settled before %u\n", h->version, h->settling);
}

static void table_text(const struct sluice_fsck_table *t, bool is_deep)
{
	const struct sluice_table_desc *d = &t->desc;
	char n[N_COLUMNS][SIZE_LEN];
	const char *cells[N_COLUMNS];
	const uint64_t nums[N_COLUMNS] = {
		0,	   0,	       d->kind,	     d->off,
		d->len,	   d->key_len, d->value_len, d->n_max,
		t->n_live, t->n_born,  t->n_dying,   t->n_wrong,
	};

	for (size_t i = 0; i < N_COLUMNS; i++) {
		snprintf(n[i], SIZE_LEN, "%" PRIu64, nums[i]);
		cells[i] = n[i];
	}
	cells[0] = d->name;
	cells[1] = show_alg(d->alg);
	if (d->alg == SLUICE_ALG_ARRAY)
		cells[8] = "-";
	row(stdout, columns, is_deep ? N_COLUMNS : N_SHALLOW, cells);
}

static void verdict_text(const struct sluice_fsck *c)
{
	if (c->n_wrong)
		printf("\n%" PRIu64 " things are wrong\n", c->n_wrong);
	else
		printf("\nevery entry and index is as it should be\n");
	if (c->n_left)
		printf("%" PRIu64 " things were left by a writer that died; "
		       "the next one clears them up\n",
		       c->n_left);
}

static int print(const struct sluice_fsck *c, const struct show_region *s,
		 json_t *faults)
{
	struct json_rows rows;

	if (s->is_json) {
		json_rows_open(&rows);
		json_row(&rows, region_json(c, s->is_deep, faults));
		return json_rows_close(&rows);
	}
	head_text(c);
	printf("\n");
	row_titles(stdout, columns, s->is_deep ? N_COLUMNS : N_SHALLOW);
	for (uint32_t i = 0; i < c->n_tables; i++)
		table_text(&c->tables[i], s->is_deep);
	if (s->is_deep)
		verdict_text(c);
	return CLI_OK;
}

int show_map(const struct show_region *s, struct sluice_map *out)
{
	struct sluice_why why = {{0}};
	int fd, err;

	if (s->file) {
		fd = open(s->file, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return cli_fail("%s: %s", s->file, strerror(errno));
		err = sluice_map_open_fd(fd, out, &why);
		close(fd);
	} else {
		err = sluice_map_open(s->switch_name, out, &why);
	}
	if (!err)
		return CLI_OK;
	return cli_fail("%s", why.text[0] ? why.text : strerror(-err));
}

int show_region(const struct show_region *s)
{
	struct progress p = {
		.is_shown = s->is_deep && isatty(STDERR_FILENO),
		.faults = s->is_json ? json_array() : NULL,
	};
	const struct sluice_fsck_conf conf = {s->is_deep, begin, say, &p};
	struct sluice_why why = {{0}};
	struct sluice_fsck c;
	struct sluice_map m;
	int status = show_map(s, &m), err;

	if (status)
		goto out;
	err = sluice_fsck(&m, &conf, &c, &why);
	if (p.is_shown)
		fputs("\r\033[K", stderr);
	if (err)
		status = cli_fail("%s", why.text);
	else
		status = print(&c, s, p.faults);
	if (!status && c.n_wrong)
		status = CLI_FAILED;
	sluice_map_close(&m);
out:
	json_decref(p.faults);
	return status;
}
