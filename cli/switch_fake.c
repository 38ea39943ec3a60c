/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/switch_fake.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/must.h"
#include "base/why.h"
#include "region/region.h"

struct fake_out fake;
struct state fake_state;

static char dir[64] = "/tmp/cli_test.XXXXXX";
static const char *program;
static struct region *region;

void fake_init(void)
{
	program = getenv("SLUICE");
	must(program && mkdtemp(dir));
	setenv("SLUICE_RUN_DIR", dir, 1);
	unsetenv("NO_COLOR");
}

void fake_fini(void)
{
	rmdir(dir);
}

const char *fake_program(void)
{
	return program;
}

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

int fake_run(const char *args)
{
	char cmd[1024];
	int status;

	snprintf(cmd, sizeof(cmd), "%s %s >%s/out 2>%s/err </dev/null", program,
		 args, dir, dir);
	status = system(cmd); /* NOLINT(cert-env33-c): a test */
	take("out", fake.out, sizeof(fake.out));
	take("err", fake.err, sizeof(fake.err));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void port_make(uint32_t no, const char *name, const char *device,
		      enum sluice_port_kind kind)
{
	struct sluice_port *p = &fake_state.ports[no];

	snprintf(p->name, sizeof(p->name), "%s", name);
	snprintf(p->device, sizeof(p->device), "%s", device);
	memcpy(p->mac, (uint8_t[]){2, 0, 0, 0, 0, (uint8_t)no}, 6);
	p->ifindex = 10 + no;
	p->mtu = 1500;
	p->state = SLUICE_PORT_UP;
	p->kind = kind;
}

static void ports_make(void)
{
	struct sluice_port_stats *lane0 = &fake_state.stats[1];
	struct sluice_port_stats *lane1 =
		&fake_state.stats[SLUICE_PORTS_MAX + 1];

	port_make(1, "h1", "veth1", SLUICE_PORT_PACKET);
	port_make(2, "h2", "tap2", SLUICE_PORT_TAP);
	port_make(3, "file", "", SLUICE_PORT_PCAP);
	memcpy(fake_state.ports[3].output, "out.pcap", 9);
	port_make(7, "esc\033[2J\n", "x", SLUICE_PORT_MEM);
	fake_state.ports[7].state = SLUICE_PORT_FAILED;
	fake_state.sets[SLUICE_SET_ALL] = 1 << 1 | 1 << 2 | 1 << 3;
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

void fake_key(struct sluice_key *k, uint8_t src, uint8_t dst)
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

	must(table_exact_set(fake_state.flows, k, &f, NULL) == 0);
}

static void tables_fill(uint64_t created_ns)
{
	_Alignas(8) struct sluice_key k;
	_Alignas(8) struct sluice_mac_key mk = {{2, 0, 0, 0, 1, 1}, 0};
	struct sluice_mac m = {.port = 1,
			       .seen_ns = created_ns,
			       .learned_ns = created_ns,
			       .n_moves = 4};

	fake_key(&k, 1, 2);
	flow_add(&k, sluice_act_of(SLUICE_ACT_OUTPUT, 2), 12344, created_ns);
	fake_key(&k, 2, 1);
	flow_add(&k, sluice_act_of(SLUICE_ACT_DROP, 0), 6, created_ns);
	fake_key(&k, 3, 9);
	flow_add(&k, sluice_act_of(SLUICE_ACT_SET, SLUICE_SET_ALL), 0,
		 created_ns);
	must(table_exact_set(fake_state.macs, &mk, &m, NULL) == 0);
	mk = (struct sluice_mac_key){{2, 0, 0, 0, 1, 2}, 100};
	m.port = 2;
	m.n_moves = 0;
	must(table_exact_set(fake_state.macs, &mk, &m, NULL) == 0);
}

void fake_make(uint64_t created_ns)
{
	static const struct state_conf conf = {.engine = SLUICE_ENGINE_POLL,
					       .n_lanes = 2,
					       .n_flows = 100,
					       .n_macs = 10,
					       .seed = 1};
	struct why why = {0};
	char path[128], link[160], to[64];

	if (region_new_memfd(FAKE_NAME, state_region_len(&conf), false, &region,
			     &why) ||
	    state_new(region, &conf, &fake_state, &why)) {
		printf("# %s\n", why.text);
		abort();
	}
	fake_state.sw->started_ns = created_ns;
	fake_state.sw->first_packet_ns = created_ns + 12345678;
	fake_state.sw->n_restarts = 1;
	fake_state.sw->n_flows_added = 5;
	fake_state.sw->n_flows_removed = 2;
	ports_make();
	tables_fill(created_ns);
	snprintf(path, sizeof(path), "%s/" FAKE_NAME, dir);
	must(mkdir(path, 0700) == 0);
	snprintf(link, sizeof(link), "%s/region", path);
	snprintf(to, sizeof(to), "/proc/%d/fd/%d", getpid(), region->fd);
	must(symlink(to, link) == 0);
}

void fake_free(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/" FAKE_NAME "/region", dir);
	unlink(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
	state_fini(&fake_state);
	region_free(region);
}
