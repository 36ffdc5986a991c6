"""TRACE rules as they are in the kernel."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

from tracetui.model.tracing.digest import digest

TAG = "tracetui:"
"""The beginning of the comment of a rule of ours; the owner, / and the rule's digest follow."""


class InstalledRule(NamedTuple):
    """One rule with target TRACE in a raw table, ours or foreign."""

    backend: str
    """``legacy`` or ``nft``."""
    family: int
    """4 or 6."""
    chain: str
    words: tuple[str, ...]
    """The specification as iptables prints it: everything after ``-A CHAIN``.

    Empty where it is not known: iptables can't list every table.
    """
    packets: int
    """Packets that it matched."""
    bytes: int
    comment: Optional[str]
    """The comment that holds our tag, else None: the rule is foreign."""
    expires: Optional[float]
    """Seconds since the epoch at which it stops matching; None for never."""
    mine: bool = False
    """Whether the collector that listed it also installed it."""
    is_watched: bool = False
    """Whether the kernel can't end it in time, and the collector does."""
    position: int = 1
    """Its number in its chain, from 1: the rules before it can keep packets from it."""
    handle: Optional[int] = None
    """The handle that the kernel gave it; None on legacy."""
    key: str = ""
    """A digest of the rule in the kernel without its counters."""

    @property
    def id(self) -> str:
        """Six hex digits that name the rule as long as it is installed."""
        # A handle is given anew where a table is made anew.
        name = (f"{self.handle or ''} {self.key}",) if self.key else self.words
        return digest("\0".join((self.backend, str(self.family), self.chain, *name)))

    @property
    def identity(self) -> tuple[str, int, str, Optional[str]]:
        """The fields that name a rule of ours: its comment alone is that of both families."""
        return self.backend, self.family, self.chain, self.comment

    @property
    def is_ours(self) -> bool:
        """Whether it bears our tag, whoever owns it."""
        return self.comment is not None

    @property
    def owner(self) -> str | None:
        """The tag's owner; None for a foreign rule."""
        return self.comment[len(TAG) :].partition("/")[0] if self.comment is not None else None

    @property
    def limit(self) -> str | None:
        """The kernel-side limit as iptables prints it (``20/sec``); None for none."""
        index = self.words.index("--limit") if "--limit" in self.words else None
        return self.words[index + 1] if index is not None and index + 1 < len(self.words) else None

    @property
    def text(self) -> str:
        """The matches of a rule of ours, all words of a foreign one; its number without words."""
        if not self.words:
            position = f"rule {self.position} of {self.chain}"
            return position if self.handle is None else f"{position} (handle {self.handle})"
        return " ".join(match_words(self.words)) if self.is_ours else " ".join(self.words)

    def to_json(self) -> dict[str, Any]:
        """The fields by name; ``from_json`` is the way back."""
        return {"id": self.id, **self._asdict(), "words": list(self.words)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> InstalledRule:
        """Build a rule from :meth:`to_json`."""
        fields = {
            name: value[name]
            for name in cls._fields
            if name in value or name not in cls._field_defaults
        }
        return cls(**{**fields, "words": tuple(fields["words"])})


_SAFETY_OPTIONS = ("-j", "--comment", "--datestop", "--limit", "--limit-burst")


def match_words(words: tuple[str, ...]) -> list[str]:
    """The words without limit, expiry, comment and target, which have their own columns."""
    kept: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        is_match = word == "-m" and rest[:1] in (["comment"], ["time"], ["limit"])
        if is_match or word in _SAFETY_OPTIONS:
            rest = rest[1:]
        else:
            kept.append(word)
    return kept
