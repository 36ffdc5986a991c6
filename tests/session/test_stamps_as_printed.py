"""Stamps without a date are shown as the log has them; they were dashes."""

from __future__ import annotations

import pytest
from tests.recorded import assembled, hops_of

from tracetui.model.trace import moments
from tracetui.session.recording import report
from tracetui.session.rulesets.rulesets import Rulesets
from tracetui.session.state.explanations import Explanations
from tracetui.session.view import about

RECORD = "TRACE: raw:PREROUTING:policy:1 IN=eth0 OUT= SRC=10.0.0.1 DST=10.0.0.2 LEN=60 TTL=64 ID=7 PROTO=UDP SPT=1 DPT=2 LEN=40"


@pytest.mark.parametrize(
    ("prefix", "shown", "column", "told"),
    [
        ("[ 2931.726119] ", "2931.726119", " 2931.726119", "2931.726119 s since boot"),
        ("[99312931.726119] ", "99312931.726119", "99312931.726", "99312931.726119 s since boot"),
        ("Nov 22 10:43:24 node kernel: ", "Nov 22 10:43:24", "10:43:24.000", "Nov 22 10:43:24, in a year"),
        ("Feb 29 10:43:24.250000 node kernel: ", "Feb 29 10:43:24.250000", "10:43:24.250", "Feb 29 "),
        ("[Nov22 10:43] ", "Nov 22 10:43:00", "10:43:00.000", "Nov 22 "),
        ("[  +0.000009] ", "--:--:--.---", "--:--:--.---", "not known"),
        ("", "--:--:--.---", "--:--:--.---", "not known"),
        ("2026-11-22T10:43:24,726119+00:00 ", "10:43:24.726", "10:43:24.726", "2026-11-22 10:43:24.726119 UTC"),
    ],
)  # fmt: skip
def test_a_packet_shows_the_stamp_that_it_has(prefix, shown, column, told):
    (packet,) = assembled(hops_of([prefix + RECORD]))
    explanation = Explanations(Rulesets()).of(packet)
    assert report.head_text(packet, explanation).startswith(f"{shown}  udp")
    assert moments.clock(packet.stamped) == column
    (time,) = (line for line in about.about(packet, explanation) if line.startswith("time "))
    assert told in time
    # The record's times are the epoch's, or none.
    assert (report.packet_json(packet, explanation)["time"] is None) == (not prefix.startswith("2"))


def test_distances_stay_across_a_stamp_without_a_year():
    lines = [
        f"Nov 22 10:43:2{at}.5 node kernel: {RECORD.replace('policy:1', f'policy:{1 + at}').replace('raw', 'mangle' if at else 'raw')}"
        for at in (4, 5)
    ]
    lines[0] = lines[0].replace("mangle", "raw")
    (packet,) = assembled(hops_of(lines))
    assert packet.stamps() == [0, 1_000_000]
