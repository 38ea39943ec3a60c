/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine against a twin that looks at one frame at a time, keeps its flows
 * in an array, and knows nothing of bursts.
 */
#include "engine/poll/poll.h"

#include "base/rng.h"
#include "base/test.h"
#include "engine/poll/lab_test.h"
#include "sluice/parse.h"

#define N_PORTS 5u
#define N_FLOWS 200u
#define N_SETS 4u
#define SENT_MAX 1024u

/* ---- The twin ---- */

struct twin_flow {
	bool is_there;
	struct sluice_key key;
	sluice_act act;
	uint64_t n_packets, n_bytes;
};

/* What one port should have sent since it was last looked at. */
struct twin_out {
	uint32_t n;
	uint64_t tags[SENT_MAX];
};

struct twin {
	struct twin_flow flows[N_FLOWS];
	uint64_t sets[SLUICE_SETS_MAX];
	struct sluice_port_stats stats[SLUICE_PORTS_MAX];
	struct twin_out out[SLUICE_PORTS_MAX];
	uint64_t n_slow;
};

static struct twin_flow *twin_find(struct twin *t, const struct sluice_key *key)
{
	for (uint32_t i = 0; i < N_FLOWS; i++)
		if (t->flows[i].is_there &&
		    memcmp(&t->flows[i].key, key, sizeof(*key)) == 0)
			return &t->flows[i];
	return NULL;
}

static void twin_send(struct twin *t, uint32_t no, const struct lab_udp *u)
{
	t->stats[no].tx_packets++;
	t->stats[no].tx_bytes += u->len;
	t->out[no].tags[t->out[no].n++] = u->tag;
}

static void twin_apply(struct twin *t, uint32_t in, const struct lab_udp *u,
		       sluice_act act)
{
	struct sluice_port_stats *s = &t->stats[in];
	uint32_t arg = sluice_act_arg(act), n = 0;

	if (sluice_act_kind(act) == SLUICE_ACT_DROP) {
		s->drops[arg && arg < SLUICE_DROP_N ? arg
						    : SLUICE_DROP_POLICY]++;
		return;
	}
	for (uint32_t i = 1; i <= N_PORTS; i++) {
		bool is_meant = sluice_act_kind(act) == SLUICE_ACT_OUTPUT
					? i == arg
					: t->sets[arg] >> i & 1;

		if (!is_meant || i == in)
			continue;
		twin_send(t, i, u);
		n++;
	}
	if (n == 0)
		s->drops[SLUICE_DROP_NO_PORT]++;
	else
		s->copies += n - 1;
}

static void twin_recv(struct twin *t, uint32_t in, const struct lab_udp *u,
		      const uint8_t *frame, uint32_t len)
{
	struct sluice_port_stats *s = &t->stats[in];
	struct sluice_key key;
	enum sluice_drop why = sluice_parse(frame, frame + len, in, &key);
	struct twin_flow *f;

	s->rx_packets++;
	s->rx_bytes += len;
	if (why) {
		s->drops[why]++;
		return;
	}
	f = twin_find(t, &key);
	if (!f || sluice_act_kind(f->act) == SLUICE_ACT_SLOW) {
		s->missed++;
		t->n_slow++;
		return;
	}
	f->n_packets++;
	f->n_bytes += len;
	twin_apply(t, in, u, f->act);
}

/* ---- Both ---- */

static struct lab_udp some_udp(struct rng *r)
{
	return (struct lab_udp){
		.from = (uint8_t)rng_below(r, 6),
		.to = (uint8_t)rng_below(r, 6),
		.port = (uint16_t)rng_below(r, 3),
		.len = 60 + rng_below(r, 200),
	};
}

static sluice_act some_act(struct rng *r)
{
	switch (rng_below(r, 6)) {
	case 0:
		return sluice_act_of(SLUICE_ACT_DROP,
				     rng_below(r, SLUICE_DROP_N + 2));
	case 1:
		return sluice_act_of(SLUICE_ACT_SLOW, 0);
	case 2:
		return sluice_act_of(SLUICE_ACT_SET, rng_below(r, N_SETS));
	default:
		/* Also to ports that are not there, or have no number. */
		return sluice_act_of(SLUICE_ACT_OUTPUT,
				     rng_below(r, N_PORTS + 70));
	}
}

/* Writes a flow over whatever the place had, in both. */
static void change_flow(struct lab *lab, struct twin *t, struct rng *r)
{
	struct twin_flow *f = &t->flows[rng_below(r, N_FLOWS)];
	struct lab_udp u = some_udp(r);
	struct sluice_key key;
	uint8_t frame[512];

	if (f->is_there) {
		CHECK(table_exact_del(lab->flows, &f->key));
		f->is_there = false;
	}
	lab_frame(&u, frame);
	CHECK_EQ(sluice_parse(frame, frame + u.len, 1 + rng_below(r, N_PORTS),
			      &key),
		 SLUICE_DROP_NONE);
	if (rng_below(r, 4) == 0 || twin_find(t, &key))
		return;
	*f = (struct twin_flow){.is_there = true,
				.key = key,
				.act = some_act(r)};
	CHECK(lab_flow(lab, &key, f->act));
	/* No reader is inside a round now. */
	table_exact_reclaim(lab->flows, table_exact_mark(lab->flows));
}

static void push_some(struct lab *lab, struct twin *t, struct rng *r,
		      uint64_t *tag)
{
	uint32_t n = rng_below(r, POLL_BUDGET + 1);
	uint32_t in = 1 + rng_below(r, N_PORTS);

	for (uint32_t i = 0; i < n; i++) {
		struct lab_udp u = some_udp(r);
		uint8_t frame[512];
		uint32_t len = u.len;

		u.tag = ++*tag << 8 | in;
		lab_frame(&u, frame);
		if (rng_below(r, 16) == 0)
			len = rng_below(r, 60);
		if (rng_below(r, 32) == 0)
			frame[6] |= 1;
		CHECK(mem_peer_push(lab->peers[in], frame, len, NULL));
		twin_recv(t, in, &u, frame, len);
	}
}

/* Frames of one input port stay in order; those of others may come between. */
static void compare_output(struct lab *lab, struct twin *t, uint32_t no)
{
	uint64_t last[256] = {0}, tag;
	struct twin_out *out = &t->out[no];
	uint8_t frame[LAB_FRAME_MAX];
	uint32_t n = 0;

	while (mem_peer_pop(lab->peers[no], frame, sizeof(frame), NULL)) {
		bool is_known = false;

		memcpy(&tag, frame + 42, sizeof(tag));
		for (uint32_t i = 0; i < out->n; i++)
			is_known |= out->tags[i] == tag;
		CHECK(is_known);
		CHECK(tag > last[tag & 255]);
		last[tag & 255] = tag;
		n++;
	}
	CHECK_EQ(n, out->n);
	out->n = 0;
}

static void compare(struct lab *lab, struct twin *t)
{
	CHECK_EQ(lab->n_slow, t->n_slow);
	for (uint32_t i = 0; i < SLUICE_PORTS_MAX; i++) {
		struct sluice_port_stats s;

		sluice_reader_stats(&lab->see, i, &s);
		CHECK(memcmp(&s, &t->stats[i], sizeof(s)) == 0);
	}
	for (uint32_t i = 0; i < N_FLOWS; i++) {
		struct twin_flow *f = &t->flows[i];
		struct sluice_flow *real = lab_find(lab, &f->key);

		if (!f->is_there)
			continue;
		CHECK(real);
		if (!real)
			continue;
		CHECK_EQ(real->n_packets, f->n_packets);
		CHECK_EQ(real->n_bytes, f->n_bytes);
		CHECK(!f->n_packets || real->used_ns);
	}
}

static void it_does_what_the_twin_does(void)
{
	struct rng r = rng_of(test_seed());
	struct twin *t = calloc(1, sizeof(*t));
	struct lab lab;
	uint64_t tag = 0;

	lab_init(&lab, N_PORTS, 512);
	for (uint32_t i = 0; i < N_SETS; i++) {
		t->sets[i] = rng_next(&r);
		lab_set(&lab, i, t->sets[i]);
	}
	for (uint32_t step = 0; step < 20000; step++) {
		for (uint32_t i = rng_below(&r, 4); i > 0; i--)
			change_flow(&lab, t, &r);
		for (uint32_t i = rng_below(&r, 4); i > 0; i--)
			push_some(&lab, t, &r, &tag);
		while (poll_round(lab.engine, step + 1) > 0)
			;
		for (uint32_t i = 1; i <= N_PORTS; i++)
			compare_output(&lab, t, i);
		if (step % 500 == 0)
			compare(&lab, t);
	}
	compare(&lab, t);
	CHECK(lab_adds_up(&lab));
	CHECK(t->n_slow > 0 && tag > 10000);
	lab_fini(&lab);
	free(t);
}

int main(int argc, char **argv)
{
	test_init(argc, argv);
	TEST(it_does_what_the_twin_does);
	return test_done();
}
