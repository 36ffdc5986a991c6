"""Pictures of the main states, at the sizes terminals have; the README shows some of them.

They are drawn of one recording, with the clock at one moment. ``TRACETUI_WRITE_PICTURES=1
.venv/bin/pytest -q tests/ui/test_pictures.py`` draws them anew; else each is held against its file.
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
from tracetui.ui.widgets.status_bar import SAMPLES

from .conftest import NODE, NOW, Desk
from .test_main_screen import rules

PICTURES = Path(__file__).parent / "pictures"
SIZES = ((80, 24), (120, 40), (200, 50))
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
        for _ in range(SAMPLES):
            # The rates of the last seconds, which are drawn beside the status.
            screen.app.screen_stack[0]._each_second()
        await screen.settle()
        await screen.pilot.wait_for_animation()
        picture = screen.app.export_screenshot(title="tracetui", simplify=True)
    file = PICTURES / f"{state}-{size[0]}x{size[1]}.svg"
    if os.environ.get("TRACETUI_WRITE_PICTURES"):
        PICTURES.mkdir(exist_ok=True)
        file.write_text(picture)
    assert words(picture) == words(file.read_text())
    assert picture == file.read_text()


def words(picture: str) -> list[str]:
    """The text of a picture, line by line: a difference in it is easier to read."""
    found: dict[str, str] = {}
    for y, text in re.findall(r'<text [^>]*y="([^"]+)"[^>]*>([^<]*)</text>', picture):
        found[y] = found.get(y, "") + text.replace("&#160;", " ")
    return list(found.values())


def test_there_is_no_picture_of_a_state_that_is_gone():
    expected = {f"{state}-{w}x{h}.svg" for state in STATES for w, h in SIZES}
    assert {path.name for path in PICTURES.iterdir()} == expected
