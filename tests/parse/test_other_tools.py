"""What nft, xtables-monitor, ulogd, nftrace and tshark print, beside what the kernel sent."""

from __future__ import annotations

import json

import pytest
from tests.recorded import assembled, datagrams, hop_of, hops_of, lines, points, unpacked

from tracetui.model.trace.hop import LOG
from tracetui.parse.line_reader import LineReader
from tracetui.parse.netlink import nflog, nftrace

NAMES = {1: "lo", 2: "pfn0", 3: "pfn1"}
NFT = unpacked("scenario-nft.nft-monitor.txt.gz").splitlines()
XTABLES = unpacked("scenario-nft.xtables-monitor.txt.gz").splitlines()
SENT = [
    hop
    for one in datagrams("scenario-nft.bin.gz")
    if (hop := nftrace.parse(one, NAMES, 1.0)) is not None
]
PRINTED = [hop for hop in SENT if hop.type != "return" or hop.handle is not None]
"""Without the implicit ends of chains, which the tools do not print."""


def common(hops, others):
    """Those of the traces that both have: one program was started before the other."""
    ids = {hop.trace_id for hop in others}
    return [hop for hop in hops if hop.trace_id in ids]


def seen(hop):
    return (hop.trace_id, hop.family, hop.table, hop.chain, hop.hook, hop.type, hop.verdict)


def test_nft_monitor_shows_the_hops_that_the_kernel_sent():
    hops = hops_of(NFT)
    assert len(PRINTED) > 1000
    assert sorted(map(seen, common(hops, SENT))) == sorted(map(seen, PRINTED))
    assert all(hop.rule and hop.source == LOG for hop in hops if hop.type == "rule")


def test_nft_monitor_shows_the_headers_that_the_kernel_sent():
    def headers(hops):
        found = ((hop.trace_id, hop.chain, hop.iif, hop.oif, hop.mac, hop.header) for hop in hops)
        # nft prints no sequence numbers, and no bytes.
        return {
            (*one[:5], one[5]._replace(tcp_seq=None, tcp_ack=None, icmp_code=None, raw=None))
            for one in found
            if one[5] is not None
        }

    ours = headers(common(hops_of(NFT), SENT))
    assert len(ours) > 300
    assert ours == headers(SENT)


def test_xtables_monitor_shows_the_hops_that_the_kernel_sent_with_their_handles():
    hops = common(hops_of(XTABLES), SENT)
    sent = {(*seen(hop), hop.handle) for hop in SENT}
    assert len(hops) > 300
    assert {(*seen(hop), hop.handle) for hop in hops} <= sent
    rules = [hop.rule for hop in hops if hop.type == "rule" and hop.rule]
    assert len(rules) > 100
    assert all(rule.startswith("-A ") for rule in rules)


def test_nft_and_xtables_monitor_give_the_packets_of_the_raw_datagrams():
    def paths(hops):
        return sorted(
            [seen(hop)[:5] for hop in packet.hops if hop.type != "return" or hop.handle]
            for packet in assembled(hops)
        )

    assert paths(common(hops_of(NFT), SENT)) == paths(SENT)


def test_dmesg_and_kmsg_give_the_same_packets():
    def paths(text):
        return [(p.header, points(p), p.nat) for p in assembled(hops_of(text.splitlines()))]

    plain = paths(unpacked("scenario-legacy.dmesg.txt.gz"))
    assert len(plain) > 100
    assert paths(unpacked("scenario-legacy.dmesg-x.txt.gz")) == plain
    kmsg = paths(unpacked("scenario-legacy.kmsg.gz"))
    assert all(one in plain for one in kmsg)


def test_the_nflog_route_gives_packets_of_the_same_kind():
    """Another run of the same script: ports and ids differ, the ways do not."""
    hops = [
        hop
        for one in datagrams("scenario-legacy-nflog.bin.gz")
        if (hop := nflog.parse(one, NAMES, 1.0)) is not None
    ]
    sent = {tuple(points(packet)) for packet in assembled(hops) if packet.header.family == 4}
    text = hops_of(unpacked("scenario-legacy.dmesg.txt.gz").splitlines())
    read = {tuple(points(packet)) for packet in assembled(text) if packet.header.family == 4}
    assert len(read & sent) > 10


@pytest.mark.parametrize(
    ("name", "hops", "packets"),
    [("nft-monitor-1.0.6-on-6.18.txt", 21, 3), ("xtables-monitor-1.8.9-on-6.18.txt", 11, 2)],
)
def test_what_the_tools_print_on_a_new_kernel_is_read_whole(name, hops, packets):
    reader = LineReader()
    found = [hop for line in lines(name) for hop in reader.feed(line)] + reader.finish()
    assert (len(found), reader.skipped) == (hops, 0)
    assert len(assembled(found)) == packets


ID = "trace id 0a1b2c3d"
CHAIN = f"{ID} ip filter FORWARD"
PACKET = f'{CHAIN} packet: iif "a b" oif "c" ip saddr 10.0.0.1 ip daddr 10.0.0.2 ip ttl 63 '


def test_the_last_verdict_on_a_line_is_the_one_of_the_event():
    hop = hop_of(f'{CHAIN} rule comment "(verdict drop)" accept (verdict jump X)')
    assert (hop.verdict, hop.rule) == ("jump X", 'comment "(verdict drop)" accept')


def test_an_event_in_a_rules_comment_is_no_event():
    forged = f"{ID} ip raw PREROUTING policy drop "
    hops = hops_of([f'{CHAIN} rule accept comment "{forged}" (verdict accept)'])
    assert [(hop.chain, hop.verdict) for hop in hops] == [("FORWARD", "accept")]


def test_a_rule_that_nft_does_not_know_has_its_handle():
    hop = hop_of(f"{CHAIN} unknown rule handle 17 (verdict accept)")
    assert (hop.type, hop.handle, hop.verdict, hop.rule) == ("rule", 17, "accept", None)


def test_a_header_belongs_to_the_first_event_of_its_chain():
    hops = hops_of([PACKET, f"{CHAIN} rule counter (verdict continue)", f"{CHAIN} policy accept "])
    assert [hop.header is not None for hop in hops] == [True, False]
    assert (hops[0].iif, hops[0].oif, hops[0].header.ttl) == ("a b", "c", 63)


def test_a_packet_whose_event_is_cut_off_is_known_to_have_come_there():
    (hop,) = hops_of([PACKET])
    assert (hop.type, hop.handle, hop.verdict, hop.rule) == ("rule", None, None, None)
    assert hop.header.src == "10.0.0.1"


def test_a_rule_whose_end_is_cut_off_is_not_shown_as_if_it_were_whole():
    hop = hop_of(f"{CHAIN} rule ip saddr 10.0.0.1 tcp dport 80 jum")
    assert (hop.verdict, hop.rule) == (None, None)


def test_conntracks_line_goes_with_the_packets():
    reader = LineReader()
    text = f"{CHAIN} conntrack: ct direction original ct state new ct id 2641368242 "
    hops = [hop for line in (text, PACKET) for hop in reader.feed(line)] + reader.finish()
    assert (len(hops), reader.skipped) == (1, 0)


def test_a_mark_stays_until_another_is_printed():
    """It is printed at the end of a chain only; at a rule it has not changed for that."""
    hops = hops_of(
        [
            PACKET,
            f"{CHAIN} policy accept meta mark 0x0000000f ",
            f"{ID} ip nat POSTROUTING rule counter (verdict continue)",
            f"{ID} ip nat POSTROUTING policy accept ",
            f"{ID} ip mangle POSTROUTING rule counter (verdict continue)",
        ]
    )
    assert [hop.mark for hop in hops] == [15, 15, None, None]


@pytest.mark.parametrize(
    ("printed", "flags"),
    [
        ("== syn", "SYN"),
        ("== 0x18", "ACK PSH"),
        ("ack,psh", "ACK PSH"),
        ("== 0x0", ""),
        ("x", None),
    ],
)
def test_tcp_flags_are_read_as_a_name_as_names_or_as_a_number(printed, flags):
    hops = hops_of([f"{PACKET}tcp sport 1 tcp dport 2 tcp flags {printed} tcp window 1 "])
    assert hops[0].header.flags == flags


@pytest.mark.parametrize(
    ("printed", "field", "value"),
    [
        (
            "icmp type echo-request icmp code net-unreachable icmp id 7 icmp sequence 2",
            "icmp_id",
            7,
        ),
        ("icmp type destination-unreachable icmp code port-unreachable", "icmp_code", 3),
        ("icmp type 42", "icmp_type", 42),
        ("ip protocol gre", "proto", "gre"),
        ("ip protocol 253", "proto", "253"),
        ("sctp sport 9 sctp dport 10", "sport", 9),
    ],
)
def test_what_nft_names_is_read_as_the_number_that_it_is(printed, field, value):
    (hop,) = hops_of([PACKET + printed + " "])
    assert getattr(hop.header, field) == value


def test_an_icmpv6_echo_has_its_id_and_sequence_in_one_number():
    (hop,) = hops_of(
        [
            f"{ID} ip6 x y packet: ip6 saddr fd00::1 ip6 daddr fd00::2 ip6 length 64 "
            f"icmpv6 type echo-reply icmpv6 code no-route icmpv6 parameter-problem {5 << 16 | 9} "
        ]
    )
    assert (hop.header.icmp_type, hop.header.icmp_id, hop.header.icmp_seq) == (129, 5, 9)
    assert hop.header.length == 104


X = "2 0427ffe5"
XPACKET = f"PACKET: {X} IN=eth0 SRC=10.0.0.1 DST=10.0.0.2 LEN=60 TOS=0x0 TTL=64 "


@pytest.mark.parametrize(
    "tail",
    [
        "ID=45471DF SPORT=80 DPORT=9 SYN",
        "ID=45471SPORT=80 DPORT=9 SYN",
        "ID=45471 DF SPORT=80 DPORT=9 SYN ",
    ],
)
def test_an_id_that_words_are_glued_to_is_its_digits(tail):
    hops = hops_of([XPACKET + tail, f" TRACE: {X} raw:PREROUTING:policy:ACCEPT "])
    header = hops[0].header
    assert (header.ip_id, header.sport, header.proto, header.flags) == (45471, 80, "tcp", "SYN")


def test_ports_without_flags_do_not_tell_the_protocol():
    hops = hops_of([f"{XPACKET}ID=1 SPORT=80 DPORT=9 ", f" TRACE: {X} raw:OUTPUT:return:"])
    assert (hops[0].header.proto, hops[0].header.sport) == (None, 80)


def test_where_the_packet_follows_its_trace_line_it_is_still_that_hops():
    hops = hops_of(
        [
            f" TRACE: {X} nat:OUTPUT:rule:0x9:ACCEPT  -4 -t nat -A OUTPUT -j DNAT --to 10.0.0.9",
            f"{XPACKET}ID=7 SPORT=80 DPORT=9 SYN",
            f" TRACE: {X} filter:OUTPUT:rule:0x3:ACCEPT  -4 -t filter -A OUTPUT -j ACCEPT",
            f"{XPACKET.replace('10.0.0.2', '10.0.0.9')}ID=7 SPORT=80 DPORT=9 SYN",
        ]
    )
    assert [hop.header.dst for hop in hops] == ["10.0.0.2", "10.0.0.9"]


def test_verdicts_of_xtables_monitor_are_in_nfts_words():
    printed = ("ACCEPT", "DROP", "JUMP:A:B", "GOTO:C", "CONTINUE", "0xfffffffb", "0x7")
    said = [hop_of(f" TRACE: {X} filter:X:rule:0xaf:{one}  -A X -j Y").verdict for one in printed]
    assert said == ["accept", "drop", "jump A:B", "goto C", "continue", "return", None]


ULOGD = {
    "timestamp": "2026-11-22T10:43:24.5+0000",
    "oob.prefix": "TRACE: filter:FORWARD:rule:3 ",
    "oob.in": "eth0",
    "oob.out": "eth1",
    "oob.hook": 2,
    "oob.family": 2,
    "src_ip": "10.0.0.1",
    "dest_ip": "10.0.0.2",
    "src_port": 1234,
    "dest_port": 80,
    "ip.protocol": 6,
    "ip.ttl": 63,
    "ip.totlen": 60,
    "ip.id": 77,
    "ip.fragoff": 16384,
    "tcp.syn": 1,
    "tcp.seq": 5,
}


@pytest.mark.parametrize("cut", [None, 20, 120, 200])
def test_a_record_of_ulogd_is_a_hop_also_broken_in_two(cut):
    text = json.dumps(ULOGD)
    hops = hops_of([text] if cut is None else [text[:cut], text[cut:]])
    (hop,) = hops
    assert (hop.place, hop.hook, hop.iif, hop.oif) == (
        *("filter:FORWARD:rule:3", "FORWARD"),
        *("eth0", "eth1"),
    )
    header = hop.header
    assert (header.src, header.dst, header.sport, header.dport) == (
        *("10.0.0.1", "10.0.0.2"),
        *(1234, 80),
    )
    assert (header.proto, header.flags, header.ip_id, header.fragment) == ("tcp", "SYN", 77, None)
    assert hop.time == 1795344204.5


def test_what_is_whole_of_a_broken_record_is_read_and_nothing_else():
    text = json.dumps(ULOGD)
    at = text.index('"src_port"')
    reader = LineReader()
    hops = [*reader.feed(text[: at + 14]), *reader.feed(json.dumps(ULOGD)), *reader.finish()]
    assert [hop.header.sport for hop in hops] == [None, 1234]
    assert hops[0].header.src == "10.0.0.1"


def test_nftraces_hops_get_the_header_of_the_summary():
    reader = LineReader()
    text = [
        '333e26bf278d TRACE: raw:PREROUTING:rule:3  "-A PREROUTING -m comment --comment \\"a b\\""',
        "333e26bf278e TRACE: raw:OUTPUT:return:1",
        "",
        "Aggregated packets:",
        "333e26bf278d IP6 fd00::1.53 > fd00::2.99: Flags [S.], seq 1, length 0",
    ]
    assert [hop for line in text for hop in reader.feed(line)] == []
    one, other = reader.finish()
    assert one.rule == '-A PREROUTING -m comment --comment "a b"'
    assert (one.family, one.header.src, one.header.sport) == ("ip6", "fd00::1", 53)
    assert (one.header.proto, one.header.flags) == ("tcp", "ACK SYN")
    assert other.header is None
    assert reader.skipped == 1


def test_columns_of_tshark_are_read_by_their_names():
    hops = hops_of(
        [
            "nflog.prefix\tip.src\tip.dst\tip.proto\tudp.srcport\tudp.dstport",
            "TRACE: raw:PREROUTING:rule:2 \t10.0.0.1\t10.0.0.2\t17\t53\t99",
            "TRACE: raw:PREROUTING:policy:3 \t10.0.0.1\t10.0.0.2\t6\t\t",
        ]
    )
    headers = [hop.header for hop in hops]
    assert [(one.src, one.proto, one.sport) for one in headers] == [
        ("10.0.0.1", "udp", 53),
        ("10.0.0.1", "tcp", None),
    ]
