"""The one screen: status, modules, TRACE rules, filter and packets."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual import on
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Input

from tracetui.session import narrowing
from tracetui.session.empty import empty_text
from tracetui.session.filtered import FilteredView
from tracetui.session.module_reader import ModuleReader
from tracetui.session.seen import Seen
from tracetui.session.session import Session
from tracetui.session.settings import SIDE_LEAST, SIDE_MOST, Settings
from tracetui.ui.commands import bindings
from tracetui.ui.dialogs import Dialogs
from tracetui.ui.widgets.filter_bar import FilterBar
from tracetui.ui.widgets.hop_detail import HopDetail
from tracetui.ui.widgets.modules_pane import ModulesPane
from tracetui.ui.widgets.rules_pane import RulesPane
from tracetui.ui.widgets.status_bar import StatusBar
from tracetui.ui.widgets.timeline import Timeline

SECOND = 1.0
SLICE_SECONDS, PAUSE_SECONDS = 0.02, 0.005
"""How long a filter is tried before the screen has its turn, and how long that is."""
WIDE = 110
"""Cells from which the panes stand side by side."""


class PacketsPane(Vertical):
    """The filter above the timeline."""

    ALLOW_MAXIMIZE = True


class MainScreen(Screen[None]):
    """Three panes over one session."""

    BINDINGS = bindings("main")

    class Chosen(Message):
        """The user wants something to be so the next time too."""

        def __init__(self, **chosen: object) -> None:
            super().__init__()
            self.chosen = chosen

    def __init__(
        self,
        session: Session,
        modules: ModuleReader,
        clock: Callable[[], float],
        dialogs: Dialogs,
        settings: Settings,
        expression: str,
    ) -> None:
        """``expression`` is the filter that is in force at first."""
        super().__init__()
        self._side = settings.side
        self.set_class(settings.modules, "-modules")
        self._session = session
        self._dialogs = dialogs
        self._module_reader = modules
        self._clock = clock
        self._view = FilteredView(session.packets, session.explanations)
        # Kept, not looked up: while the program ends, a timer may still find them gone.
        self._bar = StatusBar()
        self._rules = RulesPane(clock, "rules")
        self._packets = PacketsPane(id="packets")
        self._filter_bar = FilterBar(Seen(session.packets), expression)
        self._timeline = Timeline(self._view, session.explanations, "timeline")
        self._detail = HopDetail()
        self._modules = ModulesPane(modules, "modules")

    def compose(self) -> ComposeResult:
        """Lay out the panes."""
        yield self._bar
        with Horizontal(id="body"):
            with Vertical(id="side"):
                yield self._modules
                yield self._rules
            with self._packets:
                yield self._filter_bar
                yield self._timeline
                yield self._detail
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Start in the packets."""
        self._packets.border_title = "Packets"
        self.set_focus(self._timeline)
        self.update()
        self._each_second()
        self.set_interval(SECOND, self._each_second)

    def on_resize(self) -> None:
        """Fit the left side anew."""
        self._lay_out()

    def update(self) -> None:
        """Show what the session has now."""
        if not self.is_mounted:
            return
        self._bar.status = self._session.status
        timeline = self._timeline
        timeline.refresh_rows()
        timeline.empty_text = self._empty_text()
        self._show_title()

    def action_add_rule(self) -> None:
        """Open the form, where rules can be added at all."""
        self._dialogs.add_rule()

    def action_guard(self) -> None:
        """Show the guard: what flooded, what to try instead, its history."""
        self._dialogs.guard()

    def action_extend(self) -> None:
        """Have all our rules end later."""
        self._session.extend_rules()

    def action_paths(self) -> None:
        """Group the packets that the filter lets through by the way they took."""
        self._dialogs.paths(list(self._view.rows), self._timeline.go_to_packet)

    def action_arm(self) -> None:
        """Arm the guard again."""
        self._session.arm()

    def action_threshold(self) -> None:
        """Ask for another threshold."""
        self._dialogs.threshold()

    def action_export(self) -> None:
        """Write packets to a file, or to the clipboard."""
        selected, marked = self._timeline.selected, self._timeline.marked
        shown = "shown by the filter" if self._view.is_filtered else "all"
        self._dialogs.export(
            {
                "marked": list(marked.values()),
                "this packet": [selected] if selected else [],
                shown: list(self._view.rows),
            }
        )

    def action_filter(self) -> None:
        """Go to the filter, or in the modules to a name; in what is typed it is a character."""
        if isinstance(self.focused, Input):
            raise SkipAction
        if self._modules.has_focus_within:
            self._modules.action_find()
            return
        self._filter_bar.focus_first()

    def action_clear(self) -> None:
        """Clear the filter, then the marks; in the modules, show all of them."""
        if self._modules.has_focus_within and self._modules.clear_find():
            return
        if not self._view.is_filtered and self._timeline.unmark():
            return
        self._filter_bar.clear()
        self.set_focus(self._timeline)

    def action_modules(self) -> None:
        """Show the modules where they are folded, or fold them where they are shown."""
        self.toggle_class("-modules")
        self.post_message(self.Chosen(modules=self.has_class("-modules")))
        if self.query_one("#tree").display and self.has_class("-modules"):
            self.set_focus(self.query_one("#tree"))
        else:
            self.set_focus(self._timeline)

    def action_pane(self, name: str) -> None:
        """Go to a pane."""
        if name == "modules" and not self.query_one("#tree").display:
            self.add_class("-modules")
        self.set_focus(self.query_one("#tree" if name == "modules" else f"#{name}"))

    def action_maximise(self) -> None:
        """Give the pane with the cursor the whole screen, or take it back."""
        if self.maximized is not None:
            self.minimize()
            return
        for name in _PANES:
            pane = self.query_one(f"#{name}")
            if pane.has_focus_within:
                self.maximize(pane, container=False)

    def action_resize(self, cells: int) -> None:
        """Give the left side so many cells more."""
        self._side = max(SIDE_LEAST, min(SIDE_MOST, self._side + cells))
        self._lay_out()
        self.post_message(self.Chosen(side=self._side))

    @on(FilterBar.Changed)
    def _filter(self, event: FilterBar.Changed) -> None:
        self._view.set_filter(event.view_filter)
        self._timeline.filter_changed()
        self.update()
        self._filter_on()

    def _filter_on(self) -> None:
        """Try the filter on older packets, while the screen has its turn in between."""
        if self._view.untried:
            self._view.work(time.monotonic() + SLICE_SECONDS)
            self._timeline.filter_changed()
            self.set_timer(PAUSE_SECONDS, self._filter_on)

    @on(Timeline.Narrowed)
    def _narrow(self, event: Timeline.Narrowed) -> None:
        packet, present = event.packet, self._filter_bar.expression
        found = {
            "flow": narrowing.only_flow(packet),
            "host": narrowing.only_host(packet),
            "hide": narrowing.hidden(packet, present),
        }[event.how]
        if found is None:
            self._dialogs.say("no filter can name this packet: its header was not seen", "warning")
        else:
            self._filter_bar.set_expression(found)

    @on(Timeline.CursorMoved)
    def _show_detail(self) -> None:
        packet = self._timeline.selected
        explanation = self._session.explain(packet) if packet is not None else None
        self._detail.show(packet, explanation, self._timeline.selected_hop)

    @on(Timeline.ChainWanted)
    def _open_chain(self, event: Timeline.ChainWanted) -> None:
        self._dialogs.chain(event.packet, event.hop, event.number)

    @on(Timeline.Compared)
    def _compare(self, event: Timeline.Compared) -> None:
        self._dialogs.compare(event.one, event.other)

    @on(Timeline.FindWanted)
    def _ask_for_text(self) -> None:
        self._dialogs.find(self._timeline.seeker.find)

    @on(Timeline.NotFound)
    def _say_not_found(self, event: Timeline.NotFound) -> None:
        self._dialogs.say(event.why)

    @on(Timeline.Wanted)
    def _do_with_packet(self, event: Timeline.Wanted) -> None:
        dialogs = self._dialogs
        do = {"about": dialogs.packet, "copy": dialogs.copy, "trace": dialogs.trace}
        do[event.what](event.packet)

    @on(FilterBar.Left)
    def _leave_filter(self) -> None:
        self.set_focus(self._timeline)

    @on(ModulesPane.Asked)
    def _show_module(self, event: ModulesPane.Asked) -> None:
        self._dialogs.module(self._module_reader, event.tree, event.module)

    @on(ModulesPane.LoadAsked)
    def _load_module(self, event: ModulesPane.LoadAsked) -> None:
        self._dialogs.load_module(event.need)

    @on(RulesPane.Delete)
    def _delete(self, event: RulesPane.Delete) -> None:
        self._session.delete_rule(event.rule.id)

    @on(RulesPane.Extend)
    def _extend(self, event: RulesPane.Extend) -> None:
        self._session.extend_rules([event.rule.id])

    @on(Timeline.StateChanged)
    def _show_title(self) -> None:
        timeline = self._timeline
        shown, total = len(self._view.rows), self._view.total
        count = f"{shown:,} of {total:,}" if self._view.is_filtered else f"{total:,}"
        if timeline.paused:
            state = "PAUSED · space goes on"
        elif timeline.following:
            state = "following"
        else:
            state = "stopped here · End follows"
        evicted = self._session.packets.evicted
        gone = f" · {evicted:,} dropped" if evicted else ""
        if len(timeline.marked) == 1:
            state = "◆ marked · c on another packet compares"
        elif timeline.marked:
            state = f"◆ {len(timeline.marked):,} marked · Ctrl+S exports"
        subtitle = f"{count}{gone} · {state}"
        # Setting it paints the pane anew, whether it says something new or not.
        if self._packets.border_subtitle != subtitle:
            self._packets.border_subtitle = subtitle

    def _lay_out(self) -> None:
        """Beside the packets the left side has its width; above them, the whole of the screen's."""
        is_wide = self.app.size.width >= WIDE
        self.query_one("#side").styles.width = self._side if is_wide else None

    def _each_second(self) -> None:
        self._bar.sample()
        ends = [rule.expires for rule in self._session.rules if rule.mine and rule.expires]
        self._bar.left = min(ends) - self._clock() if ends else None
        none = self._session.status.why_not or "none yet: a adds one"
        self._rules.show(self._session.rules, none)

    def _empty_text(self) -> str:
        """What to do while there is no packet to see."""
        if self._view.total:
            return f"0 of {self._view.total:,} packets match\n\nEsc clears the filter"
        return empty_text(self._session, self._modules.needs, self._clock())


_PANES = ("modules", "rules", "packets")
