"""TRACE rules that this process inserted or is to remove, by which the kernel's are found again."""

from __future__ import annotations

from typing import NamedTuple, Optional

from tracetui.model.tracing.installed_rule import InstalledRule, match_words
from tracetui.model.tracing.trace_rule import TraceRule


class InsertedRule(NamedTuple):
    """One rule of one raw table, by its exact specification."""

    backend: str
    family: int
    chain: str
    words: tuple[str, ...]
    """The arguments behind ``-I CHAIN 1`` or ``-D CHAIN``, as this process made them.

    Empty for a listed rule: the words of a listing are never passed on to a command.
    """
    comment: str
    expires: Optional[int] = None
    """Seconds since the epoch at which the kernel, or we in its place, end it; None for never."""
    rule: Optional[TraceRule] = None
    """The request that it was made from; None for a listed rule."""
    deadline: Optional[float] = None
    """``expires`` in seconds since boot (CLOCK_BOOTTIME), which nobody can set."""
    handle: Optional[int] = None
    """The handle on nf_tables; None where that is not known."""
    key: str = ""
    """As in :class:`InstalledRule`, for a listed rule; else empty."""
    label: str = ""
    """The text of a listed rule; else empty."""

    @classmethod
    def of(cls, listed: InstalledRule) -> InsertedRule:
        """The listed rule, to be removed."""
        expires = None if listed.expires is None else int(listed.expires)
        return cls(
            listed.backend,
            listed.family,
            listed.chain,
            (),
            listed.comment or "",
            expires,
            handle=listed.handle,
            key=listed.key,
            label=listed.text,
        )

    @property
    def identity(self) -> tuple[str, int, str, str]:
        """The fields that stay when iptables prints the words in another form."""
        return (self.backend, self.family, self.chain, self.comment)

    @property
    def text(self) -> str:
        """The rule on one line, as it is named to the user."""
        label = self.label or " ".join(match_words(self.words))
        return f"{self.backend} IPv{self.family} {self.chain} {label}"
