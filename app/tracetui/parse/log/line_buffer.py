"""Lines of a text, read one after the other."""

from __future__ import annotations

import re

_EMPTY_LINES = re.compile(r"(?:\r?\n)+")


class LineBuffer:
    """Whole lines, and how far they were read."""

    __slots__ = ("at", "text")

    def __init__(self, text: str) -> None:
        """Begin to read lines with newlines between them; an empty text is an empty line."""
        self.text = text
        self.at = 0
        """Offset of the next line; behind the text where there is none."""

    @classmethod
    def done(cls) -> LineBuffer:
        """Make a buffer without a next line."""
        block = cls("")
        block.take()
        return block

    @property
    def is_done(self) -> bool:
        """Whether there is no next line."""
        return self.at > len(self.text)

    def take(self) -> str:
        """The next line, if there is one."""
        end, begin = self.end_of(0), self.at
        self.pass_to(end)
        return self.text[begin:end]

    def pass_empty(self) -> int:
        """Take the empty lines that come next, but for the text's last; how many there were."""
        found = _EMPTY_LINES.match(self.text, self.at)
        if found is None:
            return 0
        self.pass_to(found.end() - 1)
        return found[0].count("\n")

    def end_of(self, most: int) -> int:
        """Offset of the end of the next lines of ``most`` characters, of one line at least."""
        end = self.text.rfind("\n", self.at, self.at + most)
        if end < 0:
            end = self.text.find("\n", self.at)
        return end if end >= 0 else len(self.text)

    def pass_to(self, end: int) -> None:
        """Take the next lines, the last of which ends there."""
        self.at = end + 1
