"""Settings of the kernel in /proc/sys, and this node's addresses."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from pathlib import Path

from tracetui.kernel.links import tunnels
from tracetui.kernel.names import text_of
from tracetui.model.explain.routes import ROUTES_SETTING

_SYSCTLS = Path("/proc/sys/net")
_LOCAL_V4 = Path("/proc/thread-self/net/fib_trie")
_LOCAL_V6 = Path("/proc/thread-self/net/if_inet6")
_ROUTES_V6 = Path("/proc/thread-self/net/ipv6_route")
TUNNEL_SETTING = "tunnel."
"""The prefix of a tunnel device's name among the settings; its value is the kind."""
LOCAL_SETTING = "local"
"""The name of :func:`local_addresses` among the settings."""
MOST_ADDRESSES = 512
_MOST_TEXT = 1 << 18
"""Characters of a table that are read: it lists every route."""
_ROUTE = re.compile(
    r"^ +\|-- ([0-9.]+)$|^ +/([0-9]{1,2}) \w+ ([A-Z]+)|^(?:Id ([0-9]+)|Main|Local):", re.M
)
_OF_ROUTING = frozenset(("UNICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT", "THROW"))
_REJECTS, _RTF_LOCAL, _NULL_ENTRY = 0x0200, 0x8000_0000, "ffffffff"
"""Parts of /proc/net/ipv6_route: flags, and the metric of the entry that stands for no route."""
_HOST = re.compile(r"\|-- ([0-9.]+)\n(?: +/[0-9]+ (?!host).*\n)* +/([0-9]+) host LOCAL")


def routing_sysctls() -> dict[str, str]:
    """Read the settings of this thread's namespace that decide whether routing lets a packet pass.

    ``ipv4.ip_forward``, ``ipv6.forwarding``, and ``rp_filter.IFACE`` of each interface and ``all``
    (Documentation/networking/ip-sysctl.rst); what can't be read is left out.
    """
    found = {"ipv4.ip_forward": _SYSCTLS / "ipv4/ip_forward"}
    found["ipv6.forwarding"] = _SYSCTLS / "ipv6/conf/all/forwarding"
    for path in _SYSCTLS.glob("ipv4/conf/*/rp_filter"):
        found[f"rp_filter.{text_of(path.parent.name)}"] = path
    values: dict[str, str] = {}
    for name, path in found.items():
        with contextlib.suppress(OSError):
            values[name] = path.read_text().strip()
    told = {LOCAL_SETTING: local_addresses(), ROUTES_SETTING: routes()}
    told.update((f"{TUNNEL_SETTING}{name}", kind) for name, kind in tunnels().items())
    return {**values, **{name: text for name, text in told.items() if text}}


def local_addresses() -> str:
    """The addresses and networks that this thread's namespace delivers to itself, blanks between.

    Of the table of local routes, as an address of an interface is not all of it (127.0.0.0/8).
    Empty where there are too many to be told once a second, or they can't be read.
    """
    found: list[str] = []
    with contextlib.suppress(OSError):
        with _LOCAL_V4.open(errors="replace") as trie:
            text = trie.read(_MOST_TEXT)
        if len(text) == _MOST_TEXT:
            return ""
        pairs = dict.fromkeys(_HOST.findall(text))
        found += [address if size == "32" else f"{address}/{size}" for address, size in pairs]
    with contextlib.suppress(OSError, ValueError):
        for line in _LOCAL_V6.read_text().splitlines()[:MOST_ADDRESSES]:
            found.append(str(ipaddress.IPv6Address(int(line.split()[0], 16))))
    return " ".join(found) if len(found) < MOST_ADDRESSES else ""


def routes() -> str:
    """The destinations that this thread's namespace has routes for, blanks between.

    A route that refuses says how: ``10.9.1.0/24=blackhole``, or ``=refused`` where the kernel does
    not tell (IPv6). ``+`` stands where rules choose among more tables than the usual two. Empty
    where there are too many, or they can't be read.
    """
    found: dict[str, None] = {}
    with contextlib.suppress(OSError):
        with _LOCAL_V4.open(errors="replace") as trie:
            text = trie.read(_MOST_TEXT)
        if len(text) == _MOST_TEXT:
            return ""
        address = ""
        for part in _ROUTE.finditer(text):
            address = part[1] or address
            if part[4]:
                found["+"] = None
            if part[3] in _OF_ROUTING:
                kind = "" if part[3] == "UNICAST" else f"={part[3].lower()}"
                found[f"{address}/{part[2]}{kind}"] = None
    with contextlib.suppress(OSError, ValueError, IndexError):
        with _ROUTES_V6.open(errors="replace") as table:
            text = table.read(_MOST_TEXT)
        if len(text) == _MOST_TEXT:
            return ""
        for line in text.splitlines():
            words = line.split()
            flags = int(words[8], 16)
            if flags & _RTF_LOCAL or words[5] == _NULL_ENTRY:
                continue
            kind = "=refused" if flags & _REJECTS else ""
            found[f"{ipaddress.IPv6Address(int(words[0], 16))}/{int(words[1], 16)}{kind}"] = None
    return " ".join(found) if len(found) < MOST_ADDRESSES else ""
