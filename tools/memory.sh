#!/bin/sh
# Prints the memory that ksdd holds at rest with PEOPLE people enrolled, default
# 1000, each with the five phrases of ksd.toml typed five times, on channel CHANNEL,
# press (default) or full. Nobody has a head. The typings are made up.
#
# A daemon is at rest when nothing has happened for a while: Go gives memory back
# to the system over some minutes. The figures are those of /proc/PID/status.
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}
people=${PEOPLE:-1000}
press=
[ "${CHANNEL:-press}" = full ] || press=--press

scratch=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid"; rm -rf "$scratch"' EXIT
"$go" build -o "$scratch" ./cmd/ksdd ./cmd/ksdctl

awk -v people="$people" 'BEGIN {
	OFS = "\t"
	split("cold water on the stones|another hand on the rope|a lantern in the garden|we count on quiet roads|bring more bread home", phrases, "|")
	srand(1)
	print "user", "sample", "text", "key", "gap_ms", "hold_ms"
	for (u = 0; u < people; u++) for (p = 1; p <= 5; p++) for (n = 0; n < 5; n++)
		for (i = 1; i <= length(phrases[p]); i++) {
			key = substr(phrases[p], i, 1)
			print "u" u, n, "p" p, key == " " ? "Space" : key, i == 1 ? 0 : int(90 + u % 97 + rand() * 80), int(60 + u % 31 + rand() * 40)
		}
}' >"$scratch/people.tsv"

mkdir -m 700 "$scratch/state"
"$scratch/ksdd" -state "$scratch/state" 2>"$scratch/log" &
pid=$!
until [ -S "$scratch/state/ksd.sock" ]; do sleep 0.1; done
"$scratch/ksdctl" import "$scratch/people.tsv" $press -socket "$scratch/state/ksd.sock"
kill "$pid"
wait "$pid" || true

"$scratch/ksdd" -state "$scratch/state" 2>"$scratch/log" &
pid=$!
for seconds in 0 10 60 180 300; do
	sleep $((seconds - ${last:-0}))
	last=$seconds
	awk -v t="$seconds" '/^(VmHWM|VmRSS|RssAnon|RssFile)/ { line = line sprintf("  %s %5.1f MiB", $1, $2 / 1024) } END { printf "%4d s%s\n", t, line }' "/proc/$pid/status"
done
