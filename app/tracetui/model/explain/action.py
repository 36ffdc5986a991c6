"""The action of a hop in a few words: what its rule did to the packet.

Targets and options: iptables-extensions(8); statements: nft(8), STATEMENTS.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Optional

from tracetui.model.explain.explanation import FieldChange, HopExplanation
from tracetui.model.rules import rule_words
from tracetui.model.trace.header import endpoint

REWRITING = {
    "DNAT": "dst", "REDIRECT": "dst", "TPROXY": "dst", "DNPT": "dst", "NETMAP": "",
    "SNAT": "src", "MASQUERADE": "src", "SNPT": "src",
}  # fmt: skip
"""Actions that rewrite an address, and which; NETMAP either, by its hook."""
_VALUE_OPTIONS = {
    "DNAT": "--to-destination", "SNAT": "--to-source", "NETMAP": "--to",
    "MARK": "--set-xmark", "TEE": "--gateway",
}  # fmt: skip
"""The option that says where to, or which value."""
_STATEMENTS = {
    "dnat": "DNAT", "snat": "SNAT", "masquerade": "MASQUERADE", "redirect": "REDIRECT",
    "tproxy": "TPROXY", "synproxy": "SYNPROXY", "dup": "TEE", "fwd": "fwd", "notrack": "CT",
    "reject": "reject", "queue": "queue", "log": "LOG",
}  # fmt: skip
"""nft's statements by the names that iptables' targets have, where they have one."""
_BEFORE_STATEMENT = frozenset(
    (
        "set",
        "type",
        "status",
        "name",
        "prefix",
        "jump",
        "goto",
        "==",
        "!=",
    )
)
_XMARK = re.compile(r"(0x[0-9a-f]+|[0-9]+)(?:/(0x[0-9a-f]+))?", re.IGNORECASE)


class RuleAction(NamedTuple):
    """The last statement of a rule that does something, with what it does it to."""

    name: str
    """The target, or the statement, in iptables' words."""
    value: str
    """Its address, number or option; empty for none."""


def action(explanation: HopExplanation, changes: Sequence[FieldChange]) -> str:
    """The action of a hop, in one word first: ``DNAT → 10.50.3.2:8080``, ``jump X``, ``accept``.

    ``changes`` are those that the hop made. Empty for a rule that only counts, and where neither
    the kernel nor a ruleset says anything.
    """
    verdict = explanation.verdict or ""
    rule_text = explanation.rule.text if explanation.rule is not None else None
    known = rule_action(rule_text) if rule_text else None
    if known is None or (verdict.startswith(("jump ", "goto "))):
        return "" if verdict == "continue" else verdict
    name, value = known
    if verdict in ("drop", "reject"):
        return "reject" if name in ("REJECT", "reject") else verdict
    if name == "SYNPROXY":
        return "stolen by SYNPROXY"
    if name == "fwd":
        return f"fwd → {value}"
    if verdict in ("queue", "stolen"):
        return f"queue {value}" if name == "queue" else verdict
    if name in REWRITING:
        end = _new_end(name, changes) or value
        return f"{name} → {end}" if end else name
    if name == "MARK":
        marks = [change.new[0] for change in changes if change.field == "mark"]
        return (
            f"MARK {marks[0] or 0:#x}" if marks and isinstance(marks[0], int) else f"MARK {value}"
        )
    if verdict not in ("", "continue"):
        return verdict
    return f"{name} {value}".strip()


def is_told(change: FieldChange, action_text: str) -> bool:
    """Whether an action says already what a change of its hop came to."""
    name = action_text.partition(" ")[0]
    if change.field == "mark":
        return name == "MARK"
    return change.field in ("src", "dst") and name in REWRITING and _end(change) in action_text


def _new_end(name: str, changes: Sequence[FieldChange]) -> str:
    """The end that a rule rewrote; empty where no later hop shows it."""
    ends = [
        _end(change)
        for change in changes
        if change.field == REWRITING[name]
        or (not REWRITING[name] and change.field in ("src", "dst"))
    ]
    return ends[0] if ends else ""


def _end(change: FieldChange) -> str:
    address, port = change.new
    return endpoint(str(address), port if isinstance(port, int) else None)


@lru_cache(maxsize=16384)
def rule_action(text: str) -> Optional[RuleAction]:
    """The action of a rule as its tool prints it; None for one that only counts."""
    return _of_target(text) if text.startswith("-A ") else _of_statement(text)


def _of_target(text: str) -> Optional[RuleAction]:
    words = rule_words.iptables_words(text)
    index = next((index for index, word in enumerate(words) if word in ("-j", "-g")), None)
    if index is None or index + 1 >= len(words):
        return None
    name, options = words[index + 1], words[index + 2 :]
    values = dict(zip(options, options[1:]))
    if name in ("NFQUEUE", "QUEUE"):
        return RuleAction("queue", values.get("--queue-num", values.get("--queue-balance", "0")))
    if name == "NOTRACK" or (name == "CT" and "--notrack" in options):
        return RuleAction("CT", "notrack")
    if name == "TEE":
        return RuleAction("TEE", "copy")
    if name == "CONNMARK":
        return RuleAction(
            name, next((word[2:-5] for word in options if word.endswith("-mark")), "")
        )
    if name == "MARK":
        return RuleAction(name, _mark(values))
    if name == "REDIRECT" and "--to-ports" in values:
        return RuleAction(name, f":{values['--to-ports']}")
    return RuleAction(name, values.get(_VALUE_OPTIONS.get(name, ""), ""))


def _mark(values: dict[str, str]) -> str:
    """The value of ``--set-xmark``; a mask of the same bits, or of all, says nothing more."""
    value = values.get("--set-xmark", values.get("--set-mark", ""))
    parts = _XMARK.fullmatch(value)
    if parts is not None and parts[2] in (parts[1], "0xffffffff"):
        return parts[1]
    return value


def _of_statement(text: str) -> Optional[RuleAction]:
    words = rule_words.nft_words(text)
    known = None
    for index, (word, is_quoted) in enumerate(words):
        before = words[index - 1].text if index else ""
        if is_quoted or before in _BEFORE_STATEMENT:
            continue
        after = [other.text for other in words[index + 1 : index + 5]]
        if word in _STATEMENTS:
            known = RuleAction(_STATEMENTS[word], _value_of(word, after))
        elif word == "mark" and before == "meta" and after[:1] == ["set"] and len(after) > 1:
            value = int(after[1], 16) if re.fullmatch("0x[0-9a-f]{1,8}", after[1]) else None
            known = RuleAction("MARK", after[1] if value is None else f"{value:#x}")
        elif word == "mark" and before == "ct" and after[:1] == ["set"]:
            known = RuleAction("CONNMARK", "set")
    return known


def _value_of(statement: str, after: Sequence[str]) -> str:
    """The value of a statement in the words behind it: ``to 10.0.0.1:80``, ``num 0``."""
    if statement == "notrack":
        return "notrack"
    if statement == "dup":
        return "copy"
    if statement == "queue":
        number = next((word for word in after if word[:1].isdecimal()), "")
        return number or "0"
    if statement in ("log", "reject", "synproxy"):
        return ""
    behind = list(after)
    value = behind[behind.index("to") + 1] if "to" in behind[:2] and behind[-1] != "to" else ""
    # A map has the address, or an expression: the packet shows it.
    return value if re.match(r"[0-9\[:a-f]", value) or statement == "fwd" else ""
