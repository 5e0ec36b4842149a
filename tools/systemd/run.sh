#!/bin/sh
# Tests the units under a live systemd, in a machine of their own. README.md says
# what it needs. Arguments are the parts to run, all if there are none: daemon pam
# sshd gate.
set -eu
cd "$(dirname "$0")/../.."
kernels=${KERNEL_ROOT:-}
kernel=$(ls "$kernels"/boot/vmlinuz-* | tail -n 1)
work=$(mktemp -d)
qemu=
trap 'test -z "$qemu" || kill $qemu 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# A Debian 12 with systemd, from where this machine has its own packages.
base=${BASE:-$work/base.tar}
test -e "$base" || nice -n 10 mmdebstrap --quiet --variant=apt --aptopt='APT::Install-Recommends "false"' \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
	--include=systemd-sysv,dbus,libpam-systemd,libnss-systemd,openssh-server,openssh-client,python3,procps,iproute2 \
	bookworm "$base" ${SOURCES:-/etc/apt/sources.list.d/debian.sources}
mkdir "$work/root"
tar -C "$work/root" --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' --exclude='./dev/*' -xf "$base"

nice -n 10 make -s install DESTDIR="$work/root" PAMDIR=/usr/lib/x86_64-linux-gnu/security
cp -r tools/systemd/guest "$work/root/check"
echo "PARTS=$*" >"$work/root/check/environment"
units=$work/root/etc/systemd/system
mv "$work/root/check/ksd-check.service" "$units/"
mkdir -p "$units/multi-user.target.wants"
ln -s ../ksd-check.service "$units/multi-user.target.wants/"
echo ksd >"$work/root/etc/hostname"
# An emulated machine is too slow to start anything 5 times in 10 s, which is
# where systemd gives up.
mkdir -p "$work/root/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultStartLimitIntervalSec=60s\n' >"$work/root/etc/systemd/system.conf.d/limit.conf"

# Its root is a tmpfs: the kernel's own first root cannot be changed for another,
# which is what the sandbox of a unit does.
mkdir -p "$work/first/bin"
cp "$(command -v busybox)" "$work/first/bin/"
tar -C "$work/root" -cf "$work/first/root.tar" .
cat >"$work/first/init" <<'END'
#!/bin/busybox sh
bb=/bin/busybox
$bb mkdir /root
$bb mount -t tmpfs -o size=90%,mode=755 root /root
$bb tar -C /root -xf /root.tar
$bb rm /root.tar
$bb mount -t devtmpfs dev /root/dev
exec $bb switch_root /root /sbin/init
END
chmod +x "$work/first/init"
(cd "$work/first" && find . | cpio -o -H newc --quiet) >"$work/initrd"
rm -rf "$work/root" "$work/first"

# No network card: the machine reaches nothing but itself.
: >"$work/results"
nice -n 10 qemu-system-x86_64 -accel "${ACCEL:-tcg}" -smp 1 -m 2048 -display none -nic none -no-reboot \
	-kernel "$kernel" -initrd "$work/initrd" -append 'console=ttyS0 panic=-1 systemd.show_status=no systemd.mask=serial-getty@ttyS0.service systemd.mask=getty@tty1.service' \
	-serial "file:$work/console" -serial "file:$work/results" -monitor none &
qemu=$!
tail -f -n +1 --pid=$qemu "$work/results" &
limit=${LIMIT:-1200}
while kill -0 $qemu 2>/dev/null && [ "$limit" -gt 0 ]; do
	sleep 1
	limit=$((limit - 1))
done
kill $qemu 2>/dev/null || true
wait
grep -q '^ksd: passed' "$work/results" || { tail -n 40 "$work/console"; exit 1; }
