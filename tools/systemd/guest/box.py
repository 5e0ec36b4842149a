"""What the checks share: results, commands, and terminals with somebody at them.

Results go to the second serial line as they come, in the form of TAP.
"""

import os
import pty
import random
import re
import select
import signal
import subprocess
import sys
import time
import traceback

PHRASES = ["open the gate", "bring the rope"]
SSH = ["ssh", "-F", "/dev/null", "-i", "/root/key", "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no",
       "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "NumberOfPasswordPrompts=1", "-o", "ConnectTimeout=60"]

_out = sys.stdout
_count = {"ok": 0, "not ok": 0}


def report_to(path):
    global _out
    _out = open(path, "w", buffering=1)


def say(text):
    for line in str(text).splitlines():
        _out.write("# " + line + "\n")


def ok(good, name, seen=""):
    """Reports one check; what was seen is shown where it failed."""
    word = "ok" if good else "not ok"
    _count[word] += 1
    _out.write(f"{word} {sum(_count.values())} - {name}\n")
    if not good and seen != "":
        say(seen if isinstance(seen, str) else repr(seen))
    return bool(good)


def section(f):
    """Runs one part; what breaks in it fails, and the next part still runs."""
    say(f"{f.__module__}.{f.__name__}: {(f.__doc__ or '').strip().splitlines()[0]}")
    began = time.monotonic()
    try:
        f()
    except Exception:
        ok(False, f"{f.__module__}.{f.__name__} runs to its end", traceback.format_exc())
    say(f"{time.monotonic() - began:.0f} s")


def finish():
    _out.write(f"1..{sum(_count.values())}\n")
    _out.write(f"{_count['ok']} passed, {_count['not ok']} failed\n")
    if _count["ok"] and not _count["not ok"]:
        _out.write("ksd: passed\n")
    _out.flush()


def run(*argv, timeout=60, stdin=None):
    """Runs a program; its exit code and all that it said."""
    p = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, text=True,
                       stdin=None if stdin is not None else subprocess.DEVNULL, errors="replace")
    return p.returncode, p.stdout


def must(*argv, **more):
    code, out = run(*argv, **more)
    if code != 0:
        raise RuntimeError(f"{argv}: exit code {code}: {out}")
    return out


def as_user(user, *argv):
    return ["runuser", "-u", user, "--", *argv]


def show(unit, *names):
    """Properties of a unit, in a dict."""
    args = [a for n in names for a in ("-p", n)]
    return dict(line.split("=", 1) for line in must("systemctl", "show", *args, unit).splitlines() if "=" in line)


def main_pid(unit):
    return int(show(unit, "MainPID")["MainPID"])


def kill_main(unit):
    """SIGKILLs a unit's main process; its number."""
    if not (pid := main_pid(unit)):  # 0 would be ourselves
        raise RuntimeError(f"{unit} does not run")
    os.kill(pid, signal.SIGKILL)
    return pid


def crash_loop(unit):
    """Starts a unit that cannot start more often than systemd lets it by itself: 5 times in the time that run.sh sets."""
    for _ in range(8):
        run("systemctl", "start", unit)


def journal(unit, since):
    return run("journalctl", "-o", "cat", "--no-pager", "-u", unit, "--since", f"@{since:.6f}")[1]


def until(condition, seconds=15):
    """Waits until a condition holds; whether it does."""
    end = time.monotonic() + seconds
    while not (held := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    return held


def read(path):
    with open(path, errors="replace") as f:
        return f.read()


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)


class Hands:
    """A rhythm: each pair of keys has its interval, and chance its share of it."""

    def __init__(self, seed, tempo):
        self.seed, self.tempo, self.chance = seed, tempo, random.Random(seed)

    def gaps(self, text):
        out = [0.0]
        for pair in zip(text, text[1:]):
            usual = self.tempo * (0.7 + 0.6 * random.Random(f"{self.seed}{pair}").random())
            out.append(usual + max(0.15 * usual, 0.016) * (2 * self.chance.random() - 1))
        return out


OWNER, STRANGER = Hands(1, 0.110), Hands(2, 0.280)


class Terminal:
    """A program at a pseudo-terminal."""

    def __init__(self, *argv):
        self.screen, self.seen, self.over = "", 0, False
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="dumb", LANG="C.UTF-8")
            os.execvp(argv[0], argv)

    def look(self, seconds):
        """Takes in what is shown within a time; whether there was something."""
        if self.over or not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            got = os.read(self.fd, 65536)
        except OSError:
            got = b""
        self.over = not got
        self.screen += got.decode(errors="replace")
        return bool(got)

    def expect(self, pattern, seconds=30):
        """Waits for a pattern after the last one; its match, None if it does not come."""
        end = time.monotonic() + seconds
        while True:
            if m := re.search(pattern, self.screen[self.seen:]):
                self.seen += m.end()
                return m
            if self.over or time.monotonic() > end:
                return None
            self.look(0.2)

    def send(self, text):
        os.write(self.fd, text.encode())

    def type(self, hands, text):
        began, at = time.monotonic(), 0.0
        for key, gap in zip(text, hands.gaps(text)):
            at += gap
            time.sleep(max(0, began + at - time.monotonic()))
            self.send(key)
        time.sleep(hands.tempo)
        self.send("\r")

    def answer(self, hands, pattern=r"(?!)", seconds=120):
        """Types each phrase that is asked for, until a pattern is shown or the end."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            while self.look(0.4):
                pass
            new = self.screen[self.seen:]
            if m := re.search(pattern, new):
                self.seen += m.end()
                return m
            if self.over:
                return None
            asked = [p for p in PHRASES if p in new]
            if asked:
                self.seen = len(self.screen)
                self.type(hands, max(asked, key=new.rfind))
            elif "again or keep?" in new:
                self.seen = len(self.screen)
                self.send("k\r")
        return None

    def end(self, seconds=20):
        """Waits for the end of the program; its exit code, None if it does not end."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            self.look(0.1)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
        self.kill()
        return None

    def kill(self):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.fd)
