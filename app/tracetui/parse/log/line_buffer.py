"""Some lines of a text that are read one after the other."""

from __future__ import annotations

import re

_EMPTY = re.compile(r"(?:\r?\n)+")


class LineBuffer:
    """Whole lines, and how far they were read."""

    __slots__ = ("at", "last_length", "text")

    def __init__(self, text: str) -> None:
        """Begin to read lines with newlines between them; an empty text is an empty line."""
        self.text = text
        self.at = 0
        """Where the next line begins; behind the text where there is none."""
        self.last_length = 0
        """Characters of the line that was taken last."""

    @classmethod
    def done(cls) -> LineBuffer:
        """One without a next line."""
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
        self.pass_to(end, end - begin)
        return self.text[begin:end]

    def pass_empty(self) -> int:
        """Take the empty lines that come next, but for the text's last; how many there were."""
        found = _EMPTY.match(self.text, self.at)
        if found is None:
            return 0
        self.pass_to(found.end() - 1, 0)
        return found[0].count("\n")

    def end_of(self, most: int) -> int:
        """Where the last of the next lines ends that have so many characters; of one at least."""
        end = self.text.rfind("\n", self.at, self.at + most)
        if end < 0:
            end = self.text.find("\n", self.at)
        return end if end >= 0 else len(self.text)

    def pass_to(self, end: int, last_length: int) -> None:
        """Take the next lines, the last of which ends there and has so many characters."""
        self.last_length = last_length
        self.at = end + 1
