/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forwarding between two veths by the XDP engine, beside a program that only
 * redirects, and beside the kernel's bridge.
 *
 *     gen -> h1 ---- s1 [engine, or bare] s2 ---- h2: count and drop
 *     gen -> h3 ---- s3 [bridge         ] s4 ---- h4: count and drop
 *
 * gen is an XDP program that the kernel runs on live frames (BPF_PROG_RUN), so
 * the whole way of a packet is paid by this thread, and by ksoftirqd of its
 * CPU, whose time is added. The ends cost the same on each way: the difference
 * between the engine and the bare redirect is what lookup and counting cost.
 * Flows come in an order without order, so each packet finds its entry in a
 * cache further off.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/must.h"
#include "bench/bench.h"
#include "bench_forward.skel.h"
#include "rig.h"
#include "sluice/capture.h"

enum { BUDGET_NS = 15, N_FLOWS = 4096, N_ROUNDS = 15, N_PACKETS = 500000 };

/* A way from host a to the next one. */
struct way {
	uint32_t a;
	struct bench_forward_bpf *skel;
};

struct lab {
	struct rig rig;
	struct rig_switch sw;
	struct way xdp, bridge;
	int link_fd;   /* of the program on s1 */
	int engine_fd; /* the engine's program */
	int ksoftirqd; /* its pid */
};

static int run(const char *cmd)
{
	return system(cmd); /* NOLINT(cert-env33-c): ip(8) makes devices */
}

/* The pid of ksoftirqd on a CPU. */
static int ksoftirqd_of(int cpu)
{
	char path[64], comm[32] = "", want[32];
	struct dirent *d;
	int pid = 0;
	DIR *dir = opendir("/proc");

	must(dir);
	snprintf(want, sizeof(want), "ksoftirqd/%d\n", cpu);
	while (!pid && (d = readdir(dir))) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%.20s/comm", d->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fgets(comm, sizeof(comm), f) && !strcmp(comm, want))
			pid = (int)strtol(d->d_name, NULL, 10);
		fclose(f);
	}
	closedir(dir);
	return pid;
}

/* CPU time of this thread and of the kernel's helper. */
static uint64_t cpu_ns(const struct lab *lab)
{
	char path[64], line[64] = "0";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", lab->ksoftirqd);
	f = fopen(path, "r");
	if (f) {
		if (!fgets(line, sizeof(line), f))
			line[0] = '\0';
		fclose(f);
	}
	return clock_cpu_ns() + strtoull(line, NULL, 10);
}

/* ns of CPU time for each packet that arrived. */
static double measure(const struct lab *lab, struct way *w)
{
	uint8_t frame[64] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
		    .data_size_in = 60, .repeat = N_PACKETS,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);
	int fd = bpf_program__fd(w->skel->progs.gen);
	volatile uint64_t *n = &w->skel->bss->n_arrived;
	uint64_t began, arrived = *n;
	int back = rig_enter(&lab->rig, w->a);

	began = cpu_ns(lab);
	must(!bpf_prog_test_run_opts(fd, &opts));
	rig_leave(back);
	/* What is still on its way is a few hundred packets at most. */
	arrived = *n - arrived;
	if (arrived * 100 < N_PACKETS * 99ull)
		bench_say("only %lu of %d packets arrived",
			  (unsigned long)arrived, N_PACKETS);
	must(arrived);
	return (double)(cpu_ns(lab) - began) / (double)arrived;
}

static void way_init(struct lab *lab, struct way *w, uint32_t a)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	const struct rig_host *from = &lab->rig.hosts[a];
	const struct rig_host *to = &lab->rig.hosts[a + 1];
	uint32_t zero = 0, s_to = if_nametoindex(to->outer);
	int back;

	w->a = a;
	w->skel = bench_forward_bpf__open();
	must(w->skel);
	w->skel->rodata->host_a = (uint8_t)a;
	w->skel->rodata->host_b = (uint8_t)(a + 1);
	back = rig_enter(&lab->rig, a);
	w->skel->rodata->to_ifindex = if_nametoindex(from->inner);
	rig_leave(back);
	must(!bench_forward_bpf__load(w->skel));
	must(!bpf_map_update_elem(bpf_map__fd(w->skel->maps.devs), &zero, &s_to,
				  BPF_ANY));
	back = rig_enter(&lab->rig, a + 1);
	must(bpf_link_create(bpf_program__fd(w->skel->progs.arrive),
			     (int)if_nametoindex(to->inner), BPF_XDP,
			     &opts) >= 0);
	rig_leave(back);
}

/* The engine between hosts 1 and 2, which knows all flows. */
static void engine_init(struct lab *lab)
{
	char path[128];
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);

	lab->rig.n_hosts = 2;
	must(!rig_switch_new(&lab->rig, &lab->sw, false));
	must(!rig_ports_add(&lab->rig, &lab->sw));
	must(rig_wait_up(&lab->rig, &lab->sw));
	lab->rig.n_hosts = 4;
	for (uint32_t i = 0; i < N_FLOWS; i++) {
		uint8_t frame[64];
		uint32_t n = rig_frame(frame, 1, 2, i);

		rig_flow_set(&lab->sw, frame, n, 1,
			     sluice_act_of(SLUICE_ACT_OUTPUT, 2));
	}
	snprintf(path, sizeof(path), SLUICE_BPF_DIR "/%s/port-1",
		 lab->rig.name);
	lab->link_fd = bpf_obj_get(path);
	must(lab->link_fd >= 0);
	must(!bpf_obj_get_info_by_fd(lab->link_fd, &info, &len));
	lab->engine_fd = bpf_prog_get_fd_by_id(info.prog_id);
	must(lab->engine_fd >= 0);
}

static void bridge_init(struct lab *lab)
{
	uint8_t frame[64];
	uint32_t len = rig_frame(frame, 4, 3, 0);

	/* The bridge alone, without iptables behind it, where it has them. */
	run("f=/proc/sys/net/bridge/bridge-nf-call-iptables; "
	    "[ ! -e $f ] || echo 0 > $f");
	must(!run("ip link add br0 type bridge mcast_snooping 0"));
	must(!run("ip link set s3 master br0; ip link set s4 master br0; "
		  "ip link set br0 up"));
	must(!rig_gro_on("s3"));
	for (int i = 0; i < 20; i++) { /* until it forwards, and knows host 4 */
		rig_send(&lab->rig, 4, frame, len);
		usleep(20000);
	}
}

static void lab_init(struct lab *lab)
{
	const char *cannot;
	int at = sched_getcpu();
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET((size_t)at, &cpu);
	must(!sched_setaffinity(0, sizeof(cpu), &cpu));
	lab->ksoftirqd = ksoftirqd_of(at);
	cannot = rig_init(&lab->rig, 4, 1);
	if (cannot) {
		bench_say("forwarding is not measured: %s", cannot);
		exit(0);
	}
	engine_init(lab);
	bridge_init(lab);
	way_init(lab, &lab->xdp, 1);
	way_init(lab, &lab->bridge, 3);
}

static double measure_with(struct lab *lab, int prog_fd)
{
	must(!bpf_link_update(lab->link_fd, prog_fd, NULL));
	return measure(lab, &lab->xdp);
}

static void row_init(struct bench_row *row, const char *flows, const char *what,
		     const char *peer)
{
	*row = (struct bench_row){.unit = "ns/packet",
				  .less_is_better = true,
				  .peer = peer};
	snprintf(row->name, sizeof(row->name), "forward/xdp/%s%s", flows, what);
}

/* The three ways in turn; the difference of the first two has a budget. */
static void rows(struct lab *lab, const char *flows, uint32_t n_flows)
{
	int bare_fd = bpf_program__fd(lab->xdp.skel->progs.bare);
	struct bench_row redirect, over, bridge;

	row_init(&redirect, flows, "", "devmap redirect");
	row_init(&over, flows, "/over-redirect", "budget");
	row_init(&bridge, flows, "/bridge", "linux bridge");
	lab->xdp.skel->bss->n_flows = n_flows;
	lab->bridge.skel->bss->n_flows = n_flows;
	for (int i = 0; i < N_ROUNDS; i++) {
		double ours = measure_with(lab, lab->engine_fd);
		double bare = measure_with(lab, bare_fd);

		bench_add(&redirect.ours, ours);
		bench_add(&redirect.theirs, bare);
		bench_add(&over.ours, ours - bare);
		bench_add(&over.theirs, BUDGET_NS);
		bench_add(&bridge.ours, ours);
		bench_add(&bridge.theirs, measure(lab, &lab->bridge));
	}
	bench_emit(&redirect);
	bench_emit(&over);
	bench_emit(&bridge);
}

int main(int argc, char **argv)
{
	struct lab lab = {0};
	struct bench b;

	bench_init(&b, argc, argv);
	if (!bench_wants(&b, "forward/xdp/"))
		return 0;
	lab_init(&lab);
	if (bench_wants(&b, "forward/xdp/1flow"))
		rows(&lab, "1flow", 1);
	if (bench_wants(&b, "forward/xdp/4096flows"))
		rows(&lab, "4096flows", N_FLOWS);
	rig_switch_free(&lab.sw, false);
	rig_fini(&lab.rig);
	return 0;
}
