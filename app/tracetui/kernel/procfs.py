"""Settings of the kernel in /proc/sys, and this node's addresses."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from pathlib import Path

from tracetui.kernel.names import text_of

_ROUTING = Path("/proc/sys/net")
_LOCAL_V4 = Path("/proc/thread-self/net/fib_trie")
_LOCAL_V6 = Path("/proc/thread-self/net/if_inet6")
LOCAL = "local"
"""The name of :func:`local_addresses` among the settings."""
MOST_ADDRESSES = 512
_MOST_TEXT = 1 << 18
"""Characters of a table that are read: it lists every route."""
_HOST = re.compile(r"\|-- ([0-9.]+)\n(?: +/[0-9]+ (?!host).*\n)* +/([0-9]+) host LOCAL")


def routing_sysctls() -> dict[str, str]:
    """What decides in this thread's namespace whether routing lets a packet pass.

    ``ipv4.ip_forward``, ``ipv6.forwarding``, and ``rp_filter.IFACE`` of each interface and ``all``
    (Documentation/networking/ip-sysctl.rst); what can't be read is left out.
    """
    found = {"ipv4.ip_forward": _ROUTING / "ipv4/ip_forward"}
    found["ipv6.forwarding"] = _ROUTING / "ipv6/conf/all/forwarding"
    for path in _ROUTING.glob("ipv4/conf/*/rp_filter"):
        found[f"rp_filter.{text_of(path.parent.name)}"] = path
    values: dict[str, str] = {}
    for name, path in found.items():
        with contextlib.suppress(OSError):
            values[name] = path.read_text().strip()
    addresses = local_addresses()
    return {**values, LOCAL: addresses} if addresses else values


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
