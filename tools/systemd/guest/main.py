"""The checks, in the order in which an administrator would meet things."""

import os

import box
import daemon
import gate
import pam
import people
import sshd

PARTS = {
    "daemon": [daemon.accounts, daemon.activation, daemon.state, daemon.reload, daemon.restart, daemon.kill, daemon.sandbox],
    "pam": [pam.enrol, pam.su, pam.without],
    "sshd": [sshd.service, sshd.alike, sshd.door, sshd.lives, sshd.broken, sshd.tasks, sshd.socket],
    "gate": [gate.session, gate.groups, gate.user_manager],
}

# What the other parts need of one that is left out.
PREPARATION = {"daemon": [daemon.begin], "pam": [pam.enrol]}

box.report_to("/dev/ttyS1")
try:
    box.say(box.run("systemctl", "is-system-running", "--wait", timeout=120)[1])
    box.section(people.make)
    wanted = os.environ.get("PARTS", "").split() or list(PARTS)
    for part, sections in PARTS.items():
        if part not in wanted:
            sections = PREPARATION.get(part, [])
        for f in sections:
            box.section(f)
    if "daemon" in wanted:
        box.section(daemon.security)
finally:
    box.finish()
