"""Tables as ``iptables -L -v -n [--line-numbers]`` prints them, put into iptables-save's form.

iptables/iptables.c, print_firewall, and nft-ipv4.c: columns are padded, and a rule without a target
has nothing in its column. Without ``-v`` the interfaces are missing, which decide what a rule is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Optional

from tracetui.model.trace.trace_point import HOOKS
from tracetui.parse.listings.listed_options import options

_CHAIN_TITLE = re.compile(r"Chain (\S+) \((?:policy (\w+)(?: .*)?|[0-9]+ references)\)$")
_COLUMN_TITLES = re.compile(r"(num +)?(?:pkts +bytes +)?target +prot +opt( +in +out)? +source")
_LISTED_COUNTERS = re.compile(r"([0-9]{1,20}[KMGTP]?) +([0-9]{1,20}[KMGTP]?) +")
_LISTED_RULE_NUMBER = re.compile(r"^[0-9]{1,9} +")
_PROMPT = re.compile(r"#.*|\S*[#$%>]")
_FRAGMENT_COLUMN = frozenset(("--", "-f", "!f"))
_ANY_ADDRESS = frozenset(("0.0.0.0/0", "::/0", "anywhere"))
_LISTED_PROTOCOLS = {
    "1": "icmp", "2": "igmp", "4": "ipencap", "6": "tcp", "17": "udp", "47": "gre", "50": "esp",
    "51": "ah", "58": "ipv6-icmp", "132": "sctp", "icmpv6": "ipv6-icmp",
}  # fmt: skip
_LISTED_ADDRESS = re.compile(r"!?(?:anywhere|[0-9a-f.:]+(?:/[0-9a-f.:]+)?|\S+\.\S+)")


class ListedTable(NamedTuple):
    """One table of a listing."""

    saved: str
    """Its lines, as iptables-save prints them, but for the table's name and the end."""
    bases: frozenset[str]
    """Its built-in chains."""
    family: str
    fault: str
    """Why it can't be used; empty where it can."""


def is_head(line: str) -> bool:
    """Whether a line begins a chain of a listing."""
    return _CHAIN_TITLE.match(line.strip()) is not None


def tables(text: str) -> Iterator[ListedTable]:
    """The tables of a listing that can hold several: built-in chains come first, in hook order."""
    lines: list[str] = []
    last_hook, has_user = -1, False
    for line in text.split("\n"):
        head = _CHAIN_TITLE.match(line.strip())
        if head is not None:
            hook_index = HOOKS.index(head[1]) if head[2] and head[1] in HOOKS else None
            if hook_index is not None and (has_user or hook_index <= last_hook):
                yield _table(lines)
                lines, last_hook, has_user = [], -1, False
            last_hook, has_user = (
                last_hook if hook_index is None else hook_index,
                hook_index is None,
            )
        lines.append(line)
    if any(map(is_head, lines)):
        yield _table(lines)


def _table(lines: list[str]) -> ListedTable:
    family = "ip6" if any("::/0" in line.split() for line in lines) else "ip"
    heads: list[str] = []
    rules: list[str] = []
    bases: set[str] = set()
    chain, fault = "", ""
    is_numbered = has_devices = False
    for line in lines:
        plain = line.strip()
        head = _CHAIN_TITLE.match(plain)
        columns = _COLUMN_TITLES.match(plain)
        if head is not None:
            chain = head[1]
            heads.append(f":{chain} {head[2] or '-'} [0:0]")
            bases |= {chain} if head[2] else set()
        elif columns is not None:
            is_numbered, has_devices = columns[1] is not None, columns[2] is not None
            if not has_devices:
                fault = "`iptables -L` shows no interfaces without -v; -S, or -L -v -n, shows all"
        elif plain and chain and has_devices and not _PROMPT.fullmatch(plain):
            rule = _rule(
                chain, _LISTED_RULE_NUMBER.sub("", plain, count=1) if is_numbered else plain, family
            )
            if rule is None:
                fault = fault or f"this line is not a rule of `iptables -L -v -n`: {plain[:80]}"
            else:
                rules.append(rule)
    return ListedTable("\n".join([*heads, *rules]), frozenset(bases), family, fault)


def _rule(chain: str, line: str, family: str) -> Optional[str]:
    """A rule, as iptables-save prints it; None for a line that is none."""
    counters = _LISTED_COUNTERS.match(line)
    if counters is None:
        return None
    packets = f"[{counters[1]}:0] " if counters[1].isdigit() else ""
    words = line[counters.end() :].split()
    target, proto_index = _target(words)
    if proto_index is None or len(words) < proto_index + 5:
        return None
    proto = words[proto_index]
    device_index = (
        proto_index + 2 if words[proto_index + 1] in _FRAGMENT_COLUMN else proto_index + 1
    )
    opt = words[proto_index + 1] if device_index == proto_index + 2 else "--"
    if len(words) < device_index + 4:
        return None
    iif, oif, source, destination = words[device_index : device_index + 4]
    rest = line[counters.end() :].split(None, device_index + 4)
    printed = rest[device_index + 4] if len(rest) > device_index + 4 else ""
    is_goto = printed.startswith("[goto]")
    read = options(printed.removeprefix("[goto]"), target)
    parts = [
        f"-A {chain}",
        _test("-s", source, source.lstrip("!") in _ANY_ADDRESS, family),
        _test("-d", destination, destination.lstrip("!") in _ANY_ADDRESS, family),
        _test("-i", iif, iif in ("*", "any")),
        _test("-o", oif, oif in ("*", "any")),
        _protocol(proto),
        {"-f": "-f", "!f": "! -f"}.get(opt, ""),
        read.matches,
        # What -L prints in its own words: it is a test, whatever it says.
        "-m …" if read.rest else "",
        f"{'-g' if is_goto else '-j'} {target}" if target else "",
        read.target,
        f"[{read.rest}]" if read.rest else "",
    ]
    return packets + " ".join(part for part in parts if part)


def _target(words: list[str]) -> tuple[str, Optional[int]]:
    """The target, empty for none, and where the protocol stands; None for no rule."""
    if len(words) > 2 and words[2] in _FRAGMENT_COLUMN:
        return words[0], 1
    if len(words) > 1 and words[1] in _FRAGMENT_COLUMN:
        return "", 0
    # ip6tables before 1.8.9 prints nothing for the option.
    if (
        len(words) > 5
        and _LISTED_ADDRESS.fullmatch(words[4])
        and _LISTED_ADDRESS.fullmatch(words[5])
    ):
        return words[0], 1
    if (
        len(words) > 4
        and _LISTED_ADDRESS.fullmatch(words[3])
        and _LISTED_ADDRESS.fullmatch(words[4])
    ):
        return "", 0
    return "", None


def _test(flag: str, value: str, is_any: bool, family: str = "") -> str:
    """A test of an address or a device; empty for one that all packets pass."""
    if is_any and not value.startswith("!"):
        return ""
    bare = value.lstrip("!")
    if family and "/" not in bare and re.fullmatch(r"[0-9a-f.:]+", bare):
        bare += "/128" if family == "ip6" else "/32"
    return f"{'! ' if value.startswith('!') else ''}{flag} {bare}"


def _protocol(value: str) -> str:
    bare = value.lstrip("!")
    if bare in ("all", "0"):
        return ""
    return f"{'! ' if value.startswith('!') else ''}-p {_LISTED_PROTOCOLS.get(bare, bare)}"
