"""The reader with its cache comes to what the decoder alone comes to, whatever the lines."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz import damage, material
from tests.parse.test_wrappers import COARSE, FINE, PLACED, WITHOUT
from tests.recorded import RECORDINGS, lines, unpacked

from tracetui.parse.line_reader import LineReader
from tracetui.parse.log import record_body
from tracetui.parse.log.body_cache import BodyCache
from tracetui.parse.log.line_buffer import LineBuffer
from tracetui.parse.log.losses import RecordNumbers
from tracetui.parse.log.record_cache import REMEMBERED, RecordCache

TCP = (
    "IN=eth0 OUT=cali7 MAC=02:19:e6:40:fc:c8:02:55:96:c9:21:66:08:00 SRC=10.0.0.1 DST=10.0.0.2 "
    "LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=26039 DF PROTO=TCP SPT=20648 DPT=8090 SEQ=17 ACK=0 "
    "WINDOW=62727 RES=0x00 SYN URGP=0 OPT (0204) UID=0 GID=0 MARK=0x4000"
)
UDP = (
    "IN= OUT=lo SRC=10.0.0.1 DST=10.0.0.2 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=7 PROTO=UDP "
    "SPT=53 DPT=1024 LEN=40 "
)
ECHO = (
    "IN=r0 OUT=r1 SRC=10.77.1.2 DST=10.77.2.2 LEN=84 TOS=0x00 PREC=0x00 TTL=63 ID=8601 DF "
    "PROTO=ICMP TYPE=8 CODE=0 ID=14353 SEQ=1 MARK=0x1 "
)
TCP6 = (
    "IN=r0 OUT= SRC=fd00:0000:0000:0000:0000:0000:0000:0001 "
    "DST=fd00:0000:0000:0000:0000:0000:0000:0002 LEN=72 TC=0 HOPLIMIT=64 FLOWLBL=405717 PROTO=TCP "
    "SPT=40000 DPT=80 SEQ=5 ACK=9 WINDOW=512 RES=0x00 ACK PSH URGP=0 "
)
ECHO6 = (
    "IN=r0 OUT= SRC=fd00:0000:0000:0000:0000:0000:0000:0001 "
    "DST=fd00:0000:0000:0000:0000:0000:0000:0002 LEN=104 TC=0 HOPLIMIT=64 FLOWLBL=7 PROTO=ICMPv6 "
    "TYPE=128 CODE=0 ID=30 SEQ=2 "
)
BODIES = (TCP, UDP, ECHO, TCP6, ECHO6)
RECORDED = sorted(
    {line[line.index("IN=") :] for line in material.LOG_LINES if "TRACE:" in line and "IN=" in line}
)
POINTS = ("raw:PREROUTING:rule:1", "nat:KUBE-SVC-X:return:12", "filter:FORWARD:policy:3")
OF_LINES = {
    **{name: shape for name, shape in {**FINE, **PLACED, **COARSE, **WITHOUT}.items()
       if "\n" not in shape and "{" not in shape},
    "rsyslog, both with a fraction": "2026-11-22T10:43:2<s>.<part>+00:00 n kernel: [<up>] <msg>",
    "container log": "2026-11-22T10:43:2<s>.<part>123Z stdout F <4>[<up>] <msg>",
    "dmesg -xT": "kern  :warn  : [Tue Nov 24 10:43:2<s> 2026] <msg>",
    "dmesg -T": "[Sun Nov 22 10:43:2<s> 2026] <msg>",
    "a date before another": "2026-11-22T10:43:2<s>.<part> 2026-11-22T10:43:25Z n kernel: <msg>",
    "milliseconds": "2026-11-22T10:43:2<s>.12<s>+01:00 n kernel: <msg>",
    "a fraction of no digits": "2026-11-22T10:43:2<s>.+01:00 n kernel: <msg>",
    "a fraction of many digits": "2026-11-22T10:43:2<s>.<part><part><part>+01:00 n kernel: <msg>",
    "digits behind a time": "Nov 22 10:43:2<s><part> n kernel: <msg>",
    "capitals in a host's name": "2026-11-22T10:43:2<s>.<part>+01:00 TEST-TT kernel: <msg>",
    "two hosts": "2026-11-22T10:43:2<s>.<part>Z node-<s> kernel: [<up>] <msg>",
    "a wall clock that jumps": "2026-11-2<s>T10:43:24Z n kernel: [<up>] <msg>",
    "no day of any month": "2026-11-92T10:43:24.<part>Z n kernel: <msg>",
}  # fmt: skip
KNOWN = (
    "dmesg", "dmesg -T", "dmesg -x", "dmesg -xT", "dmesg -r", "notime, journalctl -o cat", "kmsg",
    "dmesg --time-format iso", "journalctl -o short-iso", "journalctl -o short-precise",
    "journalctl -o short-iso-precise", "journalctl -o short-monotonic", "journalctl -o short-full",
    "rsyslog without", "rsyslog with the kernel's stamp", "rsyslog RFC 3339",
    "rsyslog, both with a fraction", "container log", "logread", "dmesg, caller",
)  # fmt: skip
"""Wrappers whose every line the cache serves."""
PUBLIC = Path(os.environ.get("TRACETUI_PUBLIC_RECORDINGS", RECORDINGS))
FILES = [
    path
    for directory in sorted({RECORDINGS, PUBLIC})
    for path in sorted(directory.glob("*"))
    if path.suffix in (".log", ".txt", ".dmesg")
]


def wrapped(shape: str, messages: list[str]) -> list[str]:
    """Messages in a wrapper, 300 ms apart."""
    found = []
    for at, message in enumerate(messages):
        us = 2_999_400_000 + at * 300_000
        seconds, part = divmod(us, 1_000_000)
        values = {
            "msg": message, "up": f"{seconds:>5}.{part:06}", "part": f"{part:06}", "us": f"{us}",
            "epoch": f"{1_795_340_000 + seconds}.{part:06}", "n": f"{at}", "s": f"{at // 3 % 9}",
        }  # fmt: skip
        line = shape
        for name, value in values.items():
            line = line.replace(f"<{name}>", value)
        found.append(line)
    return found


MESSAGES = [f"TRACE: {point} {body}" for body in BODIES for point in POINTS]
WRAPPED = {name: wrapped(shape, MESSAGES) for name, shape in OF_LINES.items()}


def read(text: str, remembered: int, most: int):
    """All that a reader says of a text, and the lines that its cache knew."""
    reader, block, hops, known = LineReader(remembered), LineBuffer(text), [], 0
    while not block.is_done:
        found = reader.take_known(block, most)
        known += len(found)
        hops += found or reader.feed(block.take())
    hops += reader.finish()
    counts = reader.lines, reader.skipped, reader.lost, reader.unread
    return (hops, counts, reader.take_skipped(), reader.take_losses()), known


def assert_alike(text: str, remembered: int = REMEMBERED, most: int = 1 << 16) -> None:
    decoded, known = read(text, 0, most)
    assert known == 0
    assert read(text, remembered, most)[0] == decoded


@pytest.mark.parametrize("name", OF_LINES)
@pytest.mark.parametrize("most", [0, 1000, 1 << 20])
def test_each_wrapper_is_read_as_without_the_cache(name, most):
    assert_alike("\n".join(WRAPPED[name]), most=most)


@pytest.mark.parametrize("name", KNOWN)
def test_the_cache_serves_every_line_of_the_usual_wrappers(name):
    text = WRAPPED[name]
    assert read("\n".join(text), REMEMBERED, 1 << 20)[1] == len(text)


@damage.few(100)
@given(st.sampled_from(sorted(OF_LINES)), st.data())
def test_damaged_lines_between_known_ones_are_read_as_without_the_cache(name, data):
    good = st.sampled_from(WRAPPED[name])
    others = st.sampled_from(sorted(OF_LINES)).flatmap(
        lambda other: st.sampled_from(WRAPPED[other])
    )
    damaged = damage.texts(WRAPPED[name])
    more = damage.texts(material.LOG_LINES) | st.sampled_from(material.JOURNAL + material.LOSSES)
    text = data.draw(st.lists(good | damaged | good | others | more, max_size=30))
    sizes = st.sampled_from((0, 1000, 1 << 20))
    assert_alike("\n".join(text), data.draw(st.sampled_from((1, 2, REMEMBERED))), data.draw(sizes))


@damage.few(100)
@given(st.sampled_from(sorted(OF_LINES)), st.data())
def test_a_few_characters_of_a_stamp_or_trace_point_matter_as_without_the_cache(name, data):
    text = list(WRAPPED[name])
    for _ in range(data.draw(st.integers(1, 4))):
        number = data.draw(st.integers(0, len(text) - 1))
        line = text[number]
        at = data.draw(st.integers(0, len(line.partition("IN=")[0])))
        new = st.sampled_from(
            ("", "e", "_", "-", "\u0661", "]", "[", " ", "1", "9", ":", ",", ".", ";", "<12>", "{",
             ">", "\r", "T", "TRACE: ", "[    1.000000] ", " [s=abcd;i=1", "1,2,3,-;", "\\x20")
        )  # fmt: skip
        text[number] = line[:at] + data.draw(new) + line[at + data.draw(st.integers(0, 1)) :]
    assert_alike("\n".join(text))


BODY_CACHE = BodyCache(64)
"""Shared by all examples: what it learned of one body must be right for all others."""


@damage.few(200)
@given(damage.texts([*BODIES, *RECORDED]) | st.sampled_from([*BODIES, *RECORDED]))
def test_the_state_of_any_body_is_the_decoders(body):
    state = BODY_CACHE.state(body)
    if "\n" not in body:
        assert state is None or record_body.read(body.strip()) == (state, True)
    assert BODY_CACHE.state(body) == state


@given(st.sampled_from(BODIES), st.data())
def test_a_body_with_other_numbers_or_words_has_the_decoders_state(body, data):
    text = list(body)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at] = data.draw(
            st.sampled_from(["", " ", "0", "8", "x", "=", "SRC=", "999", ".", "SEQ=2 ", "ID=5 "])
        )
    changed = "".join(text)
    BODY_CACHE.state(body)
    state = BODY_CACHE.state(changed)
    assert state is None or (state, True) == record_body.read(changed.strip())


@pytest.mark.parametrize("body", BODIES)
def test_packets_that_differ_in_their_own_numbers_only_have_one_template(body, monkeypatch):
    cache = BodyCache(8)
    assert cache.state(body) == record_body.read(body.strip()).state
    own = re.compile(r"\b(LEN|ID|SPT|DPT|SEQ|ACK)=\d+")
    others = [own.sub(rf"\g<1>={number}", body) for number in (0, 77, 65535)]
    expected = [record_body.read(other.strip()).state for other in others]
    monkeypatch.setattr(record_body, "read", None)
    assert [cache.state(other) for other in others] == expected


V6 = "SRC=fd00::1 DST=fd00::2"
V4 = "SRC=10.77.1.2 DST=10.77.2.2"


@pytest.mark.parametrize(
    "body",
    [
        TCP.replace("DPT=8090", "SEQ=8090"),
        UDP.replace("DPT=1024", "SEQ=1024"),
        ECHO.replace("SEQ=1", "DPT=1"),
        ECHO.replace("SEQ=1", "SEQ=1 LEN=9"),
        ECHO.replace("ICMP ", "ICMPv6 "),
        ECHO.replace(V4, V6).replace("ID=8601", "ID=5").replace("ID=14353", "ID=5"),
        ECHO6.replace("fd00:0000:0000:0000:0000:0000:0000:000", "10.0.0."),
        ECHO6.replace("ICMPv6 TYPE=128", "ICMP TYPE=8"),
        UDP.replace(" LEN=40 ", " "),
        UDP.replace("SRC=10.0.0.1", "SRC=10.0.0.256"),
    ],
)
def test_a_body_that_no_kernel_prints_is_no_template_for_another(body):
    cache = BodyCache(8)
    cache.state(body)
    for number, word in enumerate(("LEN", "ID", "SPT", "DPT", "SEQ", "ACK")):
        other = re.sub(rf"\b{word}=\d+", f"{word}={number}", body, count=1)
        state, is_whole = record_body.read(other.strip())
        assert cache.state(other) == (state if is_whole else None)


@pytest.mark.parametrize("name", ["dmesg", "kmsg", "journalctl -o short-iso"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("IN=", "IN=\x1b[31m"),
        ("IN=", "IN=#033[31m"),
        ("IN=", "IN=^[[31m"),
        ("IN=eth0", "IN=e\\x20h"),
        ("IN=eth0", "IN=e;h"),
        ("IN=eth0", "IN=\u201ceth0\u201d"),
        ("PREROUTING", "\x1b[31mPREROUTING"),
        ("PREROUTING", "PRE\\x20OUTING"),
        ("PREROUTING", "\u201cPREROUTING\u201d"),
        ("UID=0", "UID=0 [    1.000000] TRACE: raw:X:rule:1 IN=a OUT="),
        (" MARK=0x4000", "\r"),
    ],
)
def test_a_line_that_was_painted_escaped_or_joined_is_read_as_without_the_cache(name, old, new):
    text = WRAPPED[name]
    assert_alike("\n".join([*text, *(line.replace(old, new) for line in text), *text]))


def test_a_line_as_wide_as_one_that_was_wrapped_waits_for_the_next():
    line = WRAPPED["dmesg"][3]
    text = [line, "OPT (020405B4) ", line, "MARK=0x7 ", line]
    assert_alike("\n".join(text))
    hops = read("\n".join(text), REMEMBERED, 1 << 16)[0][0]
    assert [hop.mark for hop in hops] == [None, 7, None]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.parametrize("most", [0, 1000, 1 << 20])
def test_a_file_is_read_as_without_the_cache(path, most):
    assert_alike(path.read_bytes().decode(errors="backslashreplace"), most=most)


@pytest.mark.parametrize("name", ["dmesg", "dmesg-x"])
def test_a_scenario_is_known_but_for_what_may_go_on_in_the_next_line(name):
    text = unpacked(f"scenario-legacy.{name}.txt.gz")
    decoded, _ = read(text, 0, 1 << 20)
    cached, known = read(text, REMEMBERED, 1 << 20)
    assert cached == decoded
    assert known > 0.9 * len(decoded[0])


def test_formats_that_take_turns_are_known_line_by_line():
    names = ("dmesg", "kmsg", "journalctl -o short-precise", "dmesg -T")
    text = [line for turn in zip(*(WRAPPED[name] for name in names)) for line in turn]
    assert_alike("\n".join(text))
    assert read("\n".join(text), REMEMBERED, 1 << 20)[1] == len(text)


def test_wrappers_that_differ_little_are_not_taken_for_one_another():
    assert_alike("\n".join(line for turn in zip(*WRAPPED.values()) for line in turn))


def test_the_length_of_a_line_before_records_of_kmsg_still_counts():
    """The next line may be the rest of one that a terminal wrapped, of which nothing is read."""
    text = [WRAPPED["dmesg"][0], *WRAPPED["kmsg"][:2], "OPT (020405B4) "]
    assert_alike("\n".join(text))
    assert read("\n".join(text), REMEMBERED, 1 << 16)[0][1][1] == 0


def test_a_gap_in_the_numbers_of_kmsg_is_a_loss_with_the_cache_too():
    text = WRAPPED["kmsg"]
    assert_alike("\n".join(text[:5] + text[8:] + text[:2]))
    (_, counts, _, told), known = read("\n".join(text[:5] + text[8:]), REMEMBERED, 1 << 20)
    assert known == len(text) - 4
    assert counts[2] == 3
    assert [(loss.line, loss.records) for loss in told] == [(6, 3)]


def test_numbers_of_records_are_taken_up_to_a_gap():
    numbers = RecordNumbers()
    assert numbers.take([7, 8, 9]) == 3
    assert numbers.take([10, 12, 13]) == 1
    assert numbers.missing(12) == 1
    assert numbers.take([13, 5]) == 1


def test_what_never_comes_again_is_forgotten():
    reader = LineReader()
    cache: RecordCache = reader._log._cache
    for number in range(2 * REMEMBERED):
        date = f"{2000 + number // 3600}-01-01T00:{number // 60 % 60:02}:{number % 60:02}"
        body = UDP.replace("10.0.0.1", f"10.0.{number // 250}.{number % 250}")
        found = reader.take_known(LineBuffer(f"{date}Z TRACE: raw:C{number}:rule:1 {body}"), 0)
        assert found[0].header.src == f"10.0.{number // 250}.{number % 250}"
    memos = (cache._wrappers, cache._states, cache._points["ip"], cache._bodies._templates)
    assert all(0 < len(memo) <= REMEMBERED for memo in memos)


def test_a_blank_line_between_known_ones_is_counted():
    plain = [f"[    1.00000{number}] TRACE: raw:PREROUTING:rule:1 {UDP}" for number in range(6)]
    text = "\n".join([*plain[:4], "", plain[4], "", "", plain[5], "x"])
    reader, block = LineReader(), LineBuffer(text)
    while not block.is_done:
        if not reader.take_known(block, 1 << 16):
            reader.feed(block.take())
    assert reader.lines == text.count("\n") + 1
    assert reader.take_skipped() == [(10, "no TRACE record")]


def test_recorded_packets_are_served_from_their_first_line():
    text = lines("seed-eks-forward.log")
    assert read("\n".join(text), REMEMBERED, 1 << 20)[1] == len(text)
