#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sluice capture sees what a port receives and sends, whoever forwards it, and
# leaves nothing behind when it is killed.
#
#       [h1 10.0.0.1] --- h1 [sluiced] h2 --- [h2 10.0.0.2]
#
# Usage: capture.sh BUILD-FOLDER ENGINE

. "$(dirname "$0")/../scenario/start.sh"
command -v tcpdump >/dev/null || skip_all "needs tcpdump"

lab_new
lab_host 1
lab_host 2
lab_config "\"engine\": \"$engine\","
ip -n "$lab-h1" neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev eth0 nud permanent
ip -n "$lab-h2" neigh add 10.0.0.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent
switch_start

# A capture of ours in the background: its pid is that of sluice itself.
capture() {
	$(at sw) "$build/cli/sluice" -s "$lab" \
		capture "$@" 2>"$lab_dir/err" &
	capture_pid=$!
	lab_mine "$capture_pid"
	lab_wait 5 "the capture does not begin: $(cat "$lab_dir/err")" \
		"grep -q ^capturing $lab_dir/err"
	sleep 0.2
}

capture_end() {
	sleep 0.2
	kill -INT "$capture_pid"
	wait "$capture_pid"
}

# seen FILE FILTER: how many packets of the file are such.
seen() { tcpdump -nr "$1" "$2" 2>/dev/null | wc -l; }

ping_some() { $(at h1) ping -c "$1" -i 0.05 -W 2 10.0.0.2 >/dev/null; }

# The first packets of both flows go through the slow path.
f=$lab_dir/f.pcap
capture h2 -w "$f"
ping_some 10
check "it ends well when it is interrupted" capture_end
check "every request is seen" [ "$(seen "$f" 'icmp[0] == 8')" = 10 ]
check "every answer is seen" [ "$(seen "$f" 'icmp[0] == 0')" = 10 ]
check "it says how many" grep -q "^[0-9]* packets captured" "$lab_dir/err"
tcpdump -nr "$f" icmp 2>/dev/null | sed 's/^/# /;3q'

now=$(date +%s)
then=$(tcpdump -tt -c 1 -nr "$f" icmp 2>/dev/null | cut -d. -f1)
check "times are times of day" [ $((now - then)) -lt 60 ]

capture h2 -Q in -w "$f"
ping_some 3
capture_end
check "-Q in: only what the port receives" [ "$(seen "$f" icmp)" = 3 ]
check "-Q in: those are the answers" [ "$(seen "$f" 'icmp[0] == 0')" = 3 ]
capture h2 -Q out -w "$f"
ping_some 3
capture_end
check "-Q out: only what the port sends" [ "$(seen "$f" 'icmp[0] == 8')" = 3 ]
check "-Q out: and nothing else" [ "$(seen "$f" icmp)" = 3 ]

ping_some 20 &
lab_mine $!
sluice capture h1 -c 4 2>"$lab_dir/err" | tcpdump -nr - 2>/dev/null >"$lab_dir/out"
check "tcpdump reads it from a pipe, -c ends it" [ "$(wc -l <"$lab_dir/out")" = 4 ]
wait $!
sluice capture h1 --for 0.3 -w "$f" 2>/dev/null
check "--for ends it without packets" [ "$(seen "$f" icmp)" = 0 ]
ping_some 40 &
lab_mine $!
{
	sluice capture h1 2>"$lab_dir/err"
	echo $? >"$lab_dir/status"
} | head -c 200 >/dev/null
check "it ends well when nobody reads any more" [ "$(cat "$lab_dir/status")" = 0 ]
wait $!

# Full frames at a rate: each is in the file, or counted as lost.
$(at h2) iperf3 -s -1 >/dev/null 2>&1 &
lab_mine $!
lab_wait 5 "iperf3 does not listen" "$(at h2) ss -ltn | grep -q :5201"
capture h2 -Q out -w "$f"
$(at h1) iperf3 -c 10.0.0.2 -u -b 200M -l 1400 -t 1 --json >"$lab_dir/iperf.json"
capture_end
sent=$(jq '.end.sum.packets // -1' "$lab_dir/iperf.json")
lost=$(sed -n 's/^\([0-9]*\) packets lost.*/\1/p' "$lab_dir/err")
got=$(seen "$f" 'udp and port 5201 and greater 1400')
echo "# $sent sent, $got in the file, $lost lost"
check "no packet is missing but those that are counted" \
	[ $((got + lost)) -ge "$sent" ]
check "most are there" [ $((got * 10)) -ge $((sent * 9)) ]

if [ "$engine" = xdp ]; then
	capture h2 -w "$f"
	check "one capture a port" eval '! sluice capture h2 -w "$lab_dir/g" \
		2>"$lab_dir/err2" && grep -q "captured already" "$lab_dir/err2"'
	kill -9 "$capture_pid"
	wait "$capture_pid" 2>/dev/null
	sleep 2.5
	ping_some 2
	maps=/sys/fs/bpf/sluice/$lab
	check "a killed one leaves no lease" eval 'bpftool -j map lookup pinned \
		"$maps/capture_ports" key 2 0 0 0 |
		jq -e "all(.value[:8][]; . == \"0x00\")" | grep -q true'
	capture h2 -c 2 -w "$f"
	ping_some 2
	wait "$capture_pid"
	check "the port can be captured again" [ "$(seen "$f" icmp)" = 2 ]
	check "its ring is gone" eval 'bpftool -j map dump pinned \
		"$maps/capture_rings" | jq -e "length == 0" | grep -q true'
fi
tap_done
