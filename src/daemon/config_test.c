/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Each refusal is compared whole, as a line of text: who changes the module or
 * libyang's version sees here what the operator will read.
 */

#include "daemon/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/annotate.h"
#include "base/test.h"
#include "daemon/json_find.h"

static struct config conf;

static const char *refused(const char *text)
{
	static struct why why;
	size_t len = strlen(text);
	char *exact = malloc(len ? len : 1); /* ASan sees a byte too far */

	for (size_t i = 0; i < len; i++)
		exact[i] = text[i];
	memset(&conf, 0xa5, sizeof(conf));
	memset(&why, 0, sizeof(why));
	if (config_parse(exact, len, "f", &conf, &why) != -EINVAL)
		why.text[0] = '\0';
	CHECK(conf.n_ports == 0xa5a5a5a5 && conf.name[0] == (char)0xa5);
	CHECK(why.err == -EINVAL);
	free(exact);
	return why.text;
}

#define REFUSED(text, want)                                             \
	do {                                                            \
		const char *got_ = refused(text);                       \
		if (strcmp(got_, want) != 0)                            \
			printf("# said: %s\n# want: %s\n", got_, want); \
		CHECK(strcmp(got_, want) == 0);                         \
	} while (0)

#define SW(rest) "{\"sluice:switch\":{\"name\":\"d\"" rest "}}"
#define PORTS(rest) SW(",\n\"port\":[\n" rest "\n]")

static void words_that_are_none_of_the_words(void)
{
	REFUSED(PORTS("{\"name\":\"h1\",\"kind\":\"foo\",\"device\":\"x\"}"),
		"f:3: /sluice:switch/port[name='h1']/kind: \"foo\" is not one "
		"of netdev, tap, pcap");
	REFUSED(PORTS("{\"kind\":\"foo\",\n\n\"name\":\"h1\",\"device\":"
		      "\"x\"}"),
		"f:3: /sluice:switch/port/kind: \"foo\" is not one of netdev, "
		"tap, pcap");
	REFUSED(PORTS("{\"name\":\"h1\",\"kind\":\"FOO\",\"device\":\"x\"},{"
		      "\"kind\":\"foo\",\"name\":\"h2\"}"),
		"f:3: /sluice:switch/port[name='h1']/kind: \"FOO\" is not one "
		"of netdev, tap, pcap");
	REFUSED(PORTS("{\"kind\":\"tap\",\"name\":\"h1\",\"device\":\"x\"},{"
		      "\"kind\":\"foo\",\"name\":\"h2\"}"),
		"f:3: /sluice:switch/port/kind: \"foo\" is not one of netdev, "
		"tap, pcap");
	REFUSED(SW(",\n\"engine\"\n:\n\"dpdk\"\n\n\n"),
		"f:4: /sluice:switch/engine: \"dpdk\" is not one of auto, xdp, "
		"poll");
	REFUSED(SW(",\"huge-pages\":\"yes\""),
		"f:1: /sluice:switch/huge-pages: \"yes\" is not true or false, "
		"without quotes");
	REFUSED(SW(",\"huge-pages\":1"), "f:1: /sluice:switch/huge-pages: 1 is "
					 "not true or false, without quotes");
	REFUSED(PORTS("{\"name\":\"h1\",\"device\":\"x\",\"access\":\"dpdk\"}"),
		"f:3: /sluice:switch/port[name='h1']/access: \"dpdk\" is not "
		"one of packet, xsk");
}

static void numbers(void)
{
	REFUSED(SW(",\n\"max-flows\":\n0\n\n"),
		"f:3: /sluice:switch/max-flows: 0 is not a whole number from 1 "
		"to 8388608");
	REFUSED(SW(",\n\"max-flows\":8388609"),
		"f:2: /sluice:switch/max-flows: 8388609 is not a whole number "
		"from 1 to 8388608");
	REFUSED(SW(",\"max-flows\":-3"),
		"f:1: /sluice:switch/max-flows: -3 is not a whole number from "
		"1 to 8388608");
	REFUSED(SW(",\"max-flows\":\"3\""),
		"f:1: /sluice:switch/max-flows: \"3\" is not a whole number "
		"from 1 to 8388608");
	REFUSED(SW(",\"max-flows\":1.5"),
		"f:1: /sluice:switch/max-flows: 1.5 is not a whole number from "
		"1 to 8388608");
	REFUSED(SW(",\"max-flows\":9999999999"),
		"f:1: /sluice:switch/max-flows: 9999999999 is not a whole "
		"number from 1 to 8388608");
	REFUSED(SW(",\"max-flows\":99999999999999999999999"),
		"f:1: /sluice:switch: a number has too many digits");
	REFUSED(SW(",\"max-macs\":0"), "f:1: /sluice:switch/max-macs: 0 is not "
				       "a whole number from 1 to 1048576");
	REFUSED(SW(",\"flow-idle-timeout\":0"),
		"f:1: /sluice:switch/flow-idle-timeout: 0 is not a whole "
		"number from 1 to 86400");
	REFUSED(SW(",\"mac-ageing-time\":1000001"),
		"f:1: /sluice:switch/mac-ageing-time: 1000001 is not a whole "
		"number from 1 to 1000000");
}

static void texts(void)
{
	REFUSED("{\"sluice:switch\":{\"name\":\"d d\"}}",
		"f:1: /sluice:switch/name: \"d d\": a name is made of letters, "
		"digits, '_', '.' and '-', and begins with a letter or digit");
	REFUSED("{\"sluice:switch\":{\"name\":\"../d\"}}",
		"f:1: /sluice:switch/name: \"../d\": a name is made of "
		"letters, digits, '_', '.' and '-', and begins with a letter "
		"or digit");
	REFUSED("{\"sluice:switch\":{\"name\":\"\"}}",
		"f:1: /sluice:switch/name: \"\": a name has 1 to 31 "
		"characters");
	REFUSED("{\"sluice:switch\":{\"name\":"
		"\"a2345678901234567890123456789012\"}}",
		"f:1: /sluice:switch/name: "
		"\"a2345678901234567890123456789012\": a name has 1 to 31 "
		"characters");
	REFUSED("{\"sluice:switch\":{\"name\":5}}",
		"f:1: /sluice:switch/name: 5 is not a text in quotes");
	REFUSED("{\"sluice:switch\":{\"name\":null}}",
		"f:1: /sluice:switch/name: null is not a text in quotes");
	REFUSED(PORTS("{\"name\":\"h1\",\"device\":\"x\"},\n{\"device\":\"x\","
		      "\"name\":\"h "
		      "1\"}\n,\n{\"name\":\"h2\",\"device\":\"x\"}"),
		"f:4: /sluice:switch/port/name: \"h 1\": a name is made of "
		"letters, digits, '_', '.' and '-', and begins with a letter "
		"or digit");
}

static void devices_and_files(void)
{
	REFUSED(PORTS("{\"name\":\"h1\",\"device\":\"\"}"),
		"f:3: /sluice:switch/port[name='h1']/device: \"\": a device or "
		"file has 1 to 127 characters");
	REFUSED(PORTS("{\"name\":\"h1\",\"kind\":\"pcap\",\"device\":"
		      "\"a\\nb\"}"),
		"f:3: /sluice:switch/port[name='h1']/device: \"a\\nb\": a "
		"device or file has no control characters");
	REFUSED(PORTS("{\"name\":\"h1\",\"kind\":\"pcap\",\"device\":"
		      "\"\303\251\303\251\303\251\303\251\303\251\303\251\303"
		      "\251\303\251\303\251\303\251\303\251\303\251\303\251\303"
		      "\251\303\251\303\251\303\251\303\251\303\251\303\251\303"
		      "\251\303\251\303\251\303\251\303\251\303\251\303\251\303"
		      "\251\303\251\303\251\303\251\303\251\303\251\303\251\303"
		      "\251\303\251\303\251\303\251\303\251\303\251\303\251\303"
		      "\251\303\251\303\251\303\251\303\251\303\251\303\251\303"
		      "\251\303\251\303\251\303\251\303\251\303\251\303\251\303"
		      "\251\303\251\303\251\303\251\303\251\303\251\303\251\303"
		      "\251\303\251\303\251\303\251\303\251\303\251\303\251\303"
		      "\251\303\251\303\251\303\251\303\251\303\251\303\251\303"
		      "\251\303\251\303\251\303\251\303\251\303\251\303\251\303"
		      "\251\303\251\303\251\303\251\303\251\303\251\303\251\303"
		      "\251\303\251\303\251\303\251\303\251\303\251\303\251\303"
		      "\251\303\251\303\251\"}"),
		"f:3: /sluice:switch/port[name='h1']/device: "
		"\"\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303"
		"\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251"
		"\303\251\303\251\303\251\303\251\303\251...\" is longer than "
		"127 bytes");
	REFUSED(PORTS("{\"name\":\"h1\",\"device\":\"a23456789012345x\"}"),
		"f:3: /sluice:switch/port[name='h1']/device: "
		"\"a23456789012345x\": the device's name is too long: the "
		"kernel allows 15 characters");
	REFUSED(PORTS("{\"name\":\"h1\",\"device\":\"a/b\"}"),
		"f:3: /sluice:switch/port[name='h1']/device: \"a/b\": the "
		"device's name is none that the kernel allows: it has no '/', "
		"':', '%' or blanks and is not '.' or '..'");
	REFUSED(PORTS("{\"name\":\"h1\",\"kind\":\"tap\",\"device\":\"tap%"
		      "d\"}"),
		"f:3: /sluice:switch/port[name='h1']/device: \"tap%d\": the "
		"device's name is none that the kernel allows: it has no '/', "
		"':', '%' or blanks and is not '.' or '..'");
	REFUSED(PORTS("{\"name\":\"h1\",\"device\":\"..\"}"),
		"f:3: /sluice:switch/port[name='h1']/device: \"..\": the "
		"device's name is none that the kernel allows: it has no '/', "
		"':', '%' or blanks and is not '.' or '..'");
}

static void members_that_are_missing_or_unknown(void)
{
	REFUSED("{}", "f:1: /: there is no \"sluice:switch\"; a configuration "
		      "is one object with that member");
	REFUSED("{\"sluice:switch\":{}}",
		"f:1: /sluice:switch: \"name\" is missing");
	REFUSED("{\n\"sluice:switch\":{\"port\":[\n]}}",
		"f:2: /sluice:switch: \"name\" is missing");
	REFUSED("{\"sluce:switch\":{\"name\":\"d\"}}",
		"f:1: /: a configuration is one object with the one member "
		"\"sluice:switch\"");
	REFUSED("{\"switch\":{\"name\":\"d\"}}",
		"f:1: /: a configuration is one object with the one member "
		"\"sluice:switch\"");
	REFUSED("{\"sluice:switch\":{\"name\":\"d\"},\n\"ietf-interfaces:"
		"interfaces\":{}}",
		"f:1: /: a configuration is one object with the one member "
		"\"sluice:switch\"");
	REFUSED("{\"sluice:swich\":{\"name\":\"d\"}}",
		"f:1: /: a configuration is one object with the one member "
		"\"sluice:switch\"");
	REFUSED(SW(",\n\"prot\":[]"),
		"f:2: /sluice:switch/prot: there is no such member; \"port\" "
		"is probably meant");
	REFUSED(SW(",\n\n\"zzzzzz\":3"),
		"f:3: /sluice:switch/zzzzzz: there is no such member; there "
		"are name, engine, max-flows, max-macs, flow-idle-timeout, "
		"mac-ageing-time, huge-pages, region-file, region-dax, port");
	REFUSED(SW(",\"@name\":{\"x:y\":2}"),
		"f:1: /sluice:switch/name: \"d\": Prefix \"x\" of the metadata "
		"\"y\" does not match any module in the context");
	REFUSED(PORTS("{\"name\":\"h1\",\"knid\":\"tap\",\"device\":\"x\"}"),
		"f:3: /sluice:switch/port[name='h1']/knid: there is no such "
		"member; \"kind\" is probably meant");
	REFUSED(PORTS("{\"name\":\"h1\",\"device\":\"x\"},\n{\"device\":\"x\"}"
		      "\n"),
		"f:4: /sluice:switch/port: an entry has no \"name\"");
	REFUSED(PORTS("{\"name\":\"h1\"}"),
		"f:3: /sluice:switch/port[name='h1']: the port has no device: "
		"add \"device\", the name of the network device");
	REFUSED(PORTS("{\"name\":\"h1\",\"kind\":\"tap\"}"),
		"f:3: /sluice:switch/port[name='h1']: the port has no device: "
		"add \"device\", the name of the network device");
	REFUSED(PORTS("{\"name\":\"h1\",\"kind\":\"pcap\"}"),
		"f:3: /sluice:switch/port[name='h1']: the port has no file: "
		"add \"device\", the file to read from, or \"output\", the "
		"file to write to, or both");
	REFUSED(PORTS("{\"name\":\"h1\",\"device\":\"x\",\n\"output\":\"y\"}"),
		"f:4: /sluice:switch/port[name='h1']/output: is only possible "
		"where kind = 'pcap'");
	REFUSED(PORTS("{\"name\":\"h1\",\"kind\":\"tap\",\"device\":\"x\","
		      "\n\"access\":\"xsk\"}"),
		"f:4: /sluice:switch/port[name='h1']/access: is only possible "
		"where kind = 'netdev'");
}

static void what_must_be_there_once(void)
{
	REFUSED(PORTS("{\"name\":\"h1\",\"device\":\"x\"},\n{\"name\":\"h2\","
		      "\"device\":\"x\"}"),
		"f:4: /sluice:switch/port[name='h2']/device: \"x\" is the "
		"device of /sluice:switch/port[name='h1'] already");
	REFUSED(PORTS("{\"name\":\"h1\",\"device\":\"x\"},\n{\"name\":\"h1\","
		      "\"device\":\"y\"}"),
		"f:4: /sluice:switch/port[name='h1']: is there twice");
	REFUSED(SW(",\n\"name\":\"e\""),
		"f:2: /sluice:switch/name: is there twice");
	REFUSED(PORTS("{\"name\":\"h1\",\"kind\":\"pcap\",\"output\":\"x\"},\n{"
		      "\"name\":\"h2\",\"kind\":\"pcap\",\"output\":\"x\"}"),
		"f:4: /sluice:switch/port[name='h2']/output: \"x\" is the "
		"output of /sluice:switch/port[name='h1'] already");
	REFUSED(PORTS("{\"name\":\"h1\",\"kind\":\"pcap\",\"device\":\"x\","
		      "\"output\":\"y\"},\n{\"name\":\"h2\",\"kind\":\"pcap\","
		      "\"device\":\"y\"}"),
		"f:3: /sluice:switch/port[name='h1']/output: \"y\": the file "
		"is read by a port: write to another");
	REFUSED(PORTS("{\"name\":\"h1\",\"kind\":\"pcap\",\"device\":\"x\","
		      "\"output\":\"x\"}"),
		"f:3: /sluice:switch/port[name='h1']/output: \"x\": the file "
		"is read by a port: write to another");
}

static void what_no_engine_can_do(void)
{
	REFUSED(SW(",\"engine\":\"xdp\",\"port\":[{\"name\":\"h1\",\"kind\":"
		   "\"tap\",\"device\":\"x\"}]"),
		"f:1: /sluice:switch/engine: \"xdp\": engine xdp forwards "
		"between network devices only: give every port the kind "
		"netdev, or choose engine auto or poll");
	REFUSED(SW(",\n\"region-file\":\"/dev/shm/x\",\n\"engine\":\"xdp\""),
		"f:3: /sluice:switch/engine: \"xdp\": engine xdp reads its "
		"memory in a BPF arena only: leave out \"region-file\" and "
		"\"region-dax\", or choose engine poll");
	REFUSED(SW(",\"engine\":\"xdp\",\"region-dax\":\"/dev/dax0.0\""),
		"f:1: /sluice:switch/engine: \"xdp\": engine xdp reads its "
		"memory in a BPF arena only: leave out \"region-file\" and "
		"\"region-dax\", or choose engine poll");
}

static void the_wrong_shape(void)
{
	REFUSED("[]", "f:1: /: a configuration is one object with the one "
		      "member \"sluice:switch\"");
	REFUSED("\"x\"", "f:1: /: a configuration is one object with the one "
			 "member \"sluice:switch\"");
	REFUSED("{\"sluice:switch\":[]}",
		"f:1: /: a configuration is one object with the one member "
		"\"sluice:switch\"");
	REFUSED("{\"sluice:switch\":3}",
		"f:1: /: a configuration is one object with the one member "
		"\"sluice:switch\"");
	REFUSED("{\"sluice:switch\":{\"name\":[\"x\"]}}",
		"f:1: /sluice:switch/name: [\"x\"] is not a text in quotes");
	REFUSED("{\"sluice:switch\":{\"name\":\"x\",\"port\":{\"name\":\"x\","
		"\"device\":\"y\"}}}",
		"f:1: /sluice:switch/port: {\"name\":\"x\",\"device\":\"y\"} "
		"is not an array of objects");
	REFUSED("{\"sluice:switch\":{\"name\":\"x\",\"port\":[\"x\"]}}",
		"f:1: /sluice:switch/port: [\"x\"] is not an array of objects");
	REFUSED("{\"sluice:switch\":{\"name\":\"x\",\"port\":[{\"name\":\"x\","
		"\"device\":{\"a\":1}}]}}",
		"f:1: /sluice:switch/port[name='x']/device: {\"a\":1} is not a "
		"text in quotes");
}

static void no_json(void)
{
	REFUSED("", "f:1: the file is empty");
	REFUSED(" \n\t\n", "f:1: the file is empty");
	REFUSED("# a comment\n{}", "f:1: not JSON: Invalid character sequence "
				   "\"# a comment {}\", expected a JSON value");
	REFUSED("{\"sluice:switch\":{\"name\":\"d\",\n}}",
		"f:2: not JSON: Invalid character sequence \"}}\", expected a "
		"JSON object's member");
	REFUSED("{\"sluice:switch\":{\"name\":\"d\"\n\"x\":2}}",
		"f:2: not JSON: Unexpected character \"\"\" after JSON string");
	REFUSED("{\"sluice:switch\":{\"name\":\"d",
		"f:1: not JSON: the text ends too early");
	REFUSED("{\"sluice:switch\":{\"name\":\"d\"}",
		"f:1: not JSON: the text ends too early");
	REFUSED("{\"sluice:switch\":{\"name\":d}}",
		"f:1: not JSON: Invalid character sequence \"d}}\", expected a "
		"JSON value");
	REFUSED("{\"sluice:switch\":{\"name\":\"d\"}}\n x",
		"f:2: not JSON: there is something behind the last \"}\"");
	REFUSED("{\"sluice:switch\":{\"name\":\"d\"}} {}",
		"f:1: not JSON: there is something behind the last \"}\"");
	REFUSED("{\"sluice:switch\":{\"name\":\"\\u0000\"}}",
		"f:1: not JSON: Invalid character reference \"\\u0000\" "
		"(0x00000000)");
	REFUSED("{\"sluice:switch\":{\"name\":\"\377\"}}",
		"f:1: not JSON: Invalid character 0xffffffff");
	REFUSED("{\"sluice:switch\":{'name':\"d\"}}",
		"f:1: not JSON: Invalid character sequence \"'name':\"d\"}}\", "
		"expected a JSON object's member");
}

/* YANG counts characters; 126 letters and one of two bytes are too many. */
static void a_file_name_that_just_fits(void)
{
	static const char fmt[] =
		"{\"sluice:switch\":{\"name\":\"d\",\"port\":[{\"name\":"
		"\"p\",\"kind\":\"pcap\",\"output\":\"%0*d%s\"}]}}";
	char text[512];
	struct why why = {0};

	snprintf(text, sizeof(text), fmt, 125, 0, "\303\251");
	CHECK(config_parse(text, strlen(text), "f", &conf, &why) == 0);
	CHECK(strlen(conf.ports[0].output) == 127);
	snprintf(text, sizeof(text), fmt, 126, 0, "\303\251");
	CHECK(config_parse(text, strlen(text), "f", &conf, &why) == -EINVAL);
	CHECK(strstr(why.text, "is longer than 127 bytes"));
}

static void a_list_that_is_too_long(void)
{
	static char text[8192];
	size_t n = 0;

	n += (size_t)sprintf(text, "{\"sluice:switch\":{\"name\":\"d\","
				   "\"port\":[");
	for (int i = 1; i <= 64; i++)
		n += (size_t)
			sprintf(text + n,
				"%s\n{\"name\":\"h%d\",\"device\":\"d%d\"}",
				i > 1 ? "," : "", i, i);
	sprintf(text + n, "]}}");
	REFUSED(text, "f:65: /sluice:switch/port[name='h64']: more than 63 are "
		      "not possible");
}

static bool parsed(const char *text)
{
	struct why why = {0};
	int err;

	memset(&conf, 0xa5, sizeof(conf));
	err = config_parse(text, strlen(text), "f", &conf, &why);
	if (err)
		printf("# %s\n", why.text);
	CHECK(err == 0 && why.err == 0);
	return err == 0;
}

static void what_is_not_said_has_a_default(void)
{
	if (!parsed("{\"sluice:switch\":{\"name\":\"d\"}}"))
		return;
	CHECK(strcmp(conf.name, "d") == 0);
	CHECK(conf.engine == CONFIG_ENGINE_AUTO);
	CHECK_EQ(conf.max_flows, 65536);
	CHECK_EQ(conf.max_macs, 4096);
	CHECK_EQ(conf.flow_idle_s, 10);
	CHECK_EQ(conf.mac_age_s, 300);
	CHECK(conf.huge_pages);
	CHECK(conf.region == CONFIG_REGION_AUTO && !conf.region_path[0]);
	CHECK_EQ(conf.n_ports, 0);
}

static void where_the_memory_is(void)
{
	REFUSED(SW(",\n\"region-file\":\"x\""),
		"f:2: /sluice:switch/region-file: \"x\": a path begins with "
		"'/' "
		"and has no control characters");
	REFUSED(SW(",\n\"region-dax\":\"\""),
		"f:2: /sluice:switch/region-dax: \"\": a path has 1 to 127 "
		"characters");
	REFUSED(SW(",\n\"region-file\":\"/x\",\n\"region-dax\":\"/y\""),
		"f:3: /sluice:switch/region-dax: \"/y\": the switch's memory "
		"lies in one place: give \"region-file\" or \"region-dax\"");
	if (!parsed("{\"sluice:switch\":{\"name\":\"x\","
		    "\"region-file\":\"/dev/shm/a b\"}}"))
		return;
	CHECK(conf.region == CONFIG_REGION_FILE);
	CHECK(strcmp(conf.region_path, "/dev/shm/a b") == 0);
	if (!parsed("{\"sluice:switch\":{\"name\":\"x\","
		    "\"region-dax\":\"/dev/dax0.0\"}}"))
		return;
	CHECK(conf.region == CONFIG_REGION_DAX);
	CHECK(strcmp(conf.region_path, "/dev/dax0.0") == 0);
}

static void everything_that_is_said_arrives(void)
{
	if (!parsed("{\"sluice:switch\":{\"port\":["
		    "{\"device\":\"d 1\",\"kind\":\"pcap\",\"output\":\"o\","
		    "\"name\":\"z\"},"
		    "{\"name\":\"a\",\"device\":\"a23456789012345\","
		    "\"access\":\"xsk\"},"
		    "{\"name\":\"b\",\"kind\":\"tap\",\"device\":\"\\u0074\"}],"
		    "\"huge-pages\":false,\"engine\":\"poll\","
		    "\"max-flows\":8388608,\"max-macs\":1,"
		    "\"flow-idle-timeout\":86400,\"mac-ageing-time\":7,"
		    "\"name\":\"a.b_c-D\"}} \n"))
		return;
	CHECK(strcmp(conf.name, "a.b_c-D") == 0);
	CHECK(conf.engine == CONFIG_ENGINE_POLL);
	CHECK_EQ(conf.max_flows, 8388608);
	CHECK_EQ(conf.max_macs, 1);
	CHECK_EQ(conf.flow_idle_s, 86400);
	CHECK_EQ(conf.mac_age_s, 7);
	CHECK(!conf.huge_pages);
	CHECK_EQ(conf.n_ports, 3);
	CHECK(strcmp(conf.ports[0].name, "z") == 0);
	CHECK(conf.ports[0].kind == CONFIG_PORT_PCAP);
	CHECK(strcmp(conf.ports[0].device, "d 1") == 0);
	CHECK(strcmp(conf.ports[0].output, "o") == 0);
	CHECK(conf.ports[1].kind == CONFIG_PORT_NETDEV);
	CHECK(conf.ports[1].access == CONFIG_ACCESS_XSK);
	CHECK(strcmp(conf.ports[1].output, "") == 0);
	CHECK(conf.ports[2].kind == CONFIG_PORT_TAP);
	CHECK(conf.ports[2].access == CONFIG_ACCESS_PACKET);
	CHECK(strcmp(conf.ports[2].device, "t") == 0);
}

static void loads(const char *path, int want, const char *says)
{
	struct why why = {0};
	int err = config_load(path, &conf, &why);

	if (err != want || strcmp(why.text, says) != 0)
		printf("# %d %s\n", err, why.text);
	CHECK(err == want && why.err == want);
	CHECK(strcmp(why.text, says) == 0);
}

static void files_that_cannot_be_read(void)
{
	char path[] = "/tmp/config_test.XXXXXX";
	char dir[4096];
	int fd = mkstemp(path);
	char want[256];

	CHECK(fd >= 0);
	snprintf(want, sizeof(want), "%s:1: the file is empty", path);
	loads(path, -EINVAL, want);
	CHECK(ftruncate(fd, CONFIG_TEXT_MAX + 1) == 0);
	snprintf(want, sizeof(want), "%s: longer than 1048576 bytes", path);
	loads(path, -EFBIG, want);
	CHECK(ftruncate(fd, CONFIG_TEXT_MAX) == 0);
	snprintf(want, sizeof(want), "%s:1: not JSON: a NUL byte", path);
	loads(path, -EINVAL, want);
	close(fd);
	unlink(path);
	snprintf(want, sizeof(want), "%s: No such file or directory", path);
	loads(path, -ENOENT, want);
	loads("/tmp", -EISDIR, "/tmp: Is a directory");
	memset(dir, 'x', sizeof(dir) - 1);
	dir[sizeof(dir) - 1] = '\0';
	CHECK(config_load(dir, &conf, NULL) == -ENAMETOOLONG);
}

static void the_examples_are_right(void)
{
	static const char *const names[] = {"two-hosts", "tap", "pcap", "file"};
	const char *dir = getenv("SLUICE_EXAMPLES");
	char path[4096];

	if (!dir) {
		test_skip("SLUICE_EXAMPLES is not set");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s.json", dir, names[i]);
		loads(path, 0, "");
		CHECK(conf.n_ports >= 2);
	}
}

static void nothing_of_libyang_is_printed(void)
{
	static const char must[] = PORTS("{\"name\":\"h1\",\"kind\":\"pcap\","
					 "\"device\":\"x\",\"output\":\"x\"}");
	char path[] = "/tmp/config_test.XXXXXX";
	int fd = mkstemp(path), err = dup(STDERR_FILENO);

	CHECK(fd >= 0 && err >= 0);
	dup2(fd, STDERR_FILENO);
	CHECK(config_parse("{", 1, "f", &conf, NULL) == -EINVAL);
	CHECK(config_parse(must, strlen(must), "f", &conf, NULL) == -EINVAL);
	dup2(err, STDERR_FILENO);
	CHECK(lseek(fd, 0, SEEK_END) == 0);
	close(fd);
	close(err);
	unlink(path);
}

/* Whatever is cut or changed, the line finder stays inside the text. */
static void a_place_in_any_text(void)
{
	static const char text[] =
		PORTS("{\"name\":\"h\\\"1\",\"kind\":[{}]},\n"
		      "{\"name\":\"h2\",\"device\":\"x\"}");
	static const char path[] = "/sluice:switch/port[name='h2']/device";
	static const char two[] = "{\"a\":[{\"k\":\"1\",\"v\":5},\n"
				  "{\"k\":\"2\",\"v\":6},\n"
				  "{\"v\":7,\"k\":\"1\"}]}";
	struct json_text whole = {"f", text, strlen(text)};
	struct json_text twice = {"f", two, strlen(two)};
	struct json_place place;

	CHECK(json_find(&whole, path, 0, JSON_FIRST, &place));
	CHECK_EQ(place.line, 4);
	CHECK_EQ(place.value_len, 3);
	for (size_t len = 1; len < strlen(text); len++) {
		char *exact = malloc(len);
		struct json_text cut = {"f", exact, len};
		bool found;

		memcpy(exact, text, len);
		found = json_find(&cut, path, 0, JSON_LAST, &place);
		CHECK(!found || place.value + place.value_len <= exact + len);
		(void)json_rest(&cut);
		free(exact);
	}
	CHECK(json_find(&twice, "/a[k='1']/v", 0, JSON_FIRST, &place));
	CHECK(place.line == 1 && *place.value == '5');
	CHECK(json_find(&twice, "/a[k='1']/v", 0, JSON_LAST, &place));
	CHECK(place.line == 3 && *place.value == '7');
	CHECK(!json_find(&whole, "/sluice:switch/port[name", 0, JSON_FIRST,
			 &place));
	CHECK(!json_find(&whole, "/sluice:switch/port[name=", 0, JSON_FIRST,
			 &place));
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(words_that_are_none_of_the_words);
	TEST(numbers);
	TEST(texts);
	TEST(devices_and_files);
	TEST(members_that_are_missing_or_unknown);
	TEST(what_must_be_there_once);
	TEST(what_no_engine_can_do);
	TEST(where_the_memory_is);
	TEST(the_wrong_shape);
	TEST(no_json);
	TEST(a_file_name_that_just_fits);
	TEST(a_list_that_is_too_long);
	TEST(what_is_not_said_has_a_default);
	TEST(everything_that_is_said_arrives);
	TEST(files_that_cannot_be_read);
	TEST(the_examples_are_right);
	TEST(nothing_of_libyang_is_printed);
	TEST(a_place_in_any_text);
	return test_done();
}
