"""What iptables-save prints about raw tables, read as far as the collector must."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import NamedTuple, Optional

from tracetui.errors import Failure
from tracetui.model.installed import TAG, InstalledRule

_COUNTED = re.compile(r"\[(\d+):(\d+)\] -A (\S+) (.*)")
KUBELET_CHAINS = (":KUBE-IPTABLES-HINT ", ":KUBE-KUBELET-CANARY ")
"""Chains that kubelet puts into the mangle table of the backend it uses."""


def trace_rules(text: str, backend: str, family: int, tag: str) -> Iterator[InstalledRule]:
    """The rules with target TRACE in ``iptables-save -c -t raw``; ``tag`` names this collector.

    Raises Failure for a text that is no whole listing: what it lacks may be there all the same.
    """
    _check(text, backend, family)
    for line in text.split("\n"):
        found = _COUNTED.match(line)
        words = _words(found[4]) if found else []
        if not found or _after(words, "-j") != "TRACE":
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


def _check(text: str, backend: str, family: int) -> None:
    lines = [line for line in text.split("\n") if line.strip()]
    name = f"the {backend} raw table of IPv{family}"
    if any(line.startswith("# Table") and "incompatible" in line for line in lines):
        raise Failure(f"{name} holds rules that iptables can't list; `nft list ruleset` can")
    told = [line for line in lines if not line.startswith("#")]
    if told and (told[0] != "*raw" or told[-1] != "COMMIT"):
        raise Failure(f"the listing of {name} is not understood: {told[0][:60]!r}")


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        # A name with a quote in it, which iptables-save prints as it is.
        return text.split()


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
