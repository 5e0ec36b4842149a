"""ksdd under systemd: the accounts, the sockets, its life, its sandbox."""

import json
import os
import pwd
import re
import stat
import threading
import time

from box import as_user, crash_loop, journal, kill_main, main_pid, must, ok, read, run, say, show, until, write
from people import configure

SOCKETS = ["ksdd.socket", "ksdd-login.socket"]
PATHS = ["/run/ksd/ksd.sock", "/run/ksd/login.sock"]


def status(user="bob"):
    return run(*as_user(user, "ksdctl", "status"), timeout=90)


def accounts():
    """systemd-sysusers makes the accounts"""
    must("systemd-sysusers", "ksd.conf")
    for name, home in ("ksd", "/var/lib/ksd"), ("ksd-sshd", "/"):
        a = pwd.getpwnam(name)
        ok(0 < a.pw_uid < 1000 and a.pw_shell == "/usr/sbin/nologin" and a.pw_dir == home, f"{name} is a system account that cannot log in", a)
        locked = must("getent", "shadow", name).split(":")[1]
        ok(locked.startswith("!"), f"{name} has no password", locked)
    ok(run("getent", "group", "ksd-login")[0] == 0, "the group ksd-login is there")


def sockets_open():
    return [show(u, "ActiveState")["ActiveState"] for u in SOCKETS] == ["active"] * 2


def begin():
    """The sockets, where the checks of the daemon are left out"""
    must("systemctl", "enable", "--now", *SOCKETS)


def activation():
    """The first question starts the daemon"""
    code, out = run("systemd-analyze", "verify", "ksdd.service", *SOCKETS, "ksd-sshd.service", "ksd-sshd.socket")
    ok(code == 0 and "ksd" not in out, "systemd-analyze verify has nothing to say", out)
    code, out = status()
    ok(code != 0 and "systemctl start ksdd" in out, "without sockets the client says what to do", out)
    must("systemctl", "enable", "--now", *SOCKETS)
    ok(sockets_open(), "both sockets listen")
    ok(show("ksdd", "ActiveState")["ActiveState"] == "inactive", "the daemon has not started yet")
    st = os.stat("/run/ksd")
    ok((stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid) == (0o755, 0, 0), "/run/ksd is root's, 0755", oct(st.st_mode))
    for path in PATHS:
        st = os.stat(path)
        ok(stat.S_ISSOCK(st.st_mode) and (stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid) == (0o666, 0, 0), f"{path} is root's, 0666", st)
    code, out = status()
    ok(code == 0 and "ksdd" in out, "ksdctl status is answered", out)
    s = show("ksdd", "ActiveState", "SubState", "Type", "MainPID")
    ok((s["ActiveState"], s["SubState"], s["Type"]) == ("active", "running", "notify"), "and the daemon has said that it is ready", s)
    env = dict(e.split("=", 1) for e in read(f"/proc/{s['MainPID']}/environ").split("\0") if "=" in e)
    ok(env.get("LISTEN_FDS") == "2" and set(env["LISTEN_FDNAMES"].split(":")) == {"api", "login"}, "it was given both sockets", env)
    ok(run("systemctl", "status", "--no-pager", "ksdd")[0] == 0, "systemctl status says active")


def state():
    """The state folder"""
    ksd = pwd.getpwnam("ksd")
    st = os.stat("/var/lib/ksd")
    ok((stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid) == (0o700, ksd.pw_uid, ksd.pw_gid), "/var/lib/ksd is ksd's, 0700", st)
    for folder, _, files in os.walk("/var/lib/ksd"):
        for name in files:
            st = os.stat(os.path.join(folder, name))
            ok((stat.S_IMODE(st.st_mode), st.st_uid) == (0o600, ksd.pw_uid), f"{name} in it is ksd's, 0600", st)


def kind():
    m = re.search(r"asked for\s+(\w+)", run("ksdctl", "status")[1])
    return m and m[1]


def reload():
    """A changed configuration, and a broken one"""
    pid = main_pid("ksdd")
    configure(challenge='kind = "words"')
    must("systemctl", "reload", "ksdd")
    ok(until(lambda: kind() == "words"), "systemctl reload takes up a changed configuration", kind())
    since = time.time()
    configure(challenge='kind = "nonsense"')
    code, out = run("systemctl", "reload", "ksdd")
    say(f"systemctl reload with a broken configuration: exit code {code}: {out}")
    ok(code != 0, "systemctl reload fails where the configuration is broken", out)
    ok(until(lambda: "challenge.kind" in journal("ksdd", since)), "and the log says what is wrong", journal("ksdd", since))
    ok(kind() == "words" and main_pid("ksdd") == pid, "the daemon goes on with the old one")
    configure()
    must("systemctl", "reload", "ksdd")
    ok(until(lambda: kind() == "phrases") and main_pid("ksdd") == pid, "and takes up the mended one, the same process", kind())


class Askers:
    """Clients that ask one after the other while something happens."""

    def __enter__(self):
        self.failed, self.answered, self.on = [], 0, True
        self.threads = [threading.Thread(target=self.ask) for _ in range(2)]
        for t in self.threads:
            t.start()
        return self

    def ask(self):
        while self.on:
            code, out = status()
            if code == 0:
                self.answered += 1
            else:
                self.failed.append(out)

    def __exit__(self, *_):
        self.on = False
        for t in self.threads:
            t.join()


def inodes():
    return [os.stat(p).st_ino for p in PATHS]


def restart():
    """systemctl restart, with clients asking"""
    pid, before = main_pid("ksdd"), inodes()
    with Askers() as a:
        must("systemctl", "restart", "ksdd")
        time.sleep(1)
    ok(main_pid("ksdd") not in (0, pid), "it is another process")
    ok(inodes() == before and sockets_open(), "the sockets are the same")
    ok(a.answered and not a.failed, f"all of {a.answered} clients meanwhile were answered", a.failed)
    must("systemctl", "stop", "ksdd")
    ok(status()[0] == 0 and main_pid("ksdd"), "after systemctl stop ksdd the next client starts it")


def kill():
    """SIGKILL, again and again"""
    before = inodes()
    for n in range(4):
        pid = kill_main("ksdd")
        if n == 0:
            code, out = status()
            ok(code == 0, "who asks right after SIGKILL is answered", out)
        ok(until(lambda: main_pid("ksdd") not in (0, pid)), f"SIGKILL {n + 1}: started again")
    ok(inodes() == before and sockets_open(), "the sockets were never gone")
    ok(int(show("ksdd", "NRestarts")["NRestarts"]) >= 1, "it was systemd's restart", show("ksdd", "NRestarts"))
    # A crash loop, longer than any limit: clients wait, nobody is told "refused".
    configure(challenge='kind = "nonsense"')
    kill_main("ksdd")
    crash_loop("ksdd")
    ok(sockets_open() and inodes() == before, "in a crash loop the sockets stay", run("systemctl", "status", "--no-pager", *SOCKETS)[1])
    answers = []
    t = threading.Thread(target=lambda: answers.append(status()))
    t.start()
    time.sleep(1)
    configure()
    t.join()
    ok(answers[0][0] == 0, "who asked in it is answered once the configuration is mended", answers)


PROBE = "/run/systemd/system/ksd-probe.service"


def probe(unit):
    """Runs probe.py as a unit's text says, and returns what it could do."""
    write(PROBE, unit)
    must("systemctl", "daemon-reload")
    run("systemctl", "start", "ksd-probe")
    try:
        return json.loads(read("/check/out/probe"))
    except ValueError:
        raise RuntimeError(read("/check/out/probe") + run("systemctl", "status", "--no-pager", "ksd-probe")[1]) from None
    finally:
        os.remove("/check/out/probe")


def sandbox():
    """What ksdd's unit keeps from it"""
    write("/home/secret", "x")
    write("/root/secret", "x")
    write("/tmp/secret", "x")
    own = {"Type": "oneshot", "ExecStart": "/usr/bin/python3 /check/probe.py", "StandardOutput": "file:/check/out/probe"}
    text = "\n".join(l for l in read("/lib/systemd/system/ksdd.service").splitlines()
                     if not re.match(r"(Requires|After|Sockets|Restart|RestartSec|ExecReload|Type|ExecStart)=", l))
    service = "[Service]\n" + "".join(f"{k}={v}\n" for k, v in own.items())
    inside = probe(text.replace("[Service]\n", service))
    outside = probe("[Unit]\nDescription=probe\n" + service + "User=ksd\nGroup=ksd\n")
    for name, could in inside.items():
        if name.startswith("can "):
            ok(could is True, f"inside: {name}", could)
        else:
            ok(could is not True, f"inside: cannot {name} ({could})", could)
            if name.endswith("*"):  # an account without rights cannot do this anywhere
                continue
            ok(outside[name] is True, f"outside it could {name}, so the probe tells", outside[name])
    lines = dict(l.split(":\t", 1) for l in read(f"/proc/{main_pid('ksdd')}/status").splitlines() if ":\t" in l)
    for name in "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb":
        ok(int(lines[name], 16) == 0, f"the daemon's {name} is empty", lines[name])
    ok(lines["NoNewPrivs"] == "1" and lines["Seccomp"] == "2", "no_new_privs and seccomp hold for it", lines)
    for ns in "net", "mnt":
        ok(os.readlink(f"/proc/{main_pid('ksdd')}/ns/{ns}") != os.readlink(f"/proc/1/ns/{ns}"), f"it has a {ns} namespace of its own")
    limits = read(f"/proc/{main_pid('ksdd')}/limits")
    ok(re.search(r"core file size\s+0\s+0", limits), "it leaves no core", limits)


def security():
    """systemd-analyze security, and nothing was forbidden that is needed"""
    out = must("systemd-analyze", "security", "--no-pager", "ksdd")
    say("\n".join(l for l in out.splitlines() if "✗" in l or "→" in l))
    m = re.search(r"exposure level for ksdd.service: ([\d.]+)", out)
    ok(m and float(m[1]) < 2, f"systemd-analyze security: {m and m[1]}, below 2", out)
    log = must("journalctl", "-o", "cat", "--no-pager", "-u", "ksdd")
    bad = [l for l in log.splitlines() if "operation not permitted" in l.lower() or "permission denied" in l.lower()]
    ok(not bad, "ksdd's log tells of nothing that was forbidden", "\n".join(bad))
