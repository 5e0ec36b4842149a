#!/bin/sh
# Prints the folder this system loads PAM modules from: the one pam_unix.so is in.
for dir in /lib/*-linux-gnu*/security /usr/lib/*-linux-gnu*/security /lib64/security /usr/lib64/security /lib/security /usr/lib/security; do
	if [ -e "$dir/pam_unix.so" ]; then
		echo "$dir"
		exit
	fi
done
echo /lib/security
