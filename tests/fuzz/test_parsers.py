"""Whatever a reader is given it gives a value or none; an error only where it says which."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz import damage, material, sane
from tests.fuzz.json_damage import json_texts

from tracetui import parse
from tracetui.collector.rules import printed_rules
from tracetui.errors import Failure
from tracetui.model.rules import parsed_rule, rule_words, saved_lines
from tracetui.model.rules.ruleset import Ruleset
from tracetui.model.trace.header import Header
from tracetui.model.trace.packet import Packet
from tracetui.parse import json_text
from tracetui.parse.headers import ethernet, ip
from tracetui.parse.listings import (
    listed_options,
    long_sets,
    nft_json,
    nft_json_rule,
    nft_json_values,
    nft_outline,
    nft_text,
    xtables_list,
    xtables_save,
)
from tracetui.parse.log import (
    body_cache,
    journal,
    json_objects,
    kmsg,
    losses,
    record_body,
    stamps,
    trace_record,
    wrapper,
)
from tracetui.parse.netlink import attributes, datagrams, nflog, nftrace
from tracetui.parse.node import module_texts, proc_modules
from tracetui.parse.tools import nft_header, nft_monitor, ulogd, xtables_monitor
from tracetui.session.recording import recording_reader, report
from tracetui.session.rulesets.rulesets import Rulesets
from tracetui.session.state.explanations import Explanations
from tracetui.session.text.sanitize import sanitize_json

READERS = (printed_rules, recording_reader, parsed_rule, rule_words, saved_lines)
"""What reads others' text outside the parsers' package."""
LINKS = {1: "lo", 2: "eth0"}
LONGEST_ESCAPE = 12
"""Characters that JSON writes for one that is not ASCII."""
PACKETS = [
    value
    for one in material.NFLOG
    if (value := attributes.first_message(one).attributes.get(9)) is not None
]
NUMBERS = st.integers(-1, 1 << 130)


class Fuzzed(NamedTuple):
    """How a parser is fed."""

    call: Callable[[Any], object]
    inputs: st.SearchStrategy
    raises: tuple[type[Exception], ...] = ()


def texts(originals: list[str]) -> st.SearchStrategy[str]:
    return damage.texts(originals) | st.text()


def binaries(originals: list[bytes]) -> st.SearchStrategy[bytes]:
    return damage.binaries(originals) | st.binary()


def messages(originals: list[bytes]) -> st.SearchStrategy[bytes]:
    return damage.datagrams(originals) | binaries(originals)


def saved(text: str) -> Ruleset:
    ruleset = Ruleset()
    for _ in xtables_save.parse(text.split("\n"), "ip", ruleset):
        pass
    return ruleset


def placed(text: str) -> Ruleset:
    ruleset = Ruleset()
    for _ in nft_outline.parse(text, ruleset):
        pass
    return ruleset


def shown(hop: object) -> object:
    """A hop with what the kernel would print of it."""
    return hop and (hop, hop.place)


def span(found: re.Match[str] | None) -> object:
    return found and found.span()


def spans(found: list[re.Match[str]]) -> object:
    return [one.span() for one in found]


def object_of(text: str) -> dict[str, Any] | None:
    """The object of a JSON text, or of one that nearly is one."""
    try:
        value = json_text.read(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def saying(text: str) -> object:
    """All that is made of a rule's text."""
    said = parsed_rule.parse_rule(text)
    return said, said.verdict, said.is_hashed, [test.text for test in said.tests]


def contradicted(given_to_it: tuple[str, Header, str]) -> object:
    text, header, iif = given_to_it
    return parsed_rule.mismatch(parsed_rule.parse_rule(text), header, iif, None)


def fitted(given_to_it: tuple[str, Header]) -> object:
    text, header = given_to_it
    fields = parsed_rule.FIELD_OF
    tests = [test for test in parsed_rule.parse_rule(text).tests if test.flag in fields]
    return [parsed_rule.fits(test, header and header[fields[test.flag]]) for test in tests]


def written(found: tuple[int, Packet] | None) -> None:
    """What was read can be explained, written to a file, and printed."""
    if found is None:
        return
    packet = found[1]
    explanation = Explanations(Rulesets()).of(packet)
    try:
        value = report.packet_json(packet, explanation)
        sanitize_json(json.dumps(value, ensure_ascii=False)).encode()
        "".join(report.packet_text(packet, explanation)).encode()
    except ValueError as error:
        # Only reading may raise it.
        raise AssertionError("can't be shown") from error


HEADERS = st.builds(
    Header,
    family=st.sampled_from((4, 6)),
    proto=st.none() | st.sampled_from(("tcp", "udp", "icmp", "47")),
    src=st.none() | st.sampled_from(("10.0.0.1", "fd00::1")),
    dst=st.none() | st.sampled_from(("10.96.0.10", "fd00:96::1")),
    sport=st.none() | st.integers(0, 65535),
    dport=st.none() | st.integers(0, 65535),
)
LOG_LINES = texts(material.LOG_LINES)
OUR_LINES = texts(material.RECORD) | json_texts(material.RECORD)
KMSG = texts(material.KMSG)
NFT_TRACE = texts(material.NFT_TRACE)
JOURNAL = texts(material.JOURNAL) | json_texts(material.JOURNAL)


NFT_STATEMENTS = json_texts(material.NFT_STATEMENTS) | texts(material.NFT_STATEMENTS)


def loaded(text: str) -> object:
    """A value of JSON; raises ValueError, as the reader of listings does for one too deep."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(text) from None


OPTIONS = [
    "tcp dpt:8080 ctstate NEW /* two words */ limit: avg 20/sec burst 5 to:10.0.0.1:80-90",
    "multiport dports 80,443 mark match 0x1/0x1 ADDRTYPE match dst-type LOCAL random persistent",
]
LISTED = """\
Chain PREROUTING (policy ACCEPT 7 packets, 588 bytes)
num   pkts bytes target  prot opt in     out     source       destination
1        3   252 DNAT    tcp  --  eth0   *       0.0.0.0/0    10.96.0.1   tcp dpt:80 to:10.0.0.2:8
2        0     0 KUBE    all  --  *      *      !10.0.0.0/8   0.0.0.0/0   /* "quoted" */

Chain KUBE (1 references)
 pkts bytes target  prot opt in     out     source       destination
    0     0 RETURN  udp  --  *      !lo     0.0.0.0/0    0.0.0.0/0   udp spts:1:2 mark match 0x1/0x1
"""
NOT_ITS_FORM = (
    nft_json_values.UnknownExpression, KeyError, TypeError, ValueError, AttributeError, IndexError,
)  # fmt: skip
"""What the writer of a statement takes from them, and leaves it JSON."""
PARSERS = {
    "ethernet.addresses": Fuzzed(
        ethernet.addresses, binaries([bytes(range(14)), bytes(range(18))])
    ),
    "ethernet.printed_addresses": Fuzzed(
        ethernet.printed_addresses, texts(["12:34:56:78:9a:bc:de:f0:12:34:56:78:08:00"])
    ),
    "ip.address6": Fuzzed(ip.address6, st.binary(min_size=16, max_size=16)),
    "ip.parse_cut6": Fuzzed(ip.parse_cut6, binaries(PACKETS)),
    "ip.parse": Fuzzed(ip.parse, binaries(PACKETS)),
    "ip.parse_parts": Fuzzed(
        lambda parts: ip.parse_parts(*parts), st.tuples(binaries(PACKETS), binaries(PACKETS))
    ),
    "json_text.number": Fuzzed(json_text.number, NUMBERS, (TypeError,)),
    "json_text.read": Fuzzed(
        lambda text: text and str(json_text.read(text)).encode() and None,
        texts(material.NFT_JSON) | json_texts(material.NFT_JSON),
        (ValueError,),
    ),
    "json_text.text": Fuzzed(json_text.text, st.text()),
    "kmsg.parse": Fuzzed(
        lambda record: shown(kmsg.parse(record, None)),
        KMSG | KMSG.map(lambda text: text.encode(errors="replace")) | st.binary(),
    ),
    "kmsg.unescape": Fuzzed(kmsg.unescape, texts([r"a\x20b\x1bc\x0a", r"\\x5cx41"])),
    "printed_rules.listing": Fuzzed(
        lambda text: printed_rules.listing(text, "raw"),
        texts(material.RAW) | texts(material.SAVED),
        (Failure,),
    ),
    "trace_record.find": Fuzzed(
        lambda text: (found := trace_record.find(text)) and found.span(), LOG_LINES
    ),
    "trace_record.parse": Fuzzed(lambda text: shown(trace_record.parse(text)), LOG_LINES),
    "attributes.attributes": Fuzzed(
        attributes.attributes, binaries([one[20:] for one in material.NFLOG])
    ),
    "attributes.first_message": Fuzzed(attributes.first_message, messages(material.NFLOG)),
    "attributes.number": Fuzzed(
        lambda given: attributes.number(*given),
        st.tuples(st.none() | st.binary(max_size=20), st.sampled_from((2, 4, 8))),
    ),
    "nflog.link_name": Fuzzed(lambda index: nflog.link_name(index, LINKS), st.binary()),
    "nflog.parse": Fuzzed(
        lambda data: shown(nflog.parse(data, LINKS, 1.0)), messages(material.NFLOG)
    ),
    "nflog.stamp": Fuzzed(nflog.stamp, st.none() | st.binary(max_size=20)),
    "nft_json.parse": Fuzzed(
        nft_json.parse,
        texts(material.NFT_JSON) | json_texts(material.NFT_JSON),
        (ValueError,),
    ),
    "nft_json_rule.block_of": Fuzzed(
        lambda text: nft_json_rule.block_of([loaded(text)]), NFT_STATEMENTS, (ValueError,)
    ),
    "nft_json_rule.rule_text": Fuzzed(
        lambda text: nft_json_rule.rule_text([loaded(text)], "x", "ip"),
        NFT_STATEMENTS,
        (ValueError,),
    ),
    "nft_json_rule.statement_text": Fuzzed(
        lambda text: nft_json_rule.statement_text(loaded(text)),
        NFT_STATEMENTS,
        (ValueError,),
    ),
    **{
        f"nft_json_values.{function.__name__}": Fuzzed(
            lambda text, function=function: function(loaded(text)), NFT_STATEMENTS, NOT_ITS_FORM
        )
        for function in (
            nft_json_values.duration_text,
            nft_json_values.is_operation,
            nft_json_values.kind_of,
            nft_json_values.verdict_text,
            nft_json_values.expression_text,
        )
    },
    "nft_outline.parse": Fuzzed(
        placed, texts(material.PLACES) | json_texts(material.PLACES), (ValueError,)
    ),
    "nft_text.is_listing": Fuzzed(nft_text.is_listing, texts(material.NFT_TEXT)),
    "nft_text.parse": Fuzzed(nft_text.parse, texts(material.NFT_TEXT)),
    "nftrace.parse": Fuzzed(
        lambda data: shown(nftrace.parse(data, LINKS, 1.0)), messages(material.NFTRACE)
    ),
    "module_texts.facts": Fuzzed(
        lambda text: module_texts.facts(text, {}, {}), texts([material.MODINFO])
    ),
    "module_texts.loggers": Fuzzed(module_texts.loggers, texts([material.NF_LOG])),
    "module_texts.names_of_files": Fuzzed(
        module_texts.names_of_files, texts([material.MODULES_DEP])
    ),
    "module_texts.options": Fuzzed(module_texts.options, texts([material.CONFIG])),
    "body_cache.is_odd": Fuzzed(body_cache.is_odd, LOG_LINES),
    "proc_modules.parse": Fuzzed(proc_modules.parse, texts(material.MODULES)),
    "recording_reader.is_ours": Fuzzed(recording_reader.is_ours, OUR_LINES),
    "recording_reader.read_event": Fuzzed(recording_reader.read_event, OUR_LINES, (ValueError,)),
    "recording_reader.read_hello": Fuzzed(recording_reader.read_hello, OUR_LINES, (ValueError,)),
    "recording_reader.read_packet": Fuzzed(
        lambda line: written(recording_reader.read_packet(line, 1)),
        texts(material.PACKETS) | json_texts(material.PACKETS),
        (ValueError,),
    ),
    "recording_reader.read_snapshot": Fuzzed(
        lambda line: (
            (found := recording_reader.read_snapshot(line)) and Rulesets().take_record(found)
        ),
        OUR_LINES,
        (ValueError,),
    ),
    "parsed_rule.mismatch": Fuzzed(
        contradicted, st.tuples(texts(material.RULES), HEADERS, st.none() | st.text(max_size=5))
    ),
    "parsed_rule.fits": Fuzzed(fitted, st.tuples(texts(material.RULES), HEADERS)),
    "parsed_rule.parse_rule": Fuzzed(saying, texts(material.RULES)),
    "saved_lines.whole_lines": Fuzzed(
        lambda text: list(saved_lines.whole_lines(text.split("\n"))), texts(material.SAVED)
    ),
    "rule_words.iptables_words": Fuzzed(rule_words.iptables_words, texts(material.RULES)),
    "rule_words.nft_words": Fuzzed(rule_words.nft_words, texts(material.RULES)),
    "journal.entry": Fuzzed(
        lambda text: (found := object_of(text)) and journal.entry(found), JOURNAL
    ),
    "datagrams.length_of": Fuzzed(datagrams.length_of, st.binary(max_size=8)),
    "datagrams.attributes_at": Fuzzed(datagrams.attributes_at, messages(material.NFLOG)),
    "json_objects.is_record": Fuzzed(
        lambda text: (found := object_of(text)) and json_objects.is_record(found), JOURNAL
    ),
    "record_body.address": Fuzzed(
        record_body.address, texts(["10.0.0.1", "fd00::1", "::ffff:1.2.3.4"])
    ),
    "record_body.hexadecimal": Fuzzed(record_body.hexadecimal, texts(["0x4000", "dead"])),
    "record_body.number": Fuzzed(record_body.number, texts(["45471DF", "60"])),
    "record_body.read": Fuzzed(record_body.read, LOG_LINES),
    "trace_record.body_of": Fuzzed(
        lambda text: (found := trace_record.find(text)) and trace_record.body_of(text, found),
        LOG_LINES,
    ),
    "trace_record.find_all": Fuzzed(lambda text: spans(trace_record.find_all(text)), LOG_LINES),
    "trace_record.find_headless": Fuzzed(
        lambda text: span(trace_record.find_headless(text)), LOG_LINES
    ),
    "trace_record.hop": Fuzzed(
        lambda text: (
            (found := trace_record.find(text))
            and shown(trace_record.hop(found, trace_record.body_of(text, found), 1.0))
        ),
        LOG_LINES,
    ),
    "trace_record.point": Fuzzed(
        lambda text: (found := trace_record.find(text)) and trace_record.point(found, "ip").text,
        LOG_LINES,
    ),
    "long_sets.shortened": Fuzzed(long_sets.shortened, texts(material.RULES)),
    "losses.loss_in": Fuzzed(lambda text: losses.loss_in(text, 1), texts(material.LOSSES)),
    "nft_header.flags": Fuzzed(nft_header.flags, texts(["syn", "0x18", "ack,psh"])),
    "nft_header.is_part": Fuzzed(nft_header.is_part, NFT_TRACE),
    "nft_header.joined": Fuzzed(
        lambda parts: nft_header.joined(*parts), st.tuples(NFT_TRACE, NFT_TRACE)
    ),
    "nft_header.read": Fuzzed(nft_header.read, NFT_TRACE),
    "nft_monitor.find_all": Fuzzed(lambda text: spans(nft_monitor.find_all(text)), NFT_TRACE),
    "stamps.of_iso": Fuzzed(stamps.of_iso, LOG_LINES),
    "stamps.read": Fuzzed(stamps.read, LOG_LINES | texts(material.STAMPS)),
    "ulogd.parse": Fuzzed(
        lambda text: (found := object_of(text)) and shown(ulogd.parse(found)),
        texts(material.ULOGD) | json_texts(material.ULOGD),
    ),
    "listed_options.options": Fuzzed(
        lambda text: listed_options.options(text, "DNAT"), texts(OPTIONS)
    ),
    "xtables_list.is_head": Fuzzed(xtables_list.is_head, texts([LISTED])),
    "xtables_list.tables": Fuzzed(lambda text: list(xtables_list.tables(text)), texts([LISTED])),
    "wrapper.as_typed": Fuzzed(wrapper.as_typed, LOG_LINES | KMSG),
    "wrapper.bare": Fuzzed(wrapper.bare, LOG_LINES | KMSG),
    "wrapper.is_dictionary": Fuzzed(wrapper.is_dictionary, KMSG),
    "wrapper.is_of_a_program": Fuzzed(wrapper.is_of_a_program, LOG_LINES | texts(material.STAMPS)),
    "wrapper.sequence_of": Fuzzed(wrapper.sequence_of, KMSG),
    "wrapper.with_blanks": Fuzzed(wrapper.with_blanks, LOG_LINES),
    "xtables_monitor.find_all": Fuzzed(
        lambda text: spans(xtables_monitor.find_all(text)), texts(material.XTABLES_TRACE)
    ),
    "xtables_save.guessed_family": Fuzzed(xtables_save.guessed_family, texts(material.SAVED)),
    "xtables_save.origin": Fuzzed(xtables_save.origin, texts(material.SAVED)),
    "xtables_save.parse": Fuzzed(saved, texts(material.SAVED)),
    "xtables_save.parse_chain": Fuzzed(xtables_save.parse_chain, texts(material.LISTED_CHAIN)),
    "xtables_save.saved_form": Fuzzed(
        xtables_save.saved_form,
        texts(["-P INPUT ACCEPT\n-P FORWARD DROP\n-P OUTPUT ACCEPT\n-N X\n"]),
    ),
    "xtables_save.parts": Fuzzed(
        lambda text: list(xtables_save.parts(text)), texts(material.SAVED)
    ),
}


def public_functions() -> set[str]:
    """``module.function`` of all that reads what others wrote, cached ones too."""
    parsers = (
        importlib.import_module(module.name)
        for module in pkgutil.walk_packages(parse.__path__, f"{parse.__name__}.")
    )
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}"
        for module in (*parsers, *READERS)
        for name, value in vars(module).items()
        if not name.startswith("_")
        and callable(value)
        and not isinstance(value, type)
        and getattr(value, "__module__", None) == module.__name__
    }


def test_every_reader_is_fuzzed():
    assert public_functions() == set(PARSERS)


@pytest.mark.parametrize("name", PARSERS)
@damage.few(100)
@given(data=st.data())
def test_a_reader_gives_a_sane_value_or_none(name, data):
    parser = PARSERS[name]
    given_to_it = data.draw(parser.inputs)
    try:
        value = parser.call(given_to_it)
    except parser.raises:
        return
    parts = given_to_it if isinstance(given_to_it, tuple) else (given_to_it,)
    size = sum(len(part) for part in parts if isinstance(part, (str, bytes)))
    sane.check(value, LONGEST_ESCAPE * size)
