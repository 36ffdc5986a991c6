"""Trace points that a rule which logs can name as TRACE of legacy tables does.

A rule of the traced namespace can log to nflog's group 0 with a prefix that reads like TRACE's
(``-j NFLOG --nflog-prefix``, nft's ``log prefix``). The kernel adds the hook the packet is at, in
which the rule has no part. A logged prefix that agrees with the hook, and names a rule that exists,
can't be told from TRACE's.
"""

from __future__ import annotations

import re
from typing import Optional

from tracetui.model.rules.ruleset import Chain
from tracetui.model.trace.trace_point import TABLES, built_in_hook

LONGEST_CHAIN_BYTES = 29
"""Bytes of a chain's name (include/uapi/linux/netfilter/x_tables.h, XT_FUNCTION_MAXNAMELEN)."""
_RULE_NUMBER_END = 1 << 32
"""Rules are counted in an unsigned int."""
LOGGED_POINTS_KEPT = 10_000
"""Trace points in the texts of rules that log, remembered."""
_LOG_STATEMENT = re.compile(r"-j NFLOG|\blog\b")
_LOGGED_POINT = re.compile(r"TRACE: ([^:\s]+:[^\s\"]+:(?:rule|return|policy):[0-9]{1,10})(?![0-9])")


def is_possible(table: str, chain: str, kind: str, number: int, hook: Optional[str]) -> bool:
    """Whether TRACE can print this point for a packet at a hook.

    A packet enters a table at the chain that bears its hook's name; ``policy`` is printed at the
    end of that chain, ``return`` at the end of a user chain (net/ipv4/netfilter/ip_tables.c,
    get_chainname_rulenum).
    """
    if table not in TABLES or hook is None or built_in_hook(table, hook) is None:
        return False
    if not 0 < number < _RULE_NUMBER_END:
        return False
    own_hook = built_in_hook(table, chain)
    if kind == "policy":
        return own_hook == hook
    return own_hook is None if kind == "return" else own_hook in (None, hook)


class LoggedPoints:
    """Trace points, as TRACE prints them, that the prefixes of rules which log name too."""

    def __init__(self) -> None:
        self._points: set[str] = set()
        self._is_full = False
        """Whether there are too many to keep: then every point counts as logged."""

    def __contains__(self, point: str) -> bool:
        return self._is_full or point in self._points

    def __bool__(self) -> bool:
        return bool(self._points)

    def note(self, chain: Chain) -> None:
        """Take in the points that the rules of a chain log."""
        for rule in chain.rules:
            if (
                rule.text is not None
                and "TRACE: " in rule.text
                and _LOG_STATEMENT.search(rule.text)
            ):
                self._points.update(_LOGGED_POINT.findall(rule.text))
        self._is_full |= len(self._points) > LOGGED_POINTS_KEPT
