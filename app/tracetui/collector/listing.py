"""What iptables-save prints about raw tables, read as far as the collector must."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import NamedTuple, Optional

from tracetui.model import saved_lines
from tracetui.model.installed import TAG, InstalledRule

_COUNTED = re.compile(r"\[([0-9]{1,20}):([0-9]{1,20})\] -A (\S+) (.*)", re.DOTALL)
KUBELET_CHAINS = (":KUBE-IPTABLES-HINT ", ":KUBE-KUBELET-CANARY ")
"""Chains that kubelet puts into the mangle table of the backend it uses."""


def trace_rules(text: str, backend: str, family: int, tag: str) -> Iterator[InstalledRule]:
    """The rules with target TRACE in ``iptables-save -c -t raw``; ``tag`` names this collector."""
    for line in saved_lines.whole_lines(text.split("\n")):
        found = _COUNTED.match(line or "")
        words = saved_lines.words(found[4]) if found else None
        if not found or not words or _after(words, "-j") != "TRACE":
            continue
        comment = _after(words, "--comment")
        if comment is not None and not comment.startswith(TAG):
            comment = None
        yield InstalledRule(
            backend=backend,
            family=family,
            chain=found[3],
            words=tuple(words),
            packets=int(found[1]),
            bytes=int(found[2]),
            comment=comment,
            expires=_expiry(_after(words, "--datestop")),
            mine=comment is not None and comment.startswith(f"{tag}/"),
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
