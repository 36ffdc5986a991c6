"""Dialogs above the main screen, and the actions that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Optional, Union

from textual.app import App

from tracetui.model.node.module import Module, ModuleTree
from tracetui.model.node.needs import Need
from tracetui.model.trace.packet import Packet
from tracetui.session.node.module_reader import ModuleReader
from tracetui.session.node.modules import need_state
from tracetui.session.recording.export import TEXT, Pieces, exported
from tracetui.session.state.session import ChainRef, Notice, Session
from tracetui.session.state.suggestions import Suggestion
from tracetui.session.view import presets, rule_warnings
from tracetui.session.view.presets import Preset
from tracetui.ui.commands import offered
from tracetui.ui.keymap import Keymap
from tracetui.ui.saving import Saving
from tracetui.ui.screens.add_rule import AddRuleScreen, RuleRequest
from tracetui.ui.screens.chain import ChainScreen, Visit
from tracetui.ui.screens.compare import CompareScreen
from tracetui.ui.screens.confirm import ConfirmScreen
from tracetui.ui.screens.export import ExportRequest, ExportScreen
from tracetui.ui.screens.find import FindScreen
from tracetui.ui.screens.guard import FlushForeign, GuardChoice, GuardScreen
from tracetui.ui.screens.help import HelpScreen
from tracetui.ui.screens.log import LogScreen
from tracetui.ui.screens.module import ModuleScreen
from tracetui.ui.screens.packet import PacketScreen
from tracetui.ui.screens.paths import PathsScreen
from tracetui.ui.screens.presets import PresetsScreen
from tracetui.ui.screens.threshold import ThresholdScreen

CLIPBOARD_BYTES = 74_000
"""The most that is copied: in base64 that stays below the 100,000 bytes which terminals take."""

_NO_CHAIN = {
    "pending": "the rules are being read",
    "changed": "the ruleset changed: the packet met another version of this chain",
    "unread": "no ruleset was read; `tracetui replay --ruleset FILE` adds one",
}


class Dialogs:
    """Opens one dialog at a time; its outcome reaches the session or is a notice."""

    def __init__(
        self,
        app: App[None],
        session: Session,
        clock: Callable[[], float],
        tell: Callable[[Notice], None],
        keymap: Keymap,
    ) -> None:
        """``clock`` gives seconds since the epoch; ``tell`` shows a notice and keeps it."""
        self._app = app
        self._session = session
        self._clock = clock
        self._tell = tell
        self._keymap = keymap
        self._saving = Saving(app, self.say)

    @property
    def unfinished(self) -> list[str]:
        """The files that are being written."""
        return self._saving.unfinished

    def say(self, text: str, severity: str = "information") -> None:
        """Show a notice."""
        self._tell(Notice(self._clock(), severity, text))

    def add_rule(self, prefill: Optional[Preset] = None) -> None:
        """Open the form, if rules can be added here."""
        if self._may_trace():
            form = self._form(prefill)
            self._app.push_screen(form, self._add)

    def trace(self, packet: Packet) -> None:
        """Choose what to trace of a packet, then open the form."""
        if not self._may_trace():
            return
        choices = presets.presets(packet)
        if not choices:
            self.say("no rule can match this packet: its header was not seen", "warning")
            return
        self._app.push_screen(
            PresetsScreen(choices), lambda preset: self.add_rule(preset) if preset else None
        )

    def guard(self) -> None:
        """Show the guard: its trips, the busiest flows, narrower rules."""
        self._app.push_screen(GuardScreen(self._session, self._keymap), self._after_guard)

    def threshold(self) -> None:
        """Ask for the guard's threshold."""

        def set_threshold(hops_per_second: Optional[int]) -> None:
            if hops_per_second:
                self._session.set_threshold(hops_per_second)

        present = self._session.status.guard.threshold
        self._app.push_screen(ThresholdScreen(present), set_threshold)

    def paths(self, packets: Sequence[Packet], go: Callable[[Packet], None]) -> None:
        """Show the packets grouped by path; ``go`` gets the packet chosen."""
        screen = PathsScreen(self._session, packets)
        self._app.push_screen(screen, lambda packet: go(packet) if packet else None)

    def packet(self, packet: Packet) -> None:
        """Show everything known of a packet."""
        self._app.push_screen(PacketScreen(self._session, packet))

    def chain(self, packet: Packet, index: int, number: Optional[int]) -> None:
        """Show the chain of a hop, with the cursor on rule ``number`` or on the hop's rule."""
        hop, explained = packet.hops[index], self._session.explain(packet).hops[index]
        if explained.chain is None:
            history = self._session.rulesets.histories[hop.backend]
            why = history.why_unlisted((hop.family, hop.table), hop.interval)
            self.say(why or _NO_CHAIN.get(explained.state, "this chain is not known"))
            return
        end = len(explained.chain.rules) + 1
        ref = ChainRef(hop.backend, hop.family, hop.table, hop.chain)
        visit = Visit(ref, explained.chain, number or explained.number or end)
        self._app.push_screen(ChainScreen(self._session, visit, hop.interval, self._keymap))

    def compare(self, first: Packet, second: Packet) -> None:
        """Show two packets side by side."""
        self._app.push_screen(CompareScreen(self._session, first, second))

    def find(self, search: Callable[[str], None]) -> None:
        """Ask for a text to search for."""
        self._app.push_screen(FindScreen(self._keymap), lambda text: search(text) if text else None)

    def module(self, reader: ModuleReader, tree: ModuleTree, module: Module) -> None:
        """Show everything known of a kernel module."""
        self._app.push_screen(ModuleScreen(reader, tree, module))

    def load_module(self, need: Need) -> None:
        """Ask, then have a part that tracing needs loaded."""
        if need.is_there:
            self.say(f"{need.part.name} is there: {need_state(need)}")
            return
        lines = [f"modprobe {need.module}", "", need.part.what_for]

        def load(is_confirmed: Optional[bool]) -> None:
            if is_confirmed:
                self._session.load_module(need.module)

        self._app.push_screen(ConfirmScreen("Load a kernel module?", lines), load)

    def keys(self, focused_scopes: Sequence[str]) -> None:
        """Show every key that can work here, first those of the pane with the cursor."""
        commands = offered(self._session.status.is_replay)
        self._app.push_screen(HelpScreen(self._keymap, commands, focused_scopes))

    def log(self, notices: Sequence[Notice]) -> None:
        """Show all notices."""
        self._app.push_screen(LogScreen(notices))

    def export(self, sets: dict[str, Sequence[Packet]]) -> None:
        """Ask which packets are to be written, and write them."""
        if not any(sets.values()):
            self.say("there is no packet to export", "warning")
            return
        stamp = datetime.fromtimestamp(self._clock(), timezone.utc)
        screen = ExportScreen(sets, f"tracetui-{stamp:%Y%m%dT%H%M%SZ}")
        self._app.push_screen(screen, self._write)

    def copy(self, packet: Packet) -> None:
        """Copy a packet as text to the clipboard."""
        self._write(ExportRequest((packet,), TEXT, None))

    def _form(self, prefill: Union[Suggestion, Preset, None]) -> AddRuleScreen:
        status = self._session.status
        targets = rule_warnings.dnat_targets(reversed(self._session.packets))
        return AddRuleScreen(status.node, self._clock, prefill, status.interfaces, targets)

    def _may_trace(self) -> bool:
        why_not = self._session.status.why_not
        if why_not:
            self.say(why_not, "warning")
        return not why_not

    def _add(self, request: Optional[RuleRequest]) -> None:
        if request is not None:
            self._session.add_rules(request.rules, request.backend, request.override)

    def _after_guard(self, choice: Optional[GuardChoice]) -> None:
        if isinstance(choice, FlushForeign):
            lines = [
                f"{rule.backend} IPv{rule.family} {rule.chain} {rule.text}" for rule in choice.rules
            ]
            ids = [rule.id for rule in choice.rules]

            def flush(is_confirmed: Optional[bool]) -> None:
                if is_confirmed:
                    self._session.flush(ids)

            self._app.push_screen(
                ConfirmScreen("Remove TRACE rules that are not ours?", lines), flush
            )
        elif choice is not None:
            self._add_suggested(choice)

    def _add_suggested(self, suggestion: Suggestion) -> None:
        """Open the form with a rule suggested after a trip; adding it arms the guard."""

        def add(request: Optional[RuleRequest]) -> None:
            if request is not None:
                self._session.arm()
                self._add(request)

        form = self._form(suggestion)
        self._app.push_screen(form, add)

    def _write(self, request: Optional[ExportRequest]) -> None:
        if request is not None:
            session, form, packets = self._session, request.form, request.packets

            def pieces() -> Pieces:
                return exported(form, packets, session.explain, session.status)

            count = "1 packet" if len(request.packets) == 1 else f"{len(request.packets):,} packets"
            description = f"{count} as {request.form}"
            if request.file is None:
                self._copy("".join(_head(pieces())), description)
            else:
                self._saving.save(pieces, request.file, description)

    def _copy(self, text: str, description: str) -> None:
        size = len(text.encode())
        if size > CLIPBOARD_BYTES:
            limit = f"a terminal takes {CLIPBOARD_BYTES // 1000} kB"
            self.say(
                f"{description}: too large for the clipboard, {limit}; save it to a file", "warning"
            )
            return
        self._app.copy_to_clipboard(text)
        self.say(f"{description}: sent to the terminal's clipboard (OSC 52), {size:,} bytes")


def _head(pieces: Pieces) -> list[str]:
    """The first pieces, up to one more than the clipboard takes."""
    head, size = [], 0
    for piece in pieces:
        head.append(piece)
        size += len(piece)
        if size > CLIPBOARD_BYTES:
            break
    return head
