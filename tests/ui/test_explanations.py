"""What the screen tells of rules: beside the hops, in their chains, of two packets, of many."""

from __future__ import annotations

import io
import json

import pytest

from tracetui.session.replay.replay import ReplaySession
from tracetui.session.state.session import ChainListing, ChainRef, Notice
from tracetui.ui.screens.chain import ChainScreen
from tracetui.ui.widgets.chain_list import ChainList

from .conftest import SEED, Desk


def row_of(session, is_meant) -> int:
    return next(at for at, packet in enumerate(session.packets) if is_meant(packet))


def is_web(packet) -> bool:
    return packet.header.flags == "SYN" and packet.header.dst == "10.96.0.80"


def is_dropped(packet) -> bool:
    return packet.header.flags == "SYN" and packet.header.dport == 9999


def toasts(screen) -> list[str]:
    return [notification.message for notification in screen.app._notifications]


async def open_packet(screen, is_meant) -> int:
    """Unfold a packet; its row."""
    row = row_of(screen.session, is_meant)
    await screen.press("home", *["down"] * row, "enter")
    return row


def line_with(screen, text: str) -> int:
    return next(at for at, line in enumerate(screen.lines()) if text in line)


async def go_to(screen, row: int, text: str) -> None:
    await screen.press(*["down"] * (line_with(screen, text) - row))


async def test_a_hop_shows_its_comment_its_change_and_its_rule(shown, lab):
    async with shown(lab, size=(200, 50)) as screen:
        await open_packet(screen, is_web)
        lines = screen.lines()
        service = next(line for line in lines if "└ KUBE-SERVICES" in line)
        assert "jump KUBE-SVC-WEB" in service
        assert service.index("shop/web") < service.index("-d 10.96.0.80/32 -p tcp")
        assert "all services" in service
        assert any("service shop/web" in line and "KUBE-SVC-WEB" in line for line in lines)
        endpoint = next(line for line in lines if "└ KUBE-SEP-WEB" in line)
        assert "DNAT → 10.200.2.2:8080" in endpoint
        assert "-p tcp -m tcp -j DNAT" in endpoint
        assert not any("µs" in line for line in lines)


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)])
async def test_unfolding_shows_the_hop_that_dropped_with_its_chain_and_number(shown, lab, size):
    async with shown(lab, size=size) as screen:
        packet = next(one for one in reversed(list(lab.packets)) if is_dropped(one))
        decided = lab.explain(packet).decided
        screen.timeline.go_to_packet(packet)
        await screen.settle()
        sight = range(screen.timeline.top, screen.timeline.top + screen.timeline.size.height)
        in_sight = [screen.timeline.text_of(y) for y in sight]
        assert sum("rule 1 ✗ drop" in line for line in in_sight) == 1
        assert screen.timeline.selected_hop in (None, decided)
        assert screen.timeline.has_in_sight(screen.timeline.cursor_line)


async def test_under_30_lines_the_packets_have_more_of_them_than_all_else(shown, lab):
    async with shown(lab, size=(80, 24)) as screen:
        assert screen.timeline.size.height >= 12
        screen.session._notices += [Notice(0.0, "warning", f"notice {n}") for n in range(9)]
        await screen.settle()
        assert "notice 8" in screen.whole()
        assert screen.timeline.size.height >= 9


async def test_times_are_gaps_and_stand_only_where_they_are_asked_for_and_known(shown, lab):
    async with shown(lab, size=(160, 60)) as screen:
        row = await open_packet(screen, is_web)
        await screen.press("w")
        lines = screen.lines()[row:]
        assert sum("µs" in line for line in lines) > 5
        assert not any("+0 µs" in line or "slowest" in line for line in lines)
        legacy = [line for line in lines if "cali-" in line]
        assert legacy
        assert not any("µs" in line for line in legacy)
        await screen.press("w")
        assert not any("µs" in line for line in screen.lines())


async def test_a_log_s_stamps_are_no_times_of_hops(shown, seed):
    async with shown(seed, size=(160, 60)) as screen:
        await screen.press("home", "enter", "w")
        assert len(screen.lines()) == 6 + 22
        assert not any("µs" in line or " ms" in line for line in screen.lines())


async def test_under_the_packets_stands_the_exact_rule(shown, lab):
    async with shown(lab, size=(160, 50)) as screen:
        row = await open_packet(screen, is_web)
        assert "accepted by the policy of POSTROUTING (nft table ip nat)" in screen.text("#detail")
        await go_to(screen, row, "└ KUBE-SERVICES")
        detail = screen.text("#detail")
        assert (
            '-A KUBE-SERVICES -d 10.96.0.80/32 -p tcp -m comment --comment "shop/web" -m tcp '
            "--dport 80 -j KUBE-SVC-WEB"
        ) in detail
        assert "rule 2 of 3" in detail
        assert "all services (kube-proxy)" in detail
        assert "jump KUBE-SVC-WEB (verdict from the kernel)" in detail


async def test_of_a_packet_stands_who_dropped_it(shown, lab):
    async with shown(lab, size=(160, 50)) as screen:
        row = row_of(lab, is_dropped)
        await screen.press("home", *["down"] * row)
        detail = screen.text("#detail")
        assert "dropped by rule 1 of cali-tw-cali7 (legacy table ip filter)" in detail
        assert "-A cali-tw-cali7 -p tcp -m tcp --dport 9999 -j DROP" in detail


async def test_the_rules_passed_by_are_shown_when_asked_for(shown, lab):
    async with shown(lab, size=(200, 50)) as screen:
        await open_packet(screen, is_web)
        count = len(screen.lines())
        assert not any("did not match" in line for line in screen.lines())
        await screen.press("u")
        passed = [line for line in screen.lines() if "did not match" in line]
        assert len(screen.lines()) == count + len(passed)
        assert any(
            "· 1 did not match -d 10.96.0.10/32: -d 10.96.0.10/32 -p udp" in line for line in passed
        )
        assert sum("--dport 9999 -j DROP" in line for line in passed) == 1
        await screen.press("u")
        assert len(screen.lines()) == count


async def test_enter_on_a_hop_opens_its_chain_and_jumps_are_followed_and_come_back_from(shown, lab):
    async with shown(lab, size=(120, 30)) as screen:
        row = await open_packet(screen, is_web)
        await go_to(screen, row, "└ KUBE-SERVICES")
        await screen.press("enter")
        assert isinstance(screen.app.screen, ChainScreen)
        chain = screen.app.screen.query_one(ChainList)
        assert [chain.text_of(number)[0] for number in (1, 2, 3, 4)] == [" ", "▶", " ", " "]
        assert "--dport 80 -j KUBE-SVC-WEB" in chain.text_of(2)
        assert "end: return" in chain.text_of(4)
        whole = screen.whole()
        assert "nat KUBE-SERVICES" in whole
        assert "rule     packets  text" in whole
        assert "back to the packets" in whole
        # All of it fits, so it begins with its first rule.
        assert chain.top == 0
        await screen.press("down", "enter")
        assert "back to KUBE-SERVICES" in screen.whole()
        assert "nat KUBE-SVC-API" in screen.whole()
        assert "-j KUBE-MARK-MASQ" in chain.text_of(1)
        await screen.press("backspace")
        assert "nat KUBE-SERVICES" in screen.whole()
        assert chain.cursor == 3
        await screen.press("escape")
        assert not isinstance(screen.app.screen, ChainScreen)
        assert screen.timeline.has_focus


async def test_a_target_that_is_no_chain_is_not_followed(shown, lab):
    async with shown(lab, size=(120, 30)) as screen:
        row = await open_packet(screen, is_web)
        await go_to(screen, row, "└ KUBE-SEP-WEB")
        await screen.press("enter", "enter")
        assert "nat KUBE-SEP-WEB" in screen.whole()
        assert any("DNAT is not a chain" in text for text in toasts(screen))


async def test_a_hop_without_a_ruleset_says_how_to_bring_one(shown, seed):
    async with shown(seed, size=(120, 30)) as screen:
        await screen.press("home", "enter", "down", "enter")
        assert not isinstance(screen.app.screen, ChainScreen)
        assert "--ruleset" in screen.text("#notices")


UNLISTED = {
    "kind": "ruleset", "backend": "legacy", "continuous": True,
    "parts": [
        {
            "what": "missing", "backend": "legacy", "family": "ip", "table": "",
            "text": "iptables-legacy is not installed",
        }
    ],
}  # fmt: skip
HOP = {
    "backend": "legacy", "table": "filter", "chain": "INPUT", "type": "rule", "rulenum": 1,
    "readings": [1, 2],
}  # fmt: skip


async def test_a_chain_that_nothing_could_list_says_what_is_missing(shown):
    """A ruleset that is brought would not help: the hop has one, without this chain."""
    packet = {"kind": "packet", "id": 1, "family": 4, "src": "10.0.0.1", "dst": "10.0.0.2"}
    lines = [{**UNLISTED, "reading": 1}, {**packet, "hops": [HOP]}, {**UNLISTED, "reading": 2}]
    text = "\n".join(map(json.dumps, lines)).encode()
    session = ReplaySession([("recording", io.BytesIO(text))])
    session.read_all()
    async with shown(session, size=(160, 50)) as screen:
        await screen.press("home")
        said = "its rules can't be listed: iptables-legacy is not installed"
        assert said in screen.text("#detail")
        await screen.press("enter", "down", "enter")
        assert not isinstance(screen.app.screen, ChainScreen)
        assert "iptables-legacy is not installed" in screen.text("#notices")
        assert "--ruleset" not in screen.text("#notices")


async def test_two_packets_are_compared_from_the_first_hop_where_they_part(shown, lab):
    async with shown(lab, size=(160, 50)) as screen:
        first, second = row_of(lab, is_web), row_of(lab, is_dropped)
        await screen.press("home", *["down"] * first, "c")
        assert "◆" in screen.lines()[first]
        assert "c on another packet compares" in screen.whole()
        await screen.press(*["down"] * (second - first), "c")
        whole = screen.whole()
        assert "the paths differ here" in whole
        assert "10.96.0.80:80" in whole
        assert "10.200.2.2:9999" in whole
        after = whole[whole.index("the paths differ here") :].splitlines()[1]
        assert "nat:KUBE-SERVICES rule 2 (handle" in after
        assert "nat:KUBE-SERVICES return" in after
        await screen.press("escape")
        assert not screen.timeline.marked


async def test_the_mark_is_taken_back_on_the_same_packet(shown, lab):
    async with shown(lab) as screen:
        await screen.press("home", "c", "c")
        assert not screen.timeline.marked
        assert not any("◆" in line for line in screen.lines())


async def test_paths_group_packets_and_lead_to_them(shown, lab):
    async with shown(lab, size=(140, 40)) as screen:
        await screen.press("p")
        await screen.pilot.pause(0.2)
        rows = screen.app.screen.query_one("#path-list")
        prompts = [str(rows.get_option_at_index(at).prompt) for at in range(rows.option_count)]
        counts = [int(prompt.split("x")[0]) for prompt in prompts]
        assert sum(counts) == len(lab.packets)
        marks = [prompt.split()[2] for prompt in prompts]
        assert set(marks[: marks.index("unknown")]) == {"drop", "reject"}
        assert set(marks[marks.index("accept") :]) == {"accept"}
        dropped = next(at for at, prompt in enumerate(prompts) if "--dport 9999 -j DROP" in prompt)
        await screen.press(*["down"] * dropped, "enter")
        assert screen.timeline.selected.header.dport == 9999
        assert any("cali-tw-cali7" in line for line in screen.lines())


async def test_paths_are_those_of_the_packets_that_the_filter_lets_through(shown, lab):
    async with shown(lab, size=(140, 40)) as screen:
        await screen.press("slash", "tab", "tab")
        await screen.write("9999")
        await screen.press("enter", "p")
        await screen.pilot.pause(0.2)
        rows = screen.app.screen.query_one("#path-list")
        prompts = [str(rows.get_option_at_index(at).prompt) for at in range(rows.option_count)]
        assert prompts
        assert all(":9999" in prompt for prompt in prompts)
        await screen.press("escape")


async def test_what_a_rule_says_is_shown_inert(shown, lab):
    for packet in lab.packets:
        packet.place_in(
            lambda hop: hop.with_(
                rule="-A X -m comment --comment '\x1b[31m[red]' -j X", interval=(90, 91)
            )
        )
    async with shown(lab, size=(160, 40)) as screen:
        await screen.press("home", "enter", "down")
        whole = screen.whole()
        assert "[red]" in whole
        assert "\x1b" not in whole


async def test_the_name_of_a_chain_is_shown_inert(shown):
    desk = Desk()
    desk.rulesets.fix("*filter\n:[red]X - [0:0]\n-A [red]X -p tcp -j DROP\nCOMMIT\n")
    desk.feed([SEED[0].replace("raw:PREROUTING:policy:2", "filter:[red]X:rule:1")])
    async with shown(desk, size=(120, 30)) as screen:
        await screen.press("home", "enter", "down", "enter")
        assert isinstance(screen.app.screen, ChainScreen)
        assert "legacy ip filter [red]X" in screen.whole()


async def test_the_counters_of_a_chain_are_those_of_rules_that_still_stand(shown, monkeypatch):
    desk = Desk()
    rules = "-A X -p tcp -j DROP\n-A X -p udp -j DROP\n"
    desk.rulesets.fix(f"*filter\n:X - [0:0]\n{rules}COMMIT\n")
    desk.feed([SEED[0].replace("raw:PREROUTING:policy:2", "filter:X:rule:1")])
    asked = []
    monkeypatch.setattr(desk, "ask_chain", asked.append)
    text = "-N X\n-A X -p tcp -c 1234 99 -j DROP\n-A X -p icmp -c 7 1 -j DROP\n"
    monkeypatch.setattr(desk, "chain_listing", lambda place: ChainListing(1.0, text, None))
    async with shown(desk, size=(120, 30)) as screen:
        await screen.press("home", "enter", "down", "enter")
        await screen.pilot.pause(0.3)
        chain = screen.app.screen.query_one(ChainList)
        assert "1,234" in chain.text_of(1)
        assert not any(character.isdigit() for character in chain.text_of(2)[8:20])
        assert asked == [ChainRef("legacy", "ip", "filter", "X")]
