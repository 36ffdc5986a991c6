"""Words of a rule's text, as the program that printed it separates them.

A shell's quoting rules do not hold: iptables quotes texts and escapes in them (libxtables,
xtables_save_string), but prints the names of chains and interfaces as they are, quotation marks and
backslashes included; nft escapes nothing.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_RAW_NAME = r"(?:(?<=-[AENPjgio] )|(?<=--physdev-in )|(?<=--physdev-out ))\S+"
_TEXT = r'"(?P<text>[^"\\]*(?:\\.[^"\\]*)*)"'
_IPTABLES_WORD = re.compile(rf"{_RAW_NAME}|{_TEXT}|\S+", re.ASCII | re.DOTALL)
_ESCAPED = re.compile(r"\\([\"'\\])")
_NFT_WORD = re.compile(r'(?<!\S)"(?P<text>[^"]*)"|\S+', re.ASCII)


def iptables_words(text: str) -> list[str]:
    """The words of what iptables-save or ``iptables -S`` prints."""
    return [
        word[0] if word["text"] is None else _ESCAPED.sub(r"\1", word["text"])
        for word in _IPTABLES_WORD.finditer(text)
    ]


class RuleWord(NamedTuple):
    """One word of a rule in nft's syntax."""

    text: str
    """Without its quotation marks."""
    is_quoted: bool
    """Whether it is text, and no word of the language."""


def nft_words(text: str) -> list[RuleWord]:
    """The words of a rule in nft's syntax."""
    return [
        RuleWord(word[0], False) if word["text"] is None else RuleWord(word["text"], True)
        for word in _NFT_WORD.finditer(text)
    ]
