"""What a process in ksdd's sandbox can do. It prints JSON: true for what could be
done, the error otherwise. A name that ends in * is kept from any account without
rights; the others the sandbox alone keeps away.
"""

import ctypes
import json
import mmap
import os
import socket

libc = ctypes.CDLL(None, use_errno=True)


def call(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def touch(path):
    with open(path, "w"):
        pass
    os.remove(path)


def connect():
    with socket.create_connection(("127.0.0.1", 22), timeout=5):
        pass


def sock(family, kind=socket.SOCK_DGRAM):
    socket.socket(family, kind).close()


def bits():
    touch_path = os.environ.get("STATE_DIRECTORY", "/var/tmp") + "/bits"
    with open(touch_path, "w"):
        pass
    try:
        os.chmod(touch_path, 0o4755)
    finally:
        os.remove(touch_path)


def executable_memory():
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def unix_socket():
    with socket.socket(socket.AF_UNIX) as s:
        s.connect("/run/ksd/ksd.sock")


def visible(path):
    if not os.path.exists(path):
        raise FileNotFoundError(path)


TRIES = {
    "can write its state folder": lambda: touch("/var/lib/ksd/probe"),
    "can read its configuration": lambda: open("/etc/ksd/ksd.toml").close(),
    "can use Unix sockets": unix_socket,
    "write /etc*": lambda: touch("/etc/probe"),
    "write /usr*": lambda: touch("/usr/probe"),
    "write /run*": lambda: touch("/run/probe"),
    "read /root*": lambda: os.listdir("/root"),
    "write /check/out, which is open to all": lambda: touch("/check/out/other"),
    "read /home": lambda: open("/home/secret").close(),
    "see the machine's /tmp": lambda: visible("/tmp/secret"),
    "connect to this machine's sshd": connect,
    "open an IPv4 socket": lambda: sock(socket.AF_INET),
    "open an IPv6 socket": lambda: sock(socket.AF_INET6),
    "open a netlink socket": lambda: sock(socket.AF_NETLINK, socket.SOCK_RAW),
    "see process 1": lambda: visible("/proc/1/status"),
    "read /proc/sys": lambda: open("/proc/sys/kernel/hostname").close(),
    "see the serial line's device": lambda: visible("/dev/ttyS1"),
    "read the kernel's log device": lambda: visible("/dev/kmsg"),
    "have memory that is writable and executable": executable_memory,
    "make a user namespace": lambda: call(libc.unshare(0x10000000)),
    "set the set-user-ID bit": bits,
    "be scheduled in real time*": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    "change its priority": lambda: os.setpriority(os.PRIO_PROCESS, 0, 5),
    "take on another system's personality": lambda: call(libc.personality(0x0008)),
}

seen = {}
for name, attempt in TRIES.items():
    try:
        attempt()
        seen[name] = True
    except Exception as e:  # whatever it is, it could not be done
        seen[name] = str(e)
print(json.dumps(seen))
