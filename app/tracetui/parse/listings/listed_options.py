"""Options of rules out of what ``iptables -L`` prints of matches and targets (iptables' libxt_*.c).

Each extension prints a text of its own; those that are met most are known, the others stay as they
are printed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

_TCP_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG")
_Option = Callable[["re.Match[str]"], str]


class RuleOptions(NamedTuple):
    """The options of one rule."""

    matches: str
    target: str
    rest: str
    """The part that is not known, as it is printed; empty where there is none."""


def _quoted(text: str) -> str:
    escaped = re.sub(r"([\"'\\])", r"\\\1", text)
    return escaped if re.fullmatch(r"[\w.,:/+-]+", text) else f'"{escaped}"'


def _ports(match: re.Match[str]) -> str:
    """``dpt:80``, ``spts:!1:1023`` and the like."""
    inverted = "! " if match["not"] else ""
    return f"{inverted}--{match['side']}port {match['ports']}"


def _tcp(match: re.Match[str]) -> str:
    name, options = match["name"], []
    for word in match["options"].split():
        port = _LISTED_PORTS.fullmatch(word)
        flags = _LISTED_FLAGS.fullmatch(word)
        if port is not None:
            options.append(_ports(port))
        elif flags is not None:
            mask, value = (_flag_names(int(flags[part], 16)) for part in ("mask", "value"))
            options.append(f"{'! ' if flags['not'] else ''}--tcp-flags {mask} {value}")
    return " ".join([f"-m {name}", *options])


def _flag_names(bits: int) -> str:
    names = [name for bit, name in enumerate(_TCP_FLAGS) if bits >> bit & 1]
    return "NONE" if not names else ",".join(names)


def _plain(template: str) -> _Option:
    """Make a writer of an option from a match's groups; ``not`` becomes ``!`` in front of it."""

    def option(match: re.Match[str]) -> str:
        groups = {name: value or "" for name, value in match.groupdict().items()}
        if "not" in groups:
            groups["not"] = "! " if groups["not"] else ""
        return template.format(**groups).strip()

    return option


def _limit(match: re.Match[str]) -> str:
    burst = "" if match["burst"] == "5" else f" --limit-burst {match['burst']}"
    return f"-m limit --limit {match['rate']}{burst}"


def _log(match: re.Match[str]) -> str:
    prefix = f"--log-prefix {_quoted(match['prefix'])}" if match["prefix"] else ""
    level = "" if match["level"] in ("4", "warning") else f"--log-level {match['level']}"
    return " ".join(part for part in (prefix, level) if part)


def _icmp_type(match: re.Match[str]) -> str:
    return match["type"] + (f"/{match['code']}" if match["code"] else "")


def _comment(match: re.Match[str]) -> str:
    return f"-m comment --comment {_quoted(match['text'])}"


_LISTED_PORTS = re.compile(r"(?P<side>[sd])pts?:(?P<not>!?)(?P<ports>[\w:.-]+)")
_LISTED_FLAGS = re.compile(
    r"flags:(?P<not>!?)0x(?P<mask>[0-9A-Fa-f]{2})/0x(?P<value>[0-9A-Fa-f]{2})"
)
_WORDS_OF_TCP = r"(?: (?:[sd]pts?:!?[\w:.-]+|flags:!?0x[0-9A-Fa-f]{2}/0x[0-9A-Fa-f]{2}))+"
_MATCHES: tuple[tuple[str, _Option], ...] = (
    (rf"(?P<name>tcp|udp|udplite|sctp|dccp)(?P<options>{_WORDS_OF_TCP})", _tcp),
    (r"icmptype (?P<type>[0-9]+)(?: code (?P<code>[0-9]+))?",
     lambda found: f"-m icmp --icmp-type {_icmp_type(found)}"),
    (r"ipv6-icmptype (?P<type>[0-9]+)(?: code (?P<code>[0-9]+))?",
     lambda found: f"-m icmp6 --icmpv6-type {_icmp_type(found)}"),
    (r"(?P<not>! )?ctstate (?P<states>[A-Z,]+)", _plain("-m conntrack {not}--ctstate {states}")),
    (r"(?P<not>! )?state (?P<states>[A-Z,]+)", _plain("-m state {not}--state {states}")),
    (r"/\* (?P<text>.*?) \*/(?= |$)", _comment),
    (r"multiport (?P<side>[sd]?)ports (?P<not>! ?)?(?P<ports>[\w,:]+)",
     _plain("-m multiport {not}--{side}ports {ports}")),
    (r"ADDRTYPE match src-type (?P<types>[A-Z,]+) dst-type (?P<others>[A-Z,]+)(?! limit)",
     _plain("-m addrtype --src-type {types} --dst-type {others}")),
    (r"ADDRTYPE match src-type (?P<not>!)?(?P<types>[A-Z,]+)(?! limit)(?! dst-type)",
     _plain("-m addrtype {not}--src-type {types}")),
    (r"ADDRTYPE match dst-type (?P<not>!)?(?P<types>[A-Z,]+)(?! limit)",
     _plain("-m addrtype {not}--dst-type {types}")),
    (r"limit: avg (?P<rate>[0-9]+/\w+) burst (?P<burst>[0-9]+)", _limit),
    (r"mark match (?P<not>! ?)?(?P<mark>0x[0-9a-f]+(?:/0x[0-9a-f]+)?)",
     _plain("-m mark {not}--mark {mark}")),
    (r"connmark match (?P<not>! ?)? ?(?P<mark>0x[0-9a-f]+(?:/0x[0-9a-f]+)?)",
     _plain("-m connmark {not}--mark {mark}")),
    (r"(?P<not>! )?match-set (?P<set>\S+) (?P<sides>(?:src|dst)(?:,(?:src|dst))*)",
     _plain("-m set {not}--match-set {set} {sides}")),
    (r"(?P<not>! )?MAC ?(?P<mac>[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5})",
     _plain("-m mac {not}--mac-source {mac}")),
    (r"source IP range (?P<not>! ?)?(?P<range>[0-9a-f.:]+-[0-9a-f.:]+)",
     _plain("-m iprange {not}--src-range {range}")),
    (r"destination IP range (?P<not>! ?)?(?P<range>[0-9a-f.:]+-[0-9a-f.:]+)",
     _plain("-m iprange {not}--dst-range {range}")),
)  # fmt: skip
_TARGETS: dict[str, tuple[tuple[str, _Option], ...]] = {
    "DNAT": ((r"to:(?P<to>\S+)", _plain("--to-destination {to}")),),
    "SNAT": ((r"to:(?P<to>\S+)", _plain("--to-source {to}")),),
    "NETMAP": ((r"to:(?P<to>\S+)", _plain("--to {to}")),),
    "REDIRECT": ((r"redir ports (?P<ports>[\w-]+)", _plain("--to-ports {ports}")),),
    "MASQUERADE": ((r"masq ports: (?P<ports>[\w-]+)", _plain("--to-ports {ports}")),),
    "LOG": (
        (r'LOG flags [0-9]+ level (?P<level>\w+)(?: prefix "(?P<prefix>[^"]*)")?', _log),
    ),
    "REJECT": ((r"reject-with (?P<with>[\w-]+)", _plain("--reject-with {with}")),),
    "MARK": (
        (r"MARK set (?P<mark>0x[0-9a-f]+)", _plain("--set-xmark {mark}/0xffffffff")),
        (r"MARK xset (?P<mark>0x[0-9a-f]+/0x[0-9a-f]+)", _plain("--set-xmark {mark}")),
        (r"MARK or (?P<mark>0x[0-9a-f]+)", _plain("--set-xmark {mark}/{mark}")),
    ),
    "TCPMSS": (
        (r"TCPMSS clamp to PMTU", _plain("--clamp-mss-to-pmtu")),
        (r"TCPMSS set (?P<mss>[0-9]+)", _plain("--set-mss {mss}")),
    ),
    "CT": ((r"(?:CT )?notrack", _plain("--notrack")), (r"CT notrack", _plain("--notrack"))),
    "NFQUEUE": ((r"NFQUEUE num (?P<num>[0-9]+)", _plain("--queue-num {num}")),),
}  # fmt: skip
_FLAGS_OF_RANDOM = (
    (r"random-fully", _plain("--random-fully")),
    (r"random", _plain("--random")),
    (r"persistent", _plain("--persistent")),
)


def _compiled(
    patterns: tuple[tuple[str, _Option], ...],
) -> tuple[tuple[re.Pattern[str], _Option], ...]:
    return tuple(
        (re.compile(rf"{pattern}(?= |$)", re.ASCII), option) for pattern, option in patterns
    )


_MATCH_PATTERNS = _compiled(_MATCHES)
_NAT_TARGETS = ("DNAT", "SNAT", "REDIRECT", "MASQUERADE")
_TARGET_PATTERNS = {
    name: _compiled((*patterns, *(_FLAGS_OF_RANDOM if name in _NAT_TARGETS else ())))
    for name, patterns in _TARGETS.items()
}


def options(printed: str, target: str) -> RuleOptions:
    """The options behind a rule's addresses; ``target`` is its target, empty for none."""
    matches: list[str] = []
    of_target: list[str] = []
    text = printed.strip()
    of_name = _TARGET_PATTERNS.get(target, ())
    while text:
        for patterns, written in ((_MATCH_PATTERNS, matches), (of_name, of_target)):
            read = next(
                ((match, option) for pattern, option in patterns if (match := pattern.match(text))),
                None,
            )
            if read is not None:
                written.append(read[1](read[0]))
                text = text[read[0].end() :].lstrip()
                break
        else:
            # What follows can belong to what is not known.
            break
    return RuleOptions(" ".join(matches), " ".join(of_target), " ".join(text.split()))
