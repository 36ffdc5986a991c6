"""Every command by its name: what Ctrl+P opens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Union

from textual.app import App
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.dom import DOMNode
from textual.screen import Screen

from tracetui.session.state.session import Session
from tracetui.ui.commands import SCOPES, Command, offered
from tracetui.ui.keymap import Keymap

PANES = {"timeline": "#timeline", "filter": "FilterBar", "rules": "#rules", "modules": "#modules"}
"""The widget of the main screen that a scope belongs to."""


class Commands(Provider):
    """The commands that work where the palette was opened, each with its key."""

    async def discover(self) -> Hits:
        """List all commands before anything is typed."""
        for command, run in self._offered():
            yield DiscoveryHit(self._title(command), run, help=command.help)

    async def search(self, query: str) -> Hits:
        """List the commands that match the typed text."""
        matcher = self.matcher(query)
        for command, run in self._offered():
            title = self._title(command)
            score = matcher.match(f"{title} {command.help}")
            if score > 0:
                yield Hit(score, matcher.highlight(title), run, help=command.help)

    def _title(self, command: Command) -> str:
        keymap: Keymap = self.app.keymap  # type: ignore[attr-defined]
        scope = SCOPES[command.scope].lower().removeprefix("in the ") if _is_pane(command) else ""
        return f"{command.label}{f' · {scope}' if scope else ''}  {keymap.written(command)}"

    def _offered(self) -> Iterator[tuple[Command, Callable[[], Awaitable[None]]]]:
        session: Session = self.app.session  # type: ignore[attr-defined]
        for command in offered(session.status.is_replay):
            node = _node(self.screen, command)
            if node is not None and command.name != "anywhere.palette":
                yield command, partial(_run, self.app, node, command)


def _is_pane(command: Command) -> bool:
    return command.scope in PANES


def _node(screen: Screen[object], command: Command) -> Union[DOMNode, None]:
    """The widget the command acts on; None if it does not work here."""
    if command.scope == "anywhere":
        return screen
    is_main = screen.query(PANES["timeline"])
    if command.scope == "main":
        return screen if is_main else None
    if command.scope in PANES and is_main:
        return screen.query_one(PANES[command.scope])
    return None


async def _run(app: App[object], node: DOMNode, command: Command) -> None:
    if _is_pane(command) and command.scope != "filter":
        await app.run_action(f"screen.pane('{command.scope}')", node)
    await app.run_action(command.action, node)
