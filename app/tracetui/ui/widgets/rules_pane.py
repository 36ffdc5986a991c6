"""The TRACE rules of the node's raw tables, ours and foreign."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Optional

from rich.text import Text
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tracetui.model.tracing.installed_rule import InstalledRule
from tracetui.session.live.last_minute import LAST_MINUTE_SECONDS
from tracetui.session.text.sanitize import sanitize
from tracetui.session.text.width import wrapped
from tracetui.ui.commands import bindings
from tracetui.ui.keymap import Keymap

WIDE_CELLS = 70
"""Cells from which a rule takes two lines instead of up to four."""
INDENT_CELLS = 4
"""Cells before the text of a rule, and behind it those of the scrollbar."""


def countdown(seconds: float) -> str:
    """A time that is left, as minutes and seconds."""
    left = max(0, int(seconds))
    return f"{left // 60}:{left % 60:02d}"


def _about(seconds: float) -> str:
    """A countdown, to the minute while there is time: the pane need not be drawn each second."""
    return countdown(seconds) if seconds <= 2 * LAST_MINUTE_SECONDS else f"{seconds / 60:.0f}m"


class RulesPane(OptionList):
    """Each rule with its packets and the time to its expiry."""

    BINDINGS = bindings("rules")

    class DeleteRequested(Message):
        """The user wants a rule removed."""

        def __init__(self, rule: InstalledRule) -> None:
            super().__init__()
            self.rule = rule

    class ExtendRequested(Message):
        """The user wants a rule to end later."""

        def __init__(self, rule: InstalledRule) -> None:
            super().__init__()
            self.rule = rule

    def __init__(self, clock: Callable[[], float], keymap: Keymap) -> None:
        super().__init__(markup=False, id="rules")
        self._keymap = keymap
        self.border_title = "TRACE rules"
        self._clock = clock
        self._rules: dict[str, InstalledRule] = {}
        self._empty_text: Optional[str] = None
        """Text shown while there is no rule."""

    @property
    def selected(self) -> Optional[InstalledRule]:
        """The rule under the cursor."""
        if self.highlighted is None or not self._rules:
            return None
        return self._rules.get(self.get_option_at_index(self.highlighted).id or "")

    def show(self, rules: Sequence[InstalledRule], empty_text: str) -> None:
        """List these rules, or say ``empty_text``; the cursor stays on the rule it is on."""
        keyed = _keyed(rules)
        if keyed and list(keyed) == list(self._rules):
            self._rules = keyed
            for key, rule in keyed.items():
                prompt = self._prompt(rule)
                if self.get_option(key).prompt != prompt:
                    self.replace_option_prompt(key, prompt)
        elif keyed or self._rules or empty_text != self._empty_text:
            self._empty_text = empty_text
            self._relist(keyed, empty_text)
        ours = sum(rule.mine for rule in rules)
        others = sum(rule.is_ours and not rule.mine for rule in rules)
        foreign = len(rules) - ours - others
        ending = any(rule.mine and self._is_last_minute(rule) for rule in rules)
        hint = self._keymap.with_keys("{rules.extend} extends · ") if ending else ""
        subtitle = f"{hint}{ours} ours"
        subtitle += f" · {others} other tracetui" if others else ""
        subtitle += f" · {foreign} foreign" if foreign else ""
        # Setting it paints the pane anew, whether it says something new or not.
        if self.border_subtitle != subtitle:
            self.border_subtitle = subtitle

    def action_delete(self) -> None:
        """Ask for the rule under the cursor to be removed."""
        if self.selected is not None:
            self.post_message(self.DeleteRequested(self.selected))

    def action_extend(self) -> None:
        """Ask for the rule under the cursor to end later."""
        if self.selected is not None:
            self.post_message(self.ExtendRequested(self.selected))

    def _relist(self, keyed: dict[str, InstalledRule], empty_text: str) -> None:
        key_before = (
            self.get_option_at_index(self.highlighted).id if self.highlighted is not None else ""
        )
        self.clear_options()
        self._rules = keyed
        if not keyed:
            self.add_option(Option(sanitize(empty_text), disabled=True))
            return
        self.add_options(Option(self._prompt(rule), id=key) for key, rule in keyed.items())
        self.highlighted = list(keyed).index(key_before) if key_before in keyed else 0

    def _prompt(self, rule: InstalledRule) -> Text:
        whose = "ours" if rule.mine else "other tracetui" if rule.is_ours else "FOREIGN"
        head = sanitize(f"{whose} · {rule.backend} IPv{rule.family} {rule.chain}")
        limit = rule.limit or "no limit"
        tail = sanitize(f"{rule.packets:,} packets · {limit} · ")
        ends = Text(self._expiry(rule), style="bold reverse" if self._is_last_minute(rule) else "")
        is_wide, match = self.size.width >= WIDE_CELLS, rule.text or "every packet"
        one_line = Text(f"{head} · ").append(sanitize(match), style="bold")
        one_line.append(f" · {tail}").append_text(ends)
        if is_wide and one_line.cell_len < self.size.width - 1:
            return one_line
        lines = wrapped(match, max(10, self.size.width - INDENT_CELLS), 1 if is_wide else 2)
        match = "\n".join(f"  {line}" for line in lines)
        if is_wide:
            text = Text(f"{head} · {tail}").append_text(ends)
            return text.append(f"\n{match}", style="bold")
        text = Text(f"{head}\n").append(match, style="bold")
        return text.append(f"\n  {tail}").append_text(ends)

    def _expiry(self, rule: InstalledRule) -> str:
        if rule.expires is None:
            return "no expiry"
        left = _about(rule.expires - self._clock())
        return f"ends in {left}{' by tracetui' if rule.is_watched else ''}"

    def _is_last_minute(self, rule: InstalledRule) -> bool:
        return rule.expires is not None and rule.expires - self._clock() <= LAST_MINUTE_SECONDS


def _keyed(rules: Sequence[InstalledRule]) -> dict[str, InstalledRule]:
    """Rules by a key of their own, ours first: a foreign one may stand twice, word for word."""
    counts: Counter[str] = Counter()
    keyed: dict[str, InstalledRule] = {}
    for rule in sorted(rules, key=lambda rule: (not rule.mine, not rule.is_ours)):
        keyed[f"{rule.id}-{counts[rule.id]}"] = rule
        counts[rule.id] += 1
    return keyed
