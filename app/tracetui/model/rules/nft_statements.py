"""A rule in nft's syntax, as the statements it is made of (nft(8), STATEMENTS).

A word such as ``dnat`` begins a statement only where no value is expected: it is a value in
``ct status dnat``, a type in ``icmp type redirect``, and text in ``log prefix "dnat"``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Optional

from tracetui.model.rules import rule_words
from tracetui.model.rules.rule_words import RuleWord

_NFT_VERDICTS = frozenset(("accept", "drop", "return", "continue", "queue", "reject"))
_LEADS = frozenset(("jump", "goto"))
_NAT_CHANGES = {
    "dnat": ("dst", "dport"), "redirect": ("dst", "dport"), "tproxy": ("dst", "dport"),
    "snat": ("src", "sport"), "masquerade": ("src", "sport"),
}  # fmt: skip
_BEFORE_VALUES = frozenset((
    "==", "!=", "<", ">", "<=", ">=", "!", "&", "|", "^", "<<", ">>", ".", "(", "type", "status",
    "set", "to", "with", "name", "map", "prefix", "level", "direction",
))  # fmt: skip
"""Behind one of these stands a value, whatever it reads like."""
_JOINTS = frozenset(("vmap", "set"))
"""These stand between two values (``fib daddr type vmap { … }``)."""
_PORTS_OF = frozenset(("tcp", "udp", "udplite", "sctp", "dccp", "th"))
_SET_FIELDS = {
    **{(proto, "sport"): "sport" for proto in _PORTS_OF},
    **{(proto, "dport"): "dport" for proto in _PORTS_OF},
    ("ip", "saddr"): "src", ("ip6", "saddr"): "src", ("ip", "daddr"): "dst",
    ("ip6", "daddr"): "dst", ("ip", "ttl"): "ttl", ("ip6", "hoplimit"): "ttl",
    ("meta", "mark"): "mark",
}  # fmt: skip
"""Fields of a packet that ``… set`` writes to, by the two words before it."""


class NftRule(NamedTuple):
    """A rule in nft's syntax, as far as a trace can be compared with it."""

    target: Optional[str]
    """The verdict in capitals, or the chain it leads to; None for neither, and where it is open."""
    is_goto: bool
    is_open: bool
    """Whether a map has the verdict, or a chain without a name follows."""
    comment: Optional[str]
    changes: tuple[str, ...]
    """Fields of a packet it may rewrite."""
    begins_trace: bool


def read(text: str) -> NftRule:
    """Read a rule; of one whose text was cut, as much as there is."""
    words = list(_outside_braces(rule_words.nft_words(text)))
    target, is_goto, is_open = None, False, False
    comment: Optional[str] = None
    changes: tuple[str, ...] = ()
    begins_trace = False
    for index, word in enumerate(words):
        after = words[index + 1] if index + 1 < len(words) else None
        if word.is_quoted or (index and _is_value(words[index - 1], word)):
            continue
        if word.text in _LEADS and after is not None:
            is_goto, is_open = word.text == "goto", after.text == "{"
            target = None if is_open else after.text
        elif word.text in _NFT_VERDICTS:
            target, is_open = None if word.text == "continue" else word.text.upper(), False
        elif word.text == "vmap":
            target, is_open = None, True
        elif word.text == "comment" and after is not None and after.is_quoted:
            comment = after.text
        elif word.text == "set":
            begins_trace |= [near.text for near in words[index - 1 : index + 2]] == [
                "nftrace",
                "set",
                "1",
            ]
            changes += _set_field(words[max(0, index - 2) : index])
        changes += _NAT_CHANGES.get(word.text, ())
    return NftRule(target, is_goto, is_open, comment, changes, begins_trace)


def _is_value(before: RuleWord, word: RuleWord) -> bool:
    """Whether a word is a value, or the name of a chain, by the one before it."""
    if before.is_quoted:
        return False
    return before.text in _LEADS or (before.text in _BEFORE_VALUES and word.text not in _JOINTS)


def _set_field(left: list[RuleWord]) -> tuple[str, ...]:
    """The field that ``set`` with these two words before it writes to; empty for another one."""
    name = tuple([word.text for word in left])
    field = _SET_FIELDS.get((name[0], name[1])) if len(name) == 2 else None
    return () if field is None else (field,)


def _outside_braces(words: list[RuleWord]) -> Iterator[RuleWord]:
    """The words that are no elements of a set or a map; of these the braces only.

    nft before 1.0 prints no blank before the last brace (``{ 80,443}``).
    """
    depth = 0
    for word in words:
        before = depth
        if not word.is_quoted:
            depth += word.text.startswith("{") - word.text.rstrip(",").endswith("}")
            depth = max(depth, 0)
        if before == 0 or depth == 0:
            yield word
