#!/bin/sh
# Usage: tools/installed.sh SBINDIR
# Says what to do after "make install" on this very machine, and makes the
# account and starts the sockets where systemd is there to do it.
set -eu
if [ -d /run/systemd/system ]; then
	systemd-sysusers ksd.conf
	systemctl daemon-reload
	systemctl enable --now ksdd.socket ksdd-login.socket
	echo 'installed; the daemon starts when somebody asks for it.'
else
	echo "installed. This machine is not run by systemd: make an account ksd, a folder"
	echo "/var/lib/ksd of its own (mode 0700), and start $1/ksdd at boot."
fi
cat <<'END'

Next:
  1. everybody enrols:            ksd-enroll
  2. keep a root shell open, and add to /etc/pam.d/su, below its other auth lines:
         auth  required  pam_ksd.so
  3. try it in another terminal:  su - YOUR-NAME

For logins over ssh, ksd-login: docs/SSH.md. Its group, where systemd-sysusers did
not make it:  groupadd --system ksd-login
END
