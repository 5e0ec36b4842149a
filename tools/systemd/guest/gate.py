"""ksd-login as a login shell behind the machine's own sshd."""

import os

import people
from box import OWNER, SSH, STRANGER, Terminal, must, ok, run, show, until, write
from sshd import leave, look, session_is_right

HOST = ["carl@127.0.0.1"]
PROMPT = r"carl@[\w.-]+:~\$ "


def session():
    """sshd, then the gate, then the shell"""
    must("install", "-D", "-m", "644", "/usr/local/share/doc/ksd/sshd_config.d/ksd.conf", "/etc/ssh/sshd_config.d/ksd.conf")
    must("usermod", "--append", "--groups", "ksd-login", "--shell", "/usr/local/bin/ksd-login", "carl")
    must("sshd", "-t")
    must("systemctl", "reload", "ssh")
    until(lambda: run("ssh-keyscan", "-T", "2", "127.0.0.1")[1].count("ssh-ed25519"))  # it starts anew
    t = Terminal(*SSH, "-tt", *HOST)
    ok(t.answer(OWNER, PROMPT, 60), "the gate lets carl in", t.screen)
    session_is_right(look(t, "gate"), "carl", int(must("id", "-u", "carl")), "behind the gate")
    leave(t)
    t = Terminal(*SSH, "-tt", *HOST)
    t.answer(STRANGER, PROMPT, 60)
    ok(t.end() == 1, "and not a stranger with his key", t.screen)
    code, out = run(*SSH, *HOST, "echo in")
    ok(code == 1 and "in\n" not in out, "without a terminal: refused", out)


def groups():
    """The daemon looks groups up from inside its sandbox"""
    people.configure(noninteractive="groups")
    must("systemctl", "reload", "ksdd")
    ok(until(lambda: run(*SSH, *HOST, "echo in") == (0, "in\n")), "noninteractive = \"groups\" lets a member in", run(*SSH, *HOST, "echo in")[1])
    must("gpasswd", "-d", "carl", "crew")
    ok(until(lambda: run(*SSH, *HOST, "echo in")[0] == 1), "and nobody else")
    people.configure()
    must("systemctl", "reload", "ksdd")


def user_manager():
    """systemd --user starts without a shell, so the gate is not asked"""
    home = "/home/carl/.config/systemd/user"
    write(home + "/left.service", "[Service]\nType=oneshot\nExecStart=/usr/bin/touch /check/out/left\n[Install]\nWantedBy=default.target\n")
    os.makedirs(home + "/default.target.wants")
    os.symlink("../left.service", home + "/default.target.wants/left.service")
    must("chown", "-R", "carl:carl", "/home/carl/.config")
    uid = must("id", "-u", "carl").strip()
    must("systemctl", "stop", f"user@{uid}")  # that of his logins just now
    must("loginctl", "enable-linger", "carl")
    must("systemctl", "start", f"user@{uid}")  # as at a boot
    ok(until(lambda: os.path.exists("/check/out/left")), "as docs/SSH.md says: what is left for a lingering systemd --user runs",
       show(f"user@{uid}", "ActiveState", "Result"))
    must("loginctl", "disable-linger", "carl")
