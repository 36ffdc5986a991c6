"""Commands: what a session asks of the collector, one JSON object a line on the pipe downwards.

Every command has an id, a whole number that the session chooses, and gets one reply with it
(``protocol.replies``). All of them, with their values and the check of those, stand here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Union

from tracetui.errors import Failure, InvalidRule
from tracetui.model.tracing.trace_rule import TraceRule
from tracetui.protocol.replies import ErrorKind, Outcome, Reply
from tracetui.protocol.shapes import fault

MAX_LINE = 1 << 20
"""Bytes of a command; a longer line is thrown away."""
MAX_ID = 1 << 53
"""Ids are smaller: any reader of JSON has such a number whole."""


class AddRules(NamedTuple):
    """Install TRACE rules, each for all of its families: all of them, or none."""

    rules: tuple[TraceRule, ...]
    backend: str
    """``legacy``, ``nft``, or ``auto`` for the one that holds the node's rules."""
    override: bool
    """Whether a cost is accepted that ``model.tracing.cost.worst_case`` refuses."""


class DeleteRule(NamedTuple):
    """Remove one rule of ours, by :attr:`InstalledRule.id`."""

    rule_id: str


class ExtendRules(NamedTuple):
    """Have rules of this collector end later, all of them where none is named."""

    rule_ids: tuple[str, ...]


class Flush(NamedTuple):
    """Remove every rule of this collector, and the foreign ones that are named."""

    foreign_ids: tuple[str, ...]


class ReadRulesets(NamedTuple):
    """Have the rulesets of both backends read soon."""


class ListChain(NamedTuple):
    """Send a chain with its counters, as a CHAIN frame."""

    backend: str
    family: str
    """The table's, in nft's words."""
    table: str
    chain: str


class LoadModule(NamedTuple):
    """Load a kernel module that tracing needs."""

    module: str


class ArmGuard(NamedTuple):
    """Arm the guard again after a trip."""


class SetThreshold(NamedTuple):
    """Change the guard's threshold."""

    hops_per_second: int


Command = Union[
    AddRules,
    DeleteRule,
    ExtendRules,
    Flush,
    ReadRulesets,
    ListChain,
    LoadModule,
    ArmGuard,
    SetThreshold,
]
_COMMANDS: Mapping[str, tuple[Any, Mapping[str, Any]]] = {
    "add-rules": (AddRules, {"rules": [dict], "backend": str, "override": bool}),
    "delete-rule": (DeleteRule, {"rule_id": str}),
    "extend-rules": (ExtendRules, {"rule_ids": [str]}),
    "flush": (Flush, {"foreign_ids": [str]}),
    "read-rulesets": (ReadRulesets, {}),
    "list-chain": (ListChain, {"backend": str, "family": str, "table": str, "chain": str}),
    "load-module": (LoadModule, {"module": str}),
    "arm-guard": (ArmGuard, {}),
    "set-threshold": (SetThreshold, {"hops_per_second": int}),
}
"""Each command by its name on the pipe, with the shape of its values."""
_COMMAND_NAMES = {command: name for name, (command, _) in _COMMANDS.items()}


class Request(NamedTuple):
    """A command with its id."""

    id: int
    command: Command


def encode(request: Request) -> bytes:
    """Encode a command as a line; raises Failure for one that is too long."""
    values: dict[str, Any] = request.command._asdict()
    if isinstance(request.command, AddRules):
        values["rules"] = [rule.to_json() for rule in request.command.rules]
    line = json.dumps(
        {"id": request.id, "do": _COMMAND_NAMES[type(request.command)], **values}
    ).encode()
    if len(line) > MAX_LINE:
        raise Failure(f"a command of {len(line):,} bytes is too long")
    return line + b"\n"


class CommandReader:
    """Cuts a byte stream into commands; a line without an id is left out."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_skipping = False
        """Whether the line that has begun is too long."""

    def feed(self, data: bytes) -> Iterator[Union[Request, Reply]]:
        """Read the commands that ``data`` completes.

        For a line that has an id and is no command that can be done, the reply to it.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines and self._is_skipping:
            del lines[0]
            self._is_skipping = False
        if self._is_skipping or len(self._rest) > MAX_LINE:
            self._rest, self._is_skipping = b"", True
        for line in lines:
            answerable = _read(line) if len(line) <= MAX_LINE else None
            if answerable is not None:
                yield answerable


def _read(line: bytes) -> Union[Request, Reply, None]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    command_id, name = value.pop("id", None), value.pop("do", None)
    if type(command_id) is not int or not 0 <= command_id < MAX_ID:
        return None
    if not isinstance(name, str) or name not in _COMMANDS:
        text = f"the collector has no command {str(name)[:40]!r}: it is of another version"
        return Reply(command_id, Outcome(ErrorKind.UNKNOWN_COMMAND, text))
    try:
        return Request(command_id, _command(name, value))
    except Failure as error:
        return Reply(command_id, Outcome(ErrorKind.INVALID, str(error)))


def _command(name: str, values: dict[str, Any]) -> Command:
    """Build a command; raises Failure where its values are not those it has."""
    command, shape = _COMMANDS[name]
    # A value that is not known could be one that keeps a rule from doing harm.
    unknown = next((key for key in values if key not in shape), None)
    where = unknown if unknown is not None else fault(values, shape)
    if where is not None:
        raise Failure(f"{name} is malformed{where and f' at {where[:40]}'}")
    built = {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }
    if command is AddRules:
        try:
            built["rules"] = tuple(map(TraceRule.from_json, built["rules"]))
        except InvalidRule as error:
            raise Failure(str(error)) from None
    made: Command = command(**built)
    return made
