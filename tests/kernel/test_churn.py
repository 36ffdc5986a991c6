"""Rules rewritten ten times a second while packets are traced: no rule is shown that was not met.

Each generation of the chain marks its packets with its number, so that the hops behind it tell
which generation a packet really saw.
"""

from __future__ import annotations

import re
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest

from tracetui.lab.network import SERVER, Lab
from tracetui.lab.ruleset import LabRuleset
from tracetui.lab.traffic import Traffic

from .tracing import traced

pytestmark = pytest.mark.kernel

SECONDS = 6.0
PERIOD = 0.1
PART = """\
*nat
:KUBE-SVC-WEB - [0:0]
:KUBE-SEP-WEB - [0:0]
-A KUBE-SVC-WEB -m comment --comment "gen {mark}" -j MARK --set-xmark {mark:#x}/0xfff
-A KUBE-SVC-WEB -m comment --comment "gen {mark}" -j KUBE-SEP-WEB
-A KUBE-SEP-WEB -p tcp -m comment --comment "gen {mark}" -m tcp -j DNAT --to-destination 10.200.2.2:8080
COMMIT
"""
WHOLE = """\
*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-WEB - [0:0]
:KUBE-SEP-WEB - [0:0]
-A PREROUTING -m comment --comment "gen {mark}" -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.0.80/32 -p tcp -m comment --comment "gen {mark}" -m tcp --dport 80 -j KUBE-SVC-WEB
-A KUBE-SVC-WEB -m comment --comment "gen {mark}" -j MARK --set-xmark {mark:#x}/0xfff
-A KUBE-SVC-WEB -m comment --comment "gen {mark}" -j KUBE-SEP-WEB
-A KUBE-SEP-WEB -p tcp -m comment --comment "gen {mark}" -m tcp -j DNAT --to-destination 10.200.2.2:8080
COMMIT
"""


def counting(number: int) -> int:
    return number + 1


def to_and_fro(number: int) -> int:
    return 1 + number % 2


def restore(lab: Lab, backend: str, text: str, words: tuple[str, ...]) -> None:
    subprocess.run(
        ["ip", "netns", "exec", lab.node, f"iptables-{backend}-restore", *words],
        input=text, text=True, check=True, timeout=10,
    )  # fmt: skip


@contextmanager
def churn(lab: Lab, backend: str, template: str, mark_of):
    """Rewrite the chains until the context ends; the marks that stood."""
    stop, marks = threading.Event(), []
    words = () if template is WHOLE else ("--noflush",)

    def rewrite() -> None:
        number = 0
        while not stop.wait(PERIOD):
            marks.append(mark_of(number))
            restore(lab, backend, template.format(mark=marks[-1]), words)
            number += 1

    thread = threading.Thread(target=rewrite)
    thread.start()
    try:
        yield marks
    finally:
        stop.set()
        thread.join()


def seen(packet) -> int | None:
    """The generation that marked the packet; None for a packet that met none."""
    return next((hop.mark for hop in packet.hops if hop.mark), None)


def shown(explanation) -> set[int]:
    """The generations whose rules are shown."""
    texts = [here.rule.text for here in explanation.hops if here.rule is not None]
    chains = [rule.text for here in explanation.hops if here.chain for rule in here.chain.rules]
    return {int(found) for text in texts + chains for found in re.findall(r"gen (\d+)", text or "")}


@pytest.mark.parametrize("mark_of", [counting, to_and_fro])
@pytest.mark.parametrize(
    ("backend", "template"), [("legacy", PART), ("nft", PART), ("nft", WHOLE), ("legacy", WHOLE)]
)
def test_no_rule_is_shown_that_the_packet_did_not_meet(backend, template, mark_of):
    with Lab(LabRuleset(backend, SERVER)) as lab, Traffic(lab) as traffic:
        with traced(lab, backend, proto="tcp", dst="10.96.0.80", syn=True, family=4) as session:
            with churn(lab, backend, template, mark_of) as marks:
                end = time.monotonic() + SECONDS
                while time.monotonic() < end:
                    traffic.ask("web")
                    for _ in range(3):
                        session.poll()
                        check(session)
                        time.sleep(0.02)
            wait = time.monotonic() + 30.0
            while is_pending(session) and time.monotonic() < wait:
                session.poll()
                time.sleep(0.05)
            check(session)
            packets = [packet for packet in session.packets if seen(packet)]
            assert len(marks) > SECONDS / PERIOD / 3
            assert len({seen(packet) for packet in packets}) > 1
            # What does not change is explained all the same, and nobody waits for ever.
            hops = [
                (hop, here)
                for packet in packets
                for hop, here in zip(packet.hops, session.explain(packet).hops)
            ]
            assert not any(here.state == "pending" for _, here in hops)
            if backend == "nft":
                filters = [here for hop, here in hops if hop.table == "filter" and hop.handle]
                assert filters
                assert all(here.rule is not None for here in filters)


def is_pending(session) -> bool:
    """Whether a hop waits for the next snapshot to be explained."""
    return any(
        hop.state == "pending" for packet in session.packets for hop in session.explain(packet).hops
    )


def check(session) -> None:
    for packet in session.packets:
        wrong = shown(session.explain(packet)) - {seen(packet)}
        assert not wrong, (wrong, seen(packet), [hop.place for hop in packet.hops])
