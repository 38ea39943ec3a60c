/* SPDX-License-Identifier: Apache-2.0 */
/* The engine from one capture file to another. */
#include <errno.h>
#include <pcap/pcap.h>
#include <unistd.h>

#include "base/rng.h"
#include "engine/poll/lab_dev_test.h"

static char tmp[] = "/tmp/sluice-files-XXXXXX";

static void write_pcap(const char *path, uint32_t n, struct rng *r)
{
	pcap_t *shape = pcap_open_dead(DLT_EN10MB, 65535);
	pcap_dumper_t *out = pcap_dump_open(shape, path);

	must(out);
	for (uint32_t i = 0; i < n; i++) {
		struct lab_udp u = {.from = 1,
				    .to = 2,
				    .len = 60 + rng_below(r, 1400),
				    .tag = i};
		struct pcap_pkthdr h = {.caplen = u.len, .len = u.len};
		uint8_t frame[LAB_FRAME_MAX];

		lab_frame(&u, frame);
		pcap_dump((uint8_t *)out, &h, frame);
	}
	/* One that was cut short when it was captured is not forwarded. */
	pcap_dump((uint8_t *)out,
		  &(struct pcap_pkthdr){.caplen = 60, .len = 1500},
		  (uint8_t[60]){0});
	pcap_dump_close(out);
	pcap_close(shape);
}

/* Do both files hold the same frames, in order? */
static uint32_t same_frames(const char *a, const char *b)
{
	char text[PCAP_ERRBUF_SIZE];
	pcap_t *fa = pcap_open_offline(a, text);
	pcap_t *fb = pcap_open_offline(b, text);
	struct pcap_pkthdr *ha, *hb;
	const uint8_t *da, *db;
	uint32_t n = 0;

	must(fa && fb);
	while (pcap_next_ex(fb, &hb, &db) == 1) {
		CHECK(pcap_next_ex(fa, &ha, &da) == 1);
		CHECK(ha->caplen == hb->caplen &&
		      memcmp(da, db, ha->caplen) == 0);
		n++;
	}
	pcap_close(fa);
	pcap_close(fb);
	return n;
}

static void what_is_read_from_a_file_is_written_to_another(void)
{
	struct rng r = rng_of(test_seed());
	struct sluice_port_stats s;
	char in[64], out[64];
	struct lab lab;

	lab_bare(&lab);
	snprintf(in, sizeof(in), "%s/in.pcap", tmp);
	snprintf(out, sizeof(out), "%s/out.pcap", tmp);
	write_pcap(in, 1000, &r);
	/* The first burst misses as a whole, before its flow is there. */
	if (open_device(&lab, 1, SLUICE_PORT_PCAP, in, "") &&
	    open_device(&lab, 2, SLUICE_PORT_PCAP, "", out)) {
		while (!poll_port(lab.engine, 1)->at_end)
			turn(&lab);
		poll_losses(lab.engine);
		sluice_reader_stats(&lab.see, 1, &s);
		CHECK(s.rx_packets == 1000 && s.rx_lost == 1);
		CHECK_EQ(s.missed, POLL_BUDGET);
		CHECK_EQ(same_frames(in, out), 1000);
	}
	lab_fini(&lab);
	unlink(in);
	unlink(out);
}

static void unfit_files_are_refused(void)
{
	struct sluice_port rec = {.name = "p", .kind = SLUICE_PORT_PCAP};
	struct why why = {0};
	struct port *p;

	snprintf(rec.device, sizeof(rec.device), "%s/none.pcap", tmp);
	CHECK_EQ(port_open(&rec, &p, &why), -ENOENT);
	snprintf(rec.device, sizeof(rec.device), "/dev/null");
	CHECK_EQ(port_open(&rec, &p, NULL), -EINVAL);
	snprintf(rec.device, sizeof(rec.device), "/proc/self/exe");
	CHECK_EQ(port_open(&rec, &p, NULL), -EINVAL);
	rec.device[0] = '\0';
	snprintf(rec.output, sizeof(rec.output), "/nonexistent/x.pcap");
	CHECK_EQ(port_open(&rec, &p, NULL), -EINVAL);
	rec.kind = SLUICE_PORT_XDP;
	CHECK_EQ(port_open(&rec, &p, NULL), -EINVAL);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	if (!mkdtemp(tmp))
		return 1;
	TEST(what_is_read_from_a_file_is_written_to_another);
	TEST(unfit_files_are_refused);
	rmdir(tmp);
	return test_done();
}
