"""The accounts of this machine, and ksd's configuration."""

import os

from box import must, write

CONFIG = """[challenge]
phrases = ["open the gate", "bring the rope"]
typings = 4
warmups = 1
{challenge}
[policy]
attempts = 3
[lockout]
failures = 100
source_failures = 1000
[training]
settle = "0s"
[login]
noninteractive = "{noninteractive}"
groups = ["crew"]
[sshd]
{sshd}
"""


def configure(challenge="", noninteractive="deny", sshd=""):
    write("/etc/ksd/ksd.toml", CONFIG.format(challenge=challenge, noninteractive=noninteractive, sshd=sshd))


def make():
    """Accounts, keys and the configuration"""
    must("groupadd", "crew")
    must("groupadd", "night")
    for name in "ana", "bob", "carl":
        must("useradd", "-m", "-s", "/bin/bash", "-G", "crew" if name != "bob" else "night", name)
    must("chpasswd", "-c", "SHA256", stdin="ana:rope\nbob:stone\ncarl:lantern\n")
    must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/key")
    for name in "ana", "bob", "carl":
        path = f"/home/{name}/.ssh"
        must("install", "-d", "-o", name, "-g", name, "-m", "700", path)
        must("install", "-o", name, "-g", name, "-m", "600", "/root/key.pub", path + "/authorized_keys")
    # What PAM has to say about ana: limits, and a group at any time.
    write("/etc/security/limits.d/ana.conf", "ana hard nproc 1234\nana soft nice 7\n")
    write("/etc/security/group.conf", "*;*;ana;Al0000-2400;night\n")
    for service in "sshd", "ksd-sshd":
        path = "/etc/pam.d/" + service
        with open(path) as f:
            text = f.read()
        write(path, "auth optional pam_group.so\n" + text)
    os.makedirs("/check/out", mode=0o1777, exist_ok=True)
    os.chmod("/check/out", 0o1777)
    configure()
