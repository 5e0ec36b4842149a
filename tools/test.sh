#!/bin/sh
# Runs every test with the race detector and ends with a list of what was
# skipped, and why. As root it first installs what the tests need.
#
# KSD_REFUSE_SKIPS=1 makes a skip a failure: on a machine that can run all.
set -eu
cd "$(dirname "$0")/.."
packages='gcc libc6-dev libpam0g-dev libpam-wrapper openssh-client openssh-server pamtester cron git rsync tmux sudo util-linux systemd'

missing=
for p in $packages; do
	if command -v dpkg-query >/dev/null; then
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
	fi
done
if [ -n "$missing" ]; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "installing:$missing"
		apt-get update -qq
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
	else
		echo "some tests will be skipped; to run them all:"
		echo "  sudo apt-get install$missing"
	fi
fi

results=$(mktemp)
trap 'rm -f "$results"' EXIT
go test -C tools -count=1 ./testlog
status=0
# All but the end-to-end test, which types at real terminals in real time: alone,
# or it would measure how busy the other tests keep the machine.
go test -race -count=1 -json -timeout 20m $(go list ./... | grep -v '/e2e$') >"$results" || status=$?
# The vector kernels are another build of the same packages.
GOEXPERIMENT=simd go test -race -count=1 -json ./internal/model/lstm ./internal/model/network >>"$results" || status=$?
go test -race -count=1 -json -timeout 20m -v ./e2e >>"$results" || status=$?
go run -C tools ./testlog <"$results" || status=1
exit "$status"
