"""Texts of iptables-nft-save, held against what the kernel says that the rules test.

An iptables that is older than the one that made a rule leaves matches out, without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tracetui.kernel.nf_tables import ChainOutline, RulesetOutline
from tracetui.kernel.rule_tests import is_told

_SAVED_RULE = re.compile(r"(?:\[[0-9:]+\] )?(-A (\S+)(?: .*)?)$")
_Texts = dict[tuple[str, str, str], list[str]]


def with_untold(
    places: RulesetOutline, saves: Iterable[tuple[Mapping[str, Any], str]]
) -> RulesetOutline:
    """Places in which rules that iptables-save did not tell whole are ``native``: nft's to tell."""
    if not places.tests:
        return places
    texts: _Texts = {}
    for head, text in saves:
        _take(texts, "ip6" if head.get("family") == 6 else "ip", text)
    return places._replace(
        chains=tuple(_with_untold(chain, places, texts) for chain in places.chains)
    )


def _take(texts: _Texts, family: str, text: str) -> None:
    table = ""
    for line in text.split("\n"):
        if line.startswith("*"):
            table = line[1:].strip()
        elif found := _SAVED_RULE.match(line):
            texts.setdefault((family, table, found[2]), []).append(found[1])


def _with_untold(chain: ChainOutline, places: RulesetOutline, texts: _Texts) -> ChainOutline:
    found = texts.get((chain.family, chain.table, chain.name), [])
    # A comment can hold line ends; then, and where a rule came meanwhile, nothing can be compared.
    if len(found) != len(chain.handles):
        return chain
    untold = [
        handle
        for handle, text in zip(chain.handles, found)
        if (tests := places.tests.get((chain.family, chain.table, handle)))
        and not is_told(text, tests)
    ]
    if not untold:
        return chain
    return chain._replace(native=tuple(sorted({*chain.native, *untold})))
