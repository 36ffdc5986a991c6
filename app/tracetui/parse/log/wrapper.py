"""Wrappers: the text before the message in a copy of the kernel log, and who wrote it by that.

A wrapper that is not known costs the time only: the message after it is read all the same.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Optional

_ANSI = re.compile(r"(?:\x1b|\^\[|#033)\[[0-9;]{0,20}[mK]")
"""Colours of dmesg and journalctl, also where a pager or a logger made the escape visible."""
_QUOTE = re.compile(r"(?:[ \t]{0,8}>){1,16} ?")
_NUMBERED_RECORD = re.compile(r"\d{1,10},(\d{1,20}),\d{1,20},[^;\s]{0,64};", re.ASCII)
_DICTIONARY = re.compile(r" [A-Z][A-Z0-9_]{0,63}=\S{0,256}$", re.ASCII)
_OF_DICTIONARY = re.compile(r" (?:SUBSYSTEM|DEVICE)=", re.ASCII)
"""The keys that the kernel puts into it (drivers/base/core.c, set_dev_info)."""
_BLANKS = str.maketrans(dict.fromkeys("\t\xa0\u202f\u2007\u3000", " "))
_QUOTES = str.maketrans(dict.fromkeys("\u201c\u201d\u201e\u201f\xab\xbb\u2033", '"'))
_DASH = re.compile(r"(?<!\S)(?:\u2013|\u2014|\u2011|\u2212){1,2}([A-Za-z0-9]+)(?=[\s=]|-[a-z]|$)")
_LEVELS = "emerg|alert|crit|err|warn|notice|info|debug|panic|error|warning"
_FACILITIES = "kern|user|mail|daemon|auth|authpriv|syslog|lpr|news|uucp|cron|ftp|local[0-7]"
_WROTE = re.compile(
    r"(?:^|\s)(?:<(?P<raw>\d{1,10})>"
    rf"|(?P<named>[a-z]{{1,12}}[0-7]?) {{0,8}}:(?:{_LEVELS}) {{0,8}}:"
    rf"|(?P<dotted>{_FACILITIES})\.(?:{_LEVELS})\s)",
    re.ASCII,
)
"""Facility and level as ``dmesg -r``, ``dmesg -x`` and busybox print them."""
_LONGEST_WRAPPER = 512
"""Characters that are looked at; no wrapper is so long."""


def bare(line: str) -> str:
    """A line without what terminals, pagers and mail put around it."""
    text = line.rstrip("\r\n")
    if "[" in text and ("\x1b" in text or "^[" in text or "#033" in text):
        text = _ANSI.sub("", text)
    if "\r" in text:
        text = text.replace("\r", "")
    if ">" in text[:16] and (found := _QUOTE.match(text)):
        text = text[found.end() :]
    return text


def as_typed(text: str) -> str:
    """A line with the quotes and dashes that were typed, where an editor put others in their place.

    A dash is one only where an option begins, and a quote only where the line has no other: texts
    that people wrote keep theirs.
    """
    if text.isascii():
        return text
    if '"' not in text:
        text = text.translate(_QUOTES)
    return _DASH.sub(_dashes, text)


def _dashes(found: re.Match[str]) -> str:
    """An option's dashes: two were made one, and of a short option there is only one."""
    return ("-" if len(found[1]) == 1 else "--") + found[1]


def with_blanks(text: str) -> str:
    """A line with blanks for the signs that web pages and editors put in their place."""
    return text if text.isascii() and "\t" not in text else text.translate(_BLANKS)


def sequence_of(text: str) -> Optional[int]:
    """The number of a record of /dev/kmsg; None for a line of another log."""
    found = _NUMBERED_RECORD.match(text) if text[:1].isdigit() else None
    return int(found[1]) if found else None


def is_dictionary(text: str) -> bool:
    """Whether a line goes with the record before it in a copy of /dev/kmsg, and says nothing."""
    return _DICTIONARY.match(text) is not None


def is_of_a_program(prefix: str) -> bool:
    """Whether the wrapper says that a program wrote the message: none can write as the kernel."""
    if prefix.startswith("[") or not prefix:
        return False
    return _tells_of_a_program(prefix[:_LONGEST_WRAPPER])


@lru_cache(maxsize=1024)
def _tells_of_a_program(prefix: str) -> bool:
    if _OF_DICTIONARY.match(prefix):
        return True
    source = _WROTE.search(prefix)
    if source is None:
        return False
    if source["raw"] is not None:
        return int(source["raw"]) >= 8
    return (source["named"] or source["dotted"]) != "kern"
