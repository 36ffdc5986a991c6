"""The form that adds a TRACE rule: it shows what will run, and what it can cost, before it runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple, Optional, Union

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static

from tracetui.errors import InvalidRule
from tracetui.model.tracing.rule_fields import RULE_CHAINS
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.session.state.session import Node
from tracetui.session.state.suggestions import Suggestion
from tracetui.session.text.sanitize import sanitize
from tracetui.session.view import preview, rule_warnings
from tracetui.session.view.presets import Preset
from tracetui.ui.commands import bindings
from tracetui.ui.widgets.choice import Choice
from tracetui.ui.widgets.field import Field

EXPIRY_REFRESH_SECONDS = 10.0
"""Seconds between two updates of the expiry in the command shown."""

_TEXT_FIELDS = (
    ("proto", "protocol", "tcp udp icmp …"),
    ("src", "source", "ADDR or ADDR/N"),
    ("sport", "source port", "PORT or PORT:PORT"),
    ("dst", "destination", "before any DNAT"),
    ("dport", "dest. port", "before any DNAT"),
    ("iif", "in iface", "PREROUTING only"),
    ("oif", "out iface", "OUTPUT only"),
    ("limit", "limit", "20/second, or none"),
    ("expire", "expires", "10m, 2h, or none"),
)
_LABELS = {name: label for name, label, _ in _TEXT_FIELDS}
_NO_YES = ("no", "yes")
_FAMILY_CHOICES = ("both", "4", "6")
_DEFAULTS = {"limit": "20/second", "expire": "10m"}


class RuleRequest(NamedTuple):
    """The rules to add."""

    rules: tuple[TraceRule, ...]
    backend: str
    override: bool


class AddRuleScreen(ModalScreen[Optional[RuleRequest]]):
    """Fields with their errors beside them, the exact commands, the worst case, and Add."""

    BINDINGS = [  # noqa: RUF012 - as Textual has it
        *bindings("anywhere"),
        Binding("escape", "dismiss(None)", "cancel"),
        Binding("enter", "submit", "add", show=False),
        Binding("down", "app.focus_next", "next field", show=False),
        Binding("up", "app.focus_previous", "previous field", show=False),
    ]

    def __init__(
        self,
        node: Node,
        clock: Callable[[], float],
        prefill: Union[Suggestion, Preset, None] = None,
        interfaces: Collection[str] = (),
        dnat_targets: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Begin with the fields of ``prefill``, or with empty ones.

        ``interfaces`` and ``dnat_targets`` are as :func:`rule_warnings.warnings` takes them.
        """
        super().__init__()
        self._node = node
        self._clock = clock
        self._interfaces, self._dnat_targets = interfaces, dnat_targets
        self._prefilled = prefill.rule.to_fields() if prefill else {}
        self._backend = prefill.backend if isinstance(prefill, Suggestion) else node.backend
        self._both = "yes" if isinstance(prefill, Preset) and prefill.both else "no"
        self._request: Optional[RuleRequest] = None

    def compose(self) -> ComposeResult:
        """Lay out the fields above the commands and the cost."""
        prefilled = self._prefilled
        with Vertical(id="form") as box:
            box.border_title = "Add a TRACE rule"
            box.border_subtitle = "Tab next field · ← → choose · Enter adds · Esc cancels"
            with VerticalScroll(id="fields", can_focus=False):
                yield from _row(
                    "chain", "chain", Choice(RULE_CHAINS, "chain", prefilled.get("chain"))
                )
                yield from _row(
                    "family", "family", Choice(_FAMILY_CHOICES, "family", prefilled.get("family"))
                )
                for name, label, hint in _TEXT_FIELDS:
                    field = Field(
                        prefilled.get(name) or _DEFAULTS.get(name, ""),
                        placeholder=hint,
                        id=name,
                        max_length=64,
                    )
                    yield from _row(name, label, field)
                backends = Choice(self._node.backends, "backend", self._backend)
                yield from _row("backend", "backend", backends)
                with Horizontal(classes="row"):
                    yield Label("SYN only", classes="label")
                    yield Choice(_NO_YES, "syn", prefilled.get("syn"))
                    yield Label("replies too", classes="label")
                    yield Choice(_NO_YES, "both", self._both)
                    yield Label("", id="syn-wrong", classes="wrong", markup=False)
            with VerticalScroll(id="outcome"):
                yield Static("", id="commands", markup=False)
            yield Static("", id="cost", markup=False)
            with Horizontal(id="buttons"):
                yield Button("Add", id="add", compact=True, variant="primary")
                yield Button("Cancel", id="cancel", compact=True)
                yield Label("accept this cost?", id="ask")
                yield Choice(_NO_YES, "override")

    def on_mount(self) -> None:
        """Show the reason for the backend and check the fields."""
        self.query_one("#backend-wrong", Label).update(sanitize(self._node.why))
        self.query_one("#backend-wrong").set_class(True, "-hint")
        self.query_one("#proto").focus()
        self.check()
        self.set_interval(EXPIRY_REFRESH_SECONDS, self.check)

    @on(Input.Changed)
    @on(Choice.ValueChosen)
    def check(self) -> None:
        """Check all fields: show the errors, or the commands and the cost."""
        fields = self._fields()
        try:
            rule = TraceRule.from_fields(fields, self._clock())
        except InvalidRule as error:
            self._show_wrong(error.fields)
            self._show_outcome((), "")
            wrong = "; ".join(
                f"{_LABELS.get(name, name)}: {why}" for name, why in error.fields.items()
            )
            self.query_one("#commands", Static).update(f"nothing will run; {sanitize(wrong)}")
            return
        self._show_wrong({})
        mirrored = rule.mirrored() if self._says_yes("both") else ()
        self._show_outcome((rule, *mirrored), self.query_one("#backend", Choice).value)

    @on(Button.Pressed, "#add")
    @on(Input.Submitted)
    def action_submit(self) -> None:
        """Leave with the rules shown, if they may be added."""
        if self._request is not None:
            self.dismiss(self._request)

    @on(Button.Pressed, "#cancel")
    def _cancel(self) -> None:
        self.dismiss(None)

    def _fields(self) -> dict[str, str]:
        fields = {name: self.query_one(f"#{name}", Input).value for name, _, _ in _TEXT_FIELDS}
        family = self.query_one("#family", Choice).value
        return {
            **fields,
            "chain": self.query_one("#chain", Choice).value,
            "family": "" if family == "both" else family,
            "syn": "yes" if self._says_yes("syn") else "",
        }

    def _says_yes(self, name: str) -> bool:
        return self.query_one(f"#{name}", Choice).value == "yes"

    def _show_wrong(self, wrong: dict[str, str]) -> None:
        for name in (*(name for name, _, _ in _TEXT_FIELDS), "chain", "family", "syn"):
            reason = wrong.get(name, "")
            self.query_one(f"#{name}-wrong", Label).update(f"✗ {reason}" if reason else "")
            self.query_one(f"#{name}").set_class(bool(reason), "-wrong")

    def _show_outcome(self, rules: tuple[TraceRule, ...], backend: str) -> None:
        """Show commands and cost of valid rules, or that nothing will run."""
        lines = [line for rule in rules for line in preview.commands(rule, backend, self._node)]
        self.query_one("#commands", Static).update("\n".join(lines) or "nothing will run")
        costs = [preview.cost(rule, backend, self._node) for rule in rules]
        refusal = next((cost.refusal for cost in costs if cost.refusal), None)
        for name in ("#ask", "#override"):
            self.query_one(name).display = refusal is not None
        may_add = bool(lines) and (refusal is None or self._says_yes("override"))
        self._request = RuleRequest(rules, backend, refusal is not None) if may_add else None
        each = "each rule: " if len(costs) > 1 else ""
        text = f"{each}{costs[0].text}" if costs else ""
        if rules:
            cautions = rule_warnings.warnings(rules, self._interfaces, self._dnat_targets)
            text = "\n".join([*(sanitize(f"! {caution}") for caution in cautions), text])
        cost = self.query_one("#cost", Static)
        cost.update(f"✗ {refusal}" if refusal else text)
        cost.set_class(refusal is not None, "-refused")
        self.query_one("#add", Button).disabled = not may_add


def _row(name: str, label: str, field: Input | Choice) -> ComposeResult:
    with Horizontal(classes="row"):
        yield Label(label, classes="label")
        yield field
        yield Label("", id=f"{name}-wrong", classes="wrong", markup=False)
