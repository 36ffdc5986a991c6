"""Values over snapshots: from which snapshot to which each value held."""

from __future__ import annotations

from typing import Generic, Optional, TypeVar

SpanValue = TypeVar("SpanValue")


class Span(Generic[SpanValue]):
    """Consecutive snapshots with one value."""

    __slots__ = ("first", "last", "value")

    def __init__(self, first: int, value: SpanValue) -> None:
        self.first = first
        self.last: Optional[int] = None
        """None while the newest snapshot has the value too."""
        self.value = value


class Spans(Generic[SpanValue]):
    """The spans of one key, such as a chain's, in the order of the snapshots."""

    __slots__ = ("_spans",)

    def __init__(self) -> None:
        self._spans: list[Span[SpanValue]] = []

    def take(self, number: int, value: Optional[SpanValue]) -> Optional[Span[SpanValue]]:
        """Note the value in a snapshot, None where it has none; the span that this ends."""
        newest = self._spans[-1] if self._spans else None
        ended = None
        if newest is not None and newest.last is None:
            if newest.value == value:
                return None
            newest.last = number - 1
            ended = newest
        if value is not None:
            self._spans.append(Span(number, value))
        return ended

    @property
    def newest_first(self) -> int:
        """Number of the snapshot with which the newest span began; 0 without a span."""
        return self._spans[-1].first if self._spans else 0

    def complete(self, value: SpanValue) -> None:
        """Replace the newest snapshot's value by the same one of which more is known."""
        newest = self._spans[-1] if self._spans else None
        if newest is not None and newest.last is None:
            newest.value = value

    @property
    def newest(self) -> Optional[SpanValue]:
        """The newest snapshot's value; None where it has none."""
        newest = self._spans[-1] if self._spans else None
        return newest.value if newest is not None and newest.last is None else None

    def at(self, number: int) -> Optional[Span[SpanValue]]:
        """The span that a snapshot is in; None where it has no value."""
        span = next((span for span in reversed(self._spans) if span.first <= number), None)
        return span if span is not None and (span.last or number) >= number else None

    def values(self) -> list[SpanValue]:
        """All remembered values, the oldest first."""
        return [span.value for span in self._spans]

    def forget(self, span: Span[SpanValue]) -> Optional[SpanValue]:
        """Forget the oldest span; the value of the next one, None without one."""
        self._spans.remove(span)
        return self._spans[0].value if self._spans else None

    def forget_before(self, number: int) -> None:
        """Forget the spans that ended before a snapshot."""
        self._spans = [span for span in self._spans if span.last is None or span.last >= number]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is remembered."""
        return not self._spans
