"""iptables commands that are missing, fail, hang, or print what nobody understands."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from tests.programs import before_others

from .terminal import Terminal

pytestmark = pytest.mark.kernel

RULE = ("--chain", "OUTPUT", "-4", "-p", "icmp", "--backend")
BACKENDS = ("legacy", "nft")


class Fake:
    """A directory to stand first in PATH, with programs that spoil what they do at will."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

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
    argv = ("--netns", name, *RULE, backend)
    return Terminal(*argv, mark=name, before=before_others(fake.path))


def wait_until_traced(faults, program: Terminal) -> None:
    program.wait_for(faults.namespace.trace_rules)
    program.wait_for("guard ARMED")
    faults.namespace.ping()
    program.wait_for("127.0.0.1")


def test_a_deletion_that_fails_is_tried_again(faults, fake):
    fake.spoil("iptables-legacy", '*" -D "*', "echo broken >&2; exit 1")
    with started(faults, fake, "legacy") as program:
        wait_until_traced(faults, program)
        fake.begin()
        program.type("q")
        program.wait_for("still removing")
        program.wait_for("broken")
        assert faults.namespace.trace_rules()
        assert faults.namespace.loggers()[2] == "nfnetlink_log"
        fake.end()
        program.process.wait(20)
        faults.leaves_nothing("iptables fails", program)


def test_a_deletion_that_is_said_to_be_done_and_was_not_is_tried_again(faults, fake):
    """The kernel is asked, whatever the command's exit status says."""
    fake.spoil("iptables-legacy", '*" -D "*', "exit 0")
    with started(faults, fake, "legacy") as program:
        wait_until_traced(faults, program)
        fake.begin()
        program.type("q")
        program.wait_for("the kernel still has it")
        assert faults.namespace.trace_rules()
        fake.end()
        program.process.wait(20)
        faults.leaves_nothing("iptables lies", program)


@pytest.mark.parametrize("what", ["exit 1", "exit 0", "sleep 3600", "exit 127"])
def test_a_rule_of_nf_tables_goes_whatever_iptables_does(faults, fake, what):
    """It is removed by its handle, which takes no command: also while the package is upgraded."""
    fake.spoil("iptables-nft", "*", what)
    with started(faults, fake, "nft") as program:
        wait_until_traced(faults, program)
        fake.begin()
        program.type("F")
        program.wait_for("flushed 1")
        assert faults.namespace.trace_rules() == []
        program.type("q")
        program.process.wait(20)
        faults.leaves_nothing("iptables fails", program)


def test_an_insertion_that_is_said_to_be_done_and_was_not_is_told(faults, fake):
    fake.spoil("iptables-nft", '*" -I "*', "exit 0")
    fake.begin()
    with started(faults, fake, "nft") as program:
        program.wait_for("the kernel has not")
        program.type("q")
        program.process.wait(20)
        faults.leaves_nothing("iptables lies", program)


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
def test_a_listing_of_garbage_costs_a_rule_of_others_its_words_and_nothing_else(
    faults, fake, backend
):
    """Which rules there are is the kernel's word; what iptables prints is shown beside it."""
    name, when = {
        "legacy": ("iptables-legacy-save", '*" raw "*'),
        "nft": ("iptables-nft", '*" -S "*'),
    }[backend]
    faults.namespace.run(f"iptables-{backend}", "-t", "raw", "-A", "OUTPUT", "-j", "TRACE")
    fake.spoil(name, when, r"printf 'all is \033[31mwell\n'; exit 0")
    fake.begin()
    with started(faults, fake, backend) as program:
        wait_until_traced(faults, program)
        program.wait_for("is not understood", 10)
        program.wait_for("rule 2 of OUTPUT")
        time.sleep(2.5)  # in which it is listed once more, and would be missed
        assert "somebody else removed" not in program.text
        assert len(faults.namespace.trace_rules()) == 2
        program.type("F")
        program.wait_for(lambda: len(faults.namespace.trace_rules()) == 1)
        program.type("q")
        program.process.wait(20)
        assert b"\x1b[31mwell" not in program.raw
        faults.namespace.run(f"iptables-{backend}", "-t", "raw", "-F", "OUTPUT")
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
    fake.spoil("iptables-legacy", "*", "exit 127")
    with started(faults, fake, "legacy") as program:
        wait_until_traced(faults, program)
        fake.begin()
        program.type("q")
        program.wait_for("still removing")
        time.sleep(1.0)  # in which it is tried again, in vain
        fake.end()
        program.process.wait(20)
        faults.leaves_nothing("iptables is missing", program)
