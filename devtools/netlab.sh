# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# netlab - a switch and its hosts in network namespaces of our own
#
#       [lab-h1] eth0 ---- p1 [lab-sw] p2 ---- eth0 [lab-h2]  ...
#                              sluiced
#
# Sourced by the examples and the scenario tests, which set $build to the build
# folder. Everything that it makes is named after this process and goes with
# lab_end. Without root it works inside a user namespace (lab_enter).

lab=sl$$
lab_pids=
lab_dir=
lab_hosts=0
switch_pid=

lab_say() { printf '%s\n' "$*"; }

# Ends with a reason.
lab_fail() {
	printf 'FAILED: %s\n' "$*" >&2
	for log in "$lab_dir"/*.log; do
		[ -s "$log" ] && sed "s/^/  $(basename "$log"): /" "$log" >&2
	done
	exit 1
}

# Who is not root goes on as root of a user namespace, with a /run of its own.
# Usage: lab_enter "$0" "$@"
lab_enter() {
	[ "$(id -u)" = 0 ] && return
	if ! unshare --user --map-root-user --net --mount true 2>/dev/null; then
		lab_say "Needs root, or user namespaces, which are not allowed here."
		exit 77 # what meson takes for a skip
	fi
	exec unshare --user --map-root-user --net --mount sh -c \
		'mount -t tmpfs tmpfs /run && lab_entered=1 exec "$@"' sh "$@"
}

# tcpdump, which as root wants to become another user; that is not to be had in
# a user namespace, so there it runs as nobody in one more.
lab_tcpdump() {
	if [ -n "${lab_entered:-}" ]; then
		unshare --user --map-user=65534 tcpdump "$@"
	else
		tcpdump "$@"
	fi
}

# Is this kernel new enough for the XDP engine?
lab_has_arenas() {
	printf '6.9\n%s\n' "$(uname -r)" | sort -VC
}

lab_new() {
	lab_dir=$(mktemp -d)
	trap lab_end EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	ip netns add "$lab-sw"
	ip -n "$lab-sw" link set lo up
}

# Adds a host, joined to the switch's port p$1: 10.0.0.$1, fd00::$1.
# XDP hands frames on as they are, so a host must finish its checksums itself,
# and its end of the cable must take frames without an skb (GRO on).
lab_host() {
	ns=$lab-h$1
	lab_hosts=$((lab_hosts + 1))
	ip netns add "$ns"
	ip -n "$lab-sw" link add "p$1" type veth peer name eth0 netns "$ns"
	ip netns exec "$ns" ethtool -K eth0 tx off tso off gso off gro on \
		>/dev/null 2>&1 || lab_fail "ethtool -K eth0 in $ns"
	ip -n "$ns" link set eth0 address "02:00:00:00:00:0$1"
	ip -n "$ns" link set lo up
	ip -n "$ns" link set eth0 up
	ip -n "$ns" addr add "10.0.0.$1/24" dev eth0
	ip -n "$ns" addr add "fd00::$1/64" dev eth0 nodad
	ip -n "$lab-sw" link set "p$1" up
}

# Prints the prefix that runs a command at a host or where the switch is:
# $(at h1) ping ...; $(at sw) sluiced ... &. No function that runs it, for the
# pid of a function in the background is that of a shell. (ip netns exec would
# do, but gives the command a /sys without our BPF files.)
at() { printf 'nsenter --net=/run/netns/%s-%s' "$lab" "$1"; }

# Where the switch is: the poll engine's ports are captured by their device.
sluice() { $(at sw) "$build/cli/sluice" -s "$lab" "$@"; }

# Writes a configuration with ports h1..hN. Extra members: lab_config '"a": 1,'
lab_config() {
	{
		printf '{ "sluice:switch": {\n  "name": "%s",\n  %s\n  "port": [' \
			"$lab" "${1:-}"
		i=1
		while [ "$i" -le "$lab_hosts" ]; do
			[ "$i" = 1 ] || printf ','
			printf '\n    { "name": "h%s", "device": "p%s" }' "$i" "$i"
			i=$((i + 1))
		done
		printf '\n  ]\n} }\n'
	} >"$lab_dir/switch.json"
}

# Starts sluiced and waits until it forwards.
switch_start() {
	$(at sw) "$build/src/daemon/sluiced" "$lab_dir/switch.json" \
		>>"$lab_dir/sluiced.log" 2>&1 &
	switch_pid=$!
	lab_wait 5 "sluiced is not ready" \
		"sluice show ports --json 2>/dev/null | jq -se \
		'.[0] // [] | length == $lab_hosts and all(.state == \"up\")'"
}

# lab_wait SECONDS "reason" "command": until the command succeeds.
lab_wait() {
	tries=$(($1 * 20))
	while ! eval "$3" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || lab_fail "$2"
		sleep 0.05
	done
}

# Remembers a background process of ours to end: command & lab_mine $!
lab_mine() { lab_pids="$lab_pids $1"; }

lab_end() {
	status=$?
	set +e
	trap - EXIT
	for pid in $lab_pids; do
		kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	done
	if [ -n "$switch_pid" ]; then
		kill "$switch_pid" 2>/dev/null && wait "$switch_pid" 2>/dev/null
	fi
	i=1
	while [ "$i" -le "$lab_hosts" ]; do
		ip netns del "$lab-h$i" 2>/dev/null
		i=$((i + 1))
	done
	ip netns del "$lab-sw" 2>/dev/null
	[ -n "$lab_dir" ] && rm -rf "$lab_dir"
	exit $status
}
