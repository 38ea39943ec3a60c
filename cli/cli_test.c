/* SPDX-License-Identifier: Apache-2.0 */

/* What sluice lists, and what it says to those who ask wrongly. */

#include <jansson.h>

#include "base/annotate.h"
#include "base/clock.h"
#include "cli/switch_fake.h"

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
	a = json_loads(fake.out, 0, &e);
	if (!json_is_array(a) || json_array_size(a) != n)
		printf("# %s: %s\n# %s\n", args, e.text, fake.out);
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

static void what_is_asked_wrongly_says_so(void)
{
	RUNS("", 2);
	HAS(fake.err, "usage: sluice");
	RUNS("shwo", 2);
	SAYS(fake.err,
	     "sluice: there is no verb 'shwo'; did you mean 'show'?\n");
	RUNS("zzzzzzzzz", 2);
	HAS(fake.err, "there is no verb 'zzzzzzzzz'; sluice --help");
	RUNS("show", 2);
	HAS(fake.err, "ports, flows, macs, stats, memory or region?");
	RUNS("show flows --deep", 2);
	HAS(fake.err, "--deep is for the region");
	RUNS("show prots", 2);
	HAS(fake.err, "did you mean 'ports'?");
	RUNS("show ports --colour", 2);
	HAS(fake.err, "there is no option --colour");
	RUNS("show macs --port h1", 2);
	HAS(fake.err, "--port and --mac are for flows");
	RUNS("show flows --mac 02:00", 2);
	HAS(fake.err, "'02:00' is no address");
	RUNS("config", 2);
	HAS(fake.err, "config check FILE");
	RUNS("run", 2);
	HAS(fake.err, "which file?");
	RUNS("config check a b", 2);
	HAS(fake.err, "one file, not 2");
	RUNS("capture", 2);
	HAS(fake.err, "which port?");
	RUNS("capture -Q up h1", 2);
	HAS(fake.err, "-Q is in, out or inout, not 'up'");
	RUNS("top -n x", 2);
	HAS(fake.err, "'x' is no");
	CHECK(!fake.out[0]);
}

static void help_of(const char *verb)
{
	char args[64];

	snprintf(args, sizeof(args), "%s --help", verb);
	RUNS(args, 0);
	HAS(fake.out, "usage: sluice");
	HAS(fake.out, verb);
	CHECK(!fake.err[0]);
}

static void every_verb_has_help(void)
{
	static const char *const verbs[] = {"run", "config",  "show",
					    "top", "capture", "version"};

	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		help_of(verbs[i]);
		RUNS("--help", 0);
		HAS(fake.out, verbs[i]);
	}
	RUNS("version", 0);
	HAS(fake.out, "sluice " SLUICE_VERSION " (region ABI 2)");
}

static void without_a_switch_it_fails(void)
{
	RUNS("-s no-such show ports", 1);
	HAS(fake.err, "sluice: no switch 'no-such' is running\n");
	SAYS(fake.out, "");
	RUNS("show --json -s no-such flows", 1);
	SAYS(fake.out, "");
}

static void listings_as_text(void)
{
	fake_make(clock_now_ns() + 3600 * FAKE_SECOND);
	RUNS("-s " FAKE_NAME " show ports", 0);
	SAYS(fake.out,
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
	RUNS("-s " FAKE_NAME " show flows --port h2 --mac 02:00:00:00:01:01",
	     0);
	HAS(fake.out,
	    "   PACKETS          BYTES    SLOW      AGE     IDLE  ACTIONS    "
	    "  FLOW\n");
	HAS(fake.out,
	    "     12345        1234460       1   0.000s   0.000s  output:2   "
	    "  in_port=1,eth_src=02:00:00:00:01:01,"
	    "eth_dst=02:00:00:00:01:02,");
	HAS(fake.out,
	    "         7            660       1   0.000s   0.000s  drop:policy"
	    "  in_port=2,");
	CHECK(!strstr(fake.out, "in_port=3"));
	RUNS("-s " FAKE_NAME " show flows", 0);
	HAS(fake.out, "output:1,2   in_port=3,");
	RUNS("-s " FAKE_NAME " show flows --port nobody", 1);
	HAS(fake.err,
	    "there is no port 'nobody'; there are:\n  1  h1\n  2  h2\n");
	RUNS("-s " FAKE_NAME " show macs", 0);
	HAS(fake.out,
	    "PORT  NAME        VLAN  MAC                    AGE  MOVES\n");
	HAS(fake.out,
	    "   1  h1             0  02:00:00:00:01:01   0.000s  4\n");
	HAS(fake.out,
	    "   2  h2           100  02:00:00:00:01:02   0.000s  0\n");
	fake_free();
}

static void stats_as_text(void)
{
	fake_make(clock_now_ns() - FAKE_SECOND);
	RUNS("-s " FAKE_NAME " show stats", 0);
	HAS(fake.out, "switch      " FAKE_NAME ", engine poll, up for 1.");
	HAS(fake.out, "slow path   runs, process ");
	HAS(fake.out, ", taken over 1 times\n");
	HAS(fake.out, "engine      does not run\n");
	HAS(fake.out, "first out   0.012s after the start\n");
	HAS(fake.out, "flows       3 of 1");
	HAS(fake.out, "; added 5, removed 2, refused 0\n");
	HAS(fake.out,
	    "received    1000000 packets, 1500000000 bytes\n"
	    "sent        1000000 packets, 1499995500 bytes; 0 of them "
	    "copies\n"
	    "missed      3 packets: the engine forwarded 100.000 % alone\n"
	    "            1 of them on their way to the slow path, or lost\n"
	    "dropped     8 packets\n"
	    "           1  short-ip: the frame ends inside its IP header\n"
	    "           7  policy: the flow's action is to drop\n");
	fake_free();
}

static void a_region_as_text(void)
{
	uint64_t *slot;

	fake_make(clock_now_ns());
	RUNS("-s " FAKE_NAME " show region", 0);
	HAS(fake.out, "region      " FAKE_NAME ", ABI 2, owner uid ");
	HAS(fake.out, "writer      process ");
	HAS(fake.out, "version     1, settled before 1\n");
	HAS(fake.out, "TABLE         ALGORITHM     KIND");
	HAS(fake.out, "flows         cuckoo8          5");
	CHECK(!strstr(fake.out, "DYING"));
	RUNS("-s " FAKE_NAME " show region --deep", 0);
	HAS(fake.out, "\nevery entry and index is as it should be\n");
	CHECK(!fake.err[0]);

	/* The first slot in use names an entry that is not there. */
	slot = (uint64_t *)(uintptr_t)table_exact_view(fake_state.flows)
		       ->buckets;
	while (!*slot)
		slot++;
	*slot |= 0xffffffff;
	RUNS("-s " FAKE_NAME " show region --deep", 1);
	HAS(fake.err, "sluice: table 'flows': slot ");
	HAS(fake.err, "names an entry that is not there\n");
	HAS(fake.out, " things are wrong\n");
	RUNS("-s " FAKE_NAME " show region", 0);
	RUNS("show region --file /no/such", 1);
	HAS(fake.err, "/no/such: No such file");
	fake_free();
}

static void memory_as_text_and_json(void)
{
	uint64_t sum = 0, used;
	json_t *a, *o, *t;

	fake_make(clock_now_ns());
	RUNS("-s " FAKE_NAME " show memory", 0);
	HAS(fake.out, "given out, ");
	HAS(fake.out, "TABLE             ACCOUNT         BYTES   SHARE");
	HAS(fake.out, "flows                   0");
	HAS(fake.out, "%           3         100  ");
	RUNS("-s " FAKE_NAME " show memory --json", 0);
	a = json_loads(fake.out, 0, NULL);
	o = json_array_get(a, 0);
	t = json_object_get(o, "tables");
	for (size_t i = 0; i < json_array_size(t); i++)
		sum += (uint64_t)json_integer_value(
			json_object_get(json_array_get(t, i), "bytes"));
	used = (uint64_t)json_integer_value(json_object_get(o, "used_bytes"));
	/* What is given out is in tables, but for the header and alignment. */
	CHECK(sum < used && used - sum < 4096 + json_array_size(t) * 128);
	json_decref(a);
	RUNS("show memory --deep", 2);
	fake_free();
}

static void a_region_as_json(void)
{
	json_t *a, *o, *t;

	fake_make(clock_now_ns());
	RUNS("-s " FAKE_NAME " show region --deep --json", 0);
	a = json_loads(fake.out, 0, NULL);
	o = json_array_get(a, 0);
	CHECK(json_is_true(json_object_get(o, "writer_runs")));
	CHECK_EQ(json_integer_value(json_object_get(o, "n_wrong")), 0);
	CHECK_EQ(json_array_size(json_object_get(o, "faults")), 0);
	t = json_object_get(o, "tables");
	CHECK(json_array_size(t) >= 6);
	for (size_t i = 0; i < json_array_size(t); i++) {
		json_t *one = json_array_get(t, i);
		const char *name =
			json_string_value(json_object_get(one, "table"));

		if (strcmp(name, "flows") == 0)
			CHECK_EQ(json_integer_value(
					 json_object_get(one, "n_live")),
				 3);
	}
	json_decref(a);
	fake_free();
}

static void listings_as_json(void)
{
	json_t *a, *o;

	fake_make(clock_now_ns() - 5 * FAKE_SECOND);
	a = run_json("show ports --json -s " FAKE_NAME, 4);
	o = find(a, "name", "h1");
	CHECK_EQ(int_at(o, "port_no"), 1);
	CHECK(strcmp(text_at(o, "kind"), "packet") == 0);
	CHECK(strcmp(text_at(o, "hw_addr"), "02:00:00:00:00:01") == 0);
	CHECK_EQ(int_at(o, "rx_packets"), 1000000);
	CHECK_EQ(int_at(o, "missed"), 3);
	CHECK_EQ(int_at(json_object_get(o, "drops"), "policy"), 7);
	json_decref(a);

	a = run_json("-s " FAKE_NAME " show flows -j", 3);
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

	a = run_json("-s " FAKE_NAME " show macs -j", 2);
	o = find(a, "mac", "02:00:00:00:01:02");
	CHECK_EQ(int_at(o, "vlan"), 100);
	CHECK_EQ(int_at(o, "port_no"), 2);
	CHECK(strcmp(text_at(o, "port"), "h2") == 0);
	json_decref(a);

	a = run_json("-s " FAKE_NAME " show stats -j", 1);
	o = find(a, "name", FAKE_NAME);
	CHECK_EQ(int_at(o, "n_flows"), 3);
	CHECK_EQ(int_at(o, "dropped"), 8);
	CHECK(json_is_true(json_object_get(o, "slow_path_runs")));
	CHECK(json_is_false(json_object_get(o, "poll_engine_runs")));
	json_decref(a);
	fake_free();
}

static void ports_that_cannot_be_captured(void)
{
	fake_make(clock_now_ns());
	RUNS("-s " FAKE_NAME " capture nobody", 1);
	HAS(fake.err, "there is no port 'nobody'");
	RUNS("-s " FAKE_NAME " capture file", 1);
	HAS(fake.err, "in a file already: out.pcap");
	RUNS("-s " FAKE_NAME " capture 7", 1);
	HAS(fake.err, "a port of kind mem cannot be captured");
	RUNS("-s " FAKE_NAME " capture h1", 1);
	HAS(fake.err, "device veth1 is not in this network namespace");
	SAYS(fake.out, "");
	fake_free();
}

static void an_empty_listing_is_an_array(void)
{
	json_t *a;

	fake_make(clock_now_ns());
	a = run_json("-s " FAKE_NAME " show flows -j --mac 00:00:00:00:00:00",
		     0);
	json_decref(a);
	fake_free();
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	fake_init();
	TEST(what_is_asked_wrongly_says_so);
	TEST(every_verb_has_help);
	TEST(without_a_switch_it_fails);
	TEST(listings_as_text);
	TEST(stats_as_text);
	TEST(a_region_as_text);
	TEST(a_region_as_json);
	TEST(memory_as_text_and_json);
	TEST(listings_as_json);
	TEST(an_empty_listing_is_an_array);
	TEST(ports_that_cannot_be_captured);
	fake_fini();
	return test_done();
}
