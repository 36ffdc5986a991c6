"""A screen over packets that the test hands out, and commands that the test reads."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tracetui.lab import recording
from tracetui.session.node.module_reader import ModuleReader
from tracetui.session.replay.replay import ReplaySession
from tracetui.ui.app import TraceApp
from tracetui.ui.widgets.timeline import Timeline

from .desk import Desk, ModuleTexts

RECORDINGS = Path(__file__).parents[1] / "recordings"
SEED = (RECORDINGS / "seed-eks-forward.log").read_text().splitlines()
MODULES = (RECORDINGS / "seed-proc-modules.txt").read_text()
NOW = 1_700_000_000.0


class Screen:
    """The running program with what tests ask of it."""

    def __init__(self, app, pilot, session, modules) -> None:
        self.app, self.pilot, self.session, self.modules = app, pilot, session, modules

    @property
    def timeline(self) -> Timeline:
        return self.app.screen.query_one(Timeline)

    def lines(self) -> list[str]:
        return [self.timeline.text_of(y) for y in range(self.timeline.line_count)]

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.settle()

    async def write(self, text: str) -> None:
        names = {".": "full_stop", "/": "slash", ":": "colon", "-": "minus"}
        await self.press(*(names.get(character, character) for character in text))

    async def settle(self) -> None:
        """Let the program look at its session, which it does ten times a second."""
        self.app._look()
        self.app.screen_stack[0]._each_second()
        await self.pilot.pause()

    def text(self, selector: str) -> str:
        """What a static widget says."""
        return str(self.app.screen.query_one(selector).render())

    def whole(self) -> str:
        """Every character on the screen."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)


@pytest.fixture
def shown():
    """Runs the program over a session, as an async context that gives the screen."""

    @asynccontextmanager
    async def run(
        session=None,
        size=(80, 24),
        modules=MODULES,
        settings=None,
        history=None,
        expression="",
        **told,
    ):
        session = session or Desk()
        texts = ModuleTexts(modules, **told)
        app = TraceApp(session, ModuleReader(texts), lambda: NOW, settings, history, expression)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            screen = Screen(app, pilot, session, texts)
            await screen.settle()
            yield screen

    return run


@pytest.fixture
def seed():
    """A session that has the seed's six packets."""
    desk = Desk()
    desk.feed(SEED)
    return desk


@pytest.fixture
def lab():
    session = ReplaySession([("lab", recording.open_recording())])
    session.read_all()
    yield session
    session.close()
