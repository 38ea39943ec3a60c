#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# kill -9 of the daemon while iperf3 runs: no packet of a known flow is lost,
# and the daemon that comes back shows the same flows with exact counters.
# Usage: kill_daemon.sh BUILD-FOLDER ENGINE

. "$(dirname "$0")/start.sh"

lab_new
lab_host 1
lab_host 2
lab_config "\"engine\": \"$engine\", \"flow-idle-timeout\": 60,"
# A neighbour that is asked for again is a new flow; this test is about old ones.
ip -n "$lab-h1" neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev eth0 nud permanent
ip -n "$lab-h2" neigh add 10.0.0.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent
switch_start

$(at h2) iperf3 -s -1 >/dev/null 2>&1 &
lab_mine $!
lab_wait 5 "iperf3 does not listen" "$(at h2) ss -ltn | grep -q :5201"
$(at h1) iperf3 -c 10.0.0.2 -u -b 20M -l 1000 -w 2M -t 6 --json \
	>"$lab_dir/iperf.json" 2>&1 &
iperf_pid=$!
lab_mine "$iperf_pid"
sleep 2

kill -9 "$switch_pid"
wait "$switch_pid" 2>/dev/null
sleep 1
flow_packets() {
	sluice show flows --json | jq "[.[] | select(.eth_type == \"0x0800\"
		and .udp_dst == 5201) | .n_packets] | add // 0"
}
during=$(flow_packets)
sleep 0.5
check "known flows go on without a daemon" [ "$(flow_packets)" -gt "$during" ]
switch_start
check "the daemon that came back adopted the region" \
	[ "$(sluice show stats --json | jq '.[0].n_restarts')" = 1 ]
wait "$iperf_pid"

sent=$(jq '.end.sum.packets // 0' "$lab_dir/iperf.json")
lost=$(jq '.end.sum.lost_packets // -1' "$lab_dir/iperf.json")
counted=$(flow_packets)
echo "# sent $sent, lost $lost, the flow says $counted (one more: iperf3's hello)"
check "iperf3 ran to its end" [ "$sent" -gt 10000 ]
check "not one packet was lost" [ "$lost" = 0 ]
check "the flow counted every packet over the kill" [ "$counted" = $((sent + 1)) ]
check "packets are conserved" eval 'sluice show stats --json |
	jq -e ".[0] | .rx_packets + .copies ==
		.tx_packets + .dropped + .missed - .taken" >/dev/null'
tap_done
