"""ksd-sshd under systemd: both ways of starting, its sessions, its restarts."""

import json
import os
import re
import time

import people
from box import OWNER, SSH, STRANGER, Terminal, crash_loop, journal, kill_main, main_pid, must, ok, read, run, say, show, until

UNIT = "ksd-sshd"
HOST = ["-p", "2222", "ana@127.0.0.1"]
PROMPT = r"ana@[\w.-]+:~\$ "


def open_shell(*more, host=HOST, typing=True, hands=OWNER):
    """A session up to the shell's prompt, or before the typing."""
    t = Terminal(*SSH, "-tt", *more, *host)
    if typing:
        t.answer(hands, PROMPT, 60)
    elif not t.expect("usual rhythm"):
        raise RuntimeError(t.screen)
    return t


def alive(t, word):
    """Whether the shell in a session still answers."""
    t.send(f"echo {word}-$((6*7))\r")
    return t.expect(word + "-42", 10) is not None


def leave(t):
    t.send("exit\r")
    return t.end()


def facts(name):
    path = "/check/out/" + name
    until(lambda: os.path.exists(path) and "session Scope" in read(path), 10)
    out = dict(re.sub(r" +", " ", line).split("=", 1) for line in read(path).splitlines() if "=" in line)
    os.remove(path)
    return out


def look(t, name):
    t.send(f"bash /check/look.sh {name}; echo looked-$?\r")
    t.expect(r"looked-\d", 20)
    return facts(name)


def session_is_right(f, user, uid, what):
    ok(f["loginuid"] == str(uid), f"{what}: loginuid is {user}'s", f["loginuid"])
    scope = f.get("session Scope", "")
    scoped = re.fullmatch(r"session-\w+\.scope", scope) and f["cgroup"].endswith(f"/user.slice/user-{uid}.slice/{scope}")
    ok(scoped, f"{what}: the shell is in its session's scope", f)
    who = [f.get("session " + name) for name in ("User", "Remote", "RemoteHost")]
    ok(who == [str(uid), "yes", "127.0.0.1"], f"{what}: logind knows who and from where", f)
    ok(f.get("session Class") == "user" and f.get("session TTY", "").startswith("pts/"), f"{what}: logind knows the terminal", f)


def service():
    """It starts by itself"""
    since = time.time()
    must("systemctl", "start", UNIT)
    s = show(UNIT, "ActiveState", "SubState", "MainPID")
    ok((s["ActiveState"], s["SubState"]) == ("active", "running"), "ksd-sshd.service runs, and has said that it is ready", s)
    key = os.stat("/etc/ksd/ssh_host_ed25519_key")
    ok((key.st_mode & 0o777, key.st_uid) == (0o600, 0), "it made its host key", key)
    out = must("ss", "-Hltn", "sport", "=", "2222")
    ok(len(out.splitlines()) >= 1, "it listens on port 2222", out)
    ok("warn" not in journal(UNIT, since).lower(), "its log has no warning", journal(UNIT, since))


# What may differ between the two servers, and why.
DIFFERS = {
    "session", "cgroup", "env XDG_SESSION_ID", "session Scope", "session Leader", "session Service",  # another session, of another service
    "env SSH_CLIENT", "env SSH_CONNECTION", "env SSH_TTY", "session TTY",  # another connection
    "session State", "session Active",
    "env MAIL",  # ksd-sshd names the mailbox, and Debian's sshd leaves that to PAM
}


def alike():
    """A shell by ksd-sshd is what a shell by the machine's sshd is"""
    t = open_shell(host=["ana@127.0.0.1"])
    theirs = look(t, "sshd")
    leave(t)
    t = open_shell()
    ours = look(t, "ksd-sshd")
    pid = int(ours["session Leader"])
    ok("monitor" in read(f"/proc/{pid}/cmdline"), "the leader of the session is the connection's monitor", read(f"/proc/{pid}/cmdline"))
    ok(ours["session Service"] == "ksd-sshd", "the session names its service", ours)
    uid = int(must("id", "-u", "ana"))
    session_is_right(theirs, "ana", uid, "sshd")
    session_is_right(ours, "ana", uid, "ksd-sshd")
    for name in sorted(theirs.keys() | ours.keys()):
        if name not in DIFFERS:
            ok(theirs.get(name) == ours.get(name), f"alike: {name}", f"sshd:     {theirs.get(name)}\nksd-sshd: {ours.get(name)}")
    ok("night" in ours["groups"].split() and "crew" in ours["groups"].split(), "groups: the account's and pam_group's", ours["groups"])
    ok(ours.get("hard max user processes (-u)") == "1234", "pam_limits' limits hold", {k: v for k, v in ours.items() if k.startswith("hard")})
    scope = ours["session Scope"]
    ok(leave(t) == 0, "exit ends the session with the shell's exit code")
    ok(until(lambda: show(scope, "ActiveState").get("ActiveState") in (None, "inactive")), "and its scope is gone", scope)
    ok(until(lambda: processes() == [str(main_pid(UNIT))]), "nothing of it is left in the service's cgroup", processes())


def processes():
    return read(f"/sys/fs/cgroup/system.slice/{UNIT}.service/cgroup.procs").split()


def door():
    """Who gets in, with systemd around it"""
    t = Terminal(*SSH, "-tt", "-o", "PreferredAuthentications=password", "-o", "PubkeyAuthentication=no", *HOST)
    t.expect("password: ")
    t.send("rope\r")
    ok(t.answer(OWNER, PROMPT, 60), "the password and the rhythm let in", t.screen)
    leave(t)
    t = open_shell(hands=STRANGER)
    ok(t.end() == 1 and not re.search(PROMPT, t.screen), "a stranger with the key does not get in", t.screen)
    code, out = run(*SSH, *HOST, "echo in")
    ok(code != 0 and "in\n" not in out, "without a terminal: refused", out)
    token = json.loads(must("ksdctl", "token", "--json", "ana"))["token"]
    os.environ["KSD_TOKEN"] = token
    code, out = run(*SSH, "-o", "SendEnv=KSD_TOKEN", *HOST, "echo $(cat /proc/self/loginuid); cat /proc/self/cgroup")
    del os.environ["KSD_TOKEN"]
    uid = must("id", "-u", "ana").strip()
    ok(code == 0 and out.startswith(uid + "\n") and f"user-{uid}.slice/session-" in out, "with a token: a command, in a session of its own", out)
    with open("/run/nologin", "w") as f:
        f.write("closed for the night\n")
    t = Terminal(*SSH, "-tt", *HOST)
    ok(t.end() != 0 and "usual rhythm" not in t.screen, "/run/nologin, as at a shutdown, keeps people out", t.screen)
    os.remove("/run/nologin")


def active(unit=UNIT):
    return show(unit, "ActiveState")["ActiveState"] == "active"


def lives():
    """Connections live on when the server is reloaded, restarted, killed"""
    talking, asked = open_shell(), open_shell(typing=False)
    ok(alive(talking, "first"), "a session is open", talking.screen)
    pid = main_pid(UNIT)

    must("systemctl", "reload", UNIT)
    ok(until(active) and main_pid(UNIT) == pid, "reload: active, the same process")
    ok(alive(talking, "reloaded"), "reload: the session lives", talking.screen[-500:])
    leave(new := open_shell())
    ok(re.search(PROMPT, new.screen), "reload: a new one gets in", new.screen)

    people.configure(sshd=BROKEN)
    code, out = run("systemctl", "reload", UNIT)
    ok(code != 0 and active() and main_pid(UNIT) == pid, "a broken configuration: reload fails, the server goes on", out)
    people.configure()
    leave(new := open_shell())
    ok(re.search(PROMPT, new.screen), "and lets in", new.screen)

    must("systemctl", "restart", UNIT)
    ok(main_pid(UNIT) not in (0, pid), "restart: another process")
    ok(alive(talking, "restarted"), "restart: the session lives", talking.screen[-500:])
    ok(asked.answer(OWNER, PROMPT, 60), "restart: who was being asked can type on and gets in", asked.screen)
    late = look(asked, "late")
    session_is_right(late, "ana", int(must("id", "-u", "ana")), "after a restart in the middle")

    pid = kill_main(UNIT)
    ok(until(lambda: active() and main_pid(UNIT) not in (0, pid)), "SIGKILL: started again")
    ok(alive(talking, "killed"), "SIGKILL: the session lives", talking.screen[-500:])

    must("systemctl", "stop", UNIT)
    ok(alive(talking, "stopped"), "stop: the session lives", talking.screen[-500:])
    must("systemctl", "start", UNIT)
    ok(alive(talking, "started"), "start: the session lives", talking.screen[-500:])
    leave(new := open_shell())
    ok(re.search(PROMPT, new.screen), "start: a new one gets in", new.screen)

    must("loginctl", "terminate-session", late["session"])
    ok(asked.end() is not None, "loginctl terminate-session ends a connection", asked.screen[-500:])
    ok(alive(talking, "spared"), "and no other")
    ok(leave(talking) == 0, "the session ends well after all that", talking.screen[-500:])


BROKEN = 'max_tries = "many"'


def broken():
    """A configuration that is broken at a start, and mended"""
    talking = open_shell()
    people.configure(sshd=BROKEN)
    code, out = run("systemctl", "restart", UNIT)
    ok(code != 0, "systemctl restart says so", out)
    crash_loop(UNIT)
    ok(alive(talking, "broken"), "the session lives", talking.screen[-500:])
    people.configure()
    code, out = run("systemctl", "start", UNIT)
    if not ok(code == 0, "systemctl start is not refused once it is mended", out + journal(UNIT, time.time() - 20)):
        must("systemctl", "reset-failed", UNIT)
        must("systemctl", "start", UNIT)
    leave(talking)


def tasks():
    """How much of the unit's TasksMax a connection takes"""
    def now():
        return int(show(UNIT, "TasksCurrent")["TasksCurrent"])
    before = now()
    waiting = [open_shell(typing=False) for _ in range(5)]
    each = (now() - before) / len(waiting)
    for t in waiting[1:]:
        t.kill()
    waiting[0].answer(OWNER, PROMPT, 60)
    until(lambda: now() - before < 2 * each)
    say(f"tasks in the service's cgroup: {before} without connections, {each:.1f} for one that is asked, {now() - before} for one that is let in")
    most = show(UNIT, "TasksMax")["TasksMax"]
    room = 1 << 62 if most in ("infinity", str((1 << 64) - 1)) else int(most)
    ok(room > 1000 * each, f"TasksMax={most} has room for max_connections = 1000", f"{each:.1f} tasks for each connection")
    leave(waiting[0])


def socket():
    """systemd has the port"""
    must("systemctl", "stop", UNIT)
    must("systemctl", "start", "ksd-sshd.socket")
    ok(not active() and active("ksd-sshd.socket"), "ksd-sshd.socket listens, nothing runs yet")
    t = open_shell()
    ok(re.search(PROMPT, t.screen), "the first connection starts the service and gets in", t.screen)
    env = read(f"/proc/{main_pid(UNIT)}/environ")
    ok("LISTEN_FDS=1" in env and "LISTEN_FDNAMES=ssh" in env, "it was given the socket", env)
    session_is_right(look(t, "socket"), "ana", int(must("id", "-u", "ana")), "by socket")
    for verb in "reload", "restart":
        must("systemctl", verb, UNIT)
        ok(alive(t, verb), f"{verb}: the session lives", t.screen[-500:])
        leave(new := open_shell())
        ok(re.search(PROMPT, new.screen), f"{verb}: a new one gets in", new.screen)
    must("systemctl", "stop", UNIT)
    ok(alive(t, "gone"), "stop: the session lives", t.screen[-500:])
    leave(new := open_shell())
    ok(re.search(PROMPT, new.screen) and main_pid(UNIT), "the next connection starts it again", new.screen)
    leave(t)

    must("systemctl", "stop", UNIT)
    people.configure(sshd=BROKEN)
    t = Terminal(*SSH, "-tt", *HOST)
    crash_loop(UNIT)
    people.configure()
    good = t.answer(OWNER, PROMPT, 60)
    ok(good, "who connects while the configuration is broken is answered once it is mended", t.screen)
    if not ok(active("ksd-sshd.socket"), "and the socket is still open", journal("ksd-sshd.socket", time.time() - 60)):
        return
    leave(t)
    must("systemctl", "stop", UNIT, "ksd-sshd.socket")
