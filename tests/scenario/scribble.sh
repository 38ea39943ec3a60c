#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A hostile process writes over the live memory of one switch. Its engine and
# whoever reads it survive; another switch beside it is exact throughout.
# Usage: scribble.sh BUILD-FOLDER ENGINE [SECONDS]
#
#     h1 -- sound switch -- h2          h3 -- victim -- h4
#           iperf3, exact                     pings, and scribbles

. "$(dirname "$0")/start.sh"
seconds=${3:-60}

lab_new
lab_host 1
lab_host 2
lab_config "\"engine\": \"$engine\", \"flow-idle-timeout\": 600,"
ip -n "$lab-h1" neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev eth0 nud permanent
ip -n "$lab-h2" neigh add 10.0.0.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent
switch_start

# The victim, beside it.
lab_host 3
lab_host 4
victim=$lab-v
sed "s/\"name\": \"$lab\"/\"name\": \"$victim\"/; s/\"h1\"/\"h3\"/; s/\"h2\"/\"h4\"/
	s/\"p1\"/\"p3\"/; s/\"p2\"/\"p4\"/" \
	"$lab_dir/switch.json" >"$lab_dir/victim.json"
$(at sw) "$build/src/daemon/sluiced" "$lab_dir/victim.json" \
	>>"$lab_dir/victim.log" 2>&1 &
victim_pid=$!
lab_mine "$victim_pid"
of_victim() { timeout 30 "$build/cli/sluice" -s "$victim" "$@"; }
lab_wait 5 "the victim is not ready" "of_victim show ports --json |
	jq -se '.[0] // [] | length == 2 and all(.state == \"up\")'"
check "the victim forwards" eval '$(at h3) ping -q -c 3 -i 0.2 -W 2 10.0.0.4 >/dev/null'

region=/sys/fs/bpf/sluice/$victim/arena
engine_pid=
if [ "$engine" = poll ]; then
	region=/run/sluice/$victim/region
	engine_pid=$(readlink "$region" | cut -d/ -f3)
fi

# The sound one at work: known flows, counted packet by packet.
$(at h2) iperf3 -s -1 >/dev/null 2>&1 &
lab_mine $!
lab_wait 5 "iperf3 does not listen" "$(at h2) ss -ltn | grep -q :5201"
$(at h1) iperf3 -c 10.0.0.2 -u -b 5M -l 500 -w 2M -t $((seconds + 2)) --json \
	>"$lab_dir/iperf.json" 2>&1 &
iperf_pid=$!
lab_mine "$iperf_pid"

# The victim at work too. Its slow path owns the memory, so it is not what is
# tested here: engine and readers are.
kill -9 "$victim_pid"
wait "$victim_pid" 2>/dev/null
for from in 3 4; do
	$(at h$from) ping -q -f -W 1 -w "$seconds" "10.0.0.$((7 - from))" \
		>/dev/null 2>&1 &
	lab_mine $!
done
"$build/tests/scribble/scribbler" "$region" "$seconds" $$ \
	>"$lab_dir/scribbled" &
scribbler_pid=$!
lab_mine "$scribbler_pid"

# Readers of both, again and again. A reader may refuse what it sees there, but
# it ends, and not by a signal.
rounds=0 died=0 unwhole=0
while kill -0 "$scribbler_pid" 2>/dev/null; do
	for what in "ports" "flows" "macs" "stats" "region --deep" \
		"flows --json" "region --deep --json"; do
		# shellcheck disable=SC2086
		of_victim show $what >/dev/null 2>&1
		status=$?
		[ "$status" -le 1 ] || {
			died=$((died + 1))
			echo "# show $what on the victim: $status"
		}
	done
	sluice show region --deep >"$lab_dir/deep" 2>&1 || {
		unwhole=$((unwhole + 1))
		sed 's/^/# /' "$lab_dir/deep"
	}
	rounds=$((rounds + 1))
done
wait "$scribbler_pid"
check "the scribbler wrote to its end: $(cat "$lab_dir/scribbled")" [ $? = 0 ]
check "$rounds rounds of readers ended in order" [ "$died" = 0 ]
check "the sound region was whole at every look" [ "$unwhole" = 0 ]
[ -z "$engine_pid" ] || check "the victim's engine lives" kill -0 "$engine_pid"

wait "$iperf_pid"
sent=$(jq '.end.sum.packets // 0' "$lab_dir/iperf.json")
lost=$(jq '.end.sum.lost_packets // -1' "$lab_dir/iperf.json")
counted=$(sluice show flows --json | jq '[.[] | select(.eth_type == "0x0800"
	and .udp_dst == 5201) | .n_packets] | add // 0')
echo "# sent $sent, lost $lost, the flow says $counted (one more: iperf3's hello)"
check "the sound switch lost nothing of many" \
	eval '[ "$sent" -gt $((seconds * 1000)) ] && [ "$lost" = 0 ]'
check "it counted every packet" [ "$counted" = $((sent + 1)) ]
check "its packets are conserved" eval 'sluice show stats --json |
	jq -se ".[0][0] | .rx_packets + .copies ==
		.tx_packets + .dropped + .missed - .taken" >/dev/null'

# Who comes back finds the victim's memory in ruins and says so.
timeout 20 $(at sw) "$build/src/daemon/sluiced" "$lab_dir/victim.json" \
	>"$lab_dir/ruins" 2>&1
status=$?
check "a daemon that finds ruins ends with a reason or goes on" \
	eval '[ "$status" = 1 ] && [ -s "$lab_dir/ruins" ] || [ "$status" = 124 ]'
sed 's/^/# /' "$lab_dir/ruins"
tap_done
