"""What ``nft -a list table`` and ``list chain`` print (nftables, src/rule.c)."""

from __future__ import annotations

import re

from tracetui.model.ruleset import Chain, ChainKey, ListedRule, Ruleset

_TABLE = re.compile(r"table (\S+) (\S+) \{(?: # handle (\d+))?$")
_CHAIN = re.compile(r"\tchain (\S+) \{(?: # handle (\d+))?$")
_BASE = re.compile(r"\t\ttype \S+ hook (\S+) (?:device.* )?priority ([^;]+);(?: policy (\w+);)?")
_RULE = re.compile(r"\t\t(.*?)(?: # handle (\d+))$")
_COUNTER = re.compile(r"\bcounter packets (\d+) bytes \d+")
_HOOKS = {
    name.lower(): name for name in ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
}


def is_listing(text: str) -> bool:
    """Whether a text begins as a listing of nft's does."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return _TABLE.match(first) is not None


def parse(text: str) -> Ruleset:
    """The chains of a listing; rules without a handle (no ``-a``) are left out."""
    ruleset = Ruleset()
    table: tuple[str, str] | None = None
    key: ChainKey | None = None
    rules: list[ListedRule] = []
    head: tuple[str | None, str | None] = (None, None)
    for line in text.splitlines():
        if found := _TABLE.match(line):
            table, key = (found[1], found[2]), None
        elif table is not None and (found := _CHAIN.match(line)):
            key, rules, head = ChainKey(*table, found[1]), [], (None, None)
        elif key is not None and line == "\t}":
            ruleset.chains[key] = Chain(key.name, tuple(rules), head[1], head[0])
            key = None
        elif key is not None and (found := _BASE.match(line)):
            head = _HOOKS.get(found[1]), found[3] or "accept"
        elif key is not None and (found := _RULE.match(line)):
            rules.append(_rule(found[1], int(found[2])))
    return ruleset


def _rule(text: str, handle: int) -> ListedRule:
    counter = _COUNTER.search(text)
    packets = int(counter[1]) if counter is not None else None
    return ListedRule(_COUNTER.sub("counter", text), handle, packets)
