#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The switch's memory in a file: daemon and engine are both killed (-9), and what
# they knew is there to be read and for the next daemon to go on with.
# Usage: file_region.sh BUILD-FOLDER ENGINE

. "$(dirname "$0")/start.sh"

lab_new
lab_host 1
lab_host 2
file=/dev/shm/sluice-$lab
trap 'rm -f "$file"; lab_end' EXIT
lab_config "\"engine\": \"$engine\", \"flow-idle-timeout\": 600,
  \"region-file\": \"$file\","
if [ "$engine" = xdp ]; then
	check "engine xdp refuses memory in a file by its configuration" \
		eval '"$build/src/daemon/sluiced" "$lab_dir/switch.json" 2>&1 |
			grep -q "engine: \"xdp\": engine xdp reads its memory in"'
	check "and makes no file" [ ! -e "$file" ]
	tap_done
	exit
fi
switch_start

ping_h2() { $(at h1) ping -qc 3 -i 0.2 10.0.0.2 >/dev/null; }
check "hosts reach each other" ping_h2
check "the file is its owner's alone" [ "$(stat -c %a "$file")" = 600 ]
# Of the pings; neighbours may be asked for at any time.
flows() { sluice show flows --json | jq -c '[.[] | select(.eth_type == "0x0800") |
	{eth_src, eth_dst, n_packets}] | sort'; }
macs() { sluice show macs --json | jq -c '[.[] | {mac, port}] | sort'; }
received() { sluice show stats --json | jq '.[0].rx_packets'; }
before=$(flows)
macs_before=$(macs)

poll_pid() { pgrep -f "sluice-poll --name $lab" || true; }
kill -9 "$switch_pid" "$(poll_pid)"
wait "$switch_pid" 2>/dev/null
sleep 0.2
check "both are dead" [ -z "$(poll_pid)" ]
check "flows are shown while nobody runs" [ "$(flows)" = "$before" ]
check "and there are some" [ "$(flows | jq length)" -ge 2 ]
check "and so are addresses" [ "$(macs)" = "$macs_before" ]
n=$(received)

switch_start
check "the daemon that came back adopted the region" \
	[ "$(sluice show stats --json | jq '.[0].n_restarts')" = 1 ]
check "it says so" grep -q "taken over" "$lab_dir/sluiced.log"
check "counters go on" [ "$(received)" -ge "$n" ]
check "addresses too" [ "$(macs)" = "$macs_before" ]
check "hosts reach each other again" ping_h2
check "in the flows of before" [ "$(sluice show flows --json |
	jq '[.[] | select(.n_packets >= 6)] | length')" -ge 2 ]
check "packets are conserved" eval 'sluice show stats --json |
	jq -e ".[0] | .rx_packets + .copies >=
		.tx_packets + .dropped" >/dev/null'

kill "$switch_pid"
wait "$switch_pid" 2>/dev/null
switch_pid=
check "after an orderly end no switch is listed" \
	eval '! sluice show stats >/dev/null 2>&1'
check "but its memory is there" [ -s "$file" ]
chmod g+w "$file"
check "a file that others may write is refused" eval \
	'! $(at sw) "$build/src/daemon/sluiced" "$lab_dir/switch.json" \
		2>"$lab_dir/refused.txt" && grep -q "chmod go-w" "$lab_dir/refused.txt"'
tap_done
