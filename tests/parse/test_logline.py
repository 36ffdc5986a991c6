"""TRACE records in every form and wrapper that was recorded."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.recorded import RECORDINGS, assembled, hop_of, hops_of, lines, points, sections

from tracetui.model.trace.hop import KMSG, LOG
from tracetui.parse.log import kmsg

WRAPPED = sorted(path.name for path in RECORDINGS.glob("wrap-*.txt"))
PLAIN = hops_of(lines("wrap-dmesg-notime.txt"))


def bare(hops):
    return [hop.with_(time=None) for hop in hops]


def test_a_hop_has_its_place_its_header_and_its_devices():
    hop = hops_of(lines("seed-eks-forward.log"))[0]
    assert (hop.backend, hop.family, hop.table, hop.chain) == ("legacy", "ip", "raw", "PREROUTING")
    assert (hop.type, hop.rulenum) == ("policy", 2)
    assert (hop.iif, hop.oif) == ("eth3", None)
    header = hop.header
    assert (header.src, header.sport) == ("172.31.47.174", 22896)
    assert (header.dst, header.dport) == ("172.31.55.27", 8090)
    assert (header.family, header.proto, header.flags) == (4, "tcp", "SYN")
    assert (header.length, header.ip_id, header.ttl) == (60, 26039, 64)


@pytest.mark.parametrize("name", WRAPPED)
def test_the_same_six_records_are_read_from_every_wrapper(name):
    assert len(PLAIN) == 6
    assert bare(hops_of(lines(name))) == bare(PLAIN)


@pytest.mark.parametrize("name", ["wrap-dmesg.txt", "wrap-dmesg-iso.txt", "wrap-dev-kmsg.txt"])
def test_a_wrapper_with_fine_stamps_keeps_the_distances(name):
    times = [hop.time for hop in hops_of(lines(name))]
    assert times == sorted(times)
    assert round((times[1] - times[0]) * 1e6) == 9


@pytest.mark.parametrize("family", [4, 6])
def test_every_form_of_a_header_is_read(family):
    """Each recorded line is a hop with addresses, and a protocol where the kernel printed one."""
    for title, text in sections(f"ipv{family}-protocol-forms-6.18.txt").items():
        hops = hops_of(text)
        assert len(hops) == sum("TRACE: " in line for line in text), title
        assert {hop.header.family for hop in hops} == {family}, title
        for line, hop in zip((one for one in text if "TRACE: " in one), hops):
            assert hop.header.proto is not None or " PROTO=" not in line, title
            assert hop.header.src, title
            assert hop.header.dst, title


RECORD = lines("wrap-dev-kmsg.txt")[0]
HEAD, _, MESSAGE = RECORD.partition(";")


def test_a_record_that_a_program_wrote_is_no_hop():
    level, _, rest = RECORD.partition(",")
    assert int(level) < 8
    assert kmsg.parse(RECORD, 1.0) is not None
    assert kmsg.parse(f"{int(level) + 8},{rest}", 1.0) is None


@pytest.mark.parametrize(
    "record",
    [
        f"{HEAD};foo: {MESSAGE}",
        f"{HEAD}; {MESSAGE}",
        f"{HEAD};x\n {MESSAGE}",
        f"{HEAD};x\n DEVICE={MESSAGE}",
        rf"{HEAD};x\x0a{MESSAGE}",
        f"{HEAD};TRACE: {MESSAGE}",
        f"{HEAD},{MESSAGE}",
        f" {RECORD}",
    ],
)
def test_only_what_stands_first_in_a_record_is_a_hop(record):
    """The kernel prints its prefix right behind the semicolon; the rest is somebody's text."""
    assert kmsg.parse(record, 1.0) is None
    assert kmsg.parse(record.encode(), 1.0) is None


def test_escaped_names_of_a_record_come_back_as_they_are():
    assert kmsg.unescape(r"a\x20b\x1bc\xc3\xa9\x5cd") == "a b\x1bcé\\d"
    assert kmsg.unescape(r"no\xffbyte") == r"no\xffbyte"
    names = RECORD.replace("raw:PREROUTING", r"raw:a\x1b[2J\xc2\xa0b").replace(
        "IN=r0", r"IN=[x\x5c"
    )
    hop = kmsg.parse(names, 1.0)
    assert (hop.chain, hop.iif) == ("a\x1b[2J\xa0b", "[x\\")
    assert hop.header == kmsg.parse(RECORD, 1.0).header


@pytest.mark.parametrize(
    "line",
    [
        f"<12>[ 2931.726119] {MESSAGE}",
        f"<8>{MESSAGE}",
        f"user  :warn  : [ 2931.726119] {MESSAGE}",
        f"daemon:info  : [ 2931.726119] {MESSAGE}",
        f"local0:info  : [ 2931.726119] {MESSAGE}",
        f'{{"_TRANSPORT":"kernel","SYSLOG_FACILITY":"1","MESSAGE":"{MESSAGE}"}}',
        f'{{"MESSAGE":"{MESSAGE}","SYSLOG_FACILITY":"3"}}',
        f" DEVICE=+pci:{MESSAGE}",
    ],
)
def test_a_log_that_tells_that_a_program_wrote_a_line_is_believed(line):
    assert hop_of(line) is None


@pytest.mark.parametrize(
    "line",
    [
        f"<4>[ 2931.726119] {MESSAGE}",
        f"kern  :warn  : [ 2931.726119] {MESSAGE}",
        f'{{"_TRANSPORT":"kernel","SYSLOG_FACILITY":"0","MESSAGE":"{MESSAGE}"}}',
        f" {MESSAGE}",
        RECORD,
    ],
)
def test_a_hop_out_of_a_file_is_marked_as_out_of_a_log(line):
    assert hop_of(line).source == LOG
    assert kmsg.parse(RECORD, 1.0).source == KMSG


def test_json_of_dmesg_is_read_record_by_record():
    messages = json.loads((RECORDINGS / "wrap-dmesg-json-values.json").read_text())["dmesg"]
    assert bare(hops_of(message["msg"] for message in messages)) == bare(PLAIN)


@pytest.mark.parametrize("line", ["", "TRACE:", "TRACE: raw", "no trace at all", "TRACE: a:b:c:d"])
def test_what_is_no_hop_is_none(line):
    assert hop_of(line) is None


def test_cut_anywhere_a_line_gives_a_hop_or_none():
    line = lines("seed-eks-forward.log")[0]
    whole = hop_of(line)
    for end in range(len(line)):
        hop = hop_of(line[:end])
        assert hop is None or hop.table == whole.table


@given(st.text() | st.text(alphabet="TRACE: rawpolicynt=SRCIN0123456789.[]<>,;\x1b\\x\n"))
def test_whatever_the_text_nothing_is_raised(text):
    for one in (text, f"TRACE: raw:PREROUTING:policy:1 {text}", f"4,1,1,-;TRACE: {text}"):
        hop_of(one)
        kmsg.parse(one, None)


@given(st.binary())
def test_whatever_the_bytes_nothing_is_raised(data):
    kmsg.parse(data, 0.0)


def test_the_seed_names_its_rules():
    first = assembled(hops_of(lines("seed-eks-forward.log")))[0]
    assert points(first)[0] == "raw:PREROUTING:policy:2"
    assert all(hop.rulenum for hop in first.hops)


BODY = lines("seed-eks-forward.log")[0].partition("TRACE:")[2]
HUGE = "9" * 5000
"""More digits than int() takes."""


@pytest.mark.parametrize(
    "line",
    [
        f"[999999999999999.000000] TRACE:{BODY}",
        f"[{HUGE}.000000] TRACE:{BODY}",
        f"9999-12-31T23:59:59-23:59 TRACE:{BODY}",
        f"4,1,{HUGE},-;TRACE:{BODY}",
        f"TRACE:{BODY.replace('LEN=60', f'LEN={HUGE}')}",
        f"TRACE:{BODY.replace('SPT=22896', f'SPT={HUGE}')}",
        f"TRACE:{BODY} MARK=0x{'f' * 6000}",
    ],
)
def test_a_number_that_no_kernel_prints_costs_only_itself(line):
    """Neither reading it nor showing it fails; what cannot be meant is not known."""
    (packet,) = assembled([hop_of(line)])
    assert packet.header.src == "172.31.47.174"
    assert packet.time is None


@pytest.mark.parametrize(
    "line", [f"{HUGE},1,1,-;TRACE:{BODY}", f"TRACE:{BODY}".replace(":2 ", f":{HUGE} ")]
)
def test_a_place_or_level_that_no_kernel_prints_is_no_hop(line):
    assert hop_of(line) is None


@pytest.mark.parametrize("at", [0, 1])
def test_a_name_that_no_kernel_gives_is_no_hop(at):
    names = ["raw", "PREROUTING"]
    names[at] = "x" * 256
    assert hop_of(f"TRACE: {':'.join(names)}:policy:2{BODY[BODY.index(' IN=') :]}") is None


def test_what_stands_behind_the_longest_record_is_none_of_it():
    assert hop_of(f"TRACE: raw:X:rule:1 {'x ' * 1000}SRC=10.0.0.1 ").header is not None
    assert hop_of(f"TRACE: raw:X:rule:1 {'x ' * 3000}SRC=10.0.0.1 ").header is None


def test_an_address_has_no_scope():
    hop = hop_of("TRACE: raw:X:rule:1 SRC=fe80::1%\x1b]0;x DST=fe80::2 PROTO=UDP")
    assert (hop.header.src, hop.header.dst) == (None, "fe80::2")


def test_lines_of_nothing_but_beginnings_are_read_at_once():
    """Each looked for its end in all that follows; 9 seconds a line."""
    for beginning in ("OPT (", "[", "TRACE: a:b:rule:", "[ "):
        for number in range(50):
            hop_of(f"TRACE: raw:X:rule:1 {number} {beginning * 13_000}")


def test_half_of_a_character_in_an_escaped_name_raises_nothing():
    """JSON can bring one; no file can."""
    assert kmsg.unescape("\ud800\\x41") == "\\ud800A"
