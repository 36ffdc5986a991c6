"""The form says what is wrong beside the field, and what will run before it runs."""

from __future__ import annotations

from textual.widgets import Button

from .conftest import NOW, Desk


async def fill(screen, **fields: str) -> None:
    """Open the form, and type into its fields by their names."""
    await screen.press("a")
    await fill_more(screen, **fields)


async def fill_more(screen, **fields: str) -> None:
    for name, text in fields.items():
        screen.app.screen.query_one(f"#{name}").focus()
        await screen.pilot.pause()
        if text.startswith("→"):
            await screen.press(*["right"] * len(text))
        else:
            await screen.write(text)


def flat(text: str) -> str:
    return " ".join(text.split())


async def test_it_shows_the_exact_commands_and_the_worst_case(shown):
    async with shown() as screen:
        await fill(screen, proto="tcp", dst="10.96.0.80", dport="80")
        assert flat(screen.text("#commands")) == (
            "iptables-nft -w 5 -t raw -I PREROUTING 1 -d 10.96.0.80 -p tcp -m tcp --dport 80 "
            "-m limit --limit 20/sec --limit-burst 20 -m time --datestop 2023-11-14T22:23:20 "
            f"-m comment --comment {comment(screen)} -j TRACE"
        )
        assert "CPU a packet" in screen.text("#cost")
        assert screen.session.orders == []


async def test_an_interface_that_is_not_there_is_warned_of(shown):
    desk = Desk()
    desk.status = desk.status.with_(interfaces=frozenset(("lo", "eth0")))
    async with shown(desk) as screen:
        await fill(screen, proto="tcp", iif="eth9")
        assert "! there is no interface eth9 now" in screen.text("#cost")
        await screen.press("backspace", "0")
        assert "no interface" not in screen.text("#cost")
        await screen.press("backspace", "plus")
        assert "no interface" not in screen.text("#cost")
        # It may come, so the rule can be added all the same.
        await screen.press("backspace", "9", "enter")
        assert screen.session.orders[0][0] == "add"


async def test_replies_that_cannot_match_are_warned_of(shown, lab):
    desk = Desk()
    desk.packets = lab.packets
    async with shown(desk, size=(120, 40)) as screen:
        await fill(screen, proto="tcp", dst="10.96.0.80", dport="80")
        assert "can't match" not in screen.text("#cost")
        await fill_more(screen, both="→")
        assert (
            "! replies too can't match: 10.96.0.80 is DNATed, and 10.200.2.2 replies"
            in (screen.text("#cost").splitlines()[0])
        )


async def test_enter_adds_what_is_shown(shown):
    async with shown() as screen:
        await fill(screen, proto="tcp", dst="10.96.0.80", dport="80")
        await screen.press("enter")
        (order,) = screen.session.orders
        assert order[0] == "add"
        (rule,) = order[1]
        assert (rule.proto, rule.dst, rule.dport) == ("tcp", "10.96.0.80", "80")
        assert rule.limit == 20
        assert rule.expires == NOW + 600
        assert order[2:] == ("nft", False)


async def test_answers_too_adds_the_mirrored_rules_with_one_command(shown):
    async with shown() as screen:
        await fill(screen, proto="tcp", dst="10.96.0.80", dport="80", both="→")
        await screen.press("enter")
        (order,) = screen.session.orders
        first, *mirrored = order[1]
        assert mirrored
        assert {(rule.src, rule.sport) for rule in mirrored} == {("10.96.0.80", "80")}
        assert first.dst == "10.96.0.80"


async def test_what_is_wrong_stands_beside_the_field_and_nothing_runs(shown):
    async with shown() as screen:
        await screen.press("a")
        for name, typed in (
            ("dst", "10.96.0.80/33"),
            ("src", "web;reboot"),
            ("dport", "65536"),
            ("sport", "x"),
            ("iif", "-eth0"),
            ("limit", "many"),
            ("expire", "soon"),
            ("proto", "tpc"),
        ):
            field = screen.app.screen.query_one(f"#{name}")
            before, field.value = field.value, typed
            await screen.settle()
            assert "✗" in screen.text(f"#{name}-wrong"), name
            assert "nothing will run" in screen.text("#commands")
            assert screen.app.screen.query_one("#add", Button).disabled
            await screen.press("enter")
            assert screen.session.orders == []
            field.value = before
            await screen.settle()
            assert "✗" not in screen.text(f"#{name}-wrong"), name


async def test_an_unlimited_rule_on_legacy_needs_a_second_word(shown):
    async with shown() as screen:
        await fill(screen, dst="10.96.0.80", backend="→")
        screen.app.screen.query_one("#limit").value = "none"
        await screen.settle()
        assert "✗" in screen.text("#cost")
        screen.app.screen.query_one("#dst").focus()
        await screen.press("enter")
        assert screen.session.orders == []
        screen.app.screen.query_one("#override").focus()
        await screen.press("right")
        screen.app.screen.query_one("#dst").focus()
        await screen.press("enter")
        assert screen.session.orders[0][2:] == ("legacy", True)


async def test_at_80x24_every_field_command_and_button_can_be_reached(shown):
    async with shown(size=(80, 24)) as screen:
        await fill(screen, proto="tcp", dport="80", both="→")
        assert screen.text("#commands").count("-j TRACE") == 6
        visible = screen.app.screen.region
        for name in ("#outcome", "#cost", "#add", "#cancel"):
            widget = screen.app.screen.query_one(name)
            assert widget.region.height > 0, name
            assert visible.contains_region(widget.region), name
        for name in ("chain", "proto", "expire", "backend", "syn", "both"):
            field = screen.app.screen.query_one(f"#{name}")
            field.focus()
            await screen.pilot.pause()
            await screen.pilot.wait_for_scheduled_animations()
            fields = screen.app.screen.query_one("#fields").region
            assert fields.contains_region(field.region), name
        outcome = screen.app.screen.query_one("#outcome")
        outcome.focus()
        await screen.press("end")
        await screen.pilot.wait_for_scheduled_animations()
        assert outcome.scroll_offset.y == outcome.max_scroll_y > 0


async def test_where_no_rule_can_be_added_the_reason_is_said(shown):
    desk = Desk()
    desk.status = desk.status.with_(why_not="tracing needs root")
    async with shown(desk) as screen:
        await screen.press("a")
        assert "tracing needs root" in screen.whole()
        assert desk.orders == []


def comment(screen) -> str:
    words = screen.text("#commands").split()
    found = words[words.index("--comment") + 1]
    assert found.startswith("tracetui:1.2.3/")
    return found
