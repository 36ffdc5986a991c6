"""The screens that are opened above the main one, and what is done when they are left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Optional

from textual.app import App

from tracetui.model.node.module import Module, ModuleTree
from tracetui.model.node.needs import Need
from tracetui.model.trace.packet import Packet
from tracetui.session.node.module_reader import ModuleReader
from tracetui.session.node.modules import need_state
from tracetui.session.recording.export import TEXT, Pieces, exported
from tracetui.session.state.session import ChainRef, Notice, Session
from tracetui.session.state.suggestions import Suggestion
from tracetui.session.view import presets
from tracetui.session.view.presets import Preset
from tracetui.ui.keymap import Keymap
from tracetui.ui.saving import Saving
from tracetui.ui.screens.add_rule import AddRuleScreen, RuleRequest
from tracetui.ui.screens.chain import ChainScreen, Visit
from tracetui.ui.screens.compare import CompareScreen
from tracetui.ui.screens.confirm import ConfirmScreen
from tracetui.ui.screens.export import Export, ExportScreen
from tracetui.ui.screens.find import FindScreen
from tracetui.ui.screens.guard import Choice, FlushForeign, GuardScreen
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
    "changed": "the ruleset changed: this chain is not what the packet met",
    "unread": "no ruleset was read; `tracetui replay --ruleset FILE` brings one",
}


class Dialogs:
    """Opens one at a time over an app; every outcome reaches the session or is told."""

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
        """Tell the user one sentence."""
        self._tell(Notice(self._clock(), severity, text))

    def add_rule(self, begin_with: Optional[Preset] = None) -> None:
        """The form, where rules can be added at all."""
        if self._may_trace():
            form = AddRuleScreen(self._session.status.node, self._clock, begin_with)
            self._app.push_screen(form, self._add)

    def trace(self, packet: Packet) -> None:
        """What can be traced of a packet, then the form."""
        if not self._may_trace():
            return
        found = presets.presets(packet)
        if not found:
            self.say("no rule can name this packet: its header was not seen", "warning")
            return
        self._app.push_screen(PresetsScreen(found), lambda one: self.add_rule(one) if one else None)

    def guard(self) -> None:
        """What flooded, what to try instead, the guard's history."""
        self._app.push_screen(GuardScreen(self._session, self._keymap), self._after_guard)

    def threshold(self) -> None:
        """Another threshold for the guard."""
        present = self._session.status.guard.threshold
        self._app.push_screen(
            ThresholdScreen(present),
            lambda value: self._session.set_threshold(value) if value else None,
        )

    def paths(self, packets: Sequence[Packet], go: Callable[[Packet], None]) -> None:
        """Packets by the way they took; ``go`` is given the one chosen."""
        screen = PathsScreen(self._session, packets)
        self._app.push_screen(screen, lambda packet: go(packet) if packet else None)

    def packet(self, packet: Packet) -> None:
        """Everything known of a packet."""
        self._app.push_screen(PacketScreen(self._session, packet))

    def chain(self, packet: Packet, index: int, number: Optional[int]) -> None:
        """The chain of a hop; the cursor on rule ``number`` of it, or on the hop's own."""
        hop, here = packet.hops[index], self._session.explain(packet).hops[index]
        if here.chain is None:
            history = self._session.rulesets.histories[hop.backend]
            why = history.why_unlisted((hop.family, hop.table), hop.readings)
            self.say(why or _NO_CHAIN.get(here.state, "this chain is not known"))
            return
        end = len(here.chain.rules) + 1
        place = ChainRef(hop.backend, hop.family, hop.table, hop.chain)
        visit = Visit(place, here.chain, number or here.number or end)
        self._app.push_screen(ChainScreen(self._session, visit, hop.readings, self._keymap))

    def compare(self, one: Packet, other: Packet) -> None:
        """Two packets side by side."""
        self._app.push_screen(CompareScreen(self._session, one, other))

    def find(self, look: Callable[[str], None]) -> None:
        """A text to look for."""
        self._app.push_screen(FindScreen(self._keymap), lambda text: look(text) if text else None)

    def module(self, reader: ModuleReader, tree: ModuleTree, module: Module) -> None:
        """Everything known of a kernel module."""
        self._app.push_screen(ModuleScreen(reader, tree, module))

    def load_module(self, need: Need) -> None:
        """Ask, then have a part that tracing needs loaded."""
        if need.is_there:
            self.say(f"{need.part.name} is there: {need_state(need)}")
            return
        lines = [f"modprobe {need.module}", "", need.part.what_for]
        ask = ConfirmScreen("Load a kernel module?", lines)
        self._app.push_screen(
            ask, lambda yes: self._session.load_module(need.module) if yes else None
        )

    def keys(self) -> None:
        """Every key."""
        self._app.push_screen(HelpScreen(self._keymap))

    def log(self, notices: Sequence[Notice]) -> None:
        """Everything that was told."""
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
        """A packet as text to the clipboard."""
        self._write(Export((packet,), TEXT, None))

    def _may_trace(self) -> bool:
        why_not = self._session.status.why_not
        if why_not:
            self.say(why_not, "warning")
        return not why_not

    def _add(self, wanted: Optional[RuleRequest]) -> None:
        if wanted is not None:
            for rule in wanted.rules:
                self._session.add_rule(rule, wanted.backend, wanted.override)

    def _after_guard(self, choice: Optional[Choice]) -> None:
        if isinstance(choice, FlushForeign):
            lines = [
                f"{rule.backend} IPv{rule.family} {rule.chain} {rule.text}" for rule in choice.rules
            ]
            ids = [rule.id for rule in choice.rules]
            ask = ConfirmScreen("Remove TRACE rules that are not ours?", lines)
            self._app.push_screen(ask, lambda yes: self._session.flush(ids) if yes else None)
        elif choice is not None:
            self._propose(choice)

    def _propose(self, proposal: Suggestion) -> None:
        """The form with what was proposed after a trip; to add it arms the guard."""

        def add(wanted: Optional[RuleRequest]) -> None:
            if wanted is not None:
                self._session.arm()
                self._add(wanted)

        form = AddRuleScreen(self._session.status.node, self._clock, proposal)
        self._app.push_screen(form, add)

    def _write(self, wanted: Optional[Export]) -> None:
        if wanted is not None:
            session, form, packets = self._session, wanted.form, wanted.packets

            def pieces() -> Pieces:
                return exported(form, packets, session.explain, session.status)

            count = "1 packet" if len(wanted.packets) == 1 else f"{len(wanted.packets):,} packets"
            what = f"{count} as {wanted.form}"
            if wanted.file is None:
                self._copy("".join(_head(pieces())), what)
            else:
                self._saving.save(pieces, wanted.file, what)

    def _copy(self, text: str, what: str) -> None:
        size = len(text.encode())
        if size > CLIPBOARD_BYTES:
            most = f"a terminal takes {CLIPBOARD_BYTES // 1000} kB"
            self.say(f"{what}: too much for the clipboard, {most}; save it to a file", "warning")
            return
        self._app.copy_to_clipboard(text)
        self.say(f"{what}: sent to the terminal's clipboard (OSC 52), {size:,} bytes")


def _head(pieces: Pieces) -> list[str]:
    """As many as the clipboard could take, and one more."""
    taken, size = [], 0
    for piece in pieces:
        taken.append(piece)
        size += len(piece)
        if size > CLIPBOARD_BYTES:
            break
    return taken
