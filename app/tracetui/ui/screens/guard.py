"""The guard: its last trip, the busiest flows before it, narrower rules, earlier trips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import NamedTuple, Optional, Union

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tracetui.model.tracing.installed_rule import InstalledRule
from tracetui.model.tracing.talkers import Talkers
from tracetui.session.state import suggestions
from tracetui.session.state.guard_state import BusyRule, GuardState, Trip, removal_text
from tracetui.session.state.session import Session
from tracetui.session.state.suggestions import Suggestion
from tracetui.session.text.sanitize import sanitize
from tracetui.ui.commands import bindings
from tracetui.ui.keymap import Keymap

GUARD_REFRESH_SECONDS = 0.5


class FlushForeign(NamedTuple):
    """The choice to remove foreign TRACE rules too."""

    rules: tuple[InstalledRule, ...]


GuardChoice = Union[Suggestion, FlushForeign]


class GuardScreen(ModalScreen[Optional[GuardChoice]]):
    """The last trip, the busiest flows before it, and rules to choose instead."""

    BINDINGS = [  # noqa: RUF012 - as Textual has it
        *bindings("anywhere"),
        Binding("escape,g,q", "dismiss(None)", "close"),
    ]

    def __init__(self, session: Session, keymap: Keymap) -> None:
        super().__init__()
        self._session = session
        self._keymap = keymap
        self._choices: list[GuardChoice] = []

    def compose(self) -> ComposeResult:
        """Lay out the report above the choices."""
        with Vertical(id="guard") as box:
            box.border_title = "Guard"
            box.border_subtitle = "Enter chooses · Esc closes"
            with VerticalScroll(id="guard-text", can_focus=False):
                yield Static("", id="guard-state", markup=False)
            yield OptionList(id="guard-choices", markup=False)

    def on_mount(self) -> None:
        """Show the report and keep it up to date."""
        self.show()
        self.query_one(OptionList).focus()
        self.set_interval(GUARD_REFRESH_SECONDS, self.show)

    def show(self) -> None:
        """Show what is known now; the cursor stays where it is."""
        status = self._session.status
        lines = _lines(status.guard, self._session.trip_report.talkers)
        text = "\n".join(sanitize(self._keymap.with_keys(line)) for line in lines)
        self.query_one("#guard-state", Static).update(text)
        choices = self._find_choices(status.guard)
        if choices != self._choices or not choices:
            self._choices = choices
            self._list(choices)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Leave with what was chosen."""
        self.dismiss(self._choices[event.option_index])

    def _find_choices(self, guard: GuardState) -> list[GuardChoice]:
        choices: list[GuardChoice] = []
        if guard.trips:
            choices += self._session.trip_report.suggestions(guard.threshold)
        busy = tuple(
            busy_rule.rule for busy_rule in _foreign(guard.trip) if not busy_rule.rule.is_ours
        )
        return [*choices, FlushForeign(busy)] if busy else choices

    def _list(self, choices: Sequence[GuardChoice]) -> None:
        options = self.query_one(OptionList)
        cursor = options.highlighted or 0
        options.clear_options()
        options.add_options(Option(_prompt(choice)) for choice in choices)
        options.display = bool(choices)
        if choices:
            options.highlighted = min(cursor, len(choices) - 1)


def _prompt(choice: GuardChoice) -> Text:
    if isinstance(choice, FlushForeign):
        count = len(choice.rules)
        rules_text = "that foreign rule" if count == 1 else f"those {count} foreign rules"
        return Text(f"remove {rules_text} too, as `tracetui flush --all` does …")
    return Text(sanitize(f"add {suggestions.text(choice.rule)}")).append(
        f"\n    {sanitize(choice.why)}", style="italic"
    )


def _lines(guard: GuardState, talkers: Talkers) -> Iterator[str]:
    if guard.trip is None:
        yield f"Armed: above {guard.threshold:,} hops/s, or on any loss, our rules are removed."
    else:
        yield from _trip_lines(guard.trip)
        if guard.is_muted:
            yield "The flood went on without our rules, so the sources were closed."
        else:
            yield "No rule can be added."
        yield "{main.arm} arms it again."
    if guard.trips:
        yield from _seen_lines(talkers)
    earlier = guard.trips[:-1] if guard.trip else guard.trips
    if earlier:
        yield ""
        yield "Earlier trips"
        for trip in reversed(earlier):
            yield f"  {_clock(trip.at)}  {trip.reason}; {removal_text(trip)}"


def _trip_lines(trip: Trip) -> Iterator[str]:
    yield f"✗ TRIPPED {_clock(trip.at)} UTC: {trip.reason}"
    yield f"  {removal_text(trip)}"
    for text in trip.removed or ():
        yield f"    {text}"
    for rate, rule in _foreign(trip):
        whose = "another tracetui's" if rule.is_ours else "a foreign"
        where = f"{rule.backend} IPv{rule.family} {rule.chain}"
        yield f"  {whose} rule still traces {rate:,} packets/s: {where} {rule.text}"


def _seen_lines(talkers: Talkers) -> Iterator[str]:
    if not talkers.packets:
        return
    yield ""
    yield f"Traced before: {talkers.packets:,} packets, {talkers.hops_per_packet:.1f} hops each"
    for target, packets in talkers.targets:
        yield f"  {packets / talkers.packets:4.0%}  to {suggestions.name(target)}"
    for source, packets in talkers.sources:
        yield f"  {packets / talkers.packets:4.0%}  from {source}"


def _foreign(trip: Optional[Trip]) -> tuple[BusyRule, ...]:
    return trip.foreign if trip else ()


def _clock(time: float) -> str:
    return f"{datetime.fromtimestamp(time, timezone.utc):%H:%M:%S}"
