"""What iptables prints about raw tables, read as far as the collector must."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import NamedTuple, Optional

from tracetui.errors import Failure
from tracetui.model import rule_words, saved_lines
from tracetui.model.installed import TAG, InstalledRule

_COUNTED = re.compile(r"\[([0-9]{1,20}):([0-9]{1,20})\] -A (\S+) (.*)", re.ASCII | re.DOTALL)
_COUNTER = re.compile(r"[0-9]{1,20}")
_LISTED = ("-P ", "-N ", "-A ", "-E ")
"""How the lines of ``iptables -S`` begin."""
KUBELET_CHAINS = (":KUBE-IPTABLES-HINT ", ":KUBE-KUBELET-CANARY ")
"""Chains that kubelet puts into the mangle table of the backend it uses."""


def trace_rules(text: str, backend: str, family: int, tag: str) -> Iterator[InstalledRule]:
    """The rules with target TRACE in a listing of :meth:`Xtables.list_raw`.

    ``tag`` names this collector. Raises Failure for a text that is no whole listing: what it lacks
    may be there all the same.
    """
    lines = [line for line in saved_lines.whole_lines(text.split("\n")) if line]
    _check(lines, backend, family)
    positions: Counter[str] = Counter()
    for line in lines:
        found = _rule(line)
        if found is not None:
            positions[found.chain] += 1
        if found is None or _after(found.words, "-j") != "TRACE":
            continue
        comment = _after(found.words, "--comment")
        if comment is not None and not comment.startswith(TAG):
            comment = None
        yield InstalledRule(
            backend=backend,
            family=family,
            chain=found.chain,
            words=tuple(found.words),
            packets=found.packets,
            bytes=found.bytes,
            comment=comment,
            expires=_expiry(_after(found.words, "--datestop")),
            mine=comment is not None and comment.startswith(f"{tag}/"),
            position=positions[found.chain],
        )


class TableCounts(NamedTuple):
    """How many rules a backend holds."""

    total: int
    largest: int
    """Rules in its largest table."""
    kubelet: bool
    """Whether kubelet keeps its marker chain there."""


def count(lines: Iterable[str]) -> TableCounts:
    """Count the rules of an iptables-save listing of one family."""
    table: Optional[str] = None
    rules: Counter[str] = Counter()
    kubelet = False
    for line in lines:
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith("-A") and table:
            rules[table] += 1
        elif table == "mangle" and line.startswith(KUBELET_CHAINS):
            kubelet = True
    return TableCounts(sum(rules.values()), max(rules.values(), default=0), kubelet)


class _Rule(NamedTuple):
    chain: str
    words: list[str]
    packets: int
    bytes: int


def _rule(line: str) -> Optional[_Rule]:
    """A rule in either of the two forms; None for a line that is none."""
    if found := _COUNTED.match(line):
        packets, size, chain, words = found.groups()
        return _Rule(chain, rule_words.iptables(words), int(packets), int(size))
    words = rule_words.iptables(line) if line.startswith("-A ") else []
    # The counters stand before the target; a comment that looks like them is one word.
    at = len(words) - 3
    while at > 1 and words[at] != "-c":
        at -= 1
    numbers = words[at + 1 : at + 3]
    if at < 2 or not all(_COUNTER.fullmatch(number) for number in numbers):
        return None
    return _Rule(words[1], words[2:at] + words[at + 3 :], int(numbers[0]), int(numbers[1]))


def _check(printed: list[str], backend: str, family: int) -> None:
    name = f"the {backend} raw table of IPv{family}"
    lines = [line for line in printed if not line.startswith("#")]
    is_saved = lines[:1] == ["*raw"] and lines[-1] == "COMMIT"
    strange = [line for line in lines if not line.startswith(_LISTED)]
    if strange and not is_saved:
        raise Failure(f"the listing of {name} is not understood: {strange[0][:60]!r}")


def _after(words: list[str], flag: str) -> str | None:
    """The word behind the last ``flag``."""
    for at in range(len(words) - 2, -1, -1):
        if words[at] == flag:
            return words[at + 1]
    return None


def _expiry(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None
