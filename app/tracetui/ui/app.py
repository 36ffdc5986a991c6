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
from textual.events import Event, Key, Paste
from textual.screen import Screen
from textual.widgets import Input

from tracetui.session.node.module_reader import ModuleReader
from tracetui.session.state.session import Notice, Session
from tracetui.session.text.width import shown
from tracetui.session.user.filter_history import FilterHistory
from tracetui.session.user.settings import Settings
from tracetui.ui import stylesheet
from tracetui.ui.commands import bindings
from tracetui.ui.garbage import Garbage
from tracetui.ui.key_order import KeyOrder
from tracetui.ui.keymap import Keymap
from tracetui.ui.later import later
from tracetui.ui.palette import Commands
from tracetui.ui.screens.main import MainScreen
from tracetui.ui.widgets.field import Field
from tracetui.ui.widgets.notice_lines import NOTICE_SECONDS
from tracetui.ui.widgets.packets_pane import PacketsPane

if TYPE_CHECKING:
    from tracetui.ui.dialogs import Dialogs

PICTURE_SECONDS = 0.1
"""Seconds between two pictures."""
POLL_SLICE_SECONDS, SCREEN_POLL_SECONDS = 0.008, 0.003
"""Seconds of one poll, and of the pause for keys and drawing if there is more to take in."""
KEY_ANSWER_SECONDS, KEYS_HELD_SECONDS = 0.05, 0.2
"""Seconds without a poll after a key, so that its effect is seen at once; and the most of them
while one key follows the other."""
DIALOGS_SECONDS = 0.3
"""Seconds until the dialogs are imported, so that the first one opens at once."""
FLUSHING_KEYS = ("ctrl+c", "ctrl+f")
"""Keys that end a trace: they wait for nothing."""
BUSY_HOPS = 100
"""Hops between two pictures above which the session counts as busy."""
TYPING_SECONDS = 1.0
"""Seconds after a key in which the next one is likely."""
NOTICE_CELLS = 600
"""Cells of a notice above a dialog: about ten lines."""

_SEVERITIES = {"information": "information", "warning": "warning", "error": "error"}


class TraceApp(App[None]):
    """Shows a session until the user quits; the caller closes the session."""

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
        """The settings with the user's changes."""
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
        """Time of the last key and of the last poll, in monotonic seconds."""
        self._key_order = KeyOrder()
        self._garbage = Garbage()
        self._hops = 0
        """Hops received by the last picture."""
        self.notices: list[Notice] = []
        """All notices so far."""
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
        """Start polling the session."""
        self._loop_here = asyncio.get_running_loop()
        if self._is_told_to_end:
            self.exit()
        self._apply(self.settings)
        self.set_interval(PICTURE_SECONDS, self._look)
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
        """Remember a setting."""
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
        if isinstance(event, (Key, Paste)) and not event.is_forwarded:
            if not (isinstance(event, Key) and event.key in FLUSHING_KEYS):
                await self._key_order.settle(self.screen)
            self._key_order.touch(self.focused, self.screen)
            if isinstance(event, Key) and await self._take_key(event):
                return
        await super().on_event(event)

    async def _take_key(self, event: Key) -> bool:
        """Do at once what a key does; False where a widget of Textual's own takes its characters.

        No widget of ours has a handler of keys: they type into a field, or are bound.
        """
        focused = self.focused
        if isinstance(focused, Input) and not isinstance(focused, Field):
            return False
        self.app_focus = True
        if await self._check_bindings(event.key, priority=True):
            return True
        if isinstance(focused, Field) and event.is_printable and event.character is not None:
            focused.type_character(event.character)
        else:
            await self._check_bindings(event.key)
        return True

    def _begin(self) -> None:
        """Draw the first picture and replay the keys typed before it."""
        early, self._early = self._early or [], None
        for key in early:
            self.post_message(key)
        self._look()

    def on_main_screen_setting_changed(self, event: MainScreen.SettingChanged) -> None:
        """Remember a setting of the main screen."""
        self.change(**event.chosen)

    def action_flush(self) -> None:
        """Remove our rules at once."""
        self.session.flush()

    def action_keys(self) -> None:
        """Show every key."""
        self._dialogs.keys(self._main.focused_scopes)

    def action_log(self) -> None:
        """Show all notices."""
        self._dialogs.log(self.notices)

    def _apply(self, settings: Settings) -> None:
        self.set_keymap(self.keymap.bound)
        for fault in self.keymap.wrong:
            self._dialogs.say(fault, "warning")
        if settings.theme in self.available_themes:
            self.theme = settings.theme
        elif settings.theme is not None:
            self._dialogs.say(f"no theme is named {settings.theme}", "warning")
        self.theme_changed_signal.subscribe(self, lambda theme: self.change(theme=theme.name))

    def _look(self) -> None:
        """Draw what changed, and poll the session unless a poll is already due."""
        now = time.monotonic()
        if not self._is_behind:
            self._take()
        if self._has_changed:
            self._has_changed = not self._main.update()
        before, self._hops = self._hops, self.session.status.hops
        is_busy = self._is_behind or self._hops - before > BUSY_HOPS
        self._garbage.collect_if_quiet(is_busy or now - self._keyed < TYPING_SECONDS, now)

    def _take(self) -> None:
        """Poll the session in slices, so that a key does not wait for all of it."""
        now = time.monotonic()
        if now - self._keyed < KEY_ANSWER_SECONDS and now - self._took < KEYS_HELD_SECONDS:
            self._take_soon()
            return
        self._took, until = now, now + POLL_SLICE_SECONDS
        self._has_changed |= self.session.poll(POLL_SLICE_SECONDS)
        for notice in self.session.take_notices():
            self.tell(notice)
        self._is_behind = time.monotonic() >= until
        if self._is_behind:
            self._take_soon()

    def _take_soon(self) -> None:
        self._is_behind = True
        later(self, SCREEN_POLL_SECONDS, self._take)

    def tell(self, notice: Notice) -> None:
        """Show a notice for some seconds, also above a dialog, and keep it in the log."""
        self.notices.append(notice)
        self._main.tell(notice)
        if self._main.is_mounted and self.screen is not self._main:
            self.notify(
                shown(notice.text, NOTICE_CELLS),
                severity=_SEVERITIES.get(notice.severity, "information"),  # type: ignore[arg-type]
                timeout=NOTICE_SECONDS,
                markup=False,
            )
