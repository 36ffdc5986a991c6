"""The lab is what it says, and nothing of it outlives it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tracetui.kernel import netns
from tracetui.lab import network
from tracetui.lab.network import SERVER, Lab
from tracetui.lab.ruleset import LAB_KINDS, LabRuleset
from tracetui.lab.traffic import Traffic

pytestmark = pytest.mark.kernel

OUTCOMES = {
    "web": "answered",
    "api": "answered",
    "dns": "answered",
    "direct": "answered",
    "dropped": "no answer",
    "rejected": "refused",
    "quarantined": "no answer",
}


def started() -> tuple[subprocess.Popen, str]:
    """A lab of another process, and the name of its node."""
    argv = [sys.executable, "-m", "tracetui.lab", "nft"]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def ended(process: subprocess.Popen) -> None:
    process.wait(timeout=20)
    process.stdin.close()
    process.stdout.close()


@pytest.mark.parametrize("kind", LAB_KINDS)
@pytest.mark.parametrize("family", [4, 6])
def test_its_rules_do_to_packets_what_they_are_there_for(kind, family):
    with Lab(LabRuleset(kind, SERVER)) as lab, Traffic(lab) as traffic:
        assert {name: traffic.ask(name, family) for name in OUTCOMES} == OUTCOMES
        names = (lab.client, lab.node, lab.server)
        assert all((netns.NAMED / name).exists() for name in names)
    assert not any((netns.NAMED / name).exists() for name in names)


def test_a_lab_that_is_told_to_end_leaves_nothing():
    process, node = started()
    process.send_signal(signal.SIGTERM)
    ended(process)
    assert not (netns.NAMED / node).exists()


def test_a_lab_whose_user_died_leaves_nothing():
    process, node = started()
    process.stdin.close()
    ended(process)
    assert not (netns.NAMED / node).exists()


def test_a_killed_lab_is_swept_and_a_living_one_is_not():
    killed, dead = started()
    living, alive = started()
    try:
        killed.kill()
        ended(killed)
        assert (netns.NAMED / dead).exists()
        assert dead in network.sweep()
        assert not (netns.NAMED / dead).exists()
        assert (netns.NAMED / alive).exists()
    finally:
        living.terminate()
        ended(living)
