#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# First light: two hosts talk through Sluice. Makes two network namespaces
# joined by a switch, shows ARP, ping, TCP both ways and a capture, and says who
# forwarded what. With STAY=1 leaves it up until Ctrl-C.
#
# Usage: two-hosts.sh [BUILD-FOLDER]

set -eu
build=$(realpath "${1:-build}")
here=$(realpath "$(dirname "$0")")
. "$here/../devtools/netlab.sh"
lab_enter "$(realpath "$0")" "$build"

title() { printf '\n== %s\n' "$*"; }
stat() { sluice show stats --json | jq -r ".[0] | $1"; }

title "Two hosts, one switch"
lab_new
lab_host 1
lab_host 2
lab_config "${CONFIG:-}"
lab_say "[host 1: 10.0.0.1] --- h1 [sluiced: $lab] h2 --- [host 2: 10.0.0.2]"
# Host 1 talks all the time, so the first packet forwarded is as early as can be.
$(at h1) ping -b -q -i 0.01 -c 300 10.0.0.255 >/dev/null 2>&1 &
early=$!
switch_start
kill "$early" && wait "$early" || true
sluice show ports

title "ARP"
$(at h1) ping -c 1 -W 2 10.0.0.2 >"$lab_dir/first-ping" ||
	lab_fail "the first ping got no answer"
$(at h1) ip neigh show 10.0.0.2 | tee "$lab_dir/arp"
grep -q "02:00:00:00:00:02" "$lab_dir/arp" ||
	lab_fail "host 1 did not learn host 2's address"

title "ping, IPv4 and IPv6"
$(at h1) ping -c 5 -i 0.2 -W 2 10.0.0.2 | tail -n 2
$(at h1) ping -c 5 -i 0.2 -W 2 fd00::2 | tail -n 2

title "A capture at port h2, read by tcpdump"
$(at sw) "$build/cli/sluice" -s "$lab" capture h2 -w "$lab_dir/h2.pcap" 2>"$lab_dir/capture.log" &
capture_pid=$!
lab_mine "$capture_pid"
sleep 0.5
$(at h1) ping -c 3 -i 0.2 -W 2 10.0.0.2 >/dev/null ||
	lab_fail "ping during the capture"
sleep 0.5
kill -INT "$capture_pid" && wait "$capture_pid" || true
lab_tcpdump -n -r "$lab_dir/h2.pcap" icmp and host 10.0.0.2 2>/dev/null | tee "$lab_dir/seen"
[ "$(grep -c 'ICMP echo' "$lab_dir/seen")" -ge 6 ] ||
	lab_fail "the capture did not see three pings and their answers"

title "TCP both ways, iperf3"
$(at h2) iperf3 -s -1 -D --pidfile "$lab_dir/iperf.pid" >/dev/null
lab_wait 5 "iperf3 does not listen" "$(at h2) ss -ltn | grep -q :5201"
$(at h1) iperf3 -c 10.0.0.2 -t 2 --json >"$lab_dir/up.json" ||
	lab_fail "iperf3 from host 1 to host 2: $(jq -r .error "$lab_dir/up.json")"
lab_wait 5 "the first iperf3 server did not end" \
	"! $(at h2) ss -ltn | grep -q :5201"
$(at h2) iperf3 -s -1 -D --pidfile "$lab_dir/iperf.pid" >/dev/null
lab_wait 5 "iperf3 does not listen" "$(at h2) ss -ltn | grep -q :5201"
$(at h1) iperf3 -c 10.0.0.2 -t 2 -R --json >"$lab_dir/down.json" ||
	lab_fail "iperf3 from host 2 to host 1: $(jq -r .error "$lab_dir/down.json")"
rate() { jq -r '.end.sum_received.bits_per_second / 1e6 | round' "$1"; }
lab_say "host 1 -> host 2: $(rate "$lab_dir/up.json") Mbit/s"
lab_say "host 2 -> host 1: $(rate "$lab_dir/down.json") Mbit/s"

title "Who forwarded what"
sluice show stats
sluice show macs
sluice show flows

slow=$(stat .taken)
fast=$(stat '.rx_packets - .missed')
first=$(stat '.first_packet_after * 1000 | round')
engine=$(stat .engine)
title "Result"
lab_say "slow path: $slow packets; $engine: $fast packets"
lab_say "start to first packet forwarded: $first ms"
[ "$fast" -gt "$slow" ] || lab_fail "the $engine engine forwarded less than the slow path"

if [ -n "${STAY:-}" ]; then
	title "Up until Ctrl-C. In another terminal, as root:"
	lab_say "  S=\"$(at sw) $build/cli/sluice -s $lab\""
	lab_say "  \$S top; \$S show flows; \$S capture h1 -w - | tcpdump -n -r -"
	lab_say "  ip netns exec $lab-h1 ping 10.0.0.2"
	lab_say "  kill -9 $switch_pid     (known flows go on without the daemon)"
	wait "$switch_pid" || true
fi
