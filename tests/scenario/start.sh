# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# How a shell scenario begins, and its test points as TAP. Sourced by scripts that
# are called as SCRIPT BUILD-FOLDER ENGINE; sets $build and $engine, has netlab,
# and skips all where the engine cannot run.

tap_n=0
tap_bad=0

# check "what holds" command...: one test point.
check() {
	tap_n=$((tap_n + 1))
	tap_name=$1
	shift
	if "$@"; then
		echo "ok $tap_n - $tap_name"
	else
		echo "not ok $tap_n - $tap_name"
		tap_bad=$((tap_bad + 1))
	fi
}

# The whole script cannot run here: says why and ends well.
skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}

tap_done() {
	echo "1..$tap_n"
	[ "$tap_bad" = 0 ]
}

set -u
build=$(realpath "$1")
engine=$2
. "$(dirname "$(realpath "$0")")/../../devtools/netlab.sh"
[ "$(id -u)" = 0 ] || skip_all "needs root: namespaces and BPF"
[ "$engine" != xdp ] || lab_has_arenas ||
	skip_all "needs Linux 6.9 or later: BPF arenas; this is $(uname -r)"
