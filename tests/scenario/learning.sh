#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The learning switch with real hosts: a station that moves is followed at once,
# flows that go idle leave, and who knows nobody is flooded to.
# Usage: learning.sh BUILD-FOLDER ENGINE

. "$(dirname "$0")/start.sh"

lab_new
lab_host 1
lab_host 2
lab_host 3
lab_config "\"engine\": \"$engine\", \"flow-idle-timeout\": 3,"
switch_start

mac_port() {
	sluice show macs --json | jq -r ".[] | select(.mac == \"$1\") | .port"
}
pings() { $(at h1) ping -q -c 3 -i 0.1 -W 1 10.0.0.2 >/dev/null; }

check "host 1 reaches host 2" pings
check "host 2's address is learned at its port" \
	[ "$(mac_port 02:00:00:00:00:02)" = h2 ]

# Host 3 becomes host 2, as a virtual machine does that migrates, and says so by
# its first packet. Host 1 knows nothing of it.
# Host 2's link stays up, so nothing else takes the old flows away.
ip -n "$lab-h2" addr flush dev eth0
ip -n "$lab-h2" link set eth0 address 02:00:00:00:00:22
ip -n "$lab-h3" link set eth0 address 02:00:00:00:00:02
ip -n "$lab-h3" addr add 10.0.0.2/24 dev eth0
$(at h3) ping -q -c 1 -W 1 -I 10.0.0.2 10.0.0.1 >/dev/null
check "its address is at host 3's port now" \
	[ "$(mac_port 02:00:00:00:00:02)" = h3 ]
check "the very next packets of host 1 go there" pings
check "nothing flaps" \
	[ "$(sluice show macs --json | jq '[.[].n_moves] | max')" -le 1 ]

# Without addresses the hosts fall silent; their ports stay up.
for host in h1 h2 h3; do
	ip -n "$lab-$host" addr flush dev eth0
done
lab_wait 10 "flows do not leave" "sluice show flows --json | jq -se '.[0] == []'"
check "idle flows have left" [ "$(sluice show flows --json | jq length)" = 0 ]
check "packets are conserved" eval 'sluice show stats --json |
	jq -e ".[0] | .rx_packets + .copies ==
		.tx_packets + .dropped + .missed - .taken" >/dev/null'
tap_done
