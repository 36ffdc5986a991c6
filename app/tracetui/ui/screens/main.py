"""The main screen: status, modules, TRACE rules, packets and notices."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Optional

from textual import on
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Focus, MouseDown, Resize
from textual.geometry import Size
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from tracetui.model.tracing.installed_rule import InstalledRule
from tracetui.session.node.module_reader import ModuleReader
from tracetui.session.state.session import Notice, Session
from tracetui.session.user.settings import SIDE_LEAST, SIDE_MOST, Settings
from tracetui.session.view.empty_state import empty_text
from tracetui.ui.commands import bindings, offered
from tracetui.ui.keymap import Keymap
from tracetui.ui.later import later
from tracetui.ui.widgets.key_bar import KeyBar
from tracetui.ui.widgets.messages import (
    ChainRequested,
    CompareRequested,
    FindRequested,
    NoticeRequested,
    PacketAction,
)
from tracetui.ui.widgets.modules_pane import ModulesPane
from tracetui.ui.widgets.notice_lines import NoticeLines
from tracetui.ui.widgets.packets_pane import PacketsPane
from tracetui.ui.widgets.rules_pane import RulesPane
from tracetui.ui.widgets.side import Side
from tracetui.ui.widgets.status_bar import StatusBar

if TYPE_CHECKING:
    from tracetui.ui.dialogs import Dialogs

TICK_SECONDS = 1.0
STATUS_DELAY_SECONDS = 0.04
"""Seconds between the pictures of packets and of the status."""
WIDTHS = ((110, "-wide"), (0, "-narrow"))
"""The cells from which the panes stand side by side, and one above the other."""
HEIGHTS = ((30, "-tall"), (17, "-high"), (13, "-low"), (0, "-lowest"))
"""The lines from which everything has its place, less of it, the least, and the packets alone."""


class MainScreen(Screen[None]):
    """Three panes over one session."""

    BINDINGS = bindings("main")
    AUTO_FOCUS = "Timeline"

    class SettingChanged(Message):
        """The user changed a setting that is to be remembered."""

        def __init__(self, **chosen: object) -> None:
            super().__init__()
            self.chosen = chosen

    def __init__(
        self,
        session: Session,
        modules: ModuleReader,
        clock: Callable[[], float],
        dialogs: Callable[[], Dialogs],
        settings: Settings,
        keymap: Keymap,
        packets: PacketsPane,
    ) -> None:
        super().__init__()
        self._width = settings.side
        self._modules_chosen = settings.modules
        """Whether the user wants the modules to be shown; None for where they say something."""
        self._has_all = False
        """Whether all that tracing needs was there at the start."""
        self._session = session
        self._dialogs = dialogs
        self._keymap = keymap
        self._module_reader = modules
        self._clock = clock
        # Kept, not looked up: while the program ends, a timer may still find them gone.
        self._bar = StatusBar(keymap)
        self._modules = ModulesPane(modules, keymap)
        self._rules = RulesPane(clock, keymap)
        self._rules_shown: tuple[InstalledRule, ...] = ()
        self._side = Side(self._modules, self._rules)
        self._packets = packets
        self._notices = NoticeLines(keymap)
        self._maximised = False

    def compose(self) -> ComposeResult:
        """Lay out the panes."""
        # Now, so that styles are worked out once.
        self.set_class(self._session.status.is_replay, "-replay")
        self._take_classes(self.app.size, update=False)
        self.focused = self._packets.timeline
        self.focused.set_reactive(Widget.has_focus, True)
        yield self._bar
        with Horizontal(id="body"):
            yield self._side
            yield self._packets
        yield self._notices
        yield KeyBar(offered(self._session.status.is_replay))

    def on_mount(self) -> None:
        """Draw the first picture and start the clock."""
        self._has_all = bool(self._modules.needs) and all(
            need.is_there for need in self._modules.needs
        )
        self._fold_modules()
        self._packets.timeline.post_message(Focus())
        self._lay_out()
        self.update()
        self._each_second()
        self.set_interval(TICK_SECONDS, self._each_second)

    def on_resize(self, event: Resize) -> None:
        """Arrange the panes anew."""
        self._take_classes(event.size)
        self._lay_out()

    def on_mouse_down(self, event: MouseDown) -> None:
        """Have the edge between the panes follow the mouse, where it was taken there."""
        x, y = int(event.screen_x), int(event.screen_y)
        if self._is_wide and not self._maximised and self._side.has_edge_at(x, y):
            self._side.hold_edge()

    @property
    def focused_scopes(self) -> tuple[str, ...]:
        """The scopes of the keys that the pane with the cursor has (``ui.commands``)."""
        if self._packets.filter_bar.has_focus_within:
            return ("filter", "expression")
        if self._modules.has_focus_within:
            return ("modules",)
        return ("rules",) if self._rules.has_focus_within else ("timeline",)

    def update(self) -> bool:
        """Show what the session has now; False if something of it is left to the next call."""
        if not self.is_mounted:
            return False
        if self._session.status is not self._bar.status:
            # A picture is drawn of all that is between what changed: the status at the top and
            # packets further down would make it one of the whole screen.
            later(self, STATUS_DELAY_SECONDS, self._show_status)
        if self._session.rules is not self._rules_shown:
            self._show_rules()
        return self._packets.update(self._empty_text)

    def _show_status(self) -> None:
        self._bar.status = self._session.status

    def tell(self, notice: Notice) -> None:
        """Show a notice for some seconds."""
        self._notices.add(notice)

    def action_add_rule(self) -> None:
        """Open the form, where rules can be added at all."""
        self._dialogs().add_rule()

    def action_guard(self) -> None:
        """Show the guard: what flooded, what to try instead, its history."""
        self._dialogs().guard()

    def action_extend(self) -> None:
        """Have all our rules end later."""
        self._session.extend_rules()

    def action_paths(self) -> None:
        """Group the packets that the filter lets through by the way they took."""
        packets = self._packets
        self._dialogs().paths(list(packets.view.rows), packets.timeline.go_to_packet)

    def action_arm(self) -> None:
        """Arm the guard again."""
        self._session.arm()

    def action_threshold(self) -> None:
        """Ask for another threshold."""
        self._dialogs().threshold()

    def action_export(self) -> None:
        """Write packets to a file, or to the clipboard."""
        timeline, view = self._packets.timeline, self._packets.view
        selected, marked = timeline.selected, timeline.marked
        shown = "shown by the filter" if view.is_filtered else "all"
        self._dialogs().export(
            {
                "marked": list(marked.values()),
                "this packet": [selected] if selected else [],
                shown: list(view.rows),
            }
        )

    def action_filter(self) -> None:
        """Go to the filter, or in the modules to a name; in what is typed it is a character."""
        if isinstance(self.focused, Input):
            raise SkipAction
        if self._modules.has_focus_within:
            self._modules.action_find()
            return
        self._packets.filter_bar.focus_first()

    def action_clear(self) -> None:
        """Clear the filter, then the marks; in the modules, show all of them."""
        if self._modules.has_focus_within and self._modules.clear_find():
            return
        self._packets.clear()

    def action_modules(self) -> None:
        """Show the modules where they are folded, or fold them where they are shown."""
        if self._refuses_in_replay():
            return
        if not self._side.display or self._maximised:
            self.action_pane("timeline" if self._modules.has_focus_within else "modules")
            return
        self._modules_chosen = not self._shows_modules
        self._fold_modules()
        self.post_message(self.SettingChanged(modules=self._modules_chosen))
        if self._modules_chosen and not self._is_wide:
            self.set_focus(self.query_one("#tree"))
        else:
            self.set_focus(self._packets.timeline)

    def action_pane(self, name: str) -> None:
        """Go to a pane."""
        if name != "timeline" and self._refuses_in_replay():
            return
        self._show_only(None)
        if name == "modules" and not self._shows_modules:
            self._modules_chosen = True
            self._fold_modules()
        if name != "timeline" and not self._side.display:
            # A screen of few lines has no room for the left side.
            self._show_only(self._modules if name == "modules" else self._rules)
        self.set_focus(self.query_one("#tree" if name == "modules" else f"#{name}"))

    def action_maximise(self) -> None:
        """Give the pane with the cursor all the room of the panes, or take it back."""
        if self._refuses_in_replay():
            return
        if self._maximised:
            self._show_only(None)
            return
        for pane in (self._modules, self._rules, self._packets):
            if pane.has_focus_within:
                self._show_only(pane)

    def action_resize(self, cells: int) -> None:
        """Give the left side so many cells more."""
        if not self._refuses_in_replay():
            self._set_width(self._width + cells)

    @on(Side.EdgeDragged)
    def _draw_edge(self, event: Side.EdgeDragged) -> None:
        self._set_width(event.cells)

    @on(ChainRequested)
    def _open_chain(self, event: ChainRequested) -> None:
        self._dialogs().chain(event.packet, event.hop, event.number)

    @on(CompareRequested)
    def _compare(self, event: CompareRequested) -> None:
        self._dialogs().compare(event.first, event.second)

    @on(FindRequested)
    def _ask_for_text(self) -> None:
        self._dialogs().find(self._packets.timeline.seeker.find)

    @on(NoticeRequested)
    def _show_notice(self, event: NoticeRequested) -> None:
        self._dialogs().say(event.text, event.severity)

    @on(PacketAction)
    def _act_on_packet(self, event: PacketAction) -> None:
        dialogs = self._dialogs()
        do = {"about": dialogs.packet, "copy": dialogs.copy, "trace": dialogs.trace}
        do[event.action](event.packet)

    @on(ModulesPane.ModuleRequested)
    def _show_module(self, event: ModulesPane.ModuleRequested) -> None:
        self._dialogs().module(self._module_reader, event.tree, event.module)

    @on(ModulesPane.LoadRequested)
    def _load_module(self, event: ModulesPane.LoadRequested) -> None:
        self._dialogs().load_module(event.need)

    @on(RulesPane.DeleteRequested)
    def _delete(self, event: RulesPane.DeleteRequested) -> None:
        self._session.delete_rule(event.rule.id)

    @on(RulesPane.ExtendRequested)
    def _extend(self, event: RulesPane.ExtendRequested) -> None:
        self._session.extend_rules([event.rule.id])

    def _empty_text(self) -> str:
        """The text in place of packets while there are none."""
        text = empty_text(self._session, self._modules.needs, self._clock())
        return self._keymap.with_keys(text)

    @property
    def _is_wide(self) -> bool:
        return self.has_class("-wide")

    def _take_classes(self, size: Size, update: bool = True) -> None:
        """Have the styles for a size; each name of WIDTHS and HEIGHTS stands for its own."""
        classes = {}
        for cells, steps in ((size.width, WIDTHS), (size.height, HEIGHTS)):
            chosen = next(name for least, name in steps if cells >= least)
            classes.update({name: name == chosen for _, name in steps})
        classes["-modules"] = self._wants_modules(classes["-wide"])
        self.update_classes(classes, update=update, animate=False)

    def _wants_modules(self, is_wide: bool) -> bool:
        """Whether the modules have more than their title on a screen, by choice or by need."""
        if self._modules_chosen is not None:
            return self._modules_chosen
        return is_wide and not self._has_all

    @property
    def _shows_modules(self) -> bool:
        return self.has_class("-modules")

    def _fold_modules(self) -> None:
        """Show the modules or fold them; where nothing is missing not even their title is left."""
        wants = self._wants_modules(self._is_wide)
        self.update_classes({"-modules": wants, "-has-all": self._has_all}, animate=False)

    def _refuses_in_replay(self) -> bool:
        """Whether it is a replay, where the left side would tell of this machine, not the node."""
        is_replay = self._session.status.is_replay
        if is_replay:
            self._dialogs().say("this is a replay: its node's modules and rules are not here")
        return is_replay

    def _show_only(self, pane: Optional[Widget]) -> None:
        """Show one pane of the three, or all; the status stays, and so do the notices."""
        self._maximised = pane is not None
        for other in (self._modules, self._rules, self._packets):
            self.set_class(other is pane, f"-only-{other.id}")

    def _set_width(self, cells: int) -> None:
        self._width = max(SIDE_LEAST, min(SIDE_MOST, cells))
        self._lay_out()
        self.post_message(self.SettingChanged(side=self._width))

    def _lay_out(self) -> None:
        """Beside the packets the left side has its width; above them, the whole of the screen's."""
        self._side.styles.width = self._width if self._is_wide else None

    def _each_second(self) -> None:
        self.update()
        self._show_status()
        self._bar.sample()
        self._show_rules()

    def _show_rules(self) -> None:
        """Show the rules, and the time that is left to the first that ends."""
        rules = self._rules_shown = self._session.rules
        ends = [rule.expires for rule in rules if rule.mine and rule.expires]
        self._bar.left = min(ends) - self._clock() if ends else None
        empty_text = self._session.status.why_not or self._keymap.with_keys(
            "none yet: {main.add-rule} adds one"
        )
        self._rules.show(rules, empty_text)
