"""Pictures of the main states, at the sizes terminals have: their words and their styles.

They are drawn of one recording, with the clock at one moment. ``TRACETUI_WRITE_PICTURES=1
.venv/bin/pytest -q tests/ui/test_pictures.py`` draws them anew, and the screenshot of the README;
else each is held against its file, and a difference is shown line by line.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tracetui.lab import recording
from tracetui.session.replay.replay import ReplaySession
from tracetui.session.state.guard_state import GuardState, Trip
from tracetui.session.state.session import SourceState
from tracetui.ui.widgets.status_bar import RATE_SAMPLES

from . import picture
from .conftest import NOW
from .desk import NODE, Desk
from .test_main_screen import rules

PICTURES = Path(__file__).parent / "pictures"
SCREENSHOT = Path(__file__).parents[2] / "docs/packets-120x40.svg"
"""The README's: held against the program by its words."""
SIZES = ((60, 20), (80, 24), (120, 40), (200, 50))
TRIP = Trip(NOW - 40, "6,120 hops/s, more than 5,000", ("nft IPv4 PREROUTING -p udp --dport 53",))
STATES = {
    "packets": "",
    "filter": "nat and not chain KUBE-FIRE*",
    "hooks": "",
    "form": "",
    "tripped": "",
}
"""Each with the filter that is in force."""


@pytest.fixture
def desk():
    """A session that looks live, with the lab's packets and what is known of their rules."""
    lab = ReplaySession([("lab", recording.open_recording())])
    lab.read_all()
    desk = Desk()
    desk.packets, desk.rulesets, desk.explanations = lab.packets, lab.rulesets, lab.explanations
    sources = (SourceState("nftrace", "on"), SourceState("nflog", "on"))
    desk.status = desk.status.with_(node=NODE, sources=sources, rate=184, hops=lab.status.hops)
    desk.rules = tuple(rule._replace(expires=NOW + 521) if rule.mine else rule for rule in rules())
    yield desk
    lab.close()


def is_web(packet) -> bool:
    return packet.header.flags == "SYN" and packet.header.dst == "10.96.0.80"


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("state", STATES)
async def test_a_state_looks_as_it_did(shown, desk, state, size):
    if state == "tripped":
        desk.status = desk.status.with_(guard=GuardState(5000, True, trips=(TRIP,)), rate=0)
        desk.rules = ()
    async with shown(desk, size=size, expression=STATES[state]) as screen:
        screen.timeline.go_to_packet(next(filter(is_web, desk.packets)))
        if state == "hooks":
            await screen.press("v", "y")
        if state == "form":
            await screen.press("t", "down", "enter")
        for _ in range(RATE_SAMPLES):
            # The rates of the last seconds, which are drawn beside the status.
            screen.app.screen_stack[0]._each_second()
        await screen.settle()
        await screen.pilot.wait_for_animation()
        drawn = picture.draw(screen.app)
        screenshot = screen.app.export_screenshot(title="tracetui", simplify=True)
    file = PICTURES / f"{state}-{size[0]}x{size[1]}.txt"
    if os.environ.get("TRACETUI_WRITE_PICTURES"):
        PICTURES.mkdir(exist_ok=True)
        file.write_text(drawn)
        if file.stem == SCREENSHOT.stem:
            SCREENSHOT.write_text(screenshot)
    if file.stem == SCREENSHOT.stem:
        assert words_of_svg(SCREENSHOT.read_text()) == words_of_svg(screenshot)
    expected = file.read_text()
    if drawn != expected:
        pytest.fail(picture.difference(expected, drawn), pytrace=False)


def words_of_svg(screenshot: str) -> list[str]:
    """Return the text of a screenshot, line by line."""
    lines: dict[str, str] = {}
    for y, text in re.findall(r'<text [^>]*y="([^"]+)"[^>]*>([^<]*)</text>', screenshot):
        lines[y] = lines.get(y, "") + text
    return list(lines.values())


def test_a_difference_of_words_hides_the_runs_that_move_with_it():
    before = "one rule\n\nstyles\na  bold\n\nruns\n  1  a*8\n"
    after = "two rules\n\nstyles\na  bold\n\nruns\n  1  a*9\n"
    shown = picture.difference(before, after).splitlines()
    assert shown[2:] == ["@@ -1 +1 @@", "-one rule", "+two rules"]


def test_a_difference_of_styles_alone_is_shown():
    before = "one rule\n\nstyles\na  bold\n\nruns\n  1  a*8\n"
    shown = picture.difference(before, before.replace("bold", "dim")).splitlines()
    assert "-a  bold" in shown
    assert "+a  dim" in shown


def test_there_is_no_picture_of_a_state_that_is_gone():
    expected = {f"{state}-{w}x{h}.txt" for state in STATES for w, h in SIZES}
    assert {path.name for path in PICTURES.iterdir()} == expected
