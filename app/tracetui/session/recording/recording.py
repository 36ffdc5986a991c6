"""The writer of our own record: NDJSON, one object a line."""

from __future__ import annotations

import codecs
import json
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from tracetui.errors import Failure
from tracetui.model.explain.explanation import PacketExplanation
from tracetui.model.trace.packet import Packet
from tracetui.model.tracing.installed_rule import InstalledRule
from tracetui.session.recording import report
from tracetui.session.recording.packet_lines import PacketLines
from tracetui.session.state.guard_state import GuardState
from tracetui.session.state.session import Status
from tracetui.session.text.sanitize import sanitize_json


class RecordingWriter:
    """Writes one JSON object a line; what was flushed survives a crash.

    Safe to show on a terminal. Every method raises Failure where the stream takes no more.
    """

    def __init__(self, stream: TextIO) -> None:
        self.begin(stream)

    def begin(self, stream: TextIO) -> None:
        """Write to this stream from now on."""
        self._stream = stream
        self._is_ascii = codecs.lookup(stream.encoding or "utf-8").name != "utf-8"
        self._packets = PacketLines(self._is_ascii)
        self.written = 0
        """Characters written to it."""

    def hello(self, status: Status) -> None:
        """Begin the stream."""
        self._write(report.hello(status))

    def packet(self, packet: Packet, explanation: PacketExplanation) -> None:
        """Write a packet as it is known now; the last line of an id stands. Others flush it."""
        self._write_line(self._packets.line(packet, explanation))

    def snapshot(self, record: Mapping[str, Any]) -> None:
        """Write a snapshot of a ruleset; an unchanged one is written without its text."""
        self._write({"kind": "ruleset", **record})

    def notice(self, severity: str, text: str) -> None:
        """Write a notice."""
        self._write({"kind": "notice", "severity": severity, "text": text})

    def guard(self, time: float, guard: GuardState) -> None:
        """Write that the guard tripped, or was armed again."""
        trip = guard.trip
        value: dict[str, Any] = {
            "state": "tripped" if guard.tripped else "armed",
            "threshold": guard.threshold,
        }
        if trip is not None:
            time = trip.at
            value.update(reason=trip.reason, removed=list(trip.removed or ()))
        self._write({"kind": "guard", "time": time, **value})

    def loss(self, time: float, lost: int, unshown: int) -> None:
        """Write how many records the kernel dropped since the last such line, and hops we did."""
        self._write({"kind": "loss", "time": time, "lost": lost, "unshown": unshown})

    def rules(self, time: float, rules: Sequence[InstalledRule]) -> None:
        """Write the TRACE rules installed now, ours and foreign."""
        listed = [
            {
                "id": rule.id, "ours": rule.is_ours, "backend": rule.backend,
                "family": rule.family, "chain": rule.chain, "rule": rule.text,
                "expires": rule.expires,
            }
            for rule in rules
        ]  # fmt: skip
        self._write({"kind": "rules", "time": time, "rules": listed})

    def bye(self, status: Status, packets: int) -> None:
        """End the stream with its totals."""
        totals = {"hops": status.hops, "packets": packets, "lost": status.lost}
        self._write({"kind": "bye", **totals, "unshown": status.unshown, "skipped": status.skipped})

    def _write(self, value: Mapping[str, Any]) -> None:
        self._write_line(sanitize_json(json.dumps(value, ensure_ascii=self._is_ascii)))
        self.flush()

    def _write_line(self, text: str) -> None:
        try:
            self._stream.write(f"{text}\n")
        except OSError as error:
            raise _failure(error) from None
        self.written += len(text) + 1

    def flush(self) -> None:
        """Have what was written survive a crash."""
        try:
            self._stream.flush()
        except OSError as error:
            raise _failure(error) from None


def _failure(error: OSError) -> Exception:
    """The exception for a stream that takes no more; a BrokenPipeError stays one."""
    if isinstance(error, BrokenPipeError):
        return error
    why = f"the recording can't be written: {error.strerror}"
    return Failure(f"{why}; what was written before can be replayed")
