#!/bin/sh
# Compares the speed of the network with other programs; see README.md.
#
#   GO, PYTHON   the programs to use
#   ROUNDS       of the comparison; default 15
#   NODE_PATH    a node_modules folder with onnxruntime-node in it
set -eu
cd "$(dirname "$0")/../.."
go=${GO:-go}
runtime=onnxruntime-node@1.30.0

for python in ${PYTHON:-python3 /usr/bin/python3}; do
	"$python" -c 'import numpy, torch' 2>/dev/null && break
	python=
done
missing=
[ -n "$python" ] || missing="$missing python3-torch python3-numpy"
command -v node >/dev/null || missing="$missing nodejs"
command -v npm >/dev/null || missing="$missing npm"
if [ -n "$missing" ]; then
	echo "what is compared with is missing; on Debian: sudo apt-get install$missing" >&2
	exit 1
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if ! node -e 'require("onnxruntime-node")' 2>/dev/null; then
	echo "installing $runtime for this run; to keep it, install it yourself and set NODE_PATH"
	# Its script would download what a GPU needs.
	npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$scratch" "$runtime" || {
		echo "npm could not install $runtime: install it where you can and set NODE_PATH to its node_modules" >&2
		exit 1
	}
	export NODE_PATH="$scratch/node_modules"
fi
"$go" test -c -o "$scratch/portable" ./internal/model/base
GOEXPERIMENT=simd "$go" test -c -o "$scratch/simd" ./internal/model/base
PYTHONDONTWRITEBYTECODE=1 "$python" tools/peers/peers.py "$scratch" "${ROUNDS:-15}"
