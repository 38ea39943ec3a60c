/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/switch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/must.h"
#include "base/test.h"
#include "daemon/pidfile.h"
#include "sluice/reader.h"

/*
 * Whole switches with the poll engine between pcap files: no rights needed. A
 * switch reads N_FRAMES broadcasts from one file at port "in" and writes them
 * to another at port "out".
 */

#define N_FRAMES 40u
#define FRAME_LEN 60u
#define FILE_LEN (24 + N_FRAMES * (16 + FRAME_LEN))
#define TIMEOUT_NS 10000000000ull

static char dir[] = "/tmp/sluice-switch-XXXXXX";
static char where[160]; /* the memory is; a member of the configuration */

static const char *path(const char *name, const char *file)
{
	static char paths[4][128];
	static uint32_t i;

	snprintf(paths[++i % 4], sizeof(paths[0]), "%s/%s-%s", dir, name, file);
	return paths[i % 4];
}

static void write_frames(const char *to)
{
	const uint32_t head[6] = {0xa1b2c3d4, 4u << 16 | 2, 0, 0, 65535, 1};
	const uint32_t record[4] = {0, 0, FRAME_LEN, FRAME_LEN};
	uint8_t frame[FRAME_LEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,
				    0,	  0,	0,    0,    1,	  0x88, 0xb5};
	FILE *f = fopen(to, "w");

	must(f);
	must(fwrite(head, sizeof(head), 1, f) == 1);
	for (uint32_t i = 0; i < N_FRAMES; i++) {
		must(fwrite(record, sizeof(record), 1, f) == 1);
		must(fwrite(frame, sizeof(frame), 1, f) == 1);
	}
	must(!fclose(f));
}

/* The port "in" reads a file, the one called out_name writes one. */
static void make_config(const char *name, const char *in_file,
			const char *out_name, struct config *out)
{
	char text[1024];
	struct why why = {0};

	snprintf(text, sizeof(text),
		 "{\"sluice:switch\": {\"name\": \"%s\", \"engine\": \"poll\", "
		 "\"max-flows\": 1000, \"huge-pages\": false, %s\"port\": ["
		 "{\"name\": \"in\", \"kind\": \"pcap\", \"device\": \"%s\"}, "
		 "{\"name\": \"%s\", \"kind\": \"pcap\", \"output\": \"%s\"}"
		 "]}}",
		 name, where, path(name, in_file), out_name,
		 path(name, out_name));
	if (config_parse(text, strlen(text), name, out, &why))
		printf("# %s\n", why.text);
	CHECK_EQ(why.err, 0);
}

static struct vswitch *try_switch(const char *name, const char *in_file,
				  const char *out_name)
{
	struct config *config = malloc(sizeof(*config));
	struct vswitch *s = NULL;
	struct why why = {0};

	make_config(name, in_file, out_name, config);
	if (switch_open(config, NULL, clock_now_ns(), &s, &why))
		printf("# %s\n", why.text);
	free(config);
	return s;
}

static struct vswitch *open_switch(const char *name, const char *in_file,
				   const char *out_name)
{
	struct vswitch *s = try_switch(name, in_file, out_name);

	CHECK(s != NULL);
	return s;
}

static uint64_t written(const char *name)
{
	struct stat st;

	return stat(path(name, "out"), &st) ? 0 : (uint64_t)st.st_size;
}

/* Serves both until both have written all, or it takes too long. */
static void serve(struct vswitch *s[2], const char *const names[2])
{
	uint64_t end_ns = clock_now_ns() + TIMEOUT_NS;

	while (clock_now_ns() < end_ns &&
	       (written(names[0]) < FILE_LEN || written(names[1]) < FILE_LEN)) {
		struct pollfd fds[2] = {{switch_fd(s[0]), POLLIN, 0},
					{switch_fd(s[1]), POLLIN, 0}};

		poll(fds, 2, 10);
		switch_serve(s[0], clock_now_ns());
		switch_serve(s[1], clock_now_ns());
	}
	CHECK_EQ(written(names[0]), FILE_LEN);
	CHECK_EQ(written(names[1]), FILE_LEN);
}

/* What anyone can read of a switch that has forwarded all. */
static void check_counters(const char *name, uint64_t n_restarts)
{
	struct sluice_reader r;
	struct sluice_port_stats in, out;
	struct sluice_why why = {""};

	CHECK_EQ(sluice_reader_open(name, &r, &why), 0);
	if (why.text[0]) {
		printf("# %s\n", why.text);
		return;
	}
	sluice_reader_stats(&r, 1, &in);
	sluice_reader_stats(&r, 2, &out);
	CHECK_EQ(in.rx_packets, N_FRAMES);
	CHECK_EQ(in.missed, in.taken);
	CHECK(in.missed > 0);
	CHECK_EQ(out.tx_packets, N_FRAMES);
	CHECK_EQ(r.sw->n_restarts, n_restarts);
	CHECK(r.sw->first_packet_ns > r.sw->started_ns);
	sluice_reader_close(&r);
}

static void two_switches_in_one_process(void)
{
	const char *const names[2] = {"one", "two"};
	struct vswitch *s[2];

	write_frames(path(names[0], "in.pcap"));
	write_frames(path(names[1], "in.pcap"));
	s[0] = open_switch(names[0], "in.pcap", "out");
	s[1] = open_switch(names[1], "in.pcap", "out");
	if (s[0] && s[1]) {
		serve(s, names);
		check_counters(names[0], 0);
		check_counters(names[1], 0);
	}
	/* One leaves its forwarding behind and comes back to it. */
	switch_close(s[0], true);
	switch_close(s[1], false);
	check_counters(names[0], 0);
	s[0] = open_switch(names[0], "in.pcap", "out");
	if (s[0])
		check_counters(names[0], 1);
	switch_close(s[0], false);
}

/* The number of a port and its record, from outside; 0: none. */
static uint32_t port_number(const char *name, const char *port)
{
	struct sluice_reader r;
	uint32_t found = 0;

	CHECK_EQ(sluice_reader_open(name, &r, NULL), 0);
	for (uint32_t no = 1; no < SLUICE_PORTS_MAX; no++)
		if (r.ports[no].kind && strcmp(r.ports[no].name, port) == 0)
			found = no;
	sluice_reader_close(&r);
	return found;
}

static uint32_t n_macs(const char *name)
{
	struct sluice_reader r;
	uint32_t n;

	CHECK_EQ(sluice_reader_open(name, &r, NULL), 0);
	n = (uint32_t)r.macs.table->n_used;
	sluice_reader_close(&r);
	return n;
}

static void a_successor_has_other_ports(void)
{
	const char *const names[2] = {"four", "four"};
	struct vswitch *s[2];

	write_frames(path("four", "in.pcap"));
	s[0] = s[1] = open_switch("four", "in.pcap", "out");
	if (!s[0])
		return;
	serve(s, names);
	CHECK_EQ(n_macs("four"), 1);
	switch_close(s[0], true);
	s[0] = open_switch("four", "in.pcap", "other");
	CHECK_EQ(port_number("four", "in"), 1);
	CHECK_EQ(port_number("four", "out"), 0);
	CHECK_EQ(port_number("four", "other"), 2);
	/* The station is on the port that stayed. */
	CHECK_EQ(n_macs("four"), 1);
	switch_close(s[0], true);
	/* Now that one reads another file, so it is another port. */
	write_frames(path("four", "again.pcap"));
	s[0] = open_switch("four", "again.pcap", "other");
	CHECK_EQ(port_number("four", "in"), 1);
	CHECK_EQ(n_macs("four"), 0);
	switch_close(s[0], false);
}

static uint64_t received(const char *name)
{
	struct sluice_port_stats in;
	struct sluice_reader r;

	CHECK_EQ(sluice_reader_open(name, &r, NULL), 0);
	CHECK_EQ(r.region->backing, SLUICE_BACKING_FILE);
	sluice_reader_stats(&r, 1, &in);
	sluice_reader_close(&r);
	return in.rx_packets;
}

static uint64_t n_restarts(const char *name)
{
	struct sluice_reader r;
	uint64_t n;

	CHECK_EQ(sluice_reader_open(name, &r, NULL), 0);
	n = r.sw->n_restarts;
	sluice_reader_close(&r);
	return n;
}

/* As if the machine had been started anew since. */
static void forget_boot(const char *file)
{
	const off_t at = offsetof(struct sluice_region, writer_boot);
	int fd = open(file, O_RDWR | O_CLOEXEC);
	uint64_t boot;

	CHECK(pread(fd, &boot, 8, at) == 8 && boot == sluice_boot());
	boot ^= 1;
	CHECK(pwrite(fd, &boot, 8, at) == 8);
	close(fd);
}

static void memory_in_a_file_stays(void)
{
	const char *const names[2] = {"five", "five"};
	struct vswitch *s[2];
	struct stat st;

	snprintf(where, sizeof(where), "\"region-file\": \"%s\", ",
		 path("five", "memory"));
	write_frames(path("five", "in.pcap"));
	s[0] = s[1] = open_switch("five", "in.pcap", "out");
	if (s[0]) {
		serve(s, names);
		CHECK_EQ(received("five"), N_FRAMES);
		CHECK(!stat(path("five", "memory"), &st));
		/* It ends in order; all that it knew is there the next time. */
		switch_close(s[0], false);
		s[0] = open_switch("five", "in.pcap", "out");
		CHECK(received("five") >= N_FRAMES);
		CHECK_EQ(n_macs("five"), 1);
		CHECK_EQ(n_restarts("five"), 1);
		switch_close(s[0], false);
		/* Its times are of another boot: it is made anew. */
		forget_boot(path("five", "memory"));
		s[0] = open_switch("five", "in.pcap", "out");
		CHECK_EQ(n_restarts("five"), 0);
		switch_close(s[0], false);
	}
	/* Others may write it now. */
	CHECK(!chmod(path("five", "memory"), 0666));
	CHECK(!try_switch("five", "in.pcap", "out"));
	where[0] = '\0';
}

static void one_daemon_for_a_name(void)
{
	struct pidfile a, b;
	struct why why = {0};

	CHECK_EQ(pidfile_take("three", &a, NULL), 0);
	CHECK_EQ(pidfile_take("three", &b, &why), -EBUSY);
	CHECK(strstr(why.text, "three/pid"));
	pidfile_give(&a);
	CHECK_EQ(pidfile_take("three", &b, NULL), 0);
	pidfile_give(&b);
}

static int remove_one(const char *name, const struct stat *st, int kind,
		      struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(name);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	must(mkdtemp(dir));
	must(!setenv("SLUICE_RUN_DIR", dir, 1));
	TEST(two_switches_in_one_process);
	TEST(a_successor_has_other_ports);
	TEST(memory_in_a_file_stays);
	TEST(one_daemon_for_a_name);
	must(!nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS));
	return test_done();
}
