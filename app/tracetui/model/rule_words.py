"""A rule's text cut into words, as the program meant them that printed it.

No shell's rules hold: iptables quotes texts and escapes in them (libxtables, xtables_save_string),
but prints the names of chains and interfaces as they are, quotation marks and backslashes included;
nft escapes nothing.
"""

from __future__ import annotations

import re

_RAW_NAME = r"(?:(?<=-[AENPjgio] )|(?<=--physdev-in )|(?<=--physdev-out ))\S+"
_TEXT = r'"(?P<text>[^"\\]*(?:\\.[^"\\]*)*)"'
_IPTABLES = re.compile(rf"{_RAW_NAME}|{_TEXT}|\S+", re.ASCII | re.DOTALL)
_ALL_CLOSED = re.compile(rf'(?:\s+|{_RAW_NAME}|{_TEXT}|[^\s"]\S*)*', re.ASCII | re.DOTALL)
_ONE_COMMENT = re.compile(r'[^"\\]* --comment "[^"\\]*"(?: [^"\\]*)?\Z', re.ASCII)
"""What nearly every rule with quotation marks looks like: told in a quarter of the time."""
_ESCAPED = re.compile(r"\\([\"'\\])")
_NFT = re.compile(r'(?<!\S)"(?P<text>[^"]*)"|\S+', re.ASCII)


def iptables(text: str) -> list[str]:
    """The words of what iptables-save or ``iptables -S`` prints."""
    return [
        found[0] if found["text"] is None else _ESCAPED.sub(r"\1", found["text"])
        for found in _IPTABLES.finditer(text)
    ]


def nft(text: str) -> list[str]:
    """The words of a rule in nft's syntax."""
    return [found[0] if found["text"] is None else found["text"] for found in _NFT.finditer(text)]


def is_open(text: str) -> bool:
    """Whether a text of iptables' ends within quotation marks: a comment may hold a line end."""
    if '"' not in text or _ONE_COMMENT.match(text):
        return False
    closed = _ALL_CLOSED.match(text)
    return closed is not None and closed.end() < len(text)
