"""JSON objects in lines of text: whole, printed over many lines, or broken by a copy."""

from __future__ import annotations

import re
from typing import Any, Optional

from tracetui.parse import json_text

_OBJECT_BEGIN = re.compile(r"\s{0,40}(?:\x1e|data: ?)?[\[\s]{0,8}\{\s{0,40}(?:\"|$)")
"""An object as a program writes it; ``{1}[Hardware Error]`` of the kernel is none."""
_AFTER_OTHER = re.compile(r"\s{0,40}\},?\s{0,40}\{\s{0,40}$")
_NEXT_KEY = re.compile(r"\s{0,40}[\"}\],{]|\s{0,40}$")
_TOKEN = re.compile(r"[\"\\{}]")
_LONGEST_OBJECT = 128 << 10
"""Characters of an object."""
_DEEPEST = 16
_MESSAGES = frozenset((
    "MESSAGE", "msg", "oob.prefix", "log", "message", "MSG", "short_message", "line", "values",
))  # fmt: skip
"""Keys that journald, dmesg, ulogd, container engines and log shippers put a message under."""


class JsonObjects:
    """The objects of one file. One inside another comes first, and both if both have a name."""

    def __init__(self) -> None:
        self._text = ""
        self._starts: list[Optional[int]] = []
        self._in_string = False
        self._scanned = 0
        self.broken: list[str] = []
        """The texts of objects that could not be read; whoever reads them empties it."""

    @property
    def is_open(self) -> bool:
        """Whether an object has begun that has not ended."""
        return bool(self._starts)

    def begins(self, text: str) -> bool:
        """Whether an object begins on a line."""
        return _OBJECT_BEGIN.match(text) is not None or _AFTER_OTHER.match(text) is not None

    def whole(self, text: str) -> Optional[dict[str, Any]]:
        """The object that a line is; None if it is none, or no whole one."""
        try:
            value = json_text.read(text.strip("\x1e \t,"))
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    def take(self, text: str) -> list[dict[str, Any]]:
        """The objects that end on a line."""
        is_broken_off = self.is_open and (
            text.startswith('{"') or not (self._in_string or _NEXT_KEY.match(text))
        )
        if is_broken_off and not (text.startswith('{"') and self._text.rstrip()[-1:] in "[,:"):
            self.close()
        self._text += text
        found = self._scan()
        if len(self._text) > _LONGEST_OBJECT or len(self._starts) > _DEEPEST:
            self.close()
        return found

    def close(self) -> None:
        """Give up what is open."""
        if self._text.strip("[]{}, \t"):
            self.broken.append(self._text)
        self._text, self._starts = "", []
        self._in_string, self._scanned = False, 0

    def _scan(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        at = self._scanned
        while (token := _TOKEN.search(self._text, at)) is not None:
            at = token.end()
            sign = token[0]
            if sign == "\\":
                at += 1
            elif sign == '"':
                self._in_string = not self._in_string
            elif not self._in_string and sign == "{":
                self._starts.append(token.start())
            elif not self._in_string and self._starts:
                start = self._starts.pop()
                value = self.whole(self._text[start:at]) if start is not None else None
                if value is None:
                    if start is not None:
                        self.broken.append(self._text[start:at])
                elif is_record(value) or not self._starts:
                    found.append(value)
                    # What it was in is a list without an end, of which no more is wanted.
                    self._text, at = self._text[at:], 0
                    self._starts = [None] * len(self._starts)
        self._scanned = max(at, len(self._text))
        if not self._starts:
            self._text, self._scanned, self._in_string = "", 0, False
        return found


def is_record(value: dict[str, Any]) -> bool:
    """Whether an object is a message of a log, and not a part of one."""
    return not _MESSAGES.isdisjoint(value)
