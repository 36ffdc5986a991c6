"""A TRACE rule that this process inserted, as it must be known again to remove it."""

from __future__ import annotations

from typing import NamedTuple, Optional

from tracetui.model.tracing.installed_rule import InstalledRule, essence
from tracetui.model.tracing.trace_rule import TraceRule


class InsertedRule(NamedTuple):
    """One rule of one raw table, by its exact specification."""

    backend: str
    family: int
    chain: str
    words: tuple[str, ...]
    """Everything behind ``-I CHAIN 1`` or ``-D CHAIN``, as this process made it.

    Empty for a rule that was found: what a listing says is never passed on to a command.
    """
    comment: str
    expires: Optional[int] = None
    """Seconds since the epoch at which the kernel, or we in its place, end it; None for never."""
    rule: Optional[TraceRule] = None
    """What it was made from; None for one that was found."""
    deadline: Optional[float] = None
    """The same end in seconds since boot (CLOCK_BOOTTIME), which nobody can set."""
    handle: Optional[int] = None
    """What the kernel gave it on nf_tables; None where that is not known."""
    key: str = ""
    """See :class:`InstalledRule`; of a found rule."""
    label: str = ""
    """What a found rule is called."""

    @classmethod
    def of(cls, listed: InstalledRule) -> InsertedRule:
        """A rule as it is listed."""
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
    def place(self) -> tuple[str, int]:
        """Whose raw table it is in: backend and family."""
        return self.backend, self.family

    @property
    def identity(self) -> tuple[str, int, str, str]:
        """What stays the same when iptables prints the words in another form."""
        return (self.backend, self.family, self.chain, self.comment)

    @property
    def text(self) -> str:
        """The rule on one line, as it is named to the user."""
        label = self.label or " ".join(essence(self.words))
        return f"{self.backend} IPv{self.family} {self.chain} {label}"
