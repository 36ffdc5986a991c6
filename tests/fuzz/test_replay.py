"""Whole files, damaged: every line is a hop, part of a record, or counted as skipped."""

from __future__ import annotations

import io
import json

from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz import damage, material
from tests.fuzz.json_damage import json_texts

from tracetui.session.recording import report
from tracetui.session.recording.recording import RecordingWriter
from tracetui.session.replay import halves
from tracetui.session.replay.replay import ReplaySession
from tracetui.session.state.store import PacketStore

OTHERS = [
    *material.NFT_TRACE,
    *material.XTABLES_TRACE,
    *material.JOURNAL,
    *material.OTHER_TEXT,
    *material.LOSSES,
]
LINES = (
    st.sampled_from(material.LOG_LINES + material.RECORD)
    | st.sampled_from(OTHERS)
    | damage.texts(OTHERS)
    | damage.texts(material.LOG_LINES)
    | damage.texts(material.KMSG)
    | damage.texts(material.RECORD)
    | json_texts(material.RECORD)
    | json_texts(material.PACKETS)
)
FILES = st.lists(LINES, max_size=40).map(
    lambda lines: "\n".join(lines).encode(errors="surrogatepass")
)


def replayed(*texts: bytes, capacity: int = 1_000_000) -> ReplaySession:
    files = [(f"file{at}", io.BytesIO(text)) for at, text in enumerate(texts)]
    session = ReplaySession(files, PacketStore(capacity))
    session.read_all()
    return session


def written(session: ReplaySession) -> str:
    out = io.StringIO()
    writer = RecordingWriter(out)
    writer.hello(session.status)
    for packet in session.packets:
        writer.packet(packet, session.explain(packet))
    return out.getvalue()


def told(session: ReplaySession) -> list[dict]:
    """What the kernel said of each packet, without what was made of it."""
    packets = [report.packet_json(one, session.explain(one)) for one in session.packets]
    for packet in packets:
        for made in ("verdict", "decided", "why", "complete"):
            del packet[made]
        for hop in packet["hops"]:
            del hop["verdict"], hop["rule"]
            hop.pop("ruleset_changed", None)
    return packets


@damage.few(100)
@given(st.lists(FILES | st.binary(), min_size=1, max_size=3), st.sampled_from((5, 1_000_000)))
def test_whatever_the_files_every_hop_is_kept_or_counted(texts, capacity):
    session = replayed(*texts, capacity=capacity)
    kept = sum(len(packet.hops) for packet in session.packets)
    assert session.packets.hops == kept
    assert kept == session.status.hops or session.packets.evicted
    for notice in session.take_notices():
        # What a recording tells, and what begins as if it were packed.
        assert notice.text.startswith(("the guard tripped", "file", halves.TRACED_BY_NFT))
    for packet in session.packets:
        for line in report.packet_text(packet, session.explain(packet)):
            assert line.isprintable()
    assert len(session._recorded) <= len(session.packets)


@damage.few(60)
@given(FILES)
def test_what_was_read_is_written_and_read_back_as_it_was(text):
    """Rules that contradict the packet they were recorded with are not written; then all lasts."""
    first = replayed(text)
    again = replayed(written(first).encode())
    assert again.status.skipped == 0
    assert json.dumps(told(again)) == json.dumps(told(first))
    assert written(replayed(written(again).encode())) == written(again)
