#!/bin/sh
# Tests releases at a virtual console in a machine of their own. README.md says
# what it needs. KERNEL_ROOT is the folder with boot/ and lib/modules/ of a Debian
# kernel, "/" if unset. Arguments go to the test program: -test.run=Typing -test.v
set -eu
cd "$(dirname "$0")/../.."
root=${KERNEL_ROOT:-}
kernel=$(ls "$root"/boot/vmlinuz-* | tail -n 1)
version=${kernel##*/vmlinuz-}
work=$(mktemp -d)
trap 'kill $(cat "$work"/*.pid 2>/dev/null) 2>/dev/null || true; rm -rf "$work"' EXIT

mkdir -p "$work/fs/bin"
for p in internal/capture daemon; do
	CGO_ENABLED=0 go test -tags console -c -o "$work/fs/bin/$(basename $p)" "./$p"
done
cp "$(command -v busybox)" "$work/fs/bin/busybox"
for m in evdev misc/uinput; do
	found=$(ls "$root/lib/modules/$version/kernel/drivers/input/$m".ko*)
	case $found in *.xz) xz -dc "$found" ;; *) cat "$found" ;; esac >"$work/fs/$(basename $m).ko"
done
cat >"$work/fs/init" <<END
#!/bin/busybox sh
bb=/bin/busybox
\$bb mkdir -p /proc /sys /dev /tmp
\$bb mount -t proc proc /proc
\$bb mount -t sysfs sysfs /sys
\$bb mount -t devtmpfs devtmpfs /dev
\$bb insmod /evdev.ko
\$bb insmod /uinput.ko
\$bb chmod 711 /
/bin/capture -test.run=TestVT $* && /bin/daemon -test.run=TestVT $* && echo "ksd: passed"
\$bb poweroff -f
END
chmod +x "$work/fs/init"
(cd "$work/fs" && find . | cpio -o -H newc --quiet) | gzip >"$work/initrd"

# The guest's second serial line is the monitor: so the tests can have keys
# pressed from outside.
qemu-system-x86_64 -m 512 -display none -no-reboot -kernel "$kernel" -initrd "$work/initrd" \
	-append 'console=ttyS0 quiet panic=-1' -serial "file:$work/log" \
	-serial "unix:$work/line,server=on,wait=off" -monitor "unix:$work/monitor,server=on,wait=off" &
qemu=$!
echo $qemu >"$work/qemu.pid"
until [ -S "$work/monitor" ] && [ -S "$work/line" ]; do sleep 0.1; done
socat "UNIX-CONNECT:$work/line" "UNIX-CONNECT:$work/monitor" 2>/dev/null &
echo $! >"$work/socat.pid"
limit=${LIMIT:-300}
while kill -0 $qemu 2>/dev/null && [ "$limit" -gt 0 ]; do
	sleep 1
	limit=$((limit - 1))
done
cat "$work/log"
grep -q '^ksd: passed' "$work/log"
