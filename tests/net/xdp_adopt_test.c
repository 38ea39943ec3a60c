/* SPDX-License-Identifier: Apache-2.0 */

/* What becomes of known flows when the engine's process dies, and returns. */

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/must.h"
#include "base/test.h"
#include "rig.h"
#include "sluice/atomic.h"
#include "sluice/capture.h"
#include "sluice/parse.h"

static const char *cannot; /* why nothing can be tested here */
static struct rig rig;

enum { N_HOSTS = 3, MS = 1000 };

static bool ports_up(struct rig_switch *sw)
{
	CHECK(!rig_ports_add(&rig, sw));
	CHECK(!sw->engine->ops->set_ports(sw->engine, SLUICE_SET_ALL, ~0ull,
					  NULL));
	CHECK(rig_wait_up(&rig, sw));
	return !test_.failed;
}

static bool switch_up(struct rig_switch *sw)
{
	CHECK(!rig_switch_new(&rig, sw, false));
	return ports_up(sw);
}

static void path_of(const char *object, char out[128])
{
	snprintf(out, 128, SLUICE_BPF_DIR "/%s/%s", rig.name, object);
}

struct link_ids {
	uint32_t link;
	uint32_t prog;
};

static struct link_ids link_of(uint32_t no)
{
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);
	char path[128], object[16];
	int fd;

	snprintf(object, sizeof(object), "port-%u", no);
	path_of(object, path);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return (struct link_ids){0, 0};
	CHECK(!bpf_obj_get_info_by_fd(fd, &info, &len));
	close(fd);
	return (struct link_ids){info.id, info.prog_id};
}

/* Host 1 sends a flow to host 2, 20,000 packets a second, until told. */
struct sender {
	pthread_t thread;
	uint32_t stop;
	uint64_t n;
};

static void *send_run(void *arg)
{
	struct sender *s = arg;
	uint8_t frame[64];
	uint32_t len = rig_frame(frame, 1, 2, 1);

	while (!sluice_load32_relaxed(&s->stop)) {
		rig_send(&rig, 1, frame, len);
		s->n++;
		usleep(50);
	}
	return NULL;
}

/* A process with an engine that knows the sender's flow; told by a byte. */
static pid_t child_start(void)
{
	int ready[2];
	char c;
	pid_t pid;

	must(!pipe(ready));
	pid = fork();
	if (!pid) {
		struct rig_switch sw;
		uint8_t frame[64];
		uint32_t len = rig_frame(frame, 1, 2, 1);

		if (switch_up(&sw)) {
			rig_flow_set(&sw, frame, len, 1,
				     sluice_act_of(SLUICE_ACT_OUTPUT, 2));
			must(write(ready[1], "x", 1) == 1);
		}
		close(ready[1]);
		for (;;)
			pause();
	}
	close(ready[1]);
	CHECK_EQ(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void kill_and_adopt(void)
{
	struct rig_switch sw;
	struct sender s = {0};
	struct link_ids before, after;
	struct sluice_flow *f;
	struct sluice_key key;
	uint8_t frame[64];
	uint32_t len = rig_frame(frame, 1, 2, 1);
	uint64_t host2 = rig_host_packets(&rig, 2);
	pid_t pid = child_start();

	must(!pthread_create(&s.thread, NULL, send_run, &s));
	usleep(100000);
	before = link_of(1);
	must(!kill(pid, SIGKILL));
	must(waitpid(pid, NULL, 0) == pid);
	usleep(100000);
	CHECK(!rig_switch_adopt(&rig, &sw));
	CHECK(ports_up(&sw));
	after = link_of(1);
	usleep(100000);
	sluice_store32_relaxed(&s.stop, 1);
	pthread_join(s.thread, NULL);
	usleep(50000);

	CHECK(before.link && before.link == after.link);
	CHECK(before.prog != after.prog);
	CHECK_EQ(rig_stats(&sw, 1).rx_packets, s.n);
	CHECK_EQ(rig_host_packets(&rig, 2) - host2, s.n);
	CHECK(!sluice_parse(frame, frame + len, 1, &key));
	f = (void *)(table_exact_find(sw.flows, &key) + 8 + sizeof(key));
	CHECK_EQ(f->n_packets, s.n);
	CHECK_EQ(rig_stats(&sw, 1).missed, 0);
	CHECK_EQ(rig_imbalance(&sw), 0);
	printf("# %lu packets, none lost\n", (unsigned long)s.n);
	rig_switch_free(&sw, false);
}

static void a_kill_costs_no_packet_of_a_known_flow(void)
{
	if (cannot)
		test_skip(cannot);
	else
		kill_and_adopt();
}

static void misses_flow_again_soon_after_a_kill(void)
{
	struct rig_switch sw;
	uint8_t frame[64];
	uint32_t len = rig_frame(frame, 1, 3, 9), n;
	struct miss m;
	pid_t pid;

	if (cannot)
		return test_skip(cannot);
	pid = child_start();
	must(!kill(pid, SIGKILL));
	must(waitpid(pid, NULL, 0) == pid);
	CHECK(!rig_switch_adopt(&rig, &sw));
	CHECK(ports_up(&sw));
	for (n = 0; n < 50; n++) {
		rig_send(&rig, 1, frame, len);
		if (rig_misses(&sw, &m, 1, 20))
			break;
	}
	CHECK(n < 50);
	printf("# after %u ms\n", n * 20);
	CHECK_EQ(m.in_port, 1);
	sw.engine->ops->give(sw.engine, &m, 1);
	CHECK_EQ(sw.engine->ops->send(sw.engine, 3, frame, len), 0);
	rig_switch_free(&sw, false);
}

/* The pins of another region: a daemon could not adopt it and made its own. */
static void leftovers_of_another_region_are_replaced(void)
{
	struct rig_switch old, sw;
	struct link_ids before;
	uint8_t frame[64], got[2048];
	uint32_t len = rig_frame(frame, 2, 3, 77);

	if (cannot || !switch_up(&old))
		return test_skip(cannot);
	before = link_of(1);
	rig_switch_free(&old, true);
	if (!switch_up(&sw))
		return;
	CHECK(link_of(1).link && link_of(1).link != before.link);
	rig_flow_set(&sw, frame, len, 2, sluice_act_of(SLUICE_ACT_OUTPUT, 3));
	rig_send(&rig, 2, frame, len);
	CHECK_EQ(rig_recv(&rig, 3, got, MS), len);
	CHECK_EQ(rig_stats(&sw, 3).tx_packets, 1);
	rig_switch_free(&sw, false);
}

static void two_engines_of_one_name_are_refused(void)
{
	struct xdp_engine_conf conf = {.log = NULL};
	struct rig_switch sw;
	struct why why = {0};
	struct engine *e;

	if (cannot || !switch_up(&sw))
		return test_skip(cannot);
	conf.region = sw.region;
	CHECK(xdp_engine_open(&conf, &e, &why) == -EBUSY);
	printf("# %s\n", why.text);
	CHECK(strstr(why.text, rig.name));
	rig_switch_free(&sw, false);
}

static void a_port_that_is_not_added_again_can_be_deleted(void)
{
	struct rig_switch sw;
	uint32_t id = 0;

	if (cannot || !switch_up(&sw))
		return test_skip(cannot);
	rig_switch_free(&sw, true);
	CHECK(!rig_switch_adopt(&rig, &sw));
	CHECK_EQ(sw.sets[SLUICE_SET_ALL], 0xe);
	sw.engine->ops->port_del(sw.engine, 3);
	CHECK_EQ(link_of(3).link, 0);
	CHECK(link_of(2).link);
	CHECK_EQ(sw.sets[SLUICE_SET_ALL], 0x6);
	CHECK(!bpf_xdp_query_id((int)if_nametoindex("s3"), 0, &id));
	CHECK_EQ(id, 0);
	rig_switch_free(&sw, false);
}

static void a_clean_stop_leaves_nothing(void)
{
	struct rig_switch sw;
	char path[128];
	uint32_t id = 1;

	if (cannot || !switch_up(&sw))
		return test_skip(cannot);
	rig_switch_free(&sw, false);
	path_of("", path);
	CHECK(access(path, F_OK) == -1);
	CHECK(!bpf_xdp_query_id((int)if_nametoindex("s1"), 0, &id));
	CHECK_EQ(id, 0);
}

/* Lets the engine look at its devices until port no has a state. */
static bool wait_state(struct rig_switch *sw, uint32_t no, uint32_t state)
{
	struct miss m;

	for (int i = 0; i < 100 && sw->ports[no].state != state; i++)
		if (rig_misses(sw, &m, 1, 10))
			sw->engine->ops->give(sw->engine, &m, 1);
	return sw->ports[no].state == state;
}

static void a_device_may_go_and_return(void)
{
	struct rig_switch sw;
	uint8_t frame[64];
	uint32_t len = rig_frame(frame, 1, 2, 5);

	if (cannot || !switch_up(&sw))
		return test_skip(cannot);
	must(!system("ip link set s2 down"));
	CHECK(wait_state(&sw, 2, SLUICE_PORT_DOWN));
	CHECK_EQ(sw.sets[SLUICE_SET_ALL], 0xa);
	rig_flow_set(&sw, frame, len, 1, sluice_act_of(SLUICE_ACT_OUTPUT, 2));
	rig_send(&rig, 1, frame, len);
	usleep(20000);
	CHECK_EQ(rig_stats(&sw, 1).drops[SLUICE_DROP_NO_PORT], 1);
	must(!system("ip link set s2 up mtu 1400"));
	CHECK(wait_state(&sw, 2, SLUICE_PORT_UP));
	CHECK_EQ(sw.ports[2].mtu, 1400);
	CHECK_EQ(sw.sets[SLUICE_SET_ALL], 0xe);

	must(!system("ip link set s2 name gone"));
	CHECK(wait_state(&sw, 2, SLUICE_PORT_DOWN));
	CHECK_EQ(link_of(2).link, 0);
	must(!system("ip link set gone name s2"));
	CHECK(wait_state(&sw, 2, SLUICE_PORT_UP));
	CHECK(link_of(2).link);
	rig_send(&rig, 1, frame, len);
	usleep(20000);
	CHECK_EQ(rig_stats(&sw, 2).tx_packets, 1);
	CHECK_EQ(rig_imbalance(&sw), 0);
	must(!system("ip link set s2 mtu 1500"));
	rig_switch_free(&sw, false);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	cannot = rig_init(&rig, N_HOSTS, 1);
	TEST(a_kill_costs_no_packet_of_a_known_flow);
	TEST(misses_flow_again_soon_after_a_kill);
	TEST(leftovers_of_another_region_are_replaced);
	TEST(two_engines_of_one_name_are_refused);
	TEST(a_port_that_is_not_added_again_can_be_deleted);
	TEST(a_clean_stop_leaves_nothing);
	TEST(a_device_may_go_and_return);
	rig_fini(&rig);
	return test_done();
}
