"""Safety at a glance, keys that work everywhere, and the panes."""

from __future__ import annotations

import pytest
from tests.installed import installed
from textual.widgets import Tree

from tracetui.model.node.module import Module
from tracetui.session.state.guard_state import BusyRule, GuardState, Trip
from tracetui.session.state.session import Notice, SourceState
from tracetui.ui.commands import COMMANDS
from tracetui.ui.keymap import written
from tracetui.ui.widgets import notice_lines
from tracetui.ui.widgets.rules_pane import RulesPane

from .conftest import NOW, Desk

SAVED = """\
*raw
[7:420] -A PREROUTING -p tcp -m time --datestop 2023-11-14T22:23:20 -m comment \
--comment "tracetui:1.2.3/abcdef" -j TRACE
[1:60] -A PREROUTING -p icmp -j TRACE
COMMIT
"""


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
async def test_every_pane_and_the_keys_are_in_sight(shown, seed, size):
    async with shown(seed, size=size) as screen:
        whole = screen.whole()
        for word in ("Modules", "TRACE rules", "Packets", "guard ARMED", "lost 0", "hops/s"):
            assert word in whole, word
        for word in ("add rule", "filter", "FLUSH", "keys", "quit"):
            assert word in whole.splitlines()[-1], word
        assert "✓ accept" in whole or "· unknown" in whole


@pytest.mark.parametrize("is_tripped", [False, True])
@pytest.mark.parametrize("width", [40, 60, 72, 80, 100, 120, 200])
async def test_guard_rate_and_time_left_stay_at_every_width(shown, width, is_tripped):
    desk = Desk()
    trip = Trip(NOW - 40, "6,120 hops/s, more than 5,000", ())
    desk.status = desk.status.with_(
        host="a-node-with-a-long-name.example.net",
        guard=GuardState(5000, is_tripped, trips=(trip, trip, trip)),
        rate=12_345, lost=123_456, unshown=98_765, netns="/run/netns/some-namespace",
        sources=(SourceState("nftrace", "on"), SourceState("nflog", "on")),
    )  # fmt: skip
    desk.rules = tuple(rule._replace(expires=NOW + 521) if rule.mine else rule for rule in rules())
    async with shown(desk, size=(width, 24)) as screen:
        top = screen.whole().splitlines()[0]
        for part in ("12,345/5,000", "ends 8:41", "TRIPPED" if is_tripped else "ARMED", "lost"):
            assert part in top, part
        if width >= 60:
            assert top.startswith(" tracetui")


async def test_without_colours_a_drop_and_the_focus_stand_out(shown, lab, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    desk = Desk()
    desk.packets, desk.rulesets, desk.explanations = lab.packets, lab.rulesets, lab.explanations
    async with shown(desk, size=(120, 70)) as screen:
        await screen.press("home")
        styles = {
            segment.text.strip(): segment.style
            for strip in screen.app.screen._compositor.render_strips()
            for segment in strip
        }
        drop = next(style for text, style in styles.items() if text.startswith("✗ drop"))
        accept = next(style for text, style in styles.items() if text.startswith("✓ accept"))
        assert drop.reverse
        assert not accept.reverse
        focused, other = styles["Packets"], styles["TRACE rules"]
        assert focused.reverse
        assert not other.reverse


@pytest.mark.parametrize("before", [[], ["a"], ["slash"], ["question_mark"], ["T"], ["2"]])
async def test_our_rules_are_flushed_from_anywhere_without_a_dialog(shown, before):
    async with shown() as screen:
        await screen.press(*before, "ctrl+f")
        assert screen.session.orders == [("flush",)]


async def test_one_key_flushes(shown):
    async with shown() as screen:
        await screen.press("F")
        assert screen.session.orders == [("flush",)]


async def test_a_trip_is_said_with_its_reason_and_armed_by_a_key(shown):
    desk = Desk()
    reason = "12,345 hops/s, more than 5,000"
    trip = Trip(1_700_000_000.0, reason, ("one", "two"))
    desk.status = desk.status.with_(guard=GuardState(5000, True, trips=(trip,)))
    async with shown(desk, size=(120, 30)) as screen:
        whole = screen.whole()
        assert "TRIPPED" in whole
        assert reason in whole
        assert "22:13:20" in whole
        assert "2 rules removed" in whole
        await screen.press("A")
        assert desk.orders == [("arm",)]


async def test_foreign_rules_that_go_on_are_removed_only_when_that_is_confirmed(shown):
    desk = Desk()
    foreign = next(rule for rule in rules() if not rule.is_ours)
    trip = Trip(NOW, "a flood", (), (BusyRule(6_000, foreign),))
    desk.status = desk.status.with_(guard=GuardState(5000, True, trips=(trip,)))
    async with shown(desk, size=(120, 30)) as screen:
        await screen.press("g", "enter")
        assert "Remove TRACE rules that are not ours?" in screen.whole()
        await screen.press("escape")
        assert desk.orders == []
        await screen.press("g", "enter", "y")
        assert desk.orders == [("flush", foreign.id)]


async def test_the_threshold_is_set_by_a_key(shown):
    async with shown() as screen:
        await screen.press("T", *["backspace"] * 6, "x", "enter")
        assert screen.session.orders == []
        await screen.press("backspace", "9", "0", "0", "enter")
        assert screen.session.orders == [("threshold", 900)]


async def test_rules_show_their_packets_their_expiry_and_whose_they_are(shown):
    desk = Desk()
    desk.rules = rules()
    async with shown(desk, size=(120, 40)) as screen:
        whole = screen.whole()
        assert "7 packets" in whole
        assert "ends in 10m" in whole
        assert "FOREIGN" in whole
        assert "1 ours · 1 foreign" in whole


async def test_rules_are_shown_when_they_come_and_not_when_the_second_is_over(shown):
    desk = Desk()
    async with shown(desk, size=(120, 40)) as screen:
        assert "none yet" in screen.whole()
        for seen, wanted in (("1 ours · 1 foreign", rules()), ("none yet", ())):
            desk.rules = wanted
            screen.app._look()
            await screen.pilot.pause()
            assert seen in screen.whole()


async def test_the_rule_under_the_cursor_is_deleted(shown):
    desk = Desk()
    desk.rules = rules()
    async with shown(desk) as screen:
        await screen.press("2")
        chosen = screen.app.screen.query_one(RulesPane).selected
        await screen.press("d")
        assert desk.orders == [("delete", chosen.id)]


async def test_netfilter_modules_come_first_and_unfold_into_their_users(shown):
    async with shown(size=(120, 40)) as screen:
        tree = screen.app.screen.query_one("#tree", Tree)
        nodes = [node for node in tree.root.children if isinstance(node.data, Module)]
        names = [node.data.name for node in nodes]
        first_other = next(i for i, n in enumerate(nodes) if not n.data.is_netfilter)
        assert all(not node.data.is_netfilter for node in nodes[first_other:])
        conntrack = nodes[names.index("nf_conntrack")]
        conntrack.expand()
        await screen.settle()
        users = [node.data.name for node in conntrack.children]
        assert users == sorted(conntrack.data.used_by)
        assert "nf_nat" in users


async def test_a_kernel_without_modules_says_so(shown):
    async with shown(size=(120, 40), modules=None) as screen:
        assert "no loadable modules" in screen.whole()


async def test_the_list_of_keys_has_every_one(shown):
    async with shown(size=(100, 150)) as screen:
        await screen.press("question_mark")
        whole = screen.whole()
        for command in COMMANDS:
            assert f"{written(command):<12} {command.help}".rstrip() in whole, command
        await screen.press("escape")
        assert "Esc closes" not in screen.whole()


async def test_the_packets_look_as_what_keys_go_to_at_the_start_and_behind_a_dialog(shown, seed):
    async with shown(seed, size=(200, 50)) as screen:
        pane = screen.app.screen.query_one("#packets")
        at_start = pane.styles.border.top
        await screen.press("tab")
        assert pane.styles.border.top != at_start
        # With the modules folded away nothing has the focus.
        await screen.press("2", "m", "question_mark", "escape")
        assert pane.has_focus_within
        assert pane.styles.border.top == at_start


async def test_rules_of_other_tracetuis_are_named_as_theirs(shown):
    desk = Desk()
    theirs = SAVED.replace("tracetui:1.2.3/abcdef", "tracetui:9.9.9/fedcba")
    desk.rules = (*rules(), *installed(theirs, "tracetui:1.2.3")[:1])
    async with shown(desk, size=(120, 40)) as screen:
        whole = screen.whole()
        assert "1 ours · 1 other tracetui" in whole
        assert "other tracetui · nft IPv4 PREROUTING" in whole


async def test_modules_unfold_at_80_columns(shown):
    async with shown(size=(80, 24)) as screen:
        assert "nf_conntrack" not in screen.whole()
        await screen.press("m")
        assert "nf_conntrack" in screen.whole()
        await screen.press("m")
        assert "nf_conntrack" not in screen.whole()


async def test_one_pane_takes_the_whole_screen_and_gives_it_back(shown, seed):
    async with shown(seed) as screen:
        before = screen.timeline.size.height
        await screen.press("backslash")
        assert screen.timeline.size.height > before
        await screen.press("backslash")
        assert screen.timeline.size.height == before


def rules():
    return tuple(installed(SAVED, "tracetui:1.2.3"))


async def test_where_nothing_comes_the_likely_cause_stands_in_place_of_packets(shown):
    desk = Desk()
    desk.rules = tuple(rule._replace(packets=0) for rule in rules() if rule.mine)
    async with shown(desk, size=(120, 40)) as screen:
        whole = screen.whole()
        assert "No packet has matched the rule yet" in whole
        assert "--chain OUTPUT" in whole
        desk.rules = tuple(rule._replace(packets=7) for rule in desk.rules)
        failed = SourceState("nftrace", "failed", "no CAP_NET_ADMIN: run as root")
        desk.status = desk.status.with_(sources=(failed,))
        await screen.settle()
        whole = screen.whole()
        assert "The rule matched 7 packets, but no hop reached us" in whole
        assert "nftrace is failed" in whole


async def test_notices_stand_below_the_panes_the_newest_last_and_go(shown, seed, monkeypatch):
    monkeypatch.setattr(notice_lines, "NOTICE_SECONDS", 3.0)
    async with shown(seed, size=(120, 40)) as screen:
        before = screen.timeline.region
        seed._notices += [Notice(NOW, "error", "one"), Notice(NOW, "warning", "two")]
        await screen.settle()
        assert screen.text("#notices").splitlines() == [" ✗ one", " ! two"]
        assert screen.timeline.region.height == before.height - 2
        assert screen.timeline.region.offset == before.offset
        assert "following" in screen.whole()
        seed._notices += [Notice(NOW, "information", f"many {n}") for n in range(5)]
        seed._notices.append(Notice(NOW, "information", "many 4"))
        await screen.settle()
        lines = screen.text("#notices").splitlines()
        assert lines[0].strip() == "and 3 more: L shows all notices"
        assert lines[1:] == [" · many 1", " · many 2", " · many 3", " · many 4"]
        long = "why it failed is " + "far " * 60 + "behind"
        seed._notices.append(Notice(NOW, "error", long))
        await screen.settle()
        assert screen.text("#notices").split("\n")[-1].endswith("behind")
        await screen.pilot.pause(4.0)
        assert not screen.app.screen.query_one("#notices").display
        assert screen.timeline.region == before


async def test_a_notice_does_not_take_the_cursor_out_of_sight(shown, seed):
    async with shown(seed, size=(80, 24)) as screen:
        await screen.press("home", "enter")
        timeline = screen.timeline
        await screen.press(*["down"] * (timeline.size.height - 1))
        seed._notices.append(Notice(NOW, "error", "told " * 40))
        await screen.settle()
        await screen.pilot.pause()
        line = timeline._lines.line_of(timeline._cursor)
        assert 0 <= line - timeline.top < timeline.size.height


async def test_a_pane_alone_leaves_the_status_and_the_notices_where_they_are(shown, seed):
    async with shown(seed, size=(80, 24)) as screen:
        await screen.press("backslash", "F")
        whole = screen.whole()
        assert "TRACE rules" not in whole
        assert "guard ARMED" in whole
        assert screen.timeline.region.height > 10
        seed._notices.append(Notice(NOW, "error", "something to know"))
        await screen.settle()
        assert "something to know" in screen.whole()
        await screen.press("2", "backslash")
        assert "Packets" not in screen.whole()
        assert screen.app.screen.query_one("#rules").region.height > 10
        await screen.press("backslash", "1", "backslash")
        assert "Packets" not in screen.whole()
        assert screen.app.screen.query_one("#tree").region.height > 10
        await screen.press("backslash")
        assert "Packets" in screen.whole()


@pytest.mark.parametrize("size", [(2, 24), (1, 24), (3, 2), (1, 1), (20, 6), (80, 1), (40, 10)])
async def test_no_size_ends_the_program(shown, seed, size):
    seed.rules = rules()
    async with shown(seed, size=(80, 24)) as screen:
        await screen.pilot.resize_terminal(*size)
        await screen.press("n", "home", "enter", "1", "2", "3", "question_mark", "escape")
        await screen.pilot.resize_terminal(80, 24)
        await screen.settle()
        assert "guard ARMED" in screen.whole()
        assert len(screen.lines()) == 6 + 22


async def test_on_few_lines_the_packets_come_first(shown, seed):
    seed.rules = rules()
    async with shown(seed, size=(40, 10)) as screen:
        await screen.press("n")
        whole = screen.whole()
        assert whole.count("▸") == 6
        assert "TRACE rules" not in whole
        await screen.press("2")
        assert "TRACE rules" in screen.whole()
        await screen.press("m")
        assert "ip_tables" in screen.whole()
        await screen.press("3")
        assert screen.whole().count("▸") == 6


@pytest.mark.parametrize("key", ["question_mark", "f", "T", "a", "C"])
async def test_dialogs_fit_on_narrow_screens(shown, seed, key):
    async with shown(seed, size=(40, 24)) as screen:
        await screen.press(key)
        box = screen.app.screen.children[0]
        assert box.region.right <= 40
