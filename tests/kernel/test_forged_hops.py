"""Hops that other processes make up: what is not the kernel's is not taken for it."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.recorded import datagrams

from tracetui.collector.sources.sources import Source
from tracetui.kernel import netns
from tracetui.kernel.kmsg import KernelLog
from tracetui.kernel.netlink import LinkEvents, NetlinkSource, NfLog, NftTrace, close_to_others
from tracetui.kernel.nf_tables import NfTables
from tracetui.model.trace.hop import KMSG
from tracetui.parse.log import kmsg
from tracetui.parse.netlink import nflog, nftrace

pytestmark = pytest.mark.kernel

NETFILTER = 12
NFTRACE_GROUP, LINK_GROUP = 9, 1
TRACE = (
    b"TRACE: raw:PREROUTING:policy:2 IN=eth0 OUT= SRC=192.0.2.1 DST=192.0.2.2 LEN=40 "
    b"TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=TCP SPT=1 DPT=2 WINDOW=0 RES=0x00 SYN URGP=0 "
)
FILL = f"""
import socket, sys
out = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, {NETFILTER})
out.bind((0, 0))
try:
    for _ in range(1_000_000):
        out.sendto(b"x" * 1000, socket.MSG_DONTWAIT, (int(sys.argv[1]), 0))
except OSError:
    pass
else:
    sys.exit("never full")
"""
PARSERS = {"nflog": nflog.parse, "nftrace": nftrace.parse}


def is_a_hop(name: str, datagram: bytes) -> bool:
    return PARSERS[name](datagram, {}, 0.0) is not None


def inside(namespace, function):
    return netns.call_inside(netns.resolve(namespace.name), function)


def send(namespace, protocol: int, message: bytes, port: int, group: int = 0) -> str:
    """Send a netlink message from another process; what it says about it."""
    address = (port, 1 << group - 1 if group else 0)
    code = (
        "import socket\n"
        f"s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, {protocol}); s.bind((0, 0))\n"
        "try:\n"
        f"    s.sendto(bytes.fromhex({message.hex()!r}), {address})\n"
        "    print('sent')\n"
        "except OSError as error: print(type(error).__name__)"
    )
    return namespace.run(sys.executable, "-c", code).strip()


def received(receiver) -> list[bytes]:
    """What has arrived, as the collector takes it."""
    time.sleep(0.1)  # in which what must not come would have come
    found, _, is_all = receiver.receive(10_000)
    assert is_all
    return found


@pytest.mark.parametrize(
    ("name", "kind", "protocol"),
    [
        ("nftrace", NftTrace, NETFILTER),
        ("nflog", NfLog, NETFILTER),
        ("nflog", LinkEvents, socket.NETLINK_ROUTE),
    ],
)
def test_a_datagram_for_our_socket_alone_does_not_reach_it(namespace, name, kind, protocol):
    forged = next(datagrams(f"2cpu-interleaved-{name}.bin.gz"))
    assert is_a_hop(name, forged)
    receiver = inside(namespace, kind)
    try:
        port = receiver._socket.getsockname()[0]
        assert send(namespace, protocol, forged, port) == "ConnectionRefusedError"
        assert received(receiver) == []
        assert receiver.lost() == 0
    finally:
        receiver.close()


@pytest.mark.parametrize(
    ("name", "kind", "protocol", "group"),
    [
        ("nftrace", NftTrace, NETFILTER, NFTRACE_GROUP),
        ("nflog", LinkEvents, socket.NETLINK_ROUTE, LINK_GROUP),
    ],
)
def test_a_datagram_for_a_group_is_known_by_its_sender(namespace, name, kind, protocol, group):
    forged = next(datagrams(f"2cpu-interleaved-{name}.bin.gz"))
    receiver = inside(namespace, kind)
    try:
        assert send(namespace, protocol, forged, 0, group) == "sent"
        assert received(receiver) == []
    finally:
        receiver.close()


@contextmanager
def flooded(namespace, *messages: bytes):
    """Have another process send to the port our next socket gets, whether it is there or not."""
    code = (
        "import contextlib, socket\n"
        f"s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, {NETFILTER}); s.bind((0, 0))\n"
        f"messages = {[message.hex() for message in messages]!r}\n"
        "messages = [bytes.fromhex(one) for one in messages]\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    for one in messages:\n"
        f"        with contextlib.suppress(OSError): s.sendto(one, ({os.getpid()}, 0))\n"
    )
    argv = ["ip", "netns", "exec", namespace.name, sys.executable, "-c", code]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.kill()


def test_what_was_sent_before_the_socket_was_closed_to_others_is_thrown_away(namespace):
    """The kernel names a socket by its process, so others know the name before it is there."""
    forged = next(datagrams("2cpu-interleaved-nflog.bin.gz"))
    with flooded(namespace, forged):
        for _ in range(300):
            receiver = inside(namespace, NetlinkSource)
            assert receiver._socket.getsockname()[0] == os.getpid()
            # What was under way when the socket was closed is told by its sender.
            found, _, _ = receiver.receive(100)
            receiver.close()
            assert found == []


def test_a_socket_that_others_filled_up_is_as_good_as_new(namespace):
    """An overrun that is left on it would be taken for the kernel's: a lost hop, no answer."""
    opened = inside(namespace, lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER))
    with opened:
        opened.setblocking(False)
        opened.bind((0, 0))
        namespace.run(sys.executable, "-c", FILL, str(opened.getsockname()[0]))
        close_to_others(opened)
        with pytest.raises(BlockingIOError):
            opened.recv(1)


def test_made_up_hops_are_not_counted(namespace):
    forged = next(datagrams("2cpu-interleaved-nftrace.bin.gz"))
    source = Source("nftrace", inside(namespace, NftTrace))
    try:
        for _ in range(3):
            send(namespace, NETFILTER, forged, 0, NFTRACE_GROUP)
        assert source.take() == ([], [])
        assert source.is_dry
    finally:
        source.close()


def generation_of(value: int, sequence: int) -> bytes:
    """An answer to the question for the ruleset's generation (NFT_MSG_NEWGEN)."""
    head = struct.pack("=IHHIIBBH", 28, 10 << 8 | 15, 0, sequence, 0, 0, 0, 0)
    return head + struct.pack("=HH", 8, 1) + struct.pack(">I", value)


def test_another_process_answers_no_question_about_the_ruleset(namespace):
    """Not even one that guesses the number of the question, before the socket is closed to it."""
    namespace.run("nft", "add", "table", "ip", "real")
    with flooded(namespace, generation_of(4_000_000, 1)):
        for _ in range(200):
            asker = inside(namespace, NfTables)
            found = asker.generation()
            assert found < 1000
            asker.close()
    asker = inside(namespace, NfTables)
    try:
        port = asker._socket._wire.getsockname()[0]
        assert send(namespace, NETFILTER, generation_of(4_000_000, 1), port) == (
            "ConnectionRefusedError"
        )
        assert [table.name for table in asker.outline().tables] == ["real"]
    finally:
        asker.close()


def test_the_kernels_own_hops_still_come(namespace):
    receivers = {"nflog": inside(namespace, NfLog), "nftrace": inside(namespace, NftTrace)}
    sysctl = "echo nfnetlink_log > /proc/sys/net/netfilter/nf_log/2"
    try:
        namespace.run("sh", "-c", sysctl)
        for backend in ("legacy", "nft"):
            rule = ["-t", "raw", "-I", "OUTPUT", "-p", "icmp", "-j", "TRACE"]
            namespace.run(f"iptables-{backend}", *rule)
        namespace.ping()
        for name, receiver in receivers.items():
            hops = [is_a_hop(name, datagram) for datagram in received(receiver)]
            assert hops, name
            assert all(hops), name
    finally:
        for receiver in receivers.values():
            receiver.close()


def test_an_interface_that_comes_is_still_heard_of(namespace):
    events = inside(namespace, LinkEvents)
    try:
        namespace.run("ip", "link", "set", "lo", "down")
        assert received(events)
    finally:
        events.close()


@pytest.fixture
def kernel_log():
    log = KernelLog()
    yield log
    log.close()


FORGED = {
    "as the kernel's": b"<4>" + TRACE,
    "as an emergency": b"<0>" + TRACE,
    "without a level": TRACE,
    "with facility 0 beyond 8 bits": b"<2052>" + TRACE,
    "with a level of more than 32 bits": b"<4294967300>" + TRACE,
    "with the kernel's own mark of a level": b"\x014" + TRACE,
    "with the kernel's own mark of a continuation": b"\x01c" + TRACE,
    "behind a line end": b"<4>x\n" + TRACE,
    "behind a line end, with a level": b"<4>x\n<4>" + TRACE,
    "as a value of a record's dictionary": b"<4>x\n DEVICE=" + TRACE,
    "as a record in a record": b"<4>x\n4,1,1,-;" + TRACE,
}


@pytest.mark.parametrize("text", FORGED.values(), ids=FORGED)
def test_what_a_program_writes_into_the_kernel_log_is_no_hop(kernel_log, text):
    own = Path("/dev/kmsg")
    mark = f"tracetui test {os.getpid()} {time.monotonic_ns()}".encode()
    with own.open("rb", buffering=0) as reader:
        os.set_blocking(reader.fileno(), False)
        reader.seek(0, os.SEEK_END)
        for one in (text, mark):
            with own.open("wb", buffering=0) as log:
                # Without a line end a record is held back: the kernel could still go on with it.
                log.write(one + b"\n")
        records = []
        while not any(mark in record for record in records):
            records.append(os.read(reader.fileno(), 8192))
    # It is there, whole, and no reader of ours takes it.
    written = [one for one in records if TRACE.rstrip()[:40] in one]
    assert len(written) == 1
    assert kmsg.parse(written[0], 1.0) is None
    assert [one for one in received(kernel_log) if b"192.0.2.1" in one] == []


def test_a_log_rule_that_says_the_same_is_marked_as_everything_of_the_kernel_log(
    namespace, kernel_log
):
    """No record tells it from TRACE: that is why hops of this source say where they are from."""
    setting = Path("/proc/sys/net/netfilter/nf_log_all_netns")
    before = setting.read_text()
    setting.write_text("1")
    try:
        prefix = "TRACE: raw:FORGED:policy:2 "
        rule = ["-A", "OUTPUT", "-p", "icmp", "-j", "LOG", "--log-prefix", prefix]
        namespace.run("iptables-legacy", *rule)
        namespace.ping()
    finally:
        setting.write_text(before)
    hops = [kmsg.parse(record, 1.0) for record in received(kernel_log)]
    forged = [hop for hop in hops if hop is not None and hop.chain == "FORGED"]
    assert forged
    assert {hop.source for hop in forged} == {KMSG}


def test_a_log_rule_whose_prefix_only_holds_the_words_is_no_hop(namespace, kernel_log):
    setting = Path("/proc/sys/net/netfilter/nf_log_all_netns")
    before = setting.read_text()
    setting.write_text("1")
    try:
        rule = ["-A", "OUTPUT", "-p", "icmp", "-j", "LOG", "--log-prefix"]
        namespace.run("iptables-legacy", *rule, "x TRACE: raw:HELD:policy:2 ")
        namespace.ping()
    finally:
        setting.write_text(before)
    assert [record for record in received(kernel_log) if b"HELD" in record] == []


def test_a_rule_of_another_namespace_says_nothing_in_nflog(namespace, other_namespace):
    """Only one of the traced namespace can: -j NFLOG, to our group and with that prefix."""
    rule = ["-A", "OUTPUT", "-p", "icmp", "-j", "NFLOG", "--nflog-group", "0", "--nflog-threshold"]
    rule += ["1", "--nflog-prefix", "TRACE: raw:FORGED:policy:2 "]
    receiver = inside(namespace, NfLog)
    try:
        for where, count in ((other_namespace, 0), (namespace, 2)):
            where.run("iptables-legacy", *rule)
            where.ping()
            assert len(received(receiver)) == count
    finally:
        receiver.close()
