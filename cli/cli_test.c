/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The program itself, run on a region that this test makes: it is found by
 * name through $SLUICE_RUN_DIR, as a real one.
 */

#include <errno.h>
#include <jansson.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include "base/clock.h"
#include "base/must.h"
#include "base/test.h"
#include "base/why.h"
#include "flow/state.h"
#include "region/region.h"

#define NAME "clitest"
#define SECOND 1000000000ull

static char dir[64] = "/tmp/cli_test.XXXXXX";
static const char *sluice; /* the program */
static struct region *region;
static struct state state;

/* ---- Running it ---- */

static char out[65536], err[8192];

static void take(const char *file, char *to, size_t room)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	f = fopen(path, "r");
	must(f);
	to[fread(to, 1, room - 1, f)] = '\0';
	fclose(f);
	unlink(path);
}

/* Runs `sluice ARGS`; returns its exit status, fills out and err. */
static int run(const char *args)
{
	char cmd[1024];
	int status;

	snprintf(cmd, sizeof(cmd), "%s %s >%s/out 2>%s/err </dev/null", sluice,
		 args, dir, dir);
	status = system(cmd);
	take("out", out, sizeof(out));
	take("err", err, sizeof(err));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define RUNS(args, status)                                                \
	do {                                                              \
		int s_ = run(args);                                       \
		if (s_ != (status))                                       \
			printf("# sluice %s: %d\n# %s\n", args, s_, err); \
		CHECK(s_ == (status));                                    \
	} while (0)

#define SAYS(where, want)                                                 \
	do {                                                              \
		if (strcmp(where, want) != 0)                             \
			printf("# got:\n%s\n# want:\n%s\n", where, want); \
		CHECK(strcmp(where, want) == 0);                          \
	} while (0)

#define HAS(where, part)                                              \
	do {                                                          \
		if (!strstr(where, part))                             \
			printf("# no '%s' in:\n# %s\n", part, where); \
		CHECK(strstr(where, part));                           \
	} while (0)

/* ---- The switch that it reads ---- */

static void port_make(uint32_t no, const char *name, const char *device,
		      enum sluice_port_kind kind)
{
	struct sluice_port *p = &state.ports[no];

	strcpy(p->name, name);
	strcpy(p->device, device);
	memcpy(p->mac, (uint8_t[]){2, 0, 0, 0, 0, (uint8_t)no}, 6);
	p->ifindex = 10 + no;
	p->mtu = 1500;
	p->state = SLUICE_PORT_UP;
	p->kind = kind;
}

static void ports_make(void)
{
	struct sluice_port_stats *lane0 = &state.stats[1];
	struct sluice_port_stats *lane1 = &state.stats[SLUICE_PORTS_MAX + 1];

	port_make(1, "h1", "veth1", SLUICE_PORT_PACKET);
	port_make(2, "h2", "tap2", SLUICE_PORT_TAP);
	port_make(3, "file", "", SLUICE_PORT_PCAP);
	strcpy(state.ports[3].output, "out.pcap");
	port_make(7, "esc\033[2J\n", "x", SLUICE_PORT_MEM);
	state.ports[7].state = SLUICE_PORT_FAILED;
	state.sets[SLUICE_SET_ALL] = 1 << 1 | 1 << 2 | 1 << 3;
	lane1->rx_packets = 1000000;
	lane1->rx_bytes = 1500000000;
	lane1->missed = 3;
	lane0->taken = 2;
	lane0->drops[SLUICE_DROP_POLICY] = 5;
	lane1->drops[SLUICE_DROP_POLICY] = 2;
	lane1->drops[SLUICE_DROP_SHORT_IP] = 1;
	lane0[1].tx_packets = 3;
	lane1[1].tx_packets = 999997;
	lane1[1].tx_bytes = 1499995500;
}

static void key_ip(struct sluice_key *k, uint8_t src, uint8_t dst)
{
	memset(k, 0, sizeof(*k));
	k->in_port = src;
	memcpy(k->eth_src, (uint8_t[]){2, 0, 0, 0, 1, src}, 6);
	memcpy(k->eth_dst, (uint8_t[]){2, 0, 0, 0, 1, dst}, 6);
	k->eth_type = sluice_to_be16(0x0800);
	k->ip_proto = 6;
	memcpy(k->ip_src, (uint8_t[]){10, 0, 0, src}, 4);
	memcpy(k->ip_dst, (uint8_t[]){10, 0, 0, dst}, 4);
	memmove(k->ip_src + 12, k->ip_src, 4);
	memset(k->ip_src, 0, 12);
	memmove(k->ip_dst + 12, k->ip_dst, 4);
	memset(k->ip_dst, 0, 12);
	k->tp_src = sluice_to_be16(1000);
	k->tp_dst = sluice_to_be16(80);
}

static void flow_add(const struct sluice_key *k, sluice_act act, uint64_t n,
		     uint64_t created_ns)
{
	struct sluice_flow f = {.act = act.w,
				.n_packets = n,
				.n_bytes = n * 100,
				.slow_packets = 1,
				.slow_bytes = 60,
				.used_ns = created_ns,
				.created_ns = created_ns};

	must(table_exact_set(state.flows, k, &f, NULL) == 0);
}

static void tables_fill(uint64_t created_ns)
{
	_Alignas(8) struct sluice_key k;
	_Alignas(8) struct sluice_mac_key mk = {{2, 0, 0, 0, 1, 1}, 0};
	struct sluice_mac m = {.port = 1,
			       .seen_ns = created_ns,
			       .learned_ns = created_ns,
			       .n_moves = 4};

	key_ip(&k, 1, 2);
	flow_add(&k, sluice_act_of(SLUICE_ACT_OUTPUT, 2), 12344, created_ns);
	key_ip(&k, 2, 1);
	flow_add(&k, sluice_act_of(SLUICE_ACT_DROP, 0), 6, created_ns);
	key_ip(&k, 3, 9);
	flow_add(&k, sluice_act_of(SLUICE_ACT_SET, SLUICE_SET_ALL), 0,
		 created_ns);
	must(table_exact_set(state.macs, &mk, &m, NULL) == 0);
	mk = (struct sluice_mac_key){{2, 0, 0, 0, 1, 2}, 100};
	m.port = 2;
	m.n_moves = 0;
	must(table_exact_set(state.macs, &mk, &m, NULL) == 0);
}

/* An age of 0.000s is one of a thing from the future. */
static void switch_make(uint64_t created_ns)
{
	static const struct state_conf conf = {.engine = SLUICE_ENGINE_POLL,
					       .n_lanes = 2,
					       .n_flows = 100,
					       .n_macs = 10,
					       .seed = 1};
	struct why why = {0};
	char path[128], to[64];

	if (region_new_memfd(NAME, state_region_len(&conf), false, &region,
			     &why) ||
	    state_new(region, &conf, &state, &why)) {
		printf("# %s\n", why.text);
		abort();
	}
	state.sw->started_ns = created_ns;
	state.sw->first_packet_ns = created_ns + 12345678;
	state.sw->n_restarts = 1;
	state.sw->n_flows_added = 5;
	state.sw->n_flows_removed = 2;
	ports_make();
	tables_fill(created_ns);
	snprintf(path, sizeof(path), "%s/" NAME, dir);
	must(mkdir(path, 0700) == 0);
	strcat(path, "/region");
	snprintf(to, sizeof(to), "/proc/%d/fd/%d", getpid(), region->fd);
	must(symlink(to, path) == 0);
}

static void switch_free(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/" NAME "/region", dir);
	unlink(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
	state_fini(&state);
	region_free(region);
}

static const char *text_at(json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "(none)";
}

static json_int_t int_at(json_t *o, const char *name)
{
	json_t *v = json_object_get(o, name);

	CHECK(json_is_integer(v));
	return json_integer_value(v);
}

/* Runs it and parses the array that it prints; n objects. */
static json_t *run_json(const char *args, size_t n)
{
	json_error_t e;
	json_t *a;

	RUNS(args, 0);
	a = json_loads(out, 0, &e);
	if (!json_is_array(a) || json_array_size(a) != n)
		printf("# %s: %s\n# %s\n", args, e.text, out);
	CHECK(json_is_array(a) && json_array_size(a) == n);
	return a;
}

/* The object of an array that has this member with this text. */
static json_t *find(json_t *a, const char *name, const char *text)
{
	json_t *o;
	size_t i;

	json_array_foreach(a, i, o)
	{
		if (strcmp(text_at(o, name), text) == 0)
			return o;
	}
	printf("# no %s %s\n", name, text);
	CHECK(false);
	return NULL;
}

/* ---- The tests ---- */

static void what_is_asked_wrongly_says_so(void)
{
	RUNS("", 2);
	HAS(err, "usage: sluice");
	RUNS("shwo", 2);
	SAYS(err, "sluice: there is no verb 'shwo'; did you mean 'show'?\n");
	RUNS("zzzzzzzzz", 2);
	HAS(err, "there is no verb 'zzzzzzzzz'; sluice --help");
	RUNS("show", 2);
	HAS(err, "ports, flows, macs or stats?");
	RUNS("show prots", 2);
	HAS(err, "did you mean 'ports'?");
	RUNS("show ports --colour", 2);
	HAS(err, "there is no option --colour");
	RUNS("show macs --port h1", 2);
	HAS(err, "--port and --mac are for flows");
	RUNS("show flows --mac 02:00", 2);
	HAS(err, "'02:00' is no address");
	RUNS("config", 2);
	HAS(err, "config check FILE");
	RUNS("run", 2);
	HAS(err, "which file?");
	RUNS("config check a b", 2);
	HAS(err, "one file, not 2");
	RUNS("capture", 2);
	HAS(err, "which port?");
	RUNS("capture -Q up h1", 2);
	HAS(err, "-Q is in, out or inout, not 'up'");
	RUNS("top -n x", 2);
	HAS(err, "'x' is no");
	CHECK(!out[0]);
}

static void every_verb_has_help(void)
{
	static const char *const verbs[] = {"run", "config", "show", "top",
					    "version"};
	char args[64];

	RUNS("--help", 0);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		HAS(out, verbs[i]);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		snprintf(args, sizeof(args), "%s --help", verbs[i]);
		RUNS(args, 0);
		HAS(out, "usage: sluice");
		CHECK(!err[0]);
	}
	RUNS("version", 0);
	HAS(out, "sluice " SLUICE_VERSION " (region ABI 1)");
}

static void without_a_switch_it_fails(void)
{
	RUNS("-s no-such show ports", 1);
	HAS(err, "sluice: no switch 'no-such' is running\n");
	SAYS(out, "");
	RUNS("show --json -s no-such flows", 1);
	SAYS(out, "");
}

static void listings_as_text(void)
{
	switch_make(clock_now_ns() + 3600 * SECOND);
	RUNS("-s " NAME " show ports", 0);
	SAYS(out,
	     "PORT  NAME        KIND    DEVICE           STATE         RX "
	     "PACKETS"
	     "        RX BYTES    TX PACKETS        TX BYTES    MISSED  "
	     "DROPPED\n"
	     "   1  h1          packet  veth1            up               "
	     "1000000"
	     "      1500000000             0               0         3  8\n"
	     "   2  h2          tap     tap2             up                    "
	     " 0"
	     "               0       1000000      1499995500         0  0\n"
	     "   3  file        pcap    out.pcap         up                    "
	     " 0"
	     "               0             0               0         0  0\n"
	     "   7  esc?[2J?    mem     x                failed                "
	     " 0"
	     "               0             0               0         0  0\n");
	RUNS("-s " NAME " show flows --port h2 --mac 02:00:00:00:01:01", 0);
	HAS(out,
	    "   PACKETS          BYTES    SLOW      AGE     IDLE  ACTIONS    "
	    "  FLOW\n");
	HAS(out,
	    "     12345        1234460       1   0.000s   0.000s  output:2   "
	    "  in_port=1,eth_src=02:00:00:00:01:01,"
	    "eth_dst=02:00:00:00:01:02,");
	HAS(out,
	    "         7            660       1   0.000s   0.000s  drop       "
	    "  in_port=2,");
	CHECK(!strstr(out, "in_port=3"));
	RUNS("-s " NAME " show flows", 0);
	HAS(out, "output:1,2   in_port=3,");
	RUNS("-s " NAME " show flows --port nobody", 1);
	HAS(err, "there is no port 'nobody'; there are:\n  1  h1\n  2  h2\n");
	RUNS("-s " NAME " show macs", 0);
	HAS(out, "PORT  NAME        VLAN  MAC                    AGE  MOVES\n");
	HAS(out, "   1  h1             0  02:00:00:00:01:01   0.000s  4\n");
	HAS(out, "   2  h2           100  02:00:00:00:01:02   0.000s  0\n");
	switch_free();
}

static void stats_as_text(void)
{
	switch_make(clock_now_ns() - SECOND);
	RUNS("-s " NAME " show stats", 0);
	HAS(out, "switch      " NAME ", engine poll, up for 1.");
	HAS(out, "slow path   runs, process ");
	HAS(out, ", taken over 1 times\n");
	HAS(out, "engine      does not run\n");
	HAS(out, "first out   0.012s after the start\n");
	HAS(out, "flows       3 of 1");
	HAS(out, "; added 5, removed 2, refused 0\n");
	HAS(out,
	    "received    1000000 packets, 1500000000 bytes\n"
	    "sent        1000000 packets, 1499995500 bytes; 0 of them "
	    "copies\n"
	    "missed      3 packets: the engine forwarded 100.000 % alone\n"
	    "            1 of them on their way to the slow path, or lost\n"
	    "dropped     8 packets\n"
	    "           1  short-ip: the frame ends inside its IP header\n"
	    "           7  policy: the flow's action is to drop\n");
	switch_free();
}

static void listings_as_json(void)
{
	json_t *a, *o;

	switch_make(clock_now_ns() - 5 * SECOND);
	a = run_json("show ports --json -s " NAME, 4);
	o = find(a, "name", "h1");
	CHECK_EQ(int_at(o, "port_no"), 1);
	CHECK(strcmp(text_at(o, "kind"), "packet") == 0);
	CHECK(strcmp(text_at(o, "hw_addr"), "02:00:00:00:00:01") == 0);
	CHECK_EQ(int_at(o, "rx_packets"), 1000000);
	CHECK_EQ(int_at(o, "missed"), 3);
	CHECK_EQ(int_at(json_object_get(o, "drops"), "policy"), 7);
	json_decref(a);

	a = run_json("-s " NAME " show flows -j", 3);
	o = find(a, "actions", "output:2");
	CHECK_EQ(int_at(o, "n_packets"), 12345);
	CHECK_EQ(int_at(o, "n_bytes"), 1234460);
	CHECK_EQ(int_at(o, "slow_packets"), 1);
	CHECK_EQ(int_at(o, "in_port"), 1);
	CHECK_EQ(json_integer_value(
			 json_array_get(json_object_get(o, "out_ports"), 0)),
		 2);
	CHECK(strcmp(text_at(o, "eth_src"), "02:00:00:00:01:01") == 0);
	CHECK(json_real_value(json_object_get(o, "duration")) >= 5);
	CHECK(json_real_value(json_object_get(o, "idle_age")) < 60);
	json_decref(a);

	a = run_json("-s " NAME " show macs -j", 2);
	o = find(a, "mac", "02:00:00:00:01:02");
	CHECK_EQ(int_at(o, "vlan"), 100);
	CHECK_EQ(int_at(o, "port_no"), 2);
	CHECK(strcmp(text_at(o, "port"), "h2") == 0);
	json_decref(a);

	a = run_json("-s " NAME " show stats -j", 1);
	o = find(a, "name", NAME);
	CHECK_EQ(int_at(o, "n_flows"), 3);
	CHECK_EQ(int_at(o, "dropped"), 8);
	CHECK(json_is_true(json_object_get(o, "slow_path_runs")));
	CHECK(json_is_false(json_object_get(o, "poll_engine_runs")));
	json_decref(a);
	switch_free();
}

/* Adds to port 1 and to its flow, from another process, while top looks. */
static void traffic_make(void)
{
	_Alignas(8) struct sluice_key k;
	struct sluice_flow *f;

	key_ip(&k, 1, 2);
	f = sluice_entry_value(table_exact_find(state.flows, &k), sizeof(k));
	for (int i = 0; i < 100; i++) {
		usleep(10000);
		sluice_add64_relaxed(&state.stats[1].rx_packets, 1000);
		sluice_add64_relaxed(&f->n_packets, 1000);
		sluice_add64_relaxed(&f->n_bytes, 100000);
	}
}

static void rates_in_a_pipe(void)
{
	double pps, bps;
	pid_t pid;
	char *at;

	switch_make(clock_now_ns());
	fflush(stdout);
	pid = fork();
	must(pid >= 0);
	if (!pid) {
		traffic_make();
		_exit(0);
	}
	RUNS("-s " NAME " top -d 0.2 -n 3", 0);
	must(waitpid(pid, NULL, 0) == pid);
	CHECK(!strchr(out, 033) && !strchr(out, 1));
	HAS(out, NAME "  engine poll  up 0.");
	/* The third page. */
	at = strstr(out, NAME);
	at = at ? strstr(at + 1, NAME) : NULL;
	at = at ? strstr(at + 1, NAME) : NULL;
	CHECK(at && !strstr(at + 1, NAME));
	at = at ? strstr(at, "FLOW\n") : NULL;
	CHECK(at);
	pps = bps = 0;
	if (at)
		CHECK(sscanf(at + 5, "%lfk %lfM 1", &pps, &bps) == 2);
	/* About 100 k per second of 100 bytes; the machine may be busy. */
	CHECK(pps > 10 && pps < 110);
	CHECK(bps > 8 && bps < 88);
	CHECK(strstr(out, "in_port=1,") && !strstr(out, "in_port=2,"));
	switch_free();
}

/* Runs top on a terminal of 5 lines and 40 columns and ends it. */
static void on_a_terminal(const char *keys, int signal)
{
	struct winsize w = {.ws_row = 5, .ws_col = 40};
	struct termios before, after;
	size_t n = 0;
	ssize_t got;
	int fd, slave, status;
	pid_t pid;

	must(openpty(&fd, &slave, NULL, NULL, &w) == 0);
	must(tcgetattr(slave, &before) == 0);
	fflush(stdout);
	pid = fork();
	must(pid >= 0);
	if (!pid) {
		setenv("TERM", "xterm", 1);
		login_tty(slave);
		execl(sluice, sluice, "-s", NAME, "top", "-d", "0.3", NULL);
		_exit(127);
	}
	memset(out, 0, sizeof(out));
	while (!strstr(out, "PORT") && (got = read(fd, out + n, 4096)) > 0)
		n += (size_t)got;
	CHECK(strncmp(out, "\033[?1049h\033[?25l\033[H\033[1m" NAME, 23) == 0);
	if (keys)
		CHECK(write(fd, keys, strlen(keys)) == (ssize_t)strlen(keys));
	else
		CHECK(kill(pid, signal) == 0);
	must(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	must(tcgetattr(slave, &after) == 0);
	CHECK_EQ(before.c_lflag, after.c_lflag);
	close(slave);
	while (n < sizeof(out) - 4097 && (got = read(fd, out + n, 4096)) > 0)
		n += (size_t)got;
	close(fd);
	CHECK(n > 14 && strcmp(out + n - 14, "\033[?25h\033[?1049l") == 0);
	/* Five lines of the page: the titles of the ports are the last. */
	HAS(out, "STATE     IN pps   I\033[0m");
	CHECK(!strstr(out, "veth1"));
}

static void rates_on_a_terminal(void)
{
	switch_make(clock_now_ns());
	on_a_terminal("pbq", 0);
	on_a_terminal("\003", 0);
	on_a_terminal(NULL, SIGTERM);
	switch_free();
}

static void ports_that_cannot_be_captured(void)
{
	switch_make(clock_now_ns());
	RUNS("-s " NAME " capture nobody", 1);
	HAS(err, "there is no port 'nobody'");
	RUNS("-s " NAME " capture file", 1);
	HAS(err, "in a file already: out.pcap");
	RUNS("-s " NAME " capture 7", 1);
	HAS(err, "a port of kind mem cannot be captured");
	RUNS("-s " NAME " capture h1", 1);
	HAS(err, "device veth1 is not in this network namespace");
	SAYS(out, "");
	switch_free();
}

static void an_empty_listing_is_an_array(void)
{
	json_t *a;

	switch_make(clock_now_ns());
	a = run_json("-s " NAME " show flows -j --mac 00:00:00:00:00:00", 0);
	json_decref(a);
	switch_free();
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	sluice = getenv("SLUICE");
	must(sluice && mkdtemp(dir));
	setenv("SLUICE_RUN_DIR", dir, 1);
	unsetenv("NO_COLOR");
	TEST(what_is_asked_wrongly_says_so);
	TEST(every_verb_has_help);
	TEST(without_a_switch_it_fails);
	TEST(listings_as_text);
	TEST(stats_as_text);
	TEST(listings_as_json);
	TEST(an_empty_listing_is_an_array);
	TEST(ports_that_cannot_be_captured);
	TEST(rates_in_a_pipe);
	TEST(rates_on_a_terminal);
	rmdir(dir);
	return test_done();
}
