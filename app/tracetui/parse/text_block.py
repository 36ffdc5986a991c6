"""Some lines of a text that are read one after the other."""

from __future__ import annotations


class TextBlock:
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
    def done(cls) -> TextBlock:
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
        end = self.text.find("\n", self.at)
        begin = self.at
        self.pass_to(len(self.text) if end < 0 else end)
        return self.text[begin : self.at - 1]

    def pass_to(self, end: int) -> None:
        """Take the next line, which ends there."""
        self.last_length = end - self.at
        self.at = end + 1
