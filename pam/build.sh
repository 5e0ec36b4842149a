#!/bin/sh
# Usage: [CC=cc] [CFLAGS=…] [LDFLAGS=…] pam/build.sh OUTPUT
# Builds pam_ksd.so. The Makefile and the tests both call it, so that what is
# tested is what is installed.
set -eu
here=$(dirname "$0")
# shellcheck disable=SC2086 # flags are words
exec "${CC:-cc}" -std=c99 -pedantic -Wall -Wextra -Werror \
	-O2 -fPIC -shared -fstack-protector-strong -D_FORTIFY_SOURCE=2 ${CFLAGS:-} \
	-o "$1" "$here"/pam_ksd.c "$here"/handover.c "$here"/tty.c "$here"/packet.c "$here"/options.c \
	-Wl,-z,relro,-z,now,-z,defs,-z,noexecstack -Wl,--as-needed \
	-Wl,--version-script="$here"/pam_ksd.map ${LDFLAGS:-} -lpam
