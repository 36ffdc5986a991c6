"""iptables commands that are missing, fail, hang, or print what nobody understands."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from .terminal import Terminal

pytestmark = pytest.mark.kernel

RULE = ("--chain", "OUTPUT", "-4", "-p", "icmp", "--backend")
BACKENDS = ("legacy", "nft")


class Fake:
    """A directory to stand first in PATH, with programs that spoil what they do at will."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": f"{self.path}:/usr/sbin:/usr/bin:/sbin:/bin"}

    def spoil(self, name: str, when: str, what: str) -> None:
        """Have ``name`` do ``what`` instead, while a file named ``spoilt`` is there.

        ``when`` is a pattern of its arguments.
        """
        real = shutil.which(name)
        script = self.path / name
        script.write_text(
            f"#!/bin/sh\nif [ -e {self.path}/spoilt ]; then\n"
            f'  case " $* " in {when}) {what} ;; esac\nfi\nexec {real} "$@"\n'
        )
        script.chmod(0o755)

    def begin(self) -> None:
        (self.path / "spoilt").touch()

    def end(self) -> None:
        (self.path / "spoilt").unlink()


@pytest.fixture
def fake(tmp_path) -> Fake:
    return Fake(tmp_path / "fake")


def started(faults, fake: Fake, backend: str) -> Terminal:
    name = faults.namespace.name
    return Terminal("--netns", name, *RULE, backend, mark=name, env=fake.env)


def wait_until_traced(faults, program: Terminal) -> None:
    program.wait_for(faults.namespace.trace_rules)
    program.wait_for("guard ARMED")
    faults.namespace.ping()
    program.wait_for("127.0.0.1")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_deletion_that_fails_is_tried_again(faults, fake, backend):
    fake.spoil(f"iptables-{backend}", '*" -D "*', "echo broken >&2; exit 1")
    with started(faults, fake, backend) as program:
        wait_until_traced(faults, program)
        fake.begin()
        program.type("q")
        program.wait_for("still removing")
        program.wait_for("broken")
        assert faults.namespace.trace_rules()
        if backend == "legacy":
            assert faults.namespace.loggers()[2] == "nfnetlink_log"
        fake.end()
        program.process.wait(20)
        faults.leaves_nothing("iptables fails", program)


def test_a_deletion_that_hangs_is_ended_and_tried_again(faults, fake):
    fake.spoil("iptables-legacy", '*" -D "*', "sleep 3600")
    with started(faults, fake, "legacy") as program:
        wait_until_traced(faults, program)
        fake.begin()
        program.type("F")
        program.wait_for("did not end in time", 25)
        fake.end()
        program.wait_for(lambda: not faults.namespace.trace_rules(), 25)
        program.wait_for("flushed 1")
        program.type("q")
        program.process.wait(20)
        faults.leaves_nothing("iptables hangs", program)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_listing_of_garbage_makes_no_rule_forgotten(faults, fake, backend):
    name, when = {
        "legacy": ("iptables-legacy-save", '*" raw "*'),
        "nft": ("iptables-nft", '*" -S "*'),
    }[backend]
    fake.spoil(name, when, r"printf 'all is \033[31mwell\n'; exit 0")
    with started(faults, fake, backend) as program:
        wait_until_traced(faults, program)
        fake.begin()
        program.wait_for("is not understood", 10)
        time.sleep(2.5)
        assert "somebody else removed" not in program.text
        assert faults.namespace.trace_rules()
        program.type("F")
        program.wait_for(lambda: not faults.namespace.trace_rules())
        program.type("q")
        program.process.wait(20)
        assert b"\x1b[31mwell" not in program.raw
        faults.leaves_nothing("iptables prints garbage", program)


def test_without_iptables_no_rule_can_be_added_and_that_is_said(faults, tmp_path):
    (tmp_path / "empty").mkdir()
    hide = f'mount --bind {tmp_path}/empty /usr/sbin && exec "$@"'
    before = ("unshare", "-m", "sh", "-c", hide, "sh")
    name = faults.namespace.name
    with Terminal("--netns", name, mark=name, before=before) as program:
        program.wait_for("no iptables command here")
        program.type("a")
        program.wait_for("install the iptables package")
        program.type("q")
        program.process.wait(20)
        faults.leaves_nothing("iptables is missing", program)


def test_iptables_that_vanishes_under_a_rule_is_waited_for(faults, fake):
    """As while the package is upgraded: the rule goes when the command is back."""
    fake.spoil("iptables-nft", "*", "exit 127")
    with started(faults, fake, "nft") as program:
        wait_until_traced(faults, program)
        fake.begin()
        program.type("q")
        program.wait_for("still removing")
        time.sleep(1.0)
        fake.end()
        program.process.wait(20)
        faults.leaves_nothing("iptables is missing", program)
