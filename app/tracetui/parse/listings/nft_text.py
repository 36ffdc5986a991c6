"""Rulesets as ``nft -a list table`` and ``list chain`` print them (nftables, src/rule.c)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Optional

from tracetui.model.rules.ruleset import Chain, ChainKey, ListedRule, Ruleset
from tracetui.parse.listings.long_sets import shortened

_NFT_TABLE_LINE = re.compile(r"table (\S+) (\S+) \{(?: # .*)?$")
"""Behind the brace the handle, and the program that owns the table (table_print_declaration)."""
_NFT_CHAIN_LINE = re.compile(r"chain (\S+) \{(?: # handle \d+)?$")
_NFT_BASE_LINE = re.compile(
    r"type (\S+) hook (\S+) (?:device.* )?priority ([^;]{1,64});(?: policy (\w+);)?"
)
_ABOUT = re.compile(r'(?:comment "[^"]*"|flags [\w,]+);?$')
"""A comment or flags of a table or chain."""
_OPENS_UNNAMED_CHAIN = re.compile(r"(?:^|\s)(?:jump|goto) \{$")
"""The beginning of a rule that jumps to a chain without a name, whose rules follow."""
_NFT_RULE_LINE = re.compile(r"(.*?)(?: # handle ([0-9]{1,20}))?$", re.DOTALL)
_NFT_COUNTER = re.compile(r"\bcounter packets ([0-9]{1,20}) bytes [0-9]+")
_LONGEST_QUOTATION = 4096
"""Characters; nft itself takes no more than 128."""
_PRIORITY = re.compile(r"([a-z]+)?\s*([+-]? ?[0-9]{1,10})?$")
_NAMED_PRIORITIES = {
    "raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100,
}  # fmt: skip
_NAMED_BRIDGE_PRIORITIES = {"dstnat": -300, "filter": -200, "out": 100, "srcnat": 300}
"""Numbers of the priorities' names (src/rule.c, std_prios and bridge_std_prios)."""
HOOKS_BY_NFT_NAME = {
    name.lower(): name for name in ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
}


def is_listing(text: str) -> bool:
    """Whether a text begins as a listing of nft's does."""
    lines = (line.strip() for line in text.split("\n"))
    # nft warns in a comment of a table that iptables-nft manages.
    first = next((line for line in lines if line and not line.startswith("#")), "")
    return _NFT_TABLE_LINE.match(first) is not None


def parse(text: str) -> Ruleset:
    """The chains of a listing; without ``-a`` the rules have no handles."""
    ruleset = Ruleset()
    table: tuple[str, str] | None = None
    key: ChainKey | None = None
    chain, rules = Chain("", ()), _Rules()
    is_dormant = False
    for line in _whole_lines(text):
        if line is None:
            table = key = None
        elif declared := _NFT_TABLE_LINE.match(line):
            table, key, is_dormant = (declared[1], declared[2]), None, False
        elif key is None and line.startswith("flags ") and "dormant" in line:
            is_dormant = True
        elif table is not None and (declared := _NFT_CHAIN_LINE.match(line)):
            key = ChainKey(*table, declared[1])
            chain, rules = Chain(key.name, ()), _Rules()
        elif key is None:
            continue
        elif line == "}" and not rules.is_open:
            ruleset.chains[key] = chain._replace(rules=tuple(rules.rules))
            key = None
        elif declared := _NFT_BASE_LINE.match(line):
            chain = chain if is_dormant else _base(chain, declared, key.family)
        elif not _ABOUT.match(line):
            rules.take(line)
    return ruleset


def _base(chain: Chain, declared: re.Match[str], family: str) -> Chain:
    """A chain that is at a hook."""
    return chain._replace(
        hook=HOOKS_BY_NFT_NAME.get(declared[2]),
        policy=declared[4] or "accept",
        is_nat=declared[1] == "nat",
        priority=_priority(
            declared[3], _NAMED_BRIDGE_PRIORITIES if family == "bridge" else _NAMED_PRIORITIES
        ),
    )


def _priority(text: str, named: Mapping[str, int]) -> int | None:
    """A priority as nft prints it: a number, or a name with a number added or taken."""
    parts = _PRIORITY.match(text.strip())
    if not text.strip() or parts is None or parts[1] not in (None, *named):
        return None
    offset = int((parts[2] or "0").replace(" ", ""))
    return offset if parts[1] is None else named[parts[1]] + offset


def _whole_lines(text: str) -> Iterator[Optional[str]]:
    """Lines without indentation; what is broken, a set or a quotation, is one line again.

    None where a quotation never ends: what it would swallow is not known.
    """
    pieces: list[str] = []
    is_quoted, quoted, depth = False, 0, 0
    for line in text.split("\n"):
        if not is_quoted and _NFT_TABLE_LINE.match(line.strip()):
            # The name of a program in it can hold a quotation mark.
            yield line.strip()
            pieces, depth = [], 0
            continue
        piece = f"\n{line}" if is_quoted else f" {line.strip()}" if pieces else line.strip()
        parts = piece.split('"')
        plain = "".join(parts[is_quoted::2])
        is_quoted ^= len(parts) % 2 == 0
        quoted = quoted + len(line) + 1 if is_quoted else 0
        if quoted > _LONGEST_QUOTATION:
            yield None
            pieces, is_quoted, quoted, depth = [], False, 0, 0
            continue
        if piece.strip():
            pieces.append(piece)
        depth += plain.count("{") - plain.count("}")
        begins_block = len(pieces) == 1 and _begins_block(plain)
        if pieces and not is_quoted and (depth <= 0 or begins_block):
            yield "".join(pieces).rstrip()
            pieces, depth = [], 0


def _begins_block(plain: str) -> bool:
    return plain.split(" # ")[0].endswith("{") and (
        plain.count("{") == 1 or _OPENS_UNNAMED_CHAIN.search(plain) is not None
    )


class _Rules:
    """The rules of one chain, and those in the braces of the rule that is being read."""

    def __init__(self) -> None:
        self.rules: list[ListedRule] = []
        self._opening = ""
        self._block: list[str] = []

    @property
    def is_open(self) -> bool:
        """Whether the rules of a chain without a name are being read."""
        return bool(self._opening)

    def take(self, line: str) -> None:
        """Take in a line that is a rule, or begins or ends one."""
        if self._opening:
            if not line.startswith("}"):
                self._block.append(shortened(_NFT_COUNTER.sub("counter", line)))
                return
            line = f"{self._opening} {'; '.join(self._block)} {line}"
        elif _OPENS_UNNAMED_CHAIN.search(line):
            self._opening = line
            return
        match = _NFT_RULE_LINE.match(line)
        if match is not None:
            handle = int(match[2]) if match[2] else None
            counter = _NFT_COUNTER.search(self._opening or match[1])
            packets = int(counter[1]) if counter is not None else None
            text = shortened(_NFT_COUNTER.sub("counter", match[1]))
            self.rules.append(
                ListedRule(text, handle, packets, bool(self._opening), tuple(self._block))
            )
        self._opening, self._block = "", []
