# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Test points of a shell scenario, as TAP.

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
