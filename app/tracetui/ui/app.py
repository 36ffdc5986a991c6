"""The application: a session, a clock, and the screen that shows them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Optional

from rich.console import RenderableType
from textual.app import App
from textual.events import Event, Key
from textual.screen import Screen

from tracetui.session.node.module_reader import ModuleReader
from tracetui.session.state.session import Notice, Session
from tracetui.session.text.width import shown
from tracetui.session.user.filter_history import FilterHistory
from tracetui.session.user.settings import Settings
from tracetui.ui import stylesheet
from tracetui.ui.commands import bindings
from tracetui.ui.garbage import Garbage
from tracetui.ui.keymap import Keymap
from tracetui.ui.later import later
from tracetui.ui.palette import Commands
from tracetui.ui.screens.main import MainScreen
from tracetui.ui.widgets.notice_lines import SECONDS
from tracetui.ui.widgets.packets_pane import PacketsPane

if TYPE_CHECKING:
    from tracetui.ui.dialogs import Dialogs

LOOK_SECONDS = 0.1
"""Between two pictures."""
SLICE_SECONDS, PAUSE_SECONDS = 0.008, 0.003
"""How long one poll may take, and how long keys and drawing have their turn where there is more."""
ANSWER_SECONDS, HELD_SECONDS = 0.05, 0.2
"""How long nothing is taken in after a key, so that what it does is seen at once; and how long at
most where one key comes after the other."""
DIALOGS_SECONDS = 0.3
"""After which they are made ready, so that the first one opens at once."""
A_FEW = 100
"""Hops between two pictures that leave time for other things."""
A_MOMENT = 1.0
"""Seconds after a key in which the next one is likely."""
NOTICE_CELLS = 600
"""What a notice takes at most: about ten lines."""

_SEVERITIES = {"information": "information", "warning": "warning", "error": "error"}


class TraceApp(App[None]):
    """Shows one session until the user leaves; whoever made the session closes it."""

    CSS = stylesheet.text()
    TITLE = "tracetui"
    BINDINGS = bindings("anywhere")
    COMMANDS = {Commands}  # noqa: RUF012 - as Textual has it

    def __init__(
        self,
        session: Session,
        modules: ModuleReader,
        clock: Callable[[], float] = time.time,
        settings: Optional[Settings] = None,
        history: Optional[FilterHistory] = None,
        expression: str = "",
    ) -> None:
        """Show ``session``; ``clock`` gives seconds since the epoch for countdowns and expiries.

        ``expression`` is the filter in force at first; what is filtered by goes into ``history``.
        """
        super().__init__()
        self.settings = settings or Settings()
        """What the user has chosen by now."""
        self.keymap = Keymap(self.settings.keys)
        self.session = session
        self._has_changed = True
        self._is_behind = False
        """Whether there is more to take in, and that will be done soon."""
        self._loop_here: Optional[asyncio.AbstractEventLoop] = None
        self._is_told_to_end = False
        self._early: Optional[list[Key]] = []
        """Keys that came before there was a screen; None since there is one."""
        self._keyed = self._took = 0.0
        """When the last key came, and when something was taken in last; monotonic seconds."""
        self._garbage = Garbage()
        self._hops = 0
        """Those that had come at the last look."""
        self.notices: list[Notice] = []
        """Everything the user was told."""
        self._clock = clock
        keymap = self.keymap
        packets = PacketsPane(session, keymap, history or FilterHistory(), expression)
        self._main = MainScreen(
            session, modules, clock, lambda: self._dialogs, self.settings, keymap, packets
        )

    def get_default_screen(self) -> Screen[None]:
        """The one screen: nothing empty is drawn before it."""
        return self._main

    def on_mount(self) -> None:
        """Begin to look at the session."""
        self._loop_here = asyncio.get_running_loop()
        if self._is_told_to_end:
            self.exit()
        self._apply(self.settings)
        self.set_interval(LOOK_SECONDS, self._look)
        self.call_after_refresh(self._begin)
        later(self, DIALOGS_SECONDS, lambda: self._dialogs)

    @cached_property
    def _dialogs(self) -> Dialogs:
        # The first picture has nothing of them, and need not wait for their import.
        from tracetui.ui.dialogs import Dialogs

        return Dialogs(self, self.session, self._clock, self.tell, self.keymap)

    @property
    def unfinished(self) -> list[str]:
        """The files that packets were being written to when the screen was left."""
        return self._dialogs.unfinished if "_dialogs" in self.__dict__ else []

    @property
    def fault(self) -> Optional[Exception]:
        """A fault of the program's own that ended the screen."""
        return self._exception

    def panic(self, *_: RenderableType) -> None:
        """End without a word: see :attr:`fault`."""
        self._close_messages_no_wait()

    def _fatal_error(self) -> None:
        # Textual's own way fills the terminal with a traceback and the values in it. Whoever runs
        # the screen says in a line what happened and where it is written down.
        self._close_messages_no_wait()

    def change(self, **chosen: object) -> None:
        """Have the user's choice remembered."""
        self.settings = self.settings._replace(**chosen)  # type: ignore[arg-type]

    def exit_soon(self) -> None:
        """End as soon as the loop has its turn; safe from every thread and signal handler."""
        self._is_told_to_end = True
        if self._loop_here is not None:
            with contextlib.suppress(RuntimeError):
                self._loop_here.call_soon_threadsafe(self.exit)

    async def on_event(self, event: Event) -> None:
        """Note when a key came, and keep it where there is nothing yet that it could go to."""
        if isinstance(event, Key):
            self._keyed = time.monotonic()
            if self._early is not None:
                self._early.append(event)
                return
        await super().on_event(event)

    def _begin(self) -> None:
        """The screen is there: show what came meanwhile, do what was typed meanwhile."""
        early, self._early = self._early or [], None
        for key in early:
            self.post_message(key)
        self._look()

    def on_main_screen_chosen(self, event: MainScreen.Chosen) -> None:
        """Have the layout remembered."""
        self.change(**event.chosen)

    def action_flush(self) -> None:
        """Remove our rules at once."""
        self.session.flush()

    def action_keys(self) -> None:
        """Show every key."""
        self._dialogs.keys()

    def action_log(self) -> None:
        """Show everything that was told."""
        self._dialogs.log(self.notices)

    def _apply(self, settings: Settings) -> None:
        self.set_keymap(self.keymap.bound)
        for wrong in self.keymap.wrong:
            self._dialogs.say(wrong, "warning")
        if settings.theme in self.available_themes:
            self.theme = settings.theme
        elif settings.theme is not None:
            self._dialogs.say(f"no theme is named {settings.theme}", "warning")
        self.theme_changed_signal.subscribe(self, lambda theme: self.change(theme=theme.name))

    def _look(self) -> None:
        """Show what came, and take in more if nothing is being taken in."""
        now = time.monotonic()
        if not self._is_behind:
            self._take()
        if self._has_changed:
            self._has_changed = not self._main.update()
        before, self._hops = self._hops, self.session.status.hops
        is_busy = self._is_behind or self._hops - before > A_FEW
        self._garbage.look(is_busy or now - self._keyed < A_MOMENT, now)

    def _take(self) -> None:
        """Take in what came, in slices: a key is not kept waiting for all of it."""
        now = time.monotonic()
        if now - self._keyed < ANSWER_SECONDS and now - self._took < HELD_SECONDS:
            self._take_soon()
            return
        self._took, until = now, now + SLICE_SECONDS
        self._has_changed |= self.session.poll(SLICE_SECONDS)
        for notice in self.session.take_notices():
            self.tell(notice)
        self._is_behind = time.monotonic() >= until
        if self._is_behind:
            self._take_soon()

    def _take_soon(self) -> None:
        self._is_behind = True
        later(self, PAUSE_SECONDS, self._take)

    def tell(self, notice: Notice) -> None:
        """Show a notice for some seconds, also above a dialog, and keep it."""
        self.notices.append(notice)
        self._main.tell(notice)
        if self._main.is_mounted and self.screen is not self._main:
            self.notify(
                shown(notice.text, NOTICE_CELLS),
                severity=_SEVERITIES.get(notice.severity, "information"),  # type: ignore[arg-type]
                timeout=SECONDS,
                markup=False,
            )
