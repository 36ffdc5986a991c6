"""The guard: why it tripped, who flooded, what to try instead, and every trip before."""

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
from tracetui.session.text.sanitize import inert
from tracetui.ui.commands import bindings
from tracetui.ui.keymap import Keymap

REFRESH_SECONDS = 0.5


class FlushForeign(NamedTuple):
    """The user wants TRACE rules of others removed too."""

    rules: tuple[InstalledRule, ...]


Choice = Union[Suggestion, FlushForeign]


class GuardScreen(ModalScreen[Optional[Choice]]):
    """What is known of the last trip, with what can be done about it to choose from."""

    BINDINGS = [  # noqa: RUF012 - as Textual has it
        *bindings("anywhere"),
        Binding("escape,g,q", "dismiss(None)", "close"),
    ]

    def __init__(self, session: Session, keymap: Keymap) -> None:
        super().__init__()
        self._session = session
        self._keymap = keymap
        self._choices: list[Choice] = []

    def compose(self) -> ComposeResult:
        """Lay out what is known above what can be done."""
        with Vertical(id="guard") as box:
            box.border_title = "Guard"
            box.border_subtitle = "Enter chooses · Esc closes"
            with VerticalScroll(id="guard-text", can_focus=False):
                yield Static("", id="guard-state", markup=False)
            yield OptionList(id="guard-choices", markup=False)

    def on_mount(self) -> None:
        """Show it, and follow what comes to be known."""
        self.show()
        self.query_one(OptionList).focus()
        self.set_interval(REFRESH_SECONDS, self.show)

    def show(self) -> None:
        """Show what is known now; the cursor stays where it is."""
        status = self._session.status
        lines = _lines(status.guard, self._session.aftermath.seen)
        text = "\n".join(inert(self._keymap.told(line)) for line in lines)
        self.query_one("#guard-state", Static).update(text)
        choices = self._find_choices(status.guard)
        if choices != self._choices or not choices:
            self._choices = choices
            self._list(choices)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Leave with what was chosen."""
        self.dismiss(self._choices[event.option_index])

    def _find_choices(self, guard: GuardState) -> list[Choice]:
        choices: list[Choice] = []
        if guard.trips:
            choices += self._session.aftermath.proposals(guard.threshold)
        busy = tuple(one.rule for one in _foreign(guard.trip) if not one.rule.is_ours)
        return [*choices, FlushForeign(busy)] if busy else choices

    def _list(self, choices: Sequence[Choice]) -> None:
        options = self.query_one(OptionList)
        at = options.highlighted or 0
        options.clear_options()
        options.add_options(Option(_prompt(one)) for one in choices)
        options.display = bool(choices)
        if choices:
            options.highlighted = min(at, len(choices) - 1)


def _prompt(choice: Choice) -> Text:
    if isinstance(choice, FlushForeign):
        count = len(choice.rules)
        what = "that foreign rule" if count == 1 else f"those {count} foreign rules"
        return Text(f"remove {what} too, as `tracetui flush --all` does …")
    return Text(inert(f"add {suggestions.text(choice.rule)}")).append(
        f"\n    {inert(choice.why)}", style="italic"
    )


def _lines(guard: GuardState, seen: Talkers) -> Iterator[str]:
    if guard.trip is None:
        yield f"Armed: above {guard.threshold:,} hops/s, or on any loss, our rules are removed."
    else:
        yield from _trip_lines(guard.trip)
        if guard.is_deaf:
            yield "The flood went on without our rules, so nothing is listened to."
        else:
            yield "No rule can be added."
        yield "{main.arm} arms it again."
    if guard.trips:
        yield from _seen_lines(seen)
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
        yield f"  {whose} rule goes on, {rate:,} packets/s: {where} {rule.text}"


def _seen_lines(seen: Talkers) -> Iterator[str]:
    if not seen.packets:
        return
    yield ""
    yield f"Traced before: {seen.packets:,} packets, {seen.hops_per_packet:.1f} hops each"
    for target, packets in seen.targets:
        yield f"  {packets / seen.packets:4.0%}  to {suggestions.name(target)}"
    for source, packets in seen.sources:
        yield f"  {packets / seen.packets:4.0%}  from {source}"


def _foreign(trip: Optional[Trip]) -> tuple[BusyRule, ...]:
    return trip.foreign if trip else ()


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, timezone.utc):%H:%M:%S}"
