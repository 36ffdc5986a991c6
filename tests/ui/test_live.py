"""The whole path: a rule added in the panel, real packets, every hop the kernel reported."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections import Counter
from contextlib import asynccontextmanager, contextmanager

import pytest

from tracetui.kernel.module_files import ModuleFiles
from tracetui.lab.network import SERVER, Lab
from tracetui.lab.ruleset import LabRuleset
from tracetui.lab.traffic import Traffic
from tracetui.session.live.live import LiveSession
from tracetui.session.node.module_reader import ModuleReader
from tracetui.ui.app import TraceApp
from tracetui.ui.widgets.rules_pane import RulesPane

from .conftest import Screen

pytestmark = pytest.mark.kernel

NFT_RAW = ["raw:PREROUTING:rule", "raw:PREROUTING:return", "raw:PREROUTING:policy"]
NFT_NAT = [
    *("nat:PREROUTING:rule", "nat:KUBE-SERVICES:rule"),
    *("nat:KUBE-SVC-WEB:rule", "nat:KUBE-SEP-WEB:rule"),
]
NFT_MANGLE = ["mangle:FORWARD:rule", "mangle:FORWARD:return", "mangle:FORWARD:policy"]
NFT_POSTROUTING = [
    *("nat:POSTROUTING:rule", "nat:KUBE-POSTROUTING:rule"),
    *("nat:POSTROUTING:return", "nat:POSTROUTING:policy"),
]
LEGACY_FILTER = [
    *("filter:FORWARD:rule:1", "filter:cali-FORWARD:rule:1", "filter:cali-tw-cali7:return:4"),
    *("filter:cali-FORWARD:return:2", "filter:FORWARD:rule:2", "filter:KUBE-FORWARD:return:4"),
    "filter:FORWARD:policy:3",
]
WEB_SYN = {
    "legacy": [
        *("raw:PREROUTING:policy:3", "mangle:PREROUTING:policy:1", "nat:PREROUTING:rule:1"),
        *("nat:KUBE-SERVICES:rule:2", "nat:KUBE-SVC-WEB:rule:1", "nat:KUBE-SEP-WEB:rule:1"),
        *("mangle:FORWARD:rule:1", "mangle:FORWARD:policy:2", *LEGACY_FILTER),
        *("mangle:POSTROUTING:policy:1", "nat:POSTROUTING:rule:1"),
        *("nat:KUBE-POSTROUTING:rule:1", "nat:POSTROUTING:policy:2"),
    ],
    "nft": [
        *(*NFT_RAW, *NFT_NAT, *NFT_MANGLE),
        *("filter:FORWARD:rule", "filter:cali-FORWARD:rule", "filter:cali-tw-cali7:return"),
        *("filter:cali-FORWARD:return", "filter:FORWARD:rule", "filter:KUBE-FORWARD:return"),
        *("filter:FORWARD:return", "filter:FORWARD:policy", *NFT_POSTROUTING),
    ],
    "mixed": [*NFT_RAW, *NFT_NAT, *NFT_MANGLE, *LEGACY_FILTER, *NFT_POSTROUTING],
}
"""What the lab's rules make of the first packet to the web service, read from the ruleset."""


def place(hop) -> tuple[str, ...]:
    return (hop.table, hop.chain, hop.type, *([str(hop.rulenum)] if hop.rulenum else []))


def places(packet) -> list[str]:
    return [":".join(place(hop)) for hop in packet.hops]


def is_told_by_nft(hop) -> bool:
    """``nft monitor trace`` leaves out the implicit ends of chains."""
    return hop.backend == "nft" and not (hop.type == "return" and hop.handle is None)


def on_node(lab: Lab, *argv: str) -> str:
    done = subprocess.run(
        ["ip", "netns", "exec", lab.node, *argv],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    return done.stdout


def left_on(lab: Lab) -> list[str]:
    """What of ours stands in any raw table, or is bound in nf_log."""
    tools = ("iptables-legacy", "ip6tables-legacy", "iptables-nft", "ip6tables-nft")
    saved = "".join(on_node(lab, f"{tool}-save") for tool in tools)
    bound = on_node(lab, "cat", "/proc/net/netfilter/nf_log")
    return [line for line in saved.splitlines() if "TRACE" in line or "tracetui" in line] + [
        line for line in bound.splitlines() if "nfnetlink_log" in line.split("(")[0]
    ]


@contextmanager
def nft_events(lab: Lab):
    """The events that nft itself reports meanwhile: a reader that is not ours."""
    argv = ["ip", "netns", "exec", lab.node, "nft", "monitor", "trace"]
    found: list[str] = []
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        time.sleep(0.5)  # in which nft begins to listen: it says nothing of it
        yield found
        time.sleep(0.5)  # in which it prints what it heard
        process.terminate()
        lines = process.communicate()[0].splitlines()
    # An event is a line with its verdict; a line with the packet's header is not one.
    found += [line for line in lines if line.startswith("trace id") and " packet: " not in line]


@asynccontextmanager
async def tracing(lab: Lab):
    session = LiveSession(lab.node, called="lab")
    app = TraceApp(session, ModuleReader(ModuleFiles()))
    try:
        async with app.run_test(size=(140, 40)) as pilot:
            screen = Screen(app, pilot, session, None)
            await until(screen, lambda: session.is_ready)
            yield screen
    finally:
        session.close()


async def until(screen: Screen, is_true, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, [notice.text for notice in screen.app.notices]
        await asyncio.sleep(0.05)
        await screen.settle()


async def add_in_panel(screen: Screen, **fields: str) -> None:
    before = len(screen.session.rules)
    await screen.press("a")
    for name, text in fields.items():
        screen.app.screen.query_one(f"#{name}").focus()
        await screen.pilot.pause()
        await screen.write(text)
    await screen.press("enter")
    await until(screen, lambda: len(screen.session.rules) > before)


async def quiet(screen: Screen) -> int:
    """Wait until no more hops come; how many there were."""
    hops = -1
    while hops != screen.session.packets.hops:
        hops = screen.session.packets.hops
        await asyncio.sleep(0.7)  # in which hops that are under way would have come
        await screen.settle()
    return hops


@pytest.mark.parametrize("kind", ["legacy", "nft", "mixed"])
async def test_a_rule_of_the_panel_shows_every_hop_and_leaves_nothing(kind):
    with Lab(LabRuleset(kind, SERVER)) as lab, Traffic(lab) as traffic:
        async with tracing(lab) as screen:
            await add_in_panel(screen, proto="tcp", dst="10.96.0.80", dport="80")
            assert len(left_on(lab)) >= 1
            with nft_events(lab) as events:
                assert await asyncio.to_thread(traffic.ask, "web") == "answered"
                hops = await quiet(screen)
            packets = list(screen.session.packets)

            first = packets[0]
            assert first.header.flags == "SYN"
            assert places(first) == WEB_SYN[kind]
            assert first.nat == {"dst": "10.200.2.2", "dport": 8080}
            assert first.verdict == "accept"
            # One packet each: SYN, ACK, the question, ACK and FIN in one or two.
            assert all(packet.header.dst == "10.96.0.80" for packet in packets)
            for packet in packets:
                seen = Counter((*place(hop), hop.handle) for hop in packet.hops)
                assert seen.most_common(1)[0][1] == 1
            assert screen.session.status.hops == hops
            told = [hop for packet in packets for hop in packet.hops if is_told_by_nft(hop)]
            assert len(told) == len(events)

            await screen.press("home", "enter")
            # nft reports the rule that began the trace; it is shown when asked for.
            own = 0 if kind == "legacy" else 1
            assert screen.timeline.line_count == len(packets) + len(WEB_SYN[kind]) - own
            assert "-j TRACE" not in "".join(screen.lines())
            await screen.press("o")
            assert screen.timeline.line_count == len(packets) + len(WEB_SYN[kind])
            assert any("jump KUBE-SVC-WEB  shop/web" in line for line in screen.lines())
            assert "10.96.0.80:80 ⇒ 10.200.2.2:8080" in screen.lines()[0]

            await screen.press("2", "d")
            await until(screen, lambda: not screen.session.rules)
            assert left_on(lab) == []
            assert await asyncio.to_thread(traffic.ask, "web") == "answered"
            assert await quiet(screen) == hops
        assert left_on(lab) == []


async def test_the_drop_and_both_directions_are_shown():
    with Lab(LabRuleset("nft", SERVER)) as lab, Traffic(lab) as traffic:
        async with tracing(lab) as screen:
            await add_in_panel(screen, iif="eth0")
            await add_in_panel(screen, iif="cali7")
            assert len(screen.session.rules) == 4
            assert await asyncio.to_thread(traffic.ask, "dropped") == "no answer"
            await quiet(screen)
            dropped = next(p for p in screen.session.packets if p.header.dport == 9999)
            assert dropped.verdict == "drop"
            assert "cali-tw-cali7" in places(dropped)[-1]
            assert await asyncio.to_thread(traffic.ask, "api", 6) == "answered"
            await quiet(screen)
            ours = [p for p in screen.session.packets if p.header.family == 6]
            assert any(p.header.dst == "fd00:96::81" for p in ours)
            assert any(p.header.src == "fd00:c2::2" and p.header.sport == 8443 for p in ours)
            await screen.press("F")
            await until(screen, lambda: not screen.session.rules)
            assert any("flushed 4" in notice.text for notice in screen.app.notices)
            assert left_on(lab) == []


async def test_a_foreign_trace_rule_is_listed_and_left_alone():
    with Lab(LabRuleset("nft", SERVER)) as lab:
        on_node(lab, "iptables-nft", "-t", "raw", "-A", "PREROUTING", "-p", "icmp", "-j", "TRACE")
        async with tracing(lab) as screen:
            await until(screen, lambda: len(screen.session.rules) == 1)
            await until(screen, lambda: "FOREIGN" in screen.whole())
            await screen.press("2")
            assert screen.app.screen.query_one(RulesPane).selected is not None
            await screen.press("d")
            await until(screen, lambda: screen.app.notices)
            await screen.press("F")
            await until(screen, lambda: len(screen.app.notices) > 1)
            assert len(left_on(lab)) == 1
        assert len(left_on(lab)) == 1
