"""Listings of raw tables by iptables, read for the words of rules that the kernel told of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Optional

from tracetui.errors import Failure
from tracetui.model.rules import rule_words, saved_lines

_COUNTED = re.compile(r"\[([0-9]{1,20}):([0-9]{1,20})\] -A (\S+) (.*)", re.ASCII | re.DOTALL)
_PRINTED_COUNTER = re.compile(r"[0-9]{1,20}")
_LISTED = ("-P ", "-N ", "-A ", "-E ")
"""The beginnings of the lines of ``iptables -S``."""


class PrintedRule(NamedTuple):
    """A rule as iptables prints it."""

    chain: str
    words: tuple[str, ...]
    """Everything behind ``-A CHAIN``, without counters."""

    @property
    def target(self) -> Optional[str]:
        """The target of its last ``-j``; None for a rule without a target."""
        return _after(self.words, "-j")

    @property
    def comment(self) -> Optional[str]:
        """Its comment; None for none."""
        return _after(self.words, "--comment")


class PrintedTable(NamedTuple):
    """A raw table as iptables prints it."""

    rules: tuple[PrintedRule, ...]
    base_chains: int
    user_chains: int

    def at(self, chain: str, position: int) -> Optional[PrintedRule]:
        """The rule at a position of a chain, counted from 1; None if there is none."""
        of_chain = [rule for rule in self.rules if rule.chain == chain]
        return of_chain[position - 1] if 0 < position <= len(of_chain) else None


def listing(text: str, name: str) -> PrintedTable:
    """A raw table as :meth:`Xtables.list_raw` gives it; ``name`` is what to call it.

    Raises Failure for a text that is no whole listing.
    """
    lines = [line for line in saved_lines.whole_lines(text.split("\n")) if line]
    _check(lines, name)
    base = sum(line.startswith("-P ") or _is_base_chain(line) for line in lines)
    chains = sum(line.startswith(("-N ", "-P ", ":")) for line in lines)
    rules = tuple(rule for line in lines if (rule := _rule(line)) is not None)
    return PrintedTable(rules, base, chains - base)


def _after(words: tuple[str, ...], flag: str) -> Optional[str]:
    """The word behind the last ``flag``; None if there is none."""
    for at in range(len(words) - 2, -1, -1):
        if words[at] == flag:
            return words[at + 1]
    return None


def _is_base_chain(line: str) -> bool:
    # A user chain has no policy: ``:NAME - [0:0]``.
    return line.startswith(":") and " - [" not in line


def _rule(line: str) -> Optional[PrintedRule]:
    """A rule in either of the two forms; None for a line that is none."""
    if matched := _COUNTED.match(line):
        return PrintedRule(matched[3], tuple(rule_words.iptables_words(matched[4])))
    words = rule_words.iptables_words(line) if line.startswith("-A ") else []
    # The counters stand before the target; a comment that looks like them is one word.
    at = len(words) - 3
    while at > 1 and words[at] != "-c":
        at -= 1
    numbers = words[at + 1 : at + 3]
    if at < 2 or not all(_PRINTED_COUNTER.fullmatch(number) for number in numbers):
        return None
    return PrintedRule(words[1], (*words[2:at], *words[at + 3 :]))


def _check(printed: list[str], name: str) -> None:
    lines = list(_plain(printed))
    is_saved = lines[:1] == ["*raw"] and lines[-1] == "COMMIT"
    strange = [line for line in lines if not line.startswith(_LISTED)]
    if strange and not is_saved:
        raise Failure(f"the listing of {name} is not understood: {strange[0][:60]!r}")


def _plain(lines: list[str]) -> Iterator[str]:
    return (line for line in lines if not line.startswith("#"))
