"""pam_ksd.so in the machine's own su, with the daemon in its sandbox."""

import threading
import time

from box import OWNER, STRANGER, Terminal, as_user, kill_main, must, ok, read, run, until, write
from daemon import SOCKETS
from people import configure

LINE = "auth required pam_ksd.so"


def stack(options=""):
    """Puts the line where docs/PAM.md has it."""
    lines = [l for l in read("/etc/pam.d/su").splitlines() if "pam_ksd" not in l]
    at = lines.index("@include common-auth") + 1
    write("/etc/pam.d/su", "\n".join(lines[:at] + [f"{LINE} {options}".strip()] + lines[at:]) + "\n")


def enrol_as(user):
    t = Terminal(*as_user(user, "ksd-enroll"))
    t.answer(OWNER, seconds=180)
    return t, t.end()


def enrol():
    """ana enrols at a terminal"""
    for user in "ana", "carl":
        t, code = enrol_as(user)
        ok(code == 0, f"ksd-enroll as {user}", f"exit code {code}\n{t.screen}")
    code, out = run("ksdctl", "users")
    ok("enrolled" in out, "ksdctl users says enrolled", out)
    # One run at a time, and enrolments start one.
    ok(until(lambda: run("ksdctl", "retrain", timeout=120)[0] == 0, 60), "training works in the sandbox", run("ksdctl", "retrain")[1])


def attempt(hands, password="rope", user="ana", before_typing=None):
    """bob's su; its screen and exit code."""
    t = Terminal(*as_user("bob", "su", user, "-c", "echo in as $(id -un)"))
    t.expect("Password: ")
    t.send(password + "\r")
    if before_typing:
        t.expect("usual rhythm")
        before_typing()
    t.answer(hands, r"in as \w+|Authentication failure", 60)
    return t.screen, t.end()


def log(since):
    return run("journalctl", "-o", "cat", "--no-pager", "-t", "su", "--since", f"@{since:.3f}")[1]


def told(since, what):
    """Whether the module's line for a login says so."""
    return until(lambda: what in log(since), 5)


def su():
    """The right rhythm, the wrong one, the wrong password, somebody who is not enrolled"""
    stack()
    for hands, password, user, good, outcome in (
        (OWNER, "rope", "ana", True, "outcome=accept"),
        (STRANGER, "rope", "ana", False, "outcome=refuse"),
        (OWNER, "wrong", "ana", False, None),
        (OWNER, "stone", "bob", False, "outcome=unenrolled"),
    ):
        since = time.time()
        screen, code = attempt(hands, password, user)
        name = f"su {user}: {outcome or 'a wrong password'}"
        seen = f"exit code {code}\n{screen}"
        ok((code == 0 and f"in as {user}" in screen) if good else (code not in (0, None) and "in as" not in screen), name, seen)
        if outcome:
            ok(told(since, outcome), f"{name}, the log says so", log(since))
        else:
            ok("usual rhythm" not in screen, f"{name}: nothing is asked", screen)
    stack("unenrolled=ignore")
    screen, code = attempt(OWNER, "stone", "bob")
    ok(code == 0 and "in as bob" in screen, "su bob with unenrolled=ignore goes by the password", screen)


def without():
    """The daemon killed in the middle, in a crash loop, and switched off"""
    stack()
    since = time.time()
    screen, code = attempt(OWNER, before_typing=lambda: kill_main("ksdd"))
    ok(code not in (0, None) and told(since, "outcome=broken-off"), "killed during the typing: denied as broken off", screen)
    screen, code = attempt(OWNER)
    ok(code == 0, "and the next attempt gets in", screen)

    stack("fail=open timeout=4")
    configure(challenge='kind = "nonsense"')
    kill_main("ksdd")
    for n in range(2):
        since = time.time()
        screen, code = attempt(OWNER)
        denied = code not in (0, None) and "in as" not in screen
        ok(denied and told(since, "outcome=no-answer"), f"a crash loop is no way round fail=open ({n + 1})", screen)
    configure()
    ok(until(lambda: run("ksdctl", "status")[0] == 0), "mended, it answers")

    must("systemctl", "stop", *SOCKETS, "ksdd")
    # systemd leaves the socket's file where it was.
    for options, good, outcome in ("", False, "outcome=connection-refused"), ("fail=open", True, "SKIPPED by configuration"):
        stack(options)
        since = time.time()
        screen, code = attempt(OWNER)
        name = f"units stopped, {options or 'no option'}: {'passes' if good else 'denied'}"
        ok((code == 0) == good and ("in as ana" in screen) == good, name, screen)
        ok(told(since, outcome), f"{name}, and the log says so", log(since))
    must("systemctl", "start", *SOCKETS)
    stack("unenrolled=ignore")

    # A login that goes on while the daemon is restarted for an update.
    since = time.time()
    restarting = []

    def begin():
        restarting.append(threading.Thread(target=lambda: must("systemctl", "restart", "ksdd", timeout=90)))
        restarting[0].start()
        time.sleep(0.5)

    screen, code = attempt(OWNER, before_typing=begin)
    restarting[0].join()
    ok(code == 0, "systemctl restart ksdd lets a typing end that is under way", screen)
