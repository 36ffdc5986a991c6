"""One traversal in every wrapper in which the kernel's log reaches a file."""

from __future__ import annotations

import json

import pytest
from tests.recorded import assembled, hops_of, lines, unpacked

from tracetui.parse.line_reader import LineReader
from tracetui.parse.log.losses import Loss

MESSAGES = [line.partition("] ")[2] for line in lines("wrap-dmesg.txt")]
UPTIMES = [2931.726119, *(2931.726128 + at * 0.000008 for at in range(len(MESSAGES) - 1))]
PLAIN = [hop.with_(time=None) for hop in hops_of(MESSAGES)]
EPOCH = 1795344204.0
"""2026-11-22 10:43:24 UTC."""
DISTANCES = [round((time - UPTIMES[0]) * 1e6) for time in UPTIMES]


def read(text):
    reader = LineReader()
    hops = [hop for line in text for hop in reader.feed(f"{line}\n")]
    return reader, hops + reader.finish()


def each(shape):
    """The messages, each on the lines that a shape gives it."""
    found = []
    for at, (message, uptime) in enumerate(zip(MESSAGES, UPTIMES)):
        wall = EPOCH + uptime - 2931
        whole, part = f"{uptime:.6f}".split(".")
        values = {
            "msg": message, "json": json.dumps(message), "up": f"{whole:>5}.{part}", "part": part,
            "us": f"{whole}{part}", "epoch": f"{wall:.6f}", "epoch_us": f"{round(wall * 1e6)}",
            "read_us": f"{round(wall * 1e6) + at * 700}", "n": str(at),
            "bytes": json.dumps(list(message.encode())),
        }  # fmt: skip
        for line in shape.split("\n"):
            for name, value in values.items():
                line = line.replace(f"<{name}>", value)
            found.append(line)
    return found


FINE = {
    "dmesg": "[<up>] <msg>",
    "dmesg -x": "kern  :warn  : [<up>] <msg>",
    "dmesg -r": "<4>[<up>] <msg>",
    "dmesg -d": "[<up> <    0.000009>] <msg>",
    "dmesg, caller": "[<up>][  T1234] <msg>",
    "dmesg, caller apart": "[<up>] [    C0] <msg>",
    "journalctl -o short-monotonic": "[<up>] node-7 kernel: <msg>",
    "rsyslog with the kernel's stamp": "Nov 22 10:43:24 node-7 kernel: [<up>] <msg>",
    "rsyslog, level in front": "<4>Nov  2 10:43:24 node-7 kernel: [<up>] <msg>",
    "journalctl -o short-precise": "Nov 22 10:43:24.<part> node-7 kernel: <msg>",
    "kmsg": "4,<n>,<us>,-;<msg>",
    "kmsg with a dictionary": "4,<n>,<us>,-,caller=T12;<msg>\n SUBSYSTEM=net\n DEVICE=n2",
    "kubectl logs --prefix": "[pod/dmesg-x/main] <4>[<up>] <msg>",
}
PLACED = {
    "dmesg --time-format iso": "2026-11-22T10:43:24,<part>+00:00 <msg>",
    "dmesg, several stamps": "[<up>] [Sun Nov 22 10:43:24 2026] [  +0.000009] <msg>",
    "journalctl -o short-iso-precise": "2026-11-22T10:43:24.<part>+0000 node-7 kernel: <msg>",
    "journalctl -o short-unix": "<epoch> node-7 kernel: <msg>",
    "rsyslog RFC 3339": "2026-11-22T11:43:24.<part>+01:00 node-7 kernel: [<up>] <msg>",
    "logread": "Sun Nov 22 10:43:24 2026 kern.warn kernel: [<up>] <msg>",
    "container log": "2026-11-22T10:43:24.726119123Z stdout F <4>[<up>] <msg>",
    "docker": '{"log":<json>,"stream":"stdout","time":"2026-11-22T10:43:24.<part>123Z"}',
    "journalctl -o json": '{"MESSAGE":<json>,"_TRANSPORT":"kernel","SYSLOG_FACILITY":"0",'
    '"_BOOT_ID":"x","__REALTIME_TIMESTAMP":"<read_us>","_SOURCE_MONOTONIC_TIMESTAMP":"<us>"}',
    "journalctl -o json, bytes": '{"MESSAGE":<bytes>,"__REALTIME_TIMESTAMP":"<epoch_us>"}',
    "journalctl -o json-pretty": '{\n\t"__REALTIME_TIMESTAMP" : "<epoch_us>",\n'
    '\t"MESSAGE" : <json>,\n\t"SYSLOG_FACILITY" : "0"\n}',
    "journalctl -o json-seq": '\x1e{"MESSAGE":<json>,'
    '"__REALTIME_TIMESTAMP":"<epoch_us>"}',
    "journalctl -o json-sse": 'data: {"MESSAGE":<json>,"__REALTIME_TIMESTAMP":"<epoch_us>"}\n',
    "journalctl -o verbose": "Sun 2026-11-22 10:43:24.<part> UTC [s=2a0b1f;i=1f<n>;b=e]\n"
    "    __REALTIME_TIMESTAMP=<epoch_us>\n    MESSAGE=<msg>\n    _TRANSPORT=kernel",
    "journalctl -o export": "__CURSOR=s=1\n__REALTIME_TIMESTAMP=<epoch_us>\n_TRANSPORT=kernel\n"
    "MESSAGE=<msg>\nSYSLOG_FACILITY=0\n",
}  # fmt: skip
COARSE = {
    "dmesg -T": "[Sun Nov 22 10:43:24 2026] <msg>",
    "journalctl -o short-iso": "2026-11-22T10:43:24+0000 node-7 kernel: <msg>",
    "journalctl -o short-full": "Sun 2026-11-22 10:43:24 UTC node-7 kernel: <msg>",
}
WITHOUT = {
    "notime, journalctl -o cat": "<msg>",
    "rsyslog without": "Nov 22 10:43:24 node-7 kernel: <msg>",
}


@pytest.mark.parametrize("name", [*FINE, *PLACED, *COARSE, *WITHOUT])
def test_every_wrapper_gives_the_same_hops_and_nothing_is_skipped(name):
    shape = {**FINE, **PLACED, **COARSE, **WITHOUT}[name]
    reader, hops = read(each(shape))
    assert [hop.with_(time=None) for hop in hops] == PLAIN
    assert (reader.skipped, reader.lost) == (0, 0)


@pytest.mark.parametrize("name", [*FINE, *PLACED])
def test_fine_stamps_keep_the_distances_between_hops(name):
    _, hops = read(each({**FINE, **PLACED}[name]))
    (packet,) = assembled(hops)
    assert packet.stamps() == DISTANCES


@pytest.mark.parametrize("name", [*PLACED, *COARSE])
def test_a_wrapper_with_a_date_gives_the_time(name):
    (packet,) = assembled(read(each({**PLACED, **COARSE}[name]))[1])
    assert int(packet.time) == EPOCH


@pytest.mark.parametrize("name", [*FINE, *WITHOUT])
def test_a_wrapper_without_a_whole_date_gives_none(name):
    (packet,) = assembled(read(each({**FINE, **WITHOUT}[name]))[1])
    assert packet.time is None


@pytest.mark.parametrize("name", [*COARSE, *WITHOUT])
def test_whole_seconds_give_no_distances(name):
    (packet,) = assembled(read(each({**COARSE, **WITHOUT}[name]))[1])
    assert set(packet.stamps()) == {None}


def test_relative_stamps_count_from_the_line_before_whatever_it_was():
    hops = read(
        [
            f"[Nov22 10:43] {MESSAGES[0]}",
            "[  +0.000100] eth0: link up",
            f"[  +0.000020] {MESSAGES[1]}",
            f"[ +12.000000] {MESSAGES[2]}",
        ]
    )[1]
    assert [round((hop.time - hops[0].time) * 1e6) for hop in hops] == [0, 120, 12_000_120]


def test_a_new_minute_takes_no_more_time_than_is_certain():
    """The minute is told in place of the distance: a packet goes on over it."""
    text = [f"[Nov22 10:43] {MESSAGES[0]}", f"[Nov22 10:44] {MESSAGES[1]}"]
    assert len(assembled(read(text)[1])) == 1
    apart = [f"[Nov22 10:43] {MESSAGES[0]}", f"[Nov22 10:46] {MESSAGES[0]}"]
    assert len(assembled(read(apart)[1])) == 2


def dmesg_json(head):
    parts = [
        f'         {head},\n         "time":  {up:.6f},\n         "msg": {json.dumps(msg)}\n'
        for msg, up in zip(MESSAGES, UPTIMES)
    ]
    return '{\n   "dmesg": [\n      {\n' + "      },{\n".join(parts) + "      }\n   ]\n}"


@pytest.mark.parametrize("head", ['"pri": 4', '"fac": "kern",\n         "pri": "warn"'])
@pytest.mark.parametrize("is_one_line", [False, True])
def test_dmesg_json_is_read_over_many_lines_or_one(head, is_one_line):
    text = dmesg_json(head)
    if is_one_line:
        text = json.dumps(json.loads(text))
    reader, hops = read(text.split("\n"))
    assert [hop.with_(time=None) for hop in hops] == PLAIN
    assert assembled(hops)[0].stamps() == DISTANCES
    assert reader.skipped == 0


@pytest.mark.parametrize("time", ["1" + 400 * "0", "-1", "1e400", "NaN", "true", "null"])
def test_a_record_of_dmesg_json_with_a_time_that_is_none_is_a_hop_without_one(time):
    record = f'{{"pri": 4, "time": {time}, "msg": {json.dumps(MESSAGES[0])}}}'
    _, hops = read([f'{{"dmesg": [{record}]}}'])
    assert [hop.time for hop in hops] in ([None], [1.0])


def test_json_that_begins_in_the_middle_of_a_record_is_read_from_the_next():
    reader, hops = read(lines("dmesg-json-tail.txt"))
    assert len(hops) == 9
    assert [hop.with_(time=None) for hop in hops[-6:]] == PLAIN
    assert reader.skipped <= 3


@pytest.mark.parametrize(
    "shape",
    [
        "<12>[<up>] <msg>",
        "user  :warn  : [<up>] <msg>",
        "Sun Nov 22 10:43:24 2026 user.notice root: <msg>",
        "12,<n>,<us>,-;<msg>",
        '{"MESSAGE":<json>,"_TRANSPORT":"stdout"}',
        '{"MESSAGE":<json>,"SYSLOG_FACILITY":"3"}',
        '{"fac":"user","pri":"warn","time":1.0,"msg":<json>}',
        '{"pri":12,"time":1.0,"msg":<json>}',
        "Sun 2026-11-22 10:43:24.<part> UTC [s=2a0b1f;i=1f<n>;b=e]\n    MESSAGE=<msg>\n"
        "    SYSLOG_FACILITY=3",
    ],
)
def test_what_a_program_wrote_is_no_hop_wherever_the_log_says_so(shape):
    reader, hops = read(each(shape))
    assert hops == []
    assert reader.skipped == len(MESSAGES)
    assert {why for _, why in reader.take_skipped()} <= {
        "a program wrote it, not the kernel",
        "no TRACE record of the kernel's",
    }


def test_gaps_in_the_numbers_of_kmsg_are_counted():
    text = unpacked("scenario-legacy.kmsg.gz").splitlines()
    records = [line for line in text if line[:1].isdigit()]
    whole, _ = read(records)
    reader, _ = read(records[:100] + records[107:200] + records[201:])
    assert reader.lost - whole.lost == 8
    assert [loss.records for loss in reader.take_losses()][-2:] == [7, 1]
    assert reader.take_losses() == []


@pytest.mark.parametrize(
    ("line", "records"),
    [
        ("Nov 22 10:43:24 n rsyslogd: imklog: messages lost due to rate-limiting", None),
        ("Nov 22 10:43:24 n rsyslogd: imjournal: 120 messages lost due to rate-limiting", 120),
        ("Nov 22 10:43:24 n systemd-journald[1]: Missed 33 kernel messages", 33),
        ("Nov 22 10:43:24 n systemd-journald[1]: Suppressed 7 messages from kernel", 7),
        ("[    1.000000] ** 5 printk messages dropped **", 5),
        ("Nov 22 10:43:24 n last message repeated 3 times", 3),
        ("# ERROR: We lost some netlink events!", None),
        ('{"MESSAGE":"Missed 12 kernel messages","SYSLOG_IDENTIFIER":"systemd-journald"}', 12),
    ],
)
def test_what_a_log_says_was_lost_is_told_and_counted_if_it_says_how_many(line, records):
    reader, hops = read([MESSAGES[0], line, MESSAGES[1]])
    assert (len(hops), reader.skipped) == (2, 0)
    (loss,) = reader.take_losses()
    assert isinstance(loss, Loss)
    assert (loss.line, loss.records) == (2, records)
    assert reader.lost == (records or 0)


def test_skipped_lines_are_told_with_their_numbers():
    reader, _ = read(["", MESSAGES[0], "hello", "  ", f"<12>{MESSAGES[1]}"])
    assert reader.take_skipped() == [
        (3, "no TRACE record"),
        (5, "a program wrote it, not the kernel"),
    ]
    assert reader.take_skipped() == []
    assert reader.skipped == 2
